"""How much people use in a window, and so whom a limit hits.

Inside a window that opens with its first use, a person is active for the rest of that stretch and, after it, for
their share of the week. What they use is log-normal: spread between people, and between the windows of one person;
over many stretches the latter evens out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ampacity.base.calendar import WEEK_H, WEEKDAYS
from ampacity.demand.hourly import week_shape
from ampacity.policy.rows import fresh_weight
from ampacity.scenario.limit import PeakHours, Window
from ampacity.scenario.tier import Behaviour

Array = NDArray[np.float64]
HOUR_S = 3600.0


@dataclass(frozen=True)
class WindowUse:
    """Use of one person in one window, before any limit.

    active_s: mean active time inside a window [s]. mean: weighted tokens in it. sigma_between, sigma_within: spread of
    its logarithm between people and, for one person, between windows. per_week: windows that a person opens in a week.
    """

    active_s: float
    mean: float
    sigma_between: float
    sigma_within: float
    per_week: float


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
    stretches = max(active_s / bout_s, 1.0)
    within = math.sqrt(math.log1p(math.expm1(behaviour.sigma_within.value**2) / stretches))
    return WindowUse(
        active_s=active_s,
        mean=active_s * weighted_per_s(behaviour, window),
        sigma_between=behaviour.sigma_between.value,
        sigma_within=within,
        per_week=max(share * week_s / active_s, 1.0),
    )


def refused_share(use: WindowUse, tokens: float) -> float:
    """Share of the tokens wanted that a window of `tokens` refuses: E[(U - tokens)+] / E[U] for log-normal U."""
    if tokens <= 0:
        return 1.0
    sigma = math.hypot(use.sigma_between, use.sigma_within)
    if sigma == 0:
        return max(0.0, 1.0 - tokens / use.mean)
    d = (math.log(use.mean / tokens) + sigma**2 / 2) / sigma
    return float(ndtr(d) - tokens / use.mean * ndtr(d - sigma))


@cache
def _hermite() -> tuple[Array, Array]:
    """Nodes and weights to integrate over a standard normal number."""
    z, weight = np.polynomial.hermite_e.hermegauss(40)
    return z, weight / weight.sum()


def people_hit_share(use: WindowUse, tokens: float) -> float:
    """Share of people who run into a window of `tokens` at least once in a week. [0 to 1]

    Given how heavy a user a person is, their windows are taken as independent; the heaviness is integrated over.
    """
    if tokens <= 0:
        return 1.0
    z, weight = _hermite()
    between = use.sigma_between * z - use.sigma_between**2 / 2
    log_median = math.log(use.mean) + between - use.sigma_within**2 / 2
    over = ndtr((log_median - math.log(tokens)) / max(use.sigma_within, 1e-9))
    hit = -np.expm1(use.per_week * np.log1p(-np.minimum(over, 1 - 1e-15)))
    return float(np.sum(hit * weight))
