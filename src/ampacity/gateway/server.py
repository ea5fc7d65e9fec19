"""The data process: takes connections, finds out who asks for what, and keeps what all exchanges share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from secrets import randbits, token_bytes

import msgspec

from ampacity.gateway.client import Client
from ampacity.gateway.clock import Clock
from ampacity.gateway.contracts import Contracts
from ampacity.gateway.dialects import Api, Refusal, decode_asked
from ampacity.gateway.exchange import FULL, Exchange
from ampacity.gateway.handing import Hands, refuse_taken
from ampacity.gateway.headers import Rates
from ampacity.gateway.keys import Holder, hashed, key_in, read_keys
from ampacity.gateway.leases import Leases
from ampacity.gateway.log import Log
from ampacity.gateway.metrics import Metrics
from ampacity.gateway.plain import ASKING, answer_plain
from ampacity.gateway.pools import Pool, pools_of
from ampacity.gateway.recorder import Recorder
from ampacity.gateway.refusals import Refusals, keep_limits, no_key, no_model, not_served
from ampacity.gateway.request import Head, Malformed, Request
from ampacity.gateway.settings import Settings
from ampacity.gateway.standing import standing_of
from ampacity.gateway.take_up import open_desk, pool_states, write_checkpoint
from ampacity.gateway.turn import Turn
from ampacity.gateway.watch import Watch
from ampacity.gateway.words import refusal
from ampacity.journal.append import Journal
from ampacity.journal.records import ADMITTED, DRAIN, EXPIRED, GONE, HOLD, NO_CAPACITY, QUEUED, SETTLED
from ampacity.journal.ticks import Ticks
from ampacity.policy.leasing import share_of
from ampacity.policy.routing import NOBODY
from ampacity.policy.terms import Terms
from ampacity.policy.ticket import Kind, Ticket

TICK_S = 0.1
LOOKS = 10  # ticks between two looks at connections that are silent
CHECKPOINT_S = 300.0
GATHER_S = 0.02  # what nobody waits for may wait so long for a commit
FOLD_PAGES = 32_768  # 128 MB: where the log is folded within a commit, if the thread beside does not keep up
HELD_S = 10.0  # the end of an answer waits so long for a disk that fails
NOT_RECORDED = Refusal(529, "overloaded_error", "Use cannot be recorded at the moment; try again soon.", 5, True)


@dataclass
class Gateway:
    """What all exchanges share. One thread, one event loop."""

    terms: Terms
    settings: Settings
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.now_s: Callable[[], float] = self.loop.time
        self.clients: set[Client] = set()
        self.exchanges: set[Exchange] = set()
        self.log = Log(self.clock)
        self.metrics = Metrics()
        self.draining = False
        self._salt = token_bytes(16)
        self._id = randbits(48)
        self._asked: dict[tuple[Holder, str], Kind] = {}
        self._ticks_gone = 0
        self._contracts = Contracts()
        self._server: asyncio.Server | None = None
        self._tick: asyncio.TimerHandle | None = None
        self.read_keys()
        self.hands: Hands | None = None
        self.leases: Leases | None = None
        self.terms = share_of(self.terms, self.settings.workers)
        self.pools = pools_of(self.terms, self.loop)
        self.aliases = self.terms.aliases()
        self.journal = Journal(self.settings.journal, self.settings.durability, FOLD_PAGES)
        s = self.settings
        try:
            desk, self.cut_off = open_desk(self.journal, self.terms, self.clock(), s.worker, s.workers)
        except BaseException:
            self.journal.close()
            raise
        self.ticks = Ticks(
            self.journal, self.loop, lambda err: self.log("journal not written", error=str(err)), gather_s=GATHER_S
        )
        self.turn = Turn(self.loop, self.ticks)
        self.recorder = Recorder(desk, self.journal, self.ticks)
        self._as_they_were()
        if s.workers > 1:
            if s.leases is None:
                self.journal.close()
                raise OSError("processes that share a port need a file `leases` by which they share the slots of pools")
            self.leases = Leases(s.leases, s.worker, s.workers)
            self.leases.first(self.recorder, self.clock())
        self.desk = desk
        self.refusals, self.rates = Refusals(desk, self.metrics), Rates(desk)
        self._watch = Watch(desk, self.log)
        self._checkpoint_s = self.now_s()

    def _as_they_were(self) -> None:
        """Pools that were held, drained or gone when the last process ended are so again."""
        now_ms = self.clock()
        for pool, (what, detail, said_ms) in pool_states(self.settings.journal).items():
            self._contracts.heard(self.terms.events, pool, said_ms)
            if pool in self.pools and what == HOLD:
                self.recorder.hold_pool(pool, now_ms)
            elif pool in self.pools and what in (DRAIN, GONE):
                self.recorder.drain_pool(pool, int(detail or 0), now_ms)

    # starting and ending

    async def listen(self) -> int:
        """Take connections from now on; gives the port."""
        s = self.settings
        if s.workers > 1:
            if self.leases is not None and self.leases.alone():
                refuse_taken(s.host, s.port)
            self.hands = Hands(self, s.worker, s.workers, s.peers)
        self._server = await self.loop.create_server(
            lambda: Client(self), s.host, s.port, backlog=4096, reuse_address=True, reuse_port=s.workers > 1
        )
        self._tick = self.loop.call_later(TICK_S, self._on_tick)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def drain(self, most_s: float) -> None:
        """Take nothing new, let answers end for so long, and stop."""
        self.draining = True
        self.log("stopping", in_flight=len(self.exchanges))
        if self._server is not None:
            self._server.close()
        if self.hands is not None:
            self.hands.close()
        for client in list(self.clients):
            if client.idle:
                client.close()
        until_s = self.now_s() + most_s
        while self.exchanges and self.now_s() < until_s:
            await asyncio.sleep(0.02)
        for exchange in list(self.exchanges):
            exchange.cut("the gateway stops")
        if self._tick is not None:
            self._tick.cancel()
        if self.leases is not None:
            self.leases.close()
        self.checkpoint()
        await self.ticks.on_disk()
        await self.ticks.folded()
        for client in list(self.clients):
            client.close()
        for pool in self.pools.values():
            pool.connections.close()
        self.journal.close()

    def checkpoint(self) -> None:
        """Write the rows that changed, so that the next start is quick."""
        write_checkpoint(self.journal, self.desk, self.recorder.under_way, self.clock())
        self._checkpoint_s = self.now_s()
        self.ticks.touch()

    def read_keys(self) -> None:
        """Know the keys as they are now."""
        self._holders = read_keys(self.settings.keys)
        self._asked.clear()

    def change(self, terms: Terms) -> None:
        """Go by other terms from now on; streams go on. Raises TermsError or LimitError, and nothing changes."""
        terms = share_of(terms, self.settings.workers)
        keep_limits(terms, self._holders.values())
        pools = pools_of(terms, self.loop)
        self.turn.settle()
        before = self.pools
        self.pools = before | {n: p for n, p in pools.items() if n not in before or not p.reached_as(before[n])}
        try:
            self.recorder.change(terms, self.clock())  # who waits may be placed by it, in a new pool
        except BaseException:
            self.pools = before
            raise
        self.terms = terms
        if self.leases is not None:
            self.leases.renew(self.recorder, self.clock())
        self.aliases = terms.aliases()
        self.rates.forget()
        self._asked.clear()
        self.log("terms in force", terms.name)

    def _contract_events(self) -> None:
        for pool, gone_ms in self._contracts.due(self.terms.events, self.clock()):
            if gone_ms:
                self.drain_pool(pool, gone_ms)
            else:
                self.reopen(pool)

    def hold(self, pool: str) -> bool:
        """A pool takes nothing new; False if it did not before. Raises KeyError."""
        self.turn.settle()
        return self._moved("hold", pool, self.recorder.hold_pool(pool, self.clock()))

    def drain_pool(self, pool: str, deadline_ms: int) -> bool:
        """A pool takes nothing new and is gone by a deadline, at the earliest now. Raises KeyError."""
        self.turn.settle()
        now_ms = self.clock()
        what = "drain" if deadline_ms > now_ms else "reclaim"
        changed = self.recorder.drain_pool(pool, deadline_ms, now_ms)
        self._moved(what, pool, changed, deadline_ms=deadline_ms)
        self._due()
        return changed

    def _due(self) -> None:
        """What the passing of time decides; pools that are gone are told of, and how many answers went with them."""
        cut = self.metrics.cut_short
        for pool in self.recorder.due(self.clock()):
            self.log("gone", pool, cut=self.metrics.cut_short - cut)
            cut = self.metrics.cut_short

    def reopen(self, pool: str) -> bool:
        """A pool takes requests again; False if it cannot. Raises KeyError."""
        self.turn.settle()
        return self._moved("reopen", pool, self.recorder.reopen_pool(pool, self.clock()))

    def _moved(self, what: str, pool: str, changed: bool, **more: int) -> bool:
        if changed:
            self.log(what, pool, **more)
        return changed

    def _on_tick(self) -> None:
        self._tick = self.loop.call_later(TICK_S, self._on_tick)
        self.clock.follow()
        self.turn.settle()
        self._due()
        if self.leases is not None:
            self.leases.renew(self.recorder, self.clock())
        if self.ticks.error is not None and self.now_s() - self.ticks.failing_since_s > HELD_S:
            self.ticks.let_go()
        self._contract_events()
        self._ticks_gone += 1
        if self._ticks_gone % LOOKS == 0:
            now_s, now_ms = self.now_s(), self.clock()
            self.ticks.fold()
            self._watch.look()
            self.log.due()
            for client in list(self.clients):
                client.look_at_clock(now_s)
            for exchange in list(self.exchanges):
                exchange.look_at_clock(now_s, self.settings.first_byte_s, self.settings.silence_s)
            for ticket in [t for t in self.recorder.under_way.values() if t.expires_ms <= now_ms]:
                self.recorder.ended(ticket, now_ms, EXPIRED)
            if now_s - self._checkpoint_s > CHECKPOINT_S and self.ticks.error is None:
                self.checkpoint()

    # answering

    def answer(self, client: Client, request: Request) -> None:
        """Answer a request that has come whole."""
        head = request.head
        api = ASKING.get(head.path)
        if api is None or head.method != b"POST":
            answer_plain(self, client, request)
            return
        exchange = Exchange(self, client, request, api)
        client.exchange = exchange
        holder = head.holder if head.by_keys is self._holders else self.holder(head)
        if holder is None:
            self.metrics.unauthenticated += 1
            exchange.refuse(no_key(head.headers))
            return
        if self.hands is not None and self.hands.give(client, request, holder):
            return
        if self.ticks.error is not None or self.draining:
            exchange.refuse(NOT_RECORDED)
            return
        try:
            asked = decode_asked(request.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as err:
            self.metrics.malformed += 1
            exchange.refuse(Refusal(400, "invalid_request_error", f"The body is not what this API asks for: {err}"))
            return
        kind = self._asked.get((holder, asked.model))
        if kind is None:
            try:
                kind = self.desk.kind(holder.tier, self.aliases[asked.model], holder.product, holder.organization_limit)
            except KeyError:
                exchange.refuse(not_served(self.terms, holder) or no_model(asked.model, self.aliases))
                return
            self._asked[holder, asked.model] = kind
        exchange.begin(holder, kind, asked, self._session(head, asked.conversation))

    def holder(self, head: Head) -> Holder | None:
        """Whose key a head shows; None if it is not known."""
        head.holder, head.by_keys = self._shown(head.headers), self._holders
        return head.holder

    def knows(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether these headers show a key that is known."""
        return self._shown(headers) is not None

    def _shown(self, headers: list[tuple[bytes, bytes]]) -> Holder | None:
        key = key_in(headers)
        return None if key is None else self._holders.get(hashed(key))

    def _session(self, head: Head, conversation: str | None) -> int:
        """A whole number that stands for the session; 0 if the client names none."""
        if head.session is None:
            told = head.first(b"x-claude-code-session-id")
            head.session = 0 if told is None else self._number(told)
        return head.session or (self._number(conversation.encode()) if conversation else 0)

    def _number(self, told: bytes) -> int:
        return int.from_bytes(blake2b(told, digest_size=8, key=self._salt).digest(), "big") >> 2

    def answer_malformed(self, client: Client, why: Malformed) -> None:
        """Answer what cannot be read; the connection closes."""
        self.metrics.malformed += 1
        self.log("not readable", str(why.status), why=why.message)
        kinds = {401: "authentication_error", 413: "request_too_large", 500: "api_error"}
        kind = kinds.get(why.status, "invalid_request_error")
        api: Api = "openai" if client.asked_openai else "anthropic"
        client.write(refusal(api, Refusal(why.status, kind, why.message), self.new_id(), b"", True))

    def new_id(self) -> str:
        """A name for a request, its own within this process and hardly another's."""
        self._id += 1
        return f"req_{self._id:014x}"

    # what exchanges ask

    @property
    def ready(self) -> bool:
        """Whether requests are taken: it does not end, the journal can be written, a pool is open."""
        opened = any(service.opened for service in self.desk.services.values())
        return opened and not self.draining and self.ticks.error is None

    def pool(self, ticket: Ticket) -> Pool:
        """The pool that has a request."""
        return self.pools[self.recorder.pool_of(ticket)]

    def standing(self, holder: Holder) -> dict[str, object]:
        """How somebody's windows stand now."""
        return standing_of(self.desk, holder, self.clock(), self.recorder.last.get(holder.subscriber))

    def failed(self, ticket: Ticket, now_ms: int, answer: int, wait_ms: int) -> int:
        """A pool has failed a request, or has no room: ADMITTED elsewhere, QUEUED, or NO_CAPACITY."""
        self.turn.settle()
        pool = self.recorder.pool_of(ticket)
        if answer in FULL:
            self.log("pool full", pool, answer=answer, wait_ms=wait_ms)
        else:
            self.metrics.of(ticket.kind).pool_failures += 1
            self.log("pool failed", pool, answer=answer)
        return self.recorder.failed(ticket, now_ms, answer, wait_ms)

    def queued(self, ticket: Ticket) -> None:
        """It has to wait."""
        self.metrics.of(ticket.kind).outcomes[QUEUED] += 1

    def answered(self, ticket: Ticket) -> None:
        """Its first byte has come."""
        self.metrics.of(ticket.kind).outcomes[ADMITTED] += 1

    def settled(
        self, ticket: Ticket, status: int, tokens: tuple[int, int, int, int], first_ms: int, answer: int
    ) -> None:
        """A request has ended."""
        now_ms = self.clock()
        streamed = isinstance(ticket.owner, Exchange) and ticket.owner.streamed  # it has no owner once it has ended
        if streamed and status == SETTLED and tokens[3] > 1:
            self.pool(ticket).streamed(max(now_ms - ticket.now_ms - first_ms, 0) / 1000, tokens[3] - 1)
        if self.recorder.ended(ticket, now_ms, status, *tokens, first_ms, answer):
            self.metrics.ended(ticket, now_ms, status, tokens, first_ms, streamed)

    def refused(self, kind: Kind | None, status: int) -> None:
        """An error was answered."""
        if kind is not None:
            statuses = self.metrics.of(kind).statuses
            statuses[status] = statuses.get(status, 0) + 1
            if status in (502, 503, 529):  # as the journal counts them: no pool took it, or those that did failed
                self.metrics.of(kind).outcomes[NO_CAPACITY] += 1

    def cut_short(self, ticket: Ticket) -> None:
        """A pool broke off in an answer."""
        self.metrics.cut_short += 1
        if not ticket.over:
            self.log("answer broken off", self.recorder.pool_of(ticket))

    def left(self, ticket: Ticket, answered: bool) -> None:
        """A client went before its answer was whole; perhaps before its first byte, which counts what was admitted."""
        self.metrics.left += 1
        if not answered and ticket.pool != NOBODY:
            self.answered(ticket)
