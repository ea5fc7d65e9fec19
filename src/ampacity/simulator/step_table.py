"""The time of an iteration in whole numbers, tabulated from `inference.StepTime`: small enough for a core's cache.

A table of measured iterations has the same shape and more rows, see `measured_table.py`.

An iteration has `b` decoding sequences, `k` tokens of context that they read in total, `p` prompt tokens, and `a2`, the
sum over prompt chunks of chunk x (twice the context before it + the chunk), which is twice the `a` of `inference/`.
Times are counted in ticks of 1 / 16,384 ps, so that rounding a slope does not show at a million tokens of context: the
attention of prompts takes as little as 32 ps a pair of tokens. An iteration may take nine minutes. The engine keeps the
part of a picosecond that is left over beside its clock and adds nothing up in floating point.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ampacity.inference.step_time import PS, StepTime
from ampacity.inference.work import PAIRS, decode_attention_s, ideal

TICK_BITS = 14
TICKS = 1 << TICK_BITS
"""Ticks of a picosecond."""
BEND_BITS = 10
BEND = 1 << BEND_BITS
"""Parts of a token in which the bends of decode attention are stated."""
PIECES_MOST = 6
SATURATED = 1e-9
"""Share of the experts' weights that an iteration may leave out and still count as reading all of them."""

# of a table
(
    DENSE_READ,
    DENSE_TOKEN,
    DENSE_SEQUENCE,
    EXPERT_TOKEN,
    PER_TOKEN,
    PER_SEQUENCE,
    PER_ITERATION,
    PREFILL_A2,
    EXPERT_ROWS,
    PIECE_COUNT,  # of every number of sequences
    PIECE_ROWS,  # numbers of sequences that have pieces of their own, beside 0; those beyond share the last
    PIECES_FROM,
    PROMPT_ROWS,
    PROMPT_FROM,
    PIECES,
) = range(15)
# of a piece of decode attention
FROM_CONTEXT, PER_CONTEXT, PIECE_SEQUENCE, PIECE_FIELDS = range(4)
EXPERT_READ = PIECES + PIECES_MOST * PIECE_FIELDS
"""Where the times of reading experts begin: for 0, 1, 2, ... tokens."""


Piece = tuple[int, int, int]


@dataclass(frozen=True)
class StepTable:
    """Iterations of one replica in ticks.

    The longer of dense_read and dense_token x tokens + dense_sequence x b; the longer of expert_read[tokens] (its last
    entry beyond its end) and expert_token x tokens; decode attention; prefill_a2 x a2; per_token, per_sequence and
    per_iteration. pieces: of decode attention, as (from so many 1 / 1,024 tokens of context a sequence on, ticks per
    token of context, ticks per sequence); the first from 0. measured: pieces that take their place for 0, 1, 2, ...
    sequences (the last for all beyond), as many for each. prompt: for 0, 1, 2, ... prompt tokens (its last entry beyond
    its end), the first 0.

    Raises ValueError that lists everything that is impossible.
    """

    dense_read: int = 0
    dense_token: int = 0
    dense_sequence: int = 0
    expert_token: int = 0
    per_token: int = 0
    per_sequence: int = 0
    per_iteration: int = 0
    prefill_a2: int = 0
    expert_read: tuple[int, ...] = (0,)
    pieces: tuple[Piece, ...] = ((0, 0, 0),)
    measured: tuple[tuple[Piece, ...], ...] = ()
    prompt: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        wrong = []
        if any(not row or row[0][0] != 0 or len(row) != len(self.measured[0]) for row in self.measured):
            wrong.append("measured pieces: as many for every number of sequences, the first from 0")
        if not self.prompt or self.prompt[0] != 0:
            wrong.append("an iteration of no prompt tokens takes time for them")
        if not 1 <= len(self.pieces) <= PIECES_MOST or self.pieces[0][0] != 0:
            wrong.append(f"{len(self.pieces)} pieces of decode attention: 1 to {PIECES_MOST}, the first from 0")
        if max(self.per_iteration, self.dense_read) < TICKS and not self.measured:
            wrong.append("an iteration of no tokens takes less than 1 ps")
        if wrong:
            raise ValueError("; ".join(wrong))

    def flat(self) -> NDArray[np.int64]:
        """The table as `iteration_ticks` reads it."""
        numbers = astuple(self)[: PREFILL_A2 + 1]
        pieces = [n for piece in self.pieces for n in piece]
        padding = [0] * (PIECES_MOST * PIECE_FIELDS - len(pieces))
        measured = [n for row in self.measured for piece in row for n in piece]
        prompt_from = EXPERT_READ + len(self.expert_read)
        where = (
            (len(self.measured[0]), len(self.measured) - 1, prompt_from + len(self.prompt))
            if self.measured
            else (len(self.pieces), 0, PIECES)
        )
        head = [*numbers, len(self.expert_read) - 1, *where, len(self.prompt) - 1, prompt_from]
        return np.array([*head, *pieces, *padding, *self.expert_read, *self.prompt, *measured], np.int64)


def iteration_ticks(table: Any, b: int, k: int, p: int, a2: int) -> int:
    """Time of an iteration of at least one token: the definition, for every stepper. [1 / 16,384 ps]"""
    tokens = b + p
    ticks: int = table[PER_ITERATION] + table[PER_TOKEN] * tokens + table[PER_SEQUENCE] * b + table[PREFILL_A2] * a2
    ticks += max(table[DENSE_READ], table[DENSE_TOKEN] * tokens + table[DENSE_SEQUENCE] * b)
    ticks += max(table[EXPERT_READ + min(tokens, table[EXPERT_ROWS])], table[EXPERT_TOKEN] * tokens)
    ticks += table[table[PROMPT_FROM] + min(p, table[PROMPT_ROWS])]
    piece = piece_of(table, b, k)
    ticks += table[piece + PER_CONTEXT] * k + table[piece + PIECE_SEQUENCE] * b
    return ticks


