"""The share of hours that carry a load, against Monte Carlo of the very same people, and its laws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.planner.active_load import PRECISION, Capacity, Sources, Takes, carried_share, largest_factor

TRIALS = 200_000
SWING = 0.35


@dataclass(frozen=True)
class Group:
    """People of one tier: how many, how likely active, share of takers, cap and spread of use, size of their takes."""

    people: int
    active: float
    takers: float
    cap: float
    sigma: float = 1.28
    size: float = 1.0


def loads(groups: list[Group], swing: float, seed: int) -> np.ndarray:
    """Load in each trial: everyone drawn on their own, given the trial's swing."""
    rng = np.random.default_rng(seed)
    swings = np.exp(rng.normal(0, swing, TRIALS) - swing**2 / 2)
    total = np.zeros(TRIALS)
    for g in groups:
        active = rng.binomial(g.people, np.minimum(g.active * swings, 1.0))
        trial = np.repeat(np.arange(TRIALS), active)
        wanted = rng.lognormal(-(g.sigma**2) / 2, g.sigma, len(trial))
        # whoever wants more than the cap does not slow down: they draw what they want in cap / wanted of the time
        drawing = rng.random(len(trial)) < np.minimum(g.cap / wanted, 1.0)
        takes = np.where(rng.random(len(trial)) < g.takers, g.cap, wanted * drawing)
        total += np.bincount(trial, weights=takes * g.size, minlength=TRIALS)
    return total


def moments(cap: float, sigma: float) -> tuple[float, float]:
    """E[min(X, c)] and E[X min(X, c)] of log-normal X with mean 1, integrated over its logarithm: whoever wants more
    than the cap draws X in c/X of the time."""
    z = np.linspace(-9.0, 9.0, 20_001)
    weight = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    x = np.exp(sigma * z - sigma**2 / 2)
    return float(weight @ np.minimum(x, cap)), float(weight @ (x * np.minimum(x, cap)))


def closed(groups: list[Group], swing: float, capacity: float) -> float:
    sources = Sources(np.array([float(g.people) for g in groups]), np.array([[g.active for g in groups]]), swing)
    mean = [g.takers * g.cap + (1 - g.takers) * moments(g.cap, g.sigma)[0] for g in groups]
    second = [g.takers * g.cap**2 + (1 - g.takers) * moments(g.cap, g.sigma)[1] for g in groups]
    sizes = np.array([g.size for g in groups])
    return carried_share(sources, Takes(sizes * mean, sizes**2 * second), one_kind_of_hour(capacity))


def one_kind_of_hour(capacity: float, replicas: float = 1e9, availability: float = 1.0) -> Capacity:
    return Capacity(np.array([capacity]), np.array([replicas]), availability, np.array([1.0]))


def people(count: float, active: float, swing: float = 0.0) -> Sources:
    return Sources(np.array([count]), np.array([[active]]), swing)


def equal(take: float) -> Takes:
    return Takes(np.array([take]), np.array([take**2]))


