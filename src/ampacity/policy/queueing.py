"""Who is next in a queue: tiers by turns, people of a tier by what they were served, requests of one person in order.

Each person has a counter of virtual tokens: what was dispatched for them, by estimate, over their weight; corrected at
settlement. The one with the least counter is next, so people who wait together are served alike, whoever asks for more
(virtual token counter: Sheng et al., OSDI 2024). Who comes back after having asked nothing is lifted to the least
counter, or, if nobody waits, to that of who left last: nobody saves up.

Ageing: while the first request of a person waits, their counter counts for less by `ageing` tokens a millisecond. All
who wait age alike, so the order of two changes only when one of them is served, corrected or joined, and a heap keeps
it. Whoever is ahead of the next by L virtual tokens is overtaken by newcomers for at most L / ageing ms.

A request's life: `enqueue`, then `dequeue`, or `withdraw` (cancelled, overdue, refused in favour of another); after
`dequeue` perhaps `put_back` (it was pre-empted before its first byte) and at last `correct`. When nothing waits and
there is room, `pass_through` does the first two at once.
"""

from __future__ import annotations

from ampacity.policy.book import Flat, Row
from ampacity.policy.index_heap import BREAKER, KEY, heap_add, heap_moved, heap_remove
from ampacity.policy.line import (
    CAME_MOST_MS,
    COUNTER_MOST,
    E_CAME_MS,
    E_CHARGE,
    E_COST,
    E_DUE,
    E_NEXT,
    E_PERSON,
    E_PREVIOUS,
    P_COUNTER,
    P_FIRST,
    P_LAST,
    P_LAST_UP,
    P_NEXT_UP,
    P_QUEUED,
    P_TIER,
    P_WEIGHT,
    PLAIN_WEIGHT,
    Q_AGEING,
    Q_CAME,
    Q_DUE,
    Q_FREE,
    Q_FRESH,
    Q_TIERS,
    Q_TURN,
    Q_WAITING,
    T_DEFICIT,
    T_LAST_UP,
    T_LEFT,
    T_NEXT_UP,
    T_PEOPLE,
    T_QUANTUM,
    T_WAITING,
    TOKENS_ASKED_MOST,
    tier_at,
)
from ampacity.policy.turns import NO_TURN, next_turn

NOTHING = 0


def enqueue(queue: Row, people: Row, p: int, tier: int, uncached: int, now_ms: int, deadline_ms: int) -> int:
    """Let a request of person `p` wait, of so many estimated uncached tokens; NOTHING if all room is taken.

    Returns the request. A person is of the tier that their first waiting request named. deadline_ms: FOREVER if there
    is none; see `overdue`. O(log of who waits).
    """
    if queue[Q_FREE] == NOTHING:
        return NOTHING
    if people[p + P_FIRST] == NOTHING:
        people[p + P_TIER] = tier
        people[p + P_COUNTER] = _lifted(queue, people, p, tier_at(tier), now_ms)
    cost = _within(uncached, TOKENS_ASKED_MOST)
    e = _new_entry(queue, p, cost, charge_for(people, p, cost), now_ms, deadline_ms)
    last = people[p + P_LAST]
    queue[e + E_PREVIOUS] = last
    queue[e + E_NEXT] = NOTHING
    people[p + P_LAST] = e
    if last == NOTHING:
        people[p + P_FIRST] = e
    else:
        queue[last + E_NEXT] = e
    _joined(queue, people, p, e)
    return e


def dequeue(queue: Row, people: Row) -> int:
    """Take out and charge the request that is next; NOTHING if none waits. O(tiers + log of who waits).

    Its row can be read until the next request joins; keep `queue[e + E_CHARGE]` for `correct`.
    """
    tier = next_turn(queue, people)
    if tier == NO_TURN:
        return NOTHING
    t = tier_at(tier)
    p = queue[queue[t + T_NEXT_UP]]
    e = people[p + P_FIRST]
    queue[t + T_DEFICIT] -= queue[e + E_COST]
    people[p + P_COUNTER] = _counted(people[p + P_COUNTER] + queue[e + E_CHARGE])
    withdraw(queue, people, e)
    return e


