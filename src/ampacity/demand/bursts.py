"""Arrivals that come in bursts, such as an editor's completions: no renewal law follows them.

A burst is a run of requests whose gaps stay below a second. Bursts differ in size and in pace; gaps inside and between
them have laws of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ampacity.demand import draws
from ampacity.demand.mixture import Mixture, fit_mixture

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BurstLaw:
    """size: requests of a burst. inside: gaps in it [s]. alike: spread of bursts' own normal scores of these gaps, 0 to
    below 1. between: from the last request of a burst to the first of the next [s]. split_s: what parts them [s]."""

    size: Mixture
    inside: Mixture
    alike: float
    between: Mixture
    split_s: float


def fit_bursts(t_s: Floats, split_s: float = 1.0) -> BurstLaw:
    """The law of rising times; gaps over `split_s` part bursts. Raises ValueError below 20 bursts."""
    from scipy.stats import rankdata  # 0.4 s, which planning does without

    gap = np.maximum(np.diff(np.sort(t_s)), 1e-6)
    ends = np.flatnonzero(gap > split_s)
    if len(ends) < 20:
        raise ValueError(f"found {len(ends) + 1} bursts; a fit needs at least 20")
    size = np.diff(np.concatenate([[-1], ends, [len(gap)]]))
    inner = gap <= split_s
    burst = np.repeat(np.arange(len(size)), size)[: len(gap)][inner]
    score = ndtri((rankdata(gap[inner]) - 0.5) / inner.sum())
    number = np.bincount(burst, minlength=len(size))
    mean = np.bincount(burst, score, minlength=len(size)) / np.maximum(number, 1)
    variance = float(np.sum((score - mean[burst]) ** 2) / max(np.sum(np.maximum(number - 1, 0)), 1))
    # of the variance between bursts, weighted by their gaps, the part that single gaps alone would cause is taken away
    between = float(np.average(mean**2, weights=number)) - variance * np.count_nonzero(number) / number.sum()
    return BurstLaw(
        size=fit_mixture(size, 2),
        inside=fit_mixture(gap[inner], 4),
        alike=float(np.sqrt(np.clip(between, 0.0, 0.95))),
        between=fit_mixture(gap[~inner], 3),
        split_s=split_s,
    )


def bursts(law: BurstLaw, seed: int, number: int) -> Floats:
    """Times of the requests of so many bursts, the first at 0. [s]"""
    who = np.arange(number)
    size = np.maximum(np.rint(law.size.at(draws.normal(seed, "burst size", who))), 1).astype(np.int64)
    owner = np.repeat(who, size)
    order = np.arange(len(owner)) - np.repeat(np.cumsum(size) - size, size)
    score = law.alike * draws.normal(seed, "burst pace", who)[owner]
    score += np.sqrt(1 - law.alike**2) * draws.normal(seed, "burst gap", owner, order)
    begin = law.between.at(draws.normal(seed, "burst break", owner))
    gap = np.where(order == 0, begin, np.minimum(law.inside.at(score), law.split_s))
    gap[0] = 0.0
    return np.asarray(np.cumsum(gap))
