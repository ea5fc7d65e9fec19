"""The store that refills evenly, kept as a theoretical arrival time (GCRA), so that looking loses nothing to rounding.

The time is when the store would be full again: whole milliseconds in MARK, and in USED the rest as a numerator over the
store's size. A cost moves it on by cost x length / size, exactly; looking moves nothing. What one request can move it
on is bounded, so no product passes 63 bits (`scaled`, `divided`).
"""

from __future__ import annotations

from ampacity.policy.book import (
    CEILING,
    LENGTH_MS,
    LENGTHS_MOST,
    MARK,
    PASSING,
    QUICK,
    QUICK_MOST,
    SIZE,
    USED,
    Flat,
    Row,
)
from ampacity.policy.rows import COST_MOST

DEBT_MS_MOST = 1 << 43  # 279 years: a store owes no more


def scaled(cost: int, length_ms: int, size: int) -> tuple[int, int]:
    """How long a cost takes to refill: cost x length / size, as (whole ms, numerator over size); at most 1024 lengths.

    0 <= cost < 2^63, 1 <= length <= 2^32, 1 <= size <= 2^46.
    """
    if cost > size * LENGTHS_MOST:
        cost = size * LENGTHS_MOST
    if cost > COST_MOST:
        cost = COST_MOST
    return divided(cost, length_ms, size)


def divided(a: int, b: int, by: int) -> tuple[int, int]:
    """a x b / by and what remains, in digits of 16 bits where the product would pass 63.

    0 <= a <= 2^46, 0 <= b <= 2^32, 1 <= by <= 2^46, and a x b / by < 2^62.
    """
    if a <= QUICK_MOST:
        product = a * b
        whole = product // by
        return whole, product - whole * by
    upper = a * (b >> 16)
    whole = upper // by
    middle = (upper - whole * by) << 16
    lower = a * (b & 65535)
    rest = middle % by + lower % by
    whole = (whole << 16) + middle // by + lower // by
    if rest >= by:
        return whole + 1, rest - by
    return whole, rest


def ahead_ms(state: Row, s: int, now_ms: int, whole: int, part: int, size: int) -> int:
    """How far in the future a store would be full again if so much refilling were taken now, rounded up. [ms]"""
    if state[s + MARK] >= now_ms:
        whole += state[s + MARK] - now_ms
        part += state[s + USED]
    if part > size:
        return whole + 2
    return whole + 1 if part > 0 else whole


def take_evenly(state: Row, s: int, book: Flat, w: int, cost: int, now_ms: int, draw: int) -> int:
    """Take `cost` if it conforms: full again within one length, or within the ceiling if the draw passes.

    Returns when it will be full again, rounded up, so that what is given back at once is given back whole. [ms]
    0, and nothing is written, if it does not conform. now_ms >= 1.
    """
    size = book[w + SIZE]
    length_ms = book[w + LENGTH_MS]
    if cost <= book[w + QUICK]:
        part = cost * length_ms
        mark = part // size
        part -= mark * size
    elif size == 0:
        return 0
    else:
        mark, part = scaled(cost, length_ms, size)
    if state[s + MARK] < now_ms:  # full by now
        mark += now_ms
    else:
        mark += state[s + MARK]
        part += state[s + USED]
        if part >= size:
            part -= size
            mark += 1
    full_ms = mark + 1 if part > 0 else mark
    if full_ms - now_ms > length_ms and (full_ms - now_ms > book[w + CEILING] or draw >= book[w + PASSING]):
        return 0
    state[s + MARK] = mark
    state[s + USED] = part
    return full_ms


def move_on(state: Row, s: int, whole: int, part: int, size: int, from_ms: int) -> None:
    """Take so much refilling, conforming or not. A store that is full at `from_ms` is taken from there."""
    mark = state[s + MARK]
    if mark < from_ms:
        mark = from_ms
    else:
        part += state[s + USED]
        if part >= size:
            part -= size
            mark += 1
    state[s + MARK] = mark + whole
    state[s + USED] = part


def charge(state: Row, s: int, book: Flat, w: int, cost: int, now_ms: int) -> None:
    """Take what has cost more than was reserved, from where the store was."""
    if book[w + SIZE] == 0:
        return
    whole, part = scaled(cost, book[w + LENGTH_MS], book[w + SIZE])
    move_on(state, s, whole, part, book[w + SIZE], 0)
    if state[s + MARK] > now_ms + DEBT_MS_MOST:
        state[s + MARK] = now_ms + DEBT_MS_MOST


def move_back(state: Row, s: int, book: Flat, w: int, cost: int, not_before_ms: int, mark_ms: int) -> None:
    """Give `cost` back, but not what has refilled since: all of it would have been back at `mark_ms` by itself."""
    size = book[w + SIZE]
    most = mark_ms - not_before_ms
    if size == 0 or most <= 0:
        return
    whole, part = scaled(cost, book[w + LENGTH_MS], size)
    if whole >= most:
        whole = most
        part = 0
    part = state[s + USED] - part
    if part < 0:
        part += size
        whole += 1
    state[s + MARK] -= whole
    state[s + USED] = part


def owed(state: Row, s: int, book: Flat, w: int, now_ms: int) -> int:
    """What is in use of the store now, rounded up. [weighted token / SCALE]"""
    size = book[w + SIZE]
    if size == 0 or state[s + MARK] < now_ms:
        return 0
    behind_ms = state[s + MARK] - now_ms
    length_ms = book[w + LENGTH_MS]
    lengths = behind_ms // length_ms
    if lengths >= LENGTHS_MOST:
        return size * LENGTHS_MOST
    whole, part = divided(size, behind_ms - lengths * length_ms, length_ms)
    return lengths * size + whole + (part + state[s + USED] + length_ms - 1) // length_ms


def carry(state: Row, s: int, old: Flat, new: Flat, w: int, now_ms: int) -> None:
    """Keep what is in use when size or length change: it comes back at the new pace.

    A store that is full, and one whose size is or was 0, keeps when it is full, rounded up.
    """
    if state[s + MARK] < now_ms or old[w + SIZE] == 0 or new[w + SIZE] == 0:
        # What USED counts is over the old size: it means nothing over the new one, should the clock ever step back.
        if state[s + USED] > 0:
            state[s + MARK] += 1
            state[s + USED] = 0
        return
    used = owed(state, s, old, w, now_ms)
    state[s + MARK] = now_ms
    state[s + USED] = 0
    whole, part = scaled(used, new[w + LENGTH_MS], new[w + SIZE])
    move_on(state, s, whole, part, new[w + SIZE], now_ms)
