"""The layout of what the kernels write: one row of whole numbers a replica, one a request, one a session.

A row is int64 throughout and lies in one piece, because reading memory is what a simulated request costs. A request or
a session is named by its place, the number of its row; place 0 is nobody. Fresh rows are zeros, but for a replica's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ampacity.simulator.engine import (
    FOREVER_PS,
    KV_BLOCKS,
    KV_TIERS_MOST,
    MAX_SEQS,
    RESERVE_FIRST,
    TIER_BLOCKS,
    TIERS,
    Engine,
)

Ints = NDArray[np.int64]

BINS = 16
BIN_MASK = BINS - 1
"""Contexts modulo a block (KV_BLOCK_TOKENS), a power of two."""

# what a replica does: it has nothing to run, an iteration has just ended, an iteration is in flight
IDLE, READY, FLYING = range(3)

# of a replica
(
    PHASE,
    NOW_PS,  # when the last iteration ended, or the one in flight ends
    NOW_TICKS,  # and the part of a picosecond beyond it [1 / 16,384 ps]
    START_PS,  # when that iteration began
    TICKS_LAST,  # how long it takes
    FLIGHT_B,  # its decoding sequences
    FLIGHT_P,  # its prompt tokens
    EQUALS,  # so many iterations after it are like it but for a longer context
    SLOPE,  # by which each of them takes longer than the one before [1 / 16,384 ps]
    DECODES,  # whether its decoding sequences get a token
    LOADED_PS,  # when the first of those who load has what it loads; FOREVER_PS if nobody does
    WAKE_PS,  # while nothing runs: when there may be something to begin
    LOAD_PS,  # what loading takes for the request that is being admitted
    TIER_COUNT,
    ROUND,  # tokens that came out of a sequence that decoded from the beginning: iterations, without guesses
    GAIN,  # tokens that come out of every sequence in the iteration in flight
    ROUND_PART,  # iterations since the gain came full circle
    B,  # decoding sequences
    K,  # their context in the next decoding iteration
    SEQS,  # sequences that hold a place among max_seqs
    FREE,  # blocks of no sequence
    HELD_BLOCKS,  # of sequences that ended, given back only after the next iteration is composed
    HELD_SEQS,
    STEADY,  # whether nobody can be admitted before somebody ends or comes
    FULL,  # whether somebody was refused beside a reserve, so that nobody is tried until somebody has gone
    PARTIAL,  # the request whose prompt is partly computed
    LANDING,  # first of a list: requests whose prompt the iteration in flight completes
    LANDING_LAST,
    ENDING,  # first of a list: sequences that have their last token with the iteration that ends
    ENDING_LAST,
    ENDED,  # first of a list: requests that have ended and that nobody has collected
    ENDED_LAST,
    ADMISSIONS,
    OUTSTANDING,  # requests that came and have not ended
    OUTSTANDING_TOKENS,  # prompt tokens that are still to be computed for them, if what may be cached is found
    CORRECTION,  # by which these change when the iteration in flight ends, beside what it computes
    CACHED,  # of the free blocks, those with a prefix in them
    HELD_CACHED,
    PARTED,  # first of a list: groups of which a holder has just ended
    PARTED_LAST,
    OLDEST,  # session whose prefix is evicted next
    NEWEST,
    STEPPED,  # iterations that were composed one by one
    JUMPED,  # iterations that were not
    SHARE,  # of the output to come for which admission kept blocks free
    SHARE_AT,  # in which ROUND
    SHARE_PART,  # and ROUND_PART: with each decoding iteration later it falls
    GONE_AT,  # the ROUND in which scheduling learned of one that ended; NOBODY_GONE once decoding was composed after it
    ABORTS,  # requests that were taken back and have not gone yet
    PREEMPTIONS,
    PROMPT_TOKENS,  # computed, of all iterations begun
    HIT_TOKENS,  # not computed, because a prefix was found
    RESTED_PS,  # time in which nothing ran, up to the iteration that is in flight or ended last
    LOADING,  # first of a list: requests that load blocks from a tier below, in the order in which they have them
    LOADING_LAST,
    LINK_PS,  # until when their loads take the link
    HIT_BELOW,  # of the tokens not computed, those loaded from the first tier below
    HIT_FURTHER,  # and from the second
    BELOW,  # of each tier TIER_STATE fields
    BINS_AT,
) = (*range(59), 58 + 6)
NOBODY_GONE = -1
# of a tier on a replica
TIER_FREE, TIER_OLDEST, TIER_NEWEST, TIER_STATE = range(4)
CLASSES = 4
WAITING = BINS_AT + BINS
"""Requests that wait for admission: a list of each priority class, first and last, side by side; the best first."""
HEAP_AT = WAITING + 2 * CLASSES
"""Decoding sequences by the round of their last token: a heap of `B` keys, the round above, the place below.

