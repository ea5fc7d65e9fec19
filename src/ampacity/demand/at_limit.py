"""Demand under a limit: what people get of what they want when windows interact and people react.

Sessions, not requests: a million subscribers over four weeks in seconds. `stretches.py` says what is wanted,
`crossings.py` goes from crossing to crossing, compiled; this file puts a tier's limit in front of it and reads what
comes out. Stores that refill evenly and those of requests in flight shape seconds, not weeks: they are left out here,
and named in `left_out`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ampacity.base.compiled import compiled
from ampacity.demand.crossings import (
    BY_BUY,
    BY_LATER,
    BY_SWITCH,
    BY_WAIT,
    DELAY,
    DELAYED_MS,
    GOES_ON,
    HOUR,
    JOB_FIELDS,
    LEFT_FIELDS,
    LOST,
    LOST_MS,
    OF,
    OF_STRETCH,
    OUTSTANDING,
    PAID,
    PATIENCE,
    REACTION_FIELDS,
    SERVED,
    SWITCHED,
    TO_DO,
    TOTAL_FIELDS,
    WANTED,
    WEEK,
    Desk,
    Found,
    Left,
    Terms,
    Wishes,
    run,
)
from ampacity.demand.reactions import Reactions
from ampacity.demand.stretches import Habits, Stretches, stretches
from ampacity.policy.book import PRICE_FIELDS, PRICES, STATE_FIELDS, compile_book, plan_of
from ampacity.policy.rows import EVENLY, IN_FLIGHT, ONE_REQUEST, SCALE, WindowRule
from ampacity.scenario.tier import Behaviour

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PEOPLE_AT_ONCE = 1 << 13
"""Subscribers whose wishes are drawn at once: their arrays stay near a core."""


@dataclass(frozen=True)
class Kinds:
    """Tokens per second of an active session at the mean pace, by kind. [token/s]"""

    uncached: float
    cached: float
    output: float

    def weighted(self, rule: WindowRule) -> float:
        """Weighted tokens of a window per second, off peak."""
        p = rule.price
        return (p.fresh * self.uncached + p.read * self.cached + p.output * self.output) / SCALE


def kinds_of(b: Behaviour) -> Kinds:
    """The kinds of a tier's behaviour."""
    return Kinds(b.uncached_per_s.value, b.cached_per_s.value, b.output_per_s.value)


@dataclass(frozen=True)
class Scheme:
    """A limit as people meet it.

    rules: its windows; what people use a model through is not told apart, so a window of one product counts all.
    families: share of stretches that ask each model family; the others ask none of them, and who switches inside the
    service does so too.
    """

    rules: tuple[WindowRule, ...]
    families: tuple[tuple[str, float], ...] = ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """Windows that session granularity does not see."""
        return tuple(r.name for r in self.rules if not _is_seen(r))

    @property
    def windows(self) -> tuple[WindowRule, ...]:
        """Windows that it sees, in order."""
        return tuple(replace(r, products=None) for r in self.rules if _is_seen(r))


def _is_seen(r: WindowRule) -> bool:
    """Whether a window fills over hours, with tokens."""
    return r.refill not in (EVENLY, IN_FLIGHT) and r.price != ONE_REQUEST


