"""Turbine emissions against figures that others published. Masses of US permits are short tons."""

from __future__ import annotations

import pytest

from ampacity.base.units import to_base
from ampacity.physics.emissions import turbine_rate_g_per_j
from ampacity.scenario.emission_factors import emission_factors

HEAT_RATE = to_base("10.5 MMBtu/MWh", "number")
KG_PER_MWH = to_base("1 kg/MWh", "carbon_intensity")
FULL_YEAR_H = 8760


def of_fuel(control: str, species: str) -> float:
    """Emission per electric energy at 10.5 MMBtu/MWh. [kg/MWh]"""
    factor = getattr(emission_factors(control), f"{species}_g_per_j").value
    return float(turbine_rate_g_per_j(factor, HEAT_RATE)) / KG_PER_MWH


def over_full_load(short_tons: float, megawatt: float) -> float:
    """A yearly mass over a year at full load. [kg/MWh]"""
    return to_base(f"{short_tons} short_tons", "mass") / 1000 / (megawatt * FULL_YEAR_H)


@pytest.mark.published("EPA AP-42 ch. 3.1: 0.099 and 0.32 lb NOx, 0.015 lb CO, 7.1e-4 lb formaldehyde per MMBtu")
@pytest.mark.parametrize(
    ("control", "species", "kg_per_mwh"),
    [
        ("lean-premix", "nox", 0.47),
        ("uncontrolled", "nox", 1.52),
        ("lean-premix", "co", 0.07),
        ("lean-premix", "formaldehyde", 0.0034),
        ("lean-premix", "co2", 557.0),
    ],
)
def test_a_small_simple_cycle_turbine_emits_by_ap42(control: str, species: str, kg_per_mwh: float) -> None:
    assert of_fuel(control, species) == pytest.approx(kg_per_mwh, rel=0.03)


@pytest.mark.published(
    "SELC and NAACP notice, 2025: 1,200 to 2,000 short tons of NOx a year over 421 MW, an allegation"
)
@pytest.mark.parametrize(("short_tons", "kg_per_mwh"), [(1200, 0.30), (2000, 0.49), (2100, 0.52)])
def test_the_alleged_nox_of_421_mw_is_of_the_order_of_lean_premix(short_tons: float, kg_per_mwh: float) -> None:
    alleged = over_full_load(short_tons, 421)
    assert alleged == pytest.approx(kg_per_mwh, rel=0.02)
    assert 0.6 < alleged / of_fuel("lean-premix", "nox") < 1.2
    assert alleged < of_fuel("uncontrolled", "nox") / 2


@pytest.mark.published("Shelby County permit of 2025-07-02: 87 NOx, 94 CO, 9.8 formaldehyde, short tons a year, 247 MW")
@pytest.mark.parametrize(("short_tons", "g_per_mwh"), [(87, 36.5), (94, 39.4), (9.8, 4.1)])
def test_the_permits_caps_over_a_year_at_full_load(short_tons: float, g_per_mwh: float) -> None:
    assert 1000 * over_full_load(short_tons, 247) == pytest.approx(g_per_mwh, rel=0.01)


@pytest.mark.published(
    "Shelby County permit of 2025-07-02: 87 short tons of NOx over 247 MW, against EPA AP-42 ch. 3.1"
)
def test_the_permits_nox_cap_presumes_a_thirteenth_of_lean_premix_at_full_load() -> None:
    assert of_fuel("lean-premix", "nox") / over_full_load(87, 247) == pytest.approx(13, rel=0.02)
