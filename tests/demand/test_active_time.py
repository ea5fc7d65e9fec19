"""How long people are expected to be active in each hour, against stretches that are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from ampacity.demand.active_time import active_hours
from ampacity.demand.stretches import HOUR_MS, Habits, Stretches, stretches, swings_of

HOURS, PEOPLE = 48, 20_000
DAY = np.tile(1.0 + np.sin(np.arange(24) / 24 * 2 * np.pi), HOURS // 24)


def habits(stretch_ms: float, by_draw: bool = False) -> Habits:
    swings = swings_of(1, 0.35, HOURS)
    return Habits(PEOPLE, 0.1, stretch_ms, 1.0, 0.8, 0, DAY * swings, by_draw=by_draw)


def drawn_hours(wanted: Stretches) -> np.ndarray:
    """Time of these stretches in each hour, added up one hour after the other. [hours]"""
    ends_ms = wanted.begin_ms + wanted.active_ms
    within = [
        np.clip(ends_ms, a, a + HOUR_MS) - np.clip(wanted.begin_ms, a, a + HOUR_MS)
        for a in HOUR_MS * np.arange(HOURS, dtype=np.int64)
    ]
    return np.array([w.sum() for w in within]) / HOUR_MS


@pytest.mark.parametrize("stretch_ms", [600_000.0, 7_200_000.0, 28_800_000.0])
@pytest.mark.parametrize("by_draw", [False, True])
def test_people_drawn_are_active_as_long_as_expected(stretch_ms: float, by_draw: bool) -> None:
    """Within five standard errors of a Poisson number of stretches, each seen for as long as it lasts in an hour."""
    h = habits(stretch_ms, by_draw)
    expected = PEOPLE * active_hours(h)
    found = drawn_hours(stretches(h, 3))
    error = np.sqrt(expected * min(2 * stretch_ms / HOUR_MS, 1.0))
    assert (np.abs(found - expected) < 5 * error).all()
    assert found.sum() == pytest.approx(expected.sum(), rel=0.02)


def test_nobody_is_active_at_first_and_in_the_long_run_all_that_begins_is_worked() -> None:
    steady = active_hours(Habits(1, 0.25, 7_200_000.0, 1.0, 0.8, 0, np.ones(200)))
    assert steady[0] == pytest.approx(0.25 * (1 - 2 * (1 - np.exp(-0.5))))
    assert steady[-1] == pytest.approx(0.25)
    assert (np.diff(steady) >= 0).all()


def test_very_short_stretches_follow_the_weights_and_very_long_ones_none() -> None:
    h = habits(1.0)
    assert active_hours(h) == pytest.approx(0.1 * h.hour_weights, rel=1e-5, abs=1e-8)
    endless = active_hours(habits(1e12))
    assert (np.diff(endless) >= 0).all()
