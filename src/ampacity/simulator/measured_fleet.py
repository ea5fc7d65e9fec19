"""What a sampled fleet took of its scenario: the waterfall, energy, air and fees, measured and not expected.

Busy is told of replicas as they are, some of them failed; the waterfall takes failures away before, so here it is of
those that supply expects to be up. Each replicate of the sample is measured like all of it: how they differ is the
interval of every figure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.simulator import cell_rows as at
from ampacity.simulator.estimate import Estimate, Sample, around
from ampacity.simulator.fleet import Fleet
from ampacity.simulator.measured import Measured, PoolTook, taken
from ampacity.simulator.sampled import Shares, shares_of
from ampacity.supply.options import exercised

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """value: from all of the sample. each: from each of its replicates."""

    value: Measured
    each: tuple[Measured, ...]

    def of(self, figure: Callable[[Measured], float | None]) -> Estimate | None:
        """Any figure with its interval; None where it is not known."""
        value = figure(self.value)
        if value is None:
            return None
        found = [figure(m) for m in self.each]
        return around(value, [x if x is not None else np.nan for x in found])


def measured_fleet(f: Fleet, sample: Sample, hours: tuple[int, ...]) -> Spread:
    """What the sample says of these hours."""
    weight = np.zeros(max(hours, default=0) + 1)
    weight[list(hours)] = 1.0
    every = [_measured(f, sample, [r], weight) for r in range(sample.replicates)] if sample.replicates > 1 else []
    return Spread(_measured(f, sample, list(range(sample.replicates)), weight), tuple(every))


def pool_shares(sample: Sample, pool: int, replicates: list[int]) -> Shares | None:
    """What the windows of some replicates say of a pool's busy time; its error is that of the replicates."""
    return shares_of(sample.worked[replicates, pool], 0)


def _measured(f: Fleet, sample: Sample, replicates: list[int], weight: Floats) -> Measured:
    busy, there = sample.busy_ps[replicates].sum(axis=0), sample.replica_ps[replicates].sum(axis=0)
    up = np.array([p.replica_availability for p in f.pools])
    share = np.divide(busy, there * up, out=np.zeros_like(busy), where=there * up > 0)
    took = [PoolTook(p, float(share[i]), pool_shares(sample, i, replicates)) for i, p in enumerate(f.pools)]
    all_of_it = len(replicates) == sample.replicates
    counts = (sample.whole.counts if all_of_it else sample.counts[replicates].mean(axis=0)).sum(axis=(0, 1))
    read = min(counts[at.HIT], counts[at.INPUT_TOKENS])
    tokens = {
        "uncached_input": round(counts[at.INPUT_TOKENS] - read),
        "cached_input": round(read),
        "output": round(counts[at.OUTPUT_TOKENS]),
    }
    return taken(exercised(f.setting.s), weight, took, tokens)
