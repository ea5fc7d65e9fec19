"""The field's own closed forms, by themselves and against the closed form that limits are found with."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.planner.active_load import PRECISION, Capacity, Sources, Takes, carried_share, largest_factor
from ampacity.planner.multiplexing import (
    chernoff_bound,
    class_blocking,
    effective_bandwidth,
    effective_bandwidth_factor,
    kaufman_roberts,
    most_active,
    multiplexing_gain,
)

crowds = st.tuples(st.integers(1, 3000), st.floats(0.01, 0.9))


def one_kind_of_hour(capacity: float) -> Capacity:
    return Capacity(np.array([capacity]), np.array([1e9]), 1.0, np.array([1.0]))


def limit(people: float, active: float, capacity: float, share: float) -> float:
    sources = Sources(np.array([float(people)]), np.array([[active]]), 0.0)
    return largest_factor(
        sources, lambda f: Takes(np.array([f]), np.array([f * f])), 1e6, one_kind_of_hour(capacity), share
    )


@given(st.floats(0.01, 0.99), st.floats(0.1, 10), st.floats(0.01, 50))
def test_an_effective_bandwidth_lies_between_the_mean_and_the_take(active: float, take: float, theta: float) -> None:
    found = float(effective_bandwidth(active, take, theta))
    assert active * take * (1 - 1e-9) <= found <= take * (1 + 1e-9)
    assert found <= float(effective_bandwidth(active, take, theta * 2)) * (1 + 1e-9)


def test_chernoffs_bound_is_the_divergence_of_the_binomial_where_all_are_alike() -> None:
    n, q, c = 200, 0.1, 40.0
    a = c / n
    divergence = a * math.log(a / q) + (1 - a) * math.log((1 - a) / (1 - q))
    assert chernoff_bound(n, q, 1.0, c) == pytest.approx(math.exp(-n * divergence), rel=1e-9)


@given(crowds, st.floats(0.01, 1.0))
def test_the_bound_never_promises_more_than_the_exact_share(crowd: tuple[int, float], part: float) -> None:
    n, q = crowd
    capacity = part * n
    sources = Sources(np.array([float(n)]), np.array([[q]]), 0.0)
    exact = carried_share(sources, Takes(np.array([1.0]), np.array([1.0])), one_kind_of_hour(capacity))
    assert 1 - exact <= chernoff_bound(n, q, 1.0, capacity) + 1e-9


@given(crowds, st.floats(1.0, 1e4), st.floats(0.9, 0.9999))
def test_the_factor_by_effective_bandwidth_is_never_above_the_limit(
    crowd: tuple[int, float], capacity: float, share: float
) -> None:
    bound = effective_bandwidth_factor(*crowd, 1.0, capacity, share)
    assert bound <= limit(*crowd, capacity, share) * (1 + 2 * PRECISION)


@pytest.mark.parametrize(
    ("people", "active", "least"),
    [(5, 0.1, 0.84), (50, 0.1, 0.83), (500, 0.1, 0.92), (5000, 0.07, 0.96), (50_000, 0.07, 0.985)],
)
def test_the_gap_to_the_bound_is_a_sixth_for_a_team_and_closes_for_a_crowd(
    people: int, active: float, least: float
) -> None:
    ratio = effective_bandwidth_factor(people, active, 1.0, people, 0.995) / limit(people, active, people, 0.995)
    assert least < ratio < least + 0.03


def test_the_bound_holds_for_classes_of_different_takes_against_monte_carlo() -> None:
    rng = np.random.default_rng(2)
    people, active, take = np.array([100, 10]), np.array([0.1, 0.2]), np.array([1.0, 8.0])
    load = rng.binomial(people, active, (400_000, 2)) @ take
    for capacity in (35.0, 45.0, 55.0):
        sampled = float(np.mean(load > capacity))
        assert sampled < chernoff_bound(people, active, take, capacity) < 20 * sampled


def test_nobody_who_takes_anything_has_no_bound() -> None:
    assert effective_bandwidth_factor(10, 0.0, 1.0, 5.0, 0.995) == math.inf
    assert chernoff_bound(10, 0.5, 1.0, 10.0) == 0.0
    assert chernoff_bound(10, 0.5, 1.0, 4.0) == 1.0


def test_one_class_is_erlangs_loss_formula() -> None:
    offered, servers = 7.0, 10
    erlang_b = (offered**servers / math.factorial(servers)) / sum(
        offered**k / math.factorial(k) for k in range(servers + 1)
    )
    assert class_blocking([1], [offered], servers) == (pytest.approx(erlang_b),)


def test_a_class_of_two_units_on_twice_the_link_is_the_same_class() -> None:
    assert class_blocking([2], [7.0], 20)[0] == pytest.approx(class_blocking([1], [7.0], 10)[0])


def test_state_probabilities_are_those_of_the_product_form() -> None:
    units, offered, capacity = (1, 3), (2.0, 1.5), 9
    product = np.zeros(capacity + 1)
    for i in range(capacity + 1):
        for j in range(capacity // 3 + 1):
            if i + 3 * j <= capacity:
                chance = 2.0**i / math.factorial(i) * 1.5**j / math.factorial(j)
                product[i + 3 * j] += chance
    assert kaufman_roberts(units, offered, capacity) == pytest.approx(product / product.sum())


def test_a_link_far_above_the_load_shows_the_load_itself() -> None:
    p = kaufman_roberts([1, 5], [300.0, 40.0], 2000)
    units = np.arange(2001)
    mean = float(p @ units)
    assert p.sum() == pytest.approx(1.0)
    assert mean == pytest.approx(300 + 5 * 40)
    assert float(p @ (units - mean) ** 2) == pytest.approx(300 + 25 * 40)


@given(st.lists(st.tuples(st.integers(1, 6), st.floats(0.1, 20)), min_size=1, max_size=4), st.integers(6, 200))
def test_who_takes_more_is_blocked_more_often(classes: list[tuple[int, float]], capacity: int) -> None:
    classes.sort()
    blocked = class_blocking([b for b, _ in classes], [a for _, a in classes], capacity)
    assert all(0 <= one <= other + 1e-12 for one, other in itertools.pairwise(blocked))


@pytest.mark.parametrize(("units", "offered"), [([0], [1.0]), ([1], [-1.0])])
def test_traffic_that_cannot_be_is_refused(units: list[int], offered: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one unit"):
        kaufman_roberts(units, offered, 10)


CROWDS = {
    "equal": ((1,), (60.0,), 1e-3),
    "two classes": ((1, 5), (100.0, 20.0), 0.004),
    "three classes": ((1, 5, 20), (300.0, 30.0, 4.0), 0.006),
}


@pytest.mark.parametrize("case", CROWDS)
def test_a_crowd_of_seldom_active_people_is_carried_as_kaufman_and_roberts_say(case: str) -> None:
    units, offered, error = CROWDS[case]
    crowd = 1e6  # so large that a binomial number of active people is a Poisson one
    sources = Sources(np.full(len(units), crowd), np.array([offered]) / crowd, 0.0)
    takes = Takes(np.array(units, dtype=float), np.array(units, dtype=float) ** 2)
    cumulative = np.cumsum(kaufman_roberts(units, offered, 3000))
    for level in (0.99, 0.995, 0.999):
        capacity = int(np.argmax(cumulative >= level))
        assert carried_share(sources, takes, one_kind_of_hour(capacity)) == pytest.approx(
            cumulative[capacity], abs=error
        )


@given(st.integers(1, 400), st.floats(0.005, 0.995), st.floats(0.5, 0.9999))
def test_the_most_active_at_once_is_a_quantile(people: int, active: float, share: float) -> None:
    n = most_active(people, active, share)
    chance = [math.comb(people, k) * active**k * (1 - active) ** (people - k) for k in range(people + 1)]
    assert sum(chance[: n + 1]) >= share - 1e-9
    assert n == 0 or sum(chance[:n]) < share + 1e-9


def test_one_person_gains_nothing_and_a_crowd_one_over_its_activity() -> None:
    assert multiplexing_gain(1, 0.1, 0.995) == 1.0
    assert multiplexing_gain(10_000_000, 0.1, 0.995) == pytest.approx(10.0, rel=0.005)


@pytest.mark.parametrize(("people", "active"), [(3, 0.2), (20, 0.1), (50, 0.17), (500, 0.05), (4000, 0.3)])
def test_the_gain_is_the_limit_on_so_many_shares_over_that_on_one(people: int, active: float) -> None:
    together, alone = limit(people, active, people, 0.995), limit(1, active, 1.0, 0.995)
    assert multiplexing_gain(people, active, 0.995) == pytest.approx(together / alone, rel=2 * PRECISION)
