"""A head that comes again: over a connection, and from a pool, heads differ in little but how long their bodies are.

What was read and checked once need not be read again. The same bytes mean the same, and other digits after
`content-length: ` another length alone; whatever differs in anything else is read by the parser, as is what does not
come whole and at once.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

AT_ONCE, AT_TIMES = 8, 64  # heads that differ are learned so many times in a row, then once in so many
NAMED = b"\r\ncontent-length: "
DIGITS_MOST = 10


class Again(Generic[T]):
    """The head that came last, in bytes, and what was read from it."""

    __slots__ = ("_after", "_before", "_misses", "_what")

    def __init__(self) -> None:
        self._before = self._after = b""
        self._misses = 0
        self._what: T | None = None

    def found(self, data: bytes) -> tuple[T, int] | None:
        """What the head of a message is read as, and where its body begins; None if that is for the parser to say.

        data: what came, a whole message or not.
        """
        before, what = self._before, self._what
        if what is None or not data.startswith(before):
            return None
        begin = len(before)
        end = data.find(b"\r", begin, begin + DIGITS_MOST)
        if end < 0 or not data.startswith(self._after, end):
            return None
        at = end + len(self._after)
        if data[begin:end] != b"%d" % (len(data) - at):
            return None
        self._misses = 0
        return what, at

    def learn(self, data: bytes, size: int, what: T) -> None:
        """A whole message came at once, its body of so many bytes, and the parser read its head as `what`."""
        self._misses += 1
        if self._misses > AT_ONCE and self._misses % AT_TIMES:
            return
        end = len(data) - size
        low = data[:end].lower()
        begin = low.find(NAMED) + len(NAMED)
        if low.find(b"\r\n\r\n") != end - 4 or begin < len(NAMED):
            return
        to = low.find(b"\r", begin)
        if low[begin:to] == b"%d" % size:
            self._before, self._after, self._what = data[:begin], data[to:end], what
