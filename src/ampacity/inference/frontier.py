"""The frontier of a model on a kind of chip: most tokens per chip for every speed that a user sees."""

from __future__ import annotations

import numpy as np

from ampacity.inference.survey import Operation, Survey


def frontier(s: Survey) -> tuple[Operation, ...]:
    """Operations that no other beats in both output tokens/s per chip and tokens/s per user, fastest user first."""
    rate = s.tokens_per_s_per_chip
    order = np.lexsort((-rate.ravel(), s.at.tpot_s.ravel()))
    best = np.maximum.accumulate(rate.ravel()[order])
    first = np.concatenate([[True], best[1:] > best[:-1]])
    places = np.unravel_index(order[first], rate.shape)
    return tuple(s.operation(int(row), int(batch)) for row, batch in zip(*places, strict=True))
