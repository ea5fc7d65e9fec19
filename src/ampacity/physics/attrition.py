"""What is left of a fleet that nobody repairs, and what that does to the life over which it is paid for."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def surviving_share(yearly_losses: ArrayLike, age_years: ArrayLike) -> Array:
    """Share that still works without repair, lost at a constant share of what is left.

    Parameters
    ----------
    yearly_losses : array_like
        Share lost in a year, 0 to under 1; several in the last axis act independently. [1/year]
    age_years : array_like
        Time since start; before it (negative) everything works. [year]

    Returns
    -------
    array
        Product over the losses of (1 - loss) ** age. Shape of `age_years`. [0 to 1]
    """
    keeps = float(np.prod(1 - np.atleast_1d(np.asarray(yearly_losses, dtype=np.float64)), axis=-1))
    return np.asarray(keeps ** np.maximum(np.asarray(age_years, dtype=np.float64), 0.0))


def lifetime_penalty(hazard_per_year: ArrayLike, years: ArrayLike) -> Array:
    """How much more must be built for the same work if units die at random and are not repaired.

    Parameters
    ----------
    hazard_per_year : array_like
        Constant hazard, >= 0. [1/year]
    years : array_like
        Mission, > 0. [year]

    Returns
    -------
    array
        lambda T / (1 - exp(-lambda T)), at least 1. [-]

    References
    ----------
    .. [1] S. G. Turyshev, arXiv 2604.27197.
    """
    exposure = np.asarray(hazard_per_year, dtype=np.float64) * np.asarray(years, dtype=np.float64)
    small = exposure < 1e-9
    return np.where(small, 1.0 + exposure / 2, exposure / np.where(small, 1.0, -np.expm1(-exposure)))


def effective_life_years(yearly_losses: ArrayLike, years: float, overhead: float = 0.0) -> float:
    """Years of full service that a fleet gives in `years` without repair.

    Parameters
    ----------
    yearly_losses : array_like
        Shares lost in a year, acting independently. [1/year]
    years : float
        From start of service to end of life. [year]
    overhead : float
        Share of the work spent on checking and repeating. [0 to 1]

    Returns
    -------
    float
        (1 - overhead) times the integral of the surviving share; at most `years`. [year]
    """
    hazard = float(-np.log1p(-np.asarray(yearly_losses, dtype=np.float64)).sum())
    return float((1.0 - overhead) * years / lifetime_penalty(hazard, years)) if years > 0 else 0.0


def mean_output(yearly_loss: float, years: int) -> float:
    """Mean output over whole years of something that starts at 1 and loses a share each year. [0 to 1]"""
    return float(np.mean((1.0 - yearly_loss) ** np.arange(years)))
