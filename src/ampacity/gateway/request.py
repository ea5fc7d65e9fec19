"""A request as it was read, and one that cannot be."""

from __future__ import annotations

from dataclasses import dataclass

FRAMING = (b"content-length", b"transfer-encoding", b"trailer", b"expect")


@dataclass(slots=True)
class Request:
    """A request that has come whole. headers: as they came, in order; names in small letters."""

    method: bytes
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    keep_alive: bool
    http_1_0: bool

    @property
    def tokens(self) -> int:
        """An estimate of what its body holds: a token for four bytes."""
        return max(len(self.body) // 4, 1)

    def header(self, name: bytes) -> bytes | None:
        """The first header of that name, written in small letters."""
        return first(self.headers, name)

    def written(self, last: bool) -> bytes:
        """The request as it could have come, its body in one piece. last: the connection is to close after it."""
        query = b"?" + self.query if self.query else b""
        lines = [b"%b %b%b HTTP/1.%d\r\n" % (self.method, self.path, query, not self.http_1_0)]
        lines += [b"%b: %b\r\n" % pair for pair in self.headers if pair[0] not in FRAMING]
        if self.body:
            lines.append(b"content-length: %d\r\n" % len(self.body))
        if last and self.keep_alive:
            lines.append(b"connection: close\r\n")
        return b"".join([*lines, b"\r\n", self.body])


def first(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The first header of that name, written in small letters."""
    for key, value in headers:
        if key == name:
            return value
    return None


class Malformed(Exception):
    """A request that cannot be read; the status to answer with, and why."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)
