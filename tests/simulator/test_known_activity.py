"""Known activity: of each look its part of all cell-hours; a sample adds up to them, whichever hours it sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ampacity.scenario.load import load
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_hour import Seen
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.estimate import HOUR_PS, Estimate, Sample, around
from ampacity.simulator.fleet import Fleet, Setting, fleet, known, sampled, whole
from ampacity.simulator.histograms import BUCKETS
from ampacity.simulator.known_activity import Known, factors
from ampacity.simulator.sampled import WORK_FIELDS
from ampacity.simulator.strata import Look, every_look, looks

HOURS = 48
REPLICAS = [16 * 7 + 3, 16, 1]
TIERS = ("day", "night", "nobody")


@pytest.fixture(scope="module")
def laid_out(small_fleet: Path) -> Fleet:
    return fleet(Setting(load(small_fleet), {}))


def made(there: np.ndarray | None = None) -> Known:
    """Tiers that are active at other times. there: replicas of the first pool in each hour, all of them if None."""
    hour = np.arange(HOURS)
    day = 1.5 + np.sin(hour / 24 * 2 * np.pi)
    active = np.stack([np.stack([n * day, n * (3 - day), 0 * day]) for n in (8.0, 1.0, 0.1)])
    replicas = np.repeat(np.array(REPLICAS, float)[:, None], HOURS, axis=1)
    if there is not None:
        replicas[0] = there
        active[0] *= there > 0
    return Known(active, replicas)


def empty(wanted: list[Look], by: Known, replicates: int = 5) -> Sample:
    return Sample.empty(TIERS, ("a", "b", "c"), wanted, replicates, by)


def added_up(s: Sample, wanted: list[Look], by: Known) -> tuple[np.ndarray, np.ndarray]:
    """Activity of looks as they count: of all together, and of each replicate."""
    together, each = np.zeros((3, 3)), np.zeros((s.replicates, 3, 3))
    for one in wanted:
        r, weight = s.place(one)
        each[r, one.pool] += weight * s.factors.each[r, one.pool] * by.of(one)
        together[one.pool] += weight / s.replicates * s.factors.together[one.pool] * by.of(one)
    return together, each


@pytest.mark.parametrize("there", [None, np.maximum(np.arange(HOURS) * 4 - 60, 0).clip(max=REPLICAS[0])])
def test_parts_of_all_cells_are_the_whole(there: np.ndarray | None) -> None:
    by = made(there)
    found = np.zeros((3, 3))
    for one in every_look(REPLICAS, list(range(HOURS))):
        found[one.pool] += by.of(one)
    assert found == pytest.approx(by.whole)


@pytest.mark.parametrize(("cells", "replicates"), [(1, 1), (2, 2), (5, 5), (7, 5), (12, 12)])
@pytest.mark.parametrize("seed", range(5))
def test_looks_of_a_sample_and_of_each_replicate_add_up_to_what_is_known(
    cells: int, replicates: int, seed: int
) -> None:
    by = made()
    wanted = looks(np.sin(np.arange(HOURS)), REPLICAS, seed, cells=cells)
    s = empty(wanted, by, replicates)
    together, each = added_up(s, wanted, by)
    assert together == pytest.approx(by.whole)
    assert each == pytest.approx(np.broadcast_to(by.whole, each.shape))
    assert not s.scarce
    assert (s.factors.each[:, :, 2] == 1.0).all()


def seen(one: Look, by: Known) -> Seen:
    """A look in which people asked a million times an hour of their activity, and were refused by half."""
    counts = np.zeros((3, at.COUNT_FIELDS), np.int64)
    counts[:, at.ASKED] = np.rint(1e6 * by.of(one))
    counts[:, at.REFUSALS] = counts[:, at.ASKED] // 2
    histograms = np.zeros((3, at.METRICS, BUCKETS), np.int64)
    result = CellResult(TIERS, counts, histograms, None, 0, 0, 0, 0, 0, 0, 0, HOUR_PS)
    return Seen(result, np.zeros(3, np.int64), np.ones(WORK_FIELDS), one.replicas, 0, 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_asked_as_activity_says_is_known_exactly_in_pools_of_many_cells_and_of_one(seed: int) -> None:
    by = made(np.maximum(np.arange(HOURS) * 4, 16).clip(max=REPLICAS[0]))
    wanted = looks(np.sin(np.arange(HOURS)), REPLICAS, seed)
    s = empty(wanted, by)
    for one in wanted:
        s.add(one, seen(one, by))
    for number, tier in enumerate(TIERS):
        found = s.total(at.ASKED, tier)
        assert found.value == pytest.approx(1e6 * by.whole[:, number].sum(), rel=1e-5)
        assert (found.low, found.high) == pytest.approx((found.value, found.value), rel=1e-4)
    assert s.ratio([at.REFUSALS], [at.ASKED]).value == pytest.approx(0.5, rel=1e-4)


def test_the_total_of_a_pool_that_grows_is_less_than_half_as_far_off() -> None:
    """One cell of 30 more each hour; cells differ by 15 %, their hours by 20 %, and all share a swing of 35 %."""
    rng = np.random.default_rng(1)
    by = Known(100 * rng.lognormal(-0.06, 0.35, (1, 1, 30)), 16.0 * np.arange(1, 31)[None])
    own = rng.lognormal(-0.01, 0.15, (30, 1)) * rng.lognormal(-0.02, 0.2, (30, 30))
    right = sum(own[w.cell, w.hour] * by.of(w)[0] for w in every_look([480], list(range(30))))

    def told(seed: int, known_activity: Known | None) -> Estimate:
        wanted = looks(np.ones(30), [480], seed)
        s = Sample.empty(("all",), ("a",), wanted, 5, known_activity)
        value, each = 0.0, [0.0] * 5
        for w in wanted:
            r, weight = s.place(w)
            shown = weight * own[w.cell, w.hour] * by.of(w)[0]
            value += shown / 5 * s.factors.together[0, 0]
            each[r] += shown * s.factors.each[r, 0, 0]
        return around(value, each)

    without, found = ([told(seed, known_activity) for seed in range(300)] for known_activity in (None, by))
    values = np.array([e.value / right for e in found])
    assert values.std() < 0.5 * np.std([e.value / right for e in without])
    assert values.mean() == pytest.approx(1.0, abs=0.02)
    assert 0.85 <= np.mean([e.low <= right <= e.high for e in found]) <= 0.96


def test_where_a_pool_is_there_for_few_hours_replicates_count_together() -> None:
    """Some replicates happen to see none of those hours: weighed by themselves the others would stand for them too."""
    by = made(np.where(np.arange(HOURS) >= HOURS - 5, REPLICAS[0], 0))
    seldom = 0
    for seed in range(20):
        wanted = looks(np.sin(np.arange(HOURS)), REPLICAS, seed)
        s = empty(wanted, by)
        together, each = added_up(s, wanted, by)
        assert together == pytest.approx(by.whole)
        assert each.mean(axis=0) == pytest.approx(by.whole)
        assert s.factors.apart[1:, :2].all()
        for tier in (0, 1):
            if not s.factors.apart[0, tier]:
                seldom += 1
                assert (s.factors.each[:, 0, tier] == s.factors.together[0, tier]).all()
                assert each[:, 0, tier].min() < 0.1 * s.factors.together[0, tier] * by.whole[0, tier]
    assert seldom > 10


def test_nothing_seen_of_a_tier_leaves_looks_as_they_are() -> None:
    found = factors(np.array([[10.0, 0.0]]), np.zeros((3, 1, 2)))
    assert (found.together == 1.0).all()
    assert (found.each == 1.0).all()
    assert not found.apart[0, 0]


def test_a_fleet_knows_its_people_and_which_replicas_are_there(laid_out: Fleet) -> None:
    by = known(laid_out, 7 * 24)
    for number, tier in enumerate(laid_out.setting.s.tiers):
        of_all = by.active[:, number].sum() / (7 * 24)
        assert of_all == pytest.approx(tier.people.value * tier.behaviour.active_share.value, rel=0.15)
    assert (by.replicas[2, 3:24] == 20).all()  # the ramp of the third pool
    assert by.replicas[2, -1] == 40


def test_all_cells_count_once_and_a_sample_as_its_activity_says(laid_out: Fleet) -> None:
    assert (whole(laid_out, [12]).factors.each == 1.0).all()
    sample = sampled(laid_out, hours=12, cells=2, processes=1)
    assert sample.factors.apart[:2].all()
    assert sample.scarce == (sample.pools[2],)  # its last cell is not there yet: one of two replicates sees nothing
    assert (sample.factors.each[:, 2] == sample.factors.together[2]).all()
