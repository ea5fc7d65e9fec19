"""How much of what is delivered has power: the site's feeds and nameplate against what accelerators need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from ampacity.physics.power import on_basis
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.site import GridConnection, Site, Turbine
from ampacity.scenario.value import Value
from ampacity.supply.delivery import Hours, between
from ampacity.supply.orbital import powered_share

Array = NDArray[np.float64]


def nameplate_w(chip: Accelerator, site: Site, basis: str) -> float:
    """Power that one accelerator may draw, on a basis: its server's nameplate, or its TDP where that is unknown. [W]"""
    server = chip.server_w or chip.tdp_w
    return float(on_basis(server.value if server else 0.0, basis, site.it_per_server.value, site.pue.value))


def grid_w(feed: GridConnection, zone: str, hours: Hours) -> Array:
    """What a grid connection can give in each hour. [W]"""
    return feed.power_w.value * between(hours, zone, feed.since, feed.until)


def turbine_w(turbine: Turbine, zone: str, hours: Hours) -> Array:
    """What turbines can give in each hour: while they stand and, where they have a permit, while it holds. [W]"""
    there = between(hours, zone, turbine.since, turbine.until)
    if turbine.permit is not None:
        last = turbine.permit.until
        there *= between(hours, zone, turbine.permit.since, last + timedelta(days=1) if last else None)
    return turbine.power_w.value * there


def nameplate_limit_w(site: Site) -> float:
    """Nameplate of a site at the facility's meter, whichever basis it is stated on; infinite where none is. [W]"""
    if site.power_w is None:
        return float("inf")
    at_meter = on_basis(1.0, "facility", site.it_per_server.value, site.pue.value)
    own_basis = on_basis(1.0, site.power_w.basis, site.it_per_server.value, site.pue.value)
    return site.power_w.value * float(at_meter / own_basis)


def without_turbines(site: Site) -> Site:
    """The same site fed by its grid alone; where it has no grid connection, by nothing."""
    if not site.turbines:
        return site
    grid = site.grid or (GridConnection(name="none", power_w=Value(value=0.0, unit="W")),)
    return site.model_copy(update={"turbines": (), "grid": grid})


def power_limit_w(site: Site, hours: Hours) -> Array:
    """What a site can feed in each hour, at the facility's meter; infinite where the scenario states no power. [W]

    The least of nameplate and feeds. Turbines run while their permit holds; those that state no permit run too, and
    `supply.air` shows them apart. Batteries shift, they do not add.
    """
    limit = np.full(hours.count, nameplate_limit_w(site))
    if site.grid or site.turbines:
        feeds = sum((grid_w(feed, site.time_zone, hours) for feed in site.grid), np.zeros(hours.count))
        feeds += sum((turbine_w(t, site.time_zone, hours) for t in site.turbines), np.zeros(hours.count))
        limit = np.minimum(limit, feeds)
    return limit


def energized_share(site: Site, chips: Sequence[Accelerator], delivered: Sequence[Array], hours: Hours) -> Array:
    """Share of the delivered accelerators of a site that its power carries at nameplate, all pools alike. [0 to 1]

    In orbit also times the share of full power that light and batteries give in the hour.
    """
    needed = sum(
        (nameplate_w(chip, site, "facility") * count for chip, count in zip(chips, delivered, strict=True)),
        np.zeros(hours.count),
    )
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        share = np.where(needed > 0, power_limit_w(site, hours) / needed, 1.0)
    return np.asarray(np.clip(share, 0.0, 1.0) * powered_share(site, hours))
