"""Answers in the shape of OpenAI's Chat Completions API."""

from __future__ import annotations

from typing import Any

from ampacity.emulation.answer import Answer, Usage, encode, unnamed

DONE = b"data: [DONE]\n\n"


class ChatAnswer(Answer):
    """A completion with one choice: text, or one call of a function."""

    def opening(self, usage: Usage) -> bytes:
        """A chunk with the role and, of a call, its name."""
        if self.asked.call is None:
            delta: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
        else:
            delta = {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **self._call("")}]}
        # a chunk differs from the next in its piece alone, so what stands before and behind it is made once
        before, _, behind = unnamed(self._chunk([self._choice(self._delta("@"), None)])).partition(b'"@"')
        self._before, self._behind = before, behind
        return unnamed(self._chunk([self._choice(delta, None)]))

    def piece(self, i: int) -> bytes:
        """A chunk with a token."""
        return self._before + encode(self.asked.pieces[i]) + self._behind

    def closing(self, usage: Usage) -> bytes:
        """A chunk with the reason of the end, one with what the request took if that was asked for, and [DONE]."""
        last = unnamed(self._chunk([self._choice({}, self._finish_reason())]))
        if self.asked.include_usage:
            last += unnamed({**self._chunk([]), "usage": _usage(usage)})
        return last + DONE

    def whole(self, usage: Usage) -> bytes:
        """The completion."""
        message: dict[str, Any] = {"role": "assistant", "content": self.asked.text, "refusal": None}
        if self.asked.call is not None:
            message |= {"content": None, "tool_calls": [self._call(self.asked.call.arguments)]}
        choice = {"index": 0, "message": message, "finish_reason": self._finish_reason(), "logprobs": None}
        return encode({**self._chunk([choice]), "object": "chat.completion", "usage": _usage(usage)})

    def broken(self, message: str) -> bytes:
        """An error in the place of a chunk."""
        return unnamed(openai_error(500, message))

    @staticmethod
    def error(status: int, message: str, number: str) -> bytes:
        """The body of a refusal."""
        return encode(openai_error(status, message))

    def _chunk(self, choices: list[Any]) -> dict[str, Any]:
        chunk: dict[str, Any] = {
            "id": f"chatcmpl-{self.number}",
            "object": "chat.completion.chunk",
            "created": self.at_s,
            "model": self.asked.model,
            "choices": choices,
        }
        return chunk | {"usage": None} if self.asked.stream and self.asked.include_usage else chunk

    def _choice(self, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}

    def _delta(self, piece: str) -> dict[str, Any]:
        if self.asked.call is None:
            return {"content": piece}
        return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}

    def _call(self, arguments: str) -> dict[str, Any]:
        assert self.asked.call is not None
        function = {"name": self.asked.call.name, "arguments": arguments}
        return {"id": f"call_{self.number}", "type": "function", "function": function}

    def _finish_reason(self) -> str:
        if self.asked.call is not None:
            return "tool_calls"
        return "length" if self.asked.cut_short else "stop"


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }


def openai_error(status: int, message: str) -> dict[str, Any]:
    """The body of an error, of both OpenAI APIs."""
    kind, code = {
        400: ("invalid_request_error", None),
        404: ("invalid_request_error", "model_not_found"),
        503: ("service_unavailable_error", "overloaded"),
    }.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
