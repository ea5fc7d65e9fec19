"""Electric energy of the hours, its price and its carbon, from what the accelerators do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.physics.power import accelerator_power_w, on_basis, server_power_w
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.site import Site

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Energy:
    """Energy of a pool over its hours, all modelled.

    facility_w: mean power at the facility's meter in each hour [W]. server_j, it_j, facility_j: on the three bases [J].
    cost_usd, carbon_g, water_m3: None where the site gives no price, carbon intensity or water intensity; all of the
    energy counts as grid power here (`supply.air` tells the sources apart).
    """

    facility_w: Array
    server_j: float
    it_j: float
    facility_j: float
    cost_usd: float | None
    carbon_g: float | None
    water_m3: float | None


def energy(site: Site, chip: Accelerator, energized: Array, prefill: Array, decode: Array) -> Energy:
    """Energy of `energized` accelerators (one entry an hour) of which shares of the time are prefill and decode.

    An accelerator whose TDP is not known counts as nothing; the answer says so.
    """
    tdp = chip.tdp_w.value if chip.tdp_w else 0.0
    nameplate = chip.server_w.value if chip.server_w else tdp
    draw = server_power_w(accelerator_power_w(tdp, prefill, decode), tdp, nameplate)
    server_w = draw * energized
    server_j = float(np.sum(server_w)) * 3600.0
    it_j = float(on_basis(server_j, "it", site.it_per_server.value, site.pue.value))
    facility_j = float(on_basis(server_j, "facility", site.it_per_server.value, site.pue.value))
    return Energy(
        facility_w=on_basis(server_w, "facility", site.it_per_server.value, site.pue.value),
        server_j=server_j,
        it_j=it_j,
        facility_j=facility_j,
        cost_usd=facility_j * site.electricity_usd_per_j.value if site.electricity_usd_per_j else None,
        carbon_g=facility_j * site.carbon_g_per_j.value if site.carbon_g_per_j else None,
        water_m3=it_j * site.water_m3_per_j.value if site.water_m3_per_j else None,
    )
