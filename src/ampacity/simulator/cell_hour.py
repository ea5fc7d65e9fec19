"""One cell of a fleet in one hour, request by request, as the weeks before it have left its people's windows.

Its people's weeks run at session granularity up to the hour (`demand/at_limit.py`): what is used of every window, who
works, who waits for a window. Every request is sent from a while before the hour on, so that memory holds what it would
hold; only what happens within the hour is counted. One short window of it is gone through iteration by iteration.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ampacity.base.streams import bits, uniform
from ampacity.demand import draws
from ampacity.demand.asked import asked, fitting, since
from ampacity.demand.at_limit import Scheme, Standing, kinds_of, standing
from ampacity.demand.people import people_seed, zone_of
from ampacity.demand.reactions import stated
from ampacity.demand.resting import works_with_agents
from ampacity.demand.single_requests import single_requests
from ampacity.demand.stretches import Habits, Stretches, habits, stretches, swings_of
from ampacity.inference.replica import KV_BLOCK_TOKENS
from ampacity.inference.step_time import StepTime
from ampacity.policy.book import STATE_FIELDS, STORE_FIELDS
from ampacity.policy.rows import NEVER
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import Cell, open_cell
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.cell_rows import SUBSCRIBER
from ampacity.simulator.cell_terms import Pool, Routing
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.limits_in_time import LimitsInTime, Rules
from ampacity.simulator.model_cell import bring_to_now
from ampacity.simulator.of_scenario import cell_tier
from ampacity.simulator.request_rows import agents_of
from ampacity.simulator.sampled import WORK_FIELDS
from ampacity.simulator.sampled import worked as worked_in
from ampacity.simulator.scaling import Scaling
from ampacity.simulator.scripts import Scripts, joined, scripts_of_sessions, scripts_of_trace
from ampacity.simulator.ticks import Tick
from ampacity.simulator.watch import watch

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
GOOD_TTFT_S = 10
"""A first token that comes later is not good: people look away, and clients begin to give up."""
WINDOW_PS = 1 * PS_PER_S
BEFORE_MS = 4 * 3_600_000
"""What people have worked on so long before a cell opens is drawn too: sessions that have gone on for hours ask more
than those that begin, and what long pauses delay is asked when its stretch is over."""


@dataclass(frozen=True)
class CellHour:
    """s: one world of a scenario. tiers: of one model. limits: of theirs. share: of their work that the cell has.
    start_s: when hours begin to count, from 1970 [s]. hour: which. warm_s: sent before the hour counts, not from before
    the start [s]. name: of the cell, what its people are drawn by. step: of its replicas; None: no window is looked at
    iteration by iteration. hours: for how many it goes on. quanta: of tiers in a fair queue; none: alike. caps: of
    tiers; none: no tier has one. scaling: how its replicas follow the load; None: all are there."""

    s: Scenario
    tiers: tuple[Tier, ...]
    limits: LimitsInTime
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
    step: StepTime | None = None
    hours: int = 1
    quanta: tuple[int, ...] = ()
    caps: tuple[CapacityCurve | None, ...] = ()
    scaling: Scaling | None = None

    @property
    def opens_ms(self) -> int:
        """When the cell opens, from 1970. [ms]"""
        return 1000 * (self.start_s + self.hour * HOUR_S - self.warm_s)

    @property
    def most_tokens(self) -> int:
        """Context that a request may have, input and output."""
        return (self.pool.engine.kv_blocks - 1) * KV_BLOCK_TOKENS


@dataclass(frozen=True)
class Guests:
    """People who come from elsewhere while a cell runs, as its tiers number them.

    scripts: what they ask, instants by the cell's clock, subscribers from 1. states: their windows, a row each.
    """

    scripts: Scripts
    states: Ints


@dataclass(frozen=True)
class Seen:
    """What a look shows.

    result: of the hour. good: answered within both bounds, [tier]. worked: WORK_FIELDS of a window on one of the
    replicas [s]. replicas: how many there were. answered: with those that only warmed memory up. cpu_s: that it took.
    """

    result: CellResult
    good: Ints
    worked: Floats
    replicas: int
    answered: int
    cpu_s: float


def is_certain(tier: Tier) -> bool:
    """Whether the same people of a tier are in every cell."""
    return tier.people.value < CERTAIN_PEOPLE


def look(c: CellHour) -> CellResult:
    """What happens in the hour."""
    return closely(c).result


def closely(c: CellHour) -> Seen:
    """What happens in the hour, how much of it is good, and, if the step time is given, what a window of it shows."""
    began = time.process_time()
    cell, scripts = opened(c, keep=True)
    begins_ps = c.warm_s * PS_PER_S
    ends_ps = begins_ps + c.hours * HOUR_S * PS_PER_S
    cell.run(begins_ps)
    bring_to_now(cell)
    warm = cell.result()
    worked = np.zeros(WORK_FIELDS)
    if c.step is not None:
        key = (c.name, c.hour)
        replica = int(uniform(c.seed, "window's replica", *key) * c.pool.replicas)
        cell.run(begins_ps + int(uniform(c.seed, "window", *key) * (HOUR_S * PS_PER_S - WINDOW_PS)))
        worked = worked_in(c.step, watch(cell, replica, cell.now_ps + WINDOW_PS))
    cell.run(ends_ps)
    bring_to_now(cell)
    found = cell.result()
    good_ones = good(c.s, scripts, found, begins_ps)
    result = found - warm
    spent_s = time.process_time() - began
    return Seen(result, good_ones, worked, c.pool.replicas, found.count(at.ANSWERED), spent_s)


def good(s: Scenario, scripts: Scripts, found: CellResult, since_ps: int) -> Ints:
    """Requests answered after an instant with the first token within GOOD_TTFT_S of asking and the others at the pace
    of the service level, [tier]."""
    assert found.met is not None
    done = np.flatnonzero(found.met[:, at.MET_FINISH_PS] > since_ps)
    asked, first, last = (found.met[done, f] for f in (at.MET_ARRIVAL_PS, at.MET_FIRST_PS, at.MET_FINISH_PS))
    after_first = np.maximum(scripts.steps[done, at.ASK_OUTPUT] - 1, 1)
    soon = first - asked <= GOOD_TTFT_S * PS_PER_S
    fast = (last - first) // after_first <= round(s.service_level.tpot_s * PS_PER_S)
    tier = scripts.agents[agents_of(scripts)[done], at.TIER]
    return np.bincount(tier[soon & fast], minlength=len(found.tiers)).astype(np.int64)


@dataclass(frozen=True)
class Drawn:
    """A cell's own people: what they ask, by tier, and their windows as rows behind nobody's."""

    parts: tuple[Scripts, ...]
    states: tuple[Ints, ...]


def drawn(c: CellHour) -> Drawn:
    """The cell's own people, up to when it opens and from then on."""
    parts, states, before = [], [np.zeros((1, STATE_FIELDS), np.int64)], 1
    for number, tier in enumerate(c.tiers):
        people = _People(c, tier, number, c.opens_ms)
        parts.append(_scripts(c, tier, number, people, c.opens_ms, c.most_tokens, before))
        states.append(_at_places(people.now.states, people.scheme, c.limits.windows(tier.name)))
        before += people.h.people
    return Drawn(tuple(parts), tuple(states))


