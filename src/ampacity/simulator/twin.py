"""A scenario's own fleet, request by request: its people's weeks, sent to the replicas that its pools hold.

The people, their stretches of work and their windows are those that a plan looks at, so what a plan expects and what
requests then meet can be laid side by side. Replicas of a model are one cell. Capacity is that of
the best hour: nothing fails, no contract ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import utc_s
from ampacity.demand.asked import Asked, asked, fitting
from ampacity.demand.people import HOURS, habits_of, zone_of
from ampacity.demand.reactions import stated
from ampacity.demand.single_requests import OUTPUT_MEAN, single_requests
from ampacity.demand.stretches import stretches
from ampacity.inference.engines import token_budget
from ampacity.inference.replica import KV_BLOCK_TOKENS, Replica
from ampacity.policy.book import Book, compile_book
from ampacity.policy.rows import WindowRule, compile_limit
from ampacity.scenario.limit import Limit
from ampacity.scenario.placement import HOST_KV_BYTES_PER_S, Placement
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Behaviour, Tier
from ampacity.simulator.cell import CellResult, CellTier, Pool, Routing, open_cell
from ampacity.simulator.engine import PS_PER_S, KvTier, sglang, vllm
from ampacity.simulator.scripts import Scripts, joined, scripts_of_sessions, scripts_of_trace
from ampacity.simulator.step_table import step_table
from ampacity.supply.capacity import PoolCapacity, capacities
from ampacity.supply.delivery import hours_of

HOUR_PS = 3600 * PS_PER_S
OUTPUT_OF_A_STEP = 450.0
"""Output of a step of a coding agent, about. [token]"""
REPLICAS_MOST = 128
"""Replicas of a cell; more are several cells, which sampling is for."""
REQUESTS_MOST = 1_000_000
"""Requests of four weeks that are looked at one by one; of more, samples would do."""
AGENTS_FROM = 0.5
"""People of whose input at least this share is found in a cache work with agents, in sessions; others ask singly."""


@dataclass(frozen=True)
class Weeks:
    """What the people of a model met.

    result: of its cell. replicas: how many. hours: looked at. left_out: requests of more context than a replica holds,
    and those that would have followed them.
    """

    model: str
    result: CellResult
    replicas: int
    hours: int
    left_out: int

    @property
    def busy_share(self) -> float:
        """Share of the replicas' time in which an iteration ran. [0 to 1]"""
        return self.result.busy_ps / (self.replicas * self.hours * HOUR_PS)


TokensFound = Mapping[str, Mapping[str, float]]
"""Tokens of windows that state none, by tier and window."""


def twin(
    s: Scenario, found: TokensFound, seed: int = 1, hours: int = HOURS, routing: Routing | None = None
) -> list[Weeks]:
    """Let every person of a scenario work through its first weeks on its replicas, model by model.

    found: as a plan has them. hours: from the scenario's start, at most four weeks. Raises ValueError for a model of
    more replicas than a cell holds.
    """
    supply = capacities(s, hours_of(s))
    by_model: dict[str, list[Tier]] = {}
    for tier in s.tiers:
        by_model.setdefault(tier.model, []).append(tier)
    weeks = []
    for model, tiers in by_model.items():
        own = [p for p in supply if p.replica is not None and p.replica.model.name == model and p.replicas.max() >= 1]
        if own:
            weeks.append(_weeks(s, model, tiers, own, found, seed, hours, routing or Routing("soonest")))
    return weeks


def why_not(s: Scenario) -> str:
    """Why not every request of a scenario's fleet is looked at; "" where it is.

    A cell holds each model's replicas, as many in every hour, and people ask for not more than REQUESTS_MOST.
    """
    supply = [p for p in capacities(s, hours_of(s)) if p.replica is not None]
    replicas: dict[str, float] = {}
    for p in supply:
        assert p.replica is not None
        replicas[p.replica.model.name] = replicas.get(p.replica.model.name, 0.0) + float(p.replicas.max())
    in_all = sum(_requests_expected(t) for t in s.tiers)
    most = max(replicas.values(), default=0.0)
    if most == 0 or in_all == 0:
        return "nothing is served"
    if most > REPLICAS_MOST:
        return f"{most:,.0f} replicas of a model, more than {REPLICAS_MOST}"
    if in_all > REQUESTS_MOST:
        return f"about {in_all / 1e6:.2g} M requests in four weeks, more than {REQUESTS_MOST / 1e6:.2g} M"
    if any(p.replicas.min() != p.replicas.max() for p in supply):
        return "capacity changes from hour to hour"
    return ""


