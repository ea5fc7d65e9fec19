"""A replica that stops at once: what ran or waited on it is handed back, and nothing is left in its memory."""

from __future__ import annotations

from typing import Any

from ampacity.simulator.engine import FOREVER_PS, KV_BLOCKS
from ampacity.simulator.kv_tiers import end_loading, forget_all_below
from ampacity.simulator.lists import ABORTED, PLACE_MASK, append, take_first
from ampacity.simulator.prefix_cache import forget
from ampacity.simulator.reserve import begin_anew
from ampacity.simulator.rows import (
    ABORTS,
    BINS,
    BINS_AT,
    CLASSES,
    COMPUTED,
    CORRECTION,
    DECODES,
    DONE,
    ENDED,
    EQUALS,
    FLYING,
    FREE,
    GAIN,
    GROUP,
    HEAP_AT,
    HELD_BLOCKS,
    HELD_CACHED,
    HELD_SEQS,
    HOLDERS,
    IDLE,
    LANDING,
    LAST_ROUND,
    LINK_PS,
    LOADING,
    NOW_PS,
    NOW_TICKS,
    OLDEST,
    OUTPUT,
    OUTSTANDING,
    OUTSTANDING_TOKENS,
    PARTIAL,
    PHASE,
    PREEMPTED,
    REQUEST_FIELDS,
    RESTED_PS,
    ROUND,
    ROUND_PART,
    SEQS,
    SESSION_FIELDS,
    WAITING,
    WAKE_PS,
    B,
    K,
)
from ampacity.simulator.shared_prefix import part_now


def kill(row: Any, rules: Any, requests: Any, sessions: Any, now_ps: int) -> None:
    """Stop a replica that has been advanced to `now_ps`; it is empty and can serve again from then on.

    Its requests are collected like those that have ended, with FINISH_PS 0 and in DONE the tokens that came out of
    them; sent elsewhere as they are, they compute their prompt and those tokens again and go on. What the iteration in
    flight would have given is lost.
    """
    part_now(row, sessions)
    while row[OLDEST] > 0:
        forget(row, sessions, row[OLDEST])
    forget_all_below(row, sessions)
    while row[LOADING] > 0:
        hand_back(row, requests, sessions, end_loading(row, requests, sessions))
    lost = row[GAIN] if row[PHASE] == FLYING and row[DECODES] else 0
    for i in range(row[B]):
        place = row[HEAP_AT + i] & PLACE_MASK
        at = place * REQUEST_FIELDS
        requests[at + DONE] = requests[at + OUTPUT] - (requests[at + LAST_ROUND] - row[ROUND]) - lost
        hand_back(row, requests, sessions, place)
    if row[PARTIAL] > 0:
        hand_back(row, requests, sessions, row[PARTIAL])
    while row[LANDING] > 0:
        hand_back(row, requests, sessions, take_first(row, requests, LANDING))
    for c in range(CLASSES):
        while row[WAITING + 2 * c] > 0:
            hand_back(row, requests, sessions, take_first(row, requests, WAITING + 2 * c))
    for i in range(BINS):
        row[BINS_AT + i] = 0
    row[B] = 0
    row[K] = 0
    row[SEQS] = 0
    row[PARTIAL] = 0
    row[EQUALS] = 0
    row[CORRECTION] = 0
    row[HELD_BLOCKS] = 0
    row[HELD_SEQS] = 0
    row[HELD_CACHED] = 0
    row[OUTSTANDING] = 0
    row[ABORTS] = 0
    row[OUTSTANDING_TOKENS] = 0
    row[FREE] = rules[KV_BLOCKS]
    if row[PHASE] == IDLE:
        row[RESTED_PS] += now_ps - row[NOW_PS]
    row[PHASE] = IDLE
    row[NOW_PS] = now_ps
    row[NOW_TICKS] = 0
    row[ROUND_PART] = 0
    begin_anew(row, rules)
    row[LINK_PS] = 0
    row[WAKE_PS] = FOREVER_PS


def hand_back(row: Any, requests: Any, sessions: Any, place: int) -> None:
    """Let whoever sent a request collect it, unfinished."""
    at = place * REQUEST_FIELDS
    requests[at + COMPUTED] = 0
    requests[at + PREEMPTED] &= ~ABORTED
    sessions[requests[at + GROUP] * SESSION_FIELDS + HOLDERS] = 0
    append(row, requests, ENDED, place)
