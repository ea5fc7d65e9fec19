"""How much more each can have because not all are active at once, in the closed forms that the field knows.

Three independent views of what `active_load.py` finds by moments and a binomial number of lumps, and no code shared
with it: a bound from large deviations (effective bandwidth), a recursion for several classes in one link
(Kaufman-Roberts), and the gain of a team over its members alone. Here all people of a class take the same when active,
and there is no shared swing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import bdtr

Array = NDArray[np.float64]
MOST_THETA = 700.0
"""Largest exponent of a single take; the bound is within exp(-700) of its limit there."""


def effective_bandwidth(active: ArrayLike, take: ArrayLike, theta: float) -> Array:
    """Capacity that one on-off person counts as: between their mean (small theta) and their take (large theta).

    Parameters
    ----------
    active : array_like
        Probability that a person of each class is active, 0 to 1. [-]
    take : array_like
        What an active one takes, >= 0. [unit of capacity]
    theta : float
        How strictly capacity binds, > 0. [1/unit of capacity]

    Returns
    -------
    array
        log(1 - q + q exp(theta x)) / theta. [unit of capacity]

    References
    ----------
    .. [1] J. Y. Hui, Resource allocation for broadband networks, IEEE JSAC 6 (1988) 1598-1608.
    .. [2] F. P. Kelly, Notes on effective bandwidths, in: Stochastic Networks, Oxford 1996, 141-168, eq. 2.1.
    """
    q, x = np.asarray(active, dtype=np.float64), np.asarray(take, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(np.logaddexp(np.log1p(-q), np.log(q) + theta * x) / theta)


def chernoff_bound(people: ArrayLike, active: ArrayLike, take: ArrayLike, capacity: float) -> float:
    """Bound on P(load > capacity): the least of exp(K(theta) - theta capacity) over theta >= 0. [0 to 1]

    K(theta) = sum over classes of N log(1 - q + q exp(theta x)) is theta times all effective bandwidths together; its
    slope at theta is the mean load when activity is tilted by theta, so the best theta tilts it up to the capacity.

    References
    ----------
    .. [1] F. P. Kelly, Notes on effective bandwidths, 1996, eq. 3.1 (Chernoff's bound).
    """
    n, q, x = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (people, active, take))

    def tilted_excess(theta: float) -> float:
        with np.errstate(over="ignore"):
            odds_against = (1 - q) / q * np.exp(-theta * x)
        return float(np.sum(n * x / (1 + odds_against))) - capacity

    some = (n > 0) & (q > 0) & (x > 0)
    n, q, x = n[some], q[some], x[some]
    if float(np.sum(n * x)) <= capacity:
        return 0.0
    if tilted_excess(0.0) >= 0:
        return 1.0
    most = MOST_THETA / float(x.max())
    theta = brentq(tilted_excess, 0.0, most, xtol=1e-14 / float(x.max())) if tilted_excess(most) > 0 else most
    exponent = theta * (float(np.sum(n * effective_bandwidth(q, x, theta))) - capacity) if theta > 0 else 0.0
    return float(min(np.exp(exponent), 1.0))


def effective_bandwidth_factor(
    people: ArrayLike, active: ArrayLike, take: ArrayLike, capacity: float, hours_share: float
) -> float:
    """The largest factor on all takes at which Chernoff's bound promises `hours_share`; infinite if nobody takes any.

    Never more than the exact one, since the bound never promises too much.
    """
    n, q, x = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (people, active, take))
    total = float(np.sum(n * x * (q > 0)))
    if total <= 0:
        return float("inf")
    # only capacity over factor matters: between the mean load, where the bound is 1, and all at once, where it is 0
    mean = float(np.sum(n * q * x))

    def kept(room: float) -> bool:
        return chernoff_bound(n, q, x, room) <= 1.0 - hours_share

    low, high = mean, total
    while high / low > 1 + 1e-9:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if kept(middle) else (middle, high)
    return capacity / high


def kaufman_roberts(units: Sequence[int], offered: Sequence[float], capacity: int) -> Array:
    """Probabilities of 0, 1, ... `capacity` units taken, for classes of Poisson traffic on a full-access link.

    Parameters
    ----------
    units : sequence of int
        What one of each class takes, >= 1. [unit]
    offered : sequence of float
        Mean number of each class that would be there if nobody were turned away, >= 0. [erlang]
    capacity : int
        Units of the link, >= 0. Far above the mean load nobody is turned away, and the probabilities are those of
        the load itself. [unit]

    Returns
    -------
    array
        capacity + 1 probabilities that sum to 1: n p(n) = sum over classes of a b p(n - b).

    Raises
    ------
    ValueError
        If a class takes less than one unit, or the offered traffic is negative.

    References
    ----------
    .. [1] J. S. Kaufman, Blocking in a shared resource environment, IEEE Trans. Commun. 29 (1981) 1474-1481.
    .. [2] J. W. Roberts, A service system with heterogeneous user requirements, in: Performance of Data
       Communications Systems and Their Applications, North-Holland 1981, 423-431.
    """
    if any(b < 1 for b in units) or any(a < 0 for a in offered):
        raise ValueError("a class takes at least one unit, and its offered traffic is not negative")
    p = np.zeros(capacity + 1)
    p[0] = 1.0
    for n in range(1, capacity + 1):
        p[n] = sum(a * b * p[n - b] for b, a in zip(units, offered, strict=True) if b <= n) / n
        if p[n] > 1e200:
            p[: n + 1] /= p[n]
    return np.asarray(p / p.sum())


def class_blocking(units: Sequence[int], offered: Sequence[float], capacity: int) -> tuple[float, ...]:
    """Probability that one of each class finds too few free units: the last `b` states together. [0 to 1]"""
    p = kaufman_roberts(units, offered, capacity)
    return tuple(float(p[max(capacity - b + 1, 0) :].sum()) for b in units)


def most_active(people: int, active: float, hours_share: float) -> int:
    """The least number that no more people are active than, in `hours_share` of the hours: a binomial quantile."""
    counts = np.arange(people + 1)
    return int(np.argmax(bdtr(counts, people, active) >= hours_share - 1e-12))


def multiplexing_gain(people: int, active: float, hours_share: float) -> float:
    """How many times as much each of N people can have on N-fold capacity as one person alone on a single share.

    Alone, a person may always have all of it; N people share theirs among as many as are ever active at once in
    `hours_share` of the hours, at least one: N / max(1, that number). From 1, for one, up to 1 / active, for many.
    """
    return people / max(1, most_active(people, active, hours_share))
