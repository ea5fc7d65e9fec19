"""How much of what is delivered has power: the site's feeds and nameplate against what accelerators need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from ampacity.physics.power import on_basis
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.site import Site
from ampacity.supply.delivery import Hours, between
from ampacity.supply.orbital import powered_share

Array = NDArray[np.float64]


def nameplate_w(chip: Accelerator, site: Site, basis: str) -> float:
    """Power that one accelerator may draw, on a basis: its server's nameplate, or its TDP where that is unknown. [W]"""
    server = chip.server_w or chip.tdp_w
    return float(on_basis(server.value if server else 0.0, basis, site.it_per_server.value, site.pue.value))


def power_limit_w(site: Site, hours: Hours) -> Array:
    """What a site can feed in each hour, at the facility's meter; infinite where the scenario states no power. [W]

    The least of nameplate and feeds. Turbines without a permit in force do not run. Batteries shift, they do not add.
    """
    limit = np.full(hours.count, np.inf)
    if site.power_w is not None:
        at_meter = on_basis(1.0, "facility", site.it_per_server.value, site.pue.value)
        own_basis = on_basis(1.0, site.power_w.basis, site.it_per_server.value, site.pue.value)
        limit[:] = site.power_w.value * float(at_meter / own_basis)
    if site.grid or site.turbines:
        feeds = np.zeros(hours.count)
        for feed in site.grid:
            feeds += feed.power_w.value * between(hours, site.time_zone, feed.since, feed.until)
        for turbine in site.turbines:
            running = between(hours, site.time_zone, turbine.since, turbine.until)
            if turbine.permit and turbine.permit.until:
                running *= between(hours, site.time_zone, None, turbine.permit.until + timedelta(days=1))
            feeds += turbine.power_w.value * running
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
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(needed > 0, power_limit_w(site, hours) / needed, 1.0)
    return np.asarray(np.clip(share, 0.0, 1.0) * powered_share(site, hours))
