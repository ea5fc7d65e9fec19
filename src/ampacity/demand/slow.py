"""What changes slowly from window to window: normal scores with a memory, drawn without state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ampacity.demand import draws

MEMORY = 256
"""Windows that a score remembers: at a correlation of 0.9 the rest is 1e-12 of its variance."""


def slow_scores(
    seed: int, purpose: str, window: NDArray[np.int64], correlation: float, rank: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Standard normal scores in consecutive windows, correlated from one to the next. [rank, window]

    window: numbers that follow one another. correlation: in [0, 1). rank: who has scores of their own; absent, all
    share one row. A score is a weighted sum of the innovations of the windows up to its own, so any part may be asked
    alone.
    """
    weight = correlation ** np.arange(MEMORY)
    weight /= np.sqrt(np.sum(weight**2))
    span = np.arange(int(window[0]) - MEMORY + 1, int(window[-1]) + 1)
    own = () if rank is None else (rank[:, None],)
    fresh = draws.normal(seed, purpose, *own, span[None, :])
    # row by row: a matrix product may round by how many rows it has
    return np.asarray([np.convolve(row, weight, mode="valid") for row in fresh])
