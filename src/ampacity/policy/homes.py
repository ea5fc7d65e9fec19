"""Where a session is at home: the same replica each time, until it goes, fails or carries too much.

A session's home is the replica with the highest of scores that are drawn by (session, replica) and nothing else
(rendezvous hashing: Thaler and Ravishankar 1998). So if a replica goes only its own sessions move, over all others by
their shares; if one comes it takes its share from each, and nothing else moves. Under bounded load a session leaves
home while home carries more than so many times the mean (Mirrokni, Thorup and Zadimoghaddam, SODA 2018), for its next
best score.

Cells and replicas are `routing.py`'s. `session` is a mixed number (`mixing.py`).
"""

from __future__ import annotations

from ampacity.policy.book import Flat
from ampacity.policy.mixing import HALF_BITS, score
from ampacity.policy.routing import NOBODY, R_NAME, R_SHARE, REPLICA_FIELDS, takes

PERCENT_MOST = 1 << 10
LOG_BITS = 20


def home_of(cell: Flat, at: int, count: int, session: int, now_ms: int) -> int:
    """The home of a session among the replicas that take requests now; NOBODY if none does. O(count)."""
    best = NOBODY
    highest = 0
    for i in range(count):
        r = at + i * REPLICA_FIELDS
        if takes(cell, r, now_ms):
            drawn = score(session, cell[r + R_NAME])
            if best == NOBODY or _wins(cell, r, drawn, at + best * REPLICA_FIELDS, highest):
                best = i
                highest = drawn
    return best


def home_within(cell: Flat, at: int, count: int, session: int, by: int, adding: int, percent: int, now_ms: int) -> int:
    """The best score among replicas that carry less than `percent` of the mean of field `by` for their share.

    by: R_REQUESTS or R_BACKLOG. adding: what the request adds to it, >= 1. percent: 100 to PERCENT_MOST; 125 is usual.
    Some replica always carries less than the mean with the request, so NOBODY only if none takes requests. O(count).
    """
    total = adding
    shares = 0
    for r in range(at, at + count * REPLICA_FIELDS, REPLICA_FIELDS):
        if takes(cell, r, now_ms):
            total += cell[r + by]
            shares += cell[r + R_SHARE]
    best = NOBODY
    highest = 0
    for i in range(count):
        r = at + i * REPLICA_FIELDS
        if takes(cell, r, now_ms) and cell[r + by] * shares * 100 < percent * total * cell[r + R_SHARE]:
            drawn = score(session, cell[r + R_NAME])
            if best == NOBODY or _wins(cell, r, drawn, at + best * REPLICA_FIELDS, highest):
                best = i
                highest = drawn
    return best


def nearer(cell: Flat, r: int, s: int, session: int) -> bool:
    """Whether the replica at row `r` is more a session's home than the one at row `s`. O(1).

    When a replica returns, a session moves to it if it is nearer than its present home; no other has to be asked.
    """
    return _wins(cell, r, score(session, cell[r + R_NAME]), s, score(session, cell[s + R_NAME]))


def _wins(cell: Flat, r: int, one: int, s: int, other: int) -> bool:
    """Whether score `one` of row `r` beats score `other` of row `s`, by their shares; of equals the lower name."""
    if cell[r + R_SHARE] != cell[s + R_SHARE]:
        mine = cell[r + R_SHARE] * _rarity(other)
        its = cell[s + R_SHARE] * _rarity(one)
        if mine != its:
            return mine > its
    return one > other or (one == other and cell[r + R_NAME] < cell[s + R_NAME])


def _rarity(drawn: int) -> int:
    """Minus the binary logarithm of (drawn + 1) / 2^31, 31 to 0. [1 / 2^LOG_BITS]

    Shares over rarities are compared: a rarity is exponentially distributed, so the highest quotient falls to a replica
    with a probability of its share. By repeated squaring, the last bit truncated.
    """
    power = HALF_BITS - 1
    part = drawn + 1
    if part >> HALF_BITS > 0:
        return 0
    while part >> (HALF_BITS - 1) == 0:
        part <<= 1
        power -= 1
    log = power
    for _ in range(LOG_BITS):
        part = (part * part) >> (HALF_BITS - 1)
        log <<= 1
        if part >> HALF_BITS > 0:
            part >>= 1
            log += 1
    return (HALF_BITS << LOG_BITS) - log
