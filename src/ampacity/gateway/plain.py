"""Whoever asks no model: health, models, one's own use, a count of tokens; and what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ampacity.gateway.client import Client
from ampacity.gateway.counting import count
from ampacity.gateway.dialects import Api, Refusal, models_body
from ampacity.gateway.refusals import no_key, no_model, not_served
from ampacity.gateway.request import Request
from ampacity.gateway.words import plain_answer, refusal

if TYPE_CHECKING:
    from ampacity.gateway.server import Gateway

ASKING: dict[bytes, Api] = {b"/v1/messages": "anthropic", b"/v1/chat/completions": "openai", b"/v1/responses": "openai"}
COUNTING, MODELS, USAGE = b"/v1/messages/count_tokens", b"/v1/models", b"/v1/usage"
ONE_MODEL = b"/v1/models/"
KNOWN = frozenset((*ASKING, COUNTING, MODELS, USAGE))
PATHS = b", ".join(sorted(KNOWN)).decode()


def answer_plain(gateway: Gateway, client: Client, request: Request) -> None:
    """Answer a request that asks no model."""
    path = request.head.path
    head = request.head.method == b"HEAD"
    if path == b"/healthz" or (path == b"/" and request.head.method in (b"GET", b"HEAD")):
        _plain(gateway, client, request, 200, b'{"status":"ok"}', head)
    elif path == b"/readyz":
        body = b'{"ready":true}' if gateway.ready else b'{"ready":false}'
        _plain(gateway, client, request, 200 if gateway.ready else 503, body, head)
    elif path in KNOWN or path.startswith(ONE_MODEL):
        _known(gateway, client, request, path)
    else:
        words = f"There is nothing at {path[:200].decode('ascii', 'replace')!r}; requests go to {PATHS}."
        answer_error(gateway, client, request, Refusal(404, "not_found_error", words, code="unknown_url"))


def _known(gateway: Gateway, client: Client, request: Request, path: bytes) -> None:
    method = request.head.method
    holder = gateway.holder(request.head)
    if holder is None:
        gateway.metrics.unauthenticated += 1
        answer_error(gateway, client, request, no_key(request.head.headers))
    elif path == COUNTING and method == b"POST":
        if why := count(gateway, client, request, holder):
            answer_error(gateway, client, request, why)
    elif path == MODELS and method == b"GET":
        since = gateway.terms.notes.get("since", "1970-01-01")
        _plain(gateway, client, request, 200, models_body(list(gateway.aliases), since), False)
    elif path.startswith(ONE_MODEL) and method == b"GET":
        _one_model(gateway, client, request, path[len(ONE_MODEL) :].decode("ascii", "replace"))
    elif path == USAGE and method == b"GET":
        if barred := not_served(gateway.terms, holder):
            answer_error(gateway, client, request, barred)
        elif gateway.hands is None or not gateway.hands.give(client, request, holder):
            _plain(gateway, client, request, 200, msgspec.json.encode(gateway.standing(holder)), False)
    else:
        by = b"POST" if path in ASKING or path == COUNTING else b"GET"
        words = f"{path.decode()} is asked with {by.decode()}, not {method.decode('ascii', 'replace')[:20]}."
        answer_error(gateway, client, request, Refusal(405, "invalid_request_error", words), b"allow: %b\r\n" % by)


def _one_model(gateway: Gateway, client: Client, request: Request, alias: str) -> None:
    if alias not in gateway.aliases:
        answer_error(gateway, client, request, no_model(alias, gateway.aliases))
        return
    listed = msgspec.json.decode(models_body([alias], gateway.terms.notes.get("since", "1970-01-01")))
    _plain(gateway, client, request, 200, msgspec.json.encode(listed["data"][0]), False)


def _plain(gateway: Gateway, client: Client, request: Request, status: int, body: bytes, head: bool) -> None:
    said = plain_answer(status, body, gateway.new_id(), request.head.keep_alive)
    client.write(said[: len(said) - len(body)] if head else said)
    client.done(request.head.keep_alive)


def answer_error(gateway: Gateway, client: Client, request: Request, why: Refusal, own: bytes = b"") -> None:
    """Answer with an error in the shape that the client reads. own: header lines of its own, each with its end."""
    head = request.head
    theirs = head.first(b"anthropic-version") or head.first(b"x-api-key") or b"messages" in head.path
    api: Api = "anthropic" if theirs else "openai"
    said = refusal(api, why, gateway.new_id(), own, not head.keep_alive)
    if head.method == b"HEAD":
        said = said[: said.index(b"\r\n\r\n") + 4]
    client.write(said)
    client.done(head.keep_alive)
