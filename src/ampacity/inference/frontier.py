"""The frontier of a model on a kind of chip: most tokens per chip for every speed that a user sees."""

from __future__ import annotations

import numpy as np

from ampacity.inference.survey import Operation, Survey


def frontier(s: Survey) -> tuple[Operation, ...]:
    """Operations that no other beats in both output tokens/s per chip and tokens/s per user, fastest user first."""
    at = s.at
    rate = s.tokens_per_s_per_chip
    order = np.lexsort((-rate.ravel(), at.tpot_s.ravel()))
    best = np.maximum.accumulate(rate.ravel()[order])
    first = np.concatenate([[True], best[1:] > best[:-1]])
    return tuple(_at(s, *np.unravel_index(int(i), rate.shape)) for i in order[first])


def _at(s: Survey, row: np.intp, i: np.intp) -> Operation:
    at = s.at
    times = float(at.ttft_s[row, i]), float(at.tpot_s[row, i])
    rate = float(s.tokens_per_s_per_chip[row, i])
    return Operation(s.candidates.steps[row], s.load, int(at.requests[row, i]), *times, rate)
