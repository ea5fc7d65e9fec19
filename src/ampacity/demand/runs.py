"""Running sums over stretches of an array that begin anew: gaps to times, turn lengths to places."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def running_sums(values: Floats, begins: NDArray[np.bool_]) -> Floats:
    """Running sums that begin anew where `begins` is true, which it is at the first value.

    Each stretch is summed by itself: differences of one long sum would round by what stands before a stretch, and the
    same stretch in other company would get other bytes.
    """
    out = np.empty_like(values)
    edges = np.append(np.flatnonzero(begins), len(values))
    for low, high in itertools.pairwise(edges.tolist()):
        np.cumsum(values[low:high], out=out[low:high])
    return out


def running_most(values: Floats, begins: NDArray[np.bool_]) -> Floats:
    """The largest value so far, over stretches that begin anew where `begins` is true, which it is at the first."""
    out = np.empty_like(values)
    edges = np.append(np.flatnonzero(begins), len(values))
    for low, high in itertools.pairwise(edges.tolist()):
        np.maximum.accumulate(values[low:high], out=out[low:high])
    return out
