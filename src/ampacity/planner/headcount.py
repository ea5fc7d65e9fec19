"""How many people limits carry: the largest number of subscribers, all tiers alike, at limits as stated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ampacity.planner.active_load import largest
from ampacity.planner.limits import ModelLoad
from ampacity.planner.question import question
from ampacity.planner.use import Use
from ampacity.supply.capacity import PoolCapacity

MOST_TIMES = 1e4
"""No headcount is sought beyond so many times the people of the scenario."""


def people_of(load: ModelLoad) -> float:
    """People of the tiers that have windows."""
    if load.question is None:
        return 0.0
    return float(load.question.sources.people[load.question.limited].sum())


def people_per_mw(load: ModelLoad, keep: Callable[[PoolCapacity], bool]) -> float | None:
    """How many more people one more megawatt of servers of the kept pools carries; None where power is not known.

    A twentieth more of those pools, over the server power of that twentieth at nameplate.
    """
    chosen = np.array([keep(pool) for pool in load.pools])
    chips = [pool.pool.accelerator for pool in load.pools]
    watts = [
        float(p.delivered.max()) * c.server_w.value if c.server_w else 0.0
        for p, c in zip(load.pools, chips, strict=True)
    ]
    mw = float(np.sum(np.array(watts) * chosen)) / 1e6
    if mw <= 0:
        return None
    more = replace(load, gives=load.gives * np.where(chosen, 1.05, 1.0)[:, None])
    return (people_carried(more, precision=1e-4) - people_carried(load, precision=1e-4)) / (0.05 * mw)


def people_carried(
    load: ModelLoad,
    keep: Callable[[PoolCapacity], bool] = lambda _: True,
    *,
    use: Use | None = None,
    others: bool = True,
    precision: float = 1e-2,
) -> float:
    """The most people of limited tiers, in the scenario's mix, whose stated limits the kept pools carry.

    use: how people draw under other limits than the load's. others: whether customers without windows are served beside
    them, as they are; where these alone are too many, nobody is carried.
    """
    kept = [i for i, pool in enumerate(load.pools) if keep(pool)]
    if not kept or load.question is None:
        return 0.0
    whole = load.gives[kept].sum(axis=0)
    pools = tuple(load.pools[i] for i in kept)
    q = question(use or load.question.use, load.demand, load.seconds_per_active_s, whole, pools)
    if not others:
        q = q.without_others()
    service_level, takes = q.use.s.service_level.hours.value, q.takes(math.inf)
    times = largest(lambda f: q.carried(takes, f) >= service_level, MOST_TIMES, start=1.0, precision=precision)
    people = times * people_of(load)
    return people if people >= 1 else 0.0