@dataclass(frozen=True)
class Met:
    """What a tier's people met under a limit.

    people, weeks: drawn subscribers, and how many weeks. windows: names, in the order of the limit. served_ms: work in
    each hour [ms at the mean pace]. squares_ms: of each hour the integral of a person's pace squared, over all their
    sessions at once, summed over people [ms]. stopped: of each subscriber and week the windows that stopped them, one
    bit each. refused: stretches that each window stopped, each time counted. wanted, served, lost, switched, bought,
    outstanding: all work by its end [ms at the mean pace]; what was bought is in served, what is outstanding would
    follow after the last hour. lost_ms, delayed_ms: active time lost, and time from stop to resumption.
    """

    people: int
    weeks: int
    windows: tuple[str, ...]
    served_ms: Floats
    squares_ms: Floats
    stopped: Ints
    refused: Ints
    wanted: float
    served: float
    lost: float
    switched: float
    bought: float
    outstanding: float
    lost_ms: float
    delayed_ms: float

    @property
    def hit_share(self) -> float:
        """Share of people whom some window stops in a week, mean over weeks. [0 to 1]"""
        return float((self.stopped > 0).mean())

    def hit_by(self, window: str) -> float:
        """Share of people whom this window stops in a week. [0 to 1]; 0 if there is none of that name."""
        if window not in self.windows:
            return 0.0
        return float((self.stopped >> self.windows.index(window) & 1).mean())

    @property
    def binding(self) -> dict[str, float]:
        """Which window binds: its share of all stops; none where nothing was stopped. [0 to 1]"""
        all_stops = int(self.refused.sum())
        return {w: float(n) / all_stops if all_stops else 0.0 for w, n in zip(self.windows, self.refused, strict=True)}

    def __add__(self, other: Met) -> Met:
        kept = ("weeks", "windows", "stopped")
        summed = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name not in kept}
        return replace(self, stopped=np.concatenate([self.stopped, other.stopped]), **summed)


@cache
def kernel() -> ModuleType:
    """`crossings.run`, compiled."""
    return compiled(run, inlined=True)


def under_each(
    h: Habits, kinds: Kinds, cases: Sequence[tuple[Scheme, Reactions]], seed: int, name: str = "", parallel: int = 20
) -> list[Met]:
    """What the people of a tier, at least one, meet in each case: the same wishes under a scheme, with reactions to it.

    Wishes are drawn once, in portions that every case meets before the next is drawn: that changes no number, and no
    more than a portion is ever in memory. parallel: as in `met`.
    """
    totals: list[Met] = []
    for begin in range(0, h.people, PEOPLE_AT_ONCE):
        wanted = stretches(h, seed, name, begin, min(begin + PEOPLE_AT_ONCE, h.people))
        part = [met(h, wanted, kinds, scheme, r, parallel) for scheme, r in cases]
        totals = [a + b for a, b in zip(totals, part, strict=True)] if begin else part
    return totals


def met(h: Habits, wanted: Stretches, kinds: Kinds, scheme: Scheme, r: Reactions, parallel: int = 20) -> Met:
    """What becomes of these stretches under a scheme.

    parallel: sessions that a person can have going or deferred; what comes on top follows the one that ends first.
    Raises LimitError where whole numbers cannot hold it.
    """
    return _run(h, wanted, kinds, scheme, r, parallel, h.end_ms, 0)[0]


@dataclass(frozen=True)
class Standing:
    """How people stand at an instant, in the middle of their weeks.

    states: rows of `policy.book` by person, windows in the order of the scheme's. person, stretch, goes_on_ms, left_ms,
    pace: of what is under way or deferred: whose, which of the stretches wanted, when it goes on, how long it lasts
    then [ms], and at which pace.
    """

    states: Ints
    person: Ints
    stretch: Ints
    goes_on_ms: Ints
    left_ms: Ints
    pace: Floats


def standing(
    h: Habits, wanted: Stretches, kinds: Kinds, scheme: Scheme, r: Reactions, at_ms: int, parallel: int = 20
) -> Standing:
    """How the people of these stretches stand at an instant under a scheme; arguments as in `met`."""
    _, left = _run(h, wanted, kinds, scheme, r, parallel, at_ms, len(wanted.first) - 1)
    jobs, paces = left.jobs[: left.many[0]], left.paces[: left.many[0]]
    return Standing(left.states, jobs[:, OF], jobs[:, OF_STRETCH], jobs[:, GOES_ON], jobs[:, TO_DO], paces)


