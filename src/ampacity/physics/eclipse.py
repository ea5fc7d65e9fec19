"""The Earth's shadow on circular orbits: its share of an orbit and of a year, its season, its exact intervals.

Intervals come from the closed form, not from samples: a thousand satellites a year in seconds. The shadow is a cylinder
of the equatorial radius; against conical shadow under an ephemeris Sun the share of a year is right to about 1e-4.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ampacity.physics.orbit import (
    EARTH_RADIUS_M,
    TROPICAL_YEAR_S,
    Plane,
    antisun_latitude_rad,
    beta_rad,
    latitude_rate_rad_s,
    orbit_radius_m,
    period_s,
    sun_synchronous_plane,
)

Array = NDArray[np.float64]
Geometry = Literal["cluster", "ring", "two-ltan-ring"]

STEP_S = 21_600.0
"""Between its nodes, six hours apart, the Sun's place in the plane is taken as linear: edges move by under 0.1 s."""


def no_eclipse_beta_rad(altitude_m: ArrayLike) -> Array:
    """Least angle between plane and Sun at which a circular orbit sees no shadow at all. [rad]"""
    return np.arcsin(EARTH_RADIUS_M / orbit_radius_m(altitude_m))


def eclipse_fraction(altitude_m: ArrayLike, beta_rad: ArrayLike) -> Array:
    """Fraction of one circular orbit spent in the Earth's shadow (cylindrical umbra).

    Parameters
    ----------
    altitude_m : array_like
        Height above the equatorial radius, >= 0. [m]
    beta_rad : array_like
        Angle between the orbital plane and the direction of the Sun, -pi/2 to pi/2. [rad]

    Returns
    -------
    array
        Between 0 (never in shadow) and 0.5 (at altitude 0 only). Same shape as the broadcast inputs. [-]

    Raises
    ------
    ValueError
        If an altitude is negative.

    References
    ----------
    .. [1] J. R. Wertz et al., Space Mission Engineering: The New SMAD, 2011, sec. 10.
    """
    return np.arccos(np.clip(_half_arc_cosine(altitude_m, beta_rad), -1, 1)) / np.pi


def annual_eclipse_fraction(plane: Plane, start_s: float) -> float:
    """Share of the tropical year from `start_s` that a satellite of a plane spends in shadow. [0 to 0.5]"""
    return float(eclipse_fraction(plane.altitude_m, beta_rad(plane, _year(start_s))).mean())


def longest_eclipse_s(plane: Plane, start_s: float) -> float:
    """The longest single passage through shadow within a year from `start_s`; 0 if there is none. [s]"""
    turn_s = 2 * np.pi / float(latitude_rate_rad_s(plane.altitude_m, plane.inclination_rad))
    return float(eclipse_fraction(plane.altitude_m, beta_rad(plane, _year(start_s))).max()) * turn_s


def eclipse_seasons(plane: Plane, start_s: float) -> Array:
    """Seasons of a year in which every orbit meets the shadow.

    Parameters
    ----------
    plane : Plane
        A sun-synchronous plane; for others the node's own circuit makes many short seasons.
    start_s : float
        Where the year begins; a season that is under way then is found whole, reaching beyond the year's end. [s]

    Returns
    -------
    array, [season, 2]
        First and last instant, in order. One season from start to end if the orbit always meets the shadow. [s]
    """
    year = _year(start_s)
    inside = no_eclipse_beta_rad(plane.altitude_m) - np.abs(beta_rad(plane, year))
    dark = inside > 0
    if dark.all() or not dark.any():
        return np.array([[start_s, start_s + TROPICAL_YEAR_S]]) if dark.all() else np.empty((0, 2))
    lit = int(np.argmin(inside))  # begin where the plane faces the Sun most, so that no season is cut in two
    instants = np.concatenate([year[lit:], year[:lit] + TROPICAL_YEAR_S])
    inside, step = np.roll(inside, -lit), year[1] - year[0]
    change = np.flatnonzero(np.diff((inside > 0).astype(int)))
    edges = instants[change] + step * inside[change] / (inside[change] - inside[change + 1])
    return np.asarray(edges.reshape(-1, 2))


def eclipse_intervals(plane: Plane, phase_rad: float, start_s: float, end_s: float) -> Array:
    """Every passage of one satellite through the Earth's shadow in [start, end), in closed form.

    Per orbit the middle of the shadow is where the satellite's argument of latitude meets that of the anti-Sun, found
    by two fixed-point steps, and its half-width is the arc under the cylinder over the satellite's rate.

    Parameters
    ----------
    plane : Plane
        The orbital plane.
    phase_rad : float
        Argument of latitude of the satellite at the plane's epoch. [rad]
    start_s, end_s : float
        The span, seconds since 1970 UTC. [s]

    Returns
    -------
    array, [passage, 2]
        Begin and end, sorted, disjoint, cut to the span. [s]

    References
    ----------
    .. [1] O. Montenbruck, E. Gill, Satellite Orbits, 2000, sec. 3.4.2 (geometry of the shadow).
    """
    rate = float(latitude_rate_rad_s(plane.altitude_m, plane.inclination_rad))
    times, antisun, cosine = _shadow_path(plane, start_s, end_s)
    phase = phase_rad + rate * (start_s - plane.epoch_s)  # argument of latitude at the start
    first = math.floor((phase - antisun[0]) / (2 * np.pi)) - 1
    count = math.ceil((end_s - start_s) * rate / (2 * np.pi)) + 4
    turns = 2 * np.pi * (first + np.arange(count))
    middle = start_s + (turns + antisun[0] - phase) / rate
    for _ in range(2):
        middle = start_s + (turns + np.interp(middle, times, antisun) - phase) / rate
    here = np.interp(middle, times, cosine)
    half = np.arccos(np.clip(here, -1, 1)) / rate
    begin, end = np.maximum(middle - half, start_s), np.minimum(middle + half, end_s)
    return np.asarray(np.column_stack([begin, end])[(here < 1) & (end > begin)])


