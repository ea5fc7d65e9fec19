"""From a sample to the fleet: totals, ratios and quantiles, each with what the sampling leaves unknown.

Every look counts by its weight. What is left unknown is told by leaving out one group of looks after the other and
weighing the rest of its part so much more (the jackknife of stratified samples [1]_), for quantiles too; degrees of
freedom are Satterthwaite's, intervals even on the scale of logarithms, as counts of what is rare are skewed.

How long people are active in all hours, before any limit, is known before anything is simulated. Where many cells stand
behind a few, the looks of a tier in a pool count so much more or less that their people's active time adds up to that
(a ratio estimator [2]_). What the cells of the fleet themselves want differs by chance; that is added.

All this holds the sampling alone: what all cells share (a shared swing, a bad release) is the same in all of them.
`apart` tells how much that moves, from samples of several seeds of what fails.

References
----------
.. [1] K. M. Wolter, Introduction to variance estimation, 2nd ed., 2007, ch. 4.
.. [2] W. G. Cochran, Sampling techniques, 3rd ed., 1977, ch. 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.histograms import BUCKETS, quantile_s
from ampacity.simulator.strata import Look

Floats = NDArray[np.float64]
Figure = Callable[[Floats, Floats], float]
"""Of counts [pool, tier, COUNT_FIELDS] and histograms [tier, METRICS, BUCKETS] of a fleet."""

LEVEL = 0.9


@dataclass(frozen=True)
class Estimate:
    """A figure of the fleet and the interval that sampling leaves; low and high are NaN where none can be told."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Known:
    """What is known of a fleet without looking. wanted_s: active time of the sessions that people want in all hours,
    before any limit, [pool, tier]; 0 where looks count by their weights alone. cells: of each pool."""

    wanted_s: Floats
    cells: tuple[int, ...]


@dataclass(frozen=True)
class Apart:
    """A figure over several seeds of what fails. sampling: standard error that the looks leave, all of them the same in
    every seed. shared: standard deviation between seeds that no more looks would take away."""

    value: float
    sampling: float
    shared: float


@dataclass(frozen=True)
class _Replicates:
    """The fleet as estimated with all looks (counts, histograms), and without something. parts: which part of which
    pool it was taken from. scale: what a squared difference counts. free: degrees of freedom of a part."""

    whole: tuple[Floats, Floats]
    without: list[tuple[Floats, Floats]]
    parts: list[tuple[int, int]]
    scale: Floats
    free: dict[tuple[int, int], int]


