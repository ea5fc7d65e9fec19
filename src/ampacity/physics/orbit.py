"""A circular orbit under J2, and the Sun as it sees it: period, node, beta angle. Shadow is `eclipse.py`'s.

Orbit and Sun are both of date (mean equator and equinox of the day): a Sun of J2000 with a node of date would shift
beta by up to 0.37 degrees in 2027.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

EARTH_RADIUS_M = 6_378_137.0
"""Equatorial radius. [m]"""
EARTH_GM = 3.986004418e14
"""Gravitational parameter of the Earth. [m3/s2]"""
J2 = 1.08262668e-3
"""Second zonal harmonic of the Earth's field. [-]"""
TROPICAL_YEAR_S = 365.242189 * 86400.0
"""From one March equinox to the next. [s]"""
J2000_S = 946_728_000.0
"""2000-01-01 12:00, in seconds since 1970 UTC; the 69 s between UTC and terrestrial time move the Sun by 0.0008 deg."""


class Plane(NamedTuple):
    """A circular orbital plane: altitude [m], inclination [rad], right ascension of its node at an epoch [rad], and
    that epoch [s since 1970 UTC]."""

    altitude_m: float
    inclination_rad: float
    node_rad: float
    epoch_s: float


def mean_motion_rad_s(altitude_m: ArrayLike) -> Array:
    """Angular speed of a circular Keplerian orbit.

    Parameters
    ----------
    altitude_m : array_like
        Height above the equatorial radius, >= 0. [m]

    Returns
    -------
    array
        Same shape. [rad/s]

    Raises
    ------
    ValueError
        If an altitude is negative.
    """
    return np.sqrt(EARTH_GM / orbit_radius_m(altitude_m) ** 3)


def period_s(altitude_m: ArrayLike) -> Array:
    """Keplerian period of a circular orbit; altitude as in `mean_motion_rad_s`. [s]"""
    return np.asarray(2 * np.pi / mean_motion_rad_s(altitude_m))


def orbit_radius_m(altitude_m: ArrayLike) -> Array:
    """Distance from the Earth's centre. Raises ValueError for a negative altitude. [m]"""
    altitude = np.asarray(altitude_m, dtype=np.float64)
    if np.any(altitude < 0):
        raise ValueError("an altitude cannot be below zero")
    return EARTH_RADIUS_M + altitude


def node_rate_rad_s(altitude_m: ArrayLike, inclination_rad: ArrayLike) -> Array:
    """Secular drift of the ascending node under J2.

    Parameters
    ----------
    altitude_m : array_like
        Height above the equatorial radius, >= 0. [m]
    inclination_rad : array_like
        0 to pi; beyond pi/2 the orbit is retrograde and its node drifts eastward. [rad]

    Returns
    -------
    array
        Positive is eastward. [rad/s]

    References
    ----------
    .. [1] D. A. Vallado, Fundamentals of Astrodynamics and Applications, 4th ed., 2013, sec. 9.6.
    """
    return np.asarray(-1.5 * _j2_rate(altitude_m) * np.cos(inclination_rad))


def latitude_rate_rad_s(altitude_m: ArrayLike, inclination_rad: ArrayLike) -> Array:
    """Secular rate of the argument of latitude (angle from the node) of a circular orbit under J2. [rad/s]

    Parameters as in `node_rate_rad_s`, reference as there.
    """
    sine = np.sin(inclination_rad)
    return np.asarray(mean_motion_rad_s(altitude_m) + 1.5 * _j2_rate(altitude_m) * (3 - 4 * sine**2))


def sun_synchronous_inclination_rad(altitude_m: ArrayLike) -> Array:
    """Inclination at which the node follows the mean Sun, so that local time at the node stays what it is.

    Parameters
    ----------
    altitude_m : array_like
        Height above the equatorial radius, 0 to about 5,970 km. [m]

    Returns
    -------
    array
        Between pi/2 and pi. [rad]

    Raises
    ------
    ValueError
        If an altitude is so high that no inclination keeps up with the Sun.

    References
    ----------
    .. [1] J. R. Wertz et al., Space Mission Engineering: The New SMAD, 2011, sec. 9.5.
    """
    cosine = -(2 * np.pi / TROPICAL_YEAR_S) / (1.5 * _j2_rate(altitude_m))
    if np.any(cosine < -1):
        raise ValueError("no orbit this high is sun-synchronous; the highest is at about 5,970 km")
    return np.asarray(np.arccos(cosine))


