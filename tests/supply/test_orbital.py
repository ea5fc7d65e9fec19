"""A site in orbit in the same chain: light, survivors, upsets, contact as ratios of the waterfall; cost and air."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ampacity.scenario import lookup
from ampacity.scenario.load import load
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.pool import counted
from ampacity.scenario.scenario import Scenario
from ampacity.supply.capacity import PoolCapacity, capacities
from ampacity.supply.delivery import hours_of
from ampacity.supply.orbital import light, upset_availability
from ampacity.supply.orbital_air import air
from ampacity.supply.orbital_cost import Cost, capital_recovery, cost
from ampacity.supply.orbital_sizing import PARTS, Sizing, sizing, upsets

SITE = "sites.dawn-dusk."
ORBIT = SITE + "orbit."


@pytest.fixture(scope="module")
def orbital() -> Callable[..., Scenario]:
    """`orbital({...})` is the packaged gigawatt with changes; its 14 days are in June."""
    whole = load("orbital-gigawatt")

    def change(changes: dict[str, object] | None = None) -> Scenario:
        return whole.replace(changes or {})

    return change


Orbital = Callable[..., Scenario]


def pool(s: Scenario) -> PoolCapacity:
    return capacities(s, hours_of(s))[0]


def sized(s: Scenario) -> Sizing:
    return sizing(s.sites[0], 1e9, 300_000, hours_of(s).start_s)


def costs(s: Scenario, running: float = 0.8, usd: float | None = 18e9) -> Cost:
    size = sized(s)
    year = light(s.sites[0].orbit, hours_of(s).start_s, size.satellites)  # type: ignore[arg-type]
    return cost(s.sites[0], usd, size, year, running)


@pytest.mark.parametrize(("g", "energized"), [(1.0, 1.0), (0.2, 0.84), (0.0, 0.80)])
def test_in_june_a_ring_has_a_fifth_of_its_power_in_shadow_less_what_batteries_give(
    orbital: Orbital, g: float, energized: float
) -> None:
    found = pool(orbital({ORBIT + "shadow_power": g})).energized
    assert found == pytest.approx(energized, abs=0.01)


def test_out_of_season_nothing_is_lost_to_shadow(orbital: Orbital) -> None:
    assert np.all(pool(orbital({"start": "2028-10-01"})).energized == 1.0)


def test_a_cluster_has_dark_and_lit_hours_and_the_same_mean_as_a_ring(orbital: Orbital) -> None:
    ring, cluster = (
        pool(orbital({ORBIT + "geometry": g, ORBIT + "shadow_power": 0})).energized for g in ("ring", "cluster")
    )
    assert cluster.mean() == pytest.approx(ring.mean(), abs=0.002)
    assert cluster.min() < ring.min() - 0.1


def test_half_of_two_opposite_rings_is_out_of_season(orbital: Orbital) -> None:
    one, two = (pool(orbital({ORBIT + "geometry": g})).energized.mean() for g in ("ring", "two-ltan-ring"))
    assert 1 - two == pytest.approx((1 - one) / 2, rel=0.01)


def test_nobody_repairs_so_the_healthy_share_falls_by_the_age_of_each_delivery(orbital: Orbital) -> None:
    losses = {ORBIT + "accelerator_attrition": "10 %/year", ORBIT + "bus_attrition": "0 %/year"}
    found = pool(orbital({**losses, "contracts.interest.start": "2028-06-14"}))
    assert np.broadcast_to(found.alive, 336)[0] == pytest.approx(1.0, abs=1e-4)
    assert np.broadcast_to(found.alive, 336)[-1] == pytest.approx(0.9 ** (14 / 365.2422), abs=1e-4)
    ramp = [{"date": "2028-01-03", "quantity": 100_000}, {"date": "2028-06-14", "quantity": 300_000}]
    mixed = pool(orbital({**losses, "contracts.interest.deliveries.0.ramp": ramp}))
    old = 0.9 ** (163 / 365.2422)
    assert np.broadcast_to(mixed.alive, 336)[0] == pytest.approx((old + 2) / 3, abs=1e-3)


def test_the_ratios_of_supply_multiply_to_the_running_accelerators(orbital: Orbital) -> None:
    found = pool(orbital())
    product = found.contracted.copy()
    for ratio in found.ratios.values():
        product = product * ratio
    assert product == pytest.approx(found.running_accelerators)


def test_without_a_relay_mesh_nothing_interactive_runs(orbital: Orbital) -> None:
    assert np.all(pool(orbital({ORBIT + "contact": "direct"})).running_accelerators == 0)


def test_pausing_in_the_anomaly_costs_its_share_of_time(orbital: Orbital) -> None:
    run, pause = (upset_availability(orbital({ORBIT + "anomaly_policy": p}).sites[0], 8) for p in ("run", "pause"))
    assert pause / run == pytest.approx(1 - 0.059)


def test_an_interest_beside_a_firm_contract_counts_nothing(orbital: Orbital) -> None:
    s = orbital()
    assert [c.name for c in counted(s)] == ["interest"]
    lease = {"start": "2028-01-03", "deliveries": [{"site": "here", "accelerator": "orbital-vr200", "quantity": 80}]}
    both = orbital({"sites.here": {"place": "on the ground"}, "contracts.lease": lease})
    assert [c.pool.contract.name for c in capacities(both, hours_of(both))] == ["lease"]
    firm = orbital({"sites.here": {}, "contracts.lease": lease, "contracts.interest.firm": True})
    assert len(capacities(firm, hours_of(firm))) == 2


def test_what_a_scenario_leaves_out_of_an_orbit_comes_from_the_catalog(orbital: Orbital) -> None:
    orbit = orbital().sites[0].orbit
    assert orbit is not None
    for name in lookup.orbit_defaults():
        found = next(
            v for k, f in type(orbit).model_fields.items() if name in (k, f.alias) for v in [getattr(orbit, k)]
        )
        assert found.source
        assert found.status in ("assumed", "derived", "reported")
    assert orbital().sites[0].pue.value == 1.05


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("altitude", "9000 km", "5,900 km"), ("ltan", 25, "24 hours"), ("launch_price", "3 USD", "money per mass"),
     ("cost_of_capital", 0, "more than zero"), ("geometry", "heap", "cluster")],
)  # fmt: skip
def test_an_orbit_that_cannot_be_is_refused_in_words(orbital: Orbital, key: str, value: object, words: str) -> None:
    with pytest.raises(Mistakes, match=words):
        orbital({ORBIT + key: value})


def test_mass_is_the_sum_of_its_parts_and_near_the_published_40_kg_per_kw(orbital: Orbital) -> None:
    found = sized(orbital())
    assert sum(found.kg_per_kw.values()) * 1e6 == pytest.approx(found.mass_kg)
    assert set(found.kg_per_kw) == set(PARTS)
    assert 34 < found.mass_kg / 1e6 < 59  # arXiv 2604.27197: 34 to 59 kg/kW in all
    assert found.radiator_m2 / 1e6 == pytest.approx(2.5, rel=0.1)  # same paper: 2,500 m2 for a megawatt


def test_riding_through_the_longest_shadow_takes_6_kg_of_battery_per_kilowatt(orbital: Orbital) -> None:
    full = sized(orbital({ORBIT + "shadow_power": 1.0}))
    assert full.kg_per_kw["battery"] / 1.05 == pytest.approx(6.1, rel=0.01)
    assert sized(orbital({ORBIT + "shadow_power": 0.0})).battery_kg == 0


def test_each_boundary_holds_the_one_before_it(orbital: Orbital) -> None:
    found = costs(orbital())
    launch_once = found.launched_usd_per_kw_year * 5
    assert launch_once < found.launch_and_build_usd_per_kw
    assert found.yearly_usd is not None
    assert found.owned_usd_per_kw_year is not None
    assert found.yearly_usd / 1e6 > capital_recovery(0.10, 5) * found.launch_and_build_usd_per_kw
    assert found.owned_usd_per_kw_year > found.yearly_usd / 1e6
    assert found.delivered_usd_per_accelerator_hour == pytest.approx(found.yearly_usd / (300_000 * 8766 * 0.8))


def test_without_a_price_of_the_accelerator_only_launch_and_satellites_are_priced(orbital: Orbital) -> None:
    found = costs(orbital(), usd=None)
    assert found.owned_usd_per_kw_year is None
    assert found.launch_and_build_usd_per_kw > 0


def test_what_never_runs_has_no_price_an_hour(orbital: Orbital) -> None:
    assert costs(orbital(), running=0.0).delivered_usd_per_accelerator_hour is None


def test_soot_and_re_entry_do_not_enter_the_carbon(orbital: Orbital) -> None:
    s = orbital()
    size, year = sized(s), light(s.sites[0].orbit, hours_of(s).start_s, 10_000)  # type: ignore[arg-type]
    less, more = air(s.sites[0], size, year), air(orbital({ORBIT + "soot": 0.5}).sites[0], size, year)
    assert more.soot_kg == pytest.approx(5 * less.soot_kg)
    assert replace(more, soot_kg=less.soot_kg) == less
    assert less.lifecycle_g_per_kwh > less.propellant_g_per_kwh


def test_another_chip_scales_all_upsets(orbital: Orbital) -> None:
    one, three = (upsets(orbital({ORBIT + "upset_scale": x}).sites[0], 300_000) for x in (1, 3))
    assert three.memory_per_chip_year == pytest.approx(3 * one.memory_per_chip_year)
    assert three.stops_per_chip_year == pytest.approx(3 * one.stops_per_chip_year)
