"""The admin process: an operator's questions and commands over HTTP, for who shows the admin token.

The token is in the state folder; it goes as `Authorization: Bearer`, or as a cookie after `/login`. Open to anybody are
`/healthz`, `/readyz`, `/openapi.json` and, while the process listens on the loopback address, `/metrics`. At `/` is a
live page, which shows nothing before somebody has logged in.
"""

from __future__ import annotations

import hmac
import json
import os
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from ampacity.console.ask import NotDone, NotKnown, NotServing
from ampacity.console.exposition import CONTENT_TYPE, exposition
from ampacity.console.folder import Folder, read_json
from ampacity.console.keys import KeyMistake, NotThere
from ampacity.console.live_page import live_page
from ampacity.console.openapi import DEADLINE_MOST_S, document
from ampacity.console.operator import Operator
from ampacity.console.planned import NotPlanned
from ampacity.policy.rows import LimitError
from ampacity.policy.terms import TermsError
from ampacity.scenario.mistakes import Mistakes

COOKIE = "ampacity-admin"
BODY_MOST = 64 << 20
COOKIE_S = 30 * 86_400
LOOK_S = 1.0
NOT_KEPT = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
LOOPBACK = ("127.", "::1", "localhost")
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Short = Annotated[str, msgspec.Meta(max_length=200)]
Top = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Answer = Callable[[Request], Awaitable[Response]]
Form = TypeVar("Form", bound=msgspec.Struct)


class Taken(msgspec.Struct, forbid_unknown_fields=True):
    """What a path takes."""


class Nothing(Taken):
    """No field."""


class HowMany(Taken):
    """The most that are wanted."""

    top: Top = 20


class AuditAsked(Taken):
    """The most rows that are wanted."""

    most: Top = 100


class UseAsked(Taken):
    """Of how many hours."""

    hours: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 24.0


class RefusalsAsked(Taken):
    """Whose, and the most that are wanted."""

    subscriber: Name | None = None
    most: Top = 20


class Who(Taken):
    """A subscriber, or the id of a request."""

    who: Name


class Whose(Taken):
    """A subscriber."""

    subscriber: Name


class NewKey(Taken):
    """A key to be made."""

    subscriber: Name
    tier: Name | msgspec.UnsetType = msgspec.UNSET
    organization: Name | msgspec.UnsetType = msgspec.UNSET
    product: Short = ""


class OldKey(Taken):
    """A key to be revoked."""

    key: Name


class Moved(Taken):
    """A subscriber to be moved."""

    name: Name
    tier: Name | msgspec.UnsetType = msgspec.UNSET
    organization: Short | msgspec.UnsetType = msgspec.UNSET


class Gone(Taken):
    """An organization to be removed."""

    name: Name


class Limited(Taken):
    """An organization and its limit."""

    name: Name
    limit: Name


class PoolMove(Taken):
    """What is to happen to a pool, and within how many seconds."""

    pool: Name
    action: Literal["hold", "drain", "reopen", "reclaim"]
    deadline_s: Annotated[float, msgspec.Meta(ge=0, le=DEADLINE_MOST_S)] | msgspec.UnsetType = msgspec.UNSET


class NewTerms(Taken):
    """Terms as text."""

    text: str


class Token(Taken):
    """The admin token."""

    token: str


