"""How much people use in a window, and whom a limit hits, against Monte Carlo."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.calendar import WEEKDAYS
from ampacity.demand.window_use import (
    WindowUse,
    peak_share,
    people_hit_share,
    refused_share,
    weighted_per_s,
    window_use,
)
from ampacity.scenario.limit import PeakHours, Window
from ampacity.scenario.tier import Behaviour

Behaviours = Callable[..., Behaviour]
DRAWS = 200_000
FIVE_HOURS = Window.model_validate({"name": "five-hour", "length": "5 h"})
WEEKLY = Window.model_validate({"name": "weekly", "length": "7 d", "refill": "at-instants"})
uses = st.builds(
    WindowUse,
    active_s=st.just(3600.0),
    mean=st.floats(1e3, 1e9),
    sigma_between=st.floats(0, 1.5),
    sigma_within=st.floats(0, 1.2),
    per_week=st.floats(1, 12),
)


def use(between: float = 1.0, within: float = 0.8, per_week: float = 6.0) -> WindowUse:
    return WindowUse(active_s=7200.0, mean=1e6, sigma_between=between, sigma_within=within, per_week=per_week)


@pytest.mark.parametrize("tokens", [1e5, 1e6, 5e6, 2e7])
def test_the_refused_share_agrees_with_monte_carlo(tokens: float) -> None:
    sigma = np.hypot(1.0, 0.8)
    wanted = 1e6 * np.random.default_rng(3).lognormal(-(sigma**2) / 2, sigma, DRAWS)
    over = np.maximum(wanted - tokens, 0.0) / wanted.mean()
    assert refused_share(use(), tokens) == pytest.approx(over.mean(), abs=4.5 * over.std() / np.sqrt(DRAWS))


@pytest.mark.parametrize("tokens", [3e5, 1e6, 5e6, 2e7])
def test_the_share_of_people_hit_agrees_with_monte_carlo(tokens: float) -> None:
    rng = np.random.default_rng(4)
    person = rng.lognormal(-0.5, 1.0, DRAWS)
    windows = 1e6 * person[:, None] * rng.lognormal(-(0.8**2) / 2, 0.8, (DRAWS, 6))
    hit = (windows > tokens).any(axis=1)
    assert people_hit_share(use(), tokens) == pytest.approx(hit.mean(), abs=5 * hit.std() / np.sqrt(DRAWS) + 1e-4)


@given(uses, st.floats(1, 1e10), st.floats(1, 10))
def test_a_larger_window_refuses_no_more_and_hits_no_more_people(u: WindowUse, tokens: float, times: float) -> None:
    assert refused_share(u, tokens * times) <= refused_share(u, tokens) + 1e-12
    assert people_hit_share(u, tokens * times) <= people_hit_share(u, tokens) + 1e-12


@given(uses, st.floats(1, 1e10))
def test_both_are_shares(u: WindowUse, tokens: float) -> None:
    assert -1e-12 <= refused_share(u, tokens) <= 1
    assert 0 <= people_hit_share(u, tokens) <= 1 + 1e-12


def test_a_window_of_nothing_refuses_everyone_everything() -> None:
    assert refused_share(use(), 0.0) == 1.0
    assert people_hit_share(use(), 0.0) == 1.0


def test_people_who_are_all_alike_are_refused_what_is_over() -> None:
    assert refused_share(use(between=0.0, within=0.0), 250_000.0) == pytest.approx(0.75)
    assert refused_share(use(between=0.0, within=0.0), 2e6) == 0.0


def test_opening_more_windows_in_a_week_hits_more_people() -> None:
    often, seldom = (people_hit_share(use(per_week=n), 3e6) for n in (10.0, 1.0))
    assert often > seldom


def test_a_five_hour_window_holds_the_stretch_that_opened_it_and_a_share_of_the_rest(behaviour: Behaviours) -> None:
    b = behaviour(bout_hours="2 h", active_hours="16.8 h/week")  # a tenth of the week
    found = window_use(b, FIVE_HOURS)
    assert found.active_s == pytest.approx(2 * 3600 + 0.1 * 3 * 3600)
    assert found.per_week == pytest.approx(16.8 / 2.3)


def test_a_stretch_longer_than_the_window_fills_it(behaviour: Behaviours) -> None:
    assert window_use(behaviour(bout_hours="9 h"), FIVE_HOURS).active_s == 5 * 3600


def test_a_week_holds_the_hours_of_a_week_and_opens_once(behaviour: Behaviours) -> None:
    found = window_use(behaviour(active_hours="12 h/week"), WEEKLY)
    assert found.active_s == pytest.approx(12 * 3600)
    assert found.per_week == 1.0


def test_over_many_stretches_the_spread_within_a_person_evens_out(behaviour: Behaviours) -> None:
    b = behaviour(bout_hours="1 h", active_hours="40 h/week", sigma_within=0.8)
    weekly = window_use(b, WEEKLY).sigma_within
    assert np.expm1(weekly**2) == pytest.approx(np.expm1(0.8**2) / 40)  # variance of a mean of forty


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
