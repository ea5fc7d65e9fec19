"""A schedule condensed to a few typical iterations, with what each adds to mean TTFT and TPOT.

Where the schedule does not depend on iteration times, both means are weighted sums of iteration times, and the weights
are known before any coefficient is. Iterations of like composition are averaged; the weights keep their sums.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ampacity.inference.loop import Schedule
from ampacity.inference.work import Array

BINS = 6


def condensed(s: Schedule, skip: int = 0) -> tuple[Array, Array, Array]:
    """Rows of b, k, p, a and weight whose weighted iteration times add up to mean TPOT, to mean TTFT, and to the time
    that all requests take. Each has its own bins, so that none is blurred by what matters to another.

    skip: so many first requests, which came all at once, do not count for TTFT; the last one always does.
    """
    requests = len(s.arrive)
    counted = np.arange(requests) >= min(skip, requests - 1)
    decode = _spread(s, s.first, s.finish, 1.0 / ((s.output - 1) * requests))
    wait = _spread(s, s.arrive[counted], s.first[counted], np.full(counted.sum(), 1.0 / counted.sum()))
    return _binned(s, decode), _binned(s, wait), _binned(s, np.asarray(s.count, dtype=np.float64))


def _binned(s: Schedule, weight: Array) -> Array:
    """Spans of positive weight in bins by b without prefill, by p with it; means weighted, weights added up."""
    columns = np.stack([s.b, s.k, s.p, s.a])
    found = []
    for of, by in ((s.p == 0, s.b), (s.p > 0, s.p)):
        rows = np.flatnonzero(of & (weight > 1e-15))
        if not len(rows):
            continue
        edges = np.unique(np.quantile(by[rows], np.linspace(0, 1, BINS + 1)))
        which = np.clip(np.searchsorted(edges, by[rows], side="right") - 1, 0, max(len(edges) - 2, 0))
        for i in np.unique(which):
            own = rows[which == i]
            found.append((*np.average(columns[:, own], axis=1, weights=weight[own]), weight[own].sum()))
    return np.array(found)


def _spread(s: Schedule, start: NDArray[np.int64], end: NDArray[np.int64], value: Array) -> Array:
    """Sum of `value` over the requests that are between start and end, times the iterations of each span."""
    change = np.zeros(len(s.b) + 1)
    np.add.at(change, start, value)
    np.add.at(change, end, -value)
    return np.asarray(np.cumsum(change)[:-1] * s.count)
