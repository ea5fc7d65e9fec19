"""What looks stand for: cell-hours of the fleet, each counted once, in the sample and in each of its replicates."""

from __future__ import annotations

import numpy as np
import pytest

from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_hour import Seen
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.estimate import HOUR_PS, Sample, around
from ampacity.simulator.histograms import BUCKETS, bucket_of
from ampacity.simulator.sampled import USEFUL, WORK_FIELDS
from ampacity.simulator.strata import Look, cells_of, every_look, looks

FLEET = [16 * 40, 16 * 7 + 3, 50, 16, 1]
"""Replicas of pools with 40, 8, 4, 1 and 1 cells."""
LOAD = np.sin(np.arange(100.0))


def seen(one: Look, answered: int, ttft_ps: int = 10**12) -> Seen:
    """A look in which one tier had so many answers, all alike, and its replicas were always busy."""
    counts = np.zeros((1, at.COUNT_FIELDS), np.int64)
    counts[0, at.ANSWERED] = answered
    histograms = np.zeros((1, at.METRICS, BUCKETS), np.int64)
    histograms[0, at.TTFT, bucket_of(ttft_ps)] = answered
    result = CellResult(("all",), counts, histograms, None, 0, 0, 0, 0, 0, 0, 0, one.replicas * HOUR_PS)
    return Seen(result, np.array([answered // 2]), np.ones(WORK_FIELDS), one.replicas, answered, 0.0)


def sample_of(wanted: list[Look], replicates: int, answered: int = 100) -> Sample:
    sample = Sample.empty(("all",), tuple(f"pool {i}" for i in range(len(FLEET))), wanted, replicates)
    for one in wanted:
        sample.add(one, seen(one, answered))
    return sample


@pytest.mark.parametrize("cells", [1, 2, 5, 7, 12])
def test_weights_of_looks_add_up_to_the_cell_hours_of_every_pool(cells: int) -> None:
    wanted = looks(LOAD, FLEET, 1, cells=cells)
    for pool, replicas in enumerate(FLEET):
        own = [w for w in wanted if w.pool == pool]
        assert sum(w.weight for w in own) == pytest.approx(len(LOAD) * len(cells_of(replicas)))
        for hour_weight in (sum(w.weight for w in own if w.group == g) for g in {w.group for w in own}):
            assert hour_weight == pytest.approx(len(LOAD) * len(cells_of(replicas)) / len({w.group for w in own}))


@pytest.mark.parametrize(("cells", "replicates"), [(1, 1), (2, 2), (5, 5), (7, 5), (12, 12)])
def test_each_replicate_stands_for_the_whole_fleet(cells: int, replicates: int) -> None:
    sample = sample_of(looks(LOAD, FLEET, 1, cells=cells), replicates)
    every = 100 * len(LOAD) * sum(len(cells_of(replicas)) for replicas in FLEET)
    assert sample.counts[:, :, 0, at.ANSWERED].sum(axis=1) == pytest.approx(every)
    assert sample.total(at.ANSWERED).value == pytest.approx(every)
    assert sample.good_share().value == pytest.approx(0.5)
    assert all(busy.value == pytest.approx(1.0) for busy in sample.busy().values())
    assert sample.worked[:, :, USEFUL].mean(axis=0) * 3600e12 == pytest.approx(sample.replica_ps.mean(axis=0))


def test_a_pool_of_few_cells_still_tells_what_its_hours_leave_unknown() -> None:
    """One cell is all there is, but only some of its hours are seen: what they differ by is an error of the sample."""
    true = sum(range(len(LOAD)))
    covered = 0
    for seed in range(200):
        wanted = looks(LOAD, [16], seed)
        assert len({w.group for w in wanted}) == 5
        sample = Sample.empty(("all",), ("one",), wanted)
        for one in wanted:
            sample.add(one, seen(one, one.hour))
        found = sample.total(at.ANSWERED)
        covered += found.low < true < found.high
    assert 0.85 <= covered / 200 <= 0.96


def test_all_cells_have_no_interval_and_their_own_sum() -> None:
    wanted = every_look(FLEET, [3, 77])
    assert {w.weight for w in wanted} == {1.0}
    assert sum(w.replicas for w in wanted) == 2 * sum(FLEET)
    found = sample_of(wanted, 1)
    assert found.total(at.ANSWERED).value == 100 * len(wanted)
    for one in (found.total(at.ANSWERED), found.quantile_s(at.TTFT, 0.5), found.good_share(), found.busy()["pool 1"]):
        assert np.isnan(one.low)
        assert np.isnan(one.high)


def test_quantiles_weigh_looks_of_less_than_an_hour_too() -> None:
    wanted = looks(LOAD[:1], [16], 1)
    assert {w.weight for w in wanted} == {0.2}
    sample = Sample.empty(("all",), ("one",), wanted, 1)
    for one in wanted:
        sample.add(one, seen(one, 1, ttft_ps=(1 + one.group) * 10**12))
    assert sample.quantile_s(at.TTFT, 0.5).value == pytest.approx(3.0, rel=0.01)
    assert sample.quantile_s(at.TTFT, 0.9).value == pytest.approx(5.0, rel=0.01)


def test_an_interval_is_t_quantiles_of_replicates_and_stays_in_its_bounds() -> None:
    found = around(0.3, [0.28, 0.29, 0.30, 0.31, 0.32])
    either_way = 2.1318 * np.std([0.28, 0.29, 0.30, 0.31, 0.32], ddof=1) / 5**0.5
    assert np.log([found.high / 0.3, 0.3 / found.low]) == pytest.approx(either_way / 0.3, rel=1e-4)
    assert around(0.99, [0.9, 1.0], most=1.0).high == 1.0
    assert 0 < around(0.01, [0.0, 0.01, 0.02]).low < 0.01
    assert around(0.0, [0.0, 0.0]).high == 0.0
    assert np.isnan(around(0.5, [0.5, float("nan")]).low)
