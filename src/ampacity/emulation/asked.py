"""What a request asks for: the few fields of its body that matter to an emulated model, whatever API it comes by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from ampacity.base.streams import normal
from ampacity.emulation.words import answer_words, example, pieces_of

ANSWER_MEDIAN = 200.0
"""Output of a request that says nothing of it. [token]"""
ANSWER_SPREAD = 0.8
"""Of the logarithm of that output: one answer in ten is longer than 560 tokens. An assumption."""
BYTES_PER_TOKEN = 4
ASKS_FOR_TOOL = "use-tool"
"""A word in the last message of a user that makes the model call a tool, if it has any."""


class _Message(msgspec.Struct):
    role: str = "user"
    content: Any = None


class _Function(msgspec.Struct):
    name: str = "tool"
    parameters: Any = None


class _Tool(msgspec.Struct):
    name: str | None = None
    input_schema: Any = None
    parameters: Any = None
    function: _Function | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = False


class _Common(msgspec.Struct):
    model: str
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    stream: bool | None = False
    stream_options: _StreamOptions | None = None
    tools: msgspec.Raw = msgspec.Raw(b"null")
    metadata: Any = None


class _Messages(_Common, kw_only=True):
    messages: list[msgspec.Raw]


class _Input(_Common, kw_only=True):
    input: str | list[msgspec.Raw]


@dataclass(frozen=True)
class ToolCall:
    """A tool that the answer calls, with its arguments as JSON text."""

    name: str
    arguments: str

    @property
    def value(self) -> Any:
        """The arguments as they are."""
        return msgspec.json.decode(self.arguments)


@dataclass(frozen=True)
class Asked:
    """A request as the model sees it.

    session: names the conversation. input_tokens: a fourth of the body's bytes. pieces: the whole answer, a token each;
    of a call they are its arguments. cut_short: the answer would have been longer than the request allows. marks_cache:
    the request marks what is to be cached, as the Messages API wants it.
    """

    model: str
    stream: bool
    session: str
    input_tokens: int
    pieces: tuple[str, ...]
    call: ToolCall | None
    cut_short: bool
    include_usage: bool
    marks_cache: bool

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.pieces)


def read_asked(body: bytes, headers: Mapping[bytes, bytes], seed: int, context_most: int, *, by_input: bool) -> Asked:
    """Read a request. by_input: of the Responses API. Raises ValueError in the words that its client should read."""
    b: _Input | _Messages
    try:
        b = msgspec.json.decode(body, type=_Input) if by_input else msgspec.json.decode(body, type=_Messages)
    except msgspec.DecodeError as err:
        raise ValueError(str(err)) from err
    said = b.input if isinstance(b, _Input) else b.messages
    if isinstance(said, str):
        said = [msgspec.Raw(msgspec.json.encode({"role": "user", "content": said}))]
    if not said:
        raise ValueError("messages: at least one message is required")
    input_tokens = max(1, len(body) // BYTES_PER_TOKEN)
    if input_tokens >= context_most:
        raise ValueError(f"prompt is too long: {input_tokens} tokens > {context_most - 1} maximum")
    stated = (b.max_tokens, b.max_completion_tokens, b.max_output_tokens)
    most = min([context_most - input_tokens, *(n for n in stated if n is not None)])
    if most < 1:
        raise ValueError("max_tokens: at least 1")
    call = _call(b.tools) if ASKS_FOR_TOOL in _user_text(said[-1]) else None
    key = int.from_bytes(blake2b(body, digest_size=8).digest(), "little")
    wanted = _answer_tokens(seed, key, headers.get(b"x-emulate-output-tokens"))
    pieces = pieces_of(call.arguments) if call else answer_words(seed, key, min(wanted, most))
    return Asked(
        model=b.model,
        stream=bool(b.stream),
        session=_session(headers, b.metadata, said),
        input_tokens=input_tokens,
        pieces=tuple(pieces),
        call=call,
        cut_short=call is None and wanted > most,
        include_usage=b.stream_options is not None and bool(b.stream_options.include_usage),
        marks_cache=b'"cache_control"' in body,
    )


def _answer_tokens(seed: int, key: int, stated: bytes | None) -> int:
    """Output that a request would get: as its header says, else drawn from its body."""
    if stated is not None:
        if not stated.isdigit() or int(stated) < 1:
            raise ValueError("x-emulate-output-tokens: expected a whole number from 1 on")
        return int(stated)
    return max(round(ANSWER_MEDIAN * math.exp(ANSWER_SPREAD * normal(seed, key, "answer"))), 1)


def _session(headers: Mapping[bytes, bytes], metadata: Any, said: list[msgspec.Raw]) -> str:
    """Who asks: the session that the client names, its user, or else how the conversation began."""
    if named := headers.get(b"x-claude-code-session-id"):
        return "session " + named.decode("latin-1")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if isinstance(user, str) and user:
        return "user " + user
    # the words up to the first of a user: marks such as cache_control move from turn to turn
    began = blake2b(digest_size=12)
    for raw in said:
        began.update(_text(_message(raw).content).encode())
        if _message(raw).role == "user":
            break
    return "began " + began.hexdigest()


def _message(raw: msgspec.Raw) -> _Message:
    try:
        return msgspec.json.decode(raw, type=_Message)
    except msgspec.ValidationError:
        return _Message(role="")


def _user_text(raw: msgspec.Raw) -> str:
    """The text of a message, if a user says it."""
    message = _message(raw)
    return _text(message.content) if message.role == "user" else ""


def _text(content: Any) -> str:
    """The text in a message's content: a string, or parts of which some have text."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(p["text"] for p in parts if isinstance(p, dict) and isinstance(p.get("text"), str))


def _call(tools: msgspec.Raw) -> ToolCall | None:
    """A call of the first tool, whatever API describes it."""
    try:
        described = msgspec.json.decode(tools, type=list[_Tool] | None)
    except msgspec.ValidationError as err:
        raise ValueError(f"tools: {err}") from err
    if not described:
        return None
    first = described[0]
    of = first.function
    name = of.name if of is not None else first.name or "tool"
    schema = of.parameters if of is not None else first.input_schema or first.parameters
    return ToolCall(name, msgspec.json.encode(example(schema or {"type": "object"})).decode())
