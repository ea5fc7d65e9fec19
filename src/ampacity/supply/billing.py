"""What contracts cost: fees by the calendar month or by the delivered accelerator-hour.

Prepayments, credits, take-or-pay and drawdown are clauses of the contract that this bill does not price.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import add_months, day_of, months_between
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.contract import Contract
from ampacity.scenario.pool import Pool
from ampacity.supply.delivery import Hours, fee_share

Array = NDArray[np.float64]


def price_usd_per_s(contract: Contract, chip: Accelerator) -> float | None:
    """Price of one delivered accelerator for one second, or None where the fee is monthly or absent. [USD/s]"""
    fee = contract.fee
    if fee is None or fee.monthly_usd is not None:
        return None
    if fee.per_accelerator_usd_per_s is not None:
        return float(fee.per_accelerator_usd_per_s.value)
    index = getattr(chip, f"{fee.index}_usd_per_s")
    spread = fee.spread_usd_per_s.value if fee.spread_usd_per_s else 0.0
    return None if index is None else float(index.value + spread)


def hourly_fees_usd(pools: tuple[Pool, ...], delivered: tuple[Array, ...], hours: Hours) -> float:
    """Fees of all contracts over the hours. [USD]"""
    total = 0.0
    for pool, count in zip(pools, delivered, strict=True):
        price = price_usd_per_s(pool.contract, pool.accelerator)
        if price is not None:
            total += price * 3600.0 * float(count.sum())
    contracts = {pool.contract.name: pool.contract for pool in pools}
    return total + sum(monthly_fees_usd(contract, hours, pools[0].site.time_zone) for contract in contracts.values())


def monthly_fees_usd(contract: Contract, hours: Hours, zone: str) -> float:
    """Monthly fee of a contract over the hours: whole months whole, parts of a month by their days. [USD]"""
    if contract.fee is None or contract.fee.monthly_usd is None:
        return 0.0
    begin = max(day_of(hours.start_s, zone), contract.start)
    end = day_of(hours.start_s + 3600 * hours.count, zone)
    end = min(end, contract.end) if contract.end else end
    return sum(contract.fee.monthly_usd.value * _month_share(contract, a, b) for a, b in months_between(begin, end))


def _month_share(contract: Contract, begin: date, end: date) -> float:
    """Share of one month's fee for the days [begin, end) of that month."""
    first = begin.replace(day=1)
    length = (add_months(first, 1) - first).days
    return sum(fee_share(contract, begin + timedelta(days=i)) for i in range((end - begin).days)) / length
