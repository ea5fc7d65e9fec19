"""From a sample to the fleet: totals, ratios and quantiles, each with what the sampling leaves unknown.

Every look counts by the cell-hours that it stands for, and what it shows of a tier so that the tier's known activity
adds up, in all looks together and in each replicate (`known_activity.py`). Cells with the same group number in all
pools and strata make a replicate of the whole sample; how much replicates differ tells the standard error of any
figure, of quantiles too (random groups [1]_). It holds the sampling alone: what all cells share (a shared swing, a bad
release) is the same in all of them, and other seeds tell how much that moves.

References
----------
.. [1] K. M. Wolter, Introduction to variance estimation, 2nd ed. (2007), chapter 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_hour import Seen
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.histograms import BUCKETS, quantile_s
from ampacity.simulator.known_activity import Factors, Known, factors, no_factors
from ampacity.simulator.sampled import WORK_FIELDS
from ampacity.simulator.strata import CELLS, Look

Floats = NDArray[np.float64]

HOUR_PS = 3600 * PS_PER_S
FINE = 1024
FACTOR_MOST = 50.0
"""Of the logarithm of an interval's end over the value: beyond it nothing is known."""


@dataclass(frozen=True)
class Estimate:
    """A figure of the fleet and the 90 % interval that sampling leaves; low and high are NaN where none can be told."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Whole:
    """What all looks together say of the fleet. counts: [pool, tier, COUNT_FIELDS]. histograms: [tier, METRICS,
    BUCKETS]. good: [tier]."""

    counts: Floats
    histograms: Floats
    good: Floats


@dataclass
class Sample:
    """What looks have shown so far: all of them together, and by replicate, each of which stands for the whole fleet.

    factors: by what looks count besides their cell-hours. counts: [replicate, pool, tier, COUNT_FIELDS]. by_hour: the
    hours looked at, and counts in them as they were, [hour, tier, COUNT_FIELDS]. histograms: [replicate, tier, METRICS,
    BUCKETS]. busy_ps, replica_ps: [replicate, pool]. good: answered within both bounds of `cell_hour.good`, [replicate,
    tier]. worked: sums over windows, [replicate, pool, WORK_FIELDS]. seen: the looks in which there was something to
    see. busy_of: the busy share of each. requests: looked at, as they were; with_warm_up: with those that only warm
    memory up. cpu_s: of all looks.
    One replicate has no intervals: it is the whole fleet, or too little to tell.
    """

    tiers: tuple[str, ...]
    pools: tuple[str, ...]
    groups: dict[int, int]
    hours: dict[int, int]
    factors: Factors
    whole: Whole
    counts: Floats
    by_hour: Floats
    histograms: Floats
    busy_ps: Floats
    replica_ps: Floats
    good: Floats
    worked: Floats
    seen: list[Look] = field(default_factory=list)
    busy_of: list[float] = field(default_factory=list)
    looks: int = 0
    requests: int = 0
    with_warm_up: int = 0
    cpu_s: float = 0.0

    @classmethod
    def empty(
        cls,
        tiers: tuple[str, ...],
        pools: tuple[str, ...],
        wanted: Sequence[Look],
        replicates: int = CELLS,
        known: Known | None = None,
    ) -> Sample:
        """Before anything is looked at. replicates: not more than each pool has groups. known: what the looks' activity
        adds up to; None: looks count by cell-hours alone."""
        groups = {p: len({w.group for w in wanted if w.pool == p}) for p in range(len(pools))}
        hours = {hour: i for i, hour in enumerate(sorted({w.hour for w in wanted}))}
        empty = cls(
            tiers,
            pools,
            groups,
            hours,
            no_factors(replicates, len(pools), len(tiers)),
            Whole(
                np.zeros((len(pools), len(tiers), at.COUNT_FIELDS)),
                np.zeros((len(tiers), at.METRICS, BUCKETS)),
                np.zeros(len(tiers)),
            ),
            np.zeros((replicates, len(pools), len(tiers), at.COUNT_FIELDS)),
            np.zeros((len(hours), len(tiers), at.COUNT_FIELDS)),
            np.zeros((replicates, len(tiers), at.METRICS, BUCKETS)),
            np.zeros((replicates, len(pools))),
            np.zeros((replicates, len(pools))),
            np.zeros((replicates, len(tiers))),
            np.zeros((replicates, len(pools), WORK_FIELDS)),
        )
        return empty if known is None else replace(empty, factors=factors(known.whole, empty._active(wanted, known)))

    @property
    def replicates(self) -> int:
        """How many estimates of the whole fleet there are."""
        return len(self.counts)

    @property
    def scarce(self) -> tuple[str, ...]:
        """Pools of which some replicate sees next to nobody of a tier: what is known makes no interval narrower there
        (`known_activity.factors`)."""
        return tuple(name for name, apart in zip(self.pools, self.factors.apart, strict=True) if not apart.all())

    def add(self, one: Look, seen: Seen) -> None:
        """Count a look."""
        result = seen.result
        own = np.array([self.tiers.index(name) for name in result.tiers], dtype=np.int64)
        # most buckets of a look are empty, and adding nothing to a bucket changes no byte of it
        filled = np.flatnonzero(result.histograms.reshape(-1) != 0)
        row, metric, bucket = np.unravel_index(filled, result.histograms.shape)
        many = result.histograms[row, metric, bucket]
        replicate, weight = self.place(one)
        there = weight * self.factors.each[replicate, one.pool, own]
        self.counts[replicate, one.pool, own] += there[:, None] * result.counts
        self.histograms[replicate, own[row], metric, bucket] += there[row] * many
        self.good[replicate, own] += there * seen.good
        in_all = weight / self.replicates * self.factors.together[one.pool, own]
        self.whole.counts[one.pool, own] += in_all[:, None] * result.counts
        self.whole.histograms[own[row], metric, bucket] += in_all[row] * many
        self.whole.good[own] += in_all * seen.good
        # shares of time have an end, which more activity does not move: they count by cell-hours
        self.busy_ps[replicate, one.pool] += weight * result.busy_ps
        self.replica_ps[replicate, one.pool] += weight * seen.replicas * HOUR_PS
        # a window is one replica's: it stands for all of its cell
        self.worked[replicate, one.pool] += weight * seen.replicas * seen.worked
        self.seen.append(one)
        self.busy_of.append(result.busy_ps / (seen.replicas * HOUR_PS))
        self.by_hour[self.hours[one.hour], own] += result.counts
        self.looks += 1
        self.requests += int(result.counts[:, at.ANSWERED].sum())
        self.with_warm_up += seen.answered
        self.cpu_s += seen.cpu_s

    def place(self, one: Look) -> tuple[int, float]:
        """The replicate that a look belongs to, and its weight there: in each replicate the weights of a pool add up to
        its cell-hours, whether or not groups divide evenly among replicates."""
        known, replicate = self.groups[one.pool], one.group % self.replicates
        return replicate, one.weight * known / len(range(replicate, known, self.replicates))

    def _active(self, wanted: Sequence[Look], known: Known) -> Floats:
        """Activity that the looks of each replicate add up to by their cell-hours, [replicate, pool, tier]."""
        found = np.zeros_like(self.factors.each)
        for one in wanted:
            replicate, weight = self.place(one)
            found[replicate, one.pool] += weight * known.of(one)
        return found

    def figure(self, of: Callable[[Floats, Floats], float], most: float = np.inf) -> Estimate:
        """Any figure of counts [pool, tier, field] and histograms [tier, metric, bucket], with its interval, which
        ends at `most`."""
        value = float(of(self.whole.counts, self.whole.histograms))
        return around(value, [of(c, h) for c, h in zip(self.counts, self.histograms, strict=True)], most)

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

        return self.figure(share, 1.0)

    def good_share(self, tier: str | None = None) -> Estimate:
        """Share of answered requests that came within both bounds of `cell_hour.good`, of one tier or of all."""
        own = self._own(tier)
        good, answered = self.good[:, own].sum(axis=1), self.counts[:, :, own, at.ANSWERED].sum(axis=(1, 2))
        of_all = self.whole.counts[:, own, at.ANSWERED].sum()
        value = float(self.whole.good[own].sum() / of_all) if of_all else 0.0
        return around(value, [float(g / a) if a else 0.0 for g, a in zip(good, answered, strict=True)], 1.0)

    def quantile_s(self, metric: int, share: float, tier: str | None = None) -> Estimate:
        """A quantile of TTFT, TPOT, LATENCY, QUEUED or HELD_BACK. [s]"""
        own = self._own(tier)
        # weights need not be whole, the counts of a histogram are
        return self.figure(lambda _, h: quantile_s(np.rint(FINE * h[own, metric].sum(axis=0)).astype(np.int64), share))

    def busy(self) -> dict[str, Estimate]:
        """Share of its replicas' time in which an iteration ran, by pool. [0 to 1]"""
        found = {}
        for pool, name in enumerate(self.pools):
            busy, whole = self.busy_ps[:, pool], self.replica_ps[:, pool]
            value = float(busy.sum() / whole.sum()) if whole.any() else 0.0
            found[name] = around(value, [float(b / w) if w else 0.0 for b, w in zip(busy, whole, strict=True)], 1.0)
        return found

    def _own(self, tier: str | None) -> list[int]:
        return list(range(len(self.tiers))) if tier is None else [self.tiers.index(tier)]


def around(value: float, each: Sequence[float], most: float = np.inf) -> Estimate:
    """A figure with its interval: t quantiles of the standard error that as many replicates of it show, up to `most`;
    none of a single one, or of one in which it could not be told.

    Even on the scale of logarithms: counts of what is rare are skewed, and even intervals would hold them too seldom.
    """
    many = len(each)
    if many < 2 or not np.isfinite(each).all():
        return Estimate(value, np.nan, np.nan)
    either_way = float(np.std(each, ddof=1) / np.sqrt(many) * stdtrit(many - 1, 0.95))
    if value <= 0:
        return Estimate(value, value - either_way, min(value + either_way, most))
    factor = float(np.exp(min(either_way / value, FACTOR_MOST)))
    return Estimate(value, value / factor, min(value * factor, most))
