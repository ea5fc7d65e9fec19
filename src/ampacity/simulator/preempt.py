"""Room for decoding: when blocks run out, somebody gives their own back and waits again."""

from __future__ import annotations

from typing import Any

from ampacity.simulator.blocks import blocks_taken
from ampacity.simulator.engine import LEAST_OUTPUT_FIRST, PREFIX_CACHE, RESERVE_UNIT, block_count
from ampacity.simulator.lists import PLACE_BITS, PLACE_MASK, append_known, heap_take, prepend
from ampacity.simulator.prefix_cache import evict
from ampacity.simulator.reserve import reckon
from ampacity.simulator.rows import (
    ADMISSION,
    BIN_MASK,
    BINS_AT,
    CACHEABLE,
    CLASS,
    COMPUTED,
    DONE,
    FREE,
    FULL,
    GAIN,
    HEAP_AT,
    INPUT,
    LAST_ROUND,
    OUTPUT,
    OUTSTANDING_TOKENS,
    PARTIAL,
    PREEMPTED,
    PREEMPTIONS,
    REQUEST_FIELDS,
    ROUND,
    SEQS,
    SESSION,
    WAITING,
    B,
    K,
)
from ampacity.simulator.shared_prefix import part


def make_room(row: Any, rules: Any, requests: Any, sessions: Any, now_ps: int) -> int:
    """Take the blocks of the next decoding iteration; returns how many sequences had to go for it.

    An engine goes through its sequences in the order of admission and takes the blocks of the last in line whenever the
    next has none. Those that stay are the same as when the last goes as long as all that stay are too many.
    """
    gone = 0
    while blocks_taken(row, row[GAIN]) > row[FREE]:
        last = least_output(row, requests) if rules[LEAST_OUTPUT_FIRST] else last_in_line(row, requests)
        if last < 0:
            preempt_partial(row, rules, requests, sessions, now_ps)
        else:
            preempt_decoding(row, rules, requests, sessions, last, now_ps)
        gone += 1
    row[FREE] -= blocks_taken(row, row[GAIN])
    evict(row, sessions)
    if rules[RESERVE_UNIT] > 0:
        reckon(row, rules, requests, gone > 0)
    return gone


def last_in_line(row: Any, requests: Any) -> int:
    """Who gives way: of the worst class the last admitted, as a position in the heap; -1 for PARTIAL."""
    found = -1
    rank = rank_of(requests, row[PARTIAL])
    for i in range(row[B]):
        other = rank_of(requests, row[HEAP_AT + i] & PLACE_MASK)
        if other > rank:
            rank = other
            found = i
    return found


def least_output(row: Any, requests: Any) -> int:
    """Who gives way in SGLang: of the worst class who has least output, as a position in the heap; -1 for PARTIAL.

    Of several the one with the longest prompt, of those the last admitted.
    """
    found = -1
    goes = row[PARTIAL]
    came = requests[goes * REQUEST_FIELDS + DONE]
    for i in range(row[B]):
        one = row[HEAP_AT + i] & PLACE_MASK
        output = requests[one * REQUEST_FIELDS + OUTPUT] - ((row[HEAP_AT + i] >> PLACE_BITS) - row[ROUND])
        if goes == 0 or goes_before(requests, one, output, goes, came):
            found = i
            goes = one
            came = output
    return found


def goes_before(requests: Any, one: int, output: int, other: int, others_output: int) -> bool:
    """Whether one request gives way before another, when so much output has come out of each."""
    a = one * REQUEST_FIELDS
    b = other * REQUEST_FIELDS
    if requests[a + CLASS] != requests[b + CLASS]:
        return bool(requests[a + CLASS] > requests[b + CLASS])
    if output != others_output:
        return output < others_output
    if requests[a + INPUT] != requests[b + INPUT]:
        return bool(requests[a + INPUT] > requests[b + INPUT])
    return bool(requests[a + ADMISSION] > requests[b + ADMISSION])


def rank_of(requests: Any, place: int) -> int:
    """Class and admission as one number; less than any other for nobody."""
    at = place * REQUEST_FIELDS
    rank: int = (requests[at + CLASS] << PLACE_BITS) + requests[at + ADMISSION] if place > 0 else -1
    return rank


def preempt_partial(row: Any, rules: Any, requests: Any, sessions: Any, now_ps: int) -> None:
    """The request whose prompt is partly computed gives its blocks back."""
    place = row[PARTIAL]
    row[PARTIAL] = 0
    at = place * REQUEST_FIELDS
    row[OUTSTANDING_TOKENS] -= requests[at + INPUT] + requests[at + DONE] - requests[at + COMPUTED]
    give_back(row, rules, requests, sessions, place, requests[at + COMPUTED], now_ps)


def preempt_decoding(row: Any, rules: Any, requests: Any, sessions: Any, i: int, now_ps: int) -> None:
    """The decoding sequence at position `i` of the heap gives its blocks back and keeps the tokens that it had."""
    place = heap_take(row, i)
    at = place * REQUEST_FIELDS
    requests[at + DONE] = requests[at + OUTPUT] - (requests[at + LAST_ROUND] - row[ROUND])
    context = requests[at + INPUT] + requests[at + DONE]
    row[K] -= context
    row[BINS_AT + (context - row[ROUND] - 1 & BIN_MASK)] -= 1
    give_back(row, rules, requests, sessions, place, context - 1, now_ps)


def give_back(row: Any, rules: Any, requests: Any, sessions: Any, place: int, tokens: int, now_ps: int) -> None:
    """Free the blocks of so many tokens of a request and let it wait: before all others, or behind them."""
    at = place * REQUEST_FIELDS
    row[SEQS] -= 1
    row[PREEMPTIONS] += 1
    requests[at + PREEMPTED] += 1
    requests[at + COMPUTED] = 0
    if rules[PREFIX_CACHE]:
        row[FREE] += part(row, requests, sessions, place, tokens, now_ps)
        if requests[at + SESSION] > 0:
            requests[at + CACHEABLE] = tokens
    else:
        row[FREE] += block_count(tokens)
    row[OUTSTANDING_TOKENS] += requests[at + INPUT] + requests[at + DONE] - requests[at + CACHEABLE]
    row[FULL] = 0
    line = WAITING + 2 * requests[at + CLASS]
    if rules[LEAST_OUTPUT_FIRST]:
        append_known(row, requests, line, place, now_ps)
    else:
        prepend(row, requests, line, place)
