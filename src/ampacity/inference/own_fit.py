"""The fit of a calibration to one's own measured loads: shifts of the catalog's coefficients, with strong shrinkage.

Two shifts are cheap: one of every path of an iteration, and one of all else that a first token waits for. What single
paths differ from that is drawn to zero hard, so that three loads move everything together and fifty tell paths apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.inference.coefficients import ALL_PATHS, FIRST, shifted
from ampacity.inference.own_loads import TTFT, Loads, predicted, spent
from ampacity.inference.robust_fit import Ridge, minimized
from ampacity.inference.work import EFFICIENCIES, PATHS, Array

SHIFTS = ("all", "first", *ALL_PATHS)
PULL_TOGETHER = 0.03
PULL_PATH = 0.1
"""What a squared shift costs, in units of a squared relative error of one load: repeats of a measurement differ by some
6 %, engines and accelerators of the catalog by some 25 % together and some 10 % in a single path."""
LARGEST = 5.0
_IS_FIRST = np.array([path not in PATHS for path in ALL_PATHS])
_IS_FIRST_SHIFT = np.array([name == "first" or name in FIRST for name in SHIFTS])
_IS_EFFICIENCY = np.array([path in EFFICIENCIES for path in ALL_PATHS])


@dataclass(frozen=True)
class OwnFit:
    """shifts: in the order of SHIFTS. before, after, left_out: predictions of every number of the loads [s], with the
    catalog's costs, with the shifts, and with the shifts fitted to the other loads (NaN if there are none).
    kept: parts that stay as the catalog has them, since a fit to the other loads predicted them worse: for each whether
    it is the first token, and the median error that the fit would have had."""

    shifts: Array
    before: Array
    after: Array
    left_out: Array
    kept: tuple[tuple[bool, float], ...] = ()


def own_fit(t: Loads, catalog: Array) -> OwnFit:
    """Fit the shifts of the catalog's costs of ALL_PATHS, leaving alone what the fit would only make worse.

    One load after another is left out. If the others predict its TPOT (and throughput) or its TTFT worse than the
    catalog does, in the median, the shifts of that part stay zero and the other part is fitted once more.
    """
    free = np.ones(len(SHIFTS), dtype=bool)
    kept: list[tuple[bool, float]] = []
    while True:
        found = _fitted(t, catalog, free)
        worse = [(ttft, error) for ttft in (False, True) if (error := _worse_by_fit(t, found, ttft)) is not None]
        held = [(ttft, error) for ttft, error in worse if (free & (ttft == _IS_FIRST_SHIFT)).any()]
        if not held:
            return OwnFit(found.shifts, found.before, found.after, found.left_out, tuple(kept))
        kept += held
        for ttft, _ in held:
            free &= ttft != _IS_FIRST_SHIFT


def _fitted(t: Loads, catalog: Array, free: NDArray[np.bool_]) -> OwnFit:
    """The fit of the free shifts, and of each load by the others."""
    every = np.ones(len(t.measured), dtype=bool)
    shifts = _fit(t, catalog, every, np.zeros(len(SHIFTS)), free)
    left_out = np.full(len(t.measured), np.nan)
    for i in np.unique(t.load) if len(np.unique(t.load)) > 1 else ():
        others = _fit(t, catalog, t.load != i, shifts, free)
        left_out[t.load == i] = predicted(t, shifted_costs(catalog, others))[t.load == i]
    return OwnFit(shifts, predicted(t, catalog), predicted(t, shifted_costs(catalog, shifts)), left_out)


def _worse_by_fit(t: Loads, f: OwnFit, ttft: bool) -> float | None:
    """The median error of loads left out of the fit, if it is above the catalog's; None if not, or if unknown."""
    before, left_out = median_error(t, f.before, ttft), median_error(t, f.left_out, ttft)
    return left_out if before is not None and left_out is not None and left_out > before else None


def shifted_costs(catalog: Array, shifts: Array) -> Array:
    """Costs of ALL_PATHS after the shifts."""
    own = _own(shifts)
    return np.array([shifted(c, d, e) for c, d, e in zip(catalog, own, _IS_EFFICIENCY, strict=True)])


def median_error(t: Loads, predicted_s: Array, ttft: bool) -> float | None:
    """Median error of TTFT, or of TPOT and what stands for it; None if no load has it or it is not predicted."""
    own = (t.kind == TTFT) == ttft
    found = np.abs(predicted_s[own] / t.measured[own] - 1)
    found = found[~np.isnan(found)]
    return float(np.median(found)) if len(found) else None


def _own(shifts: Array) -> Array:
    """The shift of each path: its own on top of that of its kind."""
    return np.asarray(np.where(_IS_FIRST, shifts[1], shifts[0]) + shifts[2:])


def _fit(t: Loads, catalog: Array, rows: Array, start: Array, free: NDArray[np.bool_]) -> Array:
    """The free shifts that fit some of the loads best, drawn to none; the others stay at the start."""
    pull = np.array([PULL_TOGETHER] * 2 + [PULL_PATH] * len(ALL_PATHS))

    def residuals(x: Array) -> tuple[Array, Array]:
        residual, jacobian = _residuals(t, catalog, x)
        return residual[rows], jacobian[rows] * free

    ridge = Ridge(np.zeros_like(start), pull)
    return minimized(residuals, t.weight[rows], ridge, start, longest=1.0, largest=LARGEST)


def _residuals(t: Loads, catalog: Array, x: Array) -> tuple[Array, Array]:
    """Residual of every number, and its derivatives by the shifts."""
    cost = shifted_costs(catalog, x)
    at, counts = spent(t, cost)
    n = len(t.measured)
    total = np.bincount(t.row, (at * counts).sum(axis=1), n)
    own = _own(x)
    logarithm = np.maximum(np.log(np.maximum(catalog, 1e-300)), 1e-9)
    slope = np.where(_IS_EFFICIENCY & (own < 0), np.exp(np.minimum(own, 0) / logarithm), 1.0)
    by_path = np.stack([np.bincount(t.row, column, n) for column in (at * counts * slope).T], axis=1) / total[:, None]
    together = np.stack([by_path[:, ~_IS_FIRST].sum(axis=1), by_path[:, _IS_FIRST].sum(axis=1)], axis=1)
    residual = np.log(total / t.measured)
    return residual, np.concatenate([together, by_path], axis=1)