def withdraw(queue: Row, people: Row, e: int) -> None:
    """Take a request out that waits, uncharged, wherever it stands. O(log of who waits)."""
    p = queue[e + E_PERSON]
    t = tier_at(people[p + P_TIER])
    before = queue[e + E_PREVIOUS]
    after = queue[e + E_NEXT]
    if before == NOTHING:
        people[p + P_FIRST] = after
    else:
        queue[before + E_NEXT] = after
    if after == NOTHING:
        people[p + P_LAST] = before
    else:
        queue[after + E_PREVIOUS] = before
    people[p + P_QUEUED] -= queue[e + E_CHARGE]
    heap_remove(queue, queue[Q_DUE], queue[Q_WAITING], queue, e, E_DUE)
    queue[Q_WAITING] -= 1
    queue[t + T_WAITING] -= 1
    queue[e + E_NEXT] = queue[Q_FREE]
    queue[Q_FREE] = e
    if people[p + P_FIRST] != NOTHING:
        _reorder(queue, people, p)
        return
    heap_remove(queue, queue[t + T_NEXT_UP], queue[t + T_PEOPLE], people, p, P_NEXT_UP)
    heap_remove(queue, queue[t + T_LAST_UP], queue[t + T_PEOPLE], people, p, P_LAST_UP)
    queue[t + T_PEOPLE] -= 1
    queue[t + T_LEFT] = p + 1
    if queue[t + T_WAITING] == 0:
        queue[t + T_DEFICIT] = 0


def put_back(
    queue: Row, people: Row, p: int, tier: int, cost: int, charge_paid: int, came_ms: int, deadline_ms: int
) -> int:
    """Let a request wait again, before the others of its person, that was dequeued and has not begun; uncharge it.

    cost, charge_paid, came_ms: what its row held. Returns it, or NOTHING if all room is taken: then call `correct`.
    """
    if queue[Q_FREE] == NOTHING:
        return NOTHING
    people[p + P_COUNTER] = _counted(people[p + P_COUNTER] - charge_paid)
    if people[p + P_FIRST] == NOTHING:
        people[p + P_TIER] = tier
    e = _new_entry(queue, p, cost, charge_paid, came_ms, deadline_ms)
    first = people[p + P_FIRST]
    queue[e + E_PREVIOUS] = NOTHING
    queue[e + E_NEXT] = first
    people[p + P_FIRST] = e
    if first == NOTHING:
        people[p + P_LAST] = e
    else:
        queue[first + E_PREVIOUS] = e
    _joined(queue, people, p, e)
    t = tier_at(people[p + P_TIER])
    if queue[t + T_DEFICIT] < TOKENS_ASKED_MOST:
        queue[t + T_DEFICIT] += cost
    return e


def pass_through(queue: Row, people: Row, p: int, tier: int, uncached: int, now_ms: int) -> int:
    """Charge a request that need not wait, as `enqueue` and `dequeue` would when nothing waits; returns its charge.

    If something of its person waits, passed by, that keeps its tier.
    """
    if people[p + P_FIRST] == NOTHING:
        people[p + P_TIER] = tier
    t = tier_at(people[p + P_TIER])
    paid = charge_for(people, p, _within(uncached, TOKENS_ASKED_MOST))
    people[p + P_COUNTER] = _counted(_lifted(queue, people, p, t, now_ms) + paid)
    queue[t + T_LEFT] = p + 1
    queue[Q_TURN] = tier
    queue[Q_FRESH] = 0
    if people[p + P_FIRST] != NOTHING:
        _reorder(queue, people, p)
    return paid


def correct(queue: Row, people: Row, p: int, charge_paid: int, uncached: int) -> None:
    """Replace what person `p` was charged for a request by what it had to compute, in tokens; 0 if it never ran."""
    charge_due = charge_for(people, p, _within(uncached, TOKENS_ASKED_MOST)) if uncached > 0 else 0
    people[p + P_COUNTER] = _counted(people[p + P_COUNTER] + charge_due - charge_paid)
    if people[p + P_FIRST] != NOTHING:
        _reorder(queue, people, p)


def charge_for(people: Flat, p: int, tokens: int) -> int:
    """Virtual tokens that person `p` is charged for real ones: fewer for a greater weight. At least 1."""
    weight = people[p + P_WEIGHT]
    if weight == 0:
        return tokens
    paid = tokens * PLAIN_WEIGHT // weight
    return paid if paid > 0 else 1


def overdue(queue: Flat, now_ms: int) -> int:
    """A request whose deadline has come, the earliest; NOTHING if there is none. It still waits: `withdraw` it."""
    if queue[Q_WAITING] == 0:
        return NOTHING
    e = queue[queue[Q_DUE]]
    return e if queue[e + E_DUE + KEY] <= now_ms else NOTHING


