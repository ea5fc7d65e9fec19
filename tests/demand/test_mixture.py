"""Mixtures of log-normal laws: distribution, inverse, and the fit that finds them again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ampacity.demand.goodness import distance
from ampacity.demand.mixture import Mixture, fit_mixture

TWO = Mixture((0.3, 0.7), (2.0, 6.0), (0.5, 1.0))


@st.composite
def mixtures(some: st.DrawFn) -> Mixture:
    n = some(st.integers(1, 4))
    weight = [some(st.floats(0.05, 1)) for _ in range(n)]
    mu = [some(st.floats(-3, 12)) for _ in range(n)]
    sigma = [some(st.floats(0.06, 2)) for _ in range(n)]
    return Mixture(tuple(w / sum(weight) for w in weight), tuple(mu), tuple(sigma))


def test_one_component_is_the_log_normal_law() -> None:
    one, theirs = Mixture((1.0,), (3.0,), (0.8,)), stats.lognorm(0.8, scale=np.exp(3.0))
    x = np.array([1.0, 10.0, 20.0, 100.0])
    assert one.cdf(x) == pytest.approx(theirs.cdf(x), rel=1e-9)
    assert one.at(stats.norm.ppf([0.01, 0.5, 0.999])) == pytest.approx(theirs.ppf([0.01, 0.5, 0.999]), rel=1e-4)
    assert one.mean == pytest.approx(theirs.mean(), rel=1e-3)


@given(mixtures(), st.floats(-3, 3))
def test_the_value_at_a_score_has_that_probability_below_it(mixture: Mixture, z: float) -> None:
    assert mixture.cdf(mixture.at(z)) == pytest.approx(stats.norm.cdf(z), abs=2e-3)


def test_values_stay_inside_what_was_seen() -> None:
    bounded = Mixture((1.0,), (0.0,), (3.0,), least=0.5, most=4.0)
    assert (bounded.at(-9.0), bounded.at(9.0)) == (0.5, 4.0)
    table = bounded.table(1000)
    assert (np.diff(table) >= 0).all()


def test_a_fit_finds_the_law_that_values_were_drawn_from() -> None:
    rng = np.random.default_rng(1)
    first = rng.random(40_000) < 0.3
    found = fit_mixture(np.exp(np.where(first, rng.normal(2, 0.5, 40_000), rng.normal(6, 1.0, 40_000))), 2)
    assert found.weight == pytest.approx(TWO.weight, abs=0.01)
    assert found.mu == pytest.approx(TWO.mu, abs=0.03)
    assert found.sigma == pytest.approx(TWO.sigma, abs=0.03)


def test_a_fit_follows_a_law_that_is_no_mixture() -> None:
    values = stats.gamma(0.7, scale=100).rvs(20_000, random_state=2)
    fitted = fit_mixture(values, 4)
    assert distance(fitted.table(20_000), values) < 0.02


def test_the_same_values_in_any_order_give_the_same_law() -> None:
    values = np.random.default_rng(3).lognormal(1, 1, 3000)
    assert fit_mixture(values, 3) == fit_mixture(values[::-1], 3)


def test_values_that_are_all_alike_are_one_narrow_law() -> None:
    assert fit_mixture(np.full(100, 7.0), 3).median == pytest.approx(7.0, rel=1e-6)


def test_few_values_get_few_components() -> None:
    assert len(fit_mixture(np.arange(1.0, 30.0), 4).weight) == 1


def test_nothing_positive_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="no positive value"):
        fit_mixture([0.0, -1.0], 2)


def test_a_law_is_itself_again_from_a_file() -> None:
    again = Mixture.of(TWO.as_dict())
    assert again.mu == TWO.mu and again.sigma == TWO.sigma
    assert again.weight == pytest.approx(TWO.weight)
