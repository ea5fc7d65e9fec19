"""The fit of an iteration's coefficients to measured points: least squares on the logarithm, with shrinkage.

Every point's TPOT and TTFT, and the time per token of an offline one, are a sum over the paths of an iteration, each an
ideal time times a cost whose logarithm is a sum of shifts (see `coefficients.py`). Shifts of engines, accelerators,
versions and precisions are drawn towards zero, the harder the more of them there are, so that what a few rows say does
not travel far. Outliers count linearly (soft L1). Nothing is drawn at random, so the same rows give the same
coefficients up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ampacity.inference.coefficients import ALL_PATHS, FACTORS, PRECISION_PATHS, first_at
from ampacity.inference.compositions import condensed
from ampacity.inference.engines import mixes, token_budget
from ampacity.inference.loop import Protocol, schedule
from ampacity.inference.offline import ENGINE, VERSION, OfflinePoint, busiest_iteration, replica_of
from ampacity.inference.published import Point
from ampacity.inference.replica import replica, usual_kv
from ampacity.inference.robust_fit import Ridge, minimized
from ampacity.inference.work import EFFICIENCIES, PAIRS, PATHS, Array, ideal
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model

Rows = NDArray[np.int64]
PULL = {"all": 0.003, "engine": 0.1, "accelerator": 0.2, "version": 1.0, "precision": 0.2}
"""Shrinkage of a factor's shifts: what a squared shift costs, in units of a squared relative error of one row."""
START = (0.8, 0.6, 0.6, 0.5, 0.5, 0.3, 0.4, 0.5, 2.5, 8.0, 8.0, 6.0, 0.5, 40.0, 10.0, 0.3)
"""Where the fit starts and where little data leaves it: efficiencies, then costs in the paths' own units."""
TTFT_WEIGHT = 0.2
"""Of a row's TTFT against its TPOT: queues make it much noisier."""
OFFLINE_WEIGHT = 3.0
"""Of an offline throughput against one row's TPOT: there are few."""


@dataclass(frozen=True)
class Table:
    """Points as sums over typical iterations.

    at: ideal time or count of each path [s], a row an iteration, weighted. row: of which measured number (points' TPOT
    first, then their TTFT, then the time per token of the offline ones). measured: those numbers [s]. weight: of each.
    level: of each number, by factor, the index into `levels`.
    """

    points: tuple[Point, ...]
    offline: tuple[OfflinePoint, ...]
    at: Array
    row: Rows
    measured: Array
    weight: Array
    level: dict[str, Rows]
    levels: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Fit:
    """Shifts in the order of `parameters`."""

    shifts: Array


def table(points: Sequence[Point], offline: Sequence[OfflinePoint] = ()) -> Table:
    """Run the protocol of every point and lay out what its numbers are sums of."""
    n, m = len(points), len(offline)
    blocks, rows = [], []
    for i, point in enumerate(points):
        first = np.zeros((1, len(ALL_PATHS)))
        first[0, len(PATHS) :] = first_at(point.input_tokens, point.concurrency)
        decode, wait = _typical(point)
        blocks += [decode, wait, first]
        rows += [i] * len(decode) + [n + i] * (len(wait) + 1)
    for i, full in enumerate(offline):
        r = replica_of(full)
        b, k, p, a = busiest_iteration(full, r)
        block = np.zeros((1, len(ALL_PATHS)))
        block[0, : len(PATHS)] = ideal(r, b, k, p, a) * r.accelerators / b
        blocks.append(block)
        rows.append(2 * n + i)
    level, levels = _levels(points, offline)
    return Table(
        points=tuple(points),
        offline=tuple(offline),
        at=np.concatenate(blocks),
        row=np.array(rows),
        measured=np.array(
            [p.tpot_s for p in points] + [p.ttft_s for p in points] + [p.seconds_per_token for p in offline]
        ),
        weight=np.repeat([1.0, TTFT_WEIGHT, OFFLINE_WEIGHT], [n, n, m]),
        level=level,
        levels=levels,
    )


def _levels(
    points: Sequence[Point], offline: Sequence[OfflinePoint]
) -> tuple[dict[str, Rows], dict[str, tuple[str, ...]]]:
    """Level of each measured number, and the levels there are, by factor."""
    n, m = len(points), len(offline)
    every: list[Point | OfflinePoint] = [*points, *offline]
    names = {
        "all": ["all"] * (n + m),
        "engine": [p.engine for p in points] + [ENGINE] * m,
        "accelerator": [p.accelerator for p in every],
        "version": [f"{p.engine} {p.version}" for p in points] + [f"{ENGINE} {VERSION}"] * m,
        "precision": [p.precision for p in every],
    }
    level, levels = {}, {}
    for factor in FACTORS:
        found, index = np.unique(names[factor], return_inverse=True)
        level[factor] = np.concatenate([index[:n], index])
        levels[factor] = tuple(str(x) for x in found)
    return level, levels


