"""A limit as whole numbers: what deciding, simulated or live, works on."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.calendar import utc_s
from ampacity.policy import rows
from ampacity.policy.rows import SCALE, UNLIMITED, WindowRows, compile_limit
from ampacity.scenario.limit import Limit

START, END = utc_s(date(2026, 10, 19)), utc_s(date(2026, 11, 16))
HOUR_MS = 3_600_000
WORK = {"multiplier": 2, "from": "08:00", "to": "12:00", "time_zone": "America/Chicago"}


def limit(*windows: dict[str, object]) -> Limit:
    return Limit.model_validate({"name": "l", "windows": [{"name": f"w{i}", **w} for i, w in enumerate(windows)]})


def compiled(*windows: dict[str, object], found: dict[str, float] | None = None) -> WindowRows:
    return compile_limit(limit(*windows), START, END, found)


def field(row: WindowRows, which: int, window: int = 0) -> int:
    return row.rows[window * rows.ROW_FIELDS + which]


def test_a_window_is_eight_whole_numbers() -> None:
    found = compiled({"length": "5 h", "tokens": 1234.5678, "weights": {"cache_read": 0.1, "output": 5}})
    assert all(type(n) is int for n in found.rows)
    assert found.rows == (5 * HOUR_MS, rows.AT_FIRST_USE, 1_234_567, 1000, 1000, 100, 5000, 1000)


def test_windows_stand_one_after_the_other_under_their_names() -> None:
    found = compiled({"length": "5 h"}, {"refill": "never", "tokens": 7}, {"length": "1 h", "refill": "evenly"})
    assert found.names == ("w0", "w1", "w2")
    assert len(found.rows) == 3 * rows.ROW_FIELDS
    assert [field(found, rows.REFILL_RULE, i) for i in range(3)] == [rows.AT_FIRST_USE, rows.NEVER, rows.EVENLY]
    assert [field(found, rows.LENGTH_MS, i) for i in range(3)] == [5 * HOUR_MS, 0, HOUR_MS]
    assert found.instants_ms == found.peaks_ms == ((), (), ())


@given(st.floats(0, 9e12))
def test_sizes_are_rounded_down_to_whole_thousandths(tokens: float) -> None:
    size = field(compiled({"length": "5 h", "tokens": tokens}), rows.SIZE)
    assert size <= tokens * SCALE < size + 1


@given(st.floats(0, 9e12), st.floats(0, 1000))
def test_no_product_of_a_weight_and_tokens_below_nine_trillion_passes_63_bits(tokens: float, weight: float) -> None:
    found = compiled({"length": "5 h", "tokens": tokens, "weights": {"uncached_input": 1, "output": weight}})
    assert field(found, rows.W_OUTPUT) * int(tokens) < 2**63
    assert all(-(2**63) <= n < 2**63 for n in found.rows)


def test_a_window_without_tokens_takes_what_was_found_for_it_and_else_is_without_bound() -> None:
    plain: dict[str, object] = {"length": "5 h"}
    assert field(compiled(plain, found={"w0": 1.5}), rows.SIZE) == 1500
    assert field(compiled(plain, found={"other": 1.5}), rows.SIZE) == UNLIMITED
    assert field(compiled(plain), rows.SIZE) == UNLIMITED < 2**63


def test_what_a_scenario_states_goes_before_what_was_found() -> None:
    assert field(compiled({"length": "5 h", "tokens": 2}, found={"w0": 9.0}), rows.SIZE) == 2000


def test_an_absurd_size_is_without_bound_and_still_63_bits() -> None:
    assert field(compiled({"length": "5 h", "tokens": 1e30}), rows.SIZE) == UNLIMITED


@pytest.mark.parametrize(("zone", "gaps"), [("America/Chicago", {168, 169}), ("UTC", {168})])
def test_a_weekly_window_refills_at_the_same_local_time_also_when_the_clocks_change(zone: str, gaps: set[int]) -> None:
    anchor = {"weekday": "thu", "time": "09:00", "time_zone": zone}
    (instants,) = compiled({"length": "7 d", "refill": "at-instants", "anchor": anchor}).instants_ms
    assert len(instants) == 4
    assert {(b - a) / HOUR_MS for a, b in itertools.pairwise(instants)} == gaps
    for instant in instants:
        local = datetime.fromtimestamp(instant / 1000, ZoneInfo(zone))
        assert (local.weekday(), local.hour, local.minute) == (3, 9, 0)


def test_a_weekly_window_without_an_anchor_refills_on_monday_at_midnight_utc() -> None:
    (instants,) = compiled({"length": "7 d", "refill": "at-instants"}).instants_ms
    first = datetime.fromtimestamp(instants[0] / 1000, UTC)
    assert (first.weekday(), first.hour) == (0, 0)


def test_peak_hours_are_half_open_intervals_on_weekdays_by_the_local_clock() -> None:
    found = compiled({"length": "5 h", "peak": WORK})
    assert field(found, rows.PEAK_TIMES) == 2000
    (flat,) = found.peaks_ms
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    assert len(pairs) == 20  # four weeks of five days
    assert list(flat) == sorted(set(flat))
    for begin, end in pairs:
        low, high = (datetime.fromtimestamp(t / 1000, ZoneInfo("America/Chicago")) for t in (begin, end))
        assert (low.hour, high.hour) == (8, 12)
        assert low.weekday() < 5
    assert {datetime.fromtimestamp(begin / 1000, UTC).hour for begin, _ in pairs} == {13, 14}  # summer, then winter


def test_peak_hours_over_midnight_end_on_the_next_day() -> None:
    (flat,) = compiled({"length": "5 h", "peak": {**WORK, "from": "22:00", "to": "02:00", "days": ["mon"]}}).peaks_ms
    assert {(b - a) / HOUR_MS for a, b in zip(flat[::2], flat[1::2], strict=True)} == {4}


def test_a_limit_without_windows_is_no_row_at_all() -> None:
    assert compiled() == WindowRows((), (), (), ())
