"""The beginning of a prompt that sessions of a group have in common: in memory once, for as long as anybody uses it.

The first sequence that uses it pays for its blocks, the last one leaves them as the group's segment. While one computes
them nobody else is admitted, and while one loads them nobody of the group, so whoever finds a holder finds all of them.
"""

from __future__ import annotations

from typing import Any

from ampacity.inference.replica import KV_BLOCK_TOKENS
from ampacity.simulator.engine import block_count
from ampacity.simulator.kv_tiers import sunk_at
from ampacity.simulator.prefix_cache import leave, take
from ampacity.simulator.rows import (
    FREE,
    GROUP,
    GROUP_LOADS,
    HOLDERS,
    LENGTH,
    LOAD_PS,
    NEWER,
    PARTED,
    PARTED_LAST,
    PARTING,
    REQUEST_FIELDS,
    SESSION,
    SESSION_FIELDS,
    SINCE_PS,
    TIER_COUNT,
)


def tokens_found(row: Any, rules: Any, requests: Any, sessions: Any, place: int, most: int, known_ps: int) -> int:
    """Tokens that a request finds of its group's and its session's context, in whole blocks; they are its own now.

    most: tokens that its session can have had.
    """
    at = place * REQUEST_FIELDS
    session, group = requests[at + SESSION], requests[at + GROUP]
    own_most = most // KV_BLOCK_TOKENS
    if group == 0:
        found: int = take(row, rules, sessions, session, own_most, known_ps)
        return found * KV_BLOCK_TOKENS
    length = sessions[group * SESSION_FIELDS + LENGTH]
    shared = join(row, rules, sessions, group, known_ps)
    incomplete = shared < length or row[LOAD_PS] > 0
    own = take(row, rules, sessions, session, own_most - length if shared == length else 0, known_ps)
    if row[TIER_COUNT] > 0:
        sessions[sunk_at(sessions, group, 0) + GROUP_LOADS] = incomplete and row[LOAD_PS] > 0
    return (shared + own) * KV_BLOCK_TOKENS


def join(row: Any, rules: Any, sessions: Any, group: int, known_ps: int) -> int:
    """Become a holder of a group's blocks; returns how many of them there are."""
    s = group * SESSION_FIELDS
    sessions[s + HOLDERS] += 1
    if sessions[s + HOLDERS] > 1:
        there: int = sessions[s + LENGTH]
        return there
    return take(row, rules, sessions, group, sessions[s + LENGTH], known_ps)


def blocks_there(sessions: Any, group: int) -> int:
    """Blocks that a request of the group would share with others, so that it needs none for them."""
    s = group * SESSION_FIELDS
    there: int = sessions[s + LENGTH] if group > 0 and sessions[s + HOLDERS] > 0 else 0
    return there


def part(row: Any, requests: Any, sessions: Any, place: int, tokens: int, now_ps: int) -> int:
    """Leave what a request has in memory, its own blocks before the shared ones; returns the blocks that get free."""
    at = place * REQUEST_FIELDS
    group = requests[at + GROUP]
    own: int = leave_own(row, requests, sessions, place, tokens, now_ps)
    if group == 0:
        return own
    s = group * SESSION_FIELDS
    sessions[s + HOLDERS] -= 1
    if sessions[s + HOLDERS] > 0:
        return own
    shared: int = min(block_count(tokens), sessions[s + LENGTH])
    leave(row, sessions, group, min(tokens // KV_BLOCK_TOKENS, shared), now_ps)
    return own + shared


def leave_own(row: Any, requests: Any, sessions: Any, place: int, tokens: int, now_ps: int) -> int:
    """Leave the blocks that a request shares with nobody; returns how many get free."""
    at = place * REQUEST_FIELDS
    shared = sessions[requests[at + GROUP] * SESSION_FIELDS + LENGTH]
    leave(row, sessions, requests[at + SESSION], tokens // KV_BLOCK_TOKENS - shared, now_ps)
    own: int = max(block_count(tokens) - shared, 0)
    return own


def part_later(row: Any, sessions: Any, group: int, now_ps: int) -> None:
    """A holder has ended: note it until scheduling learns of it."""
    if group == 0:
        return
    s = group * SESSION_FIELDS
    if sessions[s + PARTING] == 0:
        sessions[s + NEWER] = 0
        if row[PARTED] == 0:
            row[PARTED] = group
        else:
            sessions[row[PARTED_LAST] * SESSION_FIELDS + NEWER] = group
        row[PARTED_LAST] = group
    sessions[s + PARTING] += 1
    sessions[s + SINCE_PS] = now_ps


def part_now(row: Any, sessions: Any) -> None:
    """Scheduling learns of the holders that have ended; who was the last leaves the group's blocks as its segment."""
    while row[PARTED] > 0:
        group = row[PARTED]
        s = group * SESSION_FIELDS
        row[PARTED] = sessions[s + NEWER]
        sessions[s + HOLDERS] -= sessions[s + PARTING]
        sessions[s + PARTING] = 0
        if sessions[s + HOLDERS] == 0:
            row[FREE] += sessions[s + LENGTH]
            leave(row, sessions, group, sessions[s + LENGTH], sessions[s + SINCE_PS])
