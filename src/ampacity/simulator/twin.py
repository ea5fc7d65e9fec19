"""A scenario's own fleet, request by request: its people's weeks, sent to the replicas that its pools hold.

The people, their stretches of work and their windows are those that a plan looks at, so what a plan expects and what
requests then meet can be laid side by side. Replicas of a model are one cell. Capacity is that of
the best hour: nothing fails, no contract ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import WEEK_H, utc_s
from ampacity.demand.asked import Asked, asked, fitting
from ampacity.demand.people import HOURS, habits_of, zone_of
from ampacity.demand.resting import works_with_agents
from ampacity.demand.single_requests import OUTPUT_MEAN, single_requests
from ampacity.demand.stretches import stretches
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.simulator.cell_result import NOT_SCALED, CellResult
from ampacity.simulator.cell_terms import Routing
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.limits_in_time import TokensFound, limits_in_time
from ampacity.simulator.model_cell import ModelCell, context_most, follows, replicas_in, serving
from ampacity.simulator.of_scenario import OtherMix, cap_of, cell_tier, other_mixes
from ampacity.simulator.scripts import Scripts, joined, scripts_of_sessions, scripts_of_trace
from ampacity.simulator.shedding import quanta, room_of, shedding
from ampacity.supply.capacity import PoolCapacity, capacities
from ampacity.supply.delivery import hours_of

HOUR_PS = 3600 * PS_PER_S
OUTPUT_OF_A_STEP = 450.0
"""Output of a step of a coding agent, about. [token]"""
REPLICAS_MOST = 128
"""Replicas of a cell; more are several cells, which sampling is for."""
REQUESTS_MOST = 2_000_000
"""Requests of four weeks that are looked at one by one; of more, samples would do."""
NOTHING_SERVED = "nothing is served"
TOO_LONG = "of more context than a replica holds, or that would have followed one"


@dataclass(frozen=True)
class Weeks:
    """What the people of a model met.

    result: of its cell. replicas: how many. hours: looked at. left_out: requests of more context than a replica holds,
    and those that would have followed them. other_mixes: of tiers whose plan counts another mix of tokens. short_hours:
    hours in which a request was refused for want of capacity. hit: people whom each window stopped in a whole week, on
    the mean, by tier and window; nothing where no week was whole. unscaled: replicas of pools that do not follow the
    load, beside one that does.
    """

    model: str
    result: CellResult
    replicas: int
    hours: int
    left_out: int
    other_mixes: tuple[OtherMix, ...] = ()
    short_hours: int = 0
    hit: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    unscaled: int = 0

    @property
    def carried_share(self) -> float:
        """Share of the hours in which no request was refused for want of capacity. [0 to 1]"""
        return 1.0 - self.short_hours / self.hours

    @property
    def replicas_there(self) -> float:
        """How many there were on the mean: fewer than `replicas` where they come and go with the load."""
        scaled = self.result.scaled
        return self.replicas if scaled == NOT_SCALED else self.unscaled + scaled.here_ps / (self.hours * HOUR_PS)

    @property
    def busy_share(self) -> float:
        """Share of the time of the replicas that were there in which an iteration ran. [0 to 1]"""
        return self.result.busy_ps / (self.replicas_there * self.hours * HOUR_PS)


def twin(
    s: Scenario,
    found: TokensFound,
    seed: int = 1,
    hours: int = HOURS,
    routing: Routing | None = None,
    curves: Sequence[CapacityCurve] = (),
) -> list[Weeks]:
    """Let every person of a scenario work through its first weeks on its replicas, model by model.

    found: as a plan has them. hours: from the scenario's start, at most four weeks. routing: None: replicas take what
    they can do well, the others wait, not for long (`shedding.py`). curves: of the plan, for capped tiers. Raises
    ValueError for a model of more replicas than a cell holds.
    """
    found_weeks, mixes = [], other_mixes(s)
    for m in model_cells(s, found, seed, routing, curves):
        cell = m.open()
        short, refused, weeks = 0, 0, []
        for hour in range(1, hours + 1):
            before = refused
            cell.run(hour * HOUR_PS)
            refused = cell.result().overloaded()
            short += refused > before
            if hour % WEEK_H == 0:
                weeks.append(cell.take_hits())
        own = tuple(mix for mix in mixes if mix.tier in [t.name for t in m.tiers])
        replicas, left_out = sum(m.replicas_of), sum(m.left_out.values())
        unscaled = replicas - m.replicas_of[m.scaling.pool] if m.scaling is not None else 0
        found_weeks.append(
            Weeks(m.model, cell.result(), replicas, hours, left_out, own, short, _hit(m, weeks), unscaled)
        )
    return found_weeks


def _hit(m: ModelCell, weeks: list[NDArray[np.int64]]) -> dict[str, dict[str, float]]:
    """People whom each window stopped in a week, on the mean, by tier and window."""
    if not weeks:
        return {}
    mean = np.mean(weeks, axis=0)
    return {
        tier.name: {m.window(i, place): float(mean[i, place]) for place in range(m.windows(i))}
        for i, tier in enumerate(m.tiers)
        if m.windows(i)
    }


def model_cells(
    s: Scenario,
    found: TokensFound,
    seed: int = 1,
    routing: Routing | None = None,
    curves: Sequence[CapacityCurve] = (),
) -> list[ModelCell]:
    """The replicas of every model of a scenario, and the people who will ask them for four weeks; as in `twin`."""
    supply = capacities(s, hours_of(s))
    by_model: dict[str, list[Tier]] = {}
    for tier in s.tiers:
        by_model.setdefault(tier.model, []).append(tier)
    cells = []
    for model, tiers in by_model.items():
        if own := serving(supply, model):
            usual = shedding([room_of(s, tiers, p) for p in own], [replicas_in(p) for p in own])
            cells.append(_model_cell(s, model, tiers, own, found, seed, routing or usual, curves))
    return cells


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
        return NOTHING_SERVED
    if most > REPLICAS_MOST:
        return f"{most:,.0f} replicas of a model, more than {REPLICAS_MOST}"
    if in_all > REQUESTS_MOST:
        return f"about {in_all / 1e6:.2g} M requests in four weeks, more than {REQUESTS_MOST / 1e6:.2g} M"
    following = [p.replica.model.name for p in supply if p.replica is not None and follows(p) is not None]
    if len(following) > len(set(following)):
        return "several pools of a model follow the load"
    if any(p.replicas.min() != p.replicas.max() for p in supply):
        return "capacity changes from hour to hour"
    return ""


def _requests_expected(tier: Tier) -> float:
    """Requests of a tier in four weeks, from its output and the usual length of an answer."""
    b = tier.behaviour
    each = OUTPUT_OF_A_STEP if works_with_agents(b) else OUTPUT_MEAN
    return tier.people.value * b.active_share.value * HOURS * 3600.0 * b.output_per_s.value / each


def _model_cell(
    s: Scenario,
    model: str,
    tiers: list[Tier],
    own: tuple[PoolCapacity, ...],
    found: TokensFound,
    seed: int,
    routing: Routing,
    curves: Sequence[CapacityCurve],
) -> ModelCell:
    if (replicas := sum(replicas_in(p) for p in own)) > REPLICAS_MOST:
        raise ValueError(f"{model} has {replicas} replicas; a cell holds {REPLICAS_MOST}")
    start_ms = 1000 * utc_s(s.start, zone_of(s, tiers[0]))
    limits = limits_in_time(s, tiers, found)
    parts = [_scripts(s, tier, number, start_ms, seed, context_most(own)) for number, tier in enumerate(tiers)]
    return ModelCell(
        model=model,
        supply=own,
        scripts=joined([part for part, _ in parts]),
        routing=routing,
        tiers=tuple(
            replace(cell_tier(t, limits, seed), quantum=q, cap=cap_of(t, curves, [p.pool.name for p in own]))
            for t, q in zip(tiers, quanta(tiers), strict=True)
        ),
        limits=limits,
        epoch_ms=start_ms,
        seed=seed,
        left_out={TOO_LONG: sum(left for _, left in parts)},
    )


def _scripts(s: Scenario, tier: Tier, number: int, start_ms: int, seed: int, most_tokens: int) -> tuple[Scripts, int]:
    """What a tier asks, and how many requests do not fit; its subscribers are numbered beside those of other tiers.

    Who lives by an earlier clock is up before the start: what they ask until then comes with it.
    """
    h = habits_of(s, tier, round(tier.people.value), seed)
    wanted = stretches(h, seed, tier.name)
    before = sum(round(t.people.value) for t in s.tiers[: s.tiers.index(tier)]) + 1
    if works_with_agents(tier.behaviour):
        found, left_out = fitting(
            asked(tier.behaviour, wanted, seed, tier.name, window_tokens=s.model(tier.model).context_tokens),
            most_tokens,
        )
        begin_s = np.maximum(found.begin_s - start_ms / 1000.0, 0.0)
        return scripts_of_sessions(found.steps, begin_s, number, found.subscriber + before), left_out
    found, left_out = fitting(single_requests(tier.behaviour, wanted, seed, tier.name), most_tokens)
    return _singly(found, start_ms, number, before), left_out


def _singly(found: Asked, start_ms: int, number: int, before: int) -> Scripts:
    """Requests of no session, in the order of their instants: no cache holds anything of them."""
    at_ps: NDArray[np.int64] = np.rint((found.begin_s - start_ms / 1000.0) * 1e6).astype(np.int64) * 1_000_000
    order = np.argsort(at_ps, kind="stable")
    s = found.steps
    return scripts_of_trace(
        at_ps[order], s.input_tokens[order], s.output_tokens[order], number, found.subscriber[order] + before
    )
