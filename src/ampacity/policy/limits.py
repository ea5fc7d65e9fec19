"""Admit, reserve and settle a request against every window that counts it: all of them or none.

A request holds one row of HELD_FIELDS for each scope that must admit it: its subscriber, and the subscriber's
organization if there is one (rows side by side). Its life:

    hold      what it is expected to cost, by each price of the limit
    reserve   all windows of all its rows admit it, or nothing is written
    settle    what it has cost instead, signed, charged to the openings in which it was reserved
    release   it never began: everything comes back          expire   nobody settled it in time: likewise, but if its
                                                             answer comes after all, that is charged where it belongs

Peak hours count by the instant of reservation. Settling, releasing or expiring twice changes nothing.
"""

from __future__ import annotations

from ampacity.policy.book import (
    AT,
    COST,
    COSTS,
    EXPIRES_MS,
    HELD_FIELDS,
    HISTORY,
    LEARNS,
    LIMIT,
    PEAK_TIMES,
    PLACE,
    PLAN,
    PRICE_COUNT,
    PRICE_FIELDS,
    PRICES,
    REFILL,
    RESERVED_MS,
    STORE_FIELDS,
    W_REQUEST,
    WINDOW_COUNT,
    WINDOW_FIELDS,
    WINDOWS,
    Flat,
    Row,
)
from ampacity.policy.evenly import carry
from ampacity.policy.prices import TOKEN_BITS, at_peak, bounded, cost_of, expected, learn
from ampacity.policy.rows import EVENLY, IN_FLIGHT, SCALE
from ampacity.policy.stores import FOREVER, correct_all, fits_from_ms, take_all, untake


def hold(
    state: Row,
    at: int,
    book: Flat,
    limit: int,
    plan: int,
    held: Row,
    h: int,
    now_ms: int,
    expires_ms: int,
    input_tokens: int,
    output_most: int,
) -> None:
    """Write into the free row `h` what a request of the subscriber at `at` is expected to cost under a limit's plan.

    input_tokens: counted or estimated, cached or not. output_most: what the request allows itself. Nothing is reserved
    yet. now_ms >= 1.
    """
    held[h + LIMIT] = limit
    held[h + PLAN] = plan
    held[h + AT] = at
    held[h + RESERVED_MS] = now_ms
    held[h + EXPIRES_MS] = expires_ms
    if (input_tokens | output_most) >> TOKEN_BITS != 0:
        input_tokens = bounded(input_tokens)
        output_most = bounded(output_most)
    r = limit + PRICES
    k = at + HISTORY
    for p in range(h + COSTS, h + COSTS + book[limit + PRICE_COUNT]):
        held[p] = expected(state, k, book, r, now_ms, input_tokens, output_most)
        r += PRICE_FIELDS
        k += 2


def reserve(state: Row, book: Flat, held: Row, h: int, scopes: int, now_ms: int, draw: int) -> int:
    """Reserve what rows `h` and the `scopes` - 1 after it hold, in all their windows, or in none.

    draw: 0 to 999, evenly; whether the request may pass beyond a limit that lets some pass. Returns 0, or where in the
    book the first window stands that refuses.
    """
    for row in range(h, h + scopes * HELD_FIELDS, HELD_FIELDS):
        refusing = take_all(state, held[row + AT], book, held[row + PLAN], held, row, now_ms, draw)
        if refusing > 0:
            unreserve(state, book, held, h, row)
            return refusing
    return 0


def unreserve(state: Row, book: Flat, held: Row, h: int, end: int) -> None:
    """Undo what has just been reserved for the rows from `h` up to `end`, as if it had never been asked."""
    for row in range(h, end, HELD_FIELDS):
        plan = held[row + PLAN]
        untake(state, held[row + AT], book, plan, plan + 1 + book[plan], held, row)