def _run(
    h: Habits, wanted: Stretches, kinds: Kinds, scheme: Scheme, r: Reactions, parallel: int, end_ms: int, kept: int
) -> tuple[Met, Left]:
    """Until an instant; how the first `kept` people stand then."""
    rules = scheme.windows
    book = compile_book({"limit": rules}, [name for name, _ in scheme.families])
    limit, jobs, people = book.limit("limit"), max(parallel, 1), len(wanted.first) - 1
    weeks = -(-(end_ms - h.start_ms) // WEEK)
    served, squares, totals = np.zeros(len(h.hour_weights)), np.zeros(len(h.hour_weights)), np.zeros(TOTAL_FIELDS)
    stopped, refused = np.zeros((people, weeks), np.int64), np.zeros(max(len(rules), 1), np.int64)
    left = Left(
        np.zeros((kept, STATE_FIELDS), np.int64),
        np.zeros((kept * jobs, LEFT_FIELDS), np.int64),
        np.zeros(kept * jobs),
        np.zeros(1, np.int64),
    )
    wishes = Wishes(
        wanted.first,
        wanted.begin_ms,
        wanted.active_ms,
        wanted.pace,
        wanted.reaction,
        wanted.delay,
        _plans(scheme, book.flat, limit, wanted.family),
    )
    terms = Terms(
        book=np.array(book.flat, dtype=np.int64),
        limit=limit,
        other=book.plan("limit") if scheme.families else 0,
        prices=np.array([limit + PRICES + PRICE_FIELDS * slot for slot in book.slots["limit"]], dtype=np.int64),
        rates=np.array([kinds.weighted(rule) for rule in rules]),
        reactions=_cumulative(r),
        start=h.start_ms,
        end=end_ms,
        most=jobs,
    )
    desk = Desk(
        np.zeros(STATE_FIELDS, np.int64), np.zeros((jobs, JOB_FIELDS), np.int64), np.zeros(jobs), np.zeros(len(rules))
    )
    kernel().run(wishes, terms, desk, Found(served, squares, stopped, refused, totals, left))
    found = Met(
        people=people,
        weeks=int(weeks),
        windows=tuple(rule.name for rule in rules),
        served_ms=served,
        squares_ms=squares,
        stopped=stopped,
        refused=refused[: len(rules)],
        wanted=float(totals[WANTED]),
        served=float(totals[SERVED]),
        lost=float(totals[LOST]),
        switched=float(totals[SWITCHED]),
        bought=float(totals[PAID]),
        outstanding=float(totals[OUTSTANDING]),
        lost_ms=float(totals[LOST_MS]),
        delayed_ms=float(totals[DELAYED_MS]),
    )
    return found, left


def _plans(scheme: Scheme, flat: tuple[int, ...], limit: int, draw: Floats) -> Ints:
    """Of each stretch the plan of the family that it asks."""
    ends = np.cumsum([share for _, share in scheme.families]) if scheme.families else np.zeros(0)
    plans = np.array([plan_of(flat, limit, f, 0) for f in range(len(scheme.families) + 1)], dtype=np.int64)
    return np.asarray(plans[np.searchsorted(ends, draw, side="right")])


def _cumulative(r: Reactions) -> Floats:
    row = np.zeros(REACTION_FIELDS)
    row[BY_WAIT], row[BY_LATER] = r.wait, r.wait + r.later
    row[BY_SWITCH], row[BY_BUY] = row[BY_LATER] + r.switch, row[BY_LATER] + r.switch + r.buy
    row[PATIENCE], row[DELAY] = r.patience_ms, r.delay_ms
    return row


def working_day(m: Met, hour_of_week: tuple[int, ...], start_s: int) -> Floats:
    """Work in each UTC hour of an ordinary working day, the mean over all of them: 24 entries. [ms at the mean pace]

    hour_of_week: hour on these people's clock of each hour served, which tells their working days; start_s: the first
    instant. UTC, so that days of people in different zones add up. The mean day is taken because the largest of single
    hours of a sample says more of the sample than of the hour.
    """
    workday = np.array(hour_of_week) < 5 * 24
    utc = ((start_s // 3600 + np.arange(len(workday))) % 24)[workday]
    total = np.bincount(utc, weights=m.served_ms[workday], minlength=24)
    return np.asarray(total / np.maximum(np.bincount(utc, minlength=24), 1))


def active_at_once(work_ms: Floats) -> Floats:
    """Sessions active at once, at the mean pace, that do so much work in an hour."""
    return work_ms / HOUR