def dark_share(intervals: Array, edges_s: ArrayLike) -> Array:
    """Exact share of each span between consecutive edges that sorted, disjoint intervals cover.

    Parameters
    ----------
    intervals : array, [interval, 2]
        Begin and end. [s]
    edges_s : array_like
        Increasing instants, one more than spans. [s]

    Returns
    -------
    array
        One entry a span. [0 to 1]
    """
    edges = np.asarray(edges_s, dtype=np.float64)
    if not len(intervals):
        return np.zeros(len(edges) - 1)
    dark_before = np.concatenate([[0.0], np.cumsum(intervals[:, 1] - intervals[:, 0])])
    corners = intervals.reshape(-1)
    amounts = np.repeat(dark_before, 2)[1:-1]
    covered = np.interp(edges, corners, amounts)
    return np.asarray(np.clip(np.diff(covered) / np.diff(edges), 0.0, 1.0))


def ring_dark_share(plane: Plane, edges_s: ArrayLike) -> Array:
    """Share of each span that the satellites of an evenly filled ring spend in shadow, on average. [0 to 0.5]

    The ring as a whole has the orbit's fraction in shadow at every instant; Simpson's rule takes its mean in a span.
    """
    edges = np.asarray(edges_s, dtype=np.float64)
    middle = (edges[1:] + edges[:-1]) / 2
    at_edges, at_middle = (eclipse_fraction(plane.altitude_m, beta_rad(plane, t)) for t in (edges, middle))
    return np.asarray((at_edges[1:] + 4 * at_middle + at_edges[:-1]) / 6)


def fleet_floor(geometry: Geometry, altitude_m: float, ltan_h: float, start_s: float, satellites: int) -> float:
    """Least share of a fleet that is in light at any instant of the year from `start_s`.

    Parameters
    ----------
    geometry : {"cluster", "ring", "two-ltan-ring"}
        All in one place; spread evenly along one plane; half of them in the plane of the opposite local time.
    altitude_m, ltan_h : float
        Of the sun-synchronous plane. [m], [h]
    start_s : float
        Where the year begins. [s]
    satellites : int
        In all, >= 1. Of n evenly spread, a shadowed arc of share f holds at most ceil(n f).

    Returns
    -------
    float
        [0 to 1]
    """
    year = _year(start_s)
    ltans = (ltan_h, (ltan_h + 12.0) % 24.0) if geometry == "two-ltan-ring" else (ltan_h,)
    planes = [sun_synchronous_plane(altitude_m, ltan, start_s) for ltan in ltans]
    dark = np.stack([eclipse_fraction(altitude_m, beta_rad(plane, year)) for plane in planes])
    if geometry == "cluster":
        return 0.0 if dark.any() else 1.0
    each = np.array([[satellites // len(planes) + (i < satellites % len(planes))] for i in range(len(planes))])
    return float(1.0 - np.ceil(np.round(each * dark, 9)).sum(axis=0).max() / satellites)


def _half_arc_cosine(altitude_m: ArrayLike, beta_rad: ArrayLike) -> Array:
    """Cosine of half the shadowed arc; 1 or more where the orbit stays in light."""
    sine_of_horizon = EARTH_RADIUS_M / orbit_radius_m(altitude_m)
    return np.asarray(np.sqrt(1 - sine_of_horizon**2) / np.maximum(np.cos(beta_rad), 1e-300))


@lru_cache(maxsize=64)
def _shadow_path(plane: Plane, start_s: float, end_s: float) -> tuple[Array, Array, Array]:
    """Where the shadow stands in a plane, a node every six hours: times, anti-Sun latitude, cosine of the half arc."""
    margin = 3 * float(period_s(plane.altitude_m))
    count = max(2, math.ceil((end_s - start_s + 2 * margin) / STEP_S) + 1)
    times = np.linspace(start_s - margin, end_s + margin, count)
    antisun = np.unwrap(antisun_latitude_rad(plane, times))
    return times, antisun, _half_arc_cosine(plane.altitude_m, beta_rad(plane, times))


def _year(start_s: float) -> Array:
    """A tropical year in steps of six hours, its end left out."""
    return start_s + TROPICAL_YEAR_S * np.arange(1461) / 1461
