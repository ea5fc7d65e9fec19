"""The end of an iteration: tokens come out, sequences begin to decode or end, and what was promised is kept."""

from __future__ import annotations

from typing import Any

from ampacity.simulator.abort import carry_out
from ampacity.simulator.engine import LAG, PREFIX_CACHE, block_count
from ampacity.simulator.lists import ABORTED, append, file_in, first_end, heap_push, heap_take, take_first
from ampacity.simulator.rows import (
    ABORTS,
    BIN_MASK,
    BINS_AT,
    CACHED,
    CORRECTION,
    DECODES,
    DONE,
    ENDED,
    ENDING,
    FINISH_PS,
    FIRST_PS,
    FLIGHT_P,
    FREE,
    GAIN,
    GONE_AT,
    GROUP,
    HELD_BLOCKS,
    HELD_CACHED,
    HELD_SEQS,
    INPUT,
    LANDING,
    LAST_ROUND,
    NOW_PS,
    OUTPUT,
    OUTSTANDING,
    OUTSTANDING_TOKENS,
    PHASE,
    PREEMPTED,
    READY,
    REQUEST_FIELDS,
    ROUND,
    SEQS,
    B,
    K,
)
from ampacity.simulator.shared_prefix import leave_own, part_later, part_now


def land(row: Any, rules: Any, requests: Any, sessions: Any) -> None:
    """End the iteration in flight, at its own instant. Those who end with it do so in the order of admission."""
    row[PHASE] = READY
    row[OUTSTANDING_TOKENS] += row[CORRECTION] - row[FLIGHT_P]
    row[CORRECTION] = 0
    if row[DECODES]:
        while row[B] > 0 and first_end(row) <= row[ROUND]:
            place = heap_take(row, 0)
            at = place * REQUEST_FIELDS
            context = requests[at + INPUT] + requests[at + OUTPUT] - 1
            beyond = row[ROUND] - requests[at + LAST_ROUND]
            row[K] -= context + beyond - row[GAIN] + 1
            row[BINS_AT + (context + beyond - row[ROUND] & BIN_MASK)] -= 1
            row[HELD_BLOCKS] += block_count(context + beyond) - block_count(context)
            file_in(row, requests, ENDING, place)
        row[K] += row[B] * row[GAIN]
    while row[ENDING] > 0:
        end(row, rules, requests, sessions, take_first(row, requests, ENDING))
    while row[LANDING] > 0:
        place = take_first(row, requests, LANDING)
        first_token(row, rules, requests, sessions, place)
    if not rules[LAG]:
        release_ended(row, sessions)
        if row[ABORTS] > 0:
            carry_out(row, rules, requests, sessions, row[NOW_PS])


def first_token(row: Any, rules: Any, requests: Any, sessions: Any, place: int) -> None:
    """A prompt is computed, which gives a token: the first one, or after a preemption the next."""
    at = place * REQUEST_FIELDS
    if requests[at + FIRST_PS] == 0:
        requests[at + FIRST_PS] = row[NOW_PS]
    left = requests[at + OUTPUT] - requests[at + DONE] - 1
    if left == 0:
        end(row, rules, requests, sessions, place)
        return
    prompt = requests[at + INPUT] + requests[at + DONE]
    requests[at + LAST_ROUND] = row[ROUND] + left
    row[K] += prompt + 1
    row[BINS_AT + (prompt - row[ROUND] & BIN_MASK)] += 1
    heap_push(row, row[ROUND] + left, place)


def end(row: Any, rules: Any, requests: Any, sessions: Any, place: int) -> None:
    """A request has its last token. What it held is given back when scheduling learns of it."""
    at = place * REQUEST_FIELDS
    tokens = requests[at + INPUT] + requests[at + OUTPUT] - 1
    requests[at + FINISH_PS] = row[NOW_PS]
    if requests[at + PREEMPTED] & ABORTED:
        requests[at + PREEMPTED] &= ~ABORTED
        row[ABORTS] -= 1
    row[OUTSTANDING] -= 1
    row[HELD_SEQS] += 1
    if rules[PREFIX_CACHE]:
        cached = row[CACHED]
        row[HELD_BLOCKS] += leave_own(row, requests, sessions, place, tokens, row[NOW_PS])
        row[HELD_CACHED] += row[CACHED] - cached
        part_later(row, sessions, requests[at + GROUP], row[NOW_PS])
    else:
        row[HELD_BLOCKS] += block_count(tokens)
    append(row, requests, ENDED, place)


def release_ended(row: Any, sessions: Any) -> None:
    """Give back the places and blocks of those who ended."""
    if row[HELD_SEQS] > 0:
        row[GONE_AT] = row[ROUND]
    row[FREE] += row[HELD_BLOCKS]
    row[SEQS] -= row[HELD_SEQS]
    row[HELD_BLOCKS] = 0
    row[HELD_SEQS] = 0
    row[HELD_CACHED] = 0
    part_now(row, sessions)
