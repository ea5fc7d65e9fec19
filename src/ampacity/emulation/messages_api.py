"""Answers in the shape of the Anthropic Messages API, version 2023-06-01."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ampacity.emulation.answer import Answer, Usage, encode, event
from ampacity.inference.replica import KV_BLOCK_TOKENS

ERROR_TYPES = {
    400: "invalid_request_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    500: "api_error",
    529: "overloaded_error",
}


class MessagesAnswer(Answer):
    """A message of one text block, or of one block that calls a tool."""

    full_status = 529

    def opening(self, usage: Usage) -> bytes:
        """message_start with what the prompt took, content_block_start, ping."""
        message = self._message([], None, self._usage(Usage(usage.input, usage.cached, 1)))
        start = {"type": "content_block_start", "index": 0, "content_block": self._block(empty=True)}
        return (
            event("message_start", {"type": "message_start", "message": message})
            + event("content_block_start", start)
            + event("ping", {"type": "ping"})
        )

    def piece(self, i: int) -> bytes:
        """content_block_delta."""
        return _delta(self.asked.pieces[i], self.asked.call is not None)

    def closing(self, usage: Usage) -> bytes:
        """content_block_stop, message_delta with what the answer took, message_stop."""
        delta = {
            "type": "message_delta",
            "delta": {"stop_reason": self._stop_reason(), "stop_sequence": None},
            "usage": {"output_tokens": usage.output},
        }
        return (
            event("content_block_stop", {"type": "content_block_stop", "index": 0})
            + event("message_delta", delta)
            + event("message_stop", {"type": "message_stop"})
        )

    def whole(self, usage: Usage) -> bytes:
        """The message."""
        return encode(self._message([self._block(empty=False)], self._stop_reason(), self._usage(usage)))

    def broken(self, message: str) -> bytes:
        """An error event."""
        return event("error", _error(500, message, self.number))

    @staticmethod
    def error(status: int, message: str, number: str) -> bytes:
        """The body of a refusal."""
        return encode(_error(status, message, number))

    def _message(self, content: list[Any], stop_reason: str | None, usage: dict[str, int]) -> dict[str, Any]:
        return {
            "id": f"msg_{self.number}",
            "type": "message",
            "role": "assistant",
            "model": self.asked.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": usage,
        }

    def _block(self, *, empty: bool) -> dict[str, Any]:
        if self.asked.call is None:
            return {"type": "text", "text": "" if empty else self.asked.text}
        arguments = {} if empty else self.asked.call.value
        return {"type": "tool_use", "id": f"toolu_{self.number}", "name": self.asked.call.name, "input": arguments}

    def _stop_reason(self) -> str:
        if self.asked.call is not None:
            return "tool_use"
        return "max_tokens" if self.asked.cut_short else "end_turn"

    def _usage(self, usage: Usage) -> dict[str, int]:
        """What is not read from the cache is written to it where the request marks so, in whole blocks."""
        uncached = usage.input - usage.cached
        written = uncached // KV_BLOCK_TOKENS * KV_BLOCK_TOKENS if self.asked.marks_cache else 0
        return {
            "input_tokens": uncached - written,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": usage.cached,
            "output_tokens": usage.output,
        }


def _error(status: int, message: str, number: str) -> dict[str, Any]:
    error = {"type": ERROR_TYPES.get(status, "api_error"), "message": message}
    return {"type": "error", "error": error, "request_id": f"req_{number}"}


@lru_cache(maxsize=4096)
def _delta(piece: str, of_call: bool) -> bytes:
    """The event of a token: there are few words, and it names no answer."""
    what = {"type": "input_json_delta", "partial_json": piece} if of_call else {"type": "text_delta", "text": piece}
    return event("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": what})
