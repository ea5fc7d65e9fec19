"""When incidents begin that follow load: a week of hours by UTC, as status pages show it.

Time is stretched: in an hour of weight 2 it passes twice as fast, so a memoryless time to the next incident, measured
in stretched time, gives twice as many. Weights have mean 1, so over whole weeks nothing is added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

HOUR_MS = 3_600_000
WEEK_MS = 168 * HOUR_MS
FIRST_MONDAY_MS = 4 * 24 * HOUR_MS
"""1970-01-05 began the first whole week after the epoch of UTC."""
AFTERNOON = range(14, 22)


def hour_weights(weekday_share: float, afternoon_share: float) -> Floats:
    """Weights of the 168 hours of a week from Monday 0 UTC, mean 1.

    weekday_share: of incidents that begin Monday to Friday; afternoon_share: from 14 to 22 UTC, on any day [0 to 1].
    """
    days = np.where(np.arange(7) < 5, weekday_share / 5, (1 - weekday_share) / 2)
    afternoon = np.isin(np.arange(24), AFTERNOON)
    hours = np.where(afternoon, afternoon_share / 8, (1 - afternoon_share) / 16)
    return np.outer(days, hours).reshape(-1) * 168.0


@dataclass(frozen=True)
class EvenClock:
    """Nothing is stretched."""

    def after(self, begin_ms: Ints, wait_ms: Floats) -> Ints:
        """When a wait from `begin_ms` is over, at least a millisecond later. [ms]"""
        return begin_ms + np.maximum(np.rint(wait_ms), 1.0).astype(np.int64)


@dataclass(frozen=True)
class WeekClock:
    """The week of `hour_weights`, for a simulation whose time 0 is at `epoch_ms` of UTC."""

    weights: tuple[float, ...]
    epoch_ms: int

    def after(self, begin_ms: Ints, wait_ms: Floats) -> Ints:
        """When a wait of stretched time from `begin_ms` is over, at least a millisecond later. [ms]"""
        edges = HOUR_MS * np.arange(169, dtype=np.float64)
        passed = np.concatenate([[0.0], np.cumsum(np.asarray(self.weights) * HOUR_MS)])
        in_week = (begin_ms + (self.epoch_ms - FIRST_MONDAY_MS)) % WEEK_MS
        target = np.interp(in_week, edges, passed) + wait_ms
        weeks = np.floor(target / passed[-1])
        back = np.interp(target - weeks * passed[-1], passed, edges)
        later = np.rint(weeks * WEEK_MS + back - in_week)
        return np.asarray(begin_ms + np.maximum(later, 1.0).astype(np.int64))
