"""What an orbital site does to the air and to the orbit: CO2e by two methods; soot, re-entry and debris beside them.

Soot and re-entering metal act in the stratosphere by other ways than CO2 does, and no agreed factor turns one into the
other. They are reported as masses, never added.
"""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.scenario.site import Site
from ampacity.supply.orbital import Light
from ampacity.supply.orbital_cost import HOURS_PER_YEAR
from ampacity.supply.orbital_sizing import Sizing


@dataclass(frozen=True)
class Air:
    """Carbon of building and launching, by two methods, per kilowatt-hour of IT energy over the effective life.

    propellant_g_per_kwh: burnt propellant and the satellites' making. lifecycle_g_per_kwh: launcher, propellant and
    re-entry as arXiv 2508.06250 counts them, and the same making. soot_kg: black carbon of all launches.
    reentry_t_per_year: mass that burns up when satellites are replaced. dead_satellites: that fail in orbit over the
    design life and can no longer leave it on their own.
    """

    propellant_g_per_kwh: float
    lifecycle_g_per_kwh: float
    propellant_t_co2e: float
    lifecycle_t_co2e: float
    soot_kg: float
    reentry_t_per_year: float
    dead_satellites: float


def air(site: Site, size: Sizing, year: Light) -> Air:
    """Carbon and the lines beside it, of a site as sized."""
    orbit = site.orbit
    assert orbit is not None
    life = orbit.design_life_months.value / 12.0
    in_light = 1.0 - (1.0 - orbit.shadow_power.value) * year.shadow_share
    kwh = size.it_w / 1000.0 * in_light * HOURS_PER_YEAR * size.effective_life_years
    made_kg = size.dry_mass_kg * orbit.carbon_hardware.value
    burnt_kg = size.launched_kg * orbit.carbon_propellant.value + made_kg
    whole_kg = size.launched_kg * orbit.carbon_lifecycle.value + made_kg
    return Air(
        propellant_g_per_kwh=1000.0 * burnt_kg / kwh,
        lifecycle_g_per_kwh=1000.0 * whole_kg / kwh,
        propellant_t_co2e=burnt_kg / 1000.0,
        lifecycle_t_co2e=whole_kg / 1000.0,
        soot_kg=size.launched_kg * orbit.soot.value,
        reentry_t_per_year=size.dry_mass_kg / 1000.0 / life,
        dead_satellites=size.satellites * (1.0 - (1.0 - orbit.bus_attrition.value) ** life),
    )