@dataclass
class Sample:
    """What looks have shown so far, by group: what they say of the whole fleet, weights in.

    groups: where each group of a part of a pool stands. counts: [group, tier, COUNT_FIELDS]. histograms:
    [group, tier, METRICS, BUCKETS]. wanted_s: active time before any limit, [group, tier]. busy_ps, replica_ps:
    [group]. by_hour: the hours looked at, and counts in them as they were, [hour, tier, COUNT_FIELDS]. requests: looked
    at, as they were.
    """

    tiers: tuple[str, ...]
    pools: tuple[str, ...]
    groups: dict[tuple[int, int, int], int]
    hours: dict[int, int]
    known: Known | None
    counts: Floats
    by_hour: Floats
    histograms: Floats
    wanted_s: Floats
    busy_ps: Floats
    replica_ps: Floats
    looks: int = 0
    requests: int = 0
    _kept: _Replicates | None = field(default=None, repr=False)

    @classmethod
    def empty(
        cls, tiers: tuple[str, ...], pools: tuple[str, ...], wanted: Sequence[Look], known: Known | None = None
    ) -> Sample:
        """Before anything is looked at."""
        groups = {key: i for i, key in enumerate(sorted({(w.pool, w.part, w.group) for w in wanted}))}
        hours = {hour: i for i, hour in enumerate(sorted({w.hour for w in wanted}))}
        return cls(
            tiers,
            pools,
            groups,
            hours,
            known,
            np.zeros((len(groups), len(tiers), at.COUNT_FIELDS)),
            np.zeros((len(hours), len(tiers), at.COUNT_FIELDS)),
            np.zeros((len(groups), len(tiers), at.METRICS, BUCKETS)),
            np.zeros((len(groups), len(tiers))),
            np.zeros(len(groups)),
            np.zeros(len(groups)),
        )

    def add(self, one: Look, result: CellResult) -> None:
        """Count a look."""
        own = [self.tiers.index(name) for name in result.tiers]
        group = self.groups[one.pool, one.part, one.group]
        self.counts[group, own] += one.weight * result.counts
        self.histograms[group, own] += one.weight * result.histograms
        self.wanted_s[group, own] += one.weight * np.array(result.wanted_s or [0.0] * len(own))
        self.busy_ps[group] += one.weight * result.busy_ps
        self.replica_ps[group] += one.weight * one.replicas * 3.6e15
        self.by_hour[self.hours[one.hour], own] += result.counts
        self.looks += 1
        self.requests += int(result.counts[:, at.ANSWERED].sum())
        self._kept = None

    def figure(self, of: Figure, level: float = LEVEL) -> Estimate:
        """Any figure of counts [pool, tier, field] and histograms [tier, metric, bucket], with its interval."""
        value, variance, free = self._spread(of)
        if not value > 0 or not np.isfinite(variance):
            return Estimate(value, value, value) if variance == 0 else Estimate(value, np.nan, np.nan)
        factor = float(np.exp(stdtrit(free, (1 + level) / 2) * np.sqrt(variance) / value)) if variance else 1.0
        return Estimate(value, value / factor, value * factor)

    def total(self, field: int, tier: str | None = None, level: float = LEVEL) -> Estimate:
        """A count of `cell_rows`, of one tier or of all."""
        own = self._own(tier)
        return self.figure(lambda c, _: float(c[:, own, field].sum()), level)

    def ratio(
        self, part: Sequence[int], whole: Sequence[int], tier: str | None = None, level: float = LEVEL
    ) -> Estimate:
        """Sum of some counts over the sum of others, of one tier or of all; 0 where there is nothing."""
        own = self._own(tier)

        def share(c: Floats, _: Floats) -> float:
            below = c[:, own][:, :, list(whole)].sum()
            return float(c[:, own][:, :, list(part)].sum() / below) if below else 0.0

        return self.figure(share, level)

    def quantile_s(self, metric: int, share: float, tier: str | None = None, level: float = LEVEL) -> Estimate:
        """A quantile of TTFT, TPOT, LATENCY, QUEUED or HELD_BACK. [s]"""
        own = self._own(tier)
        return self.figure(lambda _, h: quantile_s(np.rint(h[own, metric].sum(axis=0)).astype(np.int64), share), level)

    def busy(self) -> dict[str, float]:
        """Share of its replicas' time in which an iteration ran, by pool. [0 to 1]"""
        found = {}
        for pool, name in enumerate(self.pools):
            own = [i for (p, _, _), i in self.groups.items() if p == pool]
            there = self.replica_ps[own].sum()
            found[name] = float(self.busy_ps[own].sum() / there) if there else 0.0
        return found

    def _own(self, tier: str | None) -> list[int]:
        return list(range(len(self.tiers))) if tier is None else [self.tiers.index(tier)]

    def _spread(self, of: Figure) -> tuple[float, float, float]:
        """A figure, its variance, and the degrees of freedom of that."""
        r = self.replicates()
        value = float(of(*r.whole))
        by_part = dict.fromkeys(r.free, 0.0)
        for (counts, histograms), part, scale in zip(r.without, r.parts, r.scale, strict=True):
            by_part[part] += scale * (float(of(counts, histograms)) - value) ** 2
        variance = sum(by_part.values())
        below = sum(v**2 / r.free[part] for part, v in by_part.items())
        return value, variance, variance**2 / below if below > 0 else 1.0

    def replicates(self) -> _Replicates:
        """The fleet as all looks show it, and as it would be without each group."""
        if self._kept is None:
            self._kept = _replicates(self)
        return self._kept