class Admin:
    """The application. token: what must be shown. open_metrics: whether /metrics asks for it."""

    def __init__(self, operator: Operator, token: str, *, open_metrics: bool) -> None:
        self.operator, self._token, self._open_metrics = operator, token.encode(), open_metrics
        # Cookies know no ports, so whatever else answers on this host is sent ours too: it tells nobody the token, and
        # two services do not take each other's.
        self._session = hmac.new(self._token, b"session", "sha256").hexdigest()
        self._cookie = f"{COOKIE}-{hmac.new(self._token, b'name', 'sha256').hexdigest()[:12]}"

    def app(self) -> Starlette:
        """The paths."""
        o = self.operator
        routes = [
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
            Route("/openapi.json", self._document),
            Route("/", self._page),
            Route("/login", self._login, methods=["POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            self._path("GET", "/api/status", Nothing, lambda _: o.status()),
            self._path("GET", "/api/near", HowMany, lambda a: o.near(a.top)),
            self._path("GET", "/api/use", UseAsked, lambda a: o.use(a.hours)),
            self._path("GET", "/api/forecast", Nothing, lambda _: o.forecast()),
            self._path("GET", "/api/limits", Nothing, lambda _: o.limits()),
            self._path("GET", "/api/refusals", RefusalsAsked, lambda a: o.refusals(a.subscriber, a.most)),
            self._path("GET", "/api/explain", Who, lambda a: o.explain(a.who)),
            self._path("GET", "/api/standing", Whose, lambda a: o.standing(a.subscriber)),
            self._path("GET", "/api/audit", AuditAsked, lambda a: o.audit(a.most)),
            self._paths(
                "/api/keys",
                (Nothing, lambda _: o.keys()),
                (NewKey, lambda a: o.make_key(a.subscriber, _or_none(a.tier), _or_none(a.organization), a.product)),
                201,
            ),
            self._path("POST", "/api/keys/revoke", OldKey, lambda a: o.revoke(a.key)),
            self._paths(
                "/api/subscribers",
                (Nothing, lambda _: o.subscribers()),
                (Moved, lambda a: o.set_subscriber(a.name, _or_none(a.tier), _or_none(a.organization))),
            ),
            self._paths(
                "/api/organizations",
                (Nothing, lambda _: o.limits()["organizations"]),
                (Limited, lambda a: o.set_organization(a.name, a.limit)),
            ),
            self._path("POST", "/api/organizations/remove", Gone, lambda a: o.remove_organization(a.name)),
            self._path("POST", "/api/pool", PoolMove, lambda a: o.move(a.action, a.pool, _or_none(a.deadline_s))),
            self._paths(
                "/api/terms",
                (Nothing, lambda _: msgspec.to_builtins(o.terms)),
                (NewTerms, lambda a: o.change_terms(a.text)),
            ),
            self._path("GET", "/api/versions", Nothing, lambda _: o.versions()),
            self._path("POST", "/api/reload", Nothing, lambda _: o.reload()),
            self._path("POST", "/api/checkpoint", Nothing, lambda _: o.checkpoint()),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _no_path})

    # who may ask

    def _may(self, request: Request) -> bool:
        shown = request.headers.get("authorization", "")
        if shown[:7].lower() == "bearer ":
            return hmac.compare_digest(shown[7:].strip().encode("utf-8", "replace"), self._token)
        kept = request.cookies.get(self._cookie, "")
        return hmac.compare_digest(kept.encode("utf-8", "replace"), self._session.encode())

    async def _login(self, request: Request) -> Response:
        form = await _body(request, Token)
        if isinstance(form, Response):
            return form
        if not hmac.compare_digest(form.token.strip().encode("utf-8", "replace"), self._token):
            return _not_known()
        answer = JSONResponse({"status": "ok"}, headers=NOT_KEPT)
        secure = request.url.scheme == "https"
        answer.set_cookie(self._cookie, self._session, COOKIE_S, httponly=True, samesite="strict", secure=secure)
        return answer

    async def _logout(self, request: Request) -> Response:
        form = await _body(request, Nothing) if self._may(request) else _not_known()
        if isinstance(form, Response):
            return form
        answer = JSONResponse({"status": "ok"}, headers=NOT_KEPT)
        answer.delete_cookie(self._cookie)
        return answer

    # paths

    async def _page(self, request: Request) -> Response:
        page, headers = live_page(self._may(request))
        return HTMLResponse(page, headers={**headers, **NOT_KEPT})

    def _path(self, method: str, path: str, form: type[Any], do: Callable[[Any], Any], status: int = 200) -> Route:
        return Route(path, partial(self._answer, form, do, status), methods=[method])

    def _paths(
        self,
        path: str,
        get: tuple[type[Any], Callable[[Any], Any]],
        post: tuple[type[Any], Callable[[Any], Any]],
        made: int = 200,
    ) -> Route:
        """One path that is asked in two ways."""

        async def either(request: Request) -> Response:
            if request.method == "POST":
                return await self._answer(*post, made, request)
            return await self._answer(*get, 200, request)

        return Route(path, either, methods=["GET", "POST"])

    async def _answer(self, form: type[Any], do: Callable[[Any], Any], status: int, request: Request) -> Response:
        """Do what is asked, for who may ask."""
        if not self._may(request):
            return _not_known()
        given = await _body(request, form) if request.method == "POST" else _query(request, form)
        if isinstance(given, Response):
            return given
        try:
            return JSONResponse(await run_in_threadpool(do, given), status, headers=NOT_KEPT)
        except (NotThere, NotKnown) as err:
            return _error(404, str(err))
        except (KeyMistake, TermsError, LimitError, NotPlanned, Mistakes, NotDone) as err:
            return _error(409, str(err))
        except NotServing as err:
            return _error(503, str(err.strerror))
        except (OSError, sqlite3.Error) as err:
            return _error(503, str(err))

    async def _healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=NOT_KEPT)

    async def _readyz(self, request: Request) -> Response:
        try:
            ready = bool((await run_in_threadpool(self.operator.status))["ready"])
        except (NotServing, NotDone):
            ready = False
        return JSONResponse({"status": "ready" if ready else "not ready"}, 200 if ready else 503, headers=NOT_KEPT)

    async def _metrics(self, request: Request) -> Response:
        if not self._open_metrics and not self._may(request):
            return _not_known()
        try:
            statuses: list[dict[str, Any] | None] = await run_in_threadpool(self.operator.statuses)
        except (NotServing, NotDone):
            statuses = [None] * self.operator.folder.workers
        return Response(exposition(statuses), headers={"content-type": CONTENT_TYPE, **NOT_KEPT})

    async def _document(self, request: Request) -> Response:
        return JSONResponse(document(version("ampacity"), open_metrics=self._open_metrics), headers=NOT_KEPT)


