"""The layout of a queue and of whoever waits in it, flat whole numbers; `queueing.py` moves them.

    queue    header; then a row a tier, a row a request (as many as have room), and the heaps: requests by deadline,
             and of each tier the people who wait, by who is next and by who is last
    people   PERSON_FIELDS for each subscriber that may wait in this queue; fresh rows are zeros

A request, a tier and a person are named by where their rows begin; a request never by 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from ampacity.policy.index_heap import HEAP_KEY_FIELDS

# of the queue
Q_TIERS, Q_WAITING, Q_FREE, Q_CAME, Q_TURN, Q_FRESH, Q_AGEING, Q_DUE, Q_FIELDS = range(9)
"""Tiers; requests that wait; first free row; requests that ever came; the tier whose turn it is and whether it has had
its quantum; what a waiting request gains [token / ms]; where the heap of deadlines begins."""
# of a tier
T_QUANTUM, T_DEFICIT, T_WAITING, T_PEOPLE, T_LEFT, T_NEXT_UP, T_LAST_UP, TIER_FIELDS = range(8)
"""Tokens that it earns each round; that it may still spend; requests that wait; people who do; 1 + who left last; where
its two heaps begin."""
# of a request
E_PERSON, E_COST, E_CHARGE, E_CAME_MS, E_NEXT, E_PREVIOUS, E_DUE = range(7)
ENTRY_FIELDS = E_DUE + HEAP_KEY_FIELDS
"""Who asked; uncached tokens, estimated; what its person is charged for them; since when it waits; its neighbours among
its person's; its deadline [ms] in the heap of them."""
# of a person
P_COUNTER, P_WEIGHT, P_TIER, P_FIRST, P_LAST, P_QUEUED, P_NEXT_UP = range(7)
P_LAST_UP = P_NEXT_UP + HEAP_KEY_FIELDS
PERSON_FIELDS = P_LAST_UP + HEAP_KEY_FIELDS
"""Virtual tokens served; weight, 0 for PLAIN_WEIGHT; tier while it waits; its first and last request; charges of those
that wait; its places in its tier's two heaps."""

PLAIN_WEIGHT = 1 << 8
PERSON_WEIGHT_MOST = 1 << 16
QUANTUM_MOST = 1 << 24
TIERS_MOST = 16
ROOM_MOST = 1 << 20
AGEING_MOST = 1 << 16
COST_BITS = 32
TOKENS_ASKED_MOST = 1 << COST_BITS  # estimated uncached tokens of one request
CAME_MOST_MS = 1 << 43
COUNTER_MOST = 1 << 61  # + 2^20 charges of 2^40, queued, + 2^43 x 2^16, aged, stays below 2^62


def fresh_queue(quanta: Sequence[int], room: int, ageing: int = 0) -> list[int]:
    """An empty queue.

    quanta: what each tier earns a round, 1 to QUANTUM_MOST; their ratios are the tiers' weights. [uncached token]
    room: requests that may wait, 1 to ROOM_MOST. ageing: 0 to AGEING_MOST; a second of waiting is worth 1,000 times as
    many tokens served to others of the tier; 0 for exact fairness. [token / ms]
    Raises ValueError with every mistake.
    """
    mistakes = [
        f"quantum {i}: {quantum} tokens, expected 1 to {QUANTUM_MOST}"
        for i, quantum in enumerate(quanta)
        if not 1 <= quantum <= QUANTUM_MOST
    ]
    if not 1 <= len(quanta) <= TIERS_MOST:
        mistakes.append(f"{len(quanta)} tiers, expected 1 to {TIERS_MOST}")
    if not 1 <= room <= ROOM_MOST:
        mistakes.append(f"room for {room} requests, expected 1 to {ROOM_MOST}")
    if not 0 <= ageing <= AGEING_MOST:
        mistakes.append(f"ageing {ageing} tokens a ms, expected 0 to {AGEING_MOST}")
    if mistakes:
        raise ValueError("\n".join(mistakes))
    entries = Q_FIELDS + len(quanta) * TIER_FIELDS
    heaps = entries + room * ENTRY_FIELDS
    queue = [len(quanta), 0, entries, 0, 0, 1, ageing, heaps]
    for i, quantum in enumerate(quanta):
        next_up = heaps + room + 2 * i * room
        queue += [quantum, 0, 0, 0, 0, next_up, next_up + room]
    for i in range(room):
        free = [0] * ENTRY_FIELDS
        free[E_NEXT] = entries + (i + 1) * ENTRY_FIELDS if i + 1 < room else 0
        queue += free
    return queue + [0] * (room + 2 * len(quanta) * room)


def tier_at(tier: int) -> int:
    """Where the row of a tier begins; tiers count from 0."""
    return Q_FIELDS + tier * TIER_FIELDS
