"""Prompts: the one that is begun goes on, then come those who have loaded, then those who wait, class by class."""

from __future__ import annotations

from typing import Any

from ampacity.simulator.engine import MAX_SEQS, PREFIX_CACHE, RESERVE_UNIT, WATERMARK, block_count
from ampacity.simulator.kv_tiers import begin_loading, end_loading, group_loads
from ampacity.simulator.lists import append, are_known, next_in_line, take_first
from ampacity.simulator.preempt import preempt_partial
from ampacity.simulator.prefix_cache import evict
from ampacity.simulator.reserve import has_room_beside
from ampacity.simulator.rows import (
    ADMISSION,
    ADMISSIONS,
    CACHEABLE,
    COMPUTED,
    CORRECTION,
    DONE,
    FLIGHT_P,
    FREE,
    FULL,
    GROUP,
    HELD_SEQS,
    HIT_TOKENS,
    HITS,
    INPUT,
    LANDING,
    LOAD_PS,
    LOADED_PS,
    PARTIAL,
    PROMPT_TOKENS,
    REQUEST_FIELDS,
    SEQS,
    STEADY,
)
from ampacity.simulator.shared_prefix import blocks_there, tokens_found


def compute_prompts(row: Any, rules: Any, requests: Any, sessions: Any, room: int, known_ps: int, admits: bool) -> int:
    """Fill `room` tokens of an iteration with prompts, of requests that had come by `known_ps`; returns their a2.

    Says in the row whether the next iteration could let somebody in that this one does not.
    """
    a2 = 0
    row[STEADY] = 0
    while room > 0:
        if row[PARTIAL] == 0:
            if not admits:
                return a2
            if row[LOADED_PS] <= known_ps:
                begin_prompt(row, requests, end_loading(row, requests, sessions))
            elif row[FULL]:
                row[STEADY] = row[HELD_SEQS] == 0
                return a2
            else:
                line = next_in_line(row, requests, known_ps)
                if line == 0:
                    row[STEADY] = are_known(row, requests, known_ps)
                    return a2
                fitting = fits(row, rules, requests, sessions, row[line])
                if rules[RESERVE_UNIT] > 0:
                    fitting = fits_beside(row, rules, requests, sessions, row[line], fitting)
                if not fitting:
                    row[STEADY] = row[HELD_SEQS] == 0 and are_known(row, requests, known_ps)
                    return a2
                begin(row, rules, requests, sessions, take_first(row, requests, line), known_ps)
                if row[PARTIAL] == 0:
                    continue
        chunk = next_chunk(row, requests, room)
        if chunk == 0:
            preempt_partial(row, rules, requests, sessions, known_ps)
            return a2
        a2 += compute(row, requests, sessions, chunk)
        room -= chunk
    return a2


def fits(row: Any, rules: Any, requests: Any, sessions: Any, place: int) -> bool:
    """Whether there is a place, and blocks for the whole prompt, above the watermark if anything runs or loads."""
    at = place * REQUEST_FIELDS
    if group_loads(row, sessions, requests[at + GROUP]):
        return False
    spare = rules[WATERMARK] if row[SEQS] > 0 else 0
    needed = block_count(requests[at + INPUT] + requests[at + DONE])
    if rules[PREFIX_CACHE]:
        needed -= blocks_there(sessions, requests[at + GROUP])
    return bool(row[SEQS] < rules[MAX_SEQS] and needed + spare <= row[FREE])


def fits_beside(row: Any, rules: Any, requests: Any, sessions: Any, place: int, fitting: bool) -> bool:
    """Whether a request that is `fitting` or not also fits beside the output to come, if anything runs or loads.

    A refusal is noted, but where the request only waits for what its group shares.
    """
    group = requests[place * REQUEST_FIELDS + GROUP]
    if group_loads(row, sessions, group):
        return False
    if fitting and row[SEQS] > 0:
        there = blocks_there(sessions, group) if rules[PREFIX_CACHE] else 0
        fitting = has_room_beside(row, rules, requests, place, there)
    row[FULL] = not fitting
    return fitting


def begin(row: Any, rules: Any, requests: Any, sessions: Any, place: int, known_ps: int) -> None:
    """Admit a request that has waited, with what it brings or the cache holds of its prompt, but for the last token.

    If some of that lies in a tier below HBM, it has its place and blocks, and computes once that is loaded.
    """
    row[LOAD_PS] = 0
    at = place * REQUEST_FIELDS
    brought = requests[at + COMPUTED]
    found = min(max(requests[at + CACHEABLE], brought), requests[at + INPUT] + requests[at + DONE] - 1)
    if rules[PREFIX_CACHE] and brought == 0:
        found = tokens_found(row, rules, requests, sessions, place, found, known_ps)
    else:
        row[FREE] -= block_count(found)
    row[CORRECTION] += requests[at + CACHEABLE] - found
    row[HIT_TOKENS] += found
    row[SEQS] += 1
    requests[at + COMPUTED] = found
    requests[at + HITS] += found
    if row[LOAD_PS] > 0:
        begin_loading(row, requests, place, known_ps)
        evict(row, sessions)
    else:
        begin_prompt(row, requests, place)


def begin_prompt(row: Any, requests: Any, place: int) -> None:
    """Make a request the one whose prompt is computed; in line it stands behind all that run."""
    row[ADMISSIONS] += 1
    row[PARTIAL] = place
    requests[place * REQUEST_FIELDS + ADMISSION] = row[ADMISSIONS]


def next_chunk(row: Any, requests: Any, room: int) -> int:
    """Tokens of the begun prompt that come next; 0 if there are no blocks for them."""
    at = row[PARTIAL] * REQUEST_FIELDS
    computed = requests[at + COMPUTED]
    chunk: int = min(room, requests[at + INPUT] + requests[at + DONE] - computed)
    if block_count(computed + chunk) - block_count(computed) > row[FREE]:
        return 0
    return chunk


def compute(row: Any, requests: Any, sessions: Any, chunk: int) -> int:
    """Put a chunk of the begun prompt into the iteration; returns chunk x (twice what stands before it + the chunk)."""
    place = row[PARTIAL]
    at = place * REQUEST_FIELDS
    before = requests[at + COMPUTED]
    requests[at + COMPUTED] = before + chunk
    row[FREE] -= block_count(before + chunk) - block_count(before)
    evict(row, sessions)
    row[FLIGHT_P] += chunk
    row[PROMPT_TOKENS] += chunk
    if before + chunk == requests[at + INPUT] + requests[at + DONE]:
        row[PARTIAL] = 0
        append(row, requests, LANDING, place)
    a2: int = chunk * (2 * before + chunk)
    return a2
