"""What a contract's capacity costs, span by span: by the calendar month, by the delivered hour, by an index.

The fee as the ramp, reclaims, late delivery and the end of the contract make it. What take-or-pay, prepayments, credits
and commitments add or take away is booked by the ledger.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import add_months, utc_s
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.contract import Contract
from ampacity.scenario.pool import leased_out_pools, pools
from ampacity.scenario.scenario import Scenario
from ampacity.supply.delivery import in_force, not_reclaimed, quantity
from ampacity.supply.exit import departures, zone_of
from ampacity.supply.lateness import due_and_there, lateness
from ampacity.supply.leasing import leased_out
from ampacity.supply.options import growth
from ampacity.supply.ramp import Array, arrivals, fee_share


@dataclass(frozen=True)
class Term:
    """The time of a contract, cut at every midnight of its clock and wherever anything changes.

    edges_s: one more than there are spans [s since 1970 UTC]. days: local days. day: of each span, index into days.
    """

    edges_s: NDArray[np.int64]
    days: tuple[date, ...]
    day: NDArray[np.int64]

    @property
    def begins_s(self) -> NDArray[np.int64]:
        """Where each span begins. [s since 1970 UTC]"""
        return self.edges_s[:-1]

    @property
    def count(self) -> int:
        """How many spans there are."""
        return len(self.edges_s) - 1

    @cached_property
    def lengths_s(self) -> Array:
        """How long each span is. [s]"""
        return np.diff(self.edges_s).astype(np.float64)

    @cached_property
    def months(self) -> tuple[date, ...]:
        """The calendar months that the term touches, by their first days."""
        return _months_of(self.days)[0]

    @cached_property
    def month(self) -> NDArray[np.int64]:
        """Of each span, index into months."""
        return _months_of(self.days)[1][self.day]

    @cached_property
    def month_share(self) -> Array:
        """Share of its calendar month that each span is: by days, and inside a day by seconds. [0 to 1]"""
        length = np.array([_month_length(day) for day in self.days])[self.day]
        day_s = np.bincount(self.day, self.lengths_s, minlength=len(self.days))[self.day]
        return np.asarray(self.lengths_s / day_s / length)


@lru_cache(maxsize=256)
def _months_of(days: tuple[date, ...]) -> tuple[tuple[date, ...], NDArray[np.int64]]:
    """The calendar months of some days, by their first days, and of each day the index of its month."""
    first = [day.replace(day=1) for day in days]
    place = {month: i for i, month in enumerate(dict.fromkeys(first))}
    index = np.array([place[month] for month in first], dtype=np.int64)
    index.flags.writeable = False
    return tuple(place), index


def term(s: Scenario, contract: Contract, cuts_s: tuple[int, ...] = ()) -> Term:
    """The time of a contract from its start to its end, or to the scenario's end where it has none.

    cuts_s: further instants to cut at.
    """
    zone = zone_of(s, contract)
    end = contract.end or max(s.start + timedelta(days=s.horizon_days), contract.start + timedelta(days=1))
    if contract.commitment is not None and contract.end is None:
        end = max(end, contract.commitment.end)
    days, midnights = _midnights(contract.start, end, zone)
    wanted = [c for c in (*cuts_s, *_changes_s(s)) if midnights[0] < c < midnights[-1]]
    edges_s = np.union1d(midnights, np.array(wanted, dtype=np.int64))
    day = np.searchsorted(midnights, edges_s[:-1], side="right") - 1
    return Term(edges_s, days, day.astype(np.int64))


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


def fee_usd(s: Scenario, contract: Contract, when: Term) -> Array:
    """The fee of each span for everything that is there, before the remedies that are money. [USD]

    A monthly fee falls with what is reclaimed and with what is given up for late delivery, not with an outage: that is
    what service credits are for. A fee by the hour counts what is there; a lessor's counts what it can give.
    """
    if contract.fee is None:
        return np.zeros(when.count)
    if contract.fee.monthly_usd is not None:
        return contract.fee.monthly_usd.value * when.month_share * monthly_share(s, contract, when)
    total = np.zeros(when.count)
    lessor = contract.side == "lessor"
    given = leased_out(s, when).given if lessor else {}
    for pool in leased_out_pools(s) if lessor else pools(s):
        price = price_usd_per_s(contract, pool.accelerator) if pool.contract.name == contract.name else None
        if price is not None:
            count = given[pool.name] if lessor else quantity(s, pool, when).delivered
            total += price * count * when.lengths_s
    return total


def monthly_share(s: Scenario, contract: Contract, when: Term) -> Array:
    """Share of the monthly fee of the contract as signed that is due in each span; above 1 only by an expansion."""
    zone = zone_of(s, contract)
    at_s = when.begins_s
    share = fee_share(s, contract, at_s) * growth(s, contract, at_s)
    late = lateness(s, contract)
    if late is not None and late.terms.remedy == "fewer-pro-rata":
        share = np.where(at_s >= late.cured_s, late.there_share, share)
    return share * in_force(s, contract, at_s, zone) * not_reclaimed(s, contract, at_s, zone)


def late_discount(s: Scenario, contract: Contract, when: Term) -> Array:
    """Share of the fee that late delivery takes off: from the end of the cure until all is there. [0 to 1]"""
    late = lateness(s, contract)
    if late is None or late.terms.discount is None:
        return np.zeros(when.count)
    due, there = due_and_there(s, contract, when.begins_s)
    after = when.begins_s >= late.cured_s
    complete = np.cumsum(after & (there >= due * (1 - 1e-9))) > 0
    return np.where(after & ~complete, late.terms.discount.value, 0.0)


def _changes_s(s: Scenario) -> list[int]:
    """Every instant at which an event or an arrival changes something, for any contract."""
    found: list[float] = []
    for contract in s.contracts:
        zone = zone_of(s, contract)
        for delivery in contract.deliveries:
            found += arrivals(s, contract, delivery).at_s
        for d in departures(s, contract, zone):
            found += [d.gone_s, d.back_s]
        if (late := lateness(s, contract)) is not None:
            found.append(late.cured_s)
    for event in s.events:
        if event.kind == "outage" and event.site is not None:
            begin = utc_s(event.date, s.site(event.site).time_zone)
            found += [begin, begin + (event.duration_s or 0.0)]
    return [round(x) for x in found if np.isfinite(x)]


@lru_cache(maxsize=256)
def _midnights(begin: date, end: date, zone: str) -> tuple[tuple[date, ...], NDArray[np.int64]]:
    days = tuple(begin + timedelta(days=i) for i in range((end - begin).days))
    return days, np.array([utc_s(day, zone) for day in (*days, end)], dtype=np.int64)


@lru_cache(maxsize=4096)
def _month_length(day: date) -> int:
    first = day.replace(day=1)
    return (add_months(first, 1) - first).days


def span_of(edges_s: NDArray[np.int64], instant_s: float) -> int:
    """The span in which an instant lies; the last for one at or beyond the end."""
    return min(max(bisect_right(edges_s.tolist(), instant_s) - 1, 0), len(edges_s) - 2)
