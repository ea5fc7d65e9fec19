"""The gateway's own desk before the emulation's own replicas, in simulated time: what a load will meet.

`policy.desk.Desk` decides here as it decides in the gateway, the same object fed with the same inputs, and the replicas
are those that `emulation/` runs by the clock. What a socket adds is one number, `HOP_MS`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ampacity.base.streams import bits, uniform
from ampacity.emulation.pools import ServingPool
from ampacity.forecast.happenings import Happening, PoolFails, PoolGoes, TermsChange, not_foretold
from ampacity.forecast.learned import NOTHING_LEARNED, Learned
from ampacity.forecast.load import OUTPUT_MOST, Line, Load, Step
from ampacity.forecast.met import REFUSED, SERVED, TURNED_AWAY, Met
from ampacity.forecast.pool_then import PoolThen, Serving
from ampacity.gateway.server import TICK_S
from ampacity.gateway.standing import SOON_S, seconds_until
from ampacity.journal.records import (
    ABORTED,
    ADMITTED,
    CAP,
    CUT_WITH_POOL,
    NO_CAPACITY,
    PREEMPTED,
    QUEUED,
    REFUSED_ORGANIZATION,
    SETTLED,
)
from ampacity.journal.records import REFUSED as REFUSED_BY_WINDOW
from ampacity.policy.desk import Desk
from ampacity.policy.health import GIVEN_UP
from ampacity.policy.terms import Terms, terms_of
from ampacity.policy.ticket import Ticket
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S

MS = PS_PER_S // 1000
HOP_MS = 2.0
"""From the gateway to a pool and back: sockets, heads to read, alarms that count in ms. Without load it was 1.8."""
OPENING_EVENTS = 2
"""Events between a stream's first word on its use and its first token; where it is cut a gateway counts them, too."""
ERROR_EVENTS = 1
"""Of a stream whose replica has died; likewise."""
OVERLOADED_S = 2
AGAIN_MS = 1000
"""How long a client waits that is to try again and is not told when."""
LATEST_MS = 120_000
"""After the last request: whatever has not ended then is left out."""


@dataclass(eq=False)
class Asking:
    """A request under way. step: of its line. tries: retries before it. serving: where it is, once it was sent."""

    line: Line
    step: int
    tries: int
    at_ps: int
    ticket: Ticket | None = None
    serving: Serving | None = None
    pool: str = ""
    first_ps: int = -1


def foretell(
    terms: Terms,
    pools: Mapping[str, ServingPool],
    load: Load,
    happenings: tuple[Happening, ...] = (),
    *,
    seed: int = 1,
    learned: Learned = NOTHING_LEARNED,
    draw: int = 0,
    begins_ms: int = 1_795_424_700_000,
) -> tuple[Met, ...]:
    """What every request of a load meets, in the order in which they come.

    pools: by their names in the terms. draw: of what no forecast knows, how long each message takes between sockets;
    with 0 each takes the mean. Runs are sensitive to it: a request that comes before another one instead of after it
    changes who waits, and for whom a window closes. begins_ms: the deciding clock at the begin, since 1970 UTC, where
    windows refill at instants. Raises ValueError for what no forecast knows, KeyError for a pool that is not there.
    """
    if unknown := not_foretold(happenings):
        raise ValueError("\n".join(unknown))
    run = _Run(terms, pools, load, seed, learned, begins_ms, draw)
    for happening in happenings:
        run.at(happening.at_ms * MS, run.happen, happening)
    run.go()
    return tuple(sorted(run.met, key=lambda m: (m.at_ms, m.subscriber)))


