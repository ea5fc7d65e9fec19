"""Intervals of a sampled fleet hold what all of its cells show as often as they say: drawn fleets, samples of each."""

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
from ampacity.simulator.known_activity import Known
from ampacity.simulator.sampled import WORK_FIELDS
from ampacity.simulator.strata import CELL_REPLICAS, Look, every_look, looks

CELLS_EACH, HOURS, FLEETS, SAMPLES = 30, 36, 8, 50
REPLICAS = [CELLS_EACH * CELL_REPLICAS] * 2
LOAD = 1.5 + np.sin(np.arange(HOURS) / 24 * 2 * np.pi)
WAYS = ("cell-hours", "known activity")
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


def drawn_fleet(number: int) -> tuple[dict[tuple[int, int, int], Seen], np.ndarray]:
    """Two pools of cells unlike each other, with a day's shape, a swing that all cells share and the load leaves out,
    rare refusals, and answers that slow down with load; beside it the activity that is known of each hour."""
    rng = np.random.default_rng(number)
    active = LOAD * rng.lognormal(-(0.35**2) / 2, 0.35, HOURS)
    whole = {}
    for pool in range(2):
        for cell in range(CELLS_EACH):
            own = rng.lognormal(-(0.15**2) / 2, 0.15)
            for hour in range(HOURS):
                asked = int(rng.poisson(160 * own * active[hour] * rng.lognormal(-0.02, 0.2)))
                refused = int(rng.poisson(asked * 0.02 * own * active[hour]))
                slow = rng.lognormal(np.log(0.05 * (1 + 0.2 * active[hour] * own)), 0.8, asked)
                whole[pool, cell, hour] = seen(asked, refused, slow)
    return whole, active


@cache
def found() -> dict[tuple[str, str], list[tuple[float, Estimate]]]:
    """Of each figure, either way: what all cells of a fleet show, and what a sample of it says, fleet after fleet."""
    told: dict[tuple[str, str], list[tuple[float, Estimate]]] = {(n, w): [] for n in FIGURES for w in WAYS}
    for number in range(FLEETS):
        cells, active = drawn_fleet(number)

        def sample_of(wanted: Sequence[Look], replicates: int, known: Known | None) -> Sample:
            s = Sample.empty(("developers",), ("a", "b"), wanted, replicates, known)
            for w in wanted:
                s.add(w, cells[w.pool, w.cell, w.hour])  # noqa: B023
            return s

        truth = sample_of(every_look(REPLICAS, list(range(HOURS))), 1, None)
        known = Known(np.tile(active, (2, 1, 1)), np.full((2, HOURS), float(REPLICAS[0])))
        for seed in range(SAMPLES):
            wanted = looks(LOAD, REPLICAS, number * SAMPLES + seed)
            for way, by in zip(WAYS, (None, known), strict=True):
                s = sample_of(wanted, 5, by)
                for name, figure in FIGURES.items():
                    told[name, way].append((figure(truth).value, figure(s)))
    return told


def held(name: str, way: str, level: float) -> float:
    """Share of the intervals at a level that hold the truth: t quantiles widen those of 90 % alike."""
    wider = float(stdtrit(4, (1 + level) / 2) / stdtrit(4, 0.95))
    return float(np.mean([abs(np.log(r / e.value)) <= wider * np.log(e.value / e.low) for r, e in found()[name, way]]))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FIGURES)
def test_intervals_hold_the_truth_as_often_as_they_say(name: str, way: str) -> None:
    assert 0.86 <= held(name, way, 0.9) <= 0.94
    assert 0.93 <= held(name, way, 0.95) <= 0.98


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FIGURES)
def test_the_mean_of_samples_is_what_all_cells_show(name: str, way: str) -> None:
    assert np.mean([e.value / r for r, e in found()[name, way]]) == pytest.approx(1.0, rel=0.015)


def test_what_is_known_makes_totals_more_certain_and_their_intervals_as_much_narrower() -> None:
    def error(way: str) -> float:
        return float(np.std([e.value / r for r, e in found()["asked", way]]))

    def width(way: str) -> float:
        return float(np.sqrt(np.mean([np.log(e.high / e.low) ** 2 for _, e in found()["asked", way]])))

    narrower = error("known activity") / error("cell-hours")
    assert narrower < 0.92
    assert width("known activity") / width("cell-hours") == pytest.approx(narrower, rel=0.1)
