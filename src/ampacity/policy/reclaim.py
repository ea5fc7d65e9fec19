"""A pool that goes: held, drained, gone; and what becomes of each request that it has in flight.

The words are Kueue's, whose queues are held, or held and drained (`stopPolicy`). Here a drain has a deadline, as who
takes a pool back, or a site that loses its power, names one: without notice it is now.

    POOL_OPEN      takes requests
    POOL_HELD      takes nothing new; what it has goes on
    POOL_DRAINING  as held, until the deadline
    POOL_GONE      it has nothing, and nothing leads back: if the pool returns, it begins with a fresh row

A pool is POOL_FIELDS whole numbers at `p`; fresh rows are zeros.

    P_STATE        which of these
    P_DEADLINE_MS  of the drain [ms]; FOREVER: none is set yet. Nothing if it does not drain

What makes no sense changes nothing, and says so by returning False. That a deadline has passed is seen by asking
(`past_deadline`); `end_drain` is true once, and then everything in flight moves or is cut.
"""

from __future__ import annotations

from ampacity.policy.book import Flat, Row
from ampacity.policy.line import CAME_MOST_MS
from ampacity.policy.stores import FOREVER

P_STATE, P_DEADLINE_MS, POOL_FIELDS = range(3)
POOL_OPEN, POOL_HELD, POOL_DRAINING, POOL_GONE = range(4)
STAYS, MOVES_AWAY, CUT = range(3)


def takes_new(pools: Flat, p: int) -> bool:
    """Whether the pool at `p` takes new requests."""
    return pools[p + P_STATE] == POOL_OPEN


def past_deadline(pools: Flat, p: int, now_ms: int) -> bool:
    """Whether the pool is gone now, be it noted yet or not."""
    return now_ms >= gone_at_ms(pools, p)


def gone_at_ms(pools: Flat, p: int) -> int:
    """When the pool is, or was, gone; FOREVER if nobody takes it. [ms]"""
    state = pools[p + P_STATE]
    return pools[p + P_DEADLINE_MS] if state in (POOL_DRAINING, POOL_GONE) else FOREVER


def hold_pool(pools: Row, p: int) -> bool:
    """Take nothing new; True if it was open. A drain goes on: only `reopen_pool` calls it off."""
    if pools[p + P_STATE] != POOL_OPEN:
        return False
    pools[p + P_STATE] = POOL_HELD
    return True


def drain_pool(pools: Row, p: int, deadline_ms: int, now_ms: int) -> bool:
    """Take nothing new and be gone by a deadline, at the earliest now; a drain's may be put off or brought forward.

    deadline_ms: 0 to FOREVER. True unless that changes nothing: the deadline is the same, or the pool is gone.
    """
    deadline_ms = max(deadline_ms, now_ms)
    state = pools[p + P_STATE]
    if state == POOL_GONE or past_deadline(pools, p, now_ms):
        return False
    if state == POOL_DRAINING and pools[p + P_DEADLINE_MS] == deadline_ms:
        return False
    pools[p + P_STATE] = POOL_DRAINING
    pools[p + P_DEADLINE_MS] = deadline_ms
    return True


def reopen_pool(pools: Row, p: int, now_ms: int) -> bool:
    """Take requests again: True if it was held, or drained and its deadline has not passed."""
    if pools[p + P_STATE] not in (POOL_HELD, POOL_DRAINING) or past_deadline(pools, p, now_ms):
        return False
    pools[p + P_STATE] = POOL_OPEN
    pools[p + P_DEADLINE_MS] = 0
    return True


def end_drain(pools: Row, p: int, now_ms: int) -> bool:
    """Note that the pool is gone if its deadline has passed; True once."""
    if pools[p + P_STATE] != POOL_DRAINING or not past_deadline(pools, p, now_ms):
        return False
    pools[p + P_STATE] = POOL_GONE
    return True


def fate(begun: bool, remaining_ms: int, deadline_ms: int, now_ms: int) -> int:
    """What becomes of a request in flight: STAYS, MOVES_AWAY or CUT.

    To be asked when a drain begins or its deadline changes, and at the deadline, when nothing stays. begun: its first
    byte has gone to the client. remaining_ms: how long it still takes, estimated, with what it waits.
    STAYS       it ends by the deadline.
    MOVES_AWAY  it does not, and its client has nothing yet: it goes elsewhere at once, with the same reservation.
    CUT         it does not, and what the client has cannot be continued elsewhere: it is cut at the deadline, not
                before, as the estimate may be wrong and nobody else gets its place.
    """
    left_ms = deadline_ms - now_ms
    if left_ms > 0 and remaining_ms <= left_ms:
        return STAYS
    return CUT if begun else MOVES_AWAY


def moving_order(rank: int, came_ms: int) -> int:
    """Of those that move, the least goes first, as there may not be room for all: by rank of tier, then who came first.

    rank: 0 is the first tier. came_ms: 0 to CAME_MOST_MS - 1. [ms]
    """
    return rank * CAME_MOST_MS + came_ms
