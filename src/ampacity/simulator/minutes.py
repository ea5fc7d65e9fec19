"""A run cut into minutes: what every tier asked, what was answered and refused, and how soon first tokens came.

First tokens are counted in the minute in which their answer ends, in buckets of at most 6.3 %.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import Cell
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.histograms import BUCKETS, PARTS, edges_s

Floats = NDArray[np.float64]

MINUTE_PS = 60 * PS_PER_S
ASKED, SENT, ANSWERED, LIMITED, OVERLOADED, GIVEN_UP, KINDS = range(7)
"""Requests asked, however often; taken in; answered; attempts that a window refused (429); refused for want of capacity
(529); people's sessions that ended at a refusal."""
FOLD = 8
TTFT_BUCKETS = BUCKETS // FOLD
OF_KIND = {
    ASKED: (at.ASKED,),
    SENT: (at.SENT,),
    ANSWERED: (at.ANSWERED,),
    LIMITED: (at.REFUSALS,),
    OVERLOADED: at.OVER_CAPACITY,
    GIVEN_UP: (at.SWITCHED_AWAY, at.LEFT),
}
assert PARTS % FOLD == 0


def by_minute(cell: Cell, minutes: int) -> tuple[Floats, Floats]:
    """Run a cell for so many minutes: counts [minute, tier, KINDS] and first tokens [minute, tier, TTFT_BUCKETS]."""
    counts = np.zeros((minutes, len(cell.tiers), KINDS))
    ttft = np.zeros((minutes, len(cell.tiers), TTFT_BUCKETS))
    for minute, (c, h) in enumerate(_each(cell, minutes)):
        for kind, fields in OF_KIND.items():
            counts[minute, :, kind] = c[:, fields].sum(axis=1)
        ttft[minute] = h[:, at.TTFT].reshape(len(cell.tiers), TTFT_BUCKETS, FOLD).sum(axis=2)
    return counts, ttft


def _each(cell: Cell, minutes: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """What each minute adds."""
    before, from_ps = cell.result(), cell.now_ps
    for minute in range(1, minutes + 1):
        cell.run(from_ps + minute * MINUTE_PS)
        now = cell.result()
        yield now.counts - before.counts, now.histograms - before.histograms
        before = now


def ttft_s(counts: Floats, share: float) -> float:
    """The time that so large a share of first tokens does not pass, within 3.2 %; NaN of nothing. [s]

    counts: [TTFT_BUCKETS], weighted or not. The middle of its bucket.
    """
    total = float(counts.sum())
    if total <= 0:
        return float("nan")
    edges = edges_s()[::FOLD]
    bucket = min(int(np.searchsorted(np.cumsum(counts), share * total * (1 - 1e-12))), TTFT_BUCKETS - 1)
    return float(edges[bucket] + edges[bucket + 1]) / 2
