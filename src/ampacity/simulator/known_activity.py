"""What is known of every cell-hour before any is looked at: how long its people are expected to be active.

The same habits, weights of hours and shared swing that looks draw from, without a draw of a person. Looks happen to see
busy hours or quiet ones: that their activity adds up to that of all cell-hours takes this out again (a combined ratio
estimator [1]_).

References
----------
.. [1] W. G. Cochran, Sampling Techniques, 3rd ed., 1977, sec. 6.11.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.demand.active_time import active_hours
from ampacity.demand.people import zone_of
from ampacity.demand.stretches import habits, swings_of
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.simulator.strata import Look

Floats = NDArray[np.float64]

LEAST = 0.1
"""Of all activity that each replicate's looks must add up to, so that they can be weighed by themselves."""


@dataclass(frozen=True)
class Known:
    """active: of all people of a tier whom a pool serves, [pool, tier, hour] [hours of activity]. replicas: that are
    there, [pool, hour]; cells share the activity by them."""

    active: Floats
    replicas: Floats

    @property
    def whole(self) -> Floats:
        """Of all cell-hours, [pool, tier]."""
        return np.asarray(self.active.sum(axis=2))

    def of(self, one: Look) -> Floats:
        """Of the cell-hour that is looked at, [tier]; 0 where its replicas are not there."""
        there = float(self.replicas[one.pool, one.hour])
        mine = min(max(there - one.first, 0.0), float(one.replicas))
        return np.asarray(self.active[one.pool, :, one.hour] * (mine / max(there, 1.0)))


def known_activity(
    s: Scenario, tiers: Sequence[tuple[Tier, ...]], share: Floats, replicas: Floats, start_s: int, drawn_by: int
) -> Known:
    """Of the first hours of a fleet.

    tiers: of each pool; others of the scenario's have no activity there. share: of its model's work that a pool is
    given, [pool, hour]. replicas: that are there, [pool, hour]. start_s: when hours begin. drawn_by: of the swing that
    all people share, see `people_seed`.
    """
    hours = share.shape[1]
    active = np.zeros((len(tiers), len(s.tiers), hours))
    for number, tier in enumerate(s.tiers):
        swings = swings_of(drawn_by, tier.behaviour.common_swing.value, hours)
        each = active_hours(habits(tier.behaviour, 1, start_s, hours, zone_of(s, tier), swings))
        for pool, own in enumerate(tiers):
            if tier in own:
                active[pool, number] = tier.people.value * each * share[pool] * (replicas[pool] >= 1)
    return Known(active, replicas)


@dataclass(frozen=True)
class Factors:
    """By what looks count besides their cell-hours. together: all looks in one, [pool, tier]. each: those of a
    replicate, [replicate, pool, tier]. apart: where replicates are weighed by themselves, [pool, tier]."""

    together: Floats
    each: Floats
    apart: NDArray[np.bool_]


def no_factors(replicates: int, pools: int, tiers: int) -> Factors:
    """Looks count by their cell-hours alone."""
    return Factors(np.ones((pools, tiers)), np.ones((replicates, pools, tiers)), np.ones((pools, tiers), dtype=bool))


def factors(whole: Floats, each: Floats) -> Factors:
    """Activity of all cell-hours over that of looks.

    whole: [pool, tier]. each: what the looks of each replicate add up to by their cell-hours, [replicate, pool, tier].
    Where a replicate has less than LEAST of the whole (a pool that is there for few hours), it says next to nothing of
    what is asked for so much activity: replicates count there as all looks together do, and differ by what they
    happened to see. Where nothing was active in any look, by 1.
    """
    mean = each.mean(axis=0)
    together = np.divide(whole, mean, out=np.ones_like(whole), where=mean > 0)
    apart = np.asarray((each >= LEAST * whole).all(axis=0))
    own = np.divide(whole, each, out=np.ones_like(each), where=each > 0)
    return Factors(together, np.where(apart, own, together), apart)
