"""The admin API in OpenAPI's words, by hand: what each path takes and gives."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
MAYBE_WHOLE: Schema = {"type": ["integer", "null"]}
YES_NO: Schema = {"type": "boolean"}
MOVES = ("hold", "drain", "reopen", "reclaim")
DEADLINE_MOST_S = 366 * 86_400


def made_of(**fields: Schema) -> Schema:
    """An object with these fields, all of them there."""
    return {"type": "object", "properties": fields, "required": list(fields)}


def many(of: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": of}


def _or_null(of: Schema) -> Schema:
    return {"anyOf": [of, {"type": "null"}]}


ERROR = made_of(error=TEXT)
POOL = made_of(
    name=TEXT, alias=TEXT, model=TEXT, url=TEXT, state={"enum": ["open", "held", "draining", "gone"]},
    deadline_ms=MAYBE_WHOLE, requests=WHOLE, begun=WHOLE, slots=WHOLE, backlog_tokens=WHOLE,
    health={"enum": ["sound", "full", "ejected", "on trial"]}, failures_in_a_row=WHOLE,
    out_until_ms=MAYBE_WHOLE, pace_ns=WHOLE,
)  # fmt: skip
KIND_COUNTS = made_of(
    tier=TEXT, alias=TEXT, outcomes={"type": "object", "additionalProperties": WHOLE},
    tokens={"type": "object", "additionalProperties": WHOLE}, answers=WHOLE, pool_failures=WHOLE, ttft_ms=many(WHOLE),
    ttft_sum_ms=WHOLE, answer_ms=many(WHOLE), answer_sum_ms=WHOLE, tpot_us=many(WHOLE), tpot_sum_us=WHOLE,
    statuses={"type": "object", "additionalProperties": WHOLE},
)  # fmt: skip
METRICS = made_of(
    kinds=many(KIND_COUNTS), refusals=many(made_of(tier=TEXT, window=TEXT, owner=TEXT, alias=TEXT, count=WHOLE)),
    malformed=WHOLE, unauthenticated=WHOLE, cut_short=WHOLE, left=WHOLE,
)  # fmt: skip
STATUS = made_of(
    scenario=TEXT, terms=TEXT, now_ms=WHOLE, started_ms=WHOLE, uptime_s=NUMBER, process=WHOLE, ready=YES_NO,
    draining=YES_NO, pools=many(POOL), services=many(made_of(alias=TEXT, names=many(TEXT), waiting=WHOLE)),
    queue=many(made_of(tier=TEXT, alias=TEXT, waiting=WHOLE)), room=WHOLE, wait_most_ms=WHOLE, metrics=METRICS,
    exchanges=WHOLE, connections=WHOLE, keys=WHOLE, subscribers=WHOLE, cut_off=WHOLE,
    journal=made_of(last=WHOLE, durable=WHOLE, error=MAYBE_TEXT, path=TEXT), memory_bytes=WHOLE,
)  # fmt: skip
WORKER = made_of(
    worker=WHOLE, process=MAYBE_WHOLE, ready=_or_null(YES_NO), started_ms=MAYBE_WHOLE, exchanges=MAYBE_WHOLE,
    connections=MAYBE_WHOLE, memory_bytes=MAYBE_WHOLE,
)  # fmt: skip
STATUS["properties"].update(workers=many(WORKER), trouble=many(TEXT))  # of several data processes
KEY = made_of(
    id=TEXT, shown=TEXT, subscriber=TEXT, tier=TEXT, organization=MAYBE_TEXT, product=TEXT, made_ms=WHOLE,
    revoked_ms=MAYBE_WHOLE,
)  # fmt: skip
MADE = made_of(key=TEXT, id=TEXT, shown=TEXT, subscriber=TEXT, tier=TEXT)
SUBSCRIBER = made_of(id=WHOLE, name=TEXT, tier=TEXT, organization=MAYBE_TEXT, organization_limit=MAYBE_TEXT, keys=WHOLE)
NEAR = made_of(subscriber=TEXT, tier=TEXT, window=TEXT, share=NUMBER, back_ms=MAYBE_WHOLE)
USE = made_of(
    subscriber=TEXT, tier=TEXT, requests=WHOLE, refused=WHOLE, overloaded=WHOLE, uncached=WHOLE, written=WHOLE,
    read=WHOLE, output=WHOLE,
)  # fmt: skip
REFUSAL = made_of(
    ordinal=WHOLE, now_ms=WHOLE, subscriber=TEXT, tier=TEXT, alias=TEXT, outcome=TEXT, window=MAYBE_TEXT,
    input_tokens=WHOLE,
)  # fmt: skip
FIGURES = {"refused_share": MAYBE_NUMBER, "ttft_p50_ms": MAYBE_NUMBER, "ttft_p99_ms": MAYBE_NUMBER}
BESIDE = made_of(
    same=_or_null(YES_NO),
    tiers=many(made_of(tier=TEXT, forecast=made_of(**FIGURES), measured=made_of(requests=WHOLE, **FIGURES))),
)
AUDIT = made_of(now_ms=WHOLE, who=TEXT, what=TEXT, subject=TEXT)
OBJECT: Schema = {"type": "object"}


def document(version: str, *, open_metrics: bool = True) -> dict[str, Any]:
    """The whole document. open_metrics: whether /metrics asks for no token."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ampacity admin API",
            "version": version,
            "description": "Status, keys, limits, pools of a live service. Times are milliseconds since 1970 UTC.",
        },
        "security": [{"token": []}],
        "paths": _process_paths(open_metrics) | _watching_paths() | _people_paths() | _service_paths(),
        "components": {
            "schemas": {"Error": ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _process_paths(open_metrics: bool) -> dict[str, Any]:
    """Of the process itself: health, metrics, login."""
    return {
        "/healthz": {"get": _plain("healthz", "This process answers.")},
        "/readyz": {"get": _plain("readyz", "The data process takes requests.", unready=True)},
        "/metrics": {"get": _metrics(open_metrics)},
        "/login": {"post": _login()},
        "/logout": {"post": _post("logout", "Forget the cookie.", made_of(status=TEXT), 200, ())},
    }


def _watching_paths() -> dict[str, Any]:
    """What is asked."""
    return {
        "/api/status": {"get": _get("status", "Everything a page shows.", STATUS)},
        "/api/near": {
            "get": _get("near", "Who is nearest to a limit.", many(NEAR), _query("top", WHOLE | _from(1, 1000)))
        },
        "/api/use": {
            "get": _get(
                "use",
                "What each subscriber used in the last hours.",
                many(USE),
                _query("hours", NUMBER | {"exclusiveMinimum": 0, "maximum": 100_000}),
            )
        },
        "/api/forecast": {
            "get": _get(
                "forecast", "A simulation that lies in the state folder, beside what was measured, by tier.", BESIDE
            )
        },
        "/api/limits": {"get": _get("limits", "The windows of every limit, and who has which.", OBJECT)},
        "/api/refusals": {
            "get": _get(
                "refusals",
                "The latest refusals.",
                many(REFUSAL),
                _query("subscriber", NAME),
                _query("most", WHOLE | _from(1, 1000)),
            )
        },
        "/api/explain": {
            "get": _get(
                "explain",
                "Why a request was refused, or how a subscriber or an organization stands.",
                OBJECT,
                _query("who", NAME, required=True),
            )
        },
        "/api/standing": {
            "get": _get("standing", "Windows of a subscriber.", OBJECT, _query("subscriber", NAME, required=True))
        },
        "/api/audit": {
            "get": _get("audit", "What operators did.", many(AUDIT), _query("most", WHOLE | _from(1, 1000)))
        },
    }


def _people_paths() -> dict[str, Any]:
    """Keys, subscribers, organizations."""
    return {
        "/api/keys": {
            "get": _get("keys", "All keys, without their secrets.", many(KEY)),
            "post": _post(
                "make_key",
                "Make a key; it is shown in this answer only.",
                MADE,
                201,
                ("subscriber",),
                subscriber=NAME,
                tier=NAME,
                organization=NAME,
                product={"type": "string", "maxLength": 200},
            ),
        },
        "/api/keys/revoke": {
            "post": _post(
                "revoke_key",
                "Revoke a key by id or beginning, or all of a subscriber.",
                many(KEY),
                200,
                ("key",),
                key=NAME,
            )
        },
        "/api/subscribers": {
            "get": _get("subscribers", "All subscribers.", many(SUBSCRIBER)),
            "post": _post(
                "set_subscriber",
                "Move a subscriber to another tier or organization.",
                SUBSCRIBER,
                200,
                ("name",),
                name=NAME,
                tier=NAME,
                organization={"type": "string", "maxLength": 200},
            ),
        },
        "/api/organizations": {
            "get": _get("organizations", "The limit of each organization.", {"type": "object"}),
            "post": _post(
                "set_organization",
                "Give an organization a limit.",
                made_of(name=TEXT, limit=TEXT),
                200,
                ("name", "limit"),
                name=NAME,
                limit=NAME,
            ),
        },
        "/api/organizations/remove": {
            "post": _post(
                "remove_organization",
                "Let an organization go to which nobody belongs.",
                made_of(name=TEXT),
                200,
                ("name",),
                name=NAME,
            )
        },
    }


def _service_paths() -> dict[str, Any]:
    """What is done to the service: its pools, its terms."""
    return {
        "/api/pool": {
            "post": _post(
                "move_pool",
                "Hold, drain, reopen or reclaim a pool; cut: answers that had begun and end with it.",
                POOL | {"properties": POOL["properties"] | {"cut": WHOLE}},
                200,
                ("pool", "action"),
                pool=NAME,
                action={"enum": list(MOVES)},
                deadline_s=NUMBER | {"minimum": 0, "maximum": DEADLINE_MOST_S},
            )
        },
        "/api/terms": {
            "get": _get("terms", "The terms in force.", OBJECT),
            "post": _post(
                "change_terms", "Go by other terms; streams go on.", made_of(terms=TEXT), 200, ("text",), text=TEXT
            ),
        },
        "/api/versions": {
            "get": _get("versions", "When which terms came into force.", many(made_of(now_ms=WHOLE, terms=TEXT)))
        },
        "/api/reload": {
            "post": _post(
                "reload",
                "Plan the scenario again and go by that.",
                made_of(terms=TEXT),
                200,
                (),
            )
        },
        "/api/checkpoint": {"post": _post("checkpoint", "Write the rows of use.", made_of(durable=WHOLE), 200, ())},
    }


def _from(least: int, most: int) -> Schema:
    return {"minimum": least, "maximum": most}


def _query(name: str, schema: Schema, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _said(words: str, schema: Schema) -> Schema:
    return {"description": words, "content": {"application/json": {"schema": schema}}}


def _errors(*statuses: int) -> dict[str, Schema]:
    words = {
        400: "Not a request that this path takes.",
        401: "No admin token was shown.",
        404: "Who or what was named is not there.",
        409: "It cannot be done so, or as things stand; says why.",
        415: "The body is not JSON.",
        503: "The data process does not answer.",
    }
    return {str(s): _said(words[s], {"$ref": "#/components/schemas/Error"}) for s in statuses}


def _get(name: str, words: str, answer: Schema, *query: Schema) -> Schema:
    responses = {"200": _said(words, answer), **_errors(400, 401, 404, 503)}
    return {"operationId": name, "summary": words, "parameters": list(query), "responses": responses}


def _post(name: str, words: str, answer: Schema, status: int, needs: tuple[str, ...], /, **fields: Schema) -> Schema:
    body = {"type": "object", "properties": fields, "required": list(needs), "additionalProperties": False}
    return {
        "operationId": name,
        "summary": words,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {str(status): _said(words, answer), **_errors(400, 401, 404, 409, 415, 503)},
    }


def _plain(name: str, words: str, unready: bool = False) -> Schema:
    responses: Schema = {"200": _said(words, made_of(status=TEXT))}
    if unready:
        responses["503"] = _said("It does not, or does not answer.", made_of(status=TEXT))
    return {"operationId": name, "summary": words, "security": [], "responses": responses}


def _metrics(is_open: bool) -> Schema:
    words = "Counts for Prometheus; the token is asked for only where this process can be reached from other machines."
    said = {"description": words, "content": {"text/plain": {"schema": TEXT}}}
    found = {"operationId": "metrics", "summary": words, "responses": {"200": said, **_errors(401)}}
    return found | {"security": []} if is_open else found


def _login() -> Schema:
    body = made_of(token=TEXT) | {"additionalProperties": False}
    return {
        "operationId": "login",
        "summary": "Exchange the admin token for a cookie, for a browser.",
        "security": [],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": _said("A cookie is set.", made_of(status=TEXT)), **_errors(400, 401, 415)},
    }
