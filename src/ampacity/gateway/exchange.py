"""One request from its last byte in to its last byte out: decided on, sent to a pool, its answer passed on, settled.

The end of an answer is held until what it cost is on disk. Until its first byte a request can still be sent elsewhere;
so an answer's head waits for the first byte of its body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampacity.gateway.client import Answering, Client
from ampacity.gateway.dialects import Api, Asked, Refusal, error_event, status_in
from ampacity.gateway.keys import Holder
from ampacity.gateway.request import Request
from ampacity.gateway.upstream import AnswerHead, Upstream
from ampacity.gateway.usage import Ending, Usage
from ampacity.gateway.words import (
    OVERLOADED,
    broken_off,
    headed,
    out_of_reach,
    passed_on,
    refusal,
    unanswered,
    wait_asked_ms,
)
from ampacity.journal.records import ABORTED, ADMITTED, NOT_KNOWN, QUEUED, RELEASED, SETTLED
from ampacity.policy.health import CUT_OFF, GIVEN_UP, TIMED_OUT
from ampacity.policy.ticket import Kind, Ticket

if TYPE_CHECKING:
    from ampacity.gateway.server import Gateway

ANSWER_MOST = 8 << 20  # bytes of a JSON answer that are looked into for its usage
FULL = (429, 503, 529)  # a pool says that it has no room
NOT_OURS = (401, 407)  # of this gateway's own key, of which the client knows nothing


class Exchange(Answering):
    """What answers one request that asks a model."""

    __slots__ = (
        "_answer",
        "_answered",
        "_asked_s",
        "_begun_ms",
        "_client",
        "_early",
        "_ending",
        "_gateway",
        "_head",
        "_held",
        "_kind",
        "_last",
        "_length",
        "_parts",
        "_rechunk",
        "_request",
        "_size",
        "_sized",
        "_status",
        "_stream",
        "_unchunk",
        "_unseen_most",
        "_whole",
        "api",
        "attempt",
        "heard_s",
        "id",
        "ticket",
        "upstream",
        "usage",
    )

    def __init__(self, gateway: Gateway, client: Client, request: Request, api: Api) -> None:
        self._gateway, self._client, self._request, self.api = gateway, client, request, api
        self.id = gateway.new_id()
        self.ticket: Ticket | None = None
        self.upstream: Upstream | None = None
        self.usage = Usage()
        self.attempt = 0
        self.heard_s = self._asked_s = 0.0
        self._status = 0
        self._head: bytes | None = None
        self._early = b""  # of the answer's framing, before its first byte
        self._parts: list[bytes] = []
        self._size = 0
        self._begun_ms = NOT_KNOWN
        self._last = not request.head.keep_alive
        self._stream = self._sized = self._rechunk = self._unchunk = self._answer = self._held = False
        self._ending: Ending | None = None  # of a stream that ends with its connection
        self._whole: bytes | None = None  # the end of an answer that has come, until it may be seen

    # from the client to a pool

    def begin(self, holder: Holder, kind: Kind, asked: Asked, session: int) -> None:
        """Decide on the request, and do what was decided."""
        self._client.exchange = self
        self._gateway.exchanges.add(self)
        self._kind = kind
        self._unseen_most = 0 if asked.stream else asked.output_most
        now_ms = self._gateway.clock()
        recorder = self._gateway.recorder
        ticket = recorder.arrive(kind, holder, session, self._request.tokens, asked.output_most, now_ms, self)
        self.ticket = ticket
        if ticket.outcome == ADMITTED:
            self.placed()
        elif ticket.outcome == QUEUED:
            self._gateway.queued(ticket)
        else:
            self.refuse(self._gateway.refusals.why(ticket, now_ms))

    def placed(self, anew: bool = False) -> None:
        """A pool has room: send it there. anew: over a new connection."""
        ticket = self.ticket
        assert ticket is not None
        self.attempt += 1
        self.heard_s = self._asked_s = self._gateway.now_s()
        pool = self._gateway.pool(ticket)
        pool.connections.ask(self, passed_on(self._request, pool, self.api), anew)

    def put_back(self) -> None:
        """Another takes its place before its first byte: it waits again."""
        self._abandon()

    def turned_away(self) -> None:
        """No pool took it in time."""
        self._abandon()
        self.refuse(OVERLOADED)

    def _abandon(self) -> None:
        """Take back what was sent."""
        self.attempt += 1
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.drop()
        self._head, self._early = None, b""

    # from the pool to the client

    def head(self, head: AnswerHead, length: bytes | None) -> bool:
        """The head of an answer has come; False if it is not wanted and the request went elsewhere."""
        self.heard_s = self._gateway.now_s()
        ticket = self.ticket
        assert ticket is not None
        status = head.status
        if (status >= 500 or status in FULL or status in NOT_OURS) and self._elsewhere(ticket, status, head.headers):
            return False
        self._status, self._answered, self._length = status, head, length
        self._stream, self._sized = head.stream, head.sized
        if not (head.chunked or head.sized):
            self._ending = Ending() if head.stream else None
            self._rechunk = not self._request.head.http_1_0
        self._unchunk = self._request.head.http_1_0
        self._head = b""
        return True

    def _elsewhere(self, ticket: Ticket, status: int, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether a request whose pool has no room, or fails, was sent to another, waits, or was refused."""
        if ticket.over:
            return False
        self._abandon()
        why = OVERLOADED if status in FULL else out_of_reach(f"it answered {status}")
        self._failed(ticket, status, why, wait_asked_ms(headers))
        return True

    def _failed(self, ticket: Ticket, answer: int, why: Refusal, wait_ms: int = 0) -> None:
        """The pool failed it before its first byte: on to another, or wait, or give up."""
        outcome = self._gateway.failed(ticket, self._gateway.clock(), answer, wait_ms)
        if outcome == ADMITTED:
            self.placed()
        elif outcome != QUEUED:
            self.refuse(why)

    def relay(self, raw: bytes, pieces: list[bytes], complete: bool) -> None:
        """Bytes of the answer's body, as they came and without their framing; and whether it is complete."""
        if self._ending is not None:
            for piece in pieces:
                self._ending.look(piece)
            if complete and not self._ending.said:
                self.broken("it closed the connection", CUT_OFF)
                return
        if self._head == b"":
            raw = self._early + raw
            if not complete:
                if not pieces:
                    self._early = raw
                    return
                self._begin(complete)
                self._make_head()
        self.heard_s = self._gateway.now_s()
        usage = self.usage
        if self._stream:
            for piece in pieces:
                usage.stream(piece)
        else:
            for piece in pieces:
                self._size += len(piece)
                if self._size <= ANSWER_MOST:
                    self._parts.append(piece)
        if self._rechunk:
            raw = b"".join([b"%x\r\n%b\r\n" % (len(p), p) for p in pieces]) + (b"0\r\n\r\n" if complete else b"")
        elif self._unchunk:
            raw = b"".join(pieces)
        if complete:
            self.upstream = None
            self._whole = raw
            self._gateway.turn.ended(self)
            return
        if self._head:
            raw, self._head = self._head + raw, None
        if raw:
            self._client.write(raw)

    def settle(self) -> None:
        """The answer has come whole: put what it cost in the place of what was reserved."""
        unheaded = self._head == b""
        if unheaded:
            self._begin(True)
        self._settle(SETTLED, self._status)
        if unheaded:  # its windows stand as it left them
            self._make_head()

    def _begin(self, complete: bool) -> None:
        """The answer begins: from now on it is this client's. If it is complete too, its end says all."""
        gateway, ticket = self._gateway, self.ticket
        assert ticket is not None
        self._answer = True
        if not ticket.over:
            now_ms = gateway.clock()
            self._begun_ms = now_ms - ticket.now_ms
            if not complete:
                gateway.recorder.begun(ticket, now_ms)
            gateway.answered(ticket)

    def _make_head(self) -> None:
        gateway, ticket = self._gateway, self.ticket
        assert ticket is not None
        own = gateway.rates.lines(ticket, self.api, gateway.clock())
        args = self._answered, self._length, self.id, own, self._last, self._rechunk, self._unchunk
        self._head = headed(*args)

    def _settle(self, status: int, answer: int) -> None:
        """Put what it cost in the place of what was reserved. answer: what that says of the pool."""
        ticket, usage = self.ticket, self.usage
        if ticket is None or ticket.over:
            return
        if status != RELEASED and 200 <= self._status < 300:
            if not self._stream and self._size <= ANSWER_MOST:
                usage.whole(b"".join(self._parts))
            if not usage.told:
                usage.uncached = ticket.uncached
            tokens = usage.uncached, usage.written, usage.read, usage.output_in_all
        else:
            status, tokens = RELEASED, (0, 0, 0, 0)
        self._gateway.settled(ticket, status, tokens, self._begun_ms, answer)

    def deliver(self) -> None:
        """What it cost is on disk: the client may see the end."""
        self._gateway.exchanges.discard(self)
        if self._client.exchange is self and self._whole is not None:
            if self._head == b"":  # a mistake of ours kept its head from being made
                self._client.cut()
                return
            self._client.write(self._head + self._whole if self._head else self._whole)
            self._client.done(not self._last)

    # what goes wrong

    def refuse(self, why: Refusal) -> None:
        """Answer with an error in the API's shape."""
        self._gateway.exchanges.discard(self)
        if self._client.exchange is not self:
            return
        ticket, own = self.ticket, b""
        if ticket is not None:
            own = self._gateway.rates.lines(ticket, self.api, self._gateway.clock())
            self._gateway.refusals.remember(self.id, ticket.number, why.message)
        status = status_in(self.api, why)
        self._gateway.refused(self._kind if ticket else None, status)
        self._client.write(refusal(self.api, why, self.id, own, self._last))
        self._client.done(not self._last)

    def broken(self, why: str, answer: int, untouched: bool = False) -> None:
        """The pool did not answer, or not to the end. answer: how, a code of `policy.health`.

        untouched: an old connection was closed before it was used.
        """
        place = self._place()
        self.upstream = None
        ticket = self.ticket
        if ticket is None:
            return
        if untouched and not ticket.over:
            self.placed(anew=True)
            return
        if not self._answer:
            if ticket.over:
                self.refuse(out_of_reach(why))
                return
            self._abandon()
            self._failed(ticket, answer, out_of_reach(why))
            return
        self._gateway.cut_short(ticket)
        self._settle(ABORTED, answer)
        self._gateway.ticks.after(lambda: self._cut(why, place))

    def cut(self, why: str, answer: int = GIVEN_UP) -> None:
        """End an answer in its midst: its pool goes."""
        place = self._place()
        self._abandon()
        if not self._answer:
            ticket = self.ticket
            if ticket is not None and not ticket.over:
                self._settle(RELEASED, answer)
            self.refuse(unanswered(why))
            return
        if self.ticket is not None:
            self._gateway.cut_short(self.ticket)
        self._settle(ABORTED, answer)
        self._gateway.ticks.after(lambda: self._cut(why, place))

    def _place(self) -> bool:
        """Whether an event of ours could stand where the answer is now: between two lines, and between two chunks."""
        if not self._stream or self._sized or not self.usage.between_lines:
            return False
        return self._rechunk or self._unchunk or self.upstream is None or self.upstream.between_chunks

    def _cut(self, why: str, place: bool) -> None:
        """Say in the stream what happened, where there is a place for it, and close: the answer is not whole."""
        self._gateway.exchanges.discard(self)
        if self._client.exchange is not self:
            return
        if self._unchunk and not self._sized and not place:
            self._client.cut()  # to close is how such an answer ends when it is whole
            return
        if place:
            event = b"\n" + error_event(self.api, broken_off(why), self.id)  # ends the event before, if need be
            if not self._unchunk:
                event = b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event)
            self._client.write(event)
        self._client.done(keep_alive=False)

    def client_gone(self) -> None:
        """Nobody waits for the answer: take it back, and charge what has come, or what was computed until then."""
        if self._whole is not None:
            return  # it is settled as it came
        self._gateway.exchanges.discard(self)
        ticket = self.ticket
        computed = output = 0
        if ticket is not None and not ticket.over and not self._answer and self.upstream is not None:
            since_s = self._gateway.now_s() - self._asked_s
            computed, output = self._gateway.pool(ticket).computed(since_s, ticket.uncached, self._unseen_most)
        self._abandon()
        if ticket is None or ticket.over:
            return
        self._gateway.left(ticket, self._answer)
        if computed:
            self._gateway.settled(ticket, ABORTED, (computed, 0, 0, output), NOT_KNOWN, GIVEN_UP)
        else:
            self._settle(ABORTED if self._answer else RELEASED, GIVEN_UP)

    def hold_up(self, paused: bool) -> None:
        """The client reads slower than the answer comes, or has caught up."""
        self._held = paused
        self.heard_s = self._gateway.now_s()
        if self.upstream is not None:
            self.upstream.hold_up(paused)

    @property
    def streamed(self) -> bool:
        """Whether the answer comes token by token."""
        return self._stream

    def last_of_connection(self) -> None:
        """Close the connection after this answer."""
        self._last = True

    def look_at_clock(self, now_s: float, first_byte_s: float, silence_s: float) -> None:
        """Give up on a pool that is silent, or a client that does not read, for too long; called once a second."""
        if self.upstream is None or now_s - self.heard_s <= (silence_s if self._answer else first_byte_s):
            return
        if self._held:
            self.client_gone()
            self._client.cut()
        else:
            self.upstream.drop()
            self.broken("it was silent for too long", TIMED_OUT)
