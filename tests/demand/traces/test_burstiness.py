"""Burstiness of arrivals whose burstiness is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ampacity.demand.traces.burstiness import index_of_dispersion, interarrival_cv, peak_to_mean


def test_poisson_arrivals_have_a_dispersion_and_a_spread_of_one() -> None:
    rng = np.random.default_rng(7)
    t = np.cumsum(rng.exponential(0.1, 200_000))
    assert interarrival_cv(t) == pytest.approx(1.0, abs=0.01)
    for bin_s in (1.0, 10.0):
        # the variance of a variance: sqrt(2 / bins)
        assert index_of_dispersion(t, bin_s) == pytest.approx(1.0, abs=5 * math.sqrt(2 * bin_s / t[-1]))


def test_batches_of_poisson_instants_disperse_by_their_size() -> None:
    rng = np.random.default_rng(8)
    t = np.repeat(np.cumsum(rng.exponential(1.0, 50_000)), 7)
    assert index_of_dispersion(t, 10.0) == pytest.approx(7.0, rel=0.1)


def test_even_arrivals_do_not_disperse_at_all() -> None:
    t = np.arange(0, 1000, 0.5)
    assert index_of_dispersion(t, 1.0) == pytest.approx(0.0, abs=1e-9)
    assert peak_to_mean(t, 60.0) == pytest.approx(1.0)
    assert interarrival_cv(t) == pytest.approx(0.0, abs=1e-9)


def test_counts_are_those_of_a_histogram() -> None:
    rng = np.random.default_rng(9)
    t = rng.uniform(0, 1000, 3000) ** 1.2
    counts, _ = np.histogram(t - t.min(), bins=np.arange(0, (t.max() - t.min()) // 30 + 1) * 30.0)
    assert index_of_dispersion(t, 30.0) == pytest.approx(counts.var() / counts.mean())
    assert peak_to_mean(t, 30.0) == pytest.approx(counts.max() / counts.mean())


def test_a_clock_that_spans_decades_takes_no_memory() -> None:
    assert peak_to_mean([0.0, 1.0, 2e9], 1.0) == pytest.approx(2e9 / 2, rel=1e-6)


@pytest.mark.parametrize("t", [[], [3.0], [3.0, 3.0]])
def test_too_few_arrivals_have_no_burstiness(t: list[float]) -> None:
    assert all(math.isnan(x) for x in (index_of_dispersion(t, 1.0), peak_to_mean(t, 1.0), interarrival_cv(t)))
