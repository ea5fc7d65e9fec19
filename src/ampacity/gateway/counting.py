"""A count of tokens: asked of a pool, which knows; estimated where none can say, at the bytes that deciding counts by.

It is no request for a model: no window counts it, and it takes no slot.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from ampacity.gateway.client import Answering, Client
from ampacity.gateway.dialects import Refusal, decode_asked
from ampacity.gateway.refusals import no_model, not_served
from ampacity.gateway.words import passed_on, plain_answer
from ampacity.policy.routing import R_SHARE, REPLICA_FIELDS

if TYPE_CHECKING:
    from ampacity.gateway.keys import Holder
    from ampacity.gateway.pools import Pool
    from ampacity.gateway.request import Request
    from ampacity.gateway.server import Gateway
    from ampacity.gateway.upstream import AnswerHead, Upstream

AT_ONCE = 16  # counts that one pool is asked for; beyond that they are estimated
WAIT_S = 5.0
BODY_MOST = 64 * 1024
NOT_KNOWN_THERE = (404, 405, 501)
ESTIMATED = "x-ampacity-count: estimated\r\n"


def count(gateway: Gateway, client: Client, request: Request, holder: Holder) -> Refusal | None:
    """Have a pool count, or estimate; or why not."""
    try:
        model = decode_asked(request.body).model
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as err:
        return Refusal(400, "invalid_request_error", f"The body is not what this API asks for: {err}")
    if barred := not_served(gateway.terms, holder):
        return barred
    if model not in gateway.aliases:
        return no_model(model, gateway.aliases)
    counting = Counting(gateway, client, request)
    client.exchange = counting
    counting.ask(_pool_of(gateway, gateway.aliases[model]))
    return None


def _pool_of(gateway: Gateway, alias: str) -> Pool | None:
    """A pool that is open and counts, or None."""
    service = gateway.desk.services[alias]
    shares = service.rows[R_SHARE::REPLICA_FIELDS]
    pools = (gateway.pools[terms.name] for terms, share in zip(service.pools, shares, strict=True) if share > 0)
    return next((pool for pool in pools if pool.counts and pool.counting < AT_ONCE), None)


class _Count(msgspec.Struct):
    input_tokens: int


_count = msgspec.json.Decoder(_Count).decode


def _is_count(body: bytes) -> bool:
    """Whether a pool's answer says how many tokens there are."""
    try:
        return _count(body).input_tokens >= 0
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


class Counting(Answering):
    """What answers one such request. It stands where an exchange stands, between a client and a pool's connection."""

    def __init__(self, gateway: Gateway, client: Client, request: Request) -> None:
        self._gateway, self._client, self._request = gateway, client, request
        self._keep = request.head.keep_alive
        self._pool: Pool | None = None
        self._late: asyncio.TimerHandle | None = None
        self._body, self._status = b"", 0
        self.upstream: Upstream | None = None
        self.attempt = 0

    def ask(self, pool: Pool | None) -> None:
        """Ask a pool, if there is one."""
        self._pool = pool
        if pool is None:
            self._estimate()
            return
        pool.counting += 1
        self._late = self._gateway.loop.call_later(WAIT_S, self._estimate)
        pool.connections.ask(self, passed_on(self._request, pool, "anthropic"), False)

    def head(self, head: AnswerHead, length: bytes | None) -> bool:
        """The head of the pool's answer; False if the answer is not wanted."""
        status = self._status = head.status
        if status in NOT_KNOWN_THERE and self._pool is not None:
            self._pool.counts = False
        if status not in (200, 400):
            self._estimate()
            return False
        return True

    def relay(self, raw: bytes, pieces: list[bytes], complete: bool) -> None:
        """Its body; of a whole count the client hears."""
        self._body += b"".join(pieces)
        if complete:
            self.upstream = None
        if len(self._body) > BODY_MOST:
            self._estimate()
        elif complete and (self._status == 400 or _is_count(self._body)):
            self._say(self._status, self._body)
        elif complete:
            self._estimate()

    def broken(self, why: str, answer: int, untouched: bool = False) -> None:
        """The pool did not answer."""
        self.upstream = None
        if untouched and self._pool is not None:
            self._pool.connections.ask(self, passed_on(self._request, self._pool, "anthropic"), True)
        else:
            self._estimate()

    def client_gone(self) -> None:
        """Nobody waits for it."""
        self._end()

    def last_of_connection(self) -> None:
        """Close the connection after this answer."""
        self._keep = False

    def _estimate(self) -> None:
        self._say(200, b'{"input_tokens":%d}' % self._request.tokens, ESTIMATED)

    def _say(self, status: int, body: bytes, own: str = "") -> None:
        self._end()
        if self._client.exchange is self:
            self._client.write(plain_answer(status, body, self._gateway.new_id(), self._keep, own))
            self._client.done(self._keep)

    def _end(self) -> None:
        """Ask nobody any more."""
        self.attempt += 1
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if self._pool is not None:
            self._pool.counting -= 1
            self._pool = None
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.drop()
