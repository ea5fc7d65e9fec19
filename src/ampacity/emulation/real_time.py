"""A pool in real time: requests go to its replicas as they come, and tokens go out when the engine makes them.

Each replica has one alarm, set to the end of the iteration in flight. Nothing is lost by an alarm that goes off late:
the engine's instants are its own, and what came out meanwhile goes out together.
"""

from __future__ import annotations

import asyncio
import math
import time

from ampacity.base.streams import bits, uniform
from ampacity.emulation.answer import Answer, Usage
from ampacity.emulation.connection import Connection
from ampacity.emulation.faults import Fault, Faults
from ampacity.emulation.pools import ServingPool
from ampacity.emulation.replicas import Replicas, Sent
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S
from ampacity.simulator.ticks import SPEED, slower

WAITING_PER_SLOT = 4
"""Requests that may wait for admission, over the sequences that all replicas run at once; more are refused."""
DIED = "the replica that had this request has died"


class UnderWay:
    """A request and its answer. came, written: tokens that came out, and that the client was sent. luck: of faults."""

    def __init__(self, sent: Sent, answer: Answer, client: Connection, luck: float) -> None:
        self.sent = sent
        self.answer = answer
        self.client: Connection | None = client
        self.luck = luck
        self.came = 0
        self.written = 0
        self.ended = False
        self.cached = 0

    @property
    def request_id(self) -> str:
        """As its headers say."""
        return f"req_{self.answer.number}"

    @property
    def usage(self) -> Usage:
        """What the request took."""
        return Usage(self.answer.asked.input_tokens, self.cached, self.came)


