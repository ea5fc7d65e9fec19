"""Demand of a tier hour by hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.calendar import utc_s
from ampacity.demand.hourly import hourly, week_shape
from ampacity.scenario import lookup
from ampacity.scenario.tier import Tier

Tiers = Callable[..., Tier]
MONDAY = utc_s(date(2026, 11, 23), "America/Chicago")
WEEK = 168


@pytest.mark.parametrize("name", lookup.shape_names())
def test_every_shape_of_a_week_has_168_hours_of_mean_one(name: str) -> None:
    shape = week_shape(name)
    assert shape.shape == (WEEK,)
    assert shape.min() >= 0
    assert shape.mean() == pytest.approx(1.0)


def test_offices_are_busier_on_monday_morning_than_at_night_or_on_sunday() -> None:
    shape = week_shape("office")
    assert shape[10] > 2 * shape[3]
    assert shape[10] > 2 * shape[6 * 24 + 10]


def test_an_unknown_shape_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="siesta"):
        week_shape("siesta")


def test_a_shape_cannot_be_changed_by_who_looks_at_it() -> None:
    with pytest.raises(ValueError, match="read-only"):
        week_shape("office")[0] = 7.0


@given(st.floats(1, 1e6), st.sampled_from(("office", "flat", "global")))
def test_a_week_asks_for_people_times_hours_times_rate(tier: Tiers, people: float, shape: str) -> None:
    t = tier(people, active_hours="12 h/week", shape=shape)
    found = hourly(t, MONDAY, WEEK, "America/Chicago")
    for kind, per_hour in (("uncached_input", 372_000), ("cached_input", 9_430_000), ("output", 35_000)):
        assert getattr(found, kind).sum() == pytest.approx(people * 12 * per_hour)
    assert found.active_share.sum() == pytest.approx(12)


def test_nobody_is_active_more_than_all_the_time(tier: Tiers) -> None:
    found = hourly(tier(active_hours="160 h/week", shape="office"), MONDAY, WEEK, "UTC")
    assert found.active_share.max() == 1.0
    assert found.active_share.sum() < 160


def test_people_live_by_their_own_clock(tier: Tiers) -> None:
    chicago = hourly(tier(shape="office"), MONDAY, WEEK, "America/Chicago").active_share
    berlin = hourly(tier(shape="office"), MONDAY, WEEK, "Europe/Berlin").active_share
    assert chicago[:24].argmax() == week_shape("office")[:24].argmax()
    assert np.array_equal(berlin, np.roll(chicago, -7))  # seven hours ahead: their Monday began before


def test_the_global_shape_follows_no_local_clock(tier: Tiers) -> None:
    t = tier(shape="global")
    assert np.array_equal(
        hourly(t, MONDAY, WEEK, "America/Chicago").active_share, hourly(t, MONDAY, WEEK, "Asia/Tokyo").active_share
    )


def test_office_hours_stay_at_the_same_local_time_across_a_change_of_the_clocks(tier: Tiers) -> None:
    before = utc_s(date(2026, 3, 6), "America/Chicago")  # the clocks go forward on Sunday the 8th
    share = hourly(tier(shape="office"), before, 5 * 24 - 1, "America/Chicago").active_share
    friday, monday = share[:24], share[3 * 24 - 1 : 4 * 24 - 1]
    assert np.array_equal(friday, monday)
