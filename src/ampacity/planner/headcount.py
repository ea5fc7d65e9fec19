"""How many people limits carry: the largest number of subscribers, all tiers alike, at limits as stated."""

from __future__ import annotations

from collections.abc import Callable

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


def people_carried(
    s: Scenario, load: ModelLoad, keep: Callable[[PoolCapacity], bool] = lambda _: True, *, others: bool = True
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
    times = largest(lambda f: q.carried(q.stated, q.takers, f) >= hours_share, MOST_TIMES, start=1.0, precision=1e-2)
    return times * people_of(load)
