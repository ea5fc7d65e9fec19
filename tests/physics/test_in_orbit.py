"""Heat, radiation, attrition and propellant in orbit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.physics.attrition import effective_life_years, lifetime_penalty, mean_output, surviving_share
from ampacity.physics.heat import absorbed_w_m2, emitted_w_m2, radiator_area_m2
from ampacity.physics.propellant import drag_m_s_per_year, propellant_share
from ampacity.physics.radiation import (
    checking_cost,
    fleet_upsets_per_hour,
    restart_availability,
    share_inside_anomaly,
    upsets_per_year,
)


def test_a_megawatt_at_350_k_takes_1306_m2_of_one_side_without_a_sink() -> None:
    assert 1e6 / emitted_w_m2(350, 0.9, sides=1) == pytest.approx(1306, rel=0.002)  # ORB106, spacedc-mdao table


def test_a_black_plate_at_20_celsius_emits_838_w_from_two_sides() -> None:
    assert emitted_w_m2(293.15, 1.0) == pytest.approx(838, rel=0.002)  # ORB107, Stefan-Boltzmann


def test_with_the_earths_infrared_taken_in_by_the_emissivity_the_starcloud_plate_rejects_583_w() -> None:
    net = emitted_w_m2(293.15, 0.92) - absorbed_w_m2(0.09, 0.92, 1.0, 0.25)
    assert net == pytest.approx(583.4, rel=0.003)  # ORB109; its white paper says 633


def test_a_sink_of_250_k_takes_from_a_plate_of_320_k() -> None:
    net = 0.9 * (emitted_w_m2(320, 0.85, sides=1) - emitted_w_m2(250, 0.85, sides=1))
    assert net == pytest.approx(285.4, rel=0.005)  # ORB110, spacedc-mdao radiators.yaml


@given(st.floats(1, 1e9), st.floats(280, 400))
def test_radiator_area_is_linear_in_heat_and_falls_with_temperature(heat: float, kelvin: float) -> None:
    one = radiator_area_m2(heat, kelvin, 0.9, 0.15)
    assert radiator_area_m2(4 * heat, kelvin, 0.9, 0.15) == pytest.approx(4 * one)
    assert radiator_area_m2(heat, kelvin + 10, 0.9, 0.15) < one


def test_a_radiator_colder_than_its_surroundings_rejects_nothing() -> None:
    assert np.isinf(radiator_area_m2(1.0, 100.0, 0.9, 0.15))


@pytest.mark.parametrize(
    ("rad_per_upset", "expected"),
    [(17, 8.82), (44, 3.41), (5000, 0.03), (400, 0.375)],
    ids=["ORB089 silent errors", "ORB091 HBM", "ORB092 chip", "ORB094 host memory"],
)
def test_upsets_a_year_at_150_rad(rad_per_upset: float, expected: float) -> None:
    assert upsets_per_year(150, rad_per_upset) == pytest.approx(expected, rel=0.01)


def test_a_fleet_as_large_as_colossus_1_would_see_221_silent_errors_an_hour() -> None:
    assert fleet_upsets_per_hour(8.82, 220_000) == pytest.approx(221, rel=0.01)


def test_trapped_protons_put_nearly_all_upsets_inside_the_anomaly_and_cosmic_rays_spread_them() -> None:
    assert share_inside_anomaly(0.994, 0.059, 0.0) == pytest.approx(0.994)
    assert share_inside_anomaly(0.994, 0.059, 1.0) == pytest.approx(0.059)


def test_twice_in_the_anomaly_alone_costs_a_seventeenth_of_twice_everywhere() -> None:
    assert checking_cost("duplicate", 0.059) / checking_cost("always-duplicate", 0.059) == pytest.approx(0.059)
    assert checking_cost("run", 0.059) == 0.0
    assert checking_cost("pause", 0.059) == 0.059


def test_an_upset_a_day_that_stops_an_hour_leaves_24_of_25_hours() -> None:
    assert restart_availability(365.25, 3600) == pytest.approx(24 / 25)


@given(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0, 20), st.floats(0, 20))
def test_survivors_only_become_fewer(one: float, other: float, age: float, more: float) -> None:
    young, old = surviving_share([one, other], [age, age + more])
    assert 0 <= old <= young <= 1


@given(st.floats(0, 2), st.floats(0.1, 20))
def test_the_penalty_is_the_mission_over_the_effective_life(hazard: float, years: float) -> None:
    loss = 1 - np.exp(-hazard)
    assert lifetime_penalty(hazard, years) >= 1 - 1e-12
    assert effective_life_years([loss], years) * lifetime_penalty(hazard, years) == pytest.approx(years, rel=1e-6)


def test_output_that_falls_yearly_has_the_mean_of_its_years() -> None:
    assert mean_output(0.5, 2) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("altitude_km", "density", "expected"),
    [(650, 5.33e-13, 10.5), (550, 1.73e-12, 34.5)],
    ids=["ORB137 pymsis 0.13.0, density ORB136", "ORB143 pymsis 0.13.0, density ORB142"],
)
def test_drag_of_a_year(altitude_km: float, density: float, expected: float) -> None:
    assert drag_m_s_per_year(density, altitude_km * 1e3, 0.01) == pytest.approx(expected, rel=0.10)


def test_a_small_change_of_speed_takes_its_share_of_the_exhausts() -> None:
    assert propellant_share(200, 1500) == pytest.approx(200 / (1500 * 9.80665), rel=0.01)
