"""What an orbit leaves of a pool: light hour by hour, survivors without repair, time between upsets, contact.

These are the ratios that enter the waterfall: light into `energized`, survivors into `healthy`, upsets and pauses into
`running`; without a relay mesh nothing interactive is placed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import HOUR_S, utc_s
from ampacity.physics.attrition import surviving_share
from ampacity.physics.availability import nodes_of
from ampacity.physics.eclipse import (
    Geometry,
    annual_eclipse_fraction,
    dark_share,
    eclipse_intervals,
    eclipse_seasons,
    fleet_floor,
    longest_eclipse_s,
    ring_dark_share,
)
from ampacity.physics.orbit import TROPICAL_YEAR_S, period_s, sun_synchronous_plane
from ampacity.physics.radiation import checking_cost, restart_availability
from ampacity.scenario.contract import Contract, Delivery
from ampacity.scenario.orbit import Orbit
from ampacity.scenario.site import Site
from ampacity.supply.delivery import Hours

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Light:
    """A year in an orbit, from a given instant.

    shadow_share: of the year, by satellite [0 to 1]. season_days: in which every orbit meets shadow; seasons: first and
    last instant of each [s]. longest_s: one passage [s]. floor_share: least share of the fleet in light at any instant.
    """

    shadow_share: float
    season_days: float
    seasons: tuple[tuple[float, float], ...]
    longest_s: float
    orbit_s: float
    floor_share: float


def light(orbit: Orbit, start_s: float, satellites: int) -> Light:
    """The year from `start_s`, for a fleet of so many satellites."""
    return _light(orbit.altitude_m.value, orbit.ltan_h.value, orbit.geometry, float(start_s), satellites)


@lru_cache(maxsize=256)
def _light(altitude_m: float, ltan_h: float, geometry: Geometry, start_s: float, satellites: int) -> Light:
    planes = [sun_synchronous_plane(altitude_m, ltan, start_s) for ltan in _ltans(ltan_h, geometry)]
    seasons = sorted((float(a), float(b)) for plane in planes for a, b in eclipse_seasons(plane, start_s))
    return Light(
        shadow_share=float(np.mean([annual_eclipse_fraction(plane, start_s) for plane in planes])),
        season_days=min(sum(b - a for a, b in seasons), TROPICAL_YEAR_S) / 86400.0,
        seasons=tuple(seasons),
        longest_s=max(longest_eclipse_s(plane, start_s) for plane in planes),
        orbit_s=float(period_s(altitude_m)),
        floor_share=fleet_floor(geometry, altitude_m, ltan_h, start_s, satellites),
    )


def powered_share(site: Site, hours: Hours) -> Array:
    """Share of full power that sunlight and batteries give a site in each hour; 1 on the ground. [0 to 1]

    Exact within the hour: a cluster by the passages of its one place, a ring by the shadowed arc of its plane.
    """
    if site.orbit is None:
        return np.ones(hours.count)
    orbit = site.orbit
    key = (orbit.altitude_m.value, orbit.ltan_h.value, orbit.geometry, hours.start_s, hours.count)
    return 1.0 - (1.0 - orbit.shadow_power.value) * _dark(*key)


@lru_cache(maxsize=64)
def _dark(altitude_m: float, ltan_h: float, geometry: Geometry, start_s: int, count: int) -> Array:
    """Share of each hour in shadow, averaged over the fleet."""
    edges = start_s + HOUR_S * np.arange(count + 1, dtype=np.float64)
    planes = [sun_synchronous_plane(altitude_m, ltan, float(start_s)) for ltan in _ltans(ltan_h, geometry)]
    if geometry == "cluster":
        return dark_share(eclipse_intervals(planes[0], 0.0, edges[0], edges[-1]), edges)
    return np.asarray(np.mean([ring_dark_share(plane, edges) for plane in planes], axis=0))


def surviving(site: Site, contract: Contract, deliveries: tuple[Delivery, ...], hours: Hours) -> Array | float:
    """Share of delivered accelerators that attrition has left, each aged from its planned arrival; 1 on the ground."""
    if site.orbit is None:
        return 1.0
    losses = [site.orbit.accelerator_attrition.value, site.orbit.bus_attrition.value]
    alive, there = np.zeros(hours.count), np.zeros(hours.count)
    for delivery in deliveries:
        steps = [(s.date, s.quantity.value) for s in delivery.ramp] or [(contract.start, delivery.quantity.value)]
        before = 0.0
        for day, quantity in steps:
            arrived = utc_s(day, site.time_zone)
            age_years = (hours.begins_s - arrived) / TROPICAL_YEAR_S
            new = (quantity - before) * (age_years >= 0)
            alive += new * surviving_share(losses, age_years)
            there, before = there + new, quantity
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(there > 0, np.clip(alive / there, 0.0, 1.0), 1.0)


def upset_availability(site: Site, accelerators: int) -> float:
    """Share of time in which a group of accelerators is neither restarting after an upset nor paused. [0 to 1]"""
    if site.orbit is None:
        return 1.0
    return restart_availability(stops_per_year(site.orbit, accelerators), site.orbit.restart_s.value) * (
        1.0 - checking_cost(site.orbit.anomaly_policy, site.orbit.anomaly_time.value)
    )


def stops_per_year(orbit: Orbit, accelerators: int) -> float:
    """Upsets a year that stop an engine on so many accelerators: memory, chip and host. [1/year]"""
    per_chip = orbit.memory_errors.value + orbit.chip_interrupts.value
    by_host = orbit.host_interrupts.value * nodes_of(accelerators)
    return orbit.upset_scale.value * (per_chip * accelerators + by_host)


def interactive(site: Site) -> bool:
    """Whether people can work with what stands there: anything on the ground, in orbit through a relay mesh alone."""
    return site.orbit is None or site.orbit.contact == "relay-mesh"


def _ltans(ltan_h: float, geometry: Geometry) -> tuple[float, ...]:
    return (ltan_h, (ltan_h + 12.0) % 24.0) if geometry == "two-ltan-ring" else (ltan_h,)
