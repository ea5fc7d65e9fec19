"""Mixtures of log-normal laws: the one family that lengths, gaps and counts of sessions are described by.

A few components follow a measured distribution to a Kolmogorov distance of about 0.02 and name no person's tokens.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from ampacity.base.compiled import compiled

Floats = NDArray[np.float64]

BINS = 2048
ROUNDS = 400
NARROWEST = 0.05
"""Least sd of a component's logarithm: without it one component could shrink onto a value that many rows share."""
_GRID = 8192
_PLACES = 16384
"""Evenly spaced scores from which the search for others begins."""


@dataclass(frozen=True)
class Mixture:
    """A mixture of log-normal laws, by its parameters.

    weight: of each component, sums to 1. mu, sigma: mean and standard deviation of the logarithm. least, most: values
    outside are moved to the nearer of the two, since a fitted tail must not run beyond anything that was ever seen.
    """

    weight: tuple[float, ...]
    mu: tuple[float, ...]
    sigma: tuple[float, ...]
    least: float = 0.0
    most: float = float("inf")

    def cdf(self, x: ArrayLike) -> Floats:
        """Probability of a value up to x > 0, before values are moved inside `least` and `most`."""
        return self._log_cdf(np.log(np.asarray(x, dtype=np.float64)))

    def at(self, z: ArrayLike) -> Floats:
        """The value that a standard normal score stands for, by interpolation of the exact distribution."""
        scores, logs = self._scores
        wanted = np.asarray(z, dtype=np.float64)
        if "numba" in sys.modules and wanted.ndim == 1:  # a compiler is loaded: the same bytes in less time
            found = np.empty(len(wanted))
            _kernel().read_off(wanted, scores, logs, self._places, found)
        else:
            found = np.interp(wanted, scores, logs)
        return np.clip(np.exp(found), self.least, self.most)

    def table(self, size: int = 65_536) -> Floats:
        """Values at the middles of `size` equal shares of probability, ascending."""
        return self.at(ndtri((np.arange(size) + 0.5) / size))

    @property
    def mean(self) -> float:
        """The mean of the law, its bounds included, to 1e-4."""
        return float(self.table(1 << 18).mean())

    @property
    def median(self) -> float:
        """The value that half of the draws stay below."""
        return float(self.at(0.0))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a file, rounded to five digits."""
        lists = {name: [_rounded(v) for v in getattr(self, name)] for name in ("weight", "mu", "sigma")}
        most = {} if self.most == float("inf") else {"most": _rounded(self.most)}
        return {**lists, "least": _rounded(self.least), **most}

    @classmethod
    def of(cls, content: dict[str, Any]) -> Self:
        """The mixture that `as_dict` wrote; weights that were rounded sum to one again."""
        lists = {name: tuple(float(v) for v in content[name]) for name in ("weight", "mu", "sigma")}
        lists["weight"] = tuple(w / sum(lists["weight"]) for w in lists["weight"])
        return cls(**lists, least=float(content.get("least", 0.0)), most=float(content.get("most", "inf")))

    def _log_cdf(self, log_x: Floats) -> Floats:
        standard = (log_x[..., None] - np.array(self.mu)) / np.array(self.sigma)
        return np.asarray(ndtr(standard) @ np.array(self.weight))

    @cached_property
    def _scores(self) -> tuple[Floats, Floats]:
        """Normal scores of a fine grid of logarithms; beyond 8.2 sd a score is not representable and not needed."""
        low = min(m - 8 * s for m, s in zip(self.mu, self.sigma, strict=True))
        high = max(m + 8 * s for m, s in zip(self.mu, self.sigma, strict=True))
        logs = np.linspace(low, high, _GRID)
        scores = ndtri(np.clip(self._log_cdf(logs), 1e-300, 1 - 1e-16))
        keep = np.concatenate([[True], np.diff(np.maximum.accumulate(scores)) > 0])
        return scores[keep], logs[keep]

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """Of evenly spaced scores the last one of the grid that is not larger."""
        scores, _ = self._scores
        even = np.linspace(scores[0], scores[-1], _PLACES)
        return np.maximum(np.searchsorted(scores, even, side="right") - 1, 0).astype(np.int64)


@cache
def _kernel() -> ModuleType:
    return compiled(read_off)


def read_off(wanted: Any, scores: Any, logs: Any, places: Any, found: Any) -> None:
    """What `numpy.interp` finds, digit by digit; a search begins at the nearest of evenly spaced scores."""
    last = len(scores) - 1
    low, high = scores[0], scores[last]
    spacing = (high - low) / (len(places) - 1)
    for i in range(len(wanted)):
        z = wanted[i]
        if z != z:
            found[i] = z
        elif z <= low:
            found[i] = logs[0]
        elif z >= high:
            found[i] = logs[last]
        else:
            j = places[int((z - low) / spacing)]
            while scores[j] > z:
                j -= 1
            while scores[j + 1] <= z:
                j += 1
            slope = (logs[j + 1] - logs[j]) / (scores[j + 1] - scores[j])
            found[i] = slope * (z - scores[j]) + logs[j]


def fit_mixture(values: ArrayLike, components: int) -> Mixture:
    """The most likely mixture for values > 0, by expectation and maximization on 2,048 bins of their logarithm.

    It starts from equal slices of the sorted values, so the same values give the same mixture. Fewer components are
    used where there are fewer than 20 values for each. Raises ValueError without a positive value.
    """
    positive = np.asarray(values, dtype=np.float64)
    positive = positive[positive > 0]
    if len(positive) == 0:
        raise ValueError("no positive value to fit a distribution to")
    logs = np.sort(np.log(positive))
    k = max(1, min(components, len(logs) // 20))
    slices = np.array_split(logs, k)
    mu = np.array([s.mean() for s in slices])
    sigma = np.maximum([s.std() for s in slices], NARROWEST)
    weight = np.full(k, 1.0 / k)
    x, n = _binned(logs)
    for _ in range(ROUNDS):
        density = weight / sigma * np.exp(-0.5 * ((x[:, None] - mu) / sigma) ** 2)
        share = density / np.maximum(density.sum(axis=1, keepdims=True), 1e-300) * n[:, None]
        mass = np.maximum(share.sum(axis=0), 1e-9)
        moved = (share * x[:, None]).sum(axis=0) / mass
        sigma = np.maximum(np.sqrt((share * (x[:, None] - moved) ** 2).sum(axis=0) / mass), NARROWEST)
        still = bool(np.max(np.abs(moved - mu)) < 1e-6)
        weight, mu = mass / mass.sum(), moved
        if still:
            break
    order = np.argsort(mu)
    return Mixture(
        tuple(weight[order].tolist()),
        tuple(mu[order].tolist()),
        tuple(sigma[order].tolist()),
        float(positive.min()),
        float(positive.max()),
    )


def _binned(logs: Floats) -> tuple[Floats, Floats]:
    """Mean logarithm and count of each bin that holds a value."""
    if logs[-1] - logs[0] < 1e-12:
        return logs[:1], np.array([float(len(logs))])
    count, edges = np.histogram(logs, BINS)
    total, _ = np.histogram(logs, edges, weights=logs)
    used = count > 0
    return total[used] / count[used], count[used].astype(np.float64)


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
