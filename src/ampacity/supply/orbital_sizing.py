"""What an orbital site is built of: array, battery, radiator, mass by part, launches and months of cadence, upsets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ampacity.physics.attrition import effective_life_years, lifetime_penalty
from ampacity.physics.contact import added_delay_s, longest_pass_s
from ampacity.physics.heat import SOLAR_W_M2, radiator_area_m2
from ampacity.physics.power import on_basis
from ampacity.physics.propellant import propellant_share
from ampacity.physics.radiation import checking_cost, fleet_upsets_per_hour, share_inside_anomaly
from ampacity.scenario.orbit import Orbit
from ampacity.scenario.site import Site
from ampacity.supply.orbital import Light, light, stops_per_year

RADIATOR_SOLAR_COSINE = 0.1
"""A radiator flies nearly edge-on to the Sun, 6 degrees off. [-]"""
LOWEST_ELEVATION_RAD = math.radians(30.0)
RELAY_HOPS, RELAY_HOP_M = 4, 2_000e3
PARTS = ("array", "battery", "radiator", "compute", "shielding", "structure", "propellant")


@dataclass(frozen=True)
class Sizing:
    """An orbital site for its IT power and accelerators, at launch.

    Masses in kilograms; `*_kg_per_kw` per kilowatt of IT power. launches: expected, failures flown again.
    cadence_months: from the first launch to the last. penalty: of building for attrition (Turyshev's Pi).
    effective_life_years: of full service, after commissioning and attrition.
    """

    it_w: float
    accelerators: float
    satellites: int
    array_m2: float
    battery_kg: float
    radiator_m2: float
    mass_kg: float
    dry_mass_kg: float
    kg_per_kw: dict[str, float]
    launched_kg: float
    launches: float
    cadence_months: float
    lifetime_penalty: float
    effective_life_years: float


@dataclass(frozen=True)
class Upsets:
    """Upsets by kind, per chip-year and over the fleet an hour, and where they fall.

    stops_per_chip_year: those that stop an engine. anomaly_share: of all, inside the South Atlantic Anomaly.
    duplicate_cost, always_duplicate_cost: share of capacity for doing work twice inside it, and everywhere.
    """

    silent_per_chip_year: float
    memory_per_chip_year: float
    interrupt_per_chip_year: float
    stops_per_chip_year: float
    silent_per_fleet_hour: float
    memory_per_fleet_hour: float
    anomaly_time_share: float
    anomaly_share: float
    duplicate_cost: float
    always_duplicate_cost: float


def it_power_w(site: Site, server_w: float) -> float:
    """IT power to build for, from the nameplate of all servers: at most the site's. [W]"""
    wanted = float(on_basis(server_w, "it", site.it_per_server.value, site.pue.value))
    if site.power_w is None:
        return wanted
    own_basis = float(on_basis(1.0, site.power_w.basis, site.it_per_server.value, site.pue.value))
    return min(wanted, site.power_w.value * site.it_per_server.value / own_basis)


def satellites_of(orbit: Orbit, it_w: float) -> int:
    """How many satellites an IT power takes, at least one."""
    return max(1, math.ceil(it_w / orbit.satellite_power_w.value - 1e-9))


def sizing(site: Site, it_w: float, accelerators: float, start_s: float) -> Sizing:
    """Size an orbital site; every part from the site's own claims."""
    orbit = _orbit(site)
    year = light(orbit, start_s, satellites_of(orbit, it_w))
    life = orbit.design_life_months.value / 12.0
    bus_w = it_w * site.pue.value
    array_w = bus_w * (1.0 + _recharge_share(orbit, year)) / (1.0 - orbit.pv_degradation.value) ** life
    cells = orbit.pv_efficiency.value * orbit.pv_packing.value * orbit.pv_pointing.value
    stored_j = bus_w * orbit.shadow_power.value * year.longest_s
    battery_kg = stored_j / (orbit.battery_depth.value * orbit.battery_efficiency.value * orbit.battery_j_per_kg.value)
    radiator_m2 = orbit.radiator_margin.value * float(
        radiator_area_m2(
            bus_w,
            orbit.radiator_k.value,
            orbit.radiator_emissivity.value,
            orbit.radiator_absorptivity.value,
            space_view=orbit.radiator_view.value,
            solar_cosine=RADIATOR_SOLAR_COSINE,
        )
    )
    kg = {
        "array": array_w / orbit.pv_w_per_kg.value,
        "battery": battery_kg,
        "radiator": radiator_m2 * orbit.radiator_kg_per_m2.value,
        "compute": it_w * orbit.compute_kg_per_w.value,
        "shielding": it_w * orbit.shielding_kg_per_w.value,
    }
    kg["structure"] = orbit.structure_share.value * sum(kg.values())
    dry_kg = sum(kg.values())
    fuel = float(propellant_share(orbit.delta_v_m_s.value, orbit.specific_impulse_s.value))
    kg["propellant"] = dry_kg * fuel / (1.0 - fuel)
    mass_kg = sum(kg.values())
    launches = math.ceil(mass_kg / (orbit.launch_payload_g.value / 1000.0)) / orbit.launch_success.value
    losses = np.array([orbit.accelerator_attrition.value, orbit.bus_attrition.value])
    served = life - orbit.commissioning_months.value / 12.0
    return Sizing(
        it_w=it_w,
        accelerators=accelerators,
        satellites=satellites_of(orbit, it_w),
        array_m2=array_w / (SOLAR_W_M2 * cells),
        battery_kg=battery_kg,
        radiator_m2=radiator_m2,
        mass_kg=mass_kg,
        dry_mass_kg=dry_kg,
        kg_per_kw={part: kg[part] / it_w * 1000.0 for part in PARTS},
        launched_kg=mass_kg / orbit.launch_success.value,
        launches=launches,
        cadence_months=12.0 * launches / orbit.launch_cadence_per_year.value,
        lifetime_penalty=float(lifetime_penalty(-np.log1p(-losses).sum(), served)),
        effective_life_years=effective_life_years(losses, served),
    )


def upsets(site: Site, accelerators: float) -> Upsets:
    """Radiation upsets of a fleet of so many accelerators."""
    orbit = _orbit(site)
    scale, inside = orbit.upset_scale.value, orbit.anomaly_time.value
    silent, memory = scale * orbit.silent_errors.value, scale * orbit.memory_errors.value
    return Upsets(
        silent_per_chip_year=silent,
        memory_per_chip_year=memory,
        interrupt_per_chip_year=scale * orbit.chip_interrupts.value,
        stops_per_chip_year=stops_per_year(orbit, 8) / 8.0,
        silent_per_fleet_hour=float(fleet_upsets_per_hour(silent, accelerators)),
        memory_per_fleet_hour=float(fleet_upsets_per_hour(memory, accelerators)),
        anomaly_time_share=inside,
        anomaly_share=float(share_inside_anomaly(orbit.anomaly_fluence.value, inside, orbit.cosmic_share.value)),
        duplicate_cost=checking_cost("duplicate", inside),
        always_duplicate_cost=checking_cost("always-duplicate", inside),
    )


def contact(site: Site) -> dict[str, float]:
    """How a satellite is reached: the longest pass over one station [s], the delay that a relay mesh adds [s]."""
    altitude = _orbit(site).altitude_m.value
    return {
        "longest_pass_s": float(longest_pass_s(altitude, math.radians(10.0))),
        "added_delay_s": added_delay_s(altitude, LOWEST_ELEVATION_RAD, RELAY_HOPS, RELAY_HOP_M),
    }


def _recharge_share(orbit: Orbit, year: Light) -> float:
    """Array power for recharging after the longest shadow, over the bus power. [-]"""
    given = orbit.shadow_power.value * year.longest_s / orbit.battery_efficiency.value
    return given / (year.orbit_s - year.longest_s)


def _orbit(site: Site) -> Orbit:
    if site.orbit is None:
        raise ValueError(f'site "{site.name}" stands on the ground')
    return site.orbit
