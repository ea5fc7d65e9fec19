"""The people drawn of a tier, for four weeks: who they are in each world, and whose clock they live by."""

from __future__ import annotations

from ampacity.base.calendar import utc_s
from ampacity.base.streams import bits
from ampacity.demand.stretches import Habits, habits, swings_of
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier

HOURS = 4 * 168


def people_seed(seed: int, world: int) -> int:
    """What a world's people are drawn by.

    Each world has people and a shared swing of its own, which all its schemes meet: one sample of people in all worlds
    would be a common error that no interval shows.
    """
    return bits(seed, "people", world) if world else seed


def zone_of(s: Scenario, tier: Tier) -> str:
    """Whose clock a tier follows: its own, or the first site's."""
    return tier.time_zone or s.sites[0].time_zone


def habits_of(s: Scenario, tier: Tier, people: int, drawn_by: int) -> Habits:
    """The habits of so many people of a tier from the scenario's start on. drawn_by: see `people_seed`."""
    zone = zone_of(s, tier)
    swings = swings_of(drawn_by, tier.behaviour.common_swing.value, HOURS)
    return habits(tier.behaviour, people, utc_s(s.start, zone), HOURS, zone, swings)