def opened(
    c: CellHour, own: Drawn | None = None, guests: Sequence[Guests] = (), *, keep: bool = False
) -> tuple[Cell, Scripts]:
    """The cell before anything is asked, and what will be asked of it.

    own: if its people have been drawn already. keep: what every request met.
    """
    own = own or drawn(c)
    parts, states = list(own.parts), list(own.states)
    before = sum(len(rows) for rows in states)
    for g in guests:
        agents = g.scripts.agents.copy()
        agents[:, SUBSCRIBER] += np.where(agents[:, SUBSCRIBER] > 0, before - 1, 0)
        parts.append(replace(g.scripts, agents=agents))
        states.append(g.states)
        before += len(g.states)
    tiers = tuple(cell_tier(t, c.limits, c.seed, c.world) for t in c.tiers)
    if c.quanta:
        tiers = tuple(replace(t, quantum=q) for t, q in zip(tiers, c.quanta, strict=True))
    if c.caps:
        tiers = tuple(replace(t, cap=cap) for t, cap in zip(tiers, c.caps, strict=True))
    scripts = joined(parts)
    cell = open_cell(
        (c.pool,),
        scripts,
        c.routing,
        tiers,
        c.limits.book(c.opens_ms),
        c.opens_ms,
        c.seed,
        bits(c.seed, "cell", c.name) >> 8,
        keep=keep,
        ticks=c.ticks,
        scaling=c.scaling,
        changes=c.limits.changes(c.opens_ms),
    )
    flat = np.concatenate(states).reshape(-1)
    cell.windows.states[:] = flat[: len(cell.windows.states)]
    return cell, scripts


class _People:
    """The people of a tier in a cell, and how they stand when it opens."""

    def __init__(self, c: CellHour, tier: Tier, number: int, opens_ms: int) -> None:
        certain = is_certain(tier)
        many = max(round(tier.people.value * (1.0 if certain else c.share)), 1)
        zone = zone_of(c.s, tier)
        b = tier.behaviour
        swings = swings_of(people_seed(c.seed, c.world), b.common_swing.value, c.hour + c.hours)
        rules = c.limits.rules_at(opens_ms)[number]
        # a credit that never comes back is used up from the first day on
        lasting = any(rule.refill == NEVER for rule in rules)
        # without windows nothing that was asked yesterday matters
        before = DAYS_BEFORE if rules else 1
        first = 0 if lasting else max(c.hour - 24 * before, 0)
        start_s = c.start_s + HOUR_S * first
        h = habits(tier.behaviour, many, start_s, c.hour + c.hours - first, zone, swings[first:])
        self.h: Habits = h if certain else replace(h, by_draw=True)
        # each hour has a drawing of its own: by one alone every hour of a cell would stand at the same point of the
        # same weeks, and so would the few people who are in all cells
        self.drawn_by = bits(c.seed, "people of", c.world, "" if certain else c.name, c.hour) >> 1
        wanted = stretches(self.h, self.drawn_by, tier.name)
        self.scheme = Scheme(tuple(replace(rule, families=None) for rule in rules))
        self.kinds, self.reactions = kinds_of(b), stated(c.seed, c.world)
        self.now: Standing = standing(
            self.h, wanted, self.kinds, self.scheme, self.reactions, opens_ms, round(b.parallel.value)
        )
        until_ms = opens_ms + 1000 * (c.warm_s + c.hours * HOUR_S)
        self.wanted = _from_now(wanted, self.now, opens_ms, until_ms)
        if certain:
            self.wanted = _part(self.wanted, c, works_with_agents(b))


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
    key = bits(people.drawn_by, "asked") >> 1
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


def _at_places(states: Ints, scheme: Scheme, placed: Rules) -> Ints:
    """Subscribers' rows with each window at the place that it has among all windows of its limit."""
    rows = np.zeros((len(states), STATE_FIELDS), np.int64)
    places = {(rule.name, rule.refill): i for i, rule in enumerate(placed)}
    for i, rule in enumerate(scheme.windows):
        at = places[rule.name, rule.refill] * STORE_FIELDS
        rows[:, at : at + STORE_FIELDS] = states[:, i * STORE_FIELDS : (i + 1) * STORE_FIELDS]
    return rows
