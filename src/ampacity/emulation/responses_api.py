"""Answers in the shape of OpenAI's Responses API."""

from __future__ import annotations

from typing import Any

from ampacity.emulation.answer import Answer, Usage, encode, event
from ampacity.emulation.chat_api import openai_error


class ResponsesAnswer(Answer):
    """A response of one message of one part, or of one call of a function. Its events are numbered."""

    _events = 0

    def opening(self, usage: Usage) -> bytes:
        """response.created, response.in_progress, response.output_item.added and, of text, its part."""
        response = self._response("in_progress", [], None)
        begun = (
            self._event("response.created", response=response)
            + self._event("response.in_progress", response=response)
            + self._event("response.output_item.added", output_index=0, item=self._item("in_progress", empty=True))
        )
        if self.asked.call is None:
            begun += self._event("response.content_part.added", **self._where(), part=_part(""))
        return begun

    def piece(self, i: int) -> bytes:
        """response.output_text.delta, or that of a function's arguments."""
        delta = self.asked.pieces[i]
        if self.asked.call is not None:
            return self._event("response.function_call_arguments.delta", **self._which(), delta=delta)
        return self._event("response.output_text.delta", **self._where(), delta=delta, logprobs=[])

    def closing(self, usage: Usage) -> bytes:
        """What was begun is done, each in turn, and response.completed (or incomplete) with what the request took."""
        call, item = self.asked.call, self._item("completed", empty=False)
        if call is not None:
            done = self._event(
                "response.function_call_arguments.done", **self._which(), name=call.name, arguments=call.arguments
            )
        else:
            text = self.asked.text
            done = self._event("response.output_text.done", **self._where(), text=text, logprobs=[])
            done += self._event("response.content_part.done", **self._where(), part=_part(text))
        done += self._event("response.output_item.done", output_index=0, item=item)
        status = self._status()
        return done + self._event(f"response.{status}", response=self._response(status, [item], usage))

    def whole(self, usage: Usage) -> bytes:
        """The response."""
        return encode(self._response(self._status(), [self._item("completed", empty=False)], usage))

    def broken(self, message: str) -> bytes:
        """response.failed."""
        failed = self._response("failed", [], None) | {"error": {"code": "server_error", "message": message}}
        return self._event("response.failed", response=failed)

    @staticmethod
    def error(status: int, message: str, number: str) -> bytes:
        """The body of a refusal."""
        return encode(openai_error(status, message))

    def _event(self, kind: str, /, **data: Any) -> bytes:
        self._events += 1
        return event(kind, {"type": kind, "sequence_number": self._events - 1, **data})

    def _item(self, status: str, *, empty: bool) -> dict[str, Any]:
        call = self.asked.call
        if call is None:
            content = [] if empty else [_part(self.asked.text)]
            return {"id": self._item_id, "type": "message", "status": status, "role": "assistant", "content": content}
        return {
            "id": self._item_id,
            "type": "function_call",
            "status": status,
            "call_id": f"call_{self.number}",
            "name": call.name,
            "arguments": "" if empty else call.arguments,
        }

    def _response(self, status: str, output: list[Any], usage: Usage | None) -> dict[str, Any]:
        return {
            "id": f"resp_{self.number}",
            "object": "response",
            "created_at": self.at_s,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": None,
            "metadata": {},
            "model": self.asked.model,
            "output": output,
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": None if usage is None else _usage(usage),
        }

    @property
    def _item_id(self) -> str:
        return f"{'msg' if self.asked.call is None else 'fc'}_{self.number}"

    def _which(self) -> dict[str, Any]:
        return {"item_id": self._item_id, "output_index": 0}

    def _where(self) -> dict[str, Any]:
        return {**self._which(), "content_index": 0}

    def _status(self) -> str:
        return "incomplete" if self.asked.cut_short else "completed"


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }
