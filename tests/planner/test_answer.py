"""One world's answer: what is served, booked, drawn and paid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ampacity.planner.answer import answer, prefill_share
from ampacity.planner.curves import curves
from ampacity.scenario.scenario import Scenario
from ampacity.supply.waterfall import HOUR_MS

Ours = Callable[..., Scenario]
HARD: dict[str, object] = {
    "tiers.developers.people": 400,
    "events": {"o": {"kind": "outage", "site": "here", "date": "2026-12-01", "share": 0.5, "duration": "4 d"}},
    "contracts.server.deliveries.0.quantity": 21,
    "sites.here.power": {"value": "22 kW", "basis": "it"},
    "placements.code.accelerators_per_replica": 4,
}
CHIPS = [{"site": "here", "accelerator": chip, "quantity": 8} for chip in ("h100-sxm", "h200-sxm")]
TWO_POOLS: dict[str, object] = {
    "tiers.developers.people": 300,
    "sites.here.power": None,
    "placements.code.accelerator": None,
    "contracts.server.deliveries": CHIPS,
}
CASES = {"the laptop": {}, "a hard month": HARD, "two pools": TWO_POOLS}


@pytest.mark.parametrize("case", CASES)
def test_every_accelerator_second_of_the_contract_is_booked_once(ours: Ours, case: str) -> None:
    a = answer(ours(CASES[case]))
    for booking, pool in zip(a.bookings, a.supply, strict=True):
        assert sum(booking.losses.values()) + booking.totals["useful"] == booking.totals["contracted"]
        assert booking.totals["contracted"] == pool.contracted.sum() * HOUR_MS
        assert 0 < booking.totals["useful"] < booking.totals["busy"] <= booking.totals["running"]


@pytest.mark.parametrize("case", CASES)
def test_seconds_served_are_the_seconds_booked_busy(ours: Ours, case: str) -> None:
    a = answer(ours(CASES[case]))
    (load,) = a.models
    served = sum(float(t.served_s.sum()) for t in a.tiers)
    of_first = load.capacity.sum() / sum(p.running_accelerators.sum() for p in load.pools)
    busy = sum(b.totals["busy"] for b in a.bookings) / 1000
    assert served == pytest.approx(busy * of_first, rel=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_no_hour_serves_more_than_is_wanted_or_than_runs(ours: Ours, case: str) -> None:
    a = answer(ours(CASES[case]))
    (load,) = a.models
    for t in a.tiers:
        assert np.all(t.served_s <= t.wanted_s * (1 + 1e-12))
    assert np.all(sum(t.served_s for t in a.tiers) <= load.capacity * 3600 * (1 + 1e-12))


@pytest.mark.parametrize("case", CASES)
def test_tokens_served_stand_in_the_proportion_of_the_seconds_served(ours: Ours, case: str) -> None:
    s = ours(CASES[case])
    a = answer(s)
    (load,) = a.models
    for t, tier, cost in zip(a.tiers, load.tiers, load.seconds_per_active_s, strict=True):
        assert t.output == pytest.approx(t.served_s / cost * tier.behaviour.output_per_s.value)
        assert t.cached_input == pytest.approx(t.served_s / cost * tier.behaviour.cached_per_s.value)


@pytest.mark.parametrize("case", CASES)
def test_what_the_curves_allow_all_tiers_together_fits_the_running_seconds_of_each_pool_and_hour(
    ours: Ours, case: str
) -> None:
    s = ours(CASES[case])
    a = answer(s)
    (load,) = a.models
    found = curves(a)
    assert len(found) == len(load.tiers) * len(load.pools)
    for pool in load.pools:
        used = np.zeros(a.hours.count)
        one_token = 0.0
        for tier in load.tiers:
            (curve,) = [c for c in found if (c.tier, c.pool) == (tier.name, pool.pool.name)]
            assert curve.start_s == a.hours.start_s
            assert all(type(n) is int and n >= 0 for n in curve.output)
            seconds_per_token = (
                load.points[tier.name, pool.pool.name].seconds_per_active_s / tier.behaviour.output_per_s.value
            )
            used += np.array(curve.output) * seconds_per_token
            one_token += seconds_per_token
        running = pool.running_accelerators * 3600
        assert np.all(used <= running * (1 + 1e-12))
        assert np.all(used >= running - one_token * (1 + 1e-9))  # nothing but the rounding down is left over


def test_power_stays_between_idle_and_nameplate_and_a_token_costs_energy(ours: Ours) -> None:
    a = answer(ours())
    (pool,), (used,) = a.supply, a.energy
    on_s = float((pool.delivered * pool.energized).sum()) * 3600
    assert 0.13 * 700 < used.server_j / on_s < 1275
    assert used.facility_j == pytest.approx(used.server_j * 1.14 * 1.25)
    assert 0.001 < used.facility_j / a.tokens()["all"] < 1.0  # joules a token, cache reads included


def test_serving_more_people_draws_more_energy(ours: Ours) -> None:
    few, many = (answer(ours({"tiers.developers.people": n})).energy[0].server_j for n in (5, 100))
    assert few < many


def test_cost_is_fees_and_electricity_and_its_kinds_add_up_to_it(ours: Ours) -> None:
    a = answer(ours())
    assert a.fees_usd == pytest.approx(2.35 * 8 * 28 * 24)
    assert a.cost_usd == pytest.approx(a.fees_usd + sum(e.cost_usd or 0.0 for e in a.energy))
    tokens, price = a.tokens(), a.cost_usd_per_mtok()
    by_kind = sum((price[k] or 0.0) * tokens[k] / 1e6 for k in ("uncached_input", "output"))
    assert by_kind == pytest.approx(a.cost_usd)
    assert (price["all"] or 0.0) * tokens["all"] / 1e6 == pytest.approx(a.cost_usd)
    assert 0 < prefill_share(a.models, a.tiers) < 1
