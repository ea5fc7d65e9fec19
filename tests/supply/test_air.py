"""Energy by source adds up, permits are kept to the gram, and turbines never take power away."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from ampacity.base.calendar import utc_s
from ampacity.scenario import lookup
from ampacity.scenario.load import load
from ampacity.scenario.site import Site, Turbine
from ampacity.supply.air import air, air_without_turbines, dispatch
from ampacity.supply.delivery import Hours, hours_of
from ampacity.supply.emission_rates import Span, turbine_rates
from ampacity.supply.energized import energized_share, power_limit_w, without_turbines
from ampacity.supply.permit_account import account, first_over, rolling_sum, startups

MEMPHIS = str(Path(__file__).parent / "scenarios" / "memphis.yaml")
HOURS = Hours(utc_s(date(2025, 8, 1)), 72)
PERMIT = {"until": "2025-08-02", "nox": "1 t", "startups": 22}
megawatts = st.integers(0, 500)
needs = some.arrays(np.float64, HOURS.count, elements=st.floats(0, 1e9))


def site(**fields: object) -> Site:
    return Site.model_validate({"name": "there", **lookup.site_defaults(), **fields})


def feed(megawatt: int, **fields: object) -> dict[str, object]:
    return {"power": f"{megawatt} MW", **fields}


@st.composite
def sites(draw: st.DrawFn) -> Site:
    grid = [
        feed(draw(megawatts), since=draw(st.sampled_from([None, "2025-08-02"]))) for _ in range(draw(st.integers(0, 2)))
    ]
    kinds = st.sampled_from([None, PERMIT, {"since": "2025-08-03"}])
    turbines = [feed(draw(megawatts), count=4, permit=draw(kinds)) for _ in range(draw(st.integers(0, 3)))]
    power = draw(st.sampled_from([None, {"value": "300 MW", "basis": "it"}]))
    return site(grid=grid, turbines=turbines, power=power)


@given(sites(), needs)
@settings(max_examples=50)
def test_energy_by_source_adds_up_exactly_to_what_is_needed_or_to_what_there_is(place: Site, need: np.ndarray) -> None:
    d = dispatch(place, need, HOURS)
    given_j = sum((s.gives_j for s in d.sources), np.zeros(HOURS.count, dtype=np.int64))
    assert np.array_equal(given_j + d.short_j, d.needed_j)
    assert all(np.all((s.gives_j >= 0) & (s.gives_j <= s.could_j)) for s in d.sources)
    kinds = ("grid", "turbine", "turbine-without-permit")
    assert np.array_equal(sum(d.gives_j(kind) for kind in kinds), given_j)
    carried = np.minimum(need, power_limit_w(place, HOURS))
    assert given_j / 3600 == pytest.approx(carried, abs=1e-3)


@given(sites(), needs)
@settings(max_examples=50)
def test_gas_runs_only_where_the_grid_is_used_up_and_the_unpermitted_after_the_permitted(
    place: Site, need: np.ndarray
) -> None:
    d = dispatch(place, need, HOURS)
    rank = {"grid": 0, "turbine": 1, "turbine-without-permit": 2}
    order = [rank[s.kind] for s in d.sources]
    assert order == sorted(order)
    for before, after in zip(d.sources, d.sources[1:], strict=False):
        assert np.all((after.gives_j == 0) | (before.gives_j == before.could_j))


@given(sites(), some.arrays(np.float64, HOURS.count, elements=st.floats(0, 400_000)))
@settings(max_examples=50)
def test_without_its_turbines_a_site_never_energizes_more(place: Site, delivered: np.ndarray) -> None:
    chip = load("laptop").accelerator("h100-sxm")
    with_them = energized_share(place, [chip], [delivered], HOURS)
    without = energized_share(without_turbines(place), [chip], [delivered], HOURS)
    assert np.all(without <= with_them)


def test_a_site_fed_by_turbines_alone_is_dark_without_them() -> None:
    place = site(turbines=[feed(100)])
    assert np.all(power_limit_w(without_turbines(place), HOURS) == 0)
    assert np.all(power_limit_w(place, HOURS) == 100e6)


def test_a_permit_that_has_not_begun_or_is_over_gives_nothing() -> None:
    place = site(turbines=[feed(100, permit={"since": "2025-08-02", "until": "2025-08-02"})])
    assert (power_limit_w(place, HOURS).reshape(3, 24) > 0).all(axis=1).tolist() == [False, True, False]


@given(some.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 2**52)), st.integers(1, 70))
def test_the_rolling_account_is_the_brute_force_sum(amounts: np.ndarray, window: int) -> None:
    brute = [int(amounts[max(0, i + 1 - window) : i + 1].sum()) for i in range(len(amounts))]
    assert rolling_sum(amounts, window).tolist() == brute


def test_a_cap_is_passed_in_the_hour_after_which_the_sum_is_over_it_and_use_comes_back_after_a_year() -> None:
    used = np.zeros(3 * 8760, dtype=np.int64)
    used[:100] = used[8760 + 50 : 8760 + 150] = 10
    found = account("nox", 1500.0, used, Span(1.0, 0.5, 2.0), 1.0)
    assert found.most_g.value == 1000.0
    assert found.passed_hour is None
    assert found.passed_hour_low is None
    assert found.passed_hour_high == 75
    assert first_over(np.array([1.0, 2.0, 3.0]), 2.0) == 2


def test_turbines_that_follow_the_load_start_once_for_every_time_they_are_called() -> None:
    four = Turbine.model_validate({"power": "40 MW", "count": 4})
    load_j = np.array([0, 5, 25, 40, 10, 0, 20, 20], dtype=np.int64) * 3_600_000_000
    assert startups(four, load_j).tolist() == [0, 1, 2, 1, 0, 0, 2, 0]


@given(st.sampled_from(["uncontrolled", "water-injection", "lean-premix", "scr"]))
def test_rates_carry_their_range_in_order(control: str) -> None:
    for span in turbine_rates(Turbine.model_validate({"power": "1 MW", "control": control})).values():
        assert 0 < span.low <= span.value <= span.high


def test_a_turbines_own_nox_and_heat_rate_take_the_place_of_the_catalogs() -> None:
    own = Turbine.model_validate({"power": "1 MW", "nox": "100 g/MWh", "heat_rate": "9 MMBtu/MWh"})
    default = turbine_rates(Turbine.model_validate({"power": "1 MW"}))
    rates = turbine_rates(own)
    assert rates["nox"].value * 3.6e9 == pytest.approx(100)
    assert rates["co"].value / default["co"].value == pytest.approx(9 / 10.5)


def test_memphis_needs_turbines_at_nameplate_until_the_second_substation_and_still_after() -> None:
    s = load(MEMPHIS)
    place, hours = s.site("memphis"), hours_of(s)
    need = np.full(hours.count, 416e6)
    on = air(place, need, hours)
    gas_w = on.dispatch.gas_j / 3600
    autumn = hours.begins_s >= utc_s(date(2025, 11, 1), place.time_zone)
    assert gas_w[~autumn] == pytest.approx(247e6)
    assert gas_w[autumn] == pytest.approx(116e6)
    assert on.hours_on_gas == hours.count
    nox = next(account for account in on.permits[0].accounts if account.species == "nox")
    assert on.turbines_g["nox"].value == pytest.approx(nox.most_g.value)
    assert nox.full_load_h.value == pytest.approx(8713, rel=0.01)


def test_the_two_methods_differ_on_the_grid_alone_and_gas_is_the_same_in_both() -> None:
    place = site(grid=[feed(100)], turbines=[feed(100, permit=PERMIT)], carbon="300 g/kWh", carbon_marginal="450 g/kWh")
    found = air(place, np.full(24, 150e6), Hours(HOURS.start_s, 24))
    average, marginal = found.co2_g["location_based"], found.co2_g["marginal"]
    assert average is not None
    assert marginal is not None
    grid_kwh = 100e3 * 24
    assert average.value == pytest.approx(grid_kwh * 300 + found.turbines_g["co2"].value)
    assert marginal.value - average.value == pytest.approx(grid_kwh * 150)


def test_without_turbines_the_need_shrinks_with_what_is_energized() -> None:
    place = site(grid=[feed(100)], turbines=[feed(100)], water="0.5 L/kWh")
    shares = (np.full(HOURS.count, 1.0), np.full(HOURS.count, 0.5))
    found = air_without_turbines(place, np.full(HOURS.count, 160e6), shares, HOURS)
    assert found.hours_on_gas == 0
    assert found.turbines_g == {}
    assert float(found.dispatch.short_j.sum()) == 0
    assert found.water_m3 is not None
    assert found.water_m3.value == pytest.approx(80e3 * 72 / place.pue.value * 0.5e-3)


def test_when_power_is_short_all_pools_of_a_site_lose_alike() -> None:
    s = load(MEMPHIS).replace({"sites.memphis.turbines": [], "horizon": "2 d"})
    from ampacity.supply.capacity import capacities

    shares = [pool.energized for pool in capacities(s, hours_of(s))]
    assert shares[0] == pytest.approx(150 / 415.94, rel=1e-3)
    assert all(np.array_equal(shares[0], other) for other in shares)
