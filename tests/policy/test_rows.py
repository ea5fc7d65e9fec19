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
from ampacity.policy.rows import SCALE, UNLIMITED, LimitError, Price, WindowRule, compile_limit
from ampacity.scenario.limit import Limit

START, END = utc_s(date(2026, 10, 19)), utc_s(date(2026, 11, 16))
HOUR_MS = 3_600_000
WORK = {"multiplier": 2, "from": "08:00", "to": "12:00", "time_zone": "America/Chicago"}


def limit(*windows: dict[str, object]) -> Limit:
    return Limit.model_validate({"name": "l", "windows": [{"name": f"w{i}", **w} for i, w in enumerate(windows)]})


def compiled(*windows: dict[str, object], found: dict[str, float] | None = None) -> tuple[WindowRule, ...]:
    return compile_limit(limit(*windows), START, END, found)


def one(window: dict[str, object], found: dict[str, float] | None = None) -> WindowRule:
    (rule,) = compiled(window, found=found)
    return rule


def test_a_window_is_whole_numbers() -> None:
    rule = one({"length": "5 h", "tokens": 1234.5678, "weights": {"cache_read": 0.1, "output": 5}})
    assert (rule.length_ms, rule.refill, rule.size) == (5 * HOUR_MS, rows.AT_FIRST_USE, 1_234_567)
    assert rule.price == Price(1000, 1000, 100, 5000)
    assert all(type(n) is int for n in (rule.length_ms, rule.size, rule.price.read, rule.price.peak_times))


def test_windows_stand_one_after_the_other_under_their_names() -> None:
    found = compiled({"length": "5 h"}, {"refill": "never", "tokens": 7}, {"length": "1 h", "refill": "evenly"})
    assert [r.name for r in found] == ["w0", "w1", "w2"]
    assert [r.refill for r in found] == [rows.AT_FIRST_USE, rows.NEVER, rows.EVENLY]
    assert [r.length_ms for r in found] == [5 * HOUR_MS, 0, HOUR_MS]
    assert all(r.instants_ms == r.price.peaks_ms == () for r in found)


@given(st.floats(0, 9e12))
def test_sizes_are_rounded_down_to_whole_thousandths(tokens: float) -> None:
    size = one({"length": "5 h", "tokens": tokens}).size
    assert size <= tokens * SCALE < size + 1


def test_what_whole_numbers_cannot_hold_is_told_all_at_once() -> None:
    with pytest.raises(LimitError) as told:
        compiled({"length": "5 h", "weights": {"output": 2000}}, {"length": "60 d", "refill": "evenly"})
    assert len(told.value.mistakes) == 2
    assert str(told.value).splitlines()[0] == (
        "limit 'l', window 'w0': weight of output 2000000 lies outside 0 to 1048576"
    )


def test_a_window_without_tokens_takes_what_was_found_for_it_and_else_is_without_bound() -> None:
    plain: dict[str, object] = {"length": "5 h"}
    assert one(plain, found={"w0": 1.5}).size == 1500
    assert one(plain, found={"other": 1.5}).size == UNLIMITED
    assert one(plain).size == UNLIMITED < 2**63


def test_what_a_scenario_states_goes_before_what_was_found() -> None:
    assert one({"length": "5 h", "tokens": 2}, found={"w0": 9.0}).size == 2000


def test_an_absurd_size_is_without_bound_and_still_63_bits() -> None:
    assert one({"length": "5 h", "tokens": 1e30}).size == UNLIMITED
    assert one({"length": "1 min", "tokens": 1e30, "refill": "evenly"}).size == rows.EVENLY_MOST


@pytest.mark.parametrize(("zone", "gaps"), [("America/Chicago", {168, 169}), ("UTC", {168})])
def test_a_weekly_window_refills_at_the_same_local_time_also_when_the_clocks_change(zone: str, gaps: set[int]) -> None:
    anchor = {"weekday": "thu", "time": "09:00", "time_zone": zone}
    instants = one({"length": "7 d", "refill": "at-instants", "anchor": anchor}).instants_ms
    assert len(instants) == 4 + 1  # and the first one after the end
    assert {(b - a) / HOUR_MS for a, b in itertools.pairwise(instants)} == gaps
    for instant in instants:
        local = datetime.fromtimestamp(instant / 1000, ZoneInfo(zone))
        assert (local.weekday(), local.hour, local.minute) == (3, 9, 0)


def test_a_weekly_window_without_an_anchor_refills_on_monday_at_midnight_utc() -> None:
    instants = one({"length": "7 d", "refill": "at-instants"}).instants_ms
    first = datetime.fromtimestamp(instants[0] / 1000, UTC)
    assert (first.weekday(), first.hour) == (0, 0)


def test_peak_hours_are_half_open_intervals_on_weekdays_by_the_local_clock() -> None:
    price = one({"length": "5 h", "peak": WORK}).price
    assert price.peak_times == 2000
    flat = price.peaks_ms
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    assert len(pairs) == 20  # four weeks of five days
    assert list(flat) == sorted(set(flat))
    for begin, end in pairs:
        low, high = (datetime.fromtimestamp(t / 1000, ZoneInfo("America/Chicago")) for t in (begin, end))
        assert (low.hour, high.hour) == (8, 12)
        assert low.weekday() < 5
    assert {datetime.fromtimestamp(begin / 1000, UTC).hour for begin, _ in pairs} == {13, 14}  # summer, then winter


def test_peak_hours_over_midnight_end_on_the_next_day() -> None:
    flat = one({"length": "5 h", "peak": {**WORK, "from": "22:00", "to": "02:00", "days": ["mon"]}}).price.peaks_ms
    assert {(b - a) / HOUR_MS for a, b in zip(flat[::2], flat[1::2], strict=True)} == {4}


def test_a_limit_without_windows_is_no_row_at_all() -> None:
    assert compiled() == ()


def test_a_window_of_requests_counts_each_once_whatever_it_costs() -> None:
    a_minute, at_once = compiled(
        {"length": "1 min", "refill": "evenly", "requests": 60, "products": ["batch"]},
        {"refill": "in-flight", "requests": 8},
    )
    assert (a_minute.size, a_minute.price, a_minute.products) == (60_000, rows.ONE_REQUEST, ("batch",))
    assert (at_once.size, at_once.price, at_once.refill) == (8_000, rows.ONE_IN_FLIGHT, rows.IN_FLIGHT)


def test_a_window_lets_a_stated_part_pass_beyond_its_size() -> None:
    rule = one({"length": "5 h", "tokens": 1000, "overflow": 0.25, "passing": 0.5})
    assert (rule.size, rule.ceiling, rule.passing) == (1_000_000, 1_250_000, 500)
