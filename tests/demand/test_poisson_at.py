"""How many of something a person has: the quantiles of a Poisson law, small means and far tails alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from ampacity.demand.stretches import FAR_TAIL, MEAN_SUMMED, poisson_at


def test_quantiles_are_those_of_an_independent_implementation() -> None:
    rng = np.random.default_rng(1)
    mean = np.concatenate([rng.lognormal(0.3, 1.5, 20_000), rng.uniform(0.7, 1.4, 2000) * MEAN_SUMMED])
    u = rng.random(len(mean))
    assert (poisson_at(u, mean) == poisson.ppf(u, mean)).all()


@pytest.mark.parametrize("u", [1e-15, FAR_TAIL, 1 - FAR_TAIL, 1 - 1e-12, 1 - 2.0**-53])
def test_far_tails_end_and_agree(u: float) -> None:
    mean = np.array([1e-9, 0.5, 30.0, MEAN_SUMMED, 2 * MEAN_SUMMED])
    assert (poisson_at(np.full(5, u), mean) == poisson.ppf(u, mean)).all()


def test_nothing_is_expected_of_a_mean_of_zero() -> None:
    assert (poisson_at(np.array([1e-9, 0.5, 1 - 1e-12]), np.zeros(3)) == 0).all()
