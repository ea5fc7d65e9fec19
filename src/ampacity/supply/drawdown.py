"""A commitment to spend: drawn down by what is spent, what is missing at its end is due then, and may roll over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Drawdown:
    """What is left of a commitment after each month of its window, and what is missing at its end. [USD]"""

    left_usd: tuple[float, ...]
    shortfall_usd: float


def drawdown(spent_usd: Sequence[float], total_usd: float) -> Drawdown:
    """Draw monthly spending down from a total. Spending beyond the total is spending, not credit."""
    left, found = total_usd, []
    for spent in spent_usd:
        left = max(left - spent, 0.0)
        found.append(left)
    return Drawdown(tuple(found), left)


def rolled_over(fees_usd: Sequence[float], credit_usd: float) -> tuple[float, ...]:
    """What each later month's fee is lowered by, until a credit is used up; never more than the fee. [USD]"""
    found = []
    for fee in fees_usd:
        used = min(max(fee, 0.0), credit_usd)
        credit_usd -= used
        found.append(used)
    return tuple(found)
