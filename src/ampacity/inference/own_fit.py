"""The fit of a calibration to one's own measured loads: shifts of the catalog's coefficients, with strong shrinkage.

Two shifts are cheap: one of every path of an iteration, and one of all else that a first token waits for. What single
paths differ from that is drawn to zero hard, so that three loads move everything together and fifty tell paths apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ampacity.inference.coefficients import shifted
from ampacity.inference.own_loads import ALL_PATHS, TTFT, Loads, predicted, spent
from ampacity.inference.robust_fit import Ridge, minimized
from ampacity.inference.work import EFFICIENCIES, PATHS, Array

SHIFTS = ("all", "first", *ALL_PATHS)
PULL_TOGETHER = 0.03
PULL_PATH = 0.1
"""What a squared shift costs, in units of a squared relative error of one load: repeats of a measurement differ by some
6 %, engines and accelerators of the catalog by some 25 % together and some 10 % in a single path."""
LARGEST = 5.0
_IS_FIRST = np.array([path not in PATHS for path in ALL_PATHS])
_IS_EFFICIENCY = np.array([path in EFFICIENCIES for path in ALL_PATHS])


@dataclass(frozen=True)
class OwnFit:
    """shifts: in the order of SHIFTS. before, after, left_out: predictions of every number of the loads [s], with the
    catalog's costs, with the shifts, and with the shifts fitted to the other loads (NaN if there are none)."""

    shifts: Array
    before: Array
    after: Array
    left_out: Array


def own_fit(t: Loads, catalog: Array) -> OwnFit:
    """Fit the shifts of the catalog's costs of ALL_PATHS, and leave out one load after another."""
    every = np.ones(len(t.measured), dtype=bool)
    shifts = _fit(t, catalog, every, np.zeros(len(SHIFTS)))
    left_out = np.full(len(t.measured), np.nan)
    for i in np.unique(t.load) if len(np.unique(t.load)) > 1 else ():
        others = _fit(t, catalog, t.load != i, shifts)
        left_out[t.load == i] = predicted(t, shifted_costs(catalog, others))[t.load == i]
    return OwnFit(shifts, predicted(t, catalog), predicted(t, shifted_costs(catalog, shifts)), left_out)


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


def _fit(t: Loads, catalog: Array, rows: Array, start: Array) -> Array:
    """The shifts that fit some of the loads best, drawn to none."""
    pull = np.array([PULL_TOGETHER] * 2 + [PULL_PATH] * len(ALL_PATHS))

    def residuals(x: Array) -> tuple[Array, Array]:
        residual, jacobian = _residuals(t, catalog, x)
        return residual[rows], jacobian[rows]

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
