"""Whoever asks no model: health, models, one's own use, a count of tokens; and what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ampacity.gateway.client import Client, Request
from ampacity.gateway.dialects import Api, Refusal, models_body
from ampacity.gateway.exchange import refusal

if TYPE_CHECKING:
    from ampacity.gateway.server import Gateway

NO_KEY = Refusal(401, "authentication_error", "This key is not known here; show one as x-api-key or as Bearer.")
ASKING: dict[bytes, Api] = {b"/v1/messages": "anthropic", b"/v1/chat/completions": "openai", b"/v1/responses": "openai"}
COUNTING, MODELS, USAGE = b"/v1/messages/count_tokens", b"/v1/models", b"/v1/usage"
ONE_MODEL = b"/v1/models/"
KNOWN = frozenset((*ASKING, COUNTING, MODELS, USAGE))


def answer_plain(gateway: Gateway, client: Client, request: Request) -> None:
    """Answer a request that asks no model."""
    path = request.path
    head = request.method == b"HEAD"
    if path == b"/healthz" or (path == b"/" and request.method in (b"GET", b"HEAD")):
        _plain(client, request, 200, b'{"status":"ok"}', head)
    elif path == b"/readyz":
        ready = not gateway.draining and gateway.ticks.error is None
        _plain(client, request, 200 if ready else 503, b'{"ready":%b}' % (b"true" if ready else b"false"), head)
    elif path in KNOWN or path.startswith(ONE_MODEL):
        _known(gateway, client, request, path)
    else:
        answer_error(gateway, client, request, Refusal(404, "not_found_error", "There is nothing at this path."))


def _known(gateway: Gateway, client: Client, request: Request, path: bytes) -> None:
    holder = gateway.holder(request.headers)
    if holder is None:
        gateway.metrics.unauthenticated += 1
        answer_error(gateway, client, request, NO_KEY)
    elif path == COUNTING and request.method == b"POST":
        tokens = max(len(request.body) // 4, 1)
        _plain(client, request, 200, b'{"input_tokens":%d}' % tokens, False)
    elif path == MODELS and request.method == b"GET":
        since = gateway.terms.notes.get("since", "1970-01-01")
        _plain(client, request, 200, models_body(list(gateway.aliases), since), False)
    elif path.startswith(ONE_MODEL) and request.method == b"GET":
        _one_model(gateway, client, request, path[len(ONE_MODEL) :].decode("ascii", "replace"))
    elif path == USAGE and request.method == b"GET":
        if gateway.hands is None or not gateway.hands.give(client, request, holder):
            _plain(client, request, 200, msgspec.json.encode(gateway.standing(holder)), False)
    else:
        answer_error(
            gateway, client, request, Refusal(405, "invalid_request_error", "This path is asked in another way.")
        )


def _one_model(gateway: Gateway, client: Client, request: Request, alias: str) -> None:
    if alias not in gateway.aliases:
        answer_error(
            gateway, client, request, Refusal(404, "not_found_error", f"There is no model {alias[:100]!r} here.")
        )
        return
    listed = msgspec.json.decode(models_body([alias], gateway.terms.notes.get("since", "1970-01-01")))
    _plain(client, request, 200, msgspec.json.encode(listed["data"][0]), False)


def _plain(client: Client, request: Request, status: int, body: bytes, head: bool) -> None:
    last = b"" if request.keep_alive else b"connection: close\r\n"
    lines = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n"
    client.write(lines % (status, b"OK" if status == 200 else b"Not OK", len(body), last) + (b"" if head else body))
    client.done(request.keep_alive)


def answer_error(gateway: Gateway, client: Client, request: Request, why: Refusal) -> None:
    """Answer with an error in the shape that the client reads."""
    api: Api = "anthropic" if request.header(b"anthropic-version") or b"messages" in request.path else "openai"
    said = refusal(api, why, gateway.new_id(), b"", not request.keep_alive)
    if request.method == b"HEAD":
        said = said[: said.index(b"\r\n\r\n") + 4]
    client.write(said)
    client.done(request.keep_alive)
