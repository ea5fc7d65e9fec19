"""Service credits: a part of a month's fee that comes back when the month's availability was too low."""

from __future__ import annotations

from collections.abc import Sequence

from ampacity.scenario.clauses import ServiceCredit
from ampacity.supply.ramp import Array


def availability(due_s: Array, there_s: Array) -> float:
    """Accelerator-seconds there over those due in a month; 1 where none was due. [0 to 1]"""
    due = float(due_s.sum())
    return float(there_s.sum()) / due if due > 0 else 1.0


def credit_share(table: Sequence[ServiceCredit], available: float) -> float:
    """Share of the month's fee that comes back: the largest credit of all lines that were missed. [0 to 1]"""
    return max((line.credit.value for line in table if available < line.availability_below.value - 1e-12), default=0.0)
