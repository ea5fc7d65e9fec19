"""How much people use in a window on average, in closed form.

Inside a window that opens with its first use, a person is active for the rest of that stretch and, after it, for
their share of the week. What windows do to people together, `at_limit.py` finds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ampacity.base.calendar import WEEK_H, WEEKDAYS
from ampacity.demand.hourly import week_shape
from ampacity.policy.rows import fresh_weight
from ampacity.scenario.limit import PeakHours, Window
from ampacity.scenario.tier import Behaviour

HOUR_S = 3600.0


@dataclass(frozen=True)
class WindowUse:
    """Use of one person in one window, before any limit.

    active_s: mean active time inside a window [s]. mean: weighted tokens in it.
    """

    active_s: float
    mean: float


def weighted_per_s(behaviour: Behaviour, window: Window) -> float:
    """Weighted tokens of an active person, as the window counts them, averaged over peak and other hours. [token/s]

    Uncached input counts by `fresh_weight`.
    """
    w = window.weights
    uncached = fresh_weight(w.uncached_input, w.cache_write)
    b = behaviour
    plain = uncached * b.uncached_per_s.value + w.cache_read * b.cached_per_s.value + w.output * b.output_per_s.value
    if window.peak is None:
        return plain
    return plain * (1.0 + (window.peak.multiplier.value - 1.0) * peak_share(behaviour.shape, window.peak))


def peak_share(shape: str, peak: PeakHours) -> float:
    """Share of the week's activity in peak hours; people's clock is taken to be the one of the peak. [0 to 1]"""
    week = week_shape(shape)
    begin, end = peak.begin.hour + peak.begin.minute / 60, peak.end.hour + peak.end.minute / 60
    days = [WEEKDAYS.index(day) for day in peak.days]
    until = end if end > begin else end + 24.0  # over midnight, into the day after
    covered = np.array([max(0.0, min(until, h + 1) - max(begin, h)) for h in range(48)])
    twice = np.concatenate([week, week])
    inside = sum(float(twice[24 * day : 24 * day + 48] @ covered) for day in days)
    return inside / float(week.sum())


def window_use(behaviour: Behaviour, window: Window) -> WindowUse:
    """Use of a window by a person of this behaviour. A credit (`never`) is looked at over a week."""
    week_s = WEEK_H * HOUR_S
    length_s = window.length_s if window.refill != "never" else week_s
    bout_s, share = behaviour.bout_s.value, behaviour.active_share.value
    if window.refill == "at-first-use":
        stretch = min(bout_s, length_s)
        active_s = stretch + (length_s - stretch) * share
    else:
        active_s = length_s * share
    return WindowUse(active_s, active_s * weighted_per_s(behaviour, window))
