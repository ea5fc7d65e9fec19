"""Whose turn it is among tiers: deficit round robin on estimated uncached tokens.

A tier that is visited earns its quantum and is served while what it has earned covers its next request; what is left
over stays with it, until nothing of it waits (Shreedhar and Varghese, SIGCOMM 1995). So among tiers that always have
requests waiting, the service of each differs from its weighted share by at most about one quantum and one request, and
no tier waits for longer than a round.

Who is next inside a tier is `queueing.py`'s.
"""

from __future__ import annotations

from ampacity.policy.book import Flat, Row
from ampacity.policy.line import (
    E_COST,
    P_FIRST,
    Q_FRESH,
    Q_TIERS,
    Q_TURN,
    Q_WAITING,
    T_DEFICIT,
    T_NEXT_UP,
    T_QUANTUM,
    T_WAITING,
    tier_at,
)

NO_TURN = -1


def next_turn(queue: Row, people: Flat) -> int:
    """The tier that is served next, its deficit covering its next request; NO_TURN if nothing waits. O(tiers)."""
    if queue[Q_WAITING] == 0:
        return NO_TURN
    tiers = queue[Q_TIERS]
    for _ in range(2):  # if nobody is served in one round, somebody is in the next after those that were skipped
        for _ in range(tiers):
            t = tier_at(queue[Q_TURN])
            if queue[t + T_WAITING] > 0:
                if queue[Q_FRESH] == 1:
                    queue[t + T_DEFICIT] += queue[t + T_QUANTUM]
                    queue[Q_FRESH] = 0
                if next_cost(queue, people, t) <= queue[t + T_DEFICIT]:
                    return queue[Q_TURN]
            queue[Q_TURN] = (queue[Q_TURN] + 1) % tiers
            queue[Q_FRESH] = 1
        _skip_rounds(queue, people)
    return NO_TURN


def next_cost(queue: Flat, people: Flat, t: int) -> int:
    """Uncached tokens of the next request of the tier at `t`, which must have one."""
    return queue[people[queue[queue[t + T_NEXT_UP]] + P_FIRST] + E_COST]


def _skip_rounds(queue: Row, people: Flat) -> None:
    """Let pass, at once, all rounds but one that the nearest tier still has to wait."""
    rounds = -1
    for tier in range(queue[Q_TIERS]):
        t = tier_at(tier)
        if queue[t + T_WAITING] > 0:
            missing = next_cost(queue, people, t) - queue[t + T_DEFICIT]
            needed = (missing + queue[t + T_QUANTUM] - 1) // queue[t + T_QUANTUM]
            if rounds < 0 or needed < rounds:
                rounds = needed
    if rounds > 1:
        for tier in range(queue[Q_TIERS]):
            t = tier_at(tier)
            if queue[t + T_WAITING] > 0:
                queue[t + T_DEFICIT] += (rounds - 1) * queue[t + T_QUANTUM]
