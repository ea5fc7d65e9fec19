"""Requests that somebody takes back: they go when the iteration in flight has ended, unless they end with it.

Scheduling that runs ahead has composed the next iteration by then; it runs as it was composed, and nobody gets that
token. What the request had in memory stays behind like that of one who ends.
"""

from __future__ import annotations

from typing import Any

from ampacity.simulator.engine import LAG, PREFIX_CACHE, block_count
from ampacity.simulator.kv_tiers import no_longer_loads
from ampacity.simulator.lists import ABORTED, PLACE_MASK, append, heap_take, unlink
from ampacity.simulator.rows import (
    ABORTS,
    ADMISSION,
    BIN_MASK,
    BINS_AT,
    CACHEABLE,
    CLASSES,
    COMPUTED,
    DECODES,
    DONE,
    ENDED,
    EQUALS,
    FLYING,
    FREE,
    GAIN,
    GONE_AT,
    HEAP_AT,
    IDLE,
    INPUT,
    LANDING,
    LAST_ROUND,
    LOADING,
    NEXT,
    OUTPUT,
    OUTSTANDING,
    OUTSTANDING_TOKENS,
    PARTIAL,
    PHASE,
    PREEMPTED,
    REQUEST_FIELDS,
    ROUND,
    SEQS,
    STEADY,
    WAITING,
    WAKE_PS,
    B,
    K,
)
from ampacity.simulator.shared_prefix import part


def abort(row: Any, rules: Any, requests: Any, sessions: Any, place: int, now_ps: int) -> None:
    """Take back a request that was sent and has not ended; the row has been advanced to `now_ps`.

    It is collected like those that have ended, with FINISH_PS 0; if it ends before, as if nothing had happened.
    """
    at = place * REQUEST_FIELDS
    if requests[at + PREEMPTED] & ABORTED:
        return
    requests[at + PREEMPTED] |= ABORTED
    row[ABORTS] += 1
    row[EQUALS] = 0
    row[STEADY] = 0
    if row[PHASE] == IDLE or (row[PHASE] != FLYING and not rules[LAG]):
        carry_out(row, rules, requests, sessions, now_ps)


def carry_out(row: Any, rules: Any, requests: Any, sessions: Any, now_ps: int) -> None:
    """Let all go that were taken back: those who wait, those who load, then the others in the order of admission."""
    for c in range(CLASSES):
        place = row[WAITING + 2 * c]
        while place > 0:
            after = requests[place * REQUEST_FIELDS + NEXT]
            if requests[place * REQUEST_FIELDS + PREEMPTED] & ABORTED:
                unlink(row, requests, WAITING + 2 * c, place)
                at = place * REQUEST_FIELDS
                row[OUTSTANDING_TOKENS] -= requests[at + INPUT] + requests[at + DONE] - requests[at + CACHEABLE]
                gone(row, requests, place)
            place = after
    place = row[LOADING]
    while place > 0:
        after = requests[place * REQUEST_FIELDS + NEXT]
        if requests[place * REQUEST_FIELDS + PREEMPTED] & ABORTED:
            stop_loading(row, requests, sessions, place, now_ps)
        place = after
    while row[ABORTS] > 0:
        stop(row, rules, requests, sessions, first_admitted(row, requests), now_ps)
    row[EQUALS] = 0
    row[STEADY] = 0
    if row[OUTSTANDING] > 0:
        row[WAKE_PS] = min(row[WAKE_PS], now_ps)


def stop_loading(row: Any, requests: Any, sessions: Any, place: int, now_ps: int) -> None:
    """Let a request go that loads. What it loads comes all the same, and stays behind as if it had come."""
    at = place * REQUEST_FIELDS
    unlink(row, requests, LOADING, place)
    no_longer_loads(row, requests, sessions, place)
    row[OUTSTANDING_TOKENS] -= requests[at + INPUT] + requests[at + DONE] - requests[at + COMPUTED]
    row[SEQS] -= 1
    row[GONE_AT] = row[ROUND]
    row[FREE] += part(row, requests, sessions, place, requests[at + COMPUTED], now_ps)
    gone(row, requests, place)


def first_admitted(row: Any, requests: Any) -> int:
    """Of the running requests that were taken back the one admitted first."""
    found = 0
    if row[PARTIAL] > 0:
        found = earlier(requests, row[PARTIAL], found)
    place = row[LANDING]
    while place > 0:
        found = earlier(requests, place, found)
        place = requests[place * REQUEST_FIELDS + NEXT]
    for i in range(row[B]):
        found = earlier(requests, row[HEAP_AT + i] & PLACE_MASK, found)
    return found


def earlier(requests: Any, place: int, found: int) -> int:
    """`place`, if it was taken back and admitted before `found`; else that."""
    at = place * REQUEST_FIELDS
    if not requests[at + PREEMPTED] & ABORTED:
        return found
    if found > 0 and requests[at + ADMISSION] > requests[found * REQUEST_FIELDS + ADMISSION]:
        return found
    return place


def stop(row: Any, rules: Any, requests: Any, sessions: Any, place: int, now_ps: int) -> None:
    """Take a running request out of its place and free its blocks."""
    at = place * REQUEST_FIELDS
    tokens = requests[at + COMPUTED]
    beyond = 0
    if place == row[PARTIAL]:
        row[PARTIAL] = 0
        row[OUTSTANDING_TOKENS] -= requests[at + INPUT] + requests[at + DONE] - tokens
    elif not unlink(row, requests, LANDING, place):
        i = 0
        while row[HEAP_AT + i] & PLACE_MASK != place:
            i += 1
        heap_take(row, i)
        whole = requests[at + INPUT] + requests[at + OUTPUT] - 1
        context = whole - (requests[at + LAST_ROUND] - row[ROUND])
        row[BINS_AT + (context - row[ROUND] & BIN_MASK)] -= 1
        row[K] -= context - row[GAIN] + 1 if row[PHASE] == FLYING and row[DECODES] else context + 1
        tokens = min(context, whole)
        beyond = block_count(context) - block_count(tokens)
    row[SEQS] -= 1
    row[GONE_AT] = row[ROUND]
    row[FREE] += beyond
    row[FREE] += part(row, requests, sessions, place, tokens, now_ps) if rules[PREFIX_CACHE] else block_count(tokens)
    gone(row, requests, place)


def gone(row: Any, requests: Any, place: int) -> None:
    """Let whoever sent a request collect it, unfinished."""
    at = place * REQUEST_FIELDS
    requests[at + PREEMPTED] &= ~ABORTED
    requests[at + COMPUTED] = 0
    row[ABORTS] -= 1
    row[OUTSTANDING] -= 1
    append(row, requests, ENDED, place)
