"""One subscriber's month under a limit, from crossing to crossing: plain source that `base/compiled.py` compiles.

Between two events (a stretch begins, ends or is taken up again; a window returns; peak hours begin or end) every
window's use rises on a straight line, so the instant at which it is full is solved, not stepped to. Windows are the
rows and the book of `policy/`: where a window opens, what is in use of it and how peak hours count is that room's.

Work is counted in ms at the tier's mean pace (length x pace). A stretch under way or deferred is a job: whole numbers
in `jobs`, its pace in `paces`. What differs from request by request: nothing is reserved before it is used, so no
request is refused for want of a whole request's room, and none carries a window beyond its size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
)
from ampacity.policy.instants import first_later
from ampacity.policy.prices import peak_times
from ampacity.policy.rows import SCALE
from ampacity.policy.stores import FOREVER, comes_back_ms, fits_from_ms

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# of a job
FROM, LEFT, PLAN, STRETCH, TRIES, BOUGHT, JOB_FIELDS = range(7)
# of a job that is left: whose, which stretch, when it goes on, what is left of it [ms]
OF, OF_STRETCH, GOES_ON, TO_DO, LEFT_FIELDS = range(5)
# of what people do, `reactions`: cumulative shares, then times [ms]
BY_WAIT, BY_LATER, BY_SWITCH, BY_BUY, PATIENCE, DELAY, REACTION_FIELDS = range(7)
# of `totals` [ms at the mean pace; ms of active time]
(
    WANTED,
    SERVED,
    LOST,
    SWITCHED,
    PAID,
    OUTSTANDING,
    LOST_MS,
    DELAYED_MS,
    TOTAL_FIELDS,
) = range(9)
HOUR, WEEK = 3_600_000, 604_800_000
TURN = 0.6180339887498949
"""Golden ratio: multiples of it, modulo 1, spread evenly, so a stretch that is stopped again reacts anew."""


class Wishes(NamedTuple):
    """What is wanted (`stretches.py`), and by which plan of the book each stretch is counted."""

    first: Ints
    begin_ms: Ints
    active_ms: Ints
    pace: Floats
    reaction: Floats
    delay: Floats
    plan: Ints


class Terms(NamedTuple):
    """The limit and the time. other: the plan of those who switch inside the service, 0 if there is none. prices:
    where in the book each window's price stands. rates: weighted tokens per second at the mean pace. most: jobs of a
    person."""

    book: Any
    limit: int
    other: int
    prices: Ints
    rates: Floats
    reactions: Floats
    start: int
    end: int
    most: int


class Desk(NamedTuple):
    """Room to work in: a subscriber's row, their jobs and the paces of these, how fast each window is used."""

    state: Any
    jobs: Ints
    paces: Floats
    flow: Floats


class Left(NamedTuple):
    """How things stand at the end, for whoever goes on from there; arrays without rows where nobody does.

    states: a row of each subscriber. jobs: of LEFT_FIELDS, behind each other; paces: of each. many: how
    many, one entry.
    """

    states: Ints
    jobs: Ints
    paces: Floats
    many: Ints


class Found(NamedTuple):
    """What comes out: work by hour, and of each hour the integral of a person's pace squared, summed over people;
    windows that stopped each person in each week (bits), stops by window, totals."""

    served: Floats
    squares: Floats
    stopped: Ints
    refused: Ints
    totals: Floats
    left: Left


def run(wishes: Wishes, terms: Terms, desk: Desk, found: Found) -> None:
    """Every subscriber in turn."""
    for u in range(len(wishes.first) - 1):
        for s in range(len(desk.state)):
            desk.state[s] = 0
        one(u, wishes, terms, desk, found)
        if u < len(found.left.states):
            for s in range(len(desk.state)):
                found.left.states[u, s] = desk.state[s]


