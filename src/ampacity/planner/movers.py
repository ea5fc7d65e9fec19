"""Which ranges move an answer most: what a user would have to learn to make it surer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.scenario.scenario import Scenario
from ampacity.scenario.worlds import ranges, values


@dataclass(frozen=True)
class Mover:
    """A range that moves the answer: its path, and the answer in its upper half of worlds over that in the lower."""

    path: str
    factor: float


def ranges_apart(s: Scenario) -> list[str]:
    """Paths of the ranges that are drawn apart: of those that share an unknown, the first."""
    found: dict[str, str] = {}
    for path, value in ranges(s):
        found.setdefault(value.together or path, path)
    return list(found.values())


def movers(s: Scenario, worlds: list[Scenario], moved: NDArray[np.float64]) -> tuple[Mover, ...]:
    """How much each range moves the answer, upper half of it over lower, the other ranges held equal.

    By linear regression of the answer's logarithm on the ranks of the ranges, those that go with the answer most first
    and no more than a fifth as many as there are worlds; effects under 3.5 standard errors, noise, are left out, and
    fewer than a hundred worlds tell nothing.
    """
    paths = ranges_apart(s)
    if len(moved) < 100 or np.median(moved) <= 0 or not paths:
        return ()
    # worlds in which nothing is carried count as a hundredth of the median: far down, but finite
    answer_log = np.log(np.maximum(moved, np.median(moved) / 100))
    numbers = [{path: value.value for path, value in values(w)} for w in worlds]
    drawn = np.array([[found[path] for path in paths] for found in numbers])
    ranks = drawn.argsort(axis=0, kind="stable").argsort(axis=0) / len(moved) - 0.5
    going_along = np.abs((answer_log - answer_log.mean()) @ ranks)
    chosen = np.argsort(-going_along, kind="stable")[: len(moved) // 5]
    design = np.column_stack([ranks[:, chosen], np.ones(len(moved))])
    effect = np.linalg.lstsq(design, answer_log, rcond=None)[0]
    residual = answer_log - design @ effect
    variance = float(residual @ residual) / (len(moved) - design.shape[1])
    error = np.sqrt(variance * np.diag(np.linalg.pinv(design.T @ design)))
    # the means of a range's halves lie half of it apart
    found = [Mover(paths[k], math.exp(effect[i] / 2)) for i, k in enumerate(chosen) if abs(effect[i]) > 3.5 * error[i]]
    return tuple(sorted(found, key=lambda m: -abs(math.log(m.factor))))
