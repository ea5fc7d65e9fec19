"""From a sample to the fleet: totals, ratios and quantiles, each with what the sampling leaves unknown.

Every look counts by its weight. Cells with the same group number in all pools and strata make a replicate of the whole
sample; how much replicates differ tells the standard error of any figure, of quantiles too (random groups [1]_). It
holds the sampling alone: what all cells share (a shared swing, a bad release) is the same in all of them, and other
seeds tell how much that moves.

References
----------
.. [1] K. M. Wolter, Introduction to variance estimation, 2nd ed. (2007), chapter 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.histograms import BUCKETS, quantile_s
from ampacity.simulator.strata import CELLS, Look

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure of the fleet and the 90 % interval that sampling leaves; low and high are NaN where none can be told."""

    value: float
    low: float
    high: float


@dataclass
class Sample:
    """What looks have shown so far, by replicate.

    counts: [replicate, pool, tier, COUNT_FIELDS]. by_hour: the hours looked at, and counts in them as they were,
    [hour, tier, COUNT_FIELDS]. histograms: [replicate, tier, METRICS, BUCKETS]. busy_ps, replica_ps: [replicate, pool].
    requests: looked at, as they were.
    """

    tiers: tuple[str, ...]
    pools: tuple[str, ...]
    groups: dict[int, int]
    hours: dict[int, int]
    counts: Floats
    by_hour: Floats
    histograms: Floats
    busy_ps: Floats
    replica_ps: Floats
    looks: int = 0
    requests: int = 0

    @classmethod
    def empty(cls, tiers: tuple[str, ...], pools: tuple[str, ...], wanted: Sequence[Look]) -> Sample:
        """Before anything is looked at."""
        groups = {p: len({w.group for w in wanted if w.pool == p}) for p in range(len(pools))}
        hours = {hour: i for i, hour in enumerate(sorted({w.hour for w in wanted}))}
        return cls(
            tiers,
            pools,
            groups,
            hours,
            np.zeros((CELLS, len(pools), len(tiers), at.COUNT_FIELDS)),
            np.zeros((len(hours), len(tiers), at.COUNT_FIELDS)),
            np.zeros((CELLS, len(tiers), at.METRICS, BUCKETS)),
            np.zeros((CELLS, len(pools))),
            np.zeros((CELLS, len(pools))),
        )

    def add(self, one: Look, result: CellResult) -> None:
        """Count a look."""
        own = [self.tiers.index(name) for name in result.tiers]
        known = self.groups[one.pool]
        # a pool looked at in fewer cells than there are replicates is alike in all of them
        share = 1.0 if known < CELLS else CELLS * self._in_group(one, known) / known
        into = range(CELLS) if known < CELLS else (one.group % CELLS,)
        for replicate in into:
            weight = one.weight * share
            self.counts[replicate, one.pool, own] += weight * result.counts
            self.histograms[replicate, own] += weight * result.histograms
            self.busy_ps[replicate, one.pool] += weight * result.busy_ps
            self.replica_ps[replicate, one.pool] += weight * one.replicas * 3.6e15
        self.by_hour[self.hours[one.hour], own] += result.counts
        self.looks += 1
        self.requests += int(result.counts[:, at.ANSWERED].sum())

    def _in_group(self, one: Look, known: int) -> float:
        """Replicates hold as many cells each only where CELLS divides them: each counts as an average one."""
        return known / CELLS / len(range(one.group % CELLS, known, CELLS))

    def figure(self, of: Callable[[Floats, Floats], float]) -> Estimate:
        """Any figure of counts [pool, tier, field] and histograms [tier, metric, bucket], with its interval."""
        value = float(of(self.counts.mean(axis=0), self.histograms.mean(axis=0)))
        each = np.array([of(c, h) for c, h in zip(self.counts, self.histograms, strict=True)])
        either_way = float(np.std(each, ddof=1) / np.sqrt(CELLS) * stdtrit(CELLS - 1, 0.95))
        return Estimate(value, max(value - either_way, 0.0), value + either_way)

    def total(self, field: int, tier: str | None = None) -> Estimate:
        """A count of `cell_rows`, of one tier or of all."""
        own = self._own(tier)
        return self.figure(lambda c, _: float(c[:, own, field].sum()))

    def ratio(self, part: Sequence[int], whole: Sequence[int], tier: str | None = None) -> Estimate:
        """Sum of some counts over the sum of others, of one tier or of all; 0 where there is nothing."""
        own = self._own(tier)

        def share(c: Floats, _: Floats) -> float:
            below = c[:, own][:, :, list(whole)].sum()
            return float(c[:, own][:, :, list(part)].sum() / below) if below else 0.0

        return self.figure(share)

    def quantile_s(self, metric: int, share: float, tier: str | None = None) -> Estimate:
        """A quantile of TTFT, TPOT, LATENCY, QUEUED or HELD_BACK. [s]"""
        own = self._own(tier)
        return self.figure(lambda _, h: quantile_s(np.rint(h[own, metric].sum(axis=0)).astype(np.int64), share))

    def busy(self) -> dict[str, float]:
        """Share of its replicas' time in which an iteration ran, by pool. [0 to 1]"""
        busy, whole = self.busy_ps.mean(axis=0), self.replica_ps.mean(axis=0)
        return {name: float(b / w) if w else 0.0 for name, b, w in zip(self.pools, busy, whole, strict=True)}

    def _own(self, tier: str | None) -> list[int]:
        return list(range(len(self.tiers))) if tier is None else [self.tiers.index(tier)]
