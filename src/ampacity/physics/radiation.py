"""Radiation upsets of accelerators in low orbit: how often, how clustered, and what checking against them costs.

Trapped protons come almost all inside the South Atlantic Anomaly (SAA); cosmic rays come everywhere. A rate per
chip-year is the mean of both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

HOURS_PER_YEAR = 8766.0


def upsets_per_year(dose_rad_per_year: ArrayLike, rad_per_upset: ArrayLike) -> Array:
    """Upsets of one chip a year from a dose and the dose per upset that a proton beam showed.

    Parameters
    ----------
    dose_rad_per_year : array_like
        In silicon, behind the shield. [rad/year]
    rad_per_upset : array_like
        > 0. [rad]

    Returns
    -------
    array
        [1/year]

    References
    ----------
    .. [1] arXiv 2511.19468, Towards a future space-based, highly scalable AI infrastructure system design.
    """
    return np.asarray(np.asarray(dose_rad_per_year, dtype=np.float64) / np.asarray(rad_per_upset))


def fleet_upsets_per_hour(per_chip_year: ArrayLike, chips: ArrayLike) -> Array:
    """Upsets an hour over a fleet, averaged over the year. [1/h]"""
    return np.asarray(np.asarray(per_chip_year, dtype=np.float64) * np.asarray(chips) / HOURS_PER_YEAR)


def share_inside_anomaly(trapped_share_inside: ArrayLike, time_share_inside: ArrayLike, cosmic: ArrayLike) -> Array:
    """Share of all upsets that fall inside the SAA.

    Parameters
    ----------
    trapped_share_inside : array_like
        Share of the trapped protons' fluence met inside. [0 to 1]
    time_share_inside : array_like
        Share of time spent inside; cosmic rays fall evenly. [0 to 1]
    cosmic : array_like
        Share of upsets that cosmic rays cause. [0 to 1]

    Returns
    -------
    array
        [0 to 1]
    """
    cosmic = np.asarray(cosmic, dtype=np.float64)
    return np.asarray((1 - cosmic) * np.asarray(trapped_share_inside) + cosmic * np.asarray(time_share_inside))


def checking_cost(policy: str, time_share_inside: float) -> float:
    """Share of capacity that a policy against silent errors takes.

    Parameters
    ----------
    policy : {"run", "duplicate", "pause", "always-duplicate"}
        In the SAA: go on; do all work twice; stop. Or do all work twice everywhere.
    time_share_inside : float
        Share of time spent inside the SAA. [0 to 1]

    Returns
    -------
    float
        [0 to 1]
    """
    lost = {"run": 0.0, "duplicate": 0.5 * time_share_inside, "pause": time_share_inside, "always-duplicate": 0.5}
    return lost[policy]


def restart_availability(upsets_per_year: float, restart_s: float) -> float:
    """Share of time in which something works that each upset stops for `restart_s`. [0 to 1]"""
    return 1.0 / (1.0 + upsets_per_year / (HOURS_PER_YEAR * 3600.0) * restart_s)
