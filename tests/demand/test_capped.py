"""Moments of log-normal use under a cap, against Monte Carlo and their limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.demand.capped import capped_mean, capped_second

sigmas = st.floats(0.05, 2.0)
caps = st.floats(1e-3, 1e3)


def drawn(sigma: float) -> np.ndarray:
    return np.random.default_rng(5).lognormal(-(sigma**2) / 2, sigma, 400_000)


@pytest.mark.parametrize("sigma", [0.3, 0.8, 1.28])
@pytest.mark.parametrize("cap", [0.1, 0.7, 1.0, 2.5, 8.0])
def test_moments_agree_with_monte_carlo(cap: float, sigma: float) -> None:
    x = drawn(sigma)
    taken = np.minimum(x, cap)
    for closed, sample in ((capped_mean(cap, sigma), taken), (capped_second(cap, sigma), x * taken)):
        assert float(closed) == pytest.approx(sample.mean(), abs=4.5 * sample.std() / np.sqrt(len(x)) + 1e-12)


@given(sigmas)
def test_without_a_cap_the_mean_is_one_and_the_second_moment_that_of_the_log_normal(sigma: float) -> None:
    for cap in (np.inf, 1e12):
        assert float(capped_mean(cap, sigma)) == pytest.approx(1.0)
        assert float(capped_second(cap, sigma)) == pytest.approx(np.exp(sigma**2))


@given(sigmas)
def test_under_a_tiny_cap_everyone_takes_the_cap(sigma: float) -> None:
    cap = 1e-9
    assert float(capped_mean(cap, sigma)) == pytest.approx(cap, rel=1e-6)
    assert float(capped_second(cap, sigma)) == pytest.approx(cap, rel=1e-6)  # E[X c] = c, the mean being one


@given(caps, sigmas, st.floats(1.0, 10.0))
def test_a_higher_cap_never_lowers_either_moment(cap: float, sigma: float, times: float) -> None:
    assert float(capped_mean(cap * times, sigma)) >= float(capped_mean(cap, sigma)) * (1 - 1e-12)
    assert float(capped_second(cap * times, sigma)) >= float(capped_second(cap, sigma)) * (1 - 1e-12)


@given(caps, sigmas)
def test_the_capped_mean_is_no_more_than_the_cap_nor_the_mean(cap: float, sigma: float) -> None:
    assert 0 < float(capped_mean(cap, sigma)) <= min(cap, 1.0) * (1 + 1e-12)


@given(caps, sigmas)
def test_the_second_moment_is_at_least_the_square_of_the_mean(cap: float, sigma: float) -> None:
    assert float(capped_second(cap, sigma)) >= float(capped_mean(cap, sigma)) ** 2 * (1 - 1e-9)


def test_use_without_spread_is_cut_at_the_cap() -> None:
    assert float(capped_mean(0.4, 1e-6)) == pytest.approx(0.4)
    assert float(capped_mean(3.0, 1e-6)) == pytest.approx(1.0)
