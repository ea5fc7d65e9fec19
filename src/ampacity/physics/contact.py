"""Reaching a satellite from the ground: distance, delay, and how long one pass lasts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ampacity.physics.orbit import EARTH_RADIUS_M, mean_motion_rad_s, orbit_radius_m

Array = NDArray[np.float64]

LIGHT_M_S = 299_792_458.0


def slant_range_m(altitude_m: ArrayLike, elevation_rad: ArrayLike) -> Array:
    """Distance from a ground station to a satellite at an elevation, on a round Earth.

    Parameters
    ----------
    altitude_m : array_like
        Height above the equatorial radius, >= 0. [m]
    elevation_rad : array_like
        Above the horizon, 0 to pi/2. [rad]

    Returns
    -------
    array
        [m]
    """
    sine = np.sin(elevation_rad)
    radius = orbit_radius_m(altitude_m)
    return np.sqrt(radius**2 - (EARTH_RADIUS_M * np.cos(elevation_rad)) ** 2) - EARTH_RADIUS_M * sine


def longest_pass_s(altitude_m: ArrayLike, mask_rad: ArrayLike) -> Array:
    """Length of a pass through the zenith above a mask angle, the Earth taken as not turning. [s]"""
    horizon = np.arccos(EARTH_RADIUS_M / orbit_radius_m(altitude_m) * np.cos(mask_rad)) - np.asarray(mask_rad)
    return np.asarray(2 * horizon / mean_motion_rad_s(altitude_m))


def added_delay_s(altitude_m: float, elevation_rad: float, hops: int, hop_m: float, per_hop_s: float = 5e-4) -> float:
    """Round trip up and down through a relay mesh, beyond what the ground network takes. [s]

    hops: links between satellites, each of `hop_m` metres and `per_hop_s` of switching, each way.
    """
    one_way = 2 * float(slant_range_m(altitude_m, elevation_rad)) + hops * hop_m
    return 2 * (one_way / LIGHT_M_S + hops * per_hop_s)
