"""A store: something is used, and a rule says how the used part comes back. One small family, for every window.

    AT_FIRST_USE  all of it comes back one length after the window opened, with its first use
    AT_INSTANTS   all of it comes back at the next instant of the calendar's table
    EVENLY        it comes back evenly, one size a length (`evenly.py`)
    NEVER         nothing comes back: a credit, a commitment to spend
    IN_FLIGHT     as NEVER, but what is settled has cost nothing: a store of requests in flight

Each but EVENLY is two integers: MARK, the instant at which what is used comes back, and USED. A mark moves on only when
the time has reached it, so a clock that steps back gives nothing back, and a mark names one opening of a window: what
is settled late finds another mark and leaves the new opening alone.

`state` at `s` is one store of a subscriber, `book` at `w` its window, `held` at `h` a request (see `book.py`). What is
taken stays below CEILING < 2^62; what is settled beyond that is cut at USED_MOST.
"""

from __future__ import annotations

from ampacity.policy.book import (
    BEFORE,
    CEILING,
    COST,
    INSTANTS,
    INSTANTS_END,
    LENGTH_MS,
    MARK,
    MARKS,
    PASSING,
    PLACE,
    REFILL,
    SIZE,
    STORE_FIELDS,
    USED,
    WINDOW_COUNT,
    WINDOW_FIELDS,
    WINDOWS,
    Flat,
    Row,
)
from ampacity.policy.evenly import ahead_ms, charge, move_back, owed, scaled, take_evenly
from ampacity.policy.instants import first_later
from ampacity.policy.rows import AT_FIRST_USE, AT_INSTANTS, EVENLY

FOREVER = 1 << 62
USED_MOST = 1 << 62


def used_now(state: Row, s: int, book: Flat, w: int, now_ms: int) -> int:
    """What of a store is in use, reserved included; above its size it is debt. [weighted token / SCALE]"""
    if book[w + REFILL] == EVENLY:
        return owed(state, s, book, w, now_ms)
    return state[s + USED] if now_ms < state[s + MARK] else 0


def take_all(state: Row, at: int, book: Flat, plan: int, held: Row, h: int, now_ms: int, draw: int) -> int:
    """Take what row `h` holds from all windows of a plan, or from none; returns the first that refuses, 0 if none does.

    Beyond its size, up to its ceiling, a store admits if `draw` (0 to 999) passes. At least 1 must be held: nothing
    passes a store that is full. The row notes the mark of each opening in which it took, and how the store stood: each
    window is taken from as it admits, and put back if a later one refuses. Most requests are admitted, so to look first
    and take afterwards would cost more.
    """
    for i in range(plan + 1, plan + 1 + book[plan]):
        w = book[i]
        place = book[w + PLACE]
        s = at + place
        mark = state[s + MARK]
        used = state[s + USED]
        before = h + BEFORE + place
        held[before] = mark
        held[before + 1] = used
        cost = held[h + book[w + COST]]
        if book[w + REFILL] == EVENLY:
            mark = take_evenly(state, s, book, w, cost, now_ms, draw)
            if mark == 0:
                untake(state, at, book, plan, i, held, h)
                return w
        else:
            opens = now_ms >= mark
            used = cost if opens else used + cost
            if used > book[w + SIZE] and (used > book[w + CEILING] or draw >= book[w + PASSING]):
                untake(state, at, book, plan, i, held, h)
                return w
            if opens:
                mark = comes_back_ms(book, w, now_ms)
                state[s + MARK] = mark
            state[s + USED] = used
        held[h + MARKS + place] = mark
    return 0


def untake(state: Row, at: int, book: Flat, plan: int, end: int, held: Row, h: int) -> None:
    """Undo what `take_all` has just taken from the windows of a plan before `end`: the stores stand as they stood."""
    for i in range(plan + 1, end):
        place = book[book[i] + PLACE]
        state[at + place + MARK] = held[h + BEFORE + place]
        state[at + place + USED] = held[h + BEFORE + place + 1]
        held[h + MARKS + place] = 0


def correct_all(state: Row, at: int, book: Flat, limit: int, held: Row, h: int, now_ms: int, done: bool) -> None:
    """Add the signed changes in the costs of row `h` to each opening of a window in which it took; `done` forgets them.

    If an opening is over, nothing is left to correct. A store that refills evenly has no openings: more than was taken
    counts when it is known; less gives back at most what has not refilled since.
    """
    w = limit + WINDOWS
    s = at
    for m in range(h + MARKS, h + MARKS + book[limit + WINDOW_COUNT] * STORE_FIELDS, STORE_FIELDS):
        mark = held[m]
        if mark > 0:
            change = held[h + book[w + COST]]
            if book[w + REFILL] == EVENLY:
                if change > 0:
                    charge(state, s, book, w, change, now_ms)
                elif change < 0:
                    move_back(state, s, book, w, -change, now_ms, mark)
            elif state[s + MARK] == mark:
                used = state[s + USED] + change
                if used > USED_MOST:
                    used = USED_MOST
                state[s + USED] = used if used > 0 else 0
            if done:
                held[m] = 0
        w += WINDOW_FIELDS
        s += STORE_FIELDS


def comes_back_ms(book: Flat, w: int, now_ms: int) -> int:
    """When what is used comes back of a window that opens now. [ms]"""
    if book[w + REFILL] == AT_FIRST_USE:
        return now_ms + book[w + LENGTH_MS]
    if book[w + REFILL] == AT_INSTANTS:
        return next_instant_ms(book, book[w + INSTANTS], book[w + INSTANTS_END], book[w + LENGTH_MS], now_ms)
    return FOREVER


def next_instant_ms(book: Flat, begin: int, end: int, length_ms: int, now_ms: int) -> int:
    """The first instant of a table in the book that is later than now; after the last one, every `length_ms`. [ms]"""
    last = book[end - 1]
    if last <= now_ms:
        return last + ((now_ms - last) // length_ms + 1) * length_ms
    return book[first_later(book, begin, end, now_ms)]


def fits_from_ms(state: Row, s: int, book: Flat, w: int, cost: int, now_ms: int) -> int:
    """The first instant, now or later, at which a store would admit `cost` without luck; FOREVER if never. [ms]"""
    if cost > book[w + SIZE]:
        return FOREVER
    if book[w + REFILL] == EVENLY:
        whole, part = scaled(cost, book[w + LENGTH_MS], book[w + SIZE])
        wait_ms = ahead_ms(state, s, now_ms, whole, part, book[w + SIZE]) - book[w + LENGTH_MS]
        return now_ms + wait_ms if wait_ms > 0 else now_ms
    if now_ms >= state[s + MARK] or state[s + USED] + cost <= book[w + SIZE]:
        return now_ms
    return state[s + MARK]
