"""One cell of a fleet in one hour, request by request, as the weeks before it have left its people's windows.

Its people's weeks run at session granularity up to the hour (`demand/at_limit.py`): what is used of every window, who
works, who waits for a window. Every request is sent from a while before the hour on, so that memory holds what it would
hold; only what happens within the hour is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ampacity.base.streams import bits
from ampacity.demand import draws
from ampacity.demand.asked import asked, fitting, since
from ampacity.demand.at_limit import Scheme, Standing, kinds_of, standing
from ampacity.demand.people import people_seed, zone_of
from ampacity.demand.reactions import stated
from ampacity.demand.resting import works_with_agents
from ampacity.demand.single_requests import single_requests
from ampacity.demand.stretches import Habits, Stretches, habits, stretches, swings_of
from ampacity.inference.replica import KV_BLOCK_TOKENS
from ampacity.policy.book import STATE_FIELDS, STORE_FIELDS
from ampacity.policy.rows import NEVER, WindowRule
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.simulator.cell import Pool, Routing, open_cell
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.of_scenario import book_of, cell_tier
from ampacity.simulator.scripts import Scripts, joined, scripts_of_sessions, scripts_of_trace
from ampacity.simulator.ticks import Tick

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOUR_S = 3600
CERTAIN_PEOPLE = 2000
"""Tiers of fewer people are in every cell, each person with the cell's share of their work: a client whose traffic a
fleet spreads is in no sample by chance. Of larger tiers every cell has people of its own."""
STEPS_MOST = 512
"""Of one session, in an hour and what goes before it: few have more."""
DAYS_BEFORE = 8
"""Days of sessions before an hour: the longest window that comes back, and a day."""
BEFORE_MS = 4 * 3_600_000
"""What people have worked on so long before a cell opens is drawn too: sessions that have gone on for hours ask more
than those that begin, and what long pauses delay is asked when its stretch is over."""


@dataclass(frozen=True)
class CellHour:
    """s: one world of a scenario, after its changes. tiers: of one model. share: of their work that the cell has.
    start_s: when hours begin to count, from 1970 [s]. hour: which. warm_s: sent before the hour counts, not from before
    the start [s]. name: of the cell, what its people are drawn by."""

    s: Scenario
    tiers: tuple[Tier, ...]
    rules: tuple[tuple[WindowRule, ...], ...]
    pool: Pool
    share: float
    start_s: int
    hour: int
    warm_s: int
    routing: Routing
    name: str
    seed: int
    world: int
    ticks: tuple[Tick, ...] = ()


def is_certain(tier: Tier) -> bool:
    """Whether the same people of a tier are in every cell."""
    return tier.people.value < CERTAIN_PEOPLE


def look(c: CellHour) -> CellResult:
    """What happens in the hour."""
    opens_ms = 1000 * (c.start_s + c.hour * HOUR_S - c.warm_s)
    begins_ps = c.warm_s * PS_PER_S
    most = (c.pool.engine.kv_blocks - 1) * KV_BLOCK_TOKENS
    book = book_of(c.tiers, c.rules)
    parts, states, wanted, before = [], [np.zeros((1, STATE_FIELDS), np.int64)], [], 1
    for number, tier in enumerate(c.tiers):
        people = _People(c, tier, number, opens_ms)
        parts.append(_scripts(c, tier, number, people, opens_ms, most, before))
        states.append(_at_places(people.now.states, people.scheme, c.rules[number]))
        wanted.append(people.wanted_s)
        before += people.h.people
    cell = open_cell(
        (c.pool,),
        joined(parts),
        c.routing,
        tuple(cell_tier(c.s, t, c.seed, c.world) for t in c.tiers),
        book,
        opens_ms,
        c.seed,
        bits(c.seed, "cell", c.name) >> 8,
        ticks=c.ticks,
    )
    flat = np.concatenate(states).reshape(-1)
    cell.windows.states[:] = flat[: len(cell.windows.states)]
    cell.run(begins_ps)
    warm = cell.result()
    cell.run(begins_ps + HOUR_S * PS_PER_S)
    return replace(cell.result() - warm, wanted_s=tuple(wanted))


class _People:
    """The people of a tier in a cell, and how they stand when it opens."""

    def __init__(self, c: CellHour, tier: Tier, number: int, opens_ms: int) -> None:
        certain = is_certain(tier)
        many = max(round(tier.people.value * (1.0 if certain else c.share)), 1)
        zone = zone_of(c.s, tier)
        b = tier.behaviour
        swings = swings_of(people_seed(c.seed, c.world), b.common_swing.value, c.hour + 1)
        # a credit that never comes back is used up from the first day on
        lasting = any(rule.refill == NEVER for rule in c.rules[number])
        first = 0 if lasting else max(c.hour - 24 * DAYS_BEFORE, 0)
        start_s = c.start_s + HOUR_S * first
        h = habits(tier, many, start_s, c.hour + 1 - first, zone, swings[first:])
        self.h: Habits = h if certain else replace(h, by_draw=True)
        self.drawn_by = bits(c.seed, "people of", c.world, "" if certain else c.name) >> 1
        wanted = stretches(self.h, self.drawn_by, tier.name)
        self.scheme = Scheme(tuple(replace(rule, families=None) for rule in c.rules[number]))
        self.kinds, self.reactions = kinds_of(b), stated(c.seed, c.world)
        self.now: Standing = standing(
            self.h, wanted, self.kinds, self.scheme, self.reactions, opens_ms, round(b.parallel.value)
        )
        until_ms = opens_ms + 1000 * (c.warm_s + HOUR_S)
        self.wanted_s = _active_s(wanted, until_ms - 1000 * HOUR_S, until_ms) * (c.share if certain else 1.0)
        """How long their sessions would be active in the hour if no limit had ever stopped them, all together."""
        self.wanted = _from_now(wanted, self.now, opens_ms, until_ms)
        if certain:
            self.wanted = _part(self.wanted, c, works_with_agents(b))


def _active_s(w: Stretches, begin_ms: int, end_ms: int) -> float:
    """Active time of all sessions that are wanted between two instants. [s]"""
    within_ms = np.minimum(w.begin_ms + w.active_ms, end_ms) - np.maximum(w.begin_ms, begin_ms)
    return float(np.maximum(within_ms, 0).sum()) / 1000.0


def _from_now(wanted: Stretches, now: Standing, opens_ms: int, until_ms: int) -> Stretches:
    """Stretches that are over since a while, under way, go on, or begin before an instant, by person and begin."""
    since_ms = opens_ms - BEFORE_MS
    person = np.repeat(np.arange(len(wanted.first) - 1), np.diff(wanted.first))
    new = np.flatnonzero((wanted.begin_ms >= opens_ms) & (wanted.begin_ms < until_ms))
    going = np.flatnonzero(now.goes_on_ms < until_ms)
    under_way = now.goes_on_ms[going] <= opens_ms
    began_ms = np.clip(wanted.begin_ms[now.stretch[going]], since_ms, opens_ms)
    back_ms = np.where(under_way, opens_ms - began_ms, 0)
    ends_ms = wanted.begin_ms + wanted.active_ms
    is_over = (ends_ms > since_ms) & (ends_ms <= opens_ms)
    is_over[now.stretch] = False
    over = np.flatnonzero(is_over)
    late_ms = np.maximum(since_ms - wanted.begin_ms[over], 0)
    begin = (wanted.begin_ms[over] + late_ms, np.maximum(now.goes_on_ms[going], opens_ms) - back_ms)
    active = (wanted.active_ms[over] - late_ms, now.left_ms[going] + back_ms)
    return _in_order(
        wanted,
        np.concatenate([over, now.stretch[going], new]),
        np.concatenate([person[over], now.person[going], person[new]]),
        np.concatenate([*begin, wanted.begin_ms[new]]),
        np.concatenate([*active, wanted.active_ms[new]]),
        np.concatenate([wanted.pace[over], now.pace[going], wanted.pace[new]]),
    )


def _in_order(wanted: Stretches, of: Ints, whose: Ints, begin_ms: Ints, active_ms: Ints, pace: Floats) -> Stretches:
    """Some of the stretches, or parts of them, in order of person and begin."""
    order = np.lexsort((of, begin_ms, whose))
    first = np.concatenate([[0], np.cumsum(np.bincount(whose, minlength=len(wanted.first) - 1))]).astype(np.int64)
    return Stretches(
        first,
        begin_ms[order],
        np.maximum(active_ms[order], 1),
        pace[order],
        wanted.reaction[of[order]],
        wanted.delay[of[order]],
        wanted.family[of[order]],
    )


def _part(w: Stretches, c: CellHour, agents: bool) -> Stretches:
    """The cell's part of work that a fleet spreads: whole stretches of agents by chance, else a share of each pace."""
    if not agents:
        return replace(w, pace=w.pace * c.share)
    person = np.repeat(np.arange(len(w.first) - 1), np.diff(w.first))
    mine = draws.uniform(bits(c.seed, "part of", c.name) >> 1, "part", person, w.begin_ms) < c.share
    first = np.concatenate([[0], np.cumsum(np.bincount(person[mine], minlength=len(w.first) - 1))]).astype(np.int64)
    return Stretches(
        first,
        w.begin_ms[mine],
        w.active_ms[mine],
        w.pace[mine],
        w.reaction[mine],
        w.delay[mine],
        w.family[mine],
    )


