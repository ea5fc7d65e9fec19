"""One replica from instant to instant: what whoever routes requests to it, or waits for them, calls.

Order at one instant: iterations end, requests come, iterations begin. So `advance` to an instant ends what ends by it
and begins what begins before it; whoever has sent all that comes at that instant advances further. Nothing here reads
what is later than its own time, and nothing allocates memory.
"""

from __future__ import annotations

from typing import Any

from ampacity.simulator.abort import carry_out
from ampacity.simulator.admit import compute_prompts
from ampacity.simulator.engine import (
    DRAFTS,
    FOREVER_PS,
    GAIN_OVER,
    GAIN_UNDER,
    KV_BLOCKS,
    LAG,
    MIXED,
    RESERVE_UNIT,
    TOKEN_BUDGET,
    block_count,
)
from ampacity.simulator.jump import foresee, jump, move_clock, ticks_of
from ampacity.simulator.land import land, release_ended
from ampacity.simulator.lists import append, first_arrival_ps, take_first
from ampacity.simulator.preempt import make_room
from ampacity.simulator.reserve import begin_anew, let_go
from ampacity.simulator.rows import (
    ABORTS,
    ARRIVAL_PS,
    CACHEABLE,
    CLASS,
    CORRECTION,
    DECODES,
    DONE,
    ENDED,
    EQUALS,
    FLIGHT_B,
    FLIGHT_P,
    FLYING,
    GAIN,
    IDLE,
    INPUT,
    LANDING,
    LOADED_PS,
    NOW_PS,
    NOW_TICKS,
    OUTPUT,
    OUTSTANDING,
    OUTSTANDING_TOKENS,
    PARTIAL,
    PHASE,
    PREEMPTIONS,
    READY,
    REQUEST_FIELDS,
    RESTED_PS,
    ROUND,
    ROUND_PART,
    START_PS,
    STEADY,
    STEPPED,
    TICKS_LAST,
    WAITING,
    WAKE_PS,
    B,
    K,
)
from ampacity.simulator.step_table import TICK_BITS, iteration_ticks

TAKEN, TOO_LONG, BEHIND = range(3)
"""What becomes of a request that is sent: it is here; its context can never fit; the row was not advanced to it."""


def push(row: Any, rules: Any, requests: Any, place: int) -> int:
    """Send a request that comes now; returns TAKEN, or TOO_LONG or BEHIND and nothing has changed.

    The row must have been advanced to its ARRIVAL_PS, not further. Of the request's row INPUT, OUTPUT (both >= 1),
    CACHEABLE (less than the input), SESSION, GROUP and CLASS are read; DONE if it has begun elsewhere; COMPUTED if it
    brings so much of its prompt from another replica, and then no GROUP. The rest must be zero.
    """
    at = place * REQUEST_FIELDS
    beyond = (rules[GAIN_OVER] - 1) // rules[GAIN_UNDER]  # of its last token, in blocks all the same
    if block_count(requests[at + INPUT] + requests[at + OUTPUT] - 1 + beyond) > rules[KV_BLOCKS]:
        return TOO_LONG
    if is_behind(row, requests[at + ARRIVAL_PS]):
        return BEHIND
    line = WAITING + 2 * requests[at + CLASS]
    if row[line] == 0 and row[FLIGHT_P] == 0:
        row[STEADY] = 0
        row[EQUALS] = 0
    append(row, requests, line, place)
    row[WAKE_PS] = min(row[WAKE_PS], requests[at + ARRIVAL_PS])
    row[OUTSTANDING] += 1
    row[OUTSTANDING_TOKENS] += requests[at + INPUT] + requests[at + DONE] - requests[at + CACHEABLE]
    return TAKEN


def is_behind(row: Any, now_ps: int) -> bool:
    """Whether something of this row happens before `now_ps`, or an iteration ends at it, that has not yet."""
    if row[PHASE] == FLYING:
        return bool(row[NOW_PS] <= now_ps)
    if row[PHASE] == READY:
        return bool(row[NOW_PS] < now_ps)
    return bool(max(row[NOW_PS], row[WAKE_PS]) < now_ps)


def advance(row: Any, rules: Any, table: Any, requests: Any, sessions: Any, until_ps: int) -> None:
    """Bring a replica to an instant: all that ends by `until_ps` has ended, all that begins before it has begun."""
    while True:
        if row[PHASE] == FLYING:
            if row[EQUALS] > 0 and row[NOW_PS] < until_ps:
                leap(row, requests, sessions, until_ps)
            if row[NOW_PS] > until_ps:
                return
            land(row, rules, requests, sessions)
        elif row[PHASE] == READY:
            if row[NOW_PS] >= until_ps:
                return
            follow(row, rules, table, requests, sessions)
        else:
            start = max(row[NOW_PS], row[WAKE_PS])
            if start >= until_ps:
                return
            begin_at_rest(row, rules, table, requests, sessions, start)


def leap(row: Any, requests: Any, sessions: Any, until_ps: int) -> None:
    """Jump over equal iterations, no further than to where one has loaded who could come in."""
    stop = until_ps if row[FLIGHT_P] > 0 else min(until_ps, row[LOADED_PS])
    if row[NOW_PS] < stop:
        jump(row, requests, sessions, stop)
    if stop < until_ps:
        row[EQUALS] = 0


