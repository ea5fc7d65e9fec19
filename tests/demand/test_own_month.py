"""A person's own requests, a million tokens each, under a limit: what would have been refused, and when."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ampacity.demand.own_month import Month, Request, last_month, month_under
from ampacity.demand.traces.trace import Trace, canonical
from ampacity.policy.rows import AT_FIRST_USE, SCALE, Price, WindowRule
from ampacity.scenario.mistakes import Mistakes

HOUR, NINE = 3_600_000, 1_777_885_200_000  # Monday 4 May 2026, 09:00 UTC
EACH = Price()


def window(mtok: float, name: str = "five-hour", price: Price = EACH, **otherwise: Any) -> WindowRule:
    return WindowRule(name, int(mtok * 1e6) * SCALE, AT_FIRST_USE, 5 * HOUR, price, **otherwise)


def asked(*minutes: float, tokens: int = 1_000_000, family: str = "") -> list[Request]:
    return [Request(NINE + int(60_000 * m), NINE + int(60_000 * m) + 5000, family, tokens, 0, 0) for m in minutes]


def trace(rows: list[dict[str, Any]], clock: Any = "unix") -> Trace:
    return Trace(canonical(pl.DataFrame(rows)), "t", "a trace", clock, len(rows), NINE / 1000)


def test_requests_are_refused_once_the_window_is_used_up_and_until_it_returns() -> None:
    m = month_under(asked(0, 1, 2, 3, 60, 299, 301), [window(3.1)])
    assert (m.requests, m.refused) == (7, 3)
    (stop,) = m.stops
    assert (stop.window, stop.from_ms, stop.returns_ms) == ("five-hour", NINE + 180_000, NINE + 5 * HOUR)
    assert stop.requests == 3
    assert "14:00 UTC" in stop.said


def test_a_second_window_full_is_a_second_stop() -> None:
    m = month_under(asked(0, 1, 2, 400, 401, 402), [window(2.1)])
    assert [s.from_ms for s in m.stops] == [NINE + 120_000, NINE + 402 * 60_000]


def test_a_window_is_shown_at_its_fullest() -> None:
    m = month_under(asked(0, 1, 2), [window(10)])
    assert m.refused == 0
    assert m.fullest["five-hour"] == pytest.approx(0.3, abs=0.005)  # the last counts by what is reserved for it


def test_a_window_of_one_family_counts_that_family_alone() -> None:
    rules = [window(2.1, "opus", families=("opus",))]
    assert month_under(asked(0, 1, 2, 3, family="opus"), rules).refused == 2
    assert month_under(asked(0, 1, 2, 3), rules).refused == 0


@pytest.mark.parametrize(("uncached", "write"), [(1000, 0), (0, 1000), (1000, 1000)])
def test_what_is_read_anew_counts_by_the_dearer_of_its_two_weights(uncached: int, write: int) -> None:
    def month(price: Price) -> Month:
        return month_under(asked(0, 1, 2, 3, 60, 61), [window(3.1, price=price)])

    found = month(Price(uncached, write, 0, 0))
    assert found == month(Price(1000, 1000, 0, 0))
    assert found.refused == 2
    assert found.fullest["five-hour"] == pytest.approx(4 / 3.1, abs=0.01)  # the last is admitted by its estimate


def test_without_a_window_nothing_is_refused() -> None:
    assert month_under(asked(0, 1), []).refused == 0


def test_only_the_last_thirty_days_are_looked_at() -> None:
    row = {"input_tokens": 10, "cached_tokens": 4, "output_tokens": 1, "model": "claude-opus-4-6", "server_s": 2.0}
    found = last_month(trace([{**row, "t_s": 86_400.0 * d} for d in range(40)]), ("opus", "sonnet"))
    assert len(found) == 30
    assert found[-1] == Request(NINE + 39 * 86_400_000, NINE + 39 * 86_400_000 + 2000, "opus", 6, 4, 1)


def test_sessions_without_a_clock_in_common_are_refused_in_words() -> None:
    with pytest.raises(Mistakes, match="no clock in common"):
        last_month(trace([{"t_s": 0.0, "input_tokens": 1}], "session"), ())


def test_a_trace_without_a_single_time_is_refused_in_words() -> None:
    with pytest.raises(Mistakes, match="none that has a time"):
        last_month(trace([{"input_tokens": 1}]), ())
