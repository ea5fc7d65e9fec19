"""Blocks of context that decoding takes, without looking at sequences.

A sequence's context less the round is the same in every round, so 16 counts of sequences, by that modulo 16, tell how
many of them begin another block in any round to come.
"""

from __future__ import annotations

from typing import Any

from ampacity.simulator.rows import BIN_MASK, BINS, BINS_AT, FREE, ROUND, B


def begin_a_block(row: Any, ahead: int) -> int:
    """Sequences that begin another block `ahead` rounds after the last one: their context there is 1 modulo 16."""
    count: int = row[BINS_AT + (1 - row[ROUND] - ahead & BIN_MASK)]
    return count


def blocks_taken(row: Any, rounds: int) -> int:
    """Blocks that the next `rounds` rounds take."""
    taken: int = rounds // BINS * row[B]
    for ahead in range(1, rounds % BINS + 1):
        taken += begin_a_block(row, ahead)
    return taken


def rounds_that_fit(row: Any, most: int) -> int:
    """How many rounds more, at most `most`, the free blocks are enough for; there must be a sequence."""
    if (most // BINS + 1) * row[B] <= row[FREE]:
        return most
    turns: int = row[FREE] // row[B]
    rounds = min(turns * BINS, most)
    left = row[FREE] - turns * row[B]
    for ahead in range(1, BINS):
        left -= begin_a_block(row, ahead)
        if left < 0 or rounds == most:
            break
        rounds += 1
    return rounds
