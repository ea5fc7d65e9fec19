"""The two APIs as a gateway must know them: which fields a decision needs, and how an error is said in each.

Everything else of a request and an answer passes as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

Api = Literal["anthropic", "openai"]
OUTPUT_MOST = 32_000  # of a request that names no most
OUTPUT_LARGEST = 1 << 32  # whatever it names: numbers of a journal have 64 bits


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class Asked(msgspec.Struct):
    """What a body says that deciding needs, in either API."""

    model: str
    stream: bool | None = False
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    metadata: _Metadata | None = None
    user: str | None = None

    @property
    def output_most(self) -> int:
        """What the request allows itself to write. [token]"""
        most = self.max_tokens
        if most is None:
            most = self.max_output_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        return OUTPUT_MOST if most is None else min(max(most, 0), OUTPUT_LARGEST)

    @property
    def conversation(self) -> str | None:
        """A name of the session, if the body has one."""
        return (self.metadata.user_id if self.metadata else None) or self.user


decode_asked = msgspec.json.Decoder(Asked).decode


@dataclass(frozen=True)
class Refusal:
    """Why a request is not served. status: of Anthropic's API; kind: its type of error."""

    status: int
    kind: str
    message: str
    retry_after_s: int | None = None
    retry: bool | None = None  # whether to try again is worth it, where that is known
    code: str | None = None  # of OpenAI's API


_OPENAI_KIND = {
    "rate_limit_error": ("tokens", "rate_limit_exceeded"),
    "overloaded_error": ("server_error", "overloaded"),
    "api_error": ("server_error", None),
    "authentication_error": ("invalid_request_error", "invalid_api_key"),
    "not_found_error": ("invalid_request_error", "model_not_found"),
    "request_too_large": ("invalid_request_error", None),
}
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    529: "Overloaded",
}


def status_in(api: Api, refusal: Refusal) -> int:
    """The status of a refusal: OpenAI's clients know overload as 503."""
    return 503 if api == "openai" and refusal.status == 529 else refusal.status


def error_body(api: Api, refusal: Refusal, request_id: str) -> bytes:
    """A refusal as JSON in the shape that clients of the API read."""
    if api == "anthropic":
        error = {"type": refusal.kind, "message": refusal.message}
        return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})
    kind, code = _OPENAI_KIND.get(refusal.kind, ("invalid_request_error", None))
    said = {"message": refusal.message, "type": kind, "param": None, "code": refusal.code or code}
    return msgspec.json.encode({"error": said})


def error_event(api: Api, refusal: Refusal, request_id: str) -> bytes:
    """A refusal as an event of a stream that has begun."""
    body = error_body(api, refusal, request_id)
    return b"event: error\ndata: " + body + b"\n\n" if api == "anthropic" else b"data: " + body + b"\n\n"


def models_body(aliases: list[str], since: str) -> bytes:
    """The list of models with the fields that clients of either API read. since: a day, `2026-11-23`."""
    data = [
        {
            "id": alias,
            "object": "model",
            "type": "model",
            "display_name": alias,
            "created": 0,
            "created_at": f"{since}T00:00:00Z",
            "owned_by": "ampacity",
        }
        for alias in aliases
    ]
    first, last = (aliases[0], aliases[-1]) if aliases else (None, None)
    return msgspec.json.encode({"object": "list", "data": data, "has_more": False, "first_id": first, "last_id": last})