def _replicates(s: Sample) -> _Replicates:
    members: dict[int, dict[int, list[int]]] = {}
    for (pool, part, _), i in s.groups.items():
        members.setdefault(pool, {}).setdefault(part, []).append(i)
    counts = np.zeros((len(s.pools), len(s.tiers), at.COUNT_FIELDS))
    histograms = np.zeros(s.histograms.shape[1:])
    own = {pool: _of_pool(s, pool, _weights(s, parts)) for pool, parts in members.items()}
    for pool, (c, h) in own.items():
        counts[pool] = c
        histograms += h
    r = _Replicates((counts, histograms), [], [], np.zeros(0), {})
    scale = []

    def instead(pool: int, part: int, by: tuple[Floats, Floats], counts_for: float, free: int) -> None:
        changed = counts.copy()
        changed[pool] = by[0]
        r.without.append((changed, histograms - own[pool][1] + by[1]))
        r.parts.append((pool, part))
        r.free[pool, part] = free
        scale.append(counts_for)

    for pool, parts in members.items():
        for part, groups in parts.items():
            many = len(groups)
            for left_out in groups if many > 1 else ():
                weights = _weights(s, parts)
                weights[groups] *= many / (many - 1)
                weights[left_out] = 0.0
                instead(pool, part, _of_pool(s, pool, weights), (many - 1) / many, many - 1)
        for tier in range(len(s.tiers)) if s.known is not None else ():
            moved = _wanders(s, pool, parts.get(0, []), tier)
            if moved > 0:
                c, h = own[pool][0].copy(), own[pool][1].copy()
                c[tier] *= 1 + moved
                h[tier] *= 1 + moved
                instead(pool, -1 - tier, (c, h), 1.0, max(len(parts[0]) - 1, 1))
    return _Replicates(r.whole, r.without, r.parts, np.array(scale), r.free)


def _weights(s: Sample, parts: dict[int, list[int]]) -> Floats:
    weights = np.zeros(len(s.groups))
    for groups in parts.values():
        weights[groups] = 1.0
    return weights


def _of_pool(s: Sample, pool: int, weights: Floats) -> tuple[Floats, Floats]:
    """Counts [tier, field] and histograms of a pool, its groups counting by these weights."""
    used = np.flatnonzero(weights)
    factor = _known_over_found(s, pool, weights @ s.wanted_s)
    counts = np.tensordot(weights[used], s.counts[used], 1) * factor[:, None]
    return counts, np.tensordot(weights[used], s.histograms[used], 1) * factor[:, None, None]


def _known_over_found(s: Sample, pool: int, found: Floats) -> Floats:
    """What people want over what those looked at say that they want, by tier; 1 where either is 0."""
    if s.known is None:
        return np.ones(len(s.tiers))
    known = s.known.wanted_s[pool]
    factor: Floats = np.divide(known, found, out=np.ones(len(known)), where=(known > 0) & (found > 0))
    return factor


def _wanders(s: Sample, pool: int, groups: list[int], tier: int) -> float:
    """Standard deviation of what all cells of a pool want, over what is known to be expected of them.

    Each of n groups says N / n times what its cell wants, so what N cells want together has n^2 / N times the variance
    of the groups.
    """
    assert s.known is not None
    known = float(s.known.wanted_s[pool, tier])
    if known <= 0 or len(groups) < 2:
        return 0.0
    n, cells = len(groups), s.known.cells[pool]
    return float(np.std(s.wanted_s[groups, tier], ddof=1) * n / np.sqrt(cells) / known)


def apart(samples: Sequence[Sample], of: Figure) -> Apart:
    """What the sampling leaves unknown of a figure, and how much what cells share moves it.

    samples: of one setting with several seeds of what fails (`Setting.shocks`), the same looks and people in each.
    Between seeds a figure also moves because few cells are looked at and their own nodes fail; how much so is told by
    the jackknife of its difference from the mean of all seeds, and taken off. Raises ValueError below two samples and
    where looks differ.
    """
    if len(samples) < 2 or any(s.groups != samples[0].groups for s in samples):
        raise ValueError(f"{len(samples)} samples; expected two or more with the same looks")
    every = [s.replicates() for s in samples]
    # of totals that are known to be expected nothing is said here: they are alike in all seeds
    groups = [i for i, (_, part) in enumerate(every[0].parts) if part >= 0]
    scale = every[0].scale[groups]
    values = np.array([of(*r.whole) for r in every])
    without = np.array([[of(*r.without[i]) for i in groups] for r in every]).reshape(len(samples), len(groups))
    off = without - values[:, None]
    own = off - off.mean(axis=0)
    many = len(samples)
    by_chance = float((own**2 @ scale).sum()) / (many - 1)
    shared = max(float(np.var(values, ddof=1)) - by_chance, 0.0)
    sampling = float(off.mean(axis=0) ** 2 @ scale)
    return Apart(float(values.mean()), float(np.sqrt(sampling)), float(np.sqrt(shared)))
