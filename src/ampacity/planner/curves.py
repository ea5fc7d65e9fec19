"""Capacity curves of a plan: hour by hour, how much of each pool each tier may take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ampacity.planner.answer import Answer
from ampacity.planner.limits import ModelLoad
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.scenario.scenario import Scenario

Array = NDArray[np.float64]


def curves(a: Answer) -> tuple[CapacityCurve, ...]:
    """One curve for every tier and pool that serves it.

    A pool's running seconds are divided among the tiers of its model as their wants under limits are in that hour,
    and evenly where nobody is expected; tokens follow from what a tier's active hour costs on that pool.
    """
    found = []
    for load in a.models:
        shares = _shares(a, load)
        for pool in load.pools:
            seconds = pool.running_accelerators * 3600.0
            for tier, share in zip(load.tiers, shares, strict=True):
                behaviour = tier.behaviour
                active_s = seconds * share / load.points[tier.name, pool.pool.name].seconds_per_active_s
                found.append(
                    CapacityCurve(
                        tier=tier.name,
                        pool=pool.pool.name,
                        start_s=a.hours.start_s,
                        uncached_input=_whole(active_s * behaviour.uncached_per_s.value),
                        cached_input=_whole(active_s * behaviour.cached_per_s.value),
                        output=_whole(active_s * behaviour.output_per_s.value),
                    )
                )
    return tuple(found)


def capped(a: Answer, s: Scenario) -> tuple[CapacityCurve, ...]:
    """The curves of those tiers of a scenario that they cap."""
    if not any(t.capped for t in s.tiers):
        return ()
    return tuple(c for c in curves(a) if s.tier(c.tier).capped)


def _shares(a: Answer, load: ModelLoad) -> list[Array]:
    """Each tier's share of the model's capacity, by hour."""
    wanted = [next(t.served_s for t in a.tiers if t.tier == tier.name) for tier in load.tiers]
    total = sum(wanted, np.zeros(a.hours.count))
    with np.errstate(divide="ignore", invalid="ignore"):
        return [np.where(total > 0, w / total, 1.0 / len(wanted)) for w in wanted]


def _whole(tokens: Array) -> tuple[int, ...]:
    return tuple(np.floor(tokens).astype(np.int64).tolist())
