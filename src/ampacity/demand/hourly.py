"""What a tier asks for, hour by hour: how likely a person is active, and tokens of each kind.

A person of a tier is active in an hour with a probability that follows the tier's hours per week and the shape of
the week on their own clock. Active people draw the tier's tokens per hour on average; between people, and between
the windows of one person, use is log-normal (see `window_use.py`). All people of a tier share a swing from hour to
hour, log-normal with mean one: days are not alike, and people are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import WEEK_H, hours_of_week
from ampacity.scenario import lookup
from ampacity.scenario.tier import Tier

Array = NDArray[np.float64]
HOUR_S = 3600.0
WEEKDAYS_H, HOUR_KINDS = 5 * 24, 48


@dataclass(frozen=True)
class HourlyDemand:
    """A tier's demand in consecutive hours, expected over people and swings, before any limit.

    active_share: probability that a person is active, one entry an hour [0 to 1]. kind: of each hour on these people's
    clock, see `hour_kinds`.
    uncached_input, cached_input, output: tokens of the whole tier in each hour. [token]
    """

    tier: str
    people: float
    active_share: Array
    kind: NDArray[np.int64]
    uncached_input: Array
    cached_input: Array
    output: Array


def hourly(tier: Tier, start_s: int, hours: int, time_zone: str) -> HourlyDemand:
    """Demand of a tier in `hours` hours from `start_s`; its people live by `time_zone`."""
    behaviour, people = tier.behaviour, tier.people.value
    active = active_shares(behaviour.active_share.value, behaviour.shape, time_zone, start_s, hours)
    active_s = people * active * HOUR_S
    return HourlyDemand(
        tier=tier.name,
        people=people,
        active_share=active,
        kind=hour_kinds(behaviour.shape, time_zone, start_s, hours),
        uncached_input=active_s * behaviour.uncached_per_s.value,
        cached_input=active_s * behaviour.cached_per_s.value,
        output=active_s * behaviour.output_per_s.value,
    )


def active_shares(mean: float, shape: str, time_zone: str, start_s: int, hours: int) -> Array:
    """Probability that a person is active in each hour from `start_s`, its mean over a week, at most 1. [0 to 1]"""
    local = hours_of_week(start_s, hours, clock_of(shape, time_zone))
    return np.minimum(mean * week_shape(shape)[list(local)], 1.0)


def hour_kinds(shape: str, time_zone: str, start_s: int, hours: int) -> NDArray[np.int64]:
    """Hour of the day on people's clock, 0 to 23, and 24 to 47 on weekends, of each hour from `start_s`."""
    local = np.array(hours_of_week(start_s, hours, clock_of(shape, time_zone)), dtype=np.int64)
    return np.asarray(local % 24 + np.where(local < WEEKDAYS_H, 0, 24))


def clock_of(shape: str, time_zone: str) -> str:
    """The time zone that the hours of a week's shape are counted in: the people's own; `global` follows none."""
    return "UTC" if shape == "global" else time_zone


@cache
def week_shape(name: str) -> Array:
    """Relative activity in the 168 local hours of a week from Monday 00:00, mean 1. Raises KeyError."""
    rows = [row for row in lookup.table("hour_shapes") if row["shape"] == name]
    weights = {(row["day"], int(row["hour"])): float(row["weight"]) for row in rows}
    if not weights:
        raise KeyError(name)
    week = [weights["weekday" if hour < 5 * 24 else "weekend", hour % 24] for hour in range(WEEK_H)]
    shape: Array = np.array(week) / np.mean(week)
    shape.flags.writeable = False
    return shape
