"""Local time to instants: hours of the week, weekly resets across daylight saving, calendar months.

Everything leaves here as UTC seconds or milliseconds; no other room asks a time zone anything.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR_S = 3600
DAY_S = 24 * HOUR_S
WEEK_H = 168
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def utc_s(day: date, zone: str = "UTC", at: time = time(0)) -> int:
    """The instant of a local wall-clock time, in seconds since 1970 UTC.

    A time that the clocks skip in spring is moved on by the skipped hour; one that they repeat in autumn is its first.
    """
    return int(datetime.combine(day, at, ZoneInfo(zone)).timestamp())


def day_of(instant_s: int, zone: str = "UTC") -> date:
    """The local day of an instant."""
    return datetime.fromtimestamp(instant_s, ZoneInfo(zone)).date()


@lru_cache(maxsize=64)
def hours_of_week(start_s: int, count: int, zone: str) -> tuple[int, ...]:
    """Local hour of the week (0 = Monday 00:00 to 167) of `count` consecutive hours from `start_s`."""
    tz = ZoneInfo(zone)
    local = (datetime.fromtimestamp(start_s + HOUR_S * i, tz) for i in range(count))
    return tuple(t.weekday() * 24 + t.hour for t in local)


def weekly_instants_ms(start_s: int, end_s: int, weekday: str, at: time, zone: str) -> list[int]:
    """Every instant in [start, end) at which local clocks show `at` on `weekday`: a weekly reset. [ms UTC]

    Across a change of the clocks the distance between two of them is 167 or 169 hours, not 168.
    """
    first = day_of(start_s, zone)
    first += timedelta(days=(WEEKDAYS.index(weekday) - first.weekday()) % 7)
    instants, week = [], 0
    while (instant := utc_s(first + timedelta(weeks=week), zone, at)) < end_s:
        if instant >= start_s:
            instants.append(instant * 1000)
        week += 1
    return instants


def local_intervals_ms(
    start_s: int, end_s: int, days: tuple[str, ...], begin: time, end: time, zone: str
) -> list[tuple[int, int]]:
    """Half-open UTC intervals in which local clocks are between `begin` and `end` on `days`: peak hours. [ms]"""
    intervals = []
    day = day_of(start_s, zone) - timedelta(days=1)
    while utc_s(day, zone) < end_s:
        if WEEKDAYS[day.weekday()] in days:
            last = day if end > begin else day + timedelta(days=1)
            low, high = max(utc_s(day, zone, begin), start_s), min(utc_s(last, zone, end), end_s)
            if low < high:
                intervals.append((low * 1000, high * 1000))
        day += timedelta(days=1)
    return intervals


def add_months(day: date, months: int) -> date:
    """The same day `months` calendar months later, or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for shorter in range(4):
        try:
            return date(year, month + 1, day.day - shorter)
        except ValueError:
            continue
    raise ValueError(f"no day {day.day} in month {month + 1}")


def months_between(begin: date, end: date) -> list[tuple[date, date]]:
    """The calendar months that [begin, end) touches, each cut to it, as half-open pairs of days."""
    pieces, low = [], begin
    while low < end:
        high = min(add_months(low.replace(day=1), 1), end)
        pieces.append((low, high))
        low = high
    return pieces


def today() -> date:
    """The day it is now, in UTC."""
    return datetime.now(UTC).date()
