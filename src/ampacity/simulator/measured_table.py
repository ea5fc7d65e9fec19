"""A table of iterations that somebody measured, composition by composition, instead of one that a roofline gives.

Decoding and prompts are measured apart, so an iteration of both takes the sum. What a mixed iteration saves by reading
the weights once is not in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ampacity.inference.step_time import PS
from ampacity.inference.work import Array
from ampacity.simulator.step_table import BEND, TICKS, Piece, StepTable


def measured_table(decode_s: ArrayLike, contexts: ArrayLike, prompt_s: ArrayLike, per_a2_s: float = 0.0) -> StepTable:
    """A table from the times of iterations that only decode and of those that only compute prompts.

    decode_s: of 1, 2, ... sequences (rows) at mean `contexts` (columns; rising, >= 1, at least two) [s, > 0]; straight
    on beyond both ends, level where it falls with the context, and for more sequences than rows in proportion to the
    last. prompt_s: of one prompt of 0, 1, 2, ... tokens, up to the token budget, with nothing before it, the first 0
    [s]. per_a2_s: what one unit of a2 (see `step_table.py`) takes; a prompt's own is taken out of `prompt_s` [s, >= 0].

    Raises ValueError that lists everything that is impossible.
    """
    decode, at, prompt = (np.asarray(x, np.float64) for x in (decode_s, contexts, prompt_s))
    _check(decode, at, prompt, per_a2_s)
    level = np.maximum.accumulate(decode, axis=1)
    batch = np.arange(1, len(level) + 1)[:, None]
    slope = np.diff(level, axis=1) / np.diff(at)  # against the mean context, so one sequence's share of k
    base = level[:, :-1] - slope * at[:-1]
    begins = np.round(at[:-1] * BEND).astype(np.int64)
    begins[0] = 0
    rows = [tuple(_pieces(begins, *row)) for row in zip(slope / batch, base / batch, strict=True)]
    nobody: tuple[Piece, ...] = tuple((int(n), 0, 0) for n in begins)
    own = per_a2_s * np.arange(len(prompt), dtype=np.float64) ** 2
    return StepTable(
        prefill_a2=round(per_a2_s * PS * TICKS),
        measured=(nobody, *rows),
        prompt=tuple(round(s * PS * TICKS) for s in prompt - own),
    )


def _pieces(begins: NDArray[np.int64], per_context: Array, per_sequence: Array) -> list[Piece]:
    return [
        (int(n), round(a * PS * TICKS), round(c * PS * TICKS))
        for n, a, c in zip(begins, per_context, per_sequence, strict=True)
    ]


def _check(decode: Array, at: Array, prompt: Array, per_a2_s: float) -> None:
    wrong = []
    if at.ndim != 1 or len(at) < 2 or at[0] < 1 or (np.diff(at) <= 0).any():
        wrong.append("contexts: at least two, from 1 on, rising")
    if decode.ndim != 2 or decode.shape[1:] != at.shape or not len(decode) or not (decode > 0).all():
        wrong.append(f"decoding times of shape {decode.shape}: a row a number of sequences, {at.size} columns, above 0")
    if prompt.ndim != 1 or len(prompt) < 2 or prompt[0] != 0 or not (prompt[1:] > 0).all():
        wrong.append("times of prompts: one for every number of tokens, 0 for none, above 0 for any other")
    if not per_a2_s >= 0:
        wrong.append(f"{per_a2_s} s per unit of a2: at least 0")
    elif not wrong and (prompt[1:] <= per_a2_s * np.arange(1, len(prompt), dtype=np.float64) ** 2).any():
        wrong.append(f"{per_a2_s:g} s per unit of a2: a prompt alone would take less than its own attention")
    if wrong:
        raise ValueError("; ".join(wrong))
