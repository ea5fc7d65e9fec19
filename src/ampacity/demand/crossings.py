"""One subscriber's month under a limit, from crossing to crossing: plain source that `base/compiled.py` compiles.

Between two events (a stretch begins, ends or is taken up again; a window returns; peak hours begin or end) every
window's use rises on a straight line, so the instant at which it is full is solved, not stepped to. Windows are the
rows and the book of `policy/`: where a window opens, what is in use of it and how peak hours count is that room's.

Work is counted in ms at the tier's mean pace (length x pace). A stretch under way or deferred is a job: whole numbers
in `jobs`, its pace in `paces`. What differs from request by request: nothing is reserved before it is used, so no
request is refused for want of a whole request's room, and none carries a window beyond its size.
"""

from __future__ import annotations

from ampacity.policy.book import (
    MARK,
    PEAK_TIMES,
    PEAKS,
    PEAKS_END,
    PLACE,
    SIZE,
    STORE_FIELDS,
    USED,
    WINDOW_FIELDS,
    WINDOWS,
    Flat,
    Row,
)
from ampacity.policy.prices import peak_times
from ampacity.policy.rows import SCALE
from ampacity.policy.stores import FOREVER, comes_back_ms

# of a job
FROM, LEFT, PLAN, STRETCH, TRIES, BOUGHT, JOB_FIELDS = range(7)
# of what people do, `reactions`: cumulative shares, then times [ms]
BY_WAIT, BY_LATER, BY_SWITCH, BY_BUY, PATIENCE, DELAY, REACTION_FIELDS = range(7)
# of `totals` [ms at the mean pace; stretches; ms of active time]
(
    WANTED,
    SERVED,
    LOST,
    SWITCHED,
    PAID,
    OUTSTANDING,
    STOPS,
    LOST_MS,
    DELAYED_MS,
    SWITCHED_MS,
    TOTAL_FIELDS,
) = range(11)
HOUR, WEEK = 3_600_000, 604_800_000
TURN = 0.6180339887498949
"""Golden ratio: multiples of it, modulo 1, spread evenly, so a stretch that is stopped again reacts anew."""


def run(first, begin_ms, active_ms, pace, reaction, delay, plan_of, book, limit, other, prices, rates, reactions, start, end, most, state, jobs, paces, flow, served, stopped, refused, totals):  # type: ignore[no-untyped-def]  # fmt: skip  # noqa: E501
    """Every subscriber in turn; see `at_limit.py` for what goes in and out. Returns 0."""
    for u in range(len(first) - 1):
        for s in range(len(state)):
            state[s] = 0
        one(u, first[u], first[u + 1], begin_ms, active_ms, pace, reaction, delay, plan_of, book, limit, other, prices, rates, reactions, start, end, most, state, jobs, paces, flow, served, stopped, refused, totals)  # fmt: skip  # noqa: E501
    return 0


