"""A sampled fleet as a run: which hours, what is good, what it took, and what all cells lose together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario
from ampacity.simulator import cell_rows as at
from ampacity.simulator.disruption import expected_up
from ampacity.simulator.failure_causes import Causes, stated_causes
from ampacity.simulator.fleet import busiest, fleet, one_look, seen_in, setting_of
from ampacity.simulator.fleet_run import FleetRun, fleet_run
from ampacity.simulator.sampled import COMPUTE, MEMORY, PREFILL, SPENT, USEFUL
from ampacity.simulator.shared_shocks import between_seeds, between_swings
from ampacity.simulator.strata import every_look
from ampacity.supply.waterfall import STAGES


@pytest.fixture(scope="module")
def small(small_fleet: Path) -> Scenario:
    return load(small_fleet)


@pytest.fixture(scope="module")
def sample(small: Scenario) -> FleetRun:
    return fleet_run(small, {}, 1, hours=12, cells=2)


@pytest.fixture(scope="module")
def every(small: Scenario) -> FleetRun:
    return fleet_run(small, {}, 1, hours=1, cells=None)


def test_pools_are_found_in_the_layout_behind_one_that_serves_nothing(small: Scenario) -> None:
    f = fleet(setting_of(small, {}))
    assert len(small.contracts) == 2
    assert [f.layout.pools[n].name for n in f.numbers] == [p.pool.name for p in f.pools]
    assert [f.layout.pools[n].replicas for n in f.numbers] == f.replicas


def test_load_is_a_share_of_what_runs_and_falls_where_replicas_are_added(small: Scenario) -> None:
    f = fleet(setting_of(small, {}))
    assert (f.load > 0).all()
    twice = fleet(setting_of(small.replace({"tiers.developers.people": 6000, "tiers.chat.people": 40000}), {}))
    assert twice.load == pytest.approx(2 * f.load)
    same_hour_of_week = f.load[:24].max() / f.load[7 * 24 : 8 * 24].max()
    assert same_hour_of_week > 1.05  # twenty replicas fewer on the first day


def test_the_whole_fleet_is_the_sum_of_its_cells_in_the_busiest_hour(every: FleetRun) -> None:
    f = every.fleet
    (hour,) = every.hours
    assert f.load[hour] == f.load[: 14 * 24].max()
    alone = [one_look(f, w) for w in every_look(f.replicas, [hour])]
    answered = sum(r.count(at.ANSWERED) for r in alone if r is not None)
    assert every.sample.total(at.ANSWERED).value == answered == every.sample.requests
    assert every.cells == 10


def test_busiest_hours_are_in_the_order_of_time_and_none_left_out_is_busier(small: Scenario) -> None:
    f = fleet(setting_of(small, {}))
    found = busiest(f, 5)
    assert found == sorted(found)
    assert min(f.load[found]) >= np.delete(f.load, found).max()


@pytest.mark.parametrize(("hours", "cells", "words"), [(0, 2, "0 hours"), (400, 2, "from 1 to 336"), (2, 0, "0 cells")])
def test_hours_and_cells_that_there_are_not_are_errors(small: Scenario, hours: int, cells: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fleet_run(small, {}, 1, hours=hours, cells=cells)


def test_an_answer_is_good_only_if_its_tokens_come_at_the_pace_of_the_service_level(small: Scenario) -> None:
    """With no pace to keep every early answer is good; at a pace that nothing keeps, only those of one token."""
    f = fleet(setting_of(small, {}))
    one = next(w for w in every_look(f.replicas, [36]) if w.pool == 1)
    found = {}
    for level in (1000.0, 1e-9):
        s = small.model_copy(update={"service_level": small.service_level.model_copy(update={"tpot_s": level})})
        seen = seen_in(replace(f, setting=replace(f.setting, s=s)), one)
        assert seen is not None
        found[level] = seen
    answered = found[1000.0].result.counts[:, at.ANSWERED]
    assert found[1000.0].result.quantile_s(at.TTFT, 1.0) < 10
    assert (found[1000.0].good == answered).all()
    of_one_token = answered - found[1000.0].result.histograms[:, at.TPOT].sum(axis=1)
    assert (found[1e-9].good == of_one_token).all()
    assert answered.sum() > 100


def test_windows_of_looks_hold_useful_work_within_what_iterations_took(sample: FleetRun) -> None:
    worked = sample.sample.worked.sum(axis=(0, 1))
    assert 0 < worked[USEFUL] < worked[SPENT]
    assert max(worked[COMPUTE], worked[MEMORY]) <= worked[USEFUL] <= worked[COMPUTE] + worked[MEMORY]
    assert 0 <= worked[PREFILL] < worked[SPENT]


def test_busy_is_told_of_replicas_that_are_up_and_the_waterfall_books_each_second_once(sample: FleetRun) -> None:
    busy = sample.sample.busy()
    for pool, booking in zip(sample.fleet.pools, sample.measured.value.bookings, strict=True):
        totals = [booking.totals[stage] for stage in STAGES]
        assert totals == sorted(totals, reverse=True)
        expected = busy[pool.pool.name].value / pool.replica_availability
        assert booking.totals["busy"] / booking.totals["running"] == pytest.approx(expected, rel=1e-6)
        assert booking.totals["contracted"] == pytest.approx(pool.contracted[:12].sum() * 3.6e6, rel=1e-9)


def test_money_and_energy_are_those_of_the_hours_that_the_sample_stands_for(sample: FleetRun, every: FleetRun) -> None:
    assert sample.measured.value.seconds == 12 * 3600
    assert every.measured.value.seconds == 3600
    # of 152 accelerators there are 132 on the first day; those in the west begin with their own day, three hours later
    early, later = ((10_000 + 200_000 * there / 152) / 720 for there in (64, 132))
    assert every.measured.value.fees_usd == pytest.approx(later, rel=1e-6)
    assert sample.measured.value.fees_usd == pytest.approx(3 * early + 9 * later, rel=1e-6)
    found = sample.measured.of(lambda m: m.cost_usd)
    assert found is not None
    assert found.low <= found.value <= found.high
    assert sum(sample.measured.value.tokens.values()) > 0


def test_windows_are_named_as_refusals_by_window_are_counted(sample: FleetRun) -> None:
    assert [w.name for w in sample.windows("developers")] == ["five-hour", "weekly"]
    assert sample.windows("chat") == ()
    by_window = sum(sample.sample.total(at.BY_WINDOW + place, "developers").value for place in range(2))
    assert by_window == pytest.approx(sample.sample.total(at.REFUSALS, "developers").value)


def test_without_shared_causes_every_drawing_leaves_all_of_the_time(small: Scenario) -> None:
    layout = fleet(setting_of(small, {})).layout
    found = between_seeds(Causes(), layout, 336, 0, seeds=5)
    assert (found.door.value, found.door.low, found.up.value, found.up.low) == (1.0, 1.0, 1.0, 1.0)


def test_shared_causes_leave_over_many_drawings_what_is_to_be_expected(small: Scenario) -> None:
    layout, causes = fleet(setting_of(small, {})).layout, stated_causes()
    found = between_seeds(causes, layout, 672, 0, seeds=1000)
    up = expected_up(causes, layout)
    # repairs are heavy-tailed: one standard error of what a thousand times four weeks lose is a fifth of it at the door
    assert 1 - found.up.value == pytest.approx(1 - float(up.shared.mean()), rel=0.35)
    assert 1 - found.door.value == pytest.approx(1 - up.door, rel=0.35)
    assert found.up.low < found.up.value < found.up.high <= 1


def test_another_swing_moves_answers_as_it_moves_activity() -> None:
    answered, active = np.array([600.0, 100.0, 0.0]), np.array([3.0, 1.0, 0.0])
    others = active * np.array([[0.9], [1.0], [1.1]])
    found = between_swings(answered, active, others)
    assert (found.value, found.low, found.high) == pytest.approx((700, 637, 763))


def test_answers_of_this_seed_are_among_those_of_others(sample: FleetRun) -> None:
    """Twelve hours, each with a swing of its own of 35 %: a tenth, more or less."""
    found = sample.swings
    answered = sample.sample.total(at.ANSWERED).value
    assert found.low < answered < found.high
    assert found.value == pytest.approx(answered, rel=0.25)
    assert 0.1 < (found.high - found.low) / found.value < 0.8


def test_one_hour_swings_by_more_than_many(sample: FleetRun, every: FleetRun) -> None:
    def spread(r: FleetRun) -> float:
        return (r.swings.high - r.swings.low) / r.swings.value

    assert spread(every) > spread(sample)