def settle(
    state: Row, book: Flat, held: Row, h: int, now_ms: int, uncached: int, write: int, read: int, output: int
) -> bool:
    """Replace what row `h` reserved by what the request has cost, learn from it, and free the row. False if it is free.

    More than was reserved may take a window beyond its size: debt, which refuses until it comes back.
    """
    limit = held[h + LIMIT]
    if limit == 0:
        return False
    if (uncached | write | read | output) >> TOKEN_BITS != 0:  # one of them is negative or absurd
        uncached = bounded(uncached)
        write = bounded(write)
        read = bounded(read)
        output = bounded(output)
    at = held[h + AT]
    r = limit + PRICES
    k = at + HISTORY
    for p in range(h + COSTS, h + COSTS + book[limit + PRICE_COUNT]):
        cost = book[r + W_REQUEST]
        if book[r + LEARNS] > 0:
            cost = cost_of(book, r, uncached, write, read, output)
            learn(state, k, book, r, cost)
        if book[r + PEAK_TIMES] != SCALE:
            cost = at_peak(cost, book, r, held[h + RESERVED_MS])
        held[p] = cost - held[p]
        r += PRICE_FIELDS
        k += 2
    correct_all(state, at, book, limit, held, h, now_ms, True)
    held[h + LIMIT] = 0
    return True


def release(state: Row, book: Flat, held: Row, h: int, now_ms: int) -> bool:
    """Give back all that row `h` reserved, and free it: the request never began. False if it is free."""
    limit = held[h + LIMIT]
    if limit == 0:
        return False
    for p in range(h + COSTS, h + COSTS + book[limit + PRICE_COUNT]):
        held[p] = -held[p]
    correct_all(state, held[h + AT], book, limit, held, h, now_ms, True)
    held[h + LIMIT] = 0
    return True


def expire(state: Row, book: Flat, held: Row, h: int, now_ms: int) -> bool:
    """Give back all that row `h` reserved if its time has passed; False if it has not.

    The row is not freed: settling it later charges its whole cost where it was reserved; releasing it frees it.
    """
    limit = held[h + LIMIT]
    if limit == 0 or now_ms < held[h + EXPIRES_MS]:
        return False
    end = h + COSTS + book[limit + PRICE_COUNT]
    for p in range(h + COSTS, end):
        held[p] = -held[p]
    correct_all(state, held[h + AT], book, limit, held, h, now_ms, False)
    for p in range(h + COSTS, end):
        held[p] = 0
    held[h + EXPIRES_MS] = FOREVER
    return True


def admits_from_ms(state: Row, book: Flat, held: Row, row: int, w: int, now_ms: int) -> int:
    """The first instant at which a window would admit what a row holds, if nothing else happens; or FOREVER."""
    return fits_from_ms(state, held[row + AT] + book[w + PLACE], book, w, held[row + book[w + COST]], now_ms)


def retry_at_ms(state: Row, book: Flat, held: Row, h: int, scopes: int, now_ms: int) -> int:
    """The first instant at which all windows would admit what the rows hold, if nothing else happens; or FOREVER."""
    latest = now_ms
    for row in range(h, h + scopes * HELD_FIELDS, HELD_FIELDS):
        plan = held[row + PLAN]
        for i in range(plan + 1, plan + 1 + book[plan]):
            back = admits_from_ms(state, book, held, row, book[i], now_ms)
            if back > latest:
                latest = back
    return latest


def refuses_longest(state: Row, book: Flat, held: Row, h: int, scopes: int, now_ms: int) -> int:
    """Where in the book the window begins that refuses for longest what the rows hold; 0 if none does.

    Requests in flight end soon, nobody knows when: whatever else refuses counts before them.
    """
    longest = now_ms
    found = 0
    for row in range(h, h + scopes * HELD_FIELDS, HELD_FIELDS):
        for w in book[held[row + PLAN] + 1 : held[row + PLAN] + 1 + book[held[row + PLAN]]]:
            back = admits_from_ms(state, book, held, row, w, now_ms)
            if back > now_ms and book[w + REFILL] == IN_FLIGHT:
                back = now_ms + 1
            if back > longest:
                longest, found = back, w
    return found


def rebase(state: Row, at: int, old: Flat, new: Flat, limit: int, now_ms: int) -> None:
    """Carry a subscriber's row from one book to the next at the instant at which its limit changes.

    Only stores that refill evenly need it: what is in use stays in use and from now on comes back at the new pace. Of
    all others a new size holds at once, a new length or anchor from the next opening.
    """
    w = limit + WINDOWS
    for s in range(at, at + old[limit + WINDOW_COUNT] * STORE_FIELDS, STORE_FIELDS):
        if old[w + REFILL] == EVENLY:
            carry(state, s, old, new, w, now_ms)
        w += WINDOW_FIELDS
