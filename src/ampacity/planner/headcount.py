"""How many people limits carry: the largest number of subscribers, all tiers alike, at limits as stated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ampacity.planner.active_load import largest
from ampacity.planner.limits import ModelLoad
from ampacity.planner.question import question
from ampacity.scenario.scenario import Scenario
from ampacity.supply.capacity import PoolCapacity

MOST_TIMES = 1e4
"""No headcount is sought beyond so many times the people of the scenario."""


def people_of(load: ModelLoad) -> float:
    """People of the tiers that have windows."""
    if load.question is None:
        return 0.0
    return float(load.question.sources.people[load.question.limited].sum())


def people_per_mw(s: Scenario, load: ModelLoad, keep: Callable[[PoolCapacity], bool]) -> float | None:
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
    return (people_carried(s, more, precision=1e-4) - people_carried(s, load, precision=1e-4)) / (0.05 * mw)


def people_carried(
    s: Scenario,
    load: ModelLoad,
    keep: Callable[[PoolCapacity], bool] = lambda _: True,
    *,
    others: bool = True,
    precision: float = 1e-2,
) -> float:
    """The most people of limited tiers, in the scenario's mix, whose limits are carried by the pools that are kept.

    s: whose limits count; it may differ from the load's in its limits alone. others: whether customers without windows
    are served beside them, as they are; where these alone are too many, nobody is carried.
    """
    kept = [i for i, pool in enumerate(load.pools) if keep(pool)]
    if not kept or load.question is None:
        return 0.0
    tiers = tuple(s.tier(t.name) for t in load.tiers)
    whole = load.gives[kept].sum(axis=0)
    q = question(s, tiers, load.demand, load.seconds_per_active_s, whole, tuple(load.pools[i] for i in kept))
    if not others:
        q = q.without_others()
    hours_share = s.service_level.hours.value
    times = largest(
        lambda f: q.carried(q.stated, q.takers, f) >= hours_share, MOST_TIMES, start=1.0, precision=precision
    )
    people = times * people_of(load)
    return people if people >= 1 else 0.0