A round is a token of a sequence: rounds and iterations are the same thing as long as nothing is guessed ahead."""

# of a request
(
    ARRIVAL_PS,
    INPUT,
    CACHEABLE,  # tokens of its prompt, from the beginning, that an earlier request of its session had
    OUTPUT,
    SESSION,
    GROUP,  # of sessions that share the beginning of their prompts; 0: of none
    CLASS,  # of priority, 0 to 3; 0 goes first and gives way last
    FIRST_PS,  # of its first token; 0 before
    FINISH_PS,  # of its last token; 0 before
    DONE,  # tokens it had when its prompt was last begun: 0, or more after a preemption
    COMPUTED,  # tokens of its prompt in memory, hits counted; before it is admitted, those that it brings along
    HITS,  # tokens that it did not have to compute, over all its admissions
    LAST_ROUND,  # once it decodes; before, while it loads, READY_PS
    ADMISSION,
    PREEMPTED,  # how often; with the bit ABORTED while it has been taken back
    NEXT,  # the request behind it in the list where it is
    REQUEST_FIELDS,
) = range(17)

READY_PS = LAST_ROUND
"""When a request has what it loads."""

# of a session, and of a group of sessions
(
    SEGMENT,  # blocks that lie in the cache and that no sequence uses
    SINCE_PS,  # since when
    OLDER,
    NEWER,
    LENGTH,  # of a group: blocks that its prompts share
    HOLDERS,  # of a group: sequences that use them
    PARTING,  # of a group: holders that have ended without scheduling knowing
    SESSION_FIELDS,
) = (0, 1, 2, 3, 4, 5, 6, 8)

# of a session or group in a tier
(
    SUNK,  # blocks that lie there, right behind those of its segment in the tier above
    SUNK_OLDER,
    SUNK_NEWER,
    GROUP_LOADS,  # of a group, in its first tier: whether its only holder loads what the group shares
    SUNK_FIELDS,
) = range(5)


def fresh_replicas(engine: Engine, count: int) -> Ints:
    """Rows of replicas on which nothing has run; shape (count, fields)."""
    rules = engine.rules()
    rows = np.zeros((count, HEAP_AT + int(rules[MAX_SEQS])), np.int64)
    rows[:, FREE] = rules[KV_BLOCKS]
    rows[:, [LOADED_PS, WAKE_PS]] = FOREVER_PS
    rows[:, TIER_COUNT] = rules[TIERS]
    rows[:, SHARE] = rules[RESERVE_FIRST]
    rows[:, GONE_AT] = NOBODY_GONE
    for tier in range(KV_TIERS_MOST):
        rows[:, BELOW + tier * TIER_STATE + TIER_FREE] = rules[TIER_BLOCKS + tier]
    return rows


def fresh_requests(count: int) -> Ints:
    """Rows of `count` requests, places 1 to count, and of nobody; one flat array."""
    return np.zeros((count + 1) * REQUEST_FIELDS, np.int64)


def fresh_sessions(count: int, tiered: bool = False) -> Ints:
    """Rows of `count` sessions and groups as one replica knows them, places 1 to count, and of nobody; a flat array.

    tiered: the replica has KV tiers below HBM. Behind all rows stands then what lies of each session in each tier.
    """
    below = KV_TIERS_MOST * SUNK_FIELDS if tiered else 0
    return np.zeros((count + 1) * (SESSION_FIELDS + below), np.int64)
