"""What an answer cost, read from its bytes as they pass: token counts by kind, in JSON or in a stream's events.

Only lines that speak of usage are decoded, by the few fields that count; no text is looked at or kept. What an answer
does not say is counted: a token for each event since it last said how many it wrote; input is what was estimated.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

LINE_MOST = 1 << 22  # a line that is longer is not looked into
SPEAKS = b'"usage"'
ENDING = 2  # events of a stream after its last word on usage
COUNT_MOST = 1 << 32  # of tokens; an upstream that tells more is not believed


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    """The counts of both APIs, whichever are there."""

    input_tokens: int | UnsetType | None = UNSET
    output_tokens: int | UnsetType | None = UNSET
    cache_creation_input_tokens: int | UnsetType | None = UNSET
    cache_read_input_tokens: int | UnsetType | None = UNSET
    prompt_tokens: int | UnsetType | None = UNSET
    completion_tokens: int | UnsetType | None = UNSET
    prompt_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None


class _Inner(msgspec.Struct):
    usage: _Usage | None = None


class _Answer(msgspec.Struct):
    """Where the counts stand: in the answer itself, in a stream's first message, in a response's last event."""

    usage: _Usage | None = None
    message: _Inner | str | None = None
    response: _Inner | str | None = None


_decode = msgspec.json.Decoder(_Answer).decode


OVER = (
    b"[DONE]", b"message_stop", b"response.completed", b"response.incomplete", b"response.failed", b"event: error",
    b'"finish_reason":"', b'"finish_reason": "', b'"stop_reason":"', b'"stop_reason": "',
)  # fmt: skip
LONGEST = max(map(len, OVER))


class Ending:
    """Whether a stream says that it is over: one that ends with its connection may as well be broken off."""

    __slots__ = ("_rest", "said")

    def __init__(self) -> None:
        self._rest, self.said = b"", False

    def look(self, piece: bytes) -> None:
        """Look at a piece of it, cut anywhere."""
        if not self.said:
            seen = self._rest + piece
            self.said = any(sign in seen for sign in OVER)
            self._rest = seen[-LONGEST:]


class Usage:
    """Follows one answer. events: pieces of output seen in a stream since it last told how many tokens it wrote."""

    __slots__ = ("_rest", "_size", "_skipping", "events", "output", "read", "told", "uncached", "written")

    def __init__(self) -> None:
        self.uncached = self.written = self.read = self.output = self.events = 0
        self.told = False  # whether the answer has said what it cost so far
        self._rest: list[bytes] = []  # of a line that is not whole
        self._size = 0
        self._skipping = False

    @property
    def between_lines(self) -> bool:
        """Whether what was seen of a stream ends with a line."""
        return not self._rest and not self._skipping

    @property
    def output_in_all(self) -> int:
        """Tokens written as far as one can know: what was told, and the events since (two only end it)."""
        if self.told and self.events <= ENDING:
            return self.output
        return max(self.output, self.events)

    def stream(self, piece: bytes) -> None:
        """Look at a piece of a stream of events, cut anywhere."""
        if self._rest or self._skipping or piece[-1:] != b"\n":
            piece = self._lines(piece)
            if not piece:
                return
        self.events += piece.count(b"data: {") or piece.count(b"data:{")
        if SPEAKS in piece:
            for line in piece.split(b"\n"):
                if SPEAKS in line and line.startswith(b"data:"):
                    self.whole(line[5:])
            if self.events == 0:  # it told of its output
                rest = piece[piece.rfind(SPEAKS) :]
                self.events = rest.count(b"data: {") or rest.count(b"data:{")

    def _lines(self, piece: bytes) -> bytes:
        """Whole lines out of what came so far; the rest waits."""
        whole, newline, rest = piece.rpartition(b"\n")
        if self._skipping:
            if not newline:
                return b""
            self._skipping = False
            whole = whole.partition(b"\n")[2]
        elif newline and self._rest:
            whole = b"".join((*self._rest, whole))
        if newline:
            self._rest, self._size = [], 0
        if rest:
            self._rest.append(rest)
            self._size += len(rest)
            if self._size > LINE_MOST:
                self._rest, self._size, self._skipping = [], 0, True
        return whole + newline

    def whole(self, text: bytes) -> None:
        """Look at a whole JSON text. What is no JSON, or says nonsense, says nothing."""
        try:
            answer = _decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        if answer.usage is not None:
            self._take(answer.usage)
        for holder in (answer.message, answer.response):
            if isinstance(holder, _Inner) and holder.usage is not None:
                self._take(holder.usage)

    def _take(self, u: _Usage) -> None:
        """Counts are cumulative: what comes later replaces what came before. OpenAI's prompts include the cached."""
        if isinstance(u.prompt_tokens, int):
            cached = u.prompt_tokens_details.cached_tokens if u.prompt_tokens_details else 0
            self._input(u.prompt_tokens, cached or 0)
        elif isinstance(u.input_tokens, int):
            if u.input_tokens_details is not None:
                self._input(u.input_tokens, u.input_tokens_details.cached_tokens or 0)
            else:
                self.uncached, self.told = _bounded(u.input_tokens), True
        if isinstance(u.cache_creation_input_tokens, int):
            self.written = _bounded(u.cache_creation_input_tokens)
        if isinstance(u.cache_read_input_tokens, int):
            self.read = _bounded(u.cache_read_input_tokens)
        output = u.completion_tokens if isinstance(u.completion_tokens, int) else u.output_tokens
        if isinstance(output, int):
            self.output, self.told, self.events = _bounded(output), True, 0

    def _input(self, prompt: int, cached: int) -> None:
        prompt = _bounded(prompt)
        self.read = min(_bounded(cached), prompt)
        self.uncached, self.told = prompt - self.read, True


def _bounded(count: int) -> int:
    """A count that an upstream tells, within what a journal's numbers hold."""
    return count if 0 <= count <= COUNT_MOST else 0 if count < 0 else COUNT_MOST
