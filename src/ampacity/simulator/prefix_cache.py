"""What remains in memory of a context when its request ends, and what the next one of its session finds of it.

Every session has one segment: whole blocks that no sequence uses, from the beginning of its context or, if it belongs
to a group, from the end of what the group shares. Segments stand in the order in which they were left; when other
blocks run out, the oldest loses blocks from its end. A request that is scheduled takes what it shares with its
session's segment; the rest of that segment is forgotten. A session's requests follow one another. Where a replica has
KV tiers below HBM, evicted blocks go there (`kv_tiers.py`), and the segment goes on there.
"""

from __future__ import annotations

from typing import Any

from ampacity.simulator.engine import IDLE_PS
from ampacity.simulator.kv_tiers import blocks_below, forget_below, sink, to_load
from ampacity.simulator.rows import (
    CACHED,
    FREE,
    HELD_CACHED,
    NEWER,
    NEWEST,
    OLDER,
    OLDEST,
    SEGMENT,
    SESSION_FIELDS,
    SINCE_PS,
    TIER_COUNT,
)


def leave(row: Any, sessions: Any, session: int, blocks: int, now_ps: int) -> None:
    """Leave so many free blocks as the segment of a session or group, in the order of time."""
    if session == 0:
        return
    forget(row, sessions, session)
    if blocks <= 0:
        return
    older = row[NEWEST]
    newer = 0
    while older > 0 and sessions[older * SESSION_FIELDS + SINCE_PS] > now_ps:  # scheduling runs ahead of who ends
        newer = older
        older = sessions[older * SESSION_FIELDS + OLDER]
    s = session * SESSION_FIELDS
    sessions[s + SEGMENT] = blocks
    sessions[s + SINCE_PS] = now_ps
    link(row, sessions, older, session)
    link(row, sessions, session, newer)
    row[CACHED] += blocks


def take(row: Any, rules: Any, sessions: Any, session: int, most: int, now_ps: int) -> int:
    """Blocks, at most `most`, that the segment holds at this instant; they are the caller's from now on.

    What is left only later than `now_ps` is not found. What lies below HBM is loaded: always, as vLLM does.
    """
    s = session * SESSION_FIELDS
    if session == 0 or sessions[s + SINCE_PS] > now_ps:
        return 0
    if sessions[s + SEGMENT] == 0 and (row[TIER_COUNT] == 0 or blocks_below(sessions, session, row[TIER_COUNT]) == 0):
        return 0
    most = max(most, 0) if now_ps - sessions[s + SINCE_PS] <= rules[IDLE_PS] else 0
    found: int = min(sessions[s + SEGMENT], most)
    if row[TIER_COUNT] > 0:
        found += to_load(row, rules, sessions, session, most - found)
    forget(row, sessions, session)
    row[FREE] -= found
    return found


def forget(row: Any, sessions: Any, session: int) -> None:
    """Take a segment out of the order; its blocks are free and empty, and nothing of it lies below."""
    if row[TIER_COUNT] > 0:
        forget_below(row, sessions, session)
    s = session * SESSION_FIELDS
    if sessions[s + SEGMENT] > 0:
        lose_blocks(row, sessions, session, sessions[s + SEGMENT])


def lose_blocks(row: Any, sessions: Any, session: int, blocks: int) -> None:
    """Take the last blocks of a segment from it; without any it has no place in the order."""
    s = session * SESSION_FIELDS
    row[CACHED] -= blocks
    sessions[s + SEGMENT] -= blocks
    if sessions[s + SEGMENT] == 0:
        link(row, sessions, sessions[s + OLDER], sessions[s + NEWER])


def link(row: Any, sessions: Any, older: int, newer: int) -> None:
    """Let one segment stand right before another in the order; 0 is its end."""
    if older > 0:
        sessions[older * SESSION_FIELDS + NEWER] = newer
    else:
        row[OLDEST] = newer
    if newer > 0:
        sessions[newer * SESSION_FIELDS + OLDER] = older
    else:
        row[NEWEST] = older


def evict(row: Any, sessions: Any) -> None:
    """Take from the oldest segments what the free blocks do not hold any more. Whoever takes blocks calls this."""
    while row[CACHED] - row[HELD_CACHED] > row[FREE]:
        session = row[OLDEST]
        blocks = min(sessions[session * SESSION_FIELDS + SEGMENT], row[CACHED] - row[HELD_CACHED] - row[FREE])
        lose_blocks(row, sessions, session, blocks)
        if row[TIER_COUNT] > 0:
            sink(row, sessions, session, blocks)