def whom_to_refuse(queue: Flat, people: Flat, p: int, tier: int, now_ms: int) -> int:
    """The request to refuse when all room is taken and one more of person `p` asks; NOTHING: the one that asks.

    Of the tier that takes most room for its weight, the request that would be served last: of whoever has the highest
    counter, with all that waits for them already. So who floods the queue crowds out themselves. O(tiers).
    """
    if people[p + P_FIRST] != NOTHING:
        tier = people[p + P_TIER]
    crowded = tier
    waiting = queue[tier_at(tier) + T_WAITING] + 1
    for other in range(queue[Q_TIERS]):
        t = tier_at(other)
        here = queue[t + T_WAITING] * queue[tier_at(crowded) + T_QUANTUM]
        if other != tier and here > waiting * queue[t + T_QUANTUM]:
            crowded = other
            waiting = queue[t + T_WAITING]
    t = tier_at(crowded)
    if queue[t + T_PEOPLE] == 0:
        return NOTHING
    last = queue[queue[t + T_LAST_UP]]
    if crowded == tier:
        mine = people[p + P_COUNTER] + people[p + P_QUEUED]
        if people[p + P_FIRST] == NOTHING:
            mine = _lifted(queue, people, p, t, now_ms)
        if mine + _aged(queue, now_ms) >= -people[last + P_LAST_UP + KEY]:
            return NOTHING
    return people[last + P_LAST]


def _lifted(queue: Flat, people: Flat, p: int, t: int, now_ms: int) -> int:
    """The counter with which an idle person joins the tier at `t`: no less than what who is next counts for now.

    Where the clock has stepped back, who is next has waited for no time.
    """
    least_now = 0
    if queue[t + T_PEOPLE] > 0:
        up = queue[queue[t + T_NEXT_UP]]
        least_now = people[up + P_NEXT_UP + KEY] - _aged(queue, now_ms)
        if least_now > people[up + P_COUNTER]:
            least_now = people[up + P_COUNTER]
    elif queue[t + T_LEFT] > 0:
        least_now = people[queue[t + T_LEFT] - 1 + P_COUNTER]
    own = people[p + P_COUNTER]
    return own if own > least_now else least_now


def _new_entry(queue: Row, p: int, cost: int, paid: int, came_ms: int, deadline_ms: int) -> int:
    e = queue[Q_FREE]
    queue[Q_FREE] = queue[e + E_NEXT]
    queue[Q_CAME] += 1
    queue[e + E_PERSON] = p
    queue[e + E_COST] = cost
    queue[e + E_CHARGE] = paid
    queue[e + E_CAME_MS] = came_ms
    queue[e + E_DUE + KEY] = deadline_ms
    queue[e + E_DUE + BREAKER] = queue[Q_CAME]
    heap_add(queue, queue[Q_DUE], queue[Q_WAITING], queue, e, E_DUE)
    queue[Q_WAITING] += 1
    return e


def _joined(queue: Row, people: Row, p: int, e: int) -> None:
    """Count a request that has been linked to its person, and put the person where they now belong."""
    t = tier_at(people[p + P_TIER])
    queue[t + T_WAITING] += 1
    people[p + P_QUEUED] += queue[e + E_CHARGE]
    if people[p + P_FIRST] != people[p + P_LAST]:
        _reorder(queue, people, p)
        return
    _write_keys(queue, people, p)
    heap_add(queue, queue[t + T_NEXT_UP], queue[t + T_PEOPLE], people, p, P_NEXT_UP)
    heap_add(queue, queue[t + T_LAST_UP], queue[t + T_PEOPLE], people, p, P_LAST_UP)
    queue[t + T_PEOPLE] += 1


def _reorder(queue: Row, people: Row, p: int) -> None:
    t = tier_at(people[p + P_TIER])
    _write_keys(queue, people, p)
    heap_moved(queue, queue[t + T_NEXT_UP], queue[t + T_PEOPLE], people, p, P_NEXT_UP)
    heap_moved(queue, queue[t + T_LAST_UP], queue[t + T_PEOPLE], people, p, P_LAST_UP)


def _write_keys(queue: Flat, people: Row, p: int) -> None:
    """The two orders: by the counter before the first request, and, last first, by the counter before the last one.

    Ageing subtracts the same from all as time passes, so since when a request waits stands in for how long it has.
    """
    first = people[p + P_FIRST]
    last = people[p + P_LAST]
    counter = people[p + P_COUNTER]
    people[p + P_NEXT_UP + KEY] = counter + _aged(queue, queue[first + E_CAME_MS])
    people[p + P_NEXT_UP + BREAKER] = queue[first + E_DUE + BREAKER]
    before_last = counter + people[p + P_QUEUED] - queue[last + E_CHARGE]
    people[p + P_LAST_UP + KEY] = -(before_last + _aged(queue, queue[last + E_CAME_MS]))
    people[p + P_LAST_UP + BREAKER] = -queue[last + E_DUE + BREAKER]


def _aged(queue: Flat, ms: int) -> int:
    return queue[Q_AGEING] * _within(ms, CAME_MOST_MS)


def _counted(counter: int) -> int:
    """A counter within its bounds."""
    return _within(counter, COUNTER_MOST) if counter > 0 else 0


def _within(number: int, most: int) -> int:
    """A number of at least 1 and at most `most`."""
    if number > most:
        return most
    return number if number > 1 else 1
