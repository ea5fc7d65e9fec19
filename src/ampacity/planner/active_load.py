"""What all active people take together: its distribution, and the share of hours that carry it.

Given the swing that all share, every person is active or not on their own, and takes something of known mean and
second moment. A binomial number of equal lumps stands for the sum: same mean, same variance, and a lump that is the
load-weighted mean of the amounts taken, as in Hayward's approximation of peaked traffic [1]_. Where all take the
same it is exact; how far it is off elsewhere, a Monte Carlo oracle in the tests says.

References
----------
.. [1] A. A. Fredericks, Congestion in blocking systems: a simple approximation technique, BSTJ 59 (1980) 805-827.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

Array = NDArray[np.float64]

SWING_Z = np.linspace(-4.0, 4.0, 33)
SWING_WEIGHT = np.exp(-(SWING_Z**2) / 2) / np.exp(-(SWING_Z**2) / 2).sum()
"""The shared swing as 33 evenly spaced standard normal values and their weights."""
MOST_DOWN = 8
PRECISION = 2e-3
"""Relative precision to which a largest number is found; its interval from unknown inputs is far wider."""


@dataclass(frozen=True)
class Sources:
    """The people of some tiers, in each kind of hour.

    people: number of people of each tier. active: probability that one is active, [hour, tier]. swing: standard
    deviation of the logarithm of the shared swing.
    """

    people: Array
    active: Array
    swing: float


@dataclass(frozen=True)
class Takes:
    """What one active person of each tier takes: mean, second moment, in units of capacity. [tier] or [hour, tier]"""

    mean: Array
    second: Array


@dataclass(frozen=True)
class Capacity:
    """What can be taken in each kind of hour, and how often that hour occurs.

    whole: with all replicas up, [hour]. replicas: how many. availability: of one replica. share: of hours, sums to 1.
    """

    whole: Array
    replicas: Array
    availability: float
    share: Array

    @cached_property
    def states(self) -> list[tuple[Array, Array]]:
        """States of failure: shares of replicas down and their probabilities, each [hour].

        Where more than two replicas are down on average, the mean alone stands for all states.
        """
        n, p = self.replicas, 1.0 - self.availability
        few = n * p <= 2.0
        chance, total, states = np.ones(len(n)), np.zeros(len(n)), []
        for d in range(MOST_DOWN + 1):
            total = total + chance
            states.append((np.minimum(d / np.maximum(n, 1.0), 1.0), chance))
            chance = chance * np.maximum(n - d, 0.0) / (d + 1) * p / max(1.0 - p, 1e-12)
        found = []
        for d, (down, weight) in enumerate(states):
            weight = np.where(few, weight / total, 1.0 if d == 0 else 0.0)
            if weight.max() > 1e-7:
                found.append((np.where(few, down, p), weight))
        return found


def carried_share(sources: Sources, takes: Takes, capacity: Capacity) -> float:
    """Share of hours in which the load stays within capacity. [0 to 1]"""
    # axes: hour, swing, tier
    active = np.minimum(sources.active[:, None, :] * _swings(sources.swing)[None, :, None], 1.0)
    each, each_second = (np.atleast_2d(sources.people * m)[:, None, :] for m in (takes.mean, takes.second))
    mean = (active * each).sum(axis=2)
    second = (active * each_second).sum(axis=2)
    squares = (active**2 * each * np.atleast_2d(takes.mean)[:, None, :]).sum(axis=2)
    number = active @ sources.people
    with np.errstate(divide="ignore", invalid="ignore"):
        unlike = np.where(mean > 0, np.clip(1.0 - mean**2 / (second * number), 0.0, 1.0), 0.0)
    nobody = np.exp(np.log1p(-np.minimum(active, 1.0 - 1e-12)) @ sources.people)
    by_hour = np.zeros(len(capacity.whole))
    for down, chance in capacity.states:
        left = (capacity.whole * (1.0 - down))[:, None]
        # with nothing left, only an hour in which nobody is active is carried, however little they take
        within = np.where(left > 0, _lumps_within(mean, second, squares, left, unlike), nobody)
        by_hour += chance * (within @ SWING_WEIGHT)
    return float(np.dot(by_hour, capacity.share))


def largest(
    holds: Callable[[float], bool], high: float, start: float | None = None, precision: float = PRECISION
) -> float:
    """The largest number up to `high` for which something holds that holds for all smaller ones too; 0 if for none.

    It is sought from `start` by doubling and bisection.
    """
    if high <= 0:
        return 0.0
    low = min(high, start or high * 1e-3)
    up = low
    while not holds(low):
        up, low = low, low / 4
        if low < high * 1e-18:
            return 0.0
    while up <= low or holds(up):
        low = max(low, up)
        if low >= high:
            return high
        up = min(low * 2, high)
    while up / low > 1 + precision:
        middle = (low * up) ** 0.5
        low, up = (middle, up) if holds(middle) else (low, middle)
    return low


def largest_factor(
    sources: Sources, takes: Callable[[float], Takes], high: float, capacity: Capacity, hours_share: float
) -> float:
    """The largest factor, up to `high`, at which `takes(factor)` is carried in `hours_share` of the hours."""
    return largest(lambda factor: carried_share(sources, takes(factor), capacity) >= hours_share, high)


def _swings(sd: float) -> Array:
    """The shared swing at its nodes: log-normal, mean one."""
    raw = np.exp(sd * SWING_Z)
    return np.asarray(raw / np.dot(raw, SWING_WEIGHT))


def _lumps_within(mean: Array, second: Array, squares: Array, capacity: Array, unlike: Array) -> Array:
    """P(load <= capacity) for a binomial number of equal lumps with the load's moments.

    Whole lumps fit where all take the same (`unlike` 0); the more takes differ, the more a part of a lump counts too.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        lump = np.where(mean > 0, second / mean, 1.0)
        chance = np.clip(np.where(second > 0, squares / second, 0.5), 1e-9, 1.0)
        number = np.where(mean > 0, mean / (lump * chance), 0.0)
    fits = np.floor(capacity / lump * (1 + 1e-12) + 1e-9)
    parts = np.maximum(fits + unlike * (capacity / lump - fits - 0.5), -1.0 + 1e-9)
    inside = betainc(np.maximum(number - parts, 1e-9), parts + 1.0, 1.0 - chance)
    return np.where(fits < 0, 0.0, np.where(fits >= number - 1e-9, 1.0, inside))
