"""Moments of log-normal use under a cap: what people take of a limit when they want X and may have c."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]


def capped_mean(cap: ArrayLike, sigma: ArrayLike) -> Array:
    """E[min(X, c)] for log-normal X with mean 1 and spread sigma > 0 of its logarithm; c > 0 in units of the mean."""
    c, s = np.asarray(cap, dtype=np.float64), np.asarray(sigma, dtype=np.float64)
    below, above = _parts(c, s)
    return below + np.where(np.isinf(c), 0.0, np.where(np.isinf(c), 1.0, c) * above)


def capped_second(cap: ArrayLike, sigma: ArrayLike) -> Array:
    """E[X min(X, c)], in units of the mean squared: second moment of an hour's use under a window's cap.

    Whoever wants more than the cap does not slow down: they draw X until nothing is left, in c/X of the time.
    """
    c, s = np.asarray(cap, dtype=np.float64), np.asarray(sigma, dtype=np.float64)
    with np.errstate(divide="ignore"):
        squares_below = np.exp(s**2) * ndtr((np.log(c) - 1.5 * s**2) / s)
    below, _ = _parts(c, s)
    return squares_below + np.where(np.isinf(c), 0.0, np.where(np.isinf(c), 1.0, c) * (1.0 - below))


def _parts(c: Array, s: Array) -> tuple[Array, Array]:
    """E[X; X < c] and P(X > c)."""
    with np.errstate(divide="ignore"):
        log_c = np.log(c)
    return ndtr((log_c - s**2 / 2) / s), ndtr(-(log_c + s**2 / 2) / s)
