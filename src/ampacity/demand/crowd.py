"""Drawn people of a tier with what they want in their first weeks, drawn once for everything that is asked of them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import utc_s
from ampacity.demand.at_limit import Kinds, kinds_of
from ampacity.demand.hourly import hour_kinds
from ampacity.demand.people import HOURS, people_seed, zone_of
from ampacity.demand.reactions import Reactions, stated
from ampacity.demand.stretches import Habits, Stretches, habits, stretches, swings_of
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Behaviour, Tier

CROWDS_KEPT = 4
"""Crowds that stay in memory: the tiers of one world, a few megabytes each."""


@dataclass(frozen=True)
class Crowd:
    """habits, wanted: of these people. hour_kind: of each hour on their clock. kinds: tokens per active second.
    reactions: what they do at a limit. of: all that they were drawn from."""

    habits: Habits
    wanted: Stretches
    hour_kind: NDArray[np.int64]
    kinds: Kinds
    reactions: Reactions
    of: Hashable


def crowd(s: Scenario, tier: Tier, people: int, seed: int, world: int) -> Crowd:
    """So many people of a tier, from the scenario's start on, in one world of a seed."""
    zone = zone_of(s, tier)
    return _crowd(tier.name, tier.behaviour, utc_s(s.start, zone), zone, people, seed, world)


@lru_cache(maxsize=CROWDS_KEPT)
def _crowd(name: str, b: Behaviour, start_s: int, zone: str, people: int, seed: int, world: int) -> Crowd:
    own = people_seed(seed, world)
    h = habits(b, people, start_s, HOURS, zone, swings_of(own, b.common_swing.value, HOURS))
    return Crowd(
        habits=h,
        wanted=stretches(h, own, name),
        hour_kind=hour_kinds(b.shape, zone, start_s, HOURS),
        kinds=kinds_of(b),
        reactions=stated(seed, world),
        of=(name, b, start_s, zone, people, seed, world),
    )
