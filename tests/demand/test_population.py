"""Subscribers: heavy tails, hours, clocks, growth and swing."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.calendar import utc_s
from ampacity.demand.population import (
    MONTH_S,
    Population,
    Region,
    active_people,
    activity,
    intensity,
    rank_of,
    session_starts,
    share_of_top,
    stated,
    swing,
)

MONDAY = utc_s(date(2026, 5, 4))
FLAT = Region("flat", 1.0, "UTC", "flat")


def people(**otherwise: object) -> Population:
    return Population(**{"people": 1e5, "hours_per_week": 9.8, "sigma": 1.0, "regions": (FLAT,), **otherwise})  # type: ignore[arg-type]


@given(st.floats(0.1, 1.4))
def test_the_mean_activity_is_one(sigma: float) -> None:
    n = 200_000
    assert activity(np.arange(n), n, sigma).mean() == pytest.approx(1.0, rel=0.01)


@given(st.floats(0.1, 1.4), st.floats(0.01, 0.9))
def test_the_share_of_the_most_active_is_their_summed_activity(sigma: float, part: float) -> None:
    n = 100_000
    heavy = activity(np.arange(n), n, sigma)[round((1 - part) * n) :].sum() / n
    assert float(share_of_top(part, sigma)) == pytest.approx(heavy, abs=0.01)


def test_a_tenth_of_the_people_ask_for_a_third_to_a_half_over_the_stated_range() -> None:
    low, _, high = stated("sigma")
    assert float(share_of_top(0.1, low)) == pytest.approx(0.31, abs=0.01)
    assert float(share_of_top(0.1, high)) == pytest.approx(0.50, abs=0.01)


def test_the_stated_range_follows_from_the_published_quantiles() -> None:
    """12/6 is read as p90/mean; 30/13 is more than a log-normal has, and gets the sigma of the largest ratio."""

    def ninetieth_over_mean(sigma: float) -> float:
        return float(activity(90_000, 100_000, sigma))

    low, high = 0.78, 1.28
    assert ninetieth_over_mean(low) == pytest.approx(12 / 6, rel=0.01)
    assert max(ninetieth_over_mean(s) for s in np.linspace(0.0, 3.0, 301)) < 30 / 13
    assert ninetieth_over_mean(high) == pytest.approx(max(ninetieth_over_mean(s) for s in np.linspace(0.0, 3.0, 301)))


def test_who_acts_is_drawn_in_proportion_to_activity() -> None:
    n = 20
    u = (np.arange(1_000_000) + 0.5) / 1_000_000
    share = np.bincount(rank_of(u, n, 1.0), minlength=n) / len(u)
    edges = np.append(np.arange(n) / n, 1.0)
    exact = np.diff(1.0 - share_of_top(1.0 - edges, 1.0))
    assert share == pytest.approx(exact, abs=1e-5)


def test_hours_per_week_of_everybody_are_what_was_asked_for() -> None:
    for region in (FLAT, Region("office", 1.0, "America/New_York"), Region("world", 1.0, "UTC", "global")):
        week = active_people(people(regions=(region,)), utc_s(date(2026, 6, 1), "America/New_York"), 168)
        assert week.sum() / 1e5 == pytest.approx(9.8)


def test_an_office_is_busiest_in_its_own_morning_and_two_regions_are_smoother_than_one() -> None:
    new_york = Region("ny", 1.0, "America/New_York")
    one = active_people(people(regions=(new_york,)), MONDAY, 168)[0]
    assert int(np.argmax(one[:24])) == 14  # 10 h in New York in May
    both = active_people(
        people(regions=(Region("ny", 0.5, "America/New_York"), Region("tokyo", 0.5, "Asia/Tokyo"))), MONDAY, 168
    ).sum(axis=0)
    assert both.max() < 0.8 * one.max()


def test_nobody_is_active_for_more_than_all_of_an_hour() -> None:
    """People who work 100 hours a week would be active 2.1 hours in an hour of office work."""
    p = people(hours_per_week=100.0, regions=(Region("r", 1.0, "UTC", "office"),))
    active = active_people(p, MONDAY, 168)[0]
    assert active.max() == pytest.approx(p.people, rel=1e-9)
    assert active.min() < 0.5 * p.people


def test_growth_multiplies_people_every_month() -> None:
    p = people(growth_per_month=0.1)
    hours = round(12 * MONTH_S / 3600)
    active = active_people(p, MONDAY, hours)[0]
    assert active[-1] / active[0] == pytest.approx(1.1**12, rel=1e-3)


def test_the_swing_has_the_stated_mean_spread_and_correlation() -> None:
    p = people()
    x = np.concatenate([swing(p, seed, np.arange(2016)) for seed in range(30)])
    assert x.mean() == pytest.approx(1.0, abs=0.03)
    logs = np.log(x).reshape(30, -1)
    assert logs.std() == pytest.approx(0.35, abs=0.02)
    assert np.corrcoef(logs[:, 1:].ravel(), logs[:, :-1].ravel())[0, 1] == pytest.approx(0.875, abs=0.02)


def test_sessions_begin_as_often_as_hours_and_length_of_a_session_ask() -> None:
    p = people(swing_sd=0.0)
    starts = session_starts(p, 1, MONDAY, (0, 1008), active_hours_per_session=1.4)
    expected = 1e5 * 9.8 / 1.4
    assert abs(len(starts) - expected) < 5 * np.sqrt(expected)
    assert starts["session"].n_unique() == len(starts)
    assert starts["t_s"].is_sorted() and starts["t_s"].max() < 1008 * 600  # type: ignore[operator]


def test_of_the_sessions_of_a_week_the_heavy_tenth_begins_its_share() -> None:
    starts = session_starts(people(sigma=1.28), 1, MONDAY, (0, 300), 1.0)
    assert (starts["user"] >= 90_000).mean() == pytest.approx(float(share_of_top(0.1, 1.28)), abs=0.01)


def test_both_measures_of_hours_per_week_and_their_ratio_are_stated() -> None:
    hours = intensity()
    for low, value, high in (hours.active_hours, hours.running_hours, hours.ratio):
        assert low <= value <= high
    assert hours.ratio[1] == pytest.approx(hours.running_hours[1] / hours.active_hours[1], rel=0.01)


def test_mistakes_of_a_population_are_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"sum to 0\.5.*sigma is -1.*swing_correlation is 1"):
        people(regions=(Region("half", 0.5, "UTC"),), sigma=-1.0, swing_correlation=1.0)