def _scripts(
    c: CellHour, tier: Tier, number: int, people: _People, opens_ms: int, most_tokens: int, before: int
) -> Scripts:
    """What a tier's people ask from the instant on at which the cell opens."""
    b, opens_s = tier.behaviour, opens_ms / 1000.0
    key = bits(people.drawn_by, "hour", c.hour) >> 1
    if works_with_agents(b):
        holds = c.s.model(tier.model).context_tokens
        every = asked(b, people.wanted, key, tier.name, window_tokens=holds, steps_most=STEPS_MOST)
        found, _ = fitting(since(every, opens_s), most_tokens)
        return scripts_of_sessions(found.steps, found.begin_s - opens_s, number, found.subscriber + before)
    every = single_requests(b, people.wanted, key, tier.name)
    found, _ = fitting(since(every, opens_s), most_tokens)
    at_ps = np.rint((found.begin_s - opens_s) * 1e6).astype(np.int64) * (PS_PER_S // 1_000_000)
    order = np.argsort(at_ps, kind="stable")
    inputs, outputs = found.steps.input_tokens[order], found.steps.output_tokens[order]
    return scripts_of_trace(at_ps[order], inputs, outputs, number, found.subscriber[order] + before)


def _at_places(states: Ints, scheme: Scheme, rules: tuple[WindowRule, ...]) -> Ints:
    """Subscribers' rows with each window at the place that it has among all windows of its limit."""
    rows = np.zeros((len(states), STATE_FIELDS), np.int64)
    places = {rule.name: i for i, rule in enumerate(rules)}
    for i, rule in enumerate(scheme.windows):
        at = places[rule.name] * STORE_FIELDS
        rows[:, at : at + STORE_FIELDS] = states[:, i * STORE_FIELDS : (i + 1) * STORE_FIELDS]
    return rows
