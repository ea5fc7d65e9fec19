"""A prepayment: a share of the whole fee paid at the start, set off evenly over some months."""

from __future__ import annotations

from collections.abc import Sequence


def set_off(prepaid_usd: float, months: float, fees_usd: Sequence[float]) -> tuple[float, ...]:
    """What each month's fee is lowered by. [USD]

    An even part each month; a part larger than the month's fee waits for the next, so no month's bill is below zero.
    """
    count = max(1, round(months))
    waiting, found = 0.0, []
    for i, fee in enumerate(fees_usd):
        waiting += prepaid_usd / count if i < count else 0.0
        used = min(waiting, max(fee, 0.0))
        waiting -= used
        found.append(used)
    return tuple(found)
