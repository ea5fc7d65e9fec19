"""What an answer cost, read from its bytes as they pass: token counts by kind, in JSON or in a stream's events.

Only lines that speak of usage are decoded, by the few fields that count; no text is looked at or kept. If an answer
never says, output is the number of events that carried some and input is what was estimated.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

LINE_MOST = 1 << 22  # a line that is longer is not looked into
SPEAKS = b'"usage"'


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


class Usage:
    """Follows one answer. events: pieces of output seen in a stream."""

    __slots__ = ("_rest", "_skipping", "events", "output", "read", "told", "uncached", "written")

    def __init__(self) -> None:
        self.uncached = self.written = self.read = self.output = self.events = 0
        self.told = False  # whether the answer has said what it cost so far
        self._rest = b""
        self._skipping = False

    def stream(self, piece: bytes) -> None:
        """Look at a piece of a stream of events, cut anywhere."""
        if self._rest or self._skipping or piece[-1:] != b"\n":
            piece = self._lines(piece)
            if not piece:
                return
        self.events += piece.count(b"data: {")
        if SPEAKS in piece:
            for line in piece.split(b"\n"):
                if SPEAKS in line and line.startswith(b"data:"):
                    self.whole(line[5:])

    def _lines(self, piece: bytes) -> bytes:
        """Whole lines out of what came so far; the rest waits."""
        if self._skipping:
            end = piece.find(b"\n")
            if end < 0:
                return b""
            self._skipping, piece = False, piece[end + 1 :]
        whole, newline, rest = (self._rest + piece).rpartition(b"\n")
        self._rest = rest
        if len(rest) > LINE_MOST:
            self._rest, self._skipping = b"", True
        return whole + newline

    def whole(self, text: bytes) -> None:
        """Look at a whole JSON text. What is no JSON, or says nonsense, says nothing."""
        try:
            answer = _decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        for holder in (answer, answer.message, answer.response):
            if holder is not None and not isinstance(holder, str) and holder.usage is not None:
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
                self.uncached, self.told = max(u.input_tokens, 0), True
        if isinstance(u.cache_creation_input_tokens, int):
            self.written = max(u.cache_creation_input_tokens, 0)
        if isinstance(u.cache_read_input_tokens, int):
            self.read = max(u.cache_read_input_tokens, 0)
        for count in (u.output_tokens, u.completion_tokens):
            if isinstance(count, int):
                self.output, self.told = max(count, 0), True

    def _input(self, prompt: int, cached: int) -> None:
        self.read = min(max(cached, 0), max(prompt, 0))
        self.uncached, self.told = max(prompt, 0) - self.read, True
