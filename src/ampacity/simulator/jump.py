"""Iterations that are alike but for a longer context: how many there are, and how many of them begin by an instant.

Each takes `slope` longer than the one before, so n of them take n x ticks + slope x n (n + 1) / 2. How many fit into a
time is guessed in floating point and corrected in whole numbers.
"""

from __future__ import annotations

from typing import Any

from ampacity.simulator.blocks import blocks_taken, rounds_that_fit
from ampacity.simulator.lists import first_end
from ampacity.simulator.prefix_cache import evict
from ampacity.simulator.rows import (
    EQUALS,
    FREE,
    GAIN,
    JUMPED,
    NOW_PS,
    NOW_TICKS,
    ROUND,
    SLOPE,
    START_PS,
    TICKS_LAST,
    B,
    K,
)
from ampacity.simulator.step_table import PER_CONTEXT, PREFILL_A2, TICK_BITS, TICKS, piece_ends_at, piece_of

SUM_MOST = 1 << 61
"""Ticks that a jump stays below: nine minutes."""
ROUNDS_MOST = 1 << 24


def foresee(row: Any, table: Any, drafts: int) -> None:
    """How many iterations after the one in flight are like it, and by how much each is longer.

    It only decodes, and nobody can be admitted before somebody ends or comes. The last of them is the first in which a
    sequence ends, or the last before decode attention bends or blocks run out.
    """
    piece = piece_of(table, row[B], row[K])
    longer = row[B] * row[GAIN]
    row[SLOPE] = (table[piece + PER_CONTEXT] + 2 * drafts * table[PREFILL_A2]) * longer
    rounds = min((first_end(row) - row[ROUND] + row[GAIN] - 1) // row[GAIN], ROUNDS_MOST)
    rounds = min(rounds, (piece_ends_at(table, piece, row[B]) - 1 - row[K]) // longer)
    while rounds * (row[TICKS_LAST] + row[SLOPE] * (0.5 * rounds)) > 1e18:
        rounds //= 2
    row[EQUALS] = rounds_that_fit(row, rounds * row[GAIN]) // row[GAIN]


def ticks_of(row: Any, n: int) -> int:
    """What the next `n` equal iterations take. [1 / 4,096 ps]"""
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


def jump(row: Any, sessions: Any, until_ps: int) -> None:
    """Put in flight the last of the equal iterations that begins before `until_ps`."""
    n = begun_by(row, until_ps)
    move_clock(row, ticks_of(row, n - 1))
    row[START_PS] = row[NOW_PS]
    row[TICKS_LAST] += row[SLOPE] * n
    move_clock(row, row[TICKS_LAST])
    row[FREE] -= blocks_taken(row, n * row[GAIN])
    row[ROUND] += n * row[GAIN]
    row[K] += row[B] * n * row[GAIN]
    row[EQUALS] -= n
    row[JUMPED] += n
    evict(row, sessions)


def move_clock(row: Any, ticks: int) -> None:
    """Let time pass. The part of a picosecond that is left over stays beside the clock."""
    ticks += row[NOW_TICKS]
    row[NOW_PS] += ticks >> TICK_BITS
    row[NOW_TICKS] = ticks & (TICKS - 1)
