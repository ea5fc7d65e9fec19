"""Blocks that the prefix cache evicts and that do not vanish: they sink into host memory, from there into a store.

A segment loses blocks from its end, so what lies of a session in a tier comes right behind what lies of it in the tier
above. In a tier, sessions stand in the order in which their first block came down; the oldest loses blocks from its end
to the next tier, and the last tier forgets. Writing down costs the engine no time. Loading does: a request has the
blocks in HBM from the instant at which it is scheduled, and waits until they are full, on one link a replica, one
request after the other.
"""

from __future__ import annotations

from typing import Any

from ampacity.inference.replica import KV_BLOCK_TOKENS
from ampacity.simulator.engine import FOREVER_PS, KV_TIERS_MOST, TIER_LOAD_PS
from ampacity.simulator.lists import append, take_first
from ampacity.simulator.rows import (
    BELOW,
    GROUP,
    GROUP_LOADS,
    HIT_BELOW,
    LINK_PS,
    LOAD_PS,
    LOADED_PS,
    LOADING,
    READY_PS,
    REQUEST_FIELDS,
    SUNK,
    SUNK_FIELDS,
    SUNK_NEWER,
    SUNK_OLDER,
    TIER_COUNT,
    TIER_FREE,
    TIER_NEWEST,
    TIER_OLDEST,
    TIER_STATE,
)


def sunk_at(sessions: Any, session: int, tier: int) -> int:
    """Where the row of a session in a tier begins: behind the rows of all sessions, which are as long."""
    at: int = len(sessions) // 2 + (session * KV_TIERS_MOST + tier) * SUNK_FIELDS
    return at


def blocks_below(sessions: Any, session: int, tiers: int) -> int:
    """Blocks of a session or group in all tiers below HBM."""
    blocks = 0
    for tier in range(tiers):
        blocks += sessions[sunk_at(sessions, session, tier) + SUNK]
    return blocks


def sink(row: Any, sessions: Any, session: int, blocks: int) -> None:
    """Let blocks that HBM evicts, the last of a session there, come down; what a tier has no room for sinks further."""
    lay(row, sessions, 0, session, blocks)
    while row[BELOW + TIER_FREE] < 0:
        oldest = row[BELOW + TIER_OLDEST]
        lost = lift(row, sessions, 0, oldest, -row[BELOW + TIER_FREE])
        if row[TIER_COUNT] > 1:
            lay(row, sessions, 1, oldest, lost)
            while row[BELOW + TIER_STATE + TIER_FREE] < 0:
                last = row[BELOW + TIER_STATE + TIER_OLDEST]
                lift(row, sessions, 1, last, -row[BELOW + TIER_STATE + TIER_FREE])


def lay(row: Any, sessions: Any, tier: int, session: int, blocks: int) -> None:
    """Put blocks into a tier, whether it has room or not."""
    at = sunk_at(sessions, session, tier)
    t = BELOW + tier * TIER_STATE
    if sessions[at + SUNK] == 0:
        link_below(row, sessions, tier, row[t + TIER_NEWEST], session)
        link_below(row, sessions, tier, session, 0)
    sessions[at + SUNK] += blocks
    row[t + TIER_FREE] -= blocks


def lift(row: Any, sessions: Any, tier: int, session: int, most: int) -> int:
    """Take the last blocks of a session, at most `most`, out of a tier; returns how many."""
    at = sunk_at(sessions, session, tier)
    blocks: int = min(sessions[at + SUNK], most)
    if blocks == 0:
        return 0
    sessions[at + SUNK] -= blocks
    row[BELOW + tier * TIER_STATE + TIER_FREE] += blocks
    if sessions[at + SUNK] == 0:
        link_below(row, sessions, tier, sessions[at + SUNK_OLDER], sessions[at + SUNK_NEWER])
    return blocks


def link_below(row: Any, sessions: Any, tier: int, older: int, newer: int) -> None:
    """Let one session stand right before another in the order of a tier; 0 is its end."""
    t = BELOW + tier * TIER_STATE
    if older > 0:
        sessions[sunk_at(sessions, older, tier) + SUNK_NEWER] = newer
    else:
        row[t + TIER_OLDEST] = newer
    if newer > 0:
        sessions[sunk_at(sessions, newer, tier) + SUNK_OLDER] = older
    else:
        row[t + TIER_NEWEST] = older


def forget_below(row: Any, sessions: Any, session: int) -> None:
    """Take all of a session out of the tiers."""
    for tier in range(row[TIER_COUNT]):
        lift(row, sessions, tier, session, FOREVER_PS)


def forget_all_below(row: Any, sessions: Any) -> None:
    """Empty the tiers."""
    for tier in range(row[TIER_COUNT]):
        while row[BELOW + tier * TIER_STATE + TIER_OLDEST] > 0:
            lift(row, sessions, tier, row[BELOW + tier * TIER_STATE + TIER_OLDEST], FOREVER_PS)


def to_load(row: Any, rules: Any, sessions: Any, session: int, most: int) -> int:
    """Blocks of a session, at most `most`, that the request being admitted loads; notes in the row what that takes."""
    found = 0
    for tier in range(row[TIER_COUNT]):
        blocks = min(sessions[sunk_at(sessions, session, tier) + SUNK], most - found)
        row[LOAD_PS] += blocks * rules[TIER_LOAD_PS + tier]
        row[HIT_BELOW + tier] += blocks * KV_BLOCK_TOKENS
        found += blocks
    return found


def begin_loading(row: Any, requests: Any, place: int, now_ps: int) -> None:
    """Let the request that is being admitted load, as soon as the link is free of earlier loads."""
    row[LINK_PS] = max(row[LINK_PS], now_ps) + row[LOAD_PS]
    requests[place * REQUEST_FIELDS + READY_PS] = row[LINK_PS]
    append(row, requests, LOADING, place)
    row[LOADED_PS] = requests[row[LOADING] * REQUEST_FIELDS + READY_PS]


def end_loading(row: Any, requests: Any, sessions: Any) -> int:
    """Take the first of those who load out of their list: it has what it loads."""
    place = take_first(row, requests, LOADING)
    no_longer_loads(row, requests, sessions, place)
    return place


def no_longer_loads(row: Any, requests: Any, sessions: Any, place: int) -> None:
    """Note that a request has left the list of those who load."""
    group = requests[place * REQUEST_FIELDS + GROUP]
    if group > 0:
        sessions[sunk_at(sessions, group, 0) + GROUP_LOADS] = 0
    first = row[LOADING]
    row[LOADED_PS] = requests[first * REQUEST_FIELDS + READY_PS] if first > 0 else FOREVER_PS


def group_loads(row: Any, sessions: Any, group: int) -> bool:
    """Whether what a group shares is only being loaded, so that nobody can join it yet."""
    if group == 0 or row[LOADED_PS] == FOREVER_PS:
        return False
    return bool(sessions[sunk_at(sessions, group, 0) + GROUP_LOADS] > 0)
