"""A request as it was read, and one that cannot be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ampacity.gateway.keys import Holder
    from ampacity.gateway.pools import Pool

FRAMING = (b"transfer-encoding", b"trailer", b"expect")


@dataclass(slots=True)
class Head:
    """All of a request but its body. headers: all but its length, as they came, in order; names in small letters.

    Requests over one connection may share it, and then also what was found out of it, which is kept beside it.
    """

    method: bytes
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    keep_alive: bool
    http_1_0: bool
    holder: Holder | None = field(default=None, compare=False, repr=False)
    """Whose key it shows, by the table of keys of that identity."""
    by_keys: object = field(default=None, compare=False, repr=False)
    session: int | None = field(default=None, compare=False, repr=False)
    """The session that it names; 0: none."""
    passed_on: tuple[Pool, bytes, bytes] | None = field(default=None, compare=False, repr=False)
    """As it goes to a pool: what comes before the length of the body, and what after."""

    def first(self, name: bytes) -> bytes | None:
        """The first header of that name, written in small letters."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


@dataclass(slots=True)
class Request:
    """A request that has come whole."""

    head: Head
    body: bytes

    @property
    def tokens(self) -> int:
        """An estimate of what its body holds: a token for four bytes."""
        return max(len(self.body) // 4, 1)

    def written(self, last: bool) -> bytes:
        """The request as it could have come, its body in one piece. last: the connection is to close after it."""
        head = self.head
        query = b"?" + head.query if head.query else b""
        lines = [b"%b %b%b HTTP/1.%d\r\n" % (head.method, head.path, query, not head.http_1_0)]
        lines += [b"%b: %b\r\n" % pair for pair in head.headers if pair[0] not in FRAMING]
        if self.body:
            lines.append(b"content-length: %d\r\n" % len(self.body))
        if last and head.keep_alive:
            lines.append(b"connection: close\r\n")
        return b"".join([*lines, b"\r\n", self.body])


class Malformed(Exception):
    """A request that cannot be read; the status to answer with, and why."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)