class PoolInTime:
    """One pool. To be used from one event loop."""

    def __init__(self, pool: ServingPool, seed: int, loop: asyncio.AbstractEventLoop) -> None:
        self.pool = pool
        self.seed = seed
        self.replicas = Replicas(pool.replicas)
        self.faults = Faults()
        self._loop = loop
        self._began_ns = time.monotonic_ns()
        self._alarms: list[asyncio.TimerHandle | None] = [None] * self.replicas.count
        self._alarm_ps = [FOREVER_PS] * self.replicas.count
        self._by_place: dict[int, UnderWay] = {}
        self._held: set[UnderWay] = set()
        self._number = 0
        self._slowed = 0

    def now_s(self) -> float:
        """Time since the start. [s]"""
        return (time.monotonic_ns() - self._began_ns) * 1e-9

    def number(self) -> tuple[str, float]:
        """Of the next request: a number of its own, in hexadecimal, and its luck, drawn from 0 to 1."""
        self._number += 1
        return f"{bits(self.seed, self.pool.name, self._number):016x}", uniform(self.seed, "luck", self._number)

    def is_full(self) -> bool:
        """Whether so many wait that the next is refused."""
        return not any(self.replicas.up) or self.replicas.waiting() >= WAITING_PER_SLOT * self.pool.slots

    def ask(self, client: Connection, answer: Answer, luck: float) -> bool:
        """Send a request to its replica; False if none takes it."""
        asked = answer.asked
        sent = self.replicas.send(asked.session, asked.input_tokens, len(asked.pieces), self._now_ps())
        if sent is None:
            return False
        under_way = self._by_place[sent.place] = UnderWay(sent, answer, client, luck)
        client.gone = lambda: self._give_up(under_way)
        self._look(sent.replica, self._now_ps())
        return True

    def begin(self, fault: Fault) -> None:
        """Let a fault begin."""
        self.faults.begin(fault, self.now_s())
        if fault.kind == "stall":
            self._loop.call_later(fault.seconds + 0.01, self._show_all)
        elif fault.kind == "slow":
            self._slow_down(fault)
        elif fault.kind == "kill":
            self._kill(fault.seconds)

    def _now_ps(self) -> int:
        return (time.monotonic_ns() - self._began_ns) * 1000

    def _look(self, replica: int, now_ps: int) -> None:
        """Bring a replica to now, send what came out, and set its alarm."""
        self.replicas.advance(replica, now_ps)
        for place, came in list(self.replicas.decoding(replica)):
            under_way = self._by_place[place]
            if came > under_way.came:
                under_way.came = came
                self._show(under_way)
        self._end_those_who_ended(replica)
        self._set_alarm(replica)

    def _end_those_who_ended(self, replica: int) -> None:
        for place, whole in self.replicas.ended(replica):
            under_way = self._by_place.pop(place)
            self.replicas.close(under_way.sent)
            under_way.cached = self.replicas.found(place)
            under_way.ended = True
            if whole:
                under_way.came = len(under_way.answer.asked.pieces)
                self._show(under_way)
            else:
                self._break_off(under_way)

    def _show(self, u: UnderWay) -> None:
        """Send a client what has come out and was not sent yet, unless a fault holds it back."""
        if u.client is None:
            return
        now_s = self.now_s()
        if self.faults.hits("stall", u.luck, now_s):
            self._held.add(u)
            return
        if not u.answer.asked.stream:
            if u.ended:
                client, u.client = u.client, None
                client.reply(200, u.answer.whole(u.usage), u.request_id)
            return
        data = b""
        if u.written == 0:
            if not u.ended:
                u.cached = self.replicas.found(u.sent.place)
            u.client.begin_events(u.request_id)
            data = u.answer.opening(u.usage)
        piece = u.answer.piece
        data += piece(u.written) if u.came == u.written + 1 else b"".join(map(piece, range(u.written, u.came)))
        u.written = u.came
        if u.ended:
            client, u.client = u.client, None
            client.end_events(data + u.answer.closing(u.usage))
            return
        u.client.events(data)
        if u.written > 1 and self.faults.hits("cut", u.luck, now_s):
            u.client.cut()
            self._give_up(u)

    def _show_all(self) -> None:
        """A fault has ended that held answers back."""
        held, self._held = self._held, set()
        for under_way in held:
            self._show(under_way)

    def _break_off(self, u: UnderWay) -> None:
        """Tell a client that its request is lost, if it is there."""
        client, u.client = u.client, None
        if client is None:
            return
        if u.written > 0:
            client.end_events(u.answer.broken(DIED))
        else:
            client.reply(500, u.answer.error(500, DIED, u.answer.number), u.request_id)

    def _give_up(self, u: UnderWay) -> None:
        """A client is gone: its request is taken back."""
        u.client = None
        if not u.ended:
            # not at once: whoever finds out may be in the middle of a replica's answers
            self._loop.call_soon(self._take_back, u)

    def _take_back(self, u: UnderWay) -> None:
        if not u.ended:
            now_ps = self._now_ps()
            self.replicas.take_back(u.sent, now_ps)
            self._look(u.sent.replica, now_ps)

    def _slow_down(self, fault: Fault) -> None:
        """Slow down the first replicas, for a while; a later such fault takes the place of an earlier one."""
        self._slowed += 1
        step = slower(self.pool.replicas.step, round(fault.factor * SPEED))
        slowed = math.ceil(fault.share * self.replicas.count)
        for replica in range(self.replicas.count):
            self.replicas.set_pace(replica, step if replica < slowed else self.pool.replicas.step)
        self._loop.call_later(fault.seconds, self._as_before, self._slowed)

    def _as_before(self, slowed: int) -> None:
        if slowed == self._slowed:
            for replica in range(self.replicas.count):
                self.replicas.set_pace(replica, self.pool.replicas.step)

    def _kill(self, seconds: float) -> None:
        """Let the replica with most to do die, for a while."""
        up = [i for i in range(self.replicas.count) if self.replicas.up[i]]
        if not up:
            return
        replica = max(up, key=self.replicas.outstanding)
        now_ps = self._now_ps()
        self._look(replica, now_ps)
        self.replicas.kill(replica, now_ps)
        self._end_those_who_ended(replica)
        self._set_alarm(replica)
        self._loop.call_later(seconds, self.replicas.bring_back, replica)

    def _set_alarm(self, replica: int) -> None:
        at_ps = self.replicas.next_ps(replica)
        if at_ps == self._alarm_ps[replica]:
            return
        alarm = self._alarms[replica]
        if alarm is not None:
            alarm.cancel()
        self._alarm_ps[replica], self._alarms[replica] = at_ps, None
        if at_ps < FOREVER_PS:
            # the loop counts in ms; a ms early would be for nothing
            ms = max(math.ceil((at_ps - self._now_ps()) * 1000 / PS_PER_S), 0)
            self._alarms[replica] = self._loop.call_later(ms / 1000, self._alarm, replica)

    def _alarm(self, replica: int) -> None:
        self._alarm_ps[replica] = FOREVER_PS
        self._look(replica, self._now_ps())