def sun_synchronous_plane(altitude_m: float, ltan_h: float, epoch_s: float) -> Plane:
    """The sun-synchronous plane with a local time of the ascending node (18 and 6 are dawn-dusk, 12 is noon). [h]"""
    node = float(mean_sun_rad(epoch_s)) + np.deg2rad(15.0 * (ltan_h - 12.0))
    return Plane(altitude_m, float(sun_synchronous_inclination_rad(altitude_m)), node % (2 * np.pi), epoch_s)


def mean_sun_rad(instant_s: ArrayLike) -> Array:
    """Mean longitude of the Sun, not reduced to one turn. instant_s: seconds since 1970 UTC. [rad]"""
    return np.deg2rad(280.459 + 0.98564736 * _days(instant_s))


def sun_direction(instant_s: ArrayLike) -> Array:
    """Direction of the Sun from the Earth, mean equator and equinox of date, by the low-precision almanac.

    Parameters
    ----------
    instant_s : array_like
        Seconds since 1970 UTC, 1950 to 2050. [s]

    Returns
    -------
    array
        Unit vectors, one more axis of length 3. Within 0.013 degrees of the ephemeris DE421. [-]

    References
    ----------
    .. [1] The Astronomical Almanac, section C, low-precision formulas for the Sun.
    """
    days = _days(instant_s)
    anomaly = np.deg2rad(357.529 + 0.98560028 * days)
    longitude = mean_sun_rad(instant_s) + np.deg2rad(1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.deg2rad(23.439 - 3.6e-7 * days)
    sine = np.sin(longitude)
    return np.stack([np.cos(longitude), np.cos(obliquity) * sine, np.sin(obliquity) * sine], axis=-1)


def beta_rad(plane: Plane, instant_s: ArrayLike) -> Array:
    """Angle between a plane and the direction of the Sun, positive on the side of the plane's normal.

    Parameters
    ----------
    plane : Plane
        The orbital plane.
    instant_s : array_like
        Seconds since 1970 UTC. [s]

    Returns
    -------
    array
        -pi/2 to pi/2. [rad]
    """
    sine = np.sum(_axes(plane, instant_s)[2] * sun_direction(instant_s), axis=-1)
    return np.asarray(np.arcsin(np.clip(sine, -1, 1)))


def antisun_latitude_rad(plane: Plane, instant_s: ArrayLike) -> Array:
    """Argument of latitude at which a satellite of the plane is deepest behind the Earth, -pi to pi. [rad]"""
    node, ahead, _ = _axes(plane, instant_s)
    sun = sun_direction(instant_s)
    return np.asarray(np.arctan2(-np.sum(ahead * sun, axis=-1), -np.sum(node * sun, axis=-1)))


def _axes(plane: Plane, instant_s: ArrayLike) -> tuple[Array, Array, Array]:
    """Unit vectors of a plane at instants: towards its node, a quarter turn ahead of it, and its normal."""
    since = np.asarray(instant_s, dtype=np.float64) - plane.epoch_s
    node = plane.node_rad + node_rate_rad_s(plane.altitude_m, plane.inclination_rad) * since
    cosine, sine, nothing = np.cos(node), np.sin(node), np.zeros_like(node)
    tilt_cosine, tilt_sine = np.cos(plane.inclination_rad), np.sin(plane.inclination_rad)
    return (
        np.stack([cosine, sine, nothing], axis=-1),
        np.stack([-sine * tilt_cosine, cosine * tilt_cosine, nothing + tilt_sine], axis=-1),
        np.stack([sine * tilt_sine, -cosine * tilt_sine, nothing + tilt_cosine], axis=-1),
    )


def _j2_rate(altitude_m: ArrayLike) -> Array:
    """n J2 (R/a)^2, the scale of all secular rates. [rad/s]"""
    return np.asarray(mean_motion_rad_s(altitude_m) * J2 * (EARTH_RADIUS_M / orbit_radius_m(altitude_m)) ** 2)


def _days(instant_s: ArrayLike) -> Array:
    """Days since J2000."""
    return np.asarray((np.asarray(instant_s, dtype=np.float64) - J2000_S) / 86400.0)
