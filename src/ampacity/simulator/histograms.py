"""Counts of durations in buckets at most 1 % wide, in whole numbers alone: any parts add up to the same whole.

Durations are counted in microseconds: 0 to 127 one by one, and from there on every octave in 128 equal buckets, so that
a bucket is at most 1/128 of its lower edge wide.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ampacity.simulator.rows import Ints

PS_PER_US = 1_000_000
PART_BITS = 7
PARTS = 1 << PART_BITS
OCTAVES = 36
BUCKETS = PARTS * (OCTAVES + 1)
"""Up to 2^43 us, longer than any run."""


def bucket_of(duration_ps: int) -> int:
    """The bucket of a duration, 0 to BUCKETS - 1; below 0 counts as 0."""
    us = duration_ps // PS_PER_US
    if us < PARTS:
        return max(us, 0)
    shift = 0
    step = 32
    while step > 0:
        if us >> (shift + step + PART_BITS) > 0:
            shift += step
        step >>= 1
    return min(((shift + 1) << PART_BITS) + (us >> shift) - PARTS, BUCKETS - 1)


def count(histograms: Any, at: int, duration_ps: int) -> None:
    """Count a duration in the histogram that begins at `at`."""
    histograms[at + bucket_of(duration_ps)] += 1


@cache
def edges_s() -> NDArray[np.float64]:
    """Where each bucket begins, and where the last one ends; BUCKETS + 1 of them. [s]"""
    i = np.arange(BUCKETS + 1)
    octave = np.maximum((i >> PART_BITS) - 1, 0)
    edges: NDArray[np.float64] = np.where(i < PARTS, i, ((i & (PARTS - 1)) + PARTS) << octave) / 1e6
    edges.flags.writeable = False
    return edges


def quantile_s(counts: Ints, share: float) -> float:
    """The duration that so large a share of what was counted does not pass, within 0.4 %; NaN of nothing. [s]

    The middle of its bucket. counts: one histogram, or the sum of some. share: above 0 to 1.
    """
    total = int(counts.sum())
    if total == 0:
        return float("nan")
    bucket = int(np.searchsorted(np.cumsum(counts), max(math.ceil(share * total), 1)))
    edges = edges_s()
    return float(edges[bucket] + edges[bucket + 1]) / 2


def share_within(counts: Ints, bound_s: float) -> float:
    """Share of what was counted in the buckets that begin below `bound_s`; NaN of nothing. [0 to 1]"""
    total = int(counts.sum())
    return float(counts[edges_s()[:-1] < bound_s].sum()) / total if total else float("nan")
