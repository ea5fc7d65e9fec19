"""Local clocks and calendar months, across the days on which clocks change."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.calendar import (
    DAY_S,
    HOUR_S,
    WEEKDAYS,
    add_months,
    day_of,
    hours_of_week,
    local_intervals_ms,
    months_between,
    today,
    utc_s,
    weekly_instants_ms,
)

PACIFIC = "America/Los_Angeles"
ZONES = st.sampled_from(["UTC", PACIFIC, "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"])
DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31))


def gaps_h(instants_ms: list[int]) -> list[float]:
    return [(b - a) / 3_600_000 for a, b in itertools.pairwise(instants_ms)]


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_a_weekly_reset_is_167_hours_after_the_last_when_clocks_go_forward() -> None:
    # the United States move their clocks on Sunday 8 March 2026 at 02:00
    resets = weekly_instants_ms(utc_s(date(2026, 2, 23)), utc_s(date(2026, 3, 17)), "mon", time(0), PACIFIC)
    assert gaps_h(resets) == [168, 167, 168]


def test_a_weekly_reset_is_169_hours_after_the_last_when_clocks_go_back() -> None:
    # and back on Sunday 1 November 2026 at 02:00
    resets = weekly_instants_ms(utc_s(date(2026, 10, 19)), utc_s(date(2026, 11, 10)), "mon", time(0), PACIFIC)
    assert gaps_h(resets) == [168, 169, 168]


def test_a_weekly_reset_in_utc_never_moves() -> None:
    resets = weekly_instants_ms(utc_s(date(2026, 1, 1)), utc_s(date(2027, 1, 1)), "thu", time(5), "UTC")
    assert set(gaps_h(resets)) == {168}
    assert len(resets) == 53  # 2026 begins and ends on a Thursday


def test_a_reset_at_the_very_start_counts_and_one_at_the_very_end_does_not() -> None:
    monday = utc_s(date(2026, 11, 23))
    assert weekly_instants_ms(monday, monday + 7 * DAY_S, "mon", time(0), "UTC") == [monday * 1000]


def test_a_reset_earlier_on_the_first_day_than_the_start_waits_a_week() -> None:
    noon = utc_s(date(2026, 11, 23), at=time(12))
    assert weekly_instants_ms(noon, noon + 7 * DAY_S, "mon", time(9), "UTC") == [
        utc_s(date(2026, 11, 30), at=time(9)) * 1000
    ]


def test_a_wall_clock_time_that_is_skipped_moves_on_by_the_skipped_hour() -> None:
    assert utc_s(date(2026, 3, 8), PACIFIC, time(2, 30)) == instant("2026-03-08T10:30")  # 03:30 PDT


def test_a_wall_clock_time_that_repeats_is_its_first() -> None:
    assert utc_s(date(2026, 11, 1), PACIFIC, time(1, 30)) == instant("2026-11-01T08:30")  # 01:30 PDT


def test_the_hour_of_the_week_skips_an_hour_in_spring() -> None:
    sunday = utc_s(date(2026, 3, 8), PACIFIC)
    assert list(hours_of_week(sunday, 4, PACIFIC)) == [144, 145, 147, 148]


def test_the_hour_of_the_week_repeats_an_hour_in_autumn() -> None:
    sunday = utc_s(date(2026, 11, 1), PACIFIC)
    assert list(hours_of_week(sunday, 4, PACIFIC)) == [144, 145, 145, 146]


def test_hours_of_the_week_run_from_monday_to_sunday_and_begin_anew() -> None:
    assert list(hours_of_week(utc_s(date(2026, 11, 23)), 170, "UTC")) == [*range(168), 0, 1]


def test_peak_hours_over_midnight_belong_to_the_day_on_which_they_begin() -> None:
    monday, wednesday = utc_s(date(2026, 11, 23)), utc_s(date(2026, 11, 25))
    night = (utc_s(date(2026, 11, 23), at=time(22)) * 1000, utc_s(date(2026, 11, 24), at=time(6)) * 1000)
    assert local_intervals_ms(monday, wednesday, ("mon",), time(22), time(6), "UTC") == [night]


def test_peak_hours_that_began_the_day_before_still_run_at_the_start() -> None:
    tuesday = utc_s(date(2026, 11, 24))
    early = [(tuesday * 1000, (tuesday + 6 * HOUR_S) * 1000)]
    assert local_intervals_ms(tuesday, tuesday + DAY_S, ("mon",), time(22), time(6), "UTC") == early


def test_peak_hours_are_an_hour_longer_on_the_night_when_clocks_go_back() -> None:
    start, end = utc_s(date(2026, 10, 31), PACIFIC), utc_s(date(2026, 11, 2), PACIFIC)
    ((low, high),) = local_intervals_ms(start, end, ("sat",), time(22), time(6), PACIFIC)
    assert (high - low) / 3_600_000 == 9


def test_peak_hours_that_lie_in_the_skipped_hour_do_not_happen() -> None:
    start, end = utc_s(date(2026, 3, 8), PACIFIC), utc_s(date(2026, 3, 9), PACIFIC)
    assert local_intervals_ms(start, end, ("sun",), time(2, 30), time(3), PACIFIC) == []


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 3, 31), 1, date(2026, 4, 30)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2026, 5, 6), 0, date(2026, 5, 6)),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last_of_a_shorter_month(day: date, months: int, later: date) -> None:
    assert add_months(day, months) == later


def test_a_month_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError):
        add_months(date(9999, 12, 1), 1)


@given(DAYS, st.integers(-600, 600))
def test_months_later_lands_in_the_month_that_was_counted(day: date, months: int) -> None:
    later = add_months(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later.day < day.day and (later + timedelta(days=1)).day == 1)


@given(DAYS, st.integers(0, 2000))
def test_the_months_of_a_period_add_up_to_it_without_gap_or_overlap(begin: date, days: int) -> None:
    end = begin + timedelta(days=days)
    pieces = months_between(begin, end)
    assert sum((high - low).days for low, high in pieces) == days
    assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))
    assert all(
        (low.year, low.month) == ((high - timedelta(days=1)).year, (high - timedelta(days=1)).month)
        for low, high in pieces
    )


@given(DAYS, ZONES, st.sampled_from(WEEKDAYS), st.times().map(lambda t: t.replace(second=0, microsecond=0)))
def test_every_weekly_reset_shows_its_time_on_local_clocks(day: date, zone: str, weekday: str, at: time) -> None:
    start = utc_s(day, zone)
    instants = weekly_instants_ms(start, start + 40 * DAY_S, weekday, at, zone)
    assert 4 <= len(instants) <= 6
    for ms in instants:
        assert start <= ms // 1000 < start + 40 * DAY_S
        local = datetime.fromtimestamp(ms // 1000, ZoneInfo(zone))
        skipped = datetime.combine(local.date(), at, ZoneInfo(zone)).astimezone(UTC).astimezone(ZoneInfo(zone))
        assert local.time() in (at, skipped.time())
        assert WEEKDAYS[local.weekday()] == weekday


@given(DAYS, ZONES, st.sets(st.sampled_from(WEEKDAYS)), st.times(), st.times())
def test_peak_intervals_go_forward_and_stay_inside(day: date, zone: str, on: set[str], begin: time, end: time) -> None:
    start = utc_s(day, zone)
    intervals = local_intervals_ms(start, start + 10 * DAY_S, tuple(on), begin, end, zone)
    edges = [edge for interval in intervals for edge in interval]
    assert edges == sorted(edges)
    assert all(start * 1000 <= edge <= (start + 10 * DAY_S) * 1000 for edge in edges)
    assert bool(intervals) <= bool(on)


@given(DAYS, ZONES)
def test_the_day_of_an_instant_is_the_day_it_was_made_from(day: date, zone: str) -> None:
    assert day_of(utc_s(day, zone, time(12)), zone) == day


def test_today_is_a_day_in_utc() -> None:
    before = datetime.now(UTC).date()
    assert before <= today() <= datetime.now(UTC).date()