def one(u: int, wishes: Wishes, terms: Terms, desk: Desk, found: Found) -> None:
    """Subscriber `u`, from event to event."""
    i = wishes.first[u]
    last = wishes.first[u + 1]
    now = wishes.begin_ms[i] if i < last else terms.end
    count = 0
    while now < terms.end and (count > 0 or i < last):
        while i < last and wishes.begin_ms[i] <= now:
            count = begin(i, count, wishes, terms, desk, found)
            i += 1
        count = stop(u, now, count, wishes, terms, desk, found)
        until = wishes.begin_ms[i] if i < last else terms.end
        until = flows(count, terms, desk, now, min(until, terms.end))
        until = first_event(terms, desk, now, until)
        advance(count, terms, desk, found, now, until)
        count = done(count, desk)
        now = until
    while i < last:
        found.totals[WANTED] += wishes.active_ms[i] * wishes.pace[i]
        found.totals[OUTSTANDING] += wishes.active_ms[i] * wishes.pace[i]
        i += 1
    for j in range(count):
        found.totals[OUTSTANDING] += desk.jobs[j, LEFT] * desk.paces[j]
        if len(found.left.states) > 0:
            row = found.left.many[0]
            found.left.jobs[row, OF] = u
            found.left.jobs[row, OF_STRETCH] = desk.jobs[j, STRETCH]
            found.left.jobs[row, GOES_ON] = desk.jobs[j, FROM]
            found.left.jobs[row, TO_DO] = desk.jobs[j, LEFT]
            found.left.paces[row] = desk.paces[j]
            found.left.many[0] += 1


def begin(i: int, count: int, wishes: Wishes, terms: Terms, desk: Desk, found: Found) -> int:
    """Stretch `i` becomes a job; one more than a person steers follows the one that ends first. Returns how many."""
    jobs = desk.jobs
    found.totals[WANTED] += wishes.active_ms[i] * wishes.pace[i]
    if count < terms.most:
        jobs[count, FROM] = wishes.begin_ms[i]
        jobs[count, LEFT] = wishes.active_ms[i]
        jobs[count, PLAN] = wishes.plan[i]
        jobs[count, STRETCH] = i
        jobs[count, TRIES] = 0
        jobs[count, BOUGHT] = 0
        desk.paces[count] = wishes.pace[i]
        return count + 1
    first = 0
    for j in range(1, count):
        if jobs[j, LEFT] < jobs[first, LEFT]:
            first = j
    jobs[first, LEFT] += int(wishes.active_ms[i] * wishes.pace[i] / desk.paces[first] + 0.5)
    return count


