"""Emissions of turbines and grids, and water: linear in energy, never negative."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.units import to_base
from ampacity.physics.emissions import emitted_g, full_load_hours, turbine_rate_g_per_j, water_m3
from ampacity.scenario.emission_factors import SPECIES, emission_factors
from ampacity.scenario.site import Control

amounts = st.floats(0, 1e18)
rates = st.floats(0, 1e-3)


@given(amounts, amounts, rates)
def test_emissions_are_linear_in_energy_and_never_negative(one: float, other: float, rate: float) -> None:
    both = float(emitted_g(one + other, rate))
    assert both >= 0
    assert both == pytest.approx(float(emitted_g(one, rate)) + float(emitted_g(other, rate)))
    assert float(emitted_g(0.0, rate)) == 0.0


@given(rates, st.floats(1, 10))
def test_a_turbine_emits_per_electricity_what_its_fuel_emits_times_the_heat_rate(factor: float, heat: float) -> None:
    assert float(turbine_rate_g_per_j(factor, heat)) == pytest.approx(factor * heat)
    assert float(turbine_rate_g_per_j(factor, heat)) >= factor


@given(st.floats(1, 1e12), st.floats(1, 1e10), st.floats(1e-9, 1e-3))
def test_the_hours_that_a_cap_is_worth_emit_exactly_the_cap(cap_g: float, power_w: float, rate: float) -> None:
    hours = float(full_load_hours(cap_g, power_w, rate))
    assert float(emitted_g(hours * 3600 * power_w, rate)) == pytest.approx(cap_g)


def test_a_cap_on_what_is_not_emitted_lasts_for_ever() -> None:
    assert float(full_load_hours(1.0, 1e6, 0.0)) == np.inf


@pytest.mark.parametrize(("energy", "rate"), [(-1.0, 1.0), (1.0, -1.0)])
def test_negative_energy_or_rates_are_refused(energy: float, rate: float) -> None:
    with pytest.raises(ValueError, match="not negative"):
        emitted_g(energy, rate)
    with pytest.raises(ValueError, match="not negative"):
        water_m3(energy, rate)


def test_a_turbine_that_makes_more_electricity_than_its_fuel_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        turbine_rate_g_per_j(1e-7, 0.9)
    with pytest.raises(ValueError, match="not negative"):
        turbine_rate_g_per_j(-1e-7, 3.0)


def test_emissions_come_in_the_shape_of_their_arguments() -> None:
    assert emitted_g(np.ones((3, 1)), np.ones(4)).shape == (3, 4)


@pytest.mark.parametrize("control", get_args(Control))
def test_the_catalog_has_every_species_under_every_control_with_a_range(control: str) -> None:
    found = emission_factors(control)
    assert found.heat_rate is not None
    for species in SPECIES:
        value = getattr(found, f"{species}_g_per_j")
        assert value.is_range, species
        assert value.source, species


def test_each_step_of_control_emits_less_nox_and_no_more_co() -> None:
    steps = [emission_factors(control) for control in get_args(Control)]
    nox = [s.nox_g_per_j.value for s in steps if s.nox_g_per_j]
    co = [s.co_g_per_j.value for s in steps if s.co_g_per_j]
    assert nox == sorted(nox, reverse=True)
    assert co == sorted(co, reverse=True)
    assert len(nox) == len(co) == 4


def test_the_scr_factor_reaches_from_the_permit_to_the_estimate_of_its_critics() -> None:
    """87 short tons over 247 MW, and 177 over 421 MW, each for a year at full load and 10.5 MMBtu/MWh."""
    factor = emission_factors("scr").nox_g_per_j
    assert factor is not None
    per_mmbtu = [tons * 2000 / (megawatt * 8760) / 10.5 for tons, megawatt in ((87, 247), (177, 421))]
    base = to_base("1 lb/MMBtu", "carbon_intensity")
    assert [factor.value, factor.high] == pytest.approx([x * base for x in per_mmbtu], rel=0.01)
