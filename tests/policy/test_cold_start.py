"""A small cell of agents in closed loop: what late binding does to caches, and that least wait + prefill recovers.

Each session sends one step after the other, its prompt 95 % the one before; a replica computes one prompt at a time and
keeps the prefixes of the sessions that it saw last. With caches hit the cell is 60 % busy; without it is far beyond
what it can carry.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from ampacity.policy.homes import home_of, home_within
from ampacity.policy.mixing import mixed
from ampacity.policy.routing import (
    MOVE_MOST_NS,
    NOBODY,
    R_BACKLOG,
    R_REQUESTS,
    REPLICA_FIELDS,
    at_random,
    late_bound,
    least,
    note_computed,
    note_ended,
    note_sent,
    replica_rows,
)

REPLICAS, SESSIONS, STEPS = 16, 320, 60
PROMPT, CACHEABLE = 60_000, 57_000
PACE_NS = 100_000  # 6 s for a whole prompt, 0.3 s for what a step adds
PAUSE_MS = 10_000
KEPT = 25  # sessions whose prefix a replica keeps: 20 are at home on it
Choose = Callable[[list[int], int, int, int, int, int], int]


class Cell:
    """The cell under one rule of binding; `hits` gets each step's share of its prompt that was cached."""

    def __init__(self, choose: Choose, warm: bool, late: bool, over: int = REPLICAS) -> None:
        self.choose, self.late = choose, late
        self.rows = replica_rows(range(REPLICAS), PACE_NS)
        self.caches: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(REPLICAS)]
        self.homes = [NOBODY] * SESSIONS
        self.expected = [0] * SESSIONS  # uncached tokens of each one's request, as routing expected
        self.waiting: deque[int] = deque()
        self.at: list[deque[int]] = [deque() for _ in range(REPLICAS)]
        self.busy = [False] * REPLICAS
        self.events: list[tuple[int, int, str, int]] = []
        self.order, self.turn = count(), count()
        self.hits: list[int] = []
        for s in range(SESSIONS):
            if warm:
                self.homes[s] = s % over
                self.caches[s % over][s] = None
            self.event(mixed(s) % PAUSE_MS, "asks", s)

    def event(self, ms: int, what: str, who: int) -> None:
        heappush(self.events, (ms, next(self.order), what, who))

    def run(self) -> list[float]:
        """Share of cached tokens, in tenths of the run."""
        for _ in range(2 * SESSIONS * STEPS):
            now, _, what, who = heappop(self.events)
            if what == "asks":
                self.waiting.append(who)
            else:
                session = self.at[who].popleft()
                self.busy[who] = False
                note_computed(self.rows, who * REPLICA_FIELDS, self.expected[session])
                note_ended(self.rows, who * REPLICA_FIELDS)
                self.event(now + PAUSE_MS // 2 + mixed(now * SESSIONS + session) % PAUSE_MS, "asks", session)
                self.begin(who, now)
            while self.waiting and (not self.late or not all(self.busy)):
                self.bind(self.waiting.popleft(), now)
        tenth = len(self.hits) // 10
        return [sum(self.hits[i * tenth : (i + 1) * tenth]) / (tenth * PROMPT) for i in range(10)]

    def bind(self, session: int, now: int) -> None:
        home = self.homes[session]
        kept = self.cached(session, home) if home != NOBODY else 0
        r = self.choose(self.rows, session, home, kept, now, next(self.turn))
        self.homes[session] = r
        self.expected[session] = PROMPT - self.cached(session, r)
        note_sent(self.rows, r * REPLICA_FIELDS, self.expected[session])
        self.at[r].append(session)
        self.begin(r, now)

    def begin(self, r: int, now: int) -> None:
        if self.busy[r] or not self.at[r]:
            return
        session, cache = self.at[r][0], self.caches[r]
        cached = self.cached(session, r)
        self.hits.append(cached)
        cache[session] = None
        cache.move_to_end(session)
        if len(cache) > KEPT:
            cache.popitem(last=False)
        self.busy[r] = True
        self.event(now + (PROMPT - cached) * PACE_NS // 1_000_000, "computed", r)

    def cached(self, session: int, r: int) -> int:
        return CACHEABLE if session in self.caches[r] else 0


def by_least_load(rows: list[int], session: int, home: int, kept: int, now: int, turn: int) -> int:
    return least(rows, 0, REPLICAS, R_BACKLOG, now, turn)


def by_chance(rows: list[int], session: int, home: int, kept: int, now: int, turn: int) -> int:
    return at_random(rows, 0, REPLICAS, now, mixed(turn))


def by_wait_and_prefill(rows: list[int], session: int, home: int, kept: int, now: int, turn: int) -> int:
    return late_bound(rows, 0, REPLICAS, home, kept, 0, MOVE_MOST_NS, 2, PROMPT, now, turn)


def by_own_time_alone(rows: list[int], session: int, home: int, kept: int, now: int, turn: int) -> int:
    return late_bound(rows, 0, REPLICAS, home, kept, 0, MOVE_MOST_NS, 1, PROMPT, now, turn)


def by_affinity(rows: list[int], session: int, home: int, kept: int, now: int, turn: int) -> int:
    return home_within(rows, 0, REPLICAS, mixed(session), R_REQUESTS, 1, 200, now)


def test_plain_late_binding_loses_its_caches_and_stays_without() -> None:
    hits = Cell(by_least_load, warm=True, late=True).run()
    assert hits[0] < 0.3
    assert max(hits[-3:]) < 0.15


def test_chance_loses_them_too() -> None:
    assert max(Cell(by_chance, warm=True, late=False).run()[-3:]) < 0.15


def test_least_wait_and_prefill_recovers_from_a_cold_start_and_stays_warm() -> None:
    cold = Cell(by_wait_and_prefill, warm=False, late=False).run()
    assert cold[0] < 0.85  # each session's first step is new
    assert min(cold[-3:]) > 0.93
    assert min(Cell(by_wait_and_prefill, warm=True, late=False).run()) > 0.93


def test_sessions_of_half_a_cell_spread_over_all_of_it_when_the_other_half_returns_empty() -> None:
    cell = Cell(by_wait_and_prefill, warm=True, late=False, over=REPLICAS // 2)
    assert min(cell.run()[-3:]) > 0.93
    assert max(cell.homes.count(r) for r in range(REPLICAS)) < 0.8 * SESSIONS / (REPLICAS // 2)
    assert min(cell.homes.count(r) for r in range(REPLICAS)) > 0.5 * SESSIONS / REPLICAS


def test_counting_prefill_once_sticks_halfway_because_nobody_pays_for_those_behind() -> None:
    stuck = Cell(by_own_time_alone, warm=False, late=False).run()
    assert 0.6 < min(stuck[-3:]) <= max(stuck[-3:]) < 0.9
    assert min(Cell(by_own_time_alone, warm=True, late=False).run()) > 0.93


def test_affinity_with_bounded_load_recovers_as_well() -> None:
    assert min(Cell(by_affinity, warm=False, late=False).run()[-3:]) > 0.85


def test_homes_of_sessions_are_spread_over_the_cell() -> None:
    rows = replica_rows(range(REPLICAS), PACE_NS)
    assert {home_of(rows, 0, REPLICAS, mixed(s), 0) for s in range(SESSIONS)} == set(range(REPLICAS))
