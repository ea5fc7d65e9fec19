"""How much people use in a window on average."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ampacity.base.calendar import WEEKDAYS
from ampacity.demand.window_use import peak_share, weighted_per_s, window_use
from ampacity.scenario.limit import PeakHours, Window
from ampacity.scenario.tier import Behaviour

Behaviours = Callable[..., Behaviour]
FIVE_HOURS = Window.model_validate({"name": "five-hour", "length": "5 h"})
WEEKLY = Window.model_validate({"name": "weekly", "length": "7 d", "refill": "at-instants"})


def test_a_five_hour_window_holds_the_stretch_that_opened_it_and_a_share_of_the_rest(behaviour: Behaviours) -> None:
    b = behaviour(bout_hours="2 h", active_hours="16.8 h/week")  # a tenth of the week
    found = window_use(b, FIVE_HOURS)
    assert found.active_s == pytest.approx(2 * 3600 + 0.1 * 3 * 3600)


def test_a_stretch_longer_than_the_window_fills_it(behaviour: Behaviours) -> None:
    assert window_use(behaviour(bout_hours="9 h"), FIVE_HOURS).active_s == 5 * 3600


def test_a_week_holds_the_hours_of_a_week(behaviour: Behaviours) -> None:
    found = window_use(behaviour(active_hours="12 h/week"), WEEKLY)
    assert found.active_s == pytest.approx(12 * 3600)


def test_a_credit_is_looked_at_over_a_week(behaviour: Behaviours) -> None:
    credit = Window.model_validate({"name": "credit", "refill": "never", "tokens": 1e9})
    assert window_use(behaviour(), credit).active_s == window_use(behaviour(), WEEKLY).active_s


def test_tokens_count_by_their_weights_and_uncached_input_as_the_dearer_of_reading_and_writing(
    behaviour: Behaviours,
) -> None:
    b = behaviour(uncached_tokens="3600 token/h", cached_tokens="36000 token/h", output_tokens="360 token/h")
    weights = {"uncached_input": 1.0, "cache_write": 1.25, "cache_read": 0.1, "output": 5.0}
    window = Window.model_validate({"name": "w", "length": "5 h", "weights": weights})
    assert weighted_per_s(b, window) == pytest.approx(1.25 * 1.0 + 0.1 * 10.0 + 5.0 * 0.1)
    assert window_use(b, window).mean == pytest.approx(weighted_per_s(b, window) * window_use(b, window).active_s)


def test_peak_hours_over_midnight_cover_the_night_and_the_morning_after() -> None:
    night = PeakHours.model_validate({"multiplier": 2, "from": "22:00", "to": "06:00", "days": ["mon"]})
    parts = [("22:00", "23:59", "mon"), ("00:00", "06:00", "tue")]
    split = [PeakHours.model_validate({"multiplier": 2, "from": a, "to": b, "days": [d]}) for a, b, d in parts]
    assert peak_share("office", night) == pytest.approx(sum(peak_share("office", p) for p in split), rel=0.01)


def test_a_multiplier_at_all_hours_multiplies_use() -> None:
    always = [{"multiplier": 2, "from": "00:00", "to": "12:00", "days": list(WEEKDAYS)}]
    share = sum(peak_share("flat", PeakHours.model_validate(p)) for p in always)
    assert share == pytest.approx(0.5)
