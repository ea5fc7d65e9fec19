"""A number with its 90 % interval over worlds: one spelling of what every answer states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ENDS = (0.05, 0.95)


@dataclass(frozen=True)
class Interval:
    """A number at the stated values of all ranges, and the ends of its 90 % interval over all worlds."""

    value: float
    low: float
    high: float


def interval(numbers: Sequence[float], value: float | None = None) -> Interval:
    """The 90 % interval of a number over worlds, one entry each, at least one; any unit.

    value: at the stated values; by default that of the first world, which is the one at the stated values.
    """
    low, high = np.quantile(np.asarray(numbers, dtype=np.float64), ENDS)
    return Interval(float(numbers[0]) if value is None else value, float(low), float(high))
