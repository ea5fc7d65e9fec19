"""Memory that admission keeps free for output to come, and who is tried for admission, as in SGLang.

A share of what those who decode may still have is kept free. It falls by the same with every decoding iteration down
to its least, so it is known from how many of them there were; when somebody gives way it is reckoned anew, in whole
RESERVE_UNITs, rounded down. Once somebody is refused nobody is tried until somebody has gone, so between two such
changes nothing depends on the share, and equal iterations can be solved for.
"""

from __future__ import annotations

from typing import Any

from ampacity.inference.replica import KV_BLOCK_TOKENS
from ampacity.simulator.engine import (
    GAIN_OVER,
    GAIN_UNDER,
    RESERVE_AHEAD,
    RESERVE_ASKED,
    RESERVE_FALL,
    RESERVE_FIRST,
    RESERVE_LEAST,
    RESERVE_MOST,
    RESERVE_UNIT,
)
from ampacity.simulator.lists import PLACE_BITS, PLACE_MASK
from ampacity.simulator.rows import (
    DONE,
    FREE,
    FULL,
    GAIN,
    GONE_AT,
    HEAP_AT,
    INPUT,
    LANDING,
    NEXT,
    NOBODY_GONE,
    OUTPUT,
    REQUEST_FIELDS,
    ROUND,
    ROUND_PART,
    SHARE,
    SHARE_AT,
    SHARE_PART,
    STEADY,
    B,
)


def share_now(row: Any, rules: Any) -> int:
    """The share of the output to come that is kept free. [RESERVE_UNITs]"""
    decodings = min(decodings_since(row, rules), rules[RESERVE_UNIT])
    if decodings <= 0:
        reckoned: int = row[SHARE]
        return reckoned
    share: int = max(row[SHARE] - decodings * rules[RESERVE_FALL], rules[RESERVE_LEAST])
    return share


def decodings_since(row: Any, rules: Any) -> int:
    """Decoding iterations since the share was reckoned, from the rounds that they gave.

    A circle of GAIN_UNDER iterations gives GAIN_OVER rounds, and its first n give n x GAIN_OVER // GAIN_UNDER of them.
    -1: the one for which it was reckoned has yet to begin.
    """
    over = rules[GAIN_OVER]
    under = rules[GAIN_UNDER]
    within = row[ROUND_PART] * over // under - row[SHARE_PART] * over // under
    circles = (row[ROUND] - row[SHARE_AT] - within) // over
    decodings: int = circles * under + row[ROUND_PART] - row[SHARE_PART]
    return decodings


def begin_anew(row: Any, rules: Any) -> None:
    """Keep the first share free again: nothing runs, or nothing has run yet."""
    row[SHARE] = rules[RESERVE_FIRST]
    row[SHARE_AT] = row[ROUND]
    row[SHARE_PART] = row[ROUND_PART]
    row[FULL] = 0
    row[GONE_AT] = NOBODY_GONE


def let_go(row: Any) -> None:
    """An iteration is to be composed: nobody is held up if nobody decodes, or has not since somebody had gone."""
    if row[B] == 0 or (row[GONE_AT] != NOBODY_GONE and row[GONE_AT] != row[ROUND]):
        row[FULL] = 0
        row[GONE_AT] = NOBODY_GONE


def reckon(row: Any, rules: Any, requests: Any, gave_way: bool) -> None:
    """Decoding is composed: whoever has ended counts as gone, and where somebody gave way the share is reckoned anew.

    From how far those have come who stay.
    """
    if row[GONE_AT] != NOBODY_GONE:
        row[GONE_AT] = NOBODY_GONE
        if row[FULL]:
            row[FULL] = 0
            row[STEADY] = 0
    if not gave_way:
        return
    came = rules[RESERVE_AHEAD] * row[B]
    may_come = 1
    for i in range(row[B]):
        at = (row[HEAP_AT + i] & PLACE_MASK) * REQUEST_FIELDS
        came += requests[at + OUTPUT] - ((row[HEAP_AT + i] >> PLACE_BITS) - row[ROUND])
        may_come += max(requests[at + OUTPUT], rules[RESERVE_ASKED])
    row[SHARE] = min(came * rules[RESERVE_UNIT] // may_come, rules[RESERVE_UNIT])
    decodes = row[B] > 0
    row[SHARE_AT] = row[ROUND] + decodes * row[GAIN]
    row[SHARE_PART] = (row[ROUND_PART] + decodes) % rules[GAIN_UNDER]


def has_room_beside(row: Any, rules: Any, requests: Any, place: int, shared_blocks: int) -> bool:
    """Whether prompt and output to come of a request fit beside what is kept free for all who run.

    shared_blocks: of its prompt, those that others hold. Kept free is the share for those who decode, and for those
    whose prompt this iteration completes all that they may have and a block.
    """
    at = place * REQUEST_FIELDS
    tokens = requests[at + INPUT] + requests[at + DONE] + to_come(rules, requests, place, requests[at + DONE])
    tokens += (1 - shared_blocks) * KV_BLOCK_TOKENS
    landing = row[LANDING]
    while landing > 0:
        done = requests[landing * REQUEST_FIELDS + DONE]
        tokens += KV_BLOCK_TOKENS + to_come(rules, requests, landing, done)
        landing = requests[landing * REQUEST_FIELDS + NEXT]
    decoding = 0
    for i in range(row[B]):
        one = row[HEAP_AT + i] & PLACE_MASK
        left = (row[HEAP_AT + i] >> PLACE_BITS) - row[ROUND]
        decoding += to_come(rules, requests, one, requests[one * REQUEST_FIELDS + OUTPUT] - left)
    kept = decoding * share_now(row, rules)
    return bool(kept < (row[FREE] * KV_BLOCK_TOKENS - tokens) * rules[RESERVE_UNIT])


def to_come(rules: Any, requests: Any, place: int, came: int) -> int:
    """Tokens of output that a request may still have after so many, as far as they are counted."""
    may_come = max(requests[place * REQUEST_FIELDS + OUTPUT], rules[RESERVE_ASKED])
    counted: int = min(may_come - came, rules[RESERVE_MOST])
    return counted
