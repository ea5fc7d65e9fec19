"""A larger five-hour window beside a fixed week: what it adds to the week depends on what had come back anyway."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.demand.at_limit import Kinds, Met, Scheme, met
from ampacity.demand.reactions import deferring
from ampacity.demand.stretches import Habits, stretches
from ampacity.policy.rows import AT_FIRST_USE, AT_INSTANTS, SCALE, Price, WindowRule

HOUR, WEEK, WEEKS = 3_600_000, 604_800_000, 8
START = 1_780_272_000_000
ONE, EACH = Kinds(0.0, 0.0, 1.0), Price()
HABITS = Habits(400, 0.05, 2.0 * HOUR, 0.8, 0.8, START, np.ones(168 * WEEKS))
WANTED = stretches(HABITS, 1)


def under(five_hour_h: float, week_h: float, returning: float) -> Met:
    instants = tuple(START + WEEK * k for k in range(WEEKS + 1))
    rules = (
        WindowRule("five-hour", int(five_hour_h * 3600 * SCALE), AT_FIRST_USE, 5 * HOUR, EACH),
        WindowRule("weekly", int(week_h * 3600 * SCALE), AT_INSTANTS, WEEK, EACH, instants_ms=instants),
    )
    return met(HABITS, WANTED, ONE, Scheme(rules), deferring(returning))


@settings(max_examples=8)
@given(st.floats(2.0, 3.0), st.floats(30.0, 80.0))
def test_doubling_five_hours_leaves_the_weeks_volume_unchanged_only_if_all_that_is_stopped_returns(
    five_hour_h: float, week_h: float
) -> None:
    grown = {}
    for returning in (0.0, 0.5, 1.0):
        once, twice = (under(times * five_hour_h, week_h, returning) for times in (1.0, 2.0))
        grown[returning] = twice.served / once.served
        if returning == 1.0:
            assert once.lost == twice.lost == 0.0
            assert abs(once.served + once.outstanding - twice.served - twice.outstanding) < 1e-6 * once.wanted
    assert abs(grown[1.0] - 1.0) < 0.02  # what is still to come after eight weeks
    assert grown[0.5] > 1.02
    assert grown[0.0] > grown[0.5]


@settings(max_examples=12)
@given(st.floats(0.5, 3.0), st.floats(20.0, 60.0), st.floats(0.0, 1.0))
def test_all_work_is_accounted_for_whatever_returns(five_hour_h: float, week_h: float, returning: float) -> None:
    m = under(five_hour_h, week_h, returning)
    assert abs(m.served + m.lost + m.outstanding - m.wanted) < 1e-6 * m.wanted


@settings(max_examples=12)
@given(st.floats(0.5, 3.0), st.floats(1.1, 4.0))
def test_a_larger_window_hits_fewer_people_and_serves_more_where_nothing_returns(size: float, times: float) -> None:
    small, large = under(size, 1e6, 0.0), under(size * times, 1e6, 0.0)
    assert large.hit_share <= small.hit_share
    assert large.served >= small.served
