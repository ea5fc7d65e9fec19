"""The largest limits that compute carries, by closed form.

A limit is carried if, in the stated share of hours, what all active people take stays within what the pools serve.
How many are active at once follows the week's shape, each person's hours and the swing that all share
(`active_load.py`). Of those active, *takers* use whatever a limit gives them and the others use what they use today,
up to the limit; what an active hour costs follows the operating point of the pools (`inference/`). So there is one
largest rate per active hour, in units of the tier's weight, and every window gets what a person collects in it at that
rate: rate x active time inside the window. Beside it stands the guaranteed limit: the same if all were takers. Tiers
without windows are served as they ask.

Given the limits, use as it is today (`demand/window_use.py`) says whom they hit, and which window binds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.demand.capped import capped_mean, capped_second
from ampacity.demand.hourly import HourlyDemand, hourly
from ampacity.demand.window_use import people_hit_share, refused_share, window_use
from ampacity.inference.operating_point import OperatingPoint, mix_of, operating_point
from ampacity.planner.active_load import Capacity, Sources, Takes, carried_share, largest_factor
from ampacity.scenario.limit import Limit
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.supply.capacity import PoolCapacity
from ampacity.supply.delivery import Hours

Array = NDArray[np.float64]
BINDS_ABOVE = 1e-3
"""A window binds if it refuses more than this share of the tokens that people want today."""


@dataclass(frozen=True)
class WindowLimit:
    """What one window of a tier can hold.

    tokens: weighted tokens that the compute carries, or that the scenario states. guaranteed: those carried if every
    active person used them up. active_s: mean active time of a person inside the window [s].
    refused_share: of today's wants; people_hit_share: of people, in a week [0 to 1].
    """

    tier: str
    window: str
    length_s: float
    tokens: float
    guaranteed: float
    stated: bool
    binding: bool
    active_s: float
    refused_share: float
    people_hit_share: float


@dataclass(frozen=True)
class ModelLoad:
    """Everything about one model: its tiers, its pools, what they can carry.

    points: operating point by (tier, pool), only where the tier's context fits. seconds_per_active_s: of a tier, in
    accelerators of the model's first pool. capacity: of all pools, in the same, [hour].
    scale: rate that an active person may take, over their tier's weight, in units of today's mean rate.
    carried_share: share of hours that carry the limits. unlimited_share: of hours that carry today's use unlimited.
    """

    model: str
    tiers: tuple[Tier, ...]
    demand: tuple[HourlyDemand, ...]
    pools: tuple[PoolCapacity, ...]
    points: dict[tuple[str, str], OperatingPoint]
    seconds_per_active_s: Array
    capacity: Array
    scale: float
    carried_share: float
    unlimited_share: float
    limits: tuple[WindowLimit, ...]


def model_loads(
    s: Scenario, hours: Hours, supply: tuple[PoolCapacity, ...], *, guarantee: bool = True
) -> tuple[ModelLoad, ...]:
    """Largest limits for every model that some tier uses; without `guarantee` the guaranteed ones are left at 0."""
    models = dict.fromkeys(tier.model for tier in s.tiers)
    return tuple(_model_load(s, model, hours, supply, guarantee) for model in models)


def _model_load(s: Scenario, model: str, hours: Hours, supply: tuple[PoolCapacity, ...], guarantee: bool) -> ModelLoad:
    tiers = tuple(t for t in s.tiers if t.model == model)
    zone = s.sites[0].time_zone
    demand = tuple(hourly(t, hours.start_s, hours.count, t.time_zone or zone) for t in tiers)
    own = [p for p in supply if p.replica is not None and p.replica.model.name == model]
    points: dict[tuple[str, str], OperatingPoint] = {}
    for pool in own:
        for tier in tiers:
            assert pool.replica is not None
            point = operating_point(pool.replica, mix_of(tier.behaviour), s.service_level.tpot_s)
            if point is not None:
                points[tier.name, pool.pool.name] = point
    pools = tuple(p for p in own if all((t.name, p.pool.name) in points for t in tiers))
    if not pools:
        nothing = np.zeros(hours.count)
        limits = tuple(w for t in tiers for w in _windows(s, t, 0.0, 0.0))
        return ModelLoad(model, tiers, demand, (), points, np.ones(len(tiers)), nothing, 0.0, 0.0, 0.0, limits)

    first = pools[0].pool.name
    cost = np.array([points[t.name, first].seconds_per_active_s for t in tiers])
    # a pool counts by how fast it does the tiers' work, averaged over their demand, against the first pool
    weight = np.array([d.people * d.active_share.mean() for d in demand]) * cost
    speed = []
    for pool in pools:
        own_cost = np.array([points[t.name, pool.pool.name].seconds_per_active_s for t in tiers])
        speed.append(float(np.sum(weight) / np.sum(weight * own_cost / cost)))
    running = sum((p.running_accelerators * v for p, v in zip(pools, speed, strict=True)), np.zeros(hours.count))
    whole = sum((_placed(p) * v for p, v in zip(pools, speed, strict=True)), np.zeros(hours.count))
    found = _largest(s, tiers, demand, cost, whole, pools, guarantee)
    limits = tuple(w for t in tiers for w in _windows(s, t, found.scale, found.guaranteed))
    carried = (found.carried_share, found.unlimited_share)
    return ModelLoad(model, tiers, demand, pools, points, cost, running, found.scale, *carried, limits)


def _largest(
    s: Scenario,
    tiers: tuple[Tier, ...],
    demand: tuple[HourlyDemand, ...],
    cost: Array,
    whole: Array,
    pools: tuple[PoolCapacity, ...],
    guarantee: bool,
) -> _Found:
    """The rates of the limited tiers: as people use limits, and if all active people used theirs up."""
    active = np.stack([d.active_share for d in demand], axis=1)
    replicas = sum((p.replicas for p in pools), np.zeros_like(whole))
    kinds, counts = np.unique(np.column_stack([active, whole, replicas]).round(12), axis=0, return_counts=True)
    n = len(tiers)
    capacity = Capacity(
        whole=kinds[:, n],
        replicas=kinds[:, n + 1],
        availability=float(np.mean([p.replica_availability for p in pools])),
        share=counts / counts.sum(),
    )
    people = np.array([d.people for d in demand])
    swing = float(np.average([t.behaviour.common_swing.value for t in tiers], weights=np.maximum(people, 1e-9)))
    sources = Sources(people, kinds[:, :n], swing)
    takers = np.array([t.behaviour.takers.value for t in tiers])
    rates = _Rates(s, tiers, cost)
    high = float(capacity.whole.max() / (cost * rates.weight)[rates.limited].min()) if rates.limited.any() else 0.0
    hours_share = s.service_level.hours.value
    scale = largest_factor(sources, lambda f: rates.takes(rates.allowed(f), takers), high, capacity, hours_share)
    sure = 0.0
    if guarantee:
        sure = largest_factor(sources, lambda f: rates.takes(rates.at_most(f), np.ones(n)), high, capacity, hours_share)
    carried = carried_share(sources, rates.takes(rates.allowed(scale), takers), capacity)
    unlimited = carried_share(sources, rates.takes(np.full(n, np.inf), np.zeros(n)), capacity)
    return _Found(scale, sure, carried, unlimited)


@dataclass(frozen=True)
class _Found:
    scale: float
    guaranteed: float
    carried_share: float
    unlimited_share: float


class _Rates:
    """What active people take, by tier, and the rates that limits allow them, in units of today's mean rate."""

    def __init__(self, s: Scenario, tiers: tuple[Tier, ...], cost: Array) -> None:
        spread = [(t.behaviour.sigma_between.value, t.behaviour.sigma_within.value) for t in tiers]
        self.limited = np.array([_limit(s, t) is not None for t in tiers])
        self.weight = np.array([t.weight for t in tiers])
        self.stated = np.array([_stated_rate(s, t) for t in tiers])
        self.free = np.array([any(w.tokens is None for w in getattr(_limit(s, t), "windows", ())) for t in tiers])
        self.sigma = np.maximum(np.hypot(*np.array(spread).T), 1e-6)
        # customers without windows are known ones: what varies from hour to hour is their own use
        self.own_second = np.exp(np.array([within**2 for _, within in spread]))
        self.cost = cost

    def at_most(self, factor: float) -> Array:
        """The rate at a factor, or the stated one where that is less."""
        return np.asarray(np.minimum(factor * self.weight, self.stated))

    def allowed(self, factor: float) -> Array:
        """The rate that windows allow at a factor; where all of a tier's windows are stated no factor changes it."""
        return np.where(self.free, self.at_most(factor), self.stated)

    def takes(self, rate: Array, takers: Array) -> Takes:
        """Takers use up the rate they may have; the others use what they want of it; no window, no cap."""
        cap = np.maximum(rate, 1e-12)
        finite = np.where(np.isinf(cap), 0.0, cap)
        mean = takers * finite + (1 - takers) * capped_mean(cap, self.sigma)
        second = takers * finite**2 + (1 - takers) * capped_second(cap, self.sigma)
        return Takes(
            self.cost * np.where(self.limited, mean, 1.0),
            self.cost**2 * np.where(self.limited, second, self.own_second),
        )