def piece_of(table: Any, b: int, k: int) -> int:
    """Where in the table the piece of decode attention stands that holds for `b` sequences with `k` tokens."""
    piece = last_piece(table, b)
    while k << BEND_BITS < table[piece + FROM_CONTEXT] * b:
        piece -= PIECE_FIELDS
    return piece


def last_piece(table: Any, b: int) -> int:
    """Where the piece of decode attention stands that holds for the longest contexts of `b` sequences."""
    count: int = table[PIECE_COUNT]
    row = min(b, table[PIECE_ROWS])
    piece: int = table[PIECES_FROM] + ((row + 1) * count - 1) * PIECE_FIELDS
    return piece


def piece_ends_at(table: Any, piece: int, b: int) -> int:
    """The least context of `b` sequences at which the next piece holds; a context beyond reach after the last one."""
    if piece == last_piece(table, b):
        return 1 << 60
    k: int = (table[piece + PIECE_FIELDS + FROM_CONTEXT] * b + BEND - 1) >> BEND_BITS
    return k


def step_table(step: StepTime, token_budget: int) -> StepTable:
    """Tabulate a step time for iterations of up to so many tokens. Raises ValueError if it has another shape."""

    def paths(b: float, k: float, p: float, a: float) -> NDArray[np.float64]:
        cost = np.asarray(step.coefficients.cost)
        return np.asarray(ideal(step.replica, b, k, p, a) * cost / step.speed * PS * TICKS)

    at_rest, sequence, token = paths(0, 0, 0, 0), paths(1, 0, 0, 0), paths(0, 0, 1, 0)
    (dense_read, dense), (expert_read, expert), _ = PAIRS
    beside = slice(7, None)
    rest, one_token = at_rest[beside].sum(), token[beside].sum()
    tokens = np.arange(token_budget + 1, dtype=np.float64)
    reads = (
        ideal(step.replica, tokens, 0, 0, 0)[expert_read]
        * step.coefficients.cost[expert_read]
        / step.speed
        * PS
        * TICKS
    )
    rows = int(np.searchsorted(reads, reads[-1] * (1 - SATURATED)))
    # what prompts multiply is beside the reading of the weights, or in the longer of the two
    beside_token = token[dense] if step.coefficients.prompts_beside_reading else 0.0
    table = StepTable(
        dense_read=round(token[dense_read]),
        dense_token=round(token[dense] - beside_token),
        dense_sequence=round(sequence[dense] - token[dense] + beside_token),
        expert_token=round(token[expert]),
        per_token=round(one_token - rest + beside_token),
        per_sequence=round(sequence[beside].sum() - one_token - beside_token),
        per_iteration=round(rest),
        prefill_a2=round(paths(0, 0, 0, 1e6)[6] / 2e6),
        expert_read=tuple(round(x) for x in reads[: rows + 1]),
        pieces=_pieces(step),
    )
    _hold(table, step, token_budget)
    return table


def _pieces(step: StepTime) -> tuple[tuple[int, int, int], ...]:
    """Decode attention of one sequence against its context: the upper edge of memory and compute, bend by bend."""
    m, (read, compute) = step.replica.model, PAIRS[2]
    cost = np.asarray(step.coefficients.cost) / step.speed * PS * TICKS
    stages = step.replica.layout.pipeline

    def both(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        moved, computed = decode_attention_s(step.replica, np.full_like(x, 1.0 / stages), x / stages)
        return moved * cost[read], computed * cost[compute]

    knots = sorted({0.0, float(m.window_tokens or 0), float(m.sparse_tokens or 0)})
    knots.append(2 * knots[-1] + 1e7)
    moved, computed = both(np.array(knots))
    gap = moved - computed
    crossings = [
        x + (y - x) * g / (g - h) for x, y, g, h in zip(knots, knots[1:], gap, gap[1:], strict=False) if g * h < 0
    ]
    bends = np.array(sorted({*knots, *crossings}))
    times = np.maximum(*both(bends))
    slopes = np.diff(times) / np.diff(bends)
    return tuple(
        (round(x * BEND), round(slope), round(t - slope * x)) for x, slope, t in zip(bends, slopes, times, strict=False)
    )


def _hold(table: StepTable, step: StepTime, token_budget: int) -> None:
    """Compare table and step time on drawn iterations. Raises ValueError where they are two millionths apart."""
    draw = np.random.Generator(np.random.Philox(key=1))
    b = draw.integers(0, min(token_budget, 512), 64)
    p = np.where(draw.random(64) < 0.5, 0, draw.integers(1, token_budget, 64)) + (b == 0)
    k, a2 = b * draw.integers(1, 200_000, 64), p * draw.integers(1, 400_000, 64)
    flat = [int(n) for n in table.flat()]
    found = [iteration_ticks(flat, *(int(n) for n in row)) for row in zip(b, k, p, a2, strict=True)]
    true = step.seconds(b, k, p, a2 / 2) * PS * TICKS
    worst = float(np.max(np.abs(np.array(found) / true - 1)))
    if worst > 2e-6:
        raise ValueError(
            f"a table of this step time is {worst:.1e} off: its groups have changed, see inference/work.py"
        )
