"""The time of one iteration: a sum over kernel groups of the longer of memory and compute, plus overheads.

For a fixed composition of the batch it is piecewise linear in the context, and `lines` lists the pieces in whole
picoseconds, so that an engine can sum many iterations without stepping through them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ampacity.inference.coefficients import Coefficients, coefficients
from ampacity.inference.replica import Replica
from ampacity.inference.work import (
    COMPUTE,
    DENSE_COMPUTE,
    MEMORY,
    PAIRS,
    Array,
    decode_attention_s,
    ideal,
    prompt_products_s,
)
from ampacity.scenario.calibration import Calibration

PS = 1e12


@dataclass(frozen=True)
class Line:
    """From `from_k` tokens of context in total on, an iteration takes base_ps + slope_ps x (k - from_k)."""

    from_k: int
    base_ps: int
    slope_ps: int


@dataclass(frozen=True)
class StepTime:
    """Iterations of one replica. speed: how much faster than the coefficients say [> 0]."""

    replica: Replica
    coefficients: Coefficients
    speed: float = 1.0

    def seconds(self, b: ArrayLike, k: ArrayLike, p: ArrayLike = 0.0, a: ArrayLike = 0.0) -> Array:
        """Time of iterations; arguments as in `work.py`, broadcast. [s]"""
        at = ideal(self.replica, b, k, p, a)
        if not self.coefficients.prompts_beside_reading:
            return summed(at, self.coefficients) / self.speed
        beside = prompt_products_s(self.replica, p)
        at[DENSE_COMPUTE] -= beside
        return (summed(at, self.coefficients) + beside * self.coefficients.cost[DENSE_COMPUTE]) / self.speed

    def roofline(self, b: ArrayLike, k: ArrayLike, p: ArrayLike = 0.0, a: ArrayLike = 0.0) -> tuple[Array, Array]:
        """Least time that the same work takes on perfect chips: all arithmetic at peak, all bytes at bandwidth. [s]"""
        at = ideal(self.replica, b, k, p, a)
        return at[list(COMPUTE)].sum(axis=0), at[list(MEMORY)].sum(axis=0)

    def lines(self, b: int, p: int = 0, a: float = 0.0) -> tuple[Line, ...]:
        """The pieces of an iteration's time in its context `k`, for `b` decoding sequences and a fixed prefill."""
        starts = self._breakpoints(b)
        ends = [*starts[1:], 2 * starts[-1] + 1_000_000]
        at = self.seconds(b, np.array([*starts, *ends], dtype=np.float64), p, a)
        found = []
        for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
            slope = (at[len(starts) + i] - at[i]) / (end - start)
            found.append(Line(start, round(at[i] * PS), round(slope * PS)))
        return tuple(found)

    def iteration_ps(self, b: int, k: int, p: int = 0, a: float = 0.0) -> int:
        """Time of one iteration in whole picoseconds, from the pieces."""
        line = next(line for line in reversed(self.lines(b, p, a)) if k >= line.from_k)
        return line.base_ps + line.slope_ps * (k - line.from_k)

    def _breakpoints(self, b: int) -> list[int]:
        """Contexts where the time bends: windows full, sparse reading full, compute passing memory or back."""
        m, cost = self.replica.model, self.coefficients.cost
        bends = {0, b * m.window_tokens, b * m.sparse_tokens}
        knots = np.array(sorted({*bends, 2 * max(bends) + 100_000_000}), dtype=np.float64)
        memory, compute = decode_attention_s(self.replica, np.full_like(knots, float(b)), knots)
        gap = memory * cost[PAIRS[2][0]] - compute * cost[PAIRS[2][1]]
        for i in np.flatnonzero(gap[:-1] * gap[1:] < 0):
            bends.add(int(np.ceil(knots[i] + (knots[i + 1] - knots[i]) * gap[i] / (gap[i] - gap[i + 1]))))
        return sorted(bends)


def step_time(r: Replica, speed: float = 1.0, calibration: Calibration | None = None) -> StepTime:
    """The step time of a replica with the catalog's coefficients, shifted by a calibration if there is one."""
    return StepTime(r, coefficients(r.engine, r.chip, r.vendor, r.precision, calibration=calibration), speed)


def summed(at: Array, c: Coefficients) -> Array:
    """Time of iterations from their ideal times and the costs of the paths. [s]"""
    cost = np.asarray(c.cost)
    spent = at * cost.reshape(*cost.shape, *([1] * (at.ndim - cost.ndim)))
    groups = sum(np.maximum(spent[memory], spent[compute]) for memory, compute in PAIRS)
    return np.asarray(groups + spent[6:].sum(axis=0))