def stop(u: int, now: int, count: int, wishes: Wishes, terms: Terms, desk: Desk, found: Found) -> int:
    """Every active job that a full window counts reacts. Returns how many jobs are left."""
    j = 0
    while j < count:
        w = 0
        if desk.jobs[j, FROM] <= now and desk.jobs[j, BOUGHT] == 0:
            w = full_window(desk.state, terms.book, desk.jobs[j, PLAN], now)
        if w == 0:
            j += 1
            continue
        k = terms.book[w + PLACE] // STORE_FIELDS
        found.refused[k] += 1
        found.stopped[u, (now - terms.start) // WEEK] |= 1 << k
        if react(j, w, now, wishes, terms, desk, found) == 0:
            count -= 1
            move(desk, count, j)
    return count


def done(count: int, desk: Desk) -> int:
    """Take out the jobs that are finished; returns how many are left."""
    j = 0
    while j < count:
        if desk.jobs[j, LEFT] <= 0:
            count -= 1
            move(desk, count, j)
        else:
            j += 1
    return count


def move(desk: Desk, a: int, b: int) -> None:
    """Put job `a` in the place of job `b`."""
    for f in range(JOB_FIELDS):
        desk.jobs[b, f] = desk.jobs[a, f]
    desk.paces[b] = desk.paces[a]


def full_window(state: Any, book: Any, plan: int, now: int) -> int:
    """The full window of a plan that returns last, as its place in the book; 0 if none is full."""
    found = 0
    latest = now
    for p in range(plan + 1, plan + 1 + book[plan]):
        back = fits_from_ms(state, book[book[p] + PLACE], book, book[p], 1, now)
        if back > latest:
            found = book[p]
            latest = back
    return found


def react(j: int, w: int, now: int, wishes: Wishes, terms: Terms, desk: Desk, found: Found) -> int:
    """What becomes of job `j`, which window `w` stops: 1 if it stays among the jobs, 0 if it is gone."""
    jobs = desk.jobs
    totals = found.totals
    reactions = terms.reactions
    i = jobs[j, STRETCH]
    work = jobs[j, LEFT] * desk.paces[j]
    draw = wishes.reaction[i] + jobs[j, TRIES] * TURN
    draw -= int(draw)
    jobs[j, TRIES] += 1
    back = fits_from_ms(desk.state, terms.book[w + PLACE], terms.book, w, 1, now)
    if draw < reactions[BY_LATER] and back < FOREVER:
        if draw >= reactions[BY_WAIT] or back - now > reactions[PATIENCE]:
            back += int(wishes.delay[i] * reactions[DELAY])
        totals[DELAYED_MS] += back - now
        jobs[j, FROM] = back
        return 1
    if reactions[BY_LATER] <= draw < reactions[BY_SWITCH]:
        other = terms.other
        if other > 0 and jobs[j, PLAN] != other and full_window(desk.state, terms.book, other, now) == 0:
            jobs[j, PLAN] = other
            return 1
        totals[SWITCHED] += work
        return 0
    if reactions[BY_SWITCH] <= draw < reactions[BY_BUY]:
        totals[PAID] += work
        jobs[j, BOUGHT] = 1
        return 1
    totals[LOST] += work
    totals[LOST_MS] += jobs[j, LEFT]
    return 0


def flows(count: int, terms: Terms, desk: Desk, now: int, until: int) -> int:
    """How fast each window is used now, written to `desk.flow`; returns when a job ends or is taken up, or `until`."""
    jobs, flow, book = desk.jobs, desk.flow, terms.book
    for k in range(len(flow)):
        flow[k] = 0.0
    for j in range(count):
        if jobs[j, FROM] > now:
            until = min(until, jobs[j, FROM])
            continue
        until = min(until, now + jobs[j, LEFT])
        if jobs[j, BOUGHT] == 0:
            plan = jobs[j, PLAN]
            for p in range(plan + 1, plan + 1 + book[plan]):
                k = book[book[p] + PLACE] // STORE_FIELDS
                flow[k] += desk.paces[j] * terms.rates[k]
    for k in range(len(flow)):
        r = terms.prices[k]
        if flow[k] > 0.0 and book[r + PEAK_TIMES] != SCALE:
            flow[k] *= peak_times(book, r, now) / SCALE
            change = first_later(book, book[r + PEAKS], book[r + PEAKS_END], now)
            if change < book[r + PEAKS_END]:
                until = min(until, book[change])
    return until


def first_event(terms: Terms, desk: Desk, now: int, until: int) -> int:
    """Open windows that are used and have returned; the first instant at which one returns or is full, or `until`."""
    state, flow, book = desk.state, desk.flow, terms.book
    w = terms.limit + WINDOWS
    for k in range(len(flow)):
        if flow[k] > 0.0:
            s = book[w + PLACE]
            if now >= state[s + MARK]:
                state[s + MARK] = comes_back_ms(book, w, now)
                state[s + USED] = 0
            until = min(until, state[s + MARK])
            left = book[w + SIZE] - state[s + USED]
            if left < flow[k] * (until - now):
                full = int(left / flow[k])
                if full * flow[k] < left:
                    full += 1
                until = min(until, now + full)
        w += WINDOW_FIELDS
    return until


def advance(count: int, terms: Terms, desk: Desk, found: Found, now: int, until: int) -> None:
    """Let all active jobs work and all windows fill until `until`; book the work in its hours."""
    speed = 0.0
    for j in range(count):
        if desk.jobs[j, FROM] <= now:
            speed += desk.paces[j]
            desk.jobs[j, LEFT] -= until - now
    if speed == 0.0:
        return
    found.totals[SERVED] += speed * (until - now)
    at = now
    while at < until:
        hour = (at - terms.start) // HOUR
        end = min(terms.start + (hour + 1) * HOUR, until)
        found.served[hour] += speed * (end - at)
        found.squares[hour] += speed * speed * (end - at)
        at = end
    w = terms.limit + WINDOWS
    for k in range(len(desk.flow)):
        if desk.flow[k] > 0.0:
            desk.state[terms.book[w + PLACE] + USED] += int(desk.flow[k] * (until - now) + 0.5)
        w += WINDOW_FIELDS
