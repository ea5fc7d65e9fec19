"""A scenario's own fleet, request by request: its people's weeks, sent to the replicas that its pools hold.

The people, their stretches of work and their windows are those of the plan (`planner/whom.py`), so what a plan expects
of an hour and what requests then meet can be laid side by side. Replicas of a model are one cell. Capacity is that of
the best hour: nothing fails, no contract ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.demand.asked import Asked, asked
from ampacity.demand.reactions import stated
from ampacity.demand.single_requests import single_requests
from ampacity.demand.stretches import stretches
from ampacity.inference.engines import token_budget
from ampacity.planner.answer import Carried
from ampacity.planner.limits import ModelLoad
from ampacity.planner.people import HOURS, habits_of
from ampacity.planner.question import limit_of
from ampacity.policy.book import Book, compile_book
from ampacity.policy.rows import WindowRule, compile_limit
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Behaviour, Tier
from ampacity.simulator.cell import CellResult, CellTier, Pool, Routing, open_cell
from ampacity.simulator.engine import PS_PER_S, sglang, vllm
from ampacity.simulator.scripts import Scripts, joined, scripts_of_sessions, scripts_of_trace
from ampacity.simulator.step_table import step_table
from ampacity.supply.capacity import PoolCapacity

HOUR_PS = 3600 * PS_PER_S
REPLICAS_MOST = 128
"""Replicas of a cell; more are several cells, which sampling is for."""
AGENTS_FROM = 0.5
"""People of whose input at least this share is found in a cache work with agents, in sessions; others ask singly."""


@dataclass(frozen=True)
class Weeks:
    """What the people of a model met. result: of its cell. replicas: how many. hours: looked at."""

    model: str
    result: CellResult
    replicas: int
    hours: int

    @property
    def busy_share(self) -> float:
        """Share of the replicas' time in which an iteration ran. [0 to 1]"""
        return self.result.busy_ps / (self.replicas * self.hours * HOUR_PS)


def twin(s: Scenario, a: Carried, seed: int = 1, hours: int = HOURS, routing: Routing | None = None) -> list[Weeks]:
    """Let every person of a scenario work through its first weeks on its replicas.

    a: the world's limits, as `planner.answer.carried` finds them; windows that state no tokens hold those. hours: from
    the scenario's start, at most four weeks. Raises ValueError for a model of more replicas than a cell holds, or of a
    context that no replica can hold.
    """
    return [_weeks(s, load, seed, hours, routing or Routing("soonest")) for load in a.models if load.pools]


def _weeks(s: Scenario, load: ModelLoad, seed: int, hours: int, routing: Routing) -> Weeks:
    pools = tuple(_pool(p) for p in load.pools if p.replicas.max() >= 1)
    replicas = sum(p.replicas for p in pools)
    if replicas > REPLICAS_MOST:
        raise ValueError(f"{load.model} has {replicas} replicas; a cell holds {REPLICAS_MOST}")
    people = [_people(s, tier, number, seed) for number, tier in enumerate(load.tiers)]
    start_ms = people[0].start_ms
    book = _book(s, load, start_ms)
    tiers = tuple(_tier(s, tier, seed) for tier in load.tiers)
    scripts = joined([p.scripts for p in people])
    cell = open_cell(pools, scripts, routing, tiers, book, start_ms, seed)
    cell.run(hours * HOUR_PS)
    return Weeks(load.model, cell.result(), replicas, hours)


@dataclass(frozen=True)
class _People:
    """One tier's agents and the instant from which their times count."""

    scripts: Scripts
    start_ms: int


def _people(s: Scenario, tier: Tier, number: int, seed: int) -> _People:
    """What a tier asks; its subscribers are numbered beside those of other tiers."""
    h = habits_of(s, tier, round(tier.people.value), seed)
    wanted = stretches(h, seed, tier.name)
    before = sum(round(t.people.value) for t in s.tiers[: s.tiers.index(tier)]) + 1
    if works_with_agents(tier.behaviour):
        found = asked(tier.behaviour, wanted, seed, tier.name)
        begin_s = found.begin_s - h.start_ms / 1000.0
        scripts = scripts_of_sessions(found.steps, begin_s, number, found.subscriber + before)
    else:
        found = single_requests(tier.behaviour, wanted, seed, tier.name)
        scripts = _singly(found, h.start_ms, number, before)
    return _People(scripts, h.start_ms)


def works_with_agents(b: Behaviour) -> bool:
    """Whether most of the input is context that was read before: sessions of agents, not single requests."""
    return b.cached_per_s.value >= AGENTS_FROM * (b.cached_per_s.value + b.uncached_per_s.value)


def _singly(found: Asked, start_ms: int, number: int, before: int) -> Scripts:
    """Requests of no session, in the order of their instants: no cache holds anything of them."""
    at_ps: NDArray[np.int64] = np.rint((found.begin_s - start_ms / 1000.0) * 1e6).astype(np.int64) * 1_000_000
    order = np.argsort(at_ps, kind="stable")
    s = found.steps
    return scripts_of_trace(
        at_ps[order], s.input_tokens[order], s.output_tokens[order], number, found.subscriber[order] + before
    )


def _pool(p: PoolCapacity) -> Pool:
    assert p.step is not None
    assert p.placement is not None
    r = p.step.replica
    budget = token_budget(r.engine)
    # data parallel groups are one replica here, as in the step time: their blocks together
    engine = (sglang if r.engine == "sglang" else vllm)(r.kv_blocks, budget)
    return Pool(engine, step_table(p.step, budget), int(p.replicas.max()))


def _book(s: Scenario, load: ModelLoad, start_ms: int) -> Book | None:
    """The limits of the tiers, every window counting all, as the plan has it."""
    limits: dict[str, tuple[WindowRule, ...]] = {}
    begin = start_ms // 1000
    for tier in load.tiers:
        limit = limit_of(s, tier)
        if limit is not None:
            found = {w.window: w.tokens for w in load.limits if w.tier == tier.name}
            rules = compile_limit(limit, begin, begin + HOURS * 3600, found)
            limits[tier.name] = tuple(r for r in rules)
    return compile_book(limits) if limits else None


def _tier(s: Scenario, tier: Tier, seed: int) -> CellTier:
    has = limit_of(s, tier) is not None
    return CellTier(
        tier.name,
        limit=tier.name if has else None,
        writes=works_with_agents(tier.behaviour),
        reactions=stated(seed, 0),
    )
