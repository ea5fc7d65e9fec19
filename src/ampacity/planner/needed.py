"""Accelerators that a tier's work at one instant takes: the one place where comparing limits asks how serving goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ampacity.scenario.scenario import Scenario
from ampacity.supply.capacity import capacities
from ampacity.supply.delivery import Hours, hours_of
from ampacity.supply.serving_point import serving_point


@dataclass(frozen=True)
class Needed:
    """What one active session at the mean pace takes. accelerator: of the first pool that serves the tier's model.
    per_session: accelerators, failures included; by tier."""

    accelerator: str
    per_session: Mapping[str, float]


def needed(s: Scenario, tiers: tuple[str, ...]) -> Needed | None:
    """Accelerators per active session of each tier, at its operating point; None where no pool serves one of them."""
    last = hours_of(s)
    supply = capacities(s, Hours(last.begins_s[-1].item(), 1))
    per_session, names = {}, []
    for name in tiers:
        tier = s.tier(name)
        for pool in supply:
            if pool.step is None or pool.step.replica.model.name != tier.model:
                continue
            point = serving_point(s, tier.behaviour, pool)
            if point is not None:
                per_session[name] = point.seconds_per_active_s / pool.replica_availability
                names.append(pool.pool.accelerator.name)
                break
        else:
            return None
    return Needed(" and ".join(dict.fromkeys(names)), per_session)
