"""Intervals of a sampled fleet hold what all of its cells show as often as they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest
from scipy.special import stdtrit

from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_hour import Seen
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.estimate import HOUR_PS, Estimate, Sample
from ampacity.simulator.histograms import BUCKETS
from ampacity.simulator.sampled import WORK_FIELDS
from ampacity.simulator.strata import CELL_REPLICAS, Look, every_look, looks

CELLS_EACH, HOURS, SAMPLES = 30, 36, 400
REPLICAS = [CELLS_EACH * CELL_REPLICAS] * 2
FIGURES: dict[str, Callable[[Sample], Estimate]] = {
    "asked": lambda s: s.total(at.ASKED),
    "refused share": lambda s: s.ratio([at.REFUSALS], [at.ASKED]),
    "first token, half": lambda s: s.quantile_s(at.TTFT, 0.5),
    "first token, nine in ten": lambda s: s.quantile_s(at.TTFT, 0.9),
    "good share": lambda s: s.good_share(),
}


def seen(asked: int, refused: int, ttft_s: np.ndarray) -> Seen:
    counts = np.zeros((1, at.COUNT_FIELDS), np.int64)
    counts[0, [at.ASKED, at.REFUSALS, at.ANSWERED]] = asked, refused, asked
    histograms = np.zeros((1, at.METRICS, BUCKETS), np.int64)
    us = np.maximum(ttft_s * 1e6, 128).astype(np.int64)
    octave = np.floor(np.log2(us)).astype(np.int64) - 7
    histograms[0, at.TTFT] = np.bincount((octave + 1) * 128 + (us >> octave) - 128, minlength=BUCKETS)
    result = CellResult(("developers",), counts, histograms, None, 0, 0, 0, 0, 0, 0, 0, HOUR_PS)
    return Seen(result, np.array([(ttft_s < 0.1).sum()]), np.ones(WORK_FIELDS), CELL_REPLICAS, asked, 0.0)


@cache
def fleet() -> tuple[dict[tuple[int, int, int], Seen], np.ndarray]:
    """Two pools of cells unlike each other, with a day's swing, rare refusals, and answers that slow down with load."""
    rng = np.random.default_rng(5)
    load = 1.5 + np.sin(np.arange(HOURS) / 24 * 2 * np.pi)
    whole = {}
    for pool in range(2):
        for cell in range(CELLS_EACH):
            own = rng.lognormal(-0.045, 0.3)
            for hour in range(HOURS):
                asked = int(rng.poisson(160 * own * load[hour] * rng.lognormal(-0.02, 0.2)))
                refused = int(rng.poisson(asked * 0.02 * own * load[hour]))
                slow = rng.lognormal(np.log(0.05 * (1 + 0.2 * load[hour] * own)), 0.8, asked)
                whole[pool, cell, hour] = seen(asked, refused, slow)
    return whole, load


def sample_of(wanted: Sequence[Look], replicates: int) -> Sample:
    s = Sample.empty(("developers",), ("a", "b"), wanted, replicates)
    for w in wanted:
        s.add(w, fleet()[0][w.pool, w.cell, w.hour])
    return s


@cache
def truth() -> Sample:
    return sample_of(every_look(REPLICAS, list(range(HOURS))), 1)


@cache
def samples() -> tuple[Sample, ...]:
    return tuple(sample_of(looks(fleet()[1], REPLICAS, seed), 5) for seed in range(SAMPLES))


def held(name: str, level: float) -> float:
    """Share of the samples whose interval at a level holds what all cells show: t quantiles widen it alike."""
    right = FIGURES[name](truth()).value
    wider = float(stdtrit(4, (1 + level) / 2) / stdtrit(4, 0.95))
    found = [FIGURES[name](s) for s in samples()]
    return float(np.mean([abs(np.log(right / e.value)) <= wider * np.log(e.value / e.low) for e in found]))


@pytest.mark.parametrize("name", FIGURES)
def test_intervals_hold_the_truth_as_often_as_they_say(name: str) -> None:
    assert 0.86 <= held(name, 0.9) <= 0.94
    assert 0.93 <= held(name, 0.95) <= 0.97


@pytest.mark.parametrize("name", FIGURES)
def test_the_mean_of_samples_is_what_all_cells_show(name: str) -> None:
    right = FIGURES[name](truth()).value
    assert np.mean([FIGURES[name](s).value for s in samples()]) == pytest.approx(right, rel=0.015)
