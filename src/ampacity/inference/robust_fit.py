"""Least squares on logarithms in which outliers count linearly (soft L1), by damped Gauss-Newton steps.

Weights are renewed at each step from the residuals (iteratively reweighted); a ridge draws parameters to a prior.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ampacity.inference.work import Array

OUTLIER = 0.1
"""Relative error from which on a row counts linearly."""
LEAST_GAIN = 1e-7
"""Relative gain of a step below which the search ends."""


@dataclass(frozen=True)
class Ridge:
    """What draws each parameter where: pull times its squared distance from the prior is added to the loss."""

    prior: Array
    pull: Array


def minimized(
    residuals: Callable[[Array], tuple[Array, Array]],
    weight: Array,
    ridge: Ridge,
    start: Array,
    *,
    longest: float,
    largest: float = np.inf,
    steps: int = 100,
) -> Array:
    """The parameters of least loss.

    residuals: of parameters, the residual of every row (n,) and its derivatives (n, m). weight: of every row.
    longest: step of one parameter; largest: its absolute value.
    """

    def at(x: Array) -> tuple[float, Array, Array]:
        residual, jacobian = residuals(x)
        soft = 2 * OUTLIER**2 * (np.sqrt(1 + (residual / OUTLIER) ** 2) - 1)
        return float((weight * soft).sum() + (ridge.pull * (x - ridge.prior) ** 2).sum()), residual, jacobian

    x, damping = start.copy(), 1e-2
    loss, residual, jacobian = at(x)
    for _ in range(steps):
        w = weight / np.sqrt(1 + (residual / OUTLIER) ** 2)
        weighted = jacobian * w[:, None]
        curvature = weighted.T @ jacobian + np.diag(ridge.pull)
        slope = weighted.T @ residual + ridge.pull * (x - ridge.prior)
        for _ in range(8):
            step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature) + 1e-6), -slope)
            tried = np.clip(x + np.clip(step, -longest, longest), -largest, largest)
            better = at(tried)
            if better[0] < loss:
                break
            damping *= 4
        else:
            break
        gain = loss - better[0]
        x, (loss, residual, jacobian) = tried, better
        damping = max(damping / 4, 1e-7)
        if gain < LEAST_GAIN * loss:
            break
    return x