def parameters(t: Table) -> list[tuple[str, str, str]]:
    """Path, factor and level of every shift."""
    return [(path, factor, level) for path in ALL_PATHS for factor in _factors(path) for level in t.levels[factor]]


def predicted(t: Table, f: Fit) -> Array:
    """TPOT, then TTFT, of every point, then time per token of the offline ones. [s]"""
    return _total(t, f.shifts)[0]


def fit(t: Table, rows: Rows | None = None, start: Fit | None = None) -> Fit:
    """Fit the shifts to some of a table's numbers, all by default."""
    rows = np.arange(len(t.measured)) if rows is None else rows
    ridge = _ridge(t)

    def residuals(theta: Array) -> tuple[Array, Array]:
        total, jacobian = _total(t, theta)
        return np.log(total / t.measured)[rows], (jacobian / total[:, None])[rows]

    begin = ridge.prior if start is None else start.shifts
    return Fit(minimized(residuals, t.weight[rows], ridge, begin, longest=2.0))


def _factors(path: str) -> tuple[str, ...]:
    return FACTORS if path in PRECISION_PATHS else FACTORS[:-1]


def _ridge(t: Table) -> Ridge:
    """Where shifts start, and how hard they are drawn there."""
    prior, pull = [], []
    for path, begin in zip(ALL_PATHS, START, strict=True):
        for factor in _factors(path):
            count = len(t.levels[factor])
            at = np.log(1 / begin - 1) if path in EFFICIENCIES else np.log(begin)
            prior += [at if factor == "all" else 0.0] * count
            pull += [PULL[factor]] * count
    return Ridge(np.array(prior), np.array(pull))


def _total(t: Table, theta: Array) -> tuple[Array, Array]:
    """Every number of the table, and its derivative by every shift."""
    n = len(t.measured)
    spent, change, spans = [], [], []
    first = 0
    for i, path in enumerate(ALL_PATHS):
        u = np.zeros(n)
        own = []
        for factor in _factors(path):
            own.append((first, t.level[factor]))
            u += theta[first + t.level[factor]]
            first += len(t.levels[factor])
        e = np.exp(np.clip(u, -20, 20))[t.row]
        spent.append(t.at[:, i] * (1 + e if path in EFFICIENCIES else e))
        change.append(t.at[:, i] * e)
        spans.append(own)
    for memory, compute in PAIRS:
        longer = spent[memory] >= spent[compute]
        for i, counts in ((memory, longer), (compute, ~longer)):
            spent[i], change[i] = spent[i] * counts, change[i] * counts
    jacobian = np.zeros((n, len(theta)))
    every = np.arange(n)
    for own, d in zip(spans, change, strict=True):
        by_row = np.bincount(t.row, d, n)
        for begin, level in own:
            jacobian[every, begin + level] += by_row
    return np.asarray(np.bincount(t.row, np.sum(spent, axis=0), n), dtype=np.float64), jacobian


def _typical(point: Point) -> tuple[Array, Array]:
    """Ideal times by path of a point's typical iterations, weighted: those that add up to TPOT, and to TTFT."""
    model, chip, kv = catalog_model(point.model), catalog_accelerator(point.accelerator), usual_kv(point.precision)
    r = replica(model, chip, point.precision, kv, point.layout, point.engine)
    found = []
    for typical in _condensed(point.concurrency, point.input_tokens, point.output_tokens, point.engine, point.steady):
        block = np.zeros((len(typical), len(ALL_PATHS)))
        block[:, : len(PATHS)] = ideal(r, *typical[:, :4].T).T * typical[:, 4:]
        found.append(block)
    return found[0], found[1]


def protocol(concurrency: int, input_tokens: int, output_tokens: int, engine: str) -> Protocol:
    """The protocol of a published point: a burst of as many requests as may be in flight, ten times that in all."""
    return Protocol(
        concurrency=concurrency,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        per_slot=10 if concurrency <= 512 else 4,
        mixed=mixes(engine),
        token_budget=token_budget(engine),
    )


@cache
def _condensed(concurrency: int, inputs: int, outputs: int, engine: str, steady: bool) -> tuple[Array, Array]:
    s = schedule(protocol(concurrency, inputs, outputs, engine))
    tpot, ttft, _ = condensed(s, skip=concurrency if steady else 0)
    return tpot, ttft
