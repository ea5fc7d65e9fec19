"""Iterations that are alike but for a longer context: how many there are, and how many of them begin by an instant.

Each takes `slope` longer than the one before, so n of them take n x ticks + slope x n (n + 1) / 2. How many fit into a
time is guessed in floating point and corrected in whole numbers.
"""

from __future__ import annotations

from typing import Any

from ampacity.simulator.blocks import blocks_taken, rounds_that_fit
from ampacity.simulator.engine import DRAFTS, GAIN_UNDER, block_count
from ampacity.simulator.lists import first_end
from ampacity.simulator.prefix_cache import evict
from ampacity.simulator.rows import (
    COMPUTED,
    CORRECTION,
    DONE,
    EQUALS,
    FLIGHT_B,
    FLIGHT_P,
    FREE,
    GAIN,
    INPUT,
    JUMPED,
    NOW_PS,
    NOW_TICKS,
    OUTSTANDING_TOKENS,
    PARTIAL,
    PROMPT_TOKENS,
    REQUEST_FIELDS,
    ROUND,
    SLOPE,
    START_PS,
    TICKS_LAST,
    B,
    K,
)
from ampacity.simulator.step_table import PER_CONTEXT, PREFILL_A2, TICK_BITS, TICKS, piece_ends_at, piece_of

SUM_MOST = 1 << 62
"""Ticks that a jump stays below: four minutes."""
ROUNDS_MOST = 1 << 24


def foresee(row: Any, rules: Any, table: Any, requests: Any) -> None:
    """How many iterations after the one in flight are like it, and by how much each is longer.

    Either it only decodes, and nobody can be admitted before somebody ends or comes; or one prompt fills all that
    decoding leaves, and goes on doing so. The last of them is the first in which a sequence ends, or the last before
    the prompt ends, decode attention bends or blocks run out.
    """
    b = row[FLIGHT_B]
    if b > 0 and rules[GAIN_UNDER] > 1:
        return
    rounds = ROUNDS_MOST
    row[SLOPE] = 0
    if row[FLIGHT_P] > 0:
        rounds = min(rounds, (tokens_left(row, requests) - 1) // row[FLIGHT_P])
        row[SLOPE] = 2 * row[FLIGHT_P] * row[FLIGHT_P] * table[PREFILL_A2]
    if b > 0:
        piece = piece_of(table, b, row[K])
        longer = b * row[GAIN]
        row[SLOPE] += (table[piece + PER_CONTEXT] + 2 * rules[DRAFTS] * table[PREFILL_A2]) * longer
        rounds = min(rounds, (first_end(row) - row[ROUND] + row[GAIN] - 1) // row[GAIN])
        rounds = min(rounds, (piece_ends_at(table, piece, b) - 1 - row[K]) // longer)
    while rounds * (row[TICKS_LAST] + row[SLOPE] * (0.5 * rounds)) > 4e18:
        rounds //= 2
    if row[FLIGHT_P] == 0:
        row[EQUALS] = rounds_that_fit(row, rounds * row[GAIN]) // row[GAIN]
    elif taken(row, requests, rounds) <= row[FREE]:
        row[EQUALS] = rounds


def tokens_left(row: Any, requests: Any) -> int:
    """Tokens of the begun prompt that no iteration has computed or computes."""
    at = row[PARTIAL] * REQUEST_FIELDS
    left: int = requests[at + INPUT] + requests[at + DONE] - requests[at + COMPUTED]
    return left


def taken(row: Any, requests: Any, n: int) -> int:
    """Blocks that the next `n` equal iterations take."""
    blocks: int = blocks_taken(row, n * row[GAIN]) if row[FLIGHT_B] > 0 else 0
    if row[FLIGHT_P] > 0:
        computed = requests[row[PARTIAL] * REQUEST_FIELDS + COMPUTED]
        blocks += block_count(computed + n * row[FLIGHT_P]) - block_count(computed)
    return blocks


def ticks_of(row: Any, n: int) -> int:
    """What the next `n` equal iterations take. [1 / 16,384 ps]"""
    ticks: int = n * row[TICKS_LAST] + row[SLOPE] * (n * (n + 1) // 2)
    return ticks


def begun_by(row: Any, until_ps: int) -> int:
    """How many of the equal iterations begin before an instant that is later than the end of the one in flight."""
    within = (min(until_ps - row[NOW_PS], SUM_MOST >> TICK_BITS) << TICK_BITS) - row[NOW_TICKS]
    if ticks_of(row, row[EQUALS] - 1) < within:
        equals: int = row[EQUALS]
        return equals
    level = row[TICKS_LAST] + 0.5 * row[SLOPE]
    n = int(2.0 * within / (level + (level * level + 2.0 * row[SLOPE] * within) ** 0.5))
    while ticks_of(row, n) >= within:
        n -= 1
    while ticks_of(row, n + 1) < within:
        n += 1
    return n + 1


def jump(row: Any, requests: Any, sessions: Any, until_ps: int) -> None:
    """Put in flight the last of the equal iterations that begins before `until_ps`."""
    n = begun_by(row, until_ps)
    move_clock(row, ticks_of(row, n - 1))
    row[START_PS] = row[NOW_PS]
    row[TICKS_LAST] += row[SLOPE] * n
    move_clock(row, row[TICKS_LAST])
    row[FREE] -= taken(row, requests, n)
    if row[FLIGHT_B] > 0:
        row[ROUND] += n * row[GAIN]
        row[K] += row[B] * n * row[GAIN]
    if row[FLIGHT_P] > 0:
        row[OUTSTANDING_TOKENS] += row[CORRECTION] - n * row[FLIGHT_P]
        row[CORRECTION] = 0
        row[PROMPT_TOKENS] += n * row[FLIGHT_P]
        requests[row[PARTIAL] * REQUEST_FIELDS + COMPUTED] += n * row[FLIGHT_P]
    row[EQUALS] -= n
    row[JUMPED] += n
    evict(row, sessions)


def move_clock(row: Any, ticks: int) -> None:
    """Let time pass. The part of a picosecond that is left over stays beside the clock."""
    ticks += row[NOW_TICKS]
    row[NOW_PS] += ticks >> TICK_BITS
    row[NOW_TICKS] = ticks & (TICKS - 1)