def _placed(pool: PoolCapacity) -> Array:
    assert pool.replica is not None
    return pool.replicas * pool.replica.accelerators


def _limit(s: Scenario, tier: Tier) -> Limit | None:
    """The limit of a tier, or None if it has none or no window in it."""
    limit = s.limit(tier.limit) if tier.limit is not None else None
    return limit if limit is not None and limit.windows else None


def _stated_rate(s: Scenario, tier: Tier) -> float:
    """The rate per active time that stated windows allow, over today's mean rate; infinite where none is stated."""
    limit = _limit(s, tier)
    rates = [np.inf]
    for w in limit.windows if limit else ():
        if w.tokens is not None:
            use = window_use(tier.behaviour, w)
            rates.append(w.tokens.value / use.mean)
    return float(min(rates))


def _windows(s: Scenario, tier: Tier, scale: float, guaranteed: float) -> list[WindowLimit]:
    """Tokens of each window at a scale, whom it hits today, and which of them binds."""
    limit = _limit(s, tier)
    if limit is None:
        return []
    rows = []
    for w in limit.windows:
        use = window_use(tier.behaviour, w)
        tokens = w.tokens.value if w.tokens is not None else scale * tier.weight * use.mean
        rows.append((w, use, tokens, refused_share(use, tokens)))
    worst = max(refused for _, _, _, refused in rows)
    return [
        WindowLimit(
            tier=tier.name,
            window=w.name,
            length_s=w.length_s,
            tokens=tokens,
            guaranteed=min(guaranteed * tier.weight * use.mean, tokens if w.tokens is not None else np.inf),
            stated=w.tokens is not None,
            binding=refused == worst and refused > BINDS_ABOVE,
            active_s=use.active_s,
            refused_share=refused,
            people_hit_share=people_hit_share(use, tokens),
        )
        for w, use, tokens, refused in rows
    ]
