"""Hourly caps: what a tier may take from a pool in this hour, by capacity curves; asked together with limits.

A cap is a store that comes back with every hour and whose size is another each hour. A curve names kinds of token in
the tier's own proportion, so that any kind caps the others: uncached input is what is counted here, by estimate, then
corrected in the hour in which it was taken.

    caps    of each curve: CURVE_FIELDS; then all their sizes   [uncached token]
    taken   TAKEN_FIELDS a curve: the hour, and what is taken in it; fresh rows are zeros

Hours count from the curve's first, 1. After its last the same hours of its last week return, or its last hour if it is
shorter. A clock that steps back counts into the hour that it came from.
"""

from __future__ import annotations

from collections.abc import Sequence

from ampacity.policy.book import HELD_FIELDS, Flat, Row
from ampacity.policy.limits import reserve, unreserve
from ampacity.policy.prices import bounded
from ampacity.policy.stores import FOREVER, USED_MOST
from ampacity.scenario.capacity_curve import CapacityCurve

C_START_MS, C_HOURS, C_SIZES, CURVE_FIELDS = range(4)
IN_HOUR, TOKENS_TAKEN, TAKEN_FIELDS = range(3)
CAPPED = -1
MS_AN_HOUR = 3_600_000
HOURS_A_WEEK = 168
CAP_MOST = 1 << 60


def compile_caps(curves: Sequence[CapacityCurve]) -> list[int]:
    """Curves laid out, each at CURVE_FIELDS times its position. Raises ValueError with every mistake."""
    mistakes = []
    for curve in curves:
        where = f"curve of {curve.tier} on {curve.pool}"
        if not curve.uncached_input:
            mistakes.append(f"{where}: no hours, expected at least one")
        mistakes += [
            f"{where}, hour {i}: {size} tokens, expected 0 to {CAP_MOST}"
            for i, size in enumerate(curve.uncached_input)
            if not 0 <= size <= CAP_MOST
        ]
    if mistakes:
        raise ValueError("\n".join(mistakes))
    caps: list[int] = []
    sizes: list[int] = []
    for curve in curves:
        at = len(curves) * CURVE_FIELDS + len(sizes)
        caps += [curve.start_s * 1000, len(curve.uncached_input), at]
        sizes += curve.uncached_input
    return caps + sizes


def hour_of(caps: Flat, c: int, now_ms: int) -> int:
    """The hour of the curve at `c`: 1 is its first, and all before it."""
    since_ms = now_ms - caps[c + C_START_MS]
    return since_ms // MS_AN_HOUR + 1 if since_ms > 0 else 1


def cap_in(caps: Flat, c: int, hour: int) -> int:
    """What may be taken in an hour of the curve at `c`. [uncached token]"""
    i = hour - 1
    hours = caps[c + C_HOURS]
    if i >= hours:
        i = hours - HOURS_A_WEEK + (i - hours) % HOURS_A_WEEK if hours >= HOURS_A_WEEK else hours - 1
    return caps[caps[c + C_SIZES] + i]


def cap_left(caps: Flat, c: int, taken: Flat, k: int, now_ms: int) -> int:
    """What is left in this hour of the cap whose row of `taken` begins at `k`; below 0 is debt. [uncached token]"""
    hour = hour_of(caps, c, now_ms)
    if hour > taken[k + IN_HOUR]:
        return cap_in(caps, c, hour)
    return cap_in(caps, c, taken[k + IN_HOUR]) - taken[k + TOKENS_TAKEN]


def reserve_capped(
    state: Row,
    book: Flat,
    held: Row,
    h: int,
    scopes: int,
    caps: Flat,
    c: int,
    taken: Row,
    k: int,
    uncached: int,
    now_ms: int,
    draw: int,
) -> int:
    """As `limits.reserve`, and `uncached` tokens of a cap: all or none.

    Returns 0, or the window that refuses; CAPPED if only the cap does: then it is the pool that is full, not the
    subscriber's limit. Keep `taken[k + IN_HOUR]` for `correct_cap`.
    """
    refusing = reserve(state, book, held, h, scopes, now_ms, draw)
    if refusing > 0:
        return refusing
    if not take_of_cap(caps, c, taken, k, uncached, now_ms):
        unreserve(state, book, held, h, h + scopes * HELD_FIELDS)
        return CAPPED
    return 0


def take_of_cap(caps: Flat, c: int, taken: Row, k: int, uncached: int, now_ms: int) -> bool:
    """Take tokens of the curve at `c` in this hour, unless fewer are left."""
    tokens = bounded(uncached)
    if tokens > cap_left(caps, c, taken, k, now_ms):
        return False
    hour = hour_of(caps, c, now_ms)
    if hour > taken[k + IN_HOUR]:
        taken[k + IN_HOUR] = hour
        taken[k + TOKENS_TAKEN] = 0
    taken[k + TOKENS_TAKEN] += tokens
    return True


def correct_cap(taken: Row, k: int, hour: int, reserved: int, uncached: int) -> None:
    """Replace what was reserved in `hour` by what was computed; if that hour is over, nothing is left to correct."""
    if taken[k + IN_HOUR] == hour:
        now_taken = taken[k + TOKENS_TAKEN] + bounded(uncached) - bounded(reserved)
        if now_taken > USED_MOST:
            now_taken = USED_MOST
        taken[k + TOKENS_TAKEN] = now_taken if now_taken > 0 else 0


def fits_cap_from_ms(caps: Flat, c: int, taken: Flat, k: int, uncached: int, now_ms: int) -> int:
    """The first instant at which the cap would let so much pass, now or within a week; FOREVER if none. [ms]"""
    tokens = bounded(uncached)
    if tokens <= cap_left(caps, c, taken, k, now_ms):
        return now_ms
    hour = hour_of(caps, c, now_ms)
    if hour < taken[k + IN_HOUR]:
        hour = taken[k + IN_HOUR]
    for later in range(hour + 1, hour + HOURS_A_WEEK + 1):
        if tokens <= cap_in(caps, c, later):
            return caps[c + C_START_MS] + (later - 1) * MS_AN_HOUR
    return FOREVER
