"""Published figures of orbital computing, from our own functions with the publishers' inputs."""

from __future__ import annotations

import numpy as np
import pytest

from ampacity.physics.attrition import effective_life_years, lifetime_penalty, mean_output
from ampacity.physics.heat import SOLAR_W_M2
from ampacity.supply.orbital_cost import launched_power_usd_per_kw_year, learned_price

SUNCATCHER = "Suncatcher, arXiv 2511.19468v2, Table 1 and section 5"
TURYSHEV = "S. G. Turyshev, arXiv 2604.27197, read through a secondary note"
MCCALIP = "andrewmccalip/thoughts static/js/math.js at e59571e, defaults"
DIRTY_BITS = "arXiv 2508.06250, read through a secondary note"


@pytest.mark.published(SUNCATCHER)
@pytest.mark.parametrize(
    ("mass_kg", "power_kw", "life_years", "usd_per_kg", "expected"),
    [
        (575, 28, 5, 200, 810),
        (260, 7, 5, 3600, 26_600),
        (150, 0.8, 5, 3600, 135_800),
        (150, 0.8, 5, 200, 7_500),
        (860, 2, 12.5, 200, 6_900),
    ],
    ids=[
        "ORB076 Starlink v2 mini",
        "ORB077 Starlink v1",
        "ORB079 OneWeb",
        "ORB080 OneWeb at 200 USD/kg",
        "ORB082 Iridium NEXT",
    ],
)
def test_launched_power_of_flown_satellites(
    mass_kg: float, power_kw: float, life_years: float, usd_per_kg: float, expected: float
) -> None:
    found = launched_power_usd_per_kw_year(mass_kg, power_kw, life_years, usd_per_kg)
    assert found == pytest.approx(expected, rel=0.015)


@pytest.mark.published(SUNCATCHER)
def test_200_dollars_a_kilogram_follow_370000_tonnes_at_20_percent_a_doubling() -> None:
    assert learned_price(1800, 400, 370_000) == pytest.approx(200, rel=0.01)  # ORB086


@pytest.mark.published(TURYSHEV)
def test_a_tenth_lost_a_year_makes_five_years_27_percent_dearer() -> None:
    assert lifetime_penalty(0.10, 5.0) == pytest.approx(1.27, rel=0.002)  # ORB125


@pytest.mark.published("research-viewer orbital-ai-datacenters-3, central case; the window of 4.6 years is inferred")
def test_the_central_case_has_an_effective_life_of_3_8_years() -> None:
    assert effective_life_years([0.01, 0.068], 4.6, 0.013) == pytest.approx(3.8, rel=0.02)  # ORB128


@pytest.mark.published(MCCALIP)
def test_the_mccalip_calculator_with_its_own_boundary() -> None:
    """1 GW, 5 years, launch at 500 USD/kg, satellites at 22 USD/W: its boundary has neither interest nor battery."""
    array_w = 1e9 / (0.98 * mean_output(0.025, 5))
    mass_kg = array_w / 36.5
    launch = mass_kg * 500
    hardware = array_w * 22
    total = hardware + launch + 0.01 * hardware * 5 + 0.09 * hardware * 5 + 1e9
    assert np.ceil(mass_kg / 740) == pytest.approx(39_731, rel=0.001)  # ORB119
    assert launch == pytest.approx(14_695_000_000, rel=0.001)  # ORB118
    assert total == pytest.approx(51_095_300_000, rel=0.001)  # ORB116


@pytest.mark.published("Suncatcher's array: 105 m2 at 22 %; Starcloud's array of 4 x 4 km, claimed 5 GW")
@pytest.mark.parametrize(
    ("area_m2", "packing", "expected_w"), [(105, 0.90, 28.3e3), (16e6, 0.9, 4.31e9)], ids=["ORB083", "ORB131"]
)
def test_arrays_give_what_sunlight_allows(area_m2: float, packing: float, expected_w: float) -> None:
    assert area_m2 * 0.22 * SOLAR_W_M2 * packing == pytest.approx(expected_w, rel=0.01)


@pytest.mark.published(DIRTY_BITS)
@pytest.mark.parametrize(("kg_per_kw", "expected"), [(20, 82), (40, 163)], ids=["ORB148", "ORB149"])
def test_launch_carbon_of_a_kilowatt_hour(kg_per_kw: float, expected: float) -> None:
    assert kg_per_kw * 178.8 * 1000 / (5 * 8760) == pytest.approx(expected, rel=0.02)