class _Run:
    def __init__(
        self,
        terms: Terms,
        pools: Mapping[str, ServingPool],
        load: Load,
        seed: int,
        learned: Learned,
        begins_ms: int,
        draw: int,
    ) -> None:
        self.load, self.seed, self.begins_ms = load, seed, begins_ms
        self.desk = Desk(terms)
        self.pools = {name: PoolThen(pool, seed, learned.pace) for name, pool in pools.items()}
        self.alarms = {name: [FOREVER_PS] * pool.replicas.count for name, pool in self.pools.items()}
        self.demand = learned.demand
        self.hop_ms = HOP_MS + learned.more_ms
        self.draw = draw
        self.now_ps = 0
        self.met: list[Met] = []
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._sessions: dict[str, int] = {}
        self._under_way = 0
        for line in load.lines:
            self.at(line.begins_ms * MS + self._pause_ps(line.steps[0]), self.ask, line, 0, 0)
        self.at(0, self.tick)

    def _half_a_hop(self) -> int:
        """One way between gateway and pool: in draw 0 always the mean, in others drawn from 0 to twice that. [ps]"""
        mean = self.hop_ms * MS / 2
        return round(mean if self.draw == 0 else 2 * mean * uniform(self.seed, "hop", self.draw, self._order))

    def at(self, when_ps: int, what: Callable[..., None], *args: Any) -> None:
        self._order += 1
        heapq.heappush(self._heap, (max(when_ps, self.now_ps), self._order, what, args))

    def go(self) -> None:
        end_ps = (self.load.lasts_ms + LATEST_MS) * MS
        while self._heap:
            self.now_ps, _, what, args = heapq.heappop(self._heap)
            if self.now_ps > end_ps or (self.now_ps > self.load.lasts_ms * MS and self._under_way == 0):
                return
            what(*args)

    @property
    def now_ms(self) -> int:
        return self.begins_ms + self.now_ps // MS

    def tick(self) -> None:
        self.desk.due(self.now_ms)
        self._tell()
        self.at(self.now_ps + round(TICK_S * PS_PER_S), self.tick)

    # clients

    def _pause_ps(self, step: Step) -> int:
        return round(step.pause_ms * MS / self.demand)

    def ask(self, line: Line, step: int, tries: int) -> None:
        if self.now_ps >= self.load.lasts_ms * MS:
            return
        s = line.steps[step]
        asking = Asking(line, step, tries, self.now_ps)
        kind = self.desk.kind(line.tier, self.load.alias)
        draw = int(uniform(self.seed, "draw", line.subscriber, len(self.met), self.now_ps) * 1000)
        expires_ms = self.now_ms + self.desk.terms.expires_ms
        who, session = line.subscriber, self._session(s.conversation)
        ticket = Ticket(kind, who, 0, session, s.input_tokens, OUTPUT_MOST, self.now_ms, draw, expires_ms, asking)
        asking.ticket = ticket
        self._under_way += 1
        outcome = self.desk.arrive(ticket, self.now_ms)
        self._tell()
        if outcome == ADMITTED:
            self._to_pool(asking)
        elif outcome in (REFUSED_BY_WINDOW, REFUSED_ORGANIZATION):
            window = self.desk.ledger.window_of(ticket, ticket.window)[1]
            wait_s = seconds_until(self.desk.ledger.retry_ms(ticket, ticket.window, self.now_ms), self.now_ms)
            self._refused(asking, REFUSED, window, wait_s if wait_s is not None and wait_s <= SOON_S else None)
        elif outcome == NO_CAPACITY and ticket.window < 0:
            self._refused(asking, TURNED_AWAY, CAP, None)
        elif outcome != QUEUED:
            self._refused(asking, TURNED_AWAY, "", OVERLOADED_S)

    def _session(self, conversation: str) -> int:
        number = self._sessions.get(conversation)
        if number is None:
            number = self._sessions[conversation] = bits(self.seed, conversation) >> 2
        return number

    def _refused(self, asking: Asking, outcome: str, window: str, wait_s: int | None) -> None:
        """A refusal: the client tries again if it is told to and may, else it goes on."""
        self._met(asking, outcome, window)
        wait_ms = None if wait_s is None else wait_s * 1000
        if wait_ms is not None and wait_ms <= self.load.wait_most_ms and asking.tries < self.load.retries:
            self.at(self.now_ps + wait_ms * MS, self.ask, asking.line, asking.step, asking.tries + 1)
        else:
            self._next(asking)

    def _met(self, asking: Asking, outcome: str, window: str = "", output: int = 0) -> None:
        self._under_way -= 1
        line, came = asking.line, asking.first_ps >= 0
        self.met.append(
            Met(
                at_ms=asking.at_ps // MS,
                subscriber=line.subscriber,
                tier=line.tier,
                outcome=outcome,
                window=window,
                first_ms=(asking.first_ps - asking.at_ps) / MS if came else -1,
                whole_ms=(self.now_ps - asking.at_ps) / MS if outcome == SERVED else -1,
                output=output,
            )
        )

    def _next(self, asking: Asking) -> None:
        line, step = asking.line, asking.step + 1
        if step < len(line.steps):
            self.at(self.now_ps + self._pause_ps(line.steps[step]), self.ask, line, step, 0)

    # pools

    def _to_pool(self, asking: Asking) -> None:
        """Send a request to the pool that it was given, which has it half a hop later."""
        ticket = cast(Ticket, asking.ticket)
        asking.pool = self.desk.services[ticket.kind.alias].pools[ticket.pool].name
        asking.serving = None
        self.at(self.now_ps + self._half_a_hop(), self._send, asking, asking.pool, ticket.tries)

    def _send(self, asking: Asking, pool: str, tries: int) -> None:
        ticket = cast(Ticket, asking.ticket)
        if ticket.over or ticket.tries != tries or ticket.pool < 0:
            return  # another took its place before it was there
        s = asking.line.steps[asking.step]
        took = self.pools[pool].send(asking, s.conversation, s.input_tokens, s.output_tokens, self.now_ps)
        if isinstance(took, int):
            self.at(self.now_ps + self._half_a_hop(), self._failed, asking, tries, took)
            return
        asking.serving = took
        self._look(pool, took.sent.replica)

    def _failed(self, asking: Asking, tries: int, status: int) -> None:
        """Its pool has failed it before its first token."""
        ticket = cast(Ticket, asking.ticket)
        if ticket.over or ticket.tries != tries or ticket.pool < 0:
            return
        asking.serving = None
        outcome = self.desk.failed(ticket, self.now_ms, status)
        self._tell()
        if outcome == ADMITTED:
            self._to_pool(asking)
        elif outcome == NO_CAPACITY:
            self._refused(asking, TURNED_AWAY, "", OVERLOADED_S if status != 500 else AGAIN_MS // 1000)

    def _look(self, pool: str, replica: int) -> None:
        """What has come out of a replica by now; and when to look again."""
        then = self.pools[pool]
        for serving in then.first_tokens(replica, self.now_ps):
            if serving.owner is not None:
                self.at(self.now_ps + self._half_a_hop(), self._first, serving)
        for serving, whole in then.ended(replica):
            if serving.owner is not None:
                self.at(self.now_ps + self._half_a_hop(), self._ended, serving, whole)
        self._wake(pool, replica)

    def _wake(self, pool: str, replica: int) -> None:
        at_ps = self.pools[pool].replicas.next_ps(replica)
        if at_ps == FOREVER_PS:
            return
        at_ps = max(at_ps, self.now_ps + 1)  # iterations begin after all that comes at their instant
        if self.alarms[pool][replica] != at_ps:
            self.alarms[pool][replica] = at_ps
            self.at(at_ps, self._alarm, pool, replica, at_ps)

    def _alarm(self, pool: str, replica: int, at_ps: int) -> None:
        if self.alarms[pool][replica] == at_ps:
            self.alarms[pool][replica] = FOREVER_PS
            self._look(pool, replica)

    def _first(self, serving: Serving) -> None:
        asking = cast(Asking | None, serving.owner)
        if asking is not None:
            asking.first_ps = self.now_ps
            self.desk.begun(cast(Ticket, asking.ticket))

    def _ended(self, serving: Serving, whole: bool) -> None:
        asking = cast(Asking | None, serving.owner)
        if asking is None:
            return
        ticket = cast(Ticket, asking.ticket)
        if not whole and asking.first_ps < 0:
            self._failed(asking, ticket.tries, 500)
            return
        if asking.first_ps < 0:
            asking.first_ps = self.now_ps
        cut = serving.came + OPENING_EVENTS + ERROR_EVENTS
        self._settle(asking, SETTLED, asking.line.steps[asking.step].output_tokens if whole else cut)

    def _settle(self, asking: Asking, status: int, output: int, answer: int = 200) -> None:
        ticket, serving = cast(Ticket, asking.ticket), cast(Serving, asking.serving)
        serving.owner = None
        read = serving.cached
        self.desk.ended(ticket, self.now_ms, status, serving.input_tokens - read, 0, read, output, answer)
        self._tell()
        self._met(asking, SERVED, output=output)
        self._next(asking)

    def _take_back(self, asking: Asking) -> None:
        serving, asking.serving = asking.serving, None
        if serving is not None:
            serving.owner = None
            self.pools[asking.pool].take_back(serving, self.now_ps)
            self._look(asking.pool, serving.sent.replica)

    def _tell(self) -> None:
        """What became of other requests, to those who asked."""
        for ticket, outcome, i in self.desk.take_told():
            asking = cast(Asking, ticket.owner)
            if outcome == PREEMPTED:
                self._take_back(asking)
            elif outcome == NO_CAPACITY:
                self._take_back(asking)
                self._refused(asking, TURNED_AWAY, "", OVERLOADED_S)
            elif outcome == CUT_WITH_POOL:
                self._cut(asking)
            elif ticket.pool == i:
                self._to_pool(asking)

    def _cut(self, asking: Asking) -> None:
        """Its pool is gone in the midst of its answer."""
        serving = asking.serving
        if serving is None or serving.owner is None:
            return
        self._look(asking.pool, serving.sent.replica)
        came = serving.came
        self._take_back(asking)
        asking.serving = serving
        self._settle(asking, ABORTED, came + OPENING_EVENTS, GIVEN_UP)

    # from outside

    def happen(self, h: Happening) -> None:
        if isinstance(h, PoolFails):
            self._fault(h)
        elif isinstance(h, PoolGoes):
            self.desk.drain_pool(h.pool, self.now_ms + h.deadline_ms, self.now_ms)
            self.desk.due(self.now_ms)
        elif isinstance(h, TermsChange):
            self.desk.change(terms_of(h.terms), self.now_ms)
        else:
            self.desk.reopen_pool(h.pool, self.now_ms)
        self._tell()

    def _fault(self, h: PoolFails) -> None:
        then = self.pools[h.pool]
        over_ps = self.now_ps + round(h.fault.seconds * PS_PER_S)
        dies, undo = then.begin(h.fault, self.now_ps)
        if dies is not None:
            self._look(h.pool, dies)
            then.replicas.kill(dies, self.now_ps)
            self._look(h.pool, dies)
            self.at(over_ps, then.replicas.bring_back, dies)
        if undo is not None:
            self.at(over_ps, then.as_before, undo[1])
        for replica in range(then.replicas.count):
            self._wake(h.pool, replica)