def _or_none(given: Any) -> Any:
    return None if given is msgspec.UNSET else given


def _error(status: int, words: str) -> Response:
    return JSONResponse({"error": words}, status, headers=NOT_KEPT)


async def _no_path(_: Request, err: Exception) -> Response:
    assert isinstance(err, HTTPException)
    nowhere = "there is nothing at this path; /openapi.json names what there is"
    words = nowhere if err.status_code == 404 else err.detail
    return JSONResponse({"error": words}, err.status_code, headers={**(err.headers or {}), **NOT_KEPT})


def _not_known() -> Response:
    words = "Show the admin token, which is in the state folder, as Authorization: Bearer TOKEN."
    return JSONResponse({"error": words}, 401, headers={"www-authenticate": "Bearer", **NOT_KEPT})


def _query(request: Request, form: type[Form]) -> Form | Response:
    names = [name for name, _ in request.query_params.multi_items()]
    if len(names) != len(set(names)):
        return _error(400, "each name may stand once in the query")
    try:
        return msgspec.convert(dict(request.query_params), form, strict=False)
    except msgspec.ValidationError as err:
        return _error(400, str(err))


async def _body(request: Request, form: type[Form]) -> Form | Response:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        return _error(415, "the body is to be JSON: Content-Type: application/json")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_MOST:
            return _error(400, f"the body is longer than {BODY_MOST} bytes")
    try:
        return msgspec.json.decode(bytes(body), type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as err:
        return _error(400, f"the body is not what this path takes: {err}")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    return host.startswith(LOOPBACK)


def main() -> None:
    """Serve the folder named on the command line until told to end, or until the parent has died."""
    import uvicorn

    folder = Folder(Path(sys.argv[1]))
    settings = read_json(folder.admin)
    host, port, parent = settings["host"], int(settings["port"]), int(settings.get("parent", 0))
    application = Admin(Operator(folder, "admin API"), folder.read_token(), open_metrics=is_loopback(host)).app()
    listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    config = uvicorn.Config(application, log_level="warning", access_log=False, lifespan="off", server_header=False)
    server = uvicorn.Server(config)
    if parent:
        threading.Thread(target=_end_with, args=(server, parent), daemon=True).start()
    print(json.dumps({"port": listening.getsockname()[1]}), flush=True)
    server.run(sockets=[listening])


def _end_with(server: Any, parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    server.should_exit = True


if __name__ == "__main__":
    main()
