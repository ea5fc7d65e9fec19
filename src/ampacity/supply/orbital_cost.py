"""Four cost boundaries of an orbital site side by side, from one set of inputs.

Published figures differ by a factor of ten or more mostly because they draw the boundary elsewhere: launch alone,
launch and satellites, all that is owned, or what is delivered. Each boundary here contains the one before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

from ampacity.scenario.site import Site
from ampacity.supply.orbital import Light
from ampacity.supply.orbital_sizing import Sizing

HOURS_PER_YEAR = 8766.0


@dataclass(frozen=True)
class Cost:
    """The four boundaries; those that need the price of an accelerator are None where nobody has published it.

    launched_usd_per_kw_year: launch alone over the design life. launch_and_build_usd_per_kw: once.
    owned_usd_per_kw_year: accelerators, launch, satellites, design, ground stations, operations, with interest over the
    effective life, by kilowatt in light. yearly_usd: the same for the whole site, whether in light or not.
    delivered_usd_per_accelerator_hour: yearly cost over the hours in which accelerators run in whole replicas.
    """

    launched_usd_per_kw_year: float
    launch_and_build_usd_per_kw: float
    owned_usd_per_kw_year: float | None
    delivered_usd_per_accelerator_hour: float | None
    yearly_usd: float | None


def launched_power_usd_per_kw_year(mass_kg: float, power_kw: float, life_years: float, usd_per_kg: float) -> float:
    """Price of launching a kilowatt, over its life: the boundary of arXiv 2511.19468, Table 1. [USD per kW and year]"""
    return mass_kg * usd_per_kg / power_kw / life_years


def capital_recovery(rate: float, years: float) -> float:
    """Yearly payment that returns one dollar with interest over so many years. rate > 0. [1/year]"""
    return float(rate / (1.0 - (1.0 + rate) ** -years))


def learned_price(first: float, at_first: float, added: float, learning: float = 0.2) -> float:
    """Price after `added` units on top of `at_first`, lower by `learning` at each doubling of the sum (Wright)."""
    return float(first * ((at_first + added) / at_first) ** log2(1.0 - learning))


def cost(site: Site, accelerators_usd: float | None, size: Sizing, year: Light, running_share: float) -> Cost:
    """The four boundaries of a site.

    accelerators_usd: price of all accelerators with their servers, None where no price is known.
    running_share: accelerators that run in whole replicas over those that are delivered and alive [0 to 1].
    """
    orbit = site.orbit
    assert orbit is not None
    kw = size.it_w / 1000.0
    launch_usd = size.launched_kg * orbit.launch_usd_per_kg.value
    flown = size.launched_kg / size.mass_kg  # what a failed launch loses is built and bought again
    build_usd = flown * size.it_w * orbit.build_usd_per_w.value
    launched = launched_power_usd_per_kw_year(
        size.launched_kg, kw, orbit.design_life_months.value / 12.0, orbit.launch_usd_per_kg.value
    )
    both = (launch_usd + build_usd) / kw
    if accelerators_usd is None:
        return Cost(launched, both, None, None, None)
    hardware_usd = flown * accelerators_usd + build_usd
    insured_usd = orbit.insurance.value * (hardware_usd + launch_usd)
    capital_usd = hardware_usd + launch_usd + insured_usd + orbit.nre_usd.value + orbit.ground_segment_usd.value
    operations_usd = size.it_w * orbit.operations_usd_per_w_year.value + orbit.operations_share.value * hardware_usd
    yearly_usd = capital_recovery(orbit.cost_of_capital.value, size.effective_life_years) * capital_usd + operations_usd
    in_light = 1.0 - (1.0 - orbit.shadow_power.value) * year.shadow_share
    hours = size.accelerators * HOURS_PER_YEAR * running_share
    return Cost(
        launched_usd_per_kw_year=launched,
        launch_and_build_usd_per_kw=both,
        owned_usd_per_kw_year=yearly_usd / kw / in_light,
        delivered_usd_per_accelerator_hour=yearly_usd / hours if hours > 0 else None,
        yearly_usd=yearly_usd,
    )
