"""Running sums over stretches of an array that begin anew: gaps to times, turn lengths to places.

Stretches are many and short, so where a compiler is loaded already they are walked compiled. Both give the same bytes.
"""

from __future__ import annotations

import itertools
import sys
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ampacity.base.compiled import compiled

Floats = NDArray[np.float64]


def running_sums(values: Floats, begins: NDArray[np.bool_]) -> Floats:
    """Running sums that begin anew where `begins` is true, which it is at the first value.

    Each stretch is summed by itself: differences of one long sum would round by what stands before a stretch, and the
    same stretch in other company would get other bytes.
    """
    out = np.empty_like(values)
    if "numba" in sys.modules:
        _kernel().sum_up(values, begins, out)
        return out
    for low, high in _stretches(begins):
        np.cumsum(values[low:high], out=out[low:high])
    return out


def running_most(values: Floats, begins: NDArray[np.bool_]) -> Floats:
    """The largest value so far, over stretches that begin anew where `begins` is true, which it is at the first."""
    out = np.empty_like(values)
    if "numba" in sys.modules:
        _kernel().keep_most(values, begins, out)
        return out
    for low, high in _stretches(begins):
        np.maximum.accumulate(values[low:high], out=out[low:high])
    return out


def _stretches(begins: NDArray[np.bool_]) -> itertools.pairwise[tuple[int, int]]:
    """Where each stretch begins and ends."""
    return itertools.pairwise(np.append(np.flatnonzero(begins), len(begins)).tolist())


@cache
def _kernel() -> ModuleType:
    return compiled(sum_up, keep_most)


def sum_up(values: Any, begins: Any, out: Any) -> None:
    """Write running sums."""
    total = 0.0
    for i in range(len(values)):
        total = values[i] if begins[i] else total + values[i]
        out[i] = total


def keep_most(values: Any, begins: Any, out: Any) -> None:
    """Write the largest so far."""
    most = 0.0
    for i in range(len(values)):
        if begins[i] or values[i] > most:
            most = values[i]
        out[i] = most