def begin_at_rest(row: Any, rules: Any, table: Any, requests: Any, sessions: Any, now_ps: int) -> None:
    """Begin what there is to do on a replica on which nothing runs.

    That can be nothing while somebody loads; who gave way meanwhile may come in again at once.
    """
    row[RESTED_PS] += now_ps - row[NOW_PS]
    if rules[RESERVE_UNIT] > 0 and now_ps > row[NOW_PS]:
        begin_anew(row, rules)
    row[NOW_PS] = now_ps
    preemptions = row[PREEMPTIONS]
    if not fly(row, rules, table, requests, sessions, now_ps):
        row[WAKE_PS] = now_ps if row[PREEMPTIONS] > preemptions else row[LOADED_PS]


def next_visible_ps(row: Any, requests: Any) -> int:
    """No token comes out before this instant, unless somebody sends a request; exact where iterations are equal. [ps]

    Later than the instant to which the replica was advanced. FOREVER_PS if nothing runs or waits.
    """
    now: int = row[NOW_PS]
    if row[PHASE] == FLYING:
        last: int = now + ((ticks_of(row, row[EQUALS]) + row[NOW_TICKS]) >> TICK_BITS)
        if row[LOADED_PS] < last and row[FLIGHT_P] == 0:
            last = max(now, row[LOADED_PS] + 1)
        return last
    if row[PHASE] == READY:
        return now + 1 if row[OUTSTANDING] > 0 else FOREVER_PS
    begins: int = max(now, row[WAKE_PS])
    return min(begins + 1, FOREVER_PS)


def collect(row: Any, requests: Any) -> int:
    """Take the place of a request that has ended, in the order in which they did; 0 if there is none."""
    return take_first(row, requests, ENDED)


def follow(row: Any, rules: Any, table: Any, requests: Any, sessions: Any) -> None:
    """Begin what follows the iteration that has just ended, or rest.

    Scheduling that runs ahead composed it when that iteration began: it knows who had come by then, counts that
    iteration's tokens as there, and learns only afterwards which sequences ended in it.
    """
    ended_ps = row[NOW_PS]
    found = fly(row, rules, table, requests, sessions, row[START_PS] if rules[LAG] else ended_ps)
    if rules[LAG]:
        release_ended(row, sessions)
    if not found:
        row[PHASE] = IDLE
        row[NOW_TICKS] = 0
        row[WAKE_PS] = min(first_arrival_ps(row, requests), row[LOADED_PS])
    if row[ABORTS] > 0:
        carry_out(row, rules, requests, sessions, ended_ps)


def fly(row: Any, rules: Any, table: Any, requests: Any, sessions: Any, known_ps: int) -> bool:
    """Compose an iteration from what is known and begin it; False if there is nothing to do."""
    row[FLIGHT_P] = 0
    row[EQUALS] = 0
    row[GAIN] = gain(rules, row[ROUND_PART])
    each = 1 + rules[DRAFTS]
    if rules[RESERVE_UNIT] > 0:
        let_go(row)
    if rules[MIXED]:
        gone = make_room(row, rules, requests, sessions, known_ps)
        b = row[B]
        a2 = compute_prompts(row, rules, requests, sessions, rules[TOKEN_BUDGET] - b * each, known_ps, gone == 0)
    else:
        a2 = compute_prompts(row, rules, requests, sessions, rules[TOKEN_BUDGET], known_ps, True)
        b = 0
        if row[FLIGHT_P] == 0:
            if make_room(row, rules, requests, sessions, known_ps) > 0:
                row[STEADY] = 0
            b = row[B]
    if b + row[FLIGHT_P] == 0:
        row[OUTSTANDING_TOKENS] += row[CORRECTION]
        row[CORRECTION] = 0
        return False
    take_off(row, rules, table, b, a2)
    filled = row[PARTIAL] > 0 and row[LANDING] == 0 and row[FLIGHT_P] == rules[TOKEN_BUDGET] - b * each
    if filled or (row[STEADY] and row[FLIGHT_P] == 0 and row[LOADED_PS] > row[START_PS]):
        foresee(row, rules, table, requests)
    return True


def take_off(row: Any, rules: Any, table: Any, b: int, a2: int) -> None:
    """Put an iteration of `b` decoding sequences and FLIGHT_P prompt tokens in flight.

    Guessed tokens are computed like a prompt's behind the contexts of their sequences.
    """
    row[PHASE] = FLYING
    row[START_PS] = row[NOW_PS]
    row[FLIGHT_B] = b
    row[STEPPED] += 1
    row[DECODES] = b > 0
    k = 0
    if b > 0:
        k = row[K]
        row[ROUND] += row[GAIN]
        row[ROUND_PART] = (row[ROUND_PART] + 1) % rules[GAIN_UNDER]
    guessed = b * rules[DRAFTS]
    a2 += rules[DRAFTS] * (2 * k + guessed)
    row[TICKS_LAST] = iteration_ticks(table, b, k, row[FLIGHT_P] + guessed, a2)
    move_clock(row, row[TICKS_LAST])


def gain(rules: Any, part: int) -> int:
    """Tokens that come out of the iteration `part` of a circle of GAIN_UNDER, which together give GAIN_OVER."""
    tokens: int = (part + 1) * rules[GAIN_OVER] // rules[GAIN_UNDER] - part * rules[GAIN_OVER] // rules[GAIN_UNDER]
    return tokens
