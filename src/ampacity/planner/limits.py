"""The largest limits that compute carries.

A limit is carried if, in the stated share of hours, what all active people take stays within what the pools serve.
How many are active at once follows the week's shape, each person's hours and the swing that all share
(`active_load.py`); what those active draw under all their windows at once, weeks of sessions tell (`use.py`); what an
active hour costs follows the operating point of the pools (`serving_point.py`). Windows keep their ratio: each holds
what a person collects in it at one rate per active hour, in units of the tier's weight, and the largest such rate is
sought. Beside it stands the guaranteed limit: the same if all were takers. Tiers
without windows are served as they ask.

Given the limits, use as it is today says whom they hit, and which window binds (`whom.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.demand.hourly import HourlyDemand, hourly
from ampacity.demand.window_use import window_use
from ampacity.inference.operating_point import Mix, OperatingPoint, mix_of
from ampacity.planner.active_load import largest
from ampacity.planner.question import Question, question
from ampacity.planner.use import Use, limit_of
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.supply.capacity import PoolCapacity
from ampacity.supply.delivery import Hours
from ampacity.supply.serving_point import serving_point

Array = NDArray[np.float64]


@dataclass(frozen=True)
class WindowLimit:
    """What one window of a tier can hold.

    tokens: weighted tokens that the compute carries, or that the scenario states. guaranteed: those carried if every
    active person used them up. active_s: mean active time of a person inside the window [s].
    """

    tier: str
    window: str
    length_s: float
    tokens: float
    guaranteed: float
    stated: bool
    active_s: float


@dataclass(frozen=True)
class ModelLoad:
    """Everything about one model: its tiers, its pools, what they can carry.

    points: operating point by (tier, pool), only where the tier's context fits. use: how their people draw under
    windows. question: what limits are found from,
    None where no pool serves the model. gives: of each pool with all replicas up, in accelerators of the first pool,
    [pool, hour]. seconds_per_active_s: of a tier, in
    accelerators of the model's first pool. capacity: of all pools, in the same, [hour].
    scale: rate that an active person may take, over their tier's weight, in units of today's mean rate.
    carried_share: share of hours that carry the limits. unlimited_share: of hours that carry today's use unlimited.
    """

    model: str
    tiers: tuple[Tier, ...]
    demand: tuple[HourlyDemand, ...]
    pools: tuple[PoolCapacity, ...]
    points: dict[tuple[str, str], OperatingPoint]
    use: Use
    question: Question | None
    gives: Array
    seconds_per_active_s: Array
    capacity: Array
    scale: float
    carried_share: float
    unlimited_share: float
    limits: tuple[WindowLimit, ...]


def model_loads(
    s: Scenario, hours: Hours, supply: tuple[PoolCapacity, ...], seed: int, world: int, *, guarantee: bool | None = True
) -> tuple[ModelLoad, ...]:
    """Largest limits for every model that some tier uses; without `guarantee` the guaranteed ones are left at 0.

    guarantee None: no limit is sought, so nobody's weeks are looked at; what is carried with no limit is told.
    """
    models = dict.fromkeys(tier.model for tier in s.tiers)
    return tuple(_model_load(s, model, hours, supply, (seed, world), guarantee) for model in models)


def _model_load(
    s: Scenario,
    model: str,
    hours: Hours,
    supply: tuple[PoolCapacity, ...],
    drawn_by: tuple[int, int],
    guarantee: bool | None,
) -> ModelLoad:
    tiers = tuple(t for t in s.tiers if t.model == model)
    zone = s.sites[0].time_zone
    demand = tuple(hourly(t, hours.start_s, hours.count, t.time_zone or zone) for t in tiers)
    own = [p for p in supply if p.replica is not None and p.replica.model.name == model]
    points = _points(s, tiers, own)
    use = Use(s, tiers, *drawn_by)
    pools = tuple(p for p in own if all((t.name, p.pool.name) in points for t in tiers))
    if not pools:
        nothing = np.zeros(hours.count)
        limits = tuple(w for t in tiers for w in windows_of(s, t, 0.0, 0.0))
        return ModelLoad(
            model,
            tiers,
            demand,
            (),
            points,
            use,
            None,
            nothing[None],
            np.ones(len(tiers)),
            nothing,
            0.0,
            0.0,
            0.0,
            limits,
        )

    first = pools[0].pool.name
    cost = np.array([points[t.name, first].seconds_per_active_s for t in tiers])
    # a pool counts by how fast it does the tiers' work, averaged over their demand, against the first pool
    weight = np.array([d.people * d.active_share.mean() for d in demand]) * cost
    if not weight.any():  # nobody is there: a pool is as fast for one of each tier
        weight = cost
    speed = []
    for pool in pools:
        own_cost = np.array([points[t.name, pool.pool.name].seconds_per_active_s for t in tiers])
        speed.append(float(np.sum(weight) / np.sum(weight * own_cost / cost)))
    running = sum((p.running_accelerators * v for p, v in zip(pools, speed, strict=True)), np.zeros(hours.count))
    gives = np.stack([_placed(p) * v for p, v in zip(pools, speed, strict=True)])
    asked = question(use, demand, cost, gives.sum(axis=0), pools)
    found = _largest(asked, s.service_level.hours.value, guarantee)
    limits = tuple(w for t in tiers for w in windows_of(s, t, found.scale, found.guaranteed))
    carried = (found.carried_share, found.unlimited_share)
    return ModelLoad(
        model, tiers, demand, pools, points, use, asked, gives, cost, running, found.scale, *carried, limits
    )


@dataclass(frozen=True)
class _Found:
    scale: float
    guaranteed: float
    carried_share: float
    unlimited_share: float


def _largest(q: Question, hours_share: float, guarantee: bool | None) -> _Found:
    """The rate that limits may allow: as people use limits, and if all active people used theirs up."""
    if guarantee is None:
        return _Found(0.0, 0.0, 0.0, q.carried(q.unlimited()))
    # where every window is stated there is nothing to find
    scale, sure = q.highest, 0.0
    if q.free.any():
        scale = largest(lambda f: q.carried(q.takes(f)) >= hours_share, q.highest, start=1.0)
    if guarantee:
        sure = largest(lambda f: q.carried(q.takes(f, all_taking=True)) >= hours_share, q.highest, start=1.0)
    return _Found(scale, min(sure, scale), q.carried(q.takes(scale)), q.carried(q.unlimited()))


def _points(s: Scenario, tiers: tuple[Tier, ...], own: list[PoolCapacity]) -> dict[tuple[str, str], OperatingPoint]:
    """Operating points of all tiers on all pools; tiers of one mix share theirs."""
    points: dict[tuple[str, str], OperatingPoint] = {}
    for pool in own:
        known: dict[Mix, OperatingPoint | None] = {}
        for tier in tiers:
            mix = mix_of(tier.behaviour)
            if mix not in known:
                known[mix] = serving_point(s, tier.behaviour, pool)
            if (point := known[mix]) is not None:
                points[tier.name, pool.pool.name] = point
    return points


def _placed(pool: PoolCapacity) -> Array:
    assert pool.replica is not None
    return pool.replicas * pool.replica.accelerators


def windows_of(s: Scenario, tier: Tier, scale: float = 0.0, guaranteed: float = 0.0) -> list[WindowLimit]:
    """Tokens of each window, stated or at a scale."""
    limit = limit_of(s, tier)
    if limit is None:
        return []
    rows = []
    for w in limit.windows:
        use = window_use(tier.behaviour, w)
        tokens = w.tokens.value if w.tokens is not None else scale * tier.weight * use.mean
        rows.append(
            WindowLimit(
                tier=tier.name,
                window=w.name,
                length_s=w.length_s,
                tokens=tokens,
                guaranteed=min(guaranteed * tier.weight * use.mean, tokens if w.tokens is not None else np.inf),
                stated=w.tokens is not None,
                active_s=use.active_s,
            )
        )
    return rows
