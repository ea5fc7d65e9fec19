"""The beginning of a prompt that sessions of a group have in common: in memory once, for as long as anybody uses it.

The first sequence that uses it pays for its blocks, the last one leaves them as the group's segment. While one computes
them nobody else is admitted, so whoever finds a holder finds all of them.
"""

from __future__ import annotations

from typing import Any

from ampacity.inference.replica import KV_BLOCK_TOKENS
from ampacity.simulator.engine import block_count
from ampacity.simulator.prefix_cache import forget, leave, take
from ampacity.simulator.rows import (
    GROUP,
    HELD_BLOCKS,
    HELD_CACHED,
    HOLDERS,
    LENGTH,
    REQUEST_FIELDS,
    SEGMENT,
    SESSION,
    SESSION_FIELDS,
    SINCE_PS,
)


def tokens_found(
    row: Any, rules: Any, requests: Any, sessions: Any, place: int, most: int, known_ps: int
) -> int:
    """Tokens that a request finds of its group's and its session's context, in whole blocks; they are its own now.

    most: tokens that its session can have had.
    """
    at = place * REQUEST_FIELDS
    session, group = requests[at + SESSION], requests[at + GROUP]
    own_most = most // KV_BLOCK_TOKENS
    if group == 0:
        return take(row, rules, sessions, session, own_most, known_ps) * KV_BLOCK_TOKENS
    length = sessions[group * SESSION_FIELDS + LENGTH]
    shared = join(row, rules, sessions, group, known_ps)
    own = take(row, rules, sessions, session, own_most - length if shared == length else 0, known_ps)
    return (shared + own) * KV_BLOCK_TOKENS


def join(row: Any, rules: Any, sessions: Any, group: int, known_ps: int) -> int:
    """Become a holder of a group's blocks; returns how many of them there are."""
    s = group * SESSION_FIELDS
    sessions[s + HOLDERS] += 1
    if sessions[s + HOLDERS] > 1:
        there: int = sessions[s + LENGTH]
        return there
    if is_held(sessions, group, known_ps):
        there = sessions[s + SEGMENT]
        row[HELD_BLOCKS] -= there
        row[HELD_CACHED] -= there
        forget(row, sessions, group)
        return there
    return take(row, rules, sessions, group, sessions[s + LENGTH], known_ps)


def is_held(sessions: Any, group: int, known_ps: int) -> bool:
    """Whether the last holder has ended in an iteration of which scheduling does not know yet that it is over."""
    s = group * SESSION_FIELDS
    return bool(sessions[s + SEGMENT] > 0 and sessions[s + SINCE_PS] > known_ps)


def blocks_there(sessions: Any, group: int, known_ps: int) -> int:
    """Blocks that a request of the group would share with others, so that it needs none for them."""
    if group > 0 and (sessions[group * SESSION_FIELDS + HOLDERS] > 0 or is_held(sessions, group, known_ps)):
        there: int = sessions[group * SESSION_FIELDS + LENGTH]
        return there
    return 0


def part(row: Any, requests: Any, sessions: Any, place: int, tokens: int, now_ps: int) -> int:
    """Leave what a request has in memory, its own blocks before the shared ones; returns the blocks that get free."""
    at = place * REQUEST_FIELDS
    session, group = requests[at + SESSION], requests[at + GROUP]
    if group == 0:
        leave(row, sessions, session, tokens // KV_BLOCK_TOKENS, now_ps)
        return block_count(tokens)
    s = group * SESSION_FIELDS
    length = sessions[s + LENGTH]
    leave(row, sessions, session, tokens // KV_BLOCK_TOKENS - length, now_ps)
    sessions[s + HOLDERS] -= 1
    if sessions[s + HOLDERS] > 0:
        return block_count(tokens) - length
    leave(row, sessions, group, min(tokens // KV_BLOCK_TOKENS, length), now_ps)
    return block_count(tokens)
