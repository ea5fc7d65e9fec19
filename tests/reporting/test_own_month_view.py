"""A person's own month in words: dates where the trace has them and nowhere else, a footer that fits the limits."""

from __future__ import annotations

import polars as pl
import pytest

from ampacity.demand.traces.trace import Clock, Trace, canonical
from ampacity.reporting.own_month_view import own_month_page, own_month_view
from ampacity.reporting.verdict_words import DISCLAIMER

DATES = ("2026-05-04", "April", " May ", "onday", "uesday", "ednesday", "hursday", "riday", "aturday", "unday", " UTC")
PRESETS = ("2026-03-26", "2026-05-06")


def asked(clock: Clock, days: int = 3) -> Trace:
    """Days of work of two hours, a request every twenty seconds, that fill a window of the smallest plan."""
    t = [86_400.0 * day + 50_000.0 + 20.0 * k for day in range(days) for k in range(360)]
    n = len(t)
    frame = pl.DataFrame(
        {
            "t_s": t,
            "session": [0] * n,
            "agent": [0] * n,
            "step": range(n),
            "input_tokens": [134_004] * n,
            "cached_tokens": [130_000] * n,
            "output_tokens": [500] * n,
        }
    )
    return Trace(canonical(frame), "test", "test", clock, n, 1_777_852_800.0 if clock == "unix" else None)


def test_a_trace_with_dates_is_told_by_date() -> None:
    v = own_month_view(*PRESETS, asked("unix"))
    assert "from Monday 4 May to Wednesday 6 May" in v.text
    assert any("first on Monday 4 May, " in s for s in v.said)
    assert v.tables[1].rows[0][0].startswith("Monday 4 May, 14:")


def test_a_trace_without_dates_is_given_none_anywhere() -> None:
    v = own_month_view(*PRESETS, asked("trace"))
    assert v.tables[1].rows
    assert any("first on day 1, 14:" in s for s in v.said)
    assert "over 2.08 days" in v.text
    every_row = [cell for t in v.tables for row in t.rows for cell in row]
    assert any(cell.startswith("day 3, ") for cell in every_row)
    told = "\n".join([v.text, *every_row])
    assert [word for word in DATES if word in told] == []


@pytest.mark.parametrize(("schemes", "public"), [(PRESETS, True), (("laptop", "laptop"), False)])
def test_only_limits_of_a_real_organization_carry_its_disclaimer(schemes: tuple[str, str], public: bool) -> None:
    v = own_month_view(*schemes, asked("unix", days=1))
    page = own_month_page(v).html
    assert "Only counts and times were read" in page
    assert (DISCLAIMER in page.replace("&#39;", "'")) == public == (DISCLAIMER in v.text)
