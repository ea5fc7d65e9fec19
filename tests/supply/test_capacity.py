"""Pools hour by hour: jobs, placements, whole replicas, failures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ampacity.scenario.scenario import Scenario
from ampacity.supply.capacity import PoolCapacity, capacities
from ampacity.supply.delivery import hours_of
from ampacity.supply.waterfall import STAGES, book

Ours = Callable[..., Scenario]
PoolOf = Callable[..., PoolCapacity]
PLENTY: dict[str, object] = {"sites.here.power": None}


def count(quantity: float, per_replica: int) -> dict[str, object]:
    return {
        **PLENTY,
        "contracts.server.deliveries.0.quantity": quantity,
        "placements.code.accelerators_per_replica": per_replica,
    }


def job(**what: object) -> dict[str, object]:
    return {"jobs": {"train": {"site": "here", "accelerator": "h100-sxm", **what}}}


def by_day(hours: np.ndarray) -> list[float]:
    return hours.reshape(-1, 24)[:, 0].tolist()


@pytest.mark.parametrize(("there", "size", "replicas"), [(8, 8, 1), (15, 8, 1), (16, 8, 2), (7, 2, 3), (3, 4, 0)])
def test_only_whole_replicas_are_placed_and_the_remainder_is_not_allocated(
    pool_of: PoolOf, there: int, size: int, replicas: int
) -> None:
    found = pool_of(count(there, size))
    assert np.all(found.replicas == replicas)
    assert found.allocated == pytest.approx(replicas * size / there)


def test_without_a_placement_nothing_is_allocated_and_nothing_runs(pool_of: PoolOf) -> None:
    two = [{"site": "here", "accelerator": chip, "quantity": 8} for chip in ("h100-sxm", "b200-sxm")]
    found = pool_of({"contracts.server.deliveries": two, "placements.code.accelerator": "b200-sxm"})
    assert found.pool.accelerator.name == "h100-sxm"
    assert found.replica is None
    assert np.all(found.allocated == 0.0)
    assert np.all(found.running_accelerators == 0.0)


def test_a_training_job_holds_its_accelerators_for_its_time(pool_of: PoolOf) -> None:
    found = pool_of({**count(32, 8), **job(quantity=20, start="2026-11-30", duration="7 d")})
    assert by_day(found.replicas) == [4.0] * 7 + [1.0] * 7 + [4.0] * 14


def test_a_job_that_began_before_the_horizon_has_only_its_rest_left(pool_of: PoolOf) -> None:
    found = pool_of({**count(16, 8), **job(quantity=8, start="2026-11-18", duration="7 d")})
    assert by_day(found.replicas) == [1.0] * 2 + [2.0] * 26


def test_a_job_without_an_end_holds_its_accelerators_to_the_last_hour(pool_of: PoolOf) -> None:
    found = pool_of({**count(16, 8), **job(quantity=8, start="2026-11-30")})
    assert by_day(found.replicas) == [2.0] * 7 + [1.0] * 21


def test_a_batch_job_yields_to_serving(pool_of: PoolOf) -> None:
    found = pool_of({**count(16, 8), **job(kind="batch", quantity=16, start="2026-11-23")})
    assert by_day(found.replicas) == [2.0] * 28


def test_a_job_larger_than_a_pool_takes_the_rest_from_the_next(ours: Ours) -> None:
    leases = {
        name: {"start": "2026-11-23", "deliveries": [{"site": "here", "accelerator": "h100-sxm", "quantity": 16}]}
        for name in ("one", "two")
    }
    s = ours({**PLENTY, "contracts": leases, **job(quantity=24, start="2026-11-23")})
    assert [c.replicas[0] for c in capacities(s, hours_of(s))] == [0.0, 1.0]


def test_a_replica_works_only_while_all_its_nodes_do(pool_of: PoolOf) -> None:
    fails = {"sites.here.node_failures": "1/d", "sites.here.restore": "6 h"}
    node = 1 / (1 + 0.25)
    one, four = pool_of({**count(32, 8), **fails}), pool_of({**count(32, 32), **fails})
    assert one.healthy == four.healthy == pytest.approx(node)
    assert one.running == pytest.approx(1.0)
    assert four.running == pytest.approx(node**3)
    assert four.replica_availability == pytest.approx(node**4)
    assert four.running_accelerators == pytest.approx(32 * node**4)


def test_the_ratios_of_supply_multiply_to_the_running_accelerators(pool_of: PoolOf) -> None:
    events = {"events": {"o": {"kind": "outage", "site": "here", "date": "2026-12-01", "share": 0.6}}}
    found = pool_of({**count(37, 4), **events, "sites.here.power": {"value": "30 kW", "basis": "it"}})
    product = found.contracted.copy()
    for ratio in found.ratios.values():
        product = product * ratio
    assert product == pytest.approx(found.running_accelerators)
    assert len(set(found.running_accelerators.tolist())) == 2
    booking = book("p", found.contracted, {**dict.fromkeys(STAGES[1:], 1.0), **found.ratios})
    assert booking.totals["running"] == pytest.approx(found.running_accelerators.sum() * 3.6e6, abs=5 * 28 * 24)


def test_a_replica_takes_the_fewest_accelerators_where_the_scenario_is_silent(pool_of: PoolOf) -> None:
    silent = pool_of({"placements.code.accelerators_per_replica": None})
    assert silent.replica is not None
    assert silent.replica.accelerators == 4  # 71 GB of weights and eight contexts of 122k tokens, on 80 GB each


def test_an_hour_without_deliveries_divides_by_nothing(pool_of: PoolOf) -> None:
    found = pool_of({"contracts.server.end": "2026-11-24"})
    assert np.all(np.isfinite([found.ratios["delivered"], found.energized, found.allocated]))
    assert by_day(found.running_accelerators)[1:] == [0.0] * 27