def _requests_expected(tier: Tier) -> float:
    """Requests of a tier in four weeks, from its output and the usual length of an answer."""
    b = tier.behaviour
    each = OUTPUT_OF_A_STEP if works_with_agents(b) else OUTPUT_MEAN
    return tier.people.value * b.active_share.value * HOURS * 3600.0 * b.output_per_s.value / each


def _weeks(
    s: Scenario,
    model: str,
    tiers: list[Tier],
    own: list[PoolCapacity],
    found: TokensFound,
    seed: int,
    hours: int,
    routing: Routing,
) -> Weeks:
    pools = tuple(_pool(p) for p in own)
    replicas = sum(p.replicas for p in pools)
    if replicas > REPLICAS_MOST:
        raise ValueError(f"{model} has {replicas} replicas; a cell holds {REPLICAS_MOST}")
    start_ms = 1000 * utc_s(s.start, zone_of(s, tiers[0]))
    most = min((p.engine.kv_blocks - 1) * KV_BLOCK_TOKENS for p in pools)
    parts = [_scripts(s, tier, number, start_ms, seed, most) for number, tier in enumerate(tiers)]
    scripts = joined([part for part, _ in parts])
    book = _book(s, tiers, found, start_ms // 1000)
    cell = open_cell(pools, scripts, routing, tuple(_tier(s, t, seed) for t in tiers), book, start_ms, seed)
    cell.run(hours * HOUR_PS)
    return Weeks(model, cell.result(), replicas, hours, sum(left for _, left in parts))


def _scripts(s: Scenario, tier: Tier, number: int, start_ms: int, seed: int, most_tokens: int) -> tuple[Scripts, int]:
    """What a tier asks, and how many requests do not fit; its subscribers are numbered beside those of other tiers.

    Who lives by an earlier clock is up before the start: what they ask until then comes with it.
    """
    h = habits_of(s, tier, round(tier.people.value), seed)
    wanted = stretches(h, seed, tier.name)
    before = sum(round(t.people.value) for t in s.tiers[: s.tiers.index(tier)]) + 1
    if works_with_agents(tier.behaviour):
        found, left_out = fitting(asked(tier.behaviour, wanted, seed, tier.name), most_tokens)
        begin_s = np.maximum(found.begin_s - start_ms / 1000.0, 0.0)
        return scripts_of_sessions(found.steps, begin_s, number, found.subscriber + before), left_out
    found, left_out = fitting(single_requests(tier.behaviour, wanted, seed, tier.name), most_tokens)
    return _singly(found, start_ms, number, before), left_out


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
    engine = (sglang if r.engine == "sglang" else vllm)(r.kv_blocks, budget, tiers=kv_tiers(p.placement, r))
    return Pool(engine, step_table(p.step, budget), int(p.replicas.max()))


def kv_tiers(p: Placement, r: Replica) -> tuple[KvTier, ...]:
    """The memory below HBM that a placement gives a replica, in blocks; every chip loads its own part of a block."""
    stated = (
        (p.host_kv, p.host_kv_bandwidth.value if p.host_kv_bandwidth else HOST_KV_BYTES_PER_S),
        (p.store_kv, p.store_kv_bandwidth.value if p.store_kv_bandwidth else HOST_KV_BYTES_PER_S),
    )
    block_bytes = KV_BLOCK_TOKENS * r.kv_bytes_per_token / r.accelerators
    tiers = (
        KvTier(int(memory.value // block_bytes), math.ceil(block_bytes / bytes_per_s * PS_PER_S))
        for memory, bytes_per_s in stated
        if memory is not None
    )
    return tuple(tier for tier in tiers if tier.blocks > 0)


def _book(s: Scenario, tiers: list[Tier], found: TokensFound, start_s: int) -> Book | None:
    """The limits of the tiers, every window counting all, as a plan has it."""
    limits: dict[str, tuple[WindowRule, ...]] = {}
    for tier in tiers:
        limit = _limit(s, tier)
        if limit is not None:
            rules = compile_limit(limit, start_s, start_s + HOURS * 3600, dict(found.get(tier.name, {})))
            limits[tier.name] = tuple(replace(r, families=None, products=None) for r in rules)
    return compile_book(limits) if limits else None


def _limit(s: Scenario, tier: Tier) -> Limit | None:
    model = s.model(tier.model)
    return s.limit(tier.limit).counting(model.name, model.family, requests=True) if tier.limit is not None else None


def _tier(s: Scenario, tier: Tier, seed: int) -> CellTier:
    name = tier.name if _limit(s, tier) is not None else None
    return CellTier(tier.name, name, writes=works_with_agents(tier.behaviour), reactions=stated(seed, 0))