@pytest.mark.parametrize(
    ("count", "active", "swing"), [(50, 0.17, 0.35), (5, 0.17, 0.35), (500, 0.1, 0.2), (20, 0.6, 0)]
)
def test_where_all_take_the_same_it_is_exact(count: int, active: float, swing: float) -> None:
    cap = 2.7
    load = loads([Group(count, active, 1.0, cap)], swing, seed=1)
    for active_at_once in range(0, count + 1, max(1, count // 25)):
        capacity = cap * (active_at_once + 0.5)
        sampled = float(np.mean(load <= capacity))
        error = 5 * np.sqrt(sampled * (1 - sampled) / TRIALS) + 2e-5
        assert closed([Group(count, active, 1.0, cap)], swing, capacity) == pytest.approx(sampled, abs=error)


MIXED = {
    "50 people, few takers": [Group(50, 0.17, 0.1, 11.0)],
    "50 people, many takers": [Group(50, 0.17, 0.3, 3.0)],
    "50 people, seldom active": [Group(50, 0.07, 0.1, 5.0)],
    "500 people": [Group(500, 0.10, 0.1, 8.0)],
    "500 people, a high cap": [Group(500, 0.10, 0.1, 12.0)],
    "two tiers, one five times the other": [Group(50, 0.1, 0.1, 8.0), Group(50, 0.1, 0.1, 8.0, size=5.0)],
    "two tiers, twenty large ones": [Group(200, 0.1, 0.1, 6.0), Group(20, 0.1, 0.1, 6.0, size=20.0)],
    "people and an API": [Group(50, 0.17, 0.1, 8.0), Group(3, 0.36, 0.0, 1e9, sigma=1.15, size=0.5)],
    "three tiers": [
        Group(300, 0.1, 0.1, 4.0),
        Group(60, 0.12, 0.1, 4.0, size=5.0),
        Group(10, 0.2, 0.1, 4.0, size=20.0),
    ],
}


@pytest.mark.parametrize("case", MIXED)
def test_heavy_tails_and_several_tiers_are_within_half_a_point_where_limits_are_set(case: str) -> None:
    load = loads(MIXED[case], SWING, seed=7)
    for level in (0.99, 0.995, 0.999):
        capacity = float(np.quantile(load, level))
        sampled = float(np.mean(load <= capacity))
        assert closed(MIXED[case], SWING, capacity) == pytest.approx(sampled, abs=0.005), f"{case} at {level}"


def test_five_people_with_heavy_tails_are_within_one_point() -> None:
    few = [Group(5, 0.17, 0.1, 11.0)]
    load = loads(few, SWING, seed=7)
    for level in (0.99, 0.995, 0.999):
        capacity = float(np.quantile(load, level))
        assert closed(few, SWING, capacity) == pytest.approx(float(np.mean(load <= capacity)), abs=0.01)


def test_one_person_gets_the_whole_capacity() -> None:
    found = largest_factor(people(1, 0.2), equal, 100.0, one_kind_of_hour(8.0), 0.995)
    assert 8.0 / (1 + PRECISION) <= found <= 8.0


def test_with_room_for_all_at_once_every_hour_is_carried() -> None:
    assert carried_share(people(30, 0.5, 0.35), equal(1.0), one_kind_of_hour(30.0)) == pytest.approx(1.0, abs=1e-12)


def test_without_room_for_one_only_the_hours_in_which_nobody_is_active_are_carried() -> None:
    found = carried_share(people(3, 0.2), equal(1.0), one_kind_of_hour(0.5))
    assert found == pytest.approx(0.8**3)


def test_hours_count_by_how_often_they_occur() -> None:
    sources = Sources(np.array([1.0]), np.array([[1.0], [0.0]]), 0.0)
    capacity = Capacity(np.array([0.5, 0.5]), np.array([1e9, 1e9]), 1.0, np.array([0.25, 0.75]))
    assert carried_share(sources, equal(1.0), capacity) == pytest.approx(0.75, abs=1e-6)


def test_one_replica_of_two_being_down_halves_what_is_there() -> None:
    always = people(1, 1.0)
    both, one = (carried_share(always, equal(x), one_kind_of_hour(2.0, 2.0, 0.9)) for x in (2.0, 1.0))
    assert both == pytest.approx(0.9**2, abs=1e-6)
    assert one == pytest.approx(1 - 0.1**2, abs=1e-6)


def test_a_single_replica_that_fails_more_often_than_the_service_level_allows_can_promise_nothing() -> None:
    always = people(200, 0.9)
    assert largest_factor(always, equal, 100.0, one_kind_of_hour(8.0, 1.0, 0.994), 0.995) == 0.0
    assert largest_factor(always, equal, 100.0, one_kind_of_hour(8.0, 1.0, 0.9951), 0.995) > 0.0


def test_a_mean_load_above_the_capacity_is_not_carried_however_many_share_it() -> None:
    found = carried_share(people(1e6, 0.1), equal(1.0), one_kind_of_hour(0.99e5))
    assert found < 0.01


def test_nothing_above_the_ceiling_is_given_and_a_ceiling_of_nothing_gives_nothing() -> None:
    assert largest_factor(people(10, 0.1), equal, 0.01, one_kind_of_hour(8.0), 0.995) == 0.01
    assert largest_factor(people(10, 0.1), equal, 0.0, one_kind_of_hour(8.0), 0.995) == 0.0


crowds = st.tuples(st.integers(1, 2000), st.floats(0.01, 0.5), st.floats(0, 0.5))


@given(crowds, st.floats(0.5, 500), st.floats(1.0, 5.0))
def test_more_capacity_never_lowers_the_factor(crowd: tuple[int, float, float], room: float, times: float) -> None:
    sources = people(*crowd)
    less, more = (largest_factor(sources, equal, 1e9, one_kind_of_hour(c), 0.99) for c in (room, room * times))
    assert more >= less * (1 - 2 * PRECISION)


@given(crowds, st.integers(0, 500))
def test_more_people_never_raise_the_factor(crowd: tuple[int, float, float], more: int) -> None:
    few, many = (
        largest_factor(people(n, *crowd[1:]), equal, 1e9, one_kind_of_hour(10.0), 0.99)
        for n in (crowd[0], crowd[0] + more)
    )
    assert many <= few * (1 + 2 * PRECISION)


@given(crowds, st.floats(0.5, 0.999), st.floats(0.5, 0.999))
def test_a_stricter_share_of_hours_never_raises_the_factor(
    crowd: tuple[int, float, float], one: float, other: float
) -> None:
    loose, strict = (
        largest_factor(people(*crowd), equal, 1e9, one_kind_of_hour(10.0), share)
        for share in (min(one, other), max(one, other))
    )
    assert strict <= loose


@given(crowds, st.floats(0.5, 500), st.floats(0.9, 0.999))
def test_the_factor_found_is_carried(crowd: tuple[int, float, float], room: float, share: float) -> None:
    sources, capacity = people(*crowd), one_kind_of_hour(room)
    found = largest_factor(sources, equal, 1e9, capacity, share)
    assert found > 0
    assert carried_share(sources, equal(found), capacity) >= share