def one(u, i, last, begin_ms, active_ms, pace, reaction, delay, plan_of, book, limit, other, prices, rates, reactions, start, end, most, state, jobs, paces, flow, served, stopped, refused, totals):  # type: ignore[no-untyped-def]  # fmt: skip  # noqa: E501
    """Subscriber `u`, whose stretches are `i` to `last`."""
    now = begin_ms[i] if i < last else end
    count = 0
    while now < end and (count > 0 or i < last):
        while i < last and begin_ms[i] <= now:
            totals[WANTED] += active_ms[i] * pace[i]
            count = taken_up(jobs, paces, count, most, i, begin_ms[i], active_ms[i], pace[i], plan_of[i])
            i += 1
        j = 0
        while j < count:
            if jobs[j, FROM] <= now and jobs[j, BOUGHT] == 0:
                w = full_window(state, book, jobs[j, PLAN], now)
                if w > 0:
                    k = book[w + PLACE] // STORE_FIELDS
                    refused[k] += 1
                    stopped[u, (now - start) // WEEK] |= 1 << k
                    if react(j, w, now, state, book, other, reaction, delay, reactions, jobs, paces, totals) == 0:
                        count -= 1
                        move(jobs, paces, count, j)
                    continue
            j += 1
        until = begin_ms[i] if i < last else end
        if until > end:
            until = end
        until = flows(jobs, paces, count, book, prices, rates, now, until, flow)
        until = first_event(state, book, limit, flow, prices, now, until)
        advance(jobs, paces, count, state, book, limit, flow, start, now, until, served, totals)
        now = until
        j = 0
        while j < count:
            if jobs[j, LEFT] <= 0:
                count -= 1
                move(jobs, paces, count, j)
            else:
                j += 1
    while i < last:
        totals[WANTED] += active_ms[i] * pace[i]
        totals[OUTSTANDING] += active_ms[i] * pace[i]
        i += 1
    for j in range(count):
        totals[OUTSTANDING] += jobs[j, LEFT] * paces[j]


def taken_up(jobs: Row, paces: Row, count: int, most: int, i: int, begin: int, length: int, pace: float, plan: int) -> int:  # fmt: skip  # noqa: E501
    """Add a stretch to the jobs; one more than a person can steer is done after the longest of them. Returns how many."""  # noqa: E501
    if count < most:
        jobs[count, FROM] = begin
        jobs[count, LEFT] = length
        jobs[count, PLAN] = plan
        jobs[count, STRETCH] = i
        jobs[count, TRIES] = 0
        jobs[count, BOUGHT] = 0
        paces[count] = pace
        return count + 1
    longest = 0
    for j in range(1, count):
        if jobs[j, LEFT] > jobs[longest, LEFT]:
            longest = j
    jobs[longest, LEFT] += int(length * pace / paces[longest] + 0.5)
    return count


def move(jobs: Row, paces: Row, a: int, b: int) -> None:
    """Put job `a` in the place of job `b`."""
    for f in range(JOB_FIELDS):
        jobs[b, f] = jobs[a, f]
    paces[b] = paces[a]


def full_window(state: Row, book: Flat, plan: int, now: int) -> int:
    """The full window of a plan that returns last, as its place in the book; 0 if none is full."""
    found = 0
    latest = 0
    for p in range(plan + 1, plan + 1 + book[plan]):
        w = book[p]
        back = returns_ms(state, book, w, now)
        if back > now and back > latest:
            found = w
            latest = back
    return found


def returns_ms(state: Row, book: Flat, w: int, now: int) -> int:
    """When a window holds something again; now, if it does already."""
    s = book[w + PLACE]
    if book[w + SIZE] == 0:
        return FOREVER
    if now < state[s + MARK] and state[s + USED] >= book[w + SIZE]:
        return state[s + MARK]
    return now


def react(j, w, now, state, book, other, reaction, delay, reactions, jobs, paces, totals):  # type: ignore[no-untyped-def]
    """What becomes of job `j`, which window `w` stops: 1 if it stays among the jobs, 0 if it is gone."""
    i = jobs[j, STRETCH]
    work = jobs[j, LEFT] * paces[j]
    draw = reaction[i] + jobs[j, TRIES] * TURN
    draw -= int(draw)
    jobs[j, TRIES] += 1
    back = returns_ms(state, book, w, now)
    totals[STOPS] += 1
    if draw < reactions[BY_LATER] and back < FOREVER:
        if draw >= reactions[BY_WAIT] or back - now > reactions[PATIENCE]:
            back += int(delay[i] * reactions[DELAY])
        totals[DELAYED_MS] += back - now
        jobs[j, FROM] = back
        return 1
    if reactions[BY_LATER] <= draw < reactions[BY_SWITCH]:
        if other > 0 and jobs[j, PLAN] != other and full_window(state, book, other, now) == 0:
            jobs[j, PLAN] = other
            return 1
        totals[SWITCHED] += work
        totals[SWITCHED_MS] += jobs[j, LEFT]
        return 0
    if reactions[BY_SWITCH] <= draw < reactions[BY_BUY]:
        totals[PAID] += work
        jobs[j, BOUGHT] = 1
        return 1
    totals[LOST] += work
    totals[LOST_MS] += jobs[j, LEFT]
    return 0


def flows(jobs, paces, count, book, prices, rates, now, until, flow):  # type: ignore[no-untyped-def]
    """How fast each window is used now, written to `flow`; returns when a job next ends or is taken up, or `until`."""
    for k in range(len(flow)):
        flow[k] = 0.0
    for j in range(count):
        if jobs[j, FROM] > now:
            if jobs[j, FROM] < until:
                until = jobs[j, FROM]
        else:
            if now + jobs[j, LEFT] < until:
                until = now + jobs[j, LEFT]
            if jobs[j, BOUGHT] == 0:
                plan = jobs[j, PLAN]
                for p in range(plan + 1, plan + 1 + book[plan]):
                    k = book[book[p] + PLACE] // STORE_FIELDS
                    flow[k] += paces[j] * rates[k]
    for k in range(len(flow)):
        r = prices[k]
        if flow[k] > 0.0 and book[r + PEAK_TIMES] != SCALE:
            flow[k] *= peak_times(book, r, now) / SCALE
            change = next_change_ms(book, book[r + PEAKS], book[r + PEAKS_END], now)
            if change < until:
                until = change
    return until


def next_change_ms(book: Flat, begin: int, end: int, now: int) -> int:
    """The first instant of a table that is later than now; FOREVER after the last."""
    low = begin
    high = end
    while low < high:
        middle = (low + high) // 2
        if book[middle] > now:
            high = middle
        else:
            low = middle + 1
    return book[low] if low < end else FOREVER


def first_event(state, book, limit, flow, prices, now, until):  # type: ignore[no-untyped-def]
    """Open the windows that are used and have returned; the first instant at which one returns or is full, or `until`."""  # noqa: E501
    w = limit + WINDOWS
    for k in range(len(flow)):
        if flow[k] > 0.0:
            s = book[w + PLACE]
            if now >= state[s + MARK]:
                state[s + MARK] = comes_back_ms(book, w, now)
                state[s + USED] = 0
            if state[s + MARK] < until:
                until = state[s + MARK]
            left = book[w + SIZE] - state[s + USED]
            if left < flow[k] * (until - now):
                full = int(left / flow[k])
                if full * flow[k] < left:
                    full += 1
                if now + full < until:
                    until = now + full
        w += WINDOW_FIELDS
    return until


def advance(jobs, paces, count, state, book, limit, flow, start, now, until, served, totals):  # type: ignore[no-untyped-def]
    """Let all active jobs work and all windows fill until `until`; book the work in its hours."""
    speed = 0.0
    for j in range(count):
        if jobs[j, FROM] <= now:
            speed += paces[j]
            jobs[j, LEFT] -= until - now
    if speed == 0.0:
        return
    totals[SERVED] += speed * (until - now)
    begin = now
    while begin < until:
        hour = (begin - start) // HOUR
        stop = start + (hour + 1) * HOUR
        if stop > until:
            stop = until
        served[hour] += speed * (stop - begin)
        begin = stop
    w = limit + WINDOWS
    for k in range(len(flow)):
        if flow[k] > 0.0:
            s = book[w + PLACE]
            state[s + USED] += int(flow[k] * (until - now) + 0.5)
        w += WINDOW_FIELDS
