"""How well the fit predicts what it has not seen: whole groups of measurements left out, and later months."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from ampacity.inference.fit import Fit, Rows, Table, fit, predicted
from ampacity.inference.offline import OfflinePoint
from ampacity.inference.published import Point
from ampacity.inference.work import Array

FOLDS = 8
SPLITS = ("in sample", "configuration left out", "model left out", "accelerator left out", "later months")
FORWARD_FROM = "2026-03"
"""The forward split fits what was measured before this month, and predicts the rest."""


@dataclass(frozen=True)
class Errors:
    """Errors of one split: predicted over measured, less one, of each point; NaN for points it does not predict.

    offline: of the throughput of the offline points.
    """

    split: str
    tpot: Array
    ttft: Array
    throughput: Array
    offline: Array


def validate(t: Table, whole: Fit) -> Iterator[Errors]:
    """The errors of every split of SPLITS, in turn. `whole` is the fit to all rows, from which the others start."""
    every: list[Point | OfflinePoint] = [*t.points, *t.offline]
    yield _errors(t, "in sample", predicted(t, whole))
    for split, folds in (
        (SPLITS[1], _folds([p.group for p in every], FOLDS)),
        (SPLITS[2], _folds([p.model for p in every], None)),
        (SPLITS[3], _folds([p.accelerator for p in every], None)),
        (SPLITS[4], _later([p.month for p in t.points] + [""] * len(t.offline))),
    ):
        found = np.full(len(t.measured), np.nan)
        for fold in np.unique(folds[folds >= 0]):
            left_out = folds == fold
            out = np.concatenate([left_out[: len(t.points)], left_out])
            seen = fit(t, np.flatnonzero(~out), start=None if split == SPLITS[4] else whole)
            found[out] = predicted(t, seen)[out]
        yield _errors(t, split, found)


def _errors(t: Table, split: str, predicted_s: Array) -> Errors:
    n = len(t.points)
    tokens = np.array([p.output_tokens for p in t.points], dtype=np.float64)

    def per_request(s: Array) -> Array:
        """Requests' duration; with a fixed number in flight, throughput is as one over it (Little's law). [s]"""
        return np.asarray(s[n : 2 * n] + (tokens - 1) * s[:n])

    return Errors(
        split,
        predicted_s[:n] / t.measured[:n] - 1,
        predicted_s[n : 2 * n] / t.measured[n : 2 * n] - 1,
        per_request(t.measured) / per_request(predicted_s) - 1,
        t.measured[2 * n :] / predicted_s[2 * n :] - 1,
    )


def _folds(groups: list[str], folds: int | None) -> Rows:
    """Fold of each row: a group's own, or one of so many by a hash of its name."""
    if folds is None:
        return np.unique(groups, return_inverse=True)[1]
    return np.array([crc32(g.encode()) % folds for g in groups])


def _later(months: list[str]) -> Rows:
    """One fold: what was measured in or after FORWARD_FROM. Rows without a month are only ever fitted to."""
    return np.array([0 if m >= FORWARD_FROM and m else -1 for m in months])
