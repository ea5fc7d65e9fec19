"""What contracts deliver hour by hour: quantity by pool, after ramps, ends, late delivery, outages and reclaims."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import HOUR_S, utc_s
from ampacity.scenario.contract import Contract
from ampacity.scenario.pool import Pool
from ampacity.scenario.scenario import Scenario
from ampacity.supply.exit import departures
from ampacity.supply.lateness import lateness, present
from ampacity.supply.ramp import meant

Array = NDArray[np.float64]


class Times(Protocol):
    """Consecutive spans of time: hours of a scenario, or days of a contract."""

    @property
    def begins_s(self) -> NDArray[np.int64]:
        """Where each begins. [s since 1970 UTC]"""

    @property
    def count(self) -> int:
        """How many they are."""


@dataclass(frozen=True)
class Hours:
    """The consecutive hours of a scenario: first one in seconds since 1970 UTC, and how many."""

    start_s: int
    count: int

    @property
    def begins_s(self) -> NDArray[np.int64]:
        """Where each hour begins. [s since 1970 UTC]"""
        return self.start_s + HOUR_S * np.arange(self.count, dtype=np.int64)


def hours_of(s: Scenario) -> Hours:
    """The hours from midnight of the scenario's first day, on the first site's clock, to the end of its last."""
    zone = s.sites[0].time_zone
    begin = utc_s(s.start, zone)
    end = utc_s(s.start + timedelta(days=s.horizon_days), zone)
    return Hours(begin, (end - begin) // HOUR_S)


@dataclass(frozen=True)
class Quantity:
    """Accelerators of a pool, one entry a span of time: what the contract is for, and what of it is there."""

    contracted: Array
    delivered: Array


def quantity(s: Scenario, pool: Pool, times: Times) -> Quantity:
    """Accelerators of a pool under its contract.

    What is reclaimed is still contracted; what is terminated, or given up for late delivery, is not.
    """
    contract, at_s = pool.contract, times.begins_s
    valid = in_force(s, contract, at_s, pool.site.time_zone)
    late = lateness(s, contract)
    contracted = delivered = np.zeros(times.count)
    for delivery in pool.deliveries:
        agreed = np.full(times.count, delivery.quantity.value)
        if late is not None and late.terms.remedy == "fewer-pro-rata":
            kept = present(s, contract, delivery, np.array([late.cured_s]))[0]
            agreed = np.where(at_s >= late.cured_s, np.minimum(agreed, kept), agreed)
        share = valid * meant(s, delivery, at_s)
        contracted = contracted + agreed * share
        delivered = delivered + np.minimum(agreed, present(s, contract, delivery, at_s)) * share
    return Quantity(contracted, delivered * not_reclaimed(s, contract, at_s, pool.site.time_zone))


def in_force(s: Scenario, contract: Contract, at_s: NDArray[np.int64], zone: str) -> Array:
    """1 at the instants at which a contract is in force, else 0: it ends on its day, by notice, or for lateness."""
    over_s = over_at_s(s, contract, zone)
    return ((at_s >= utc_s(contract.start, zone)) & (at_s < over_s)).astype(np.float64)


def over_at_s(s: Scenario, contract: Contract, zone: str) -> float:
    """When a contract is over; infinite where it has no end. [s since 1970 UTC]"""
    ends: list[float] = [d.gone_s for d in departures(s, contract, zone) if d.ground == "termination"]
    if contract.end is not None:
        ends.append(utc_s(contract.end, zone))
    late = lateness(s, contract)
    if late is not None and late.terms.remedy == "terminate":
        ends.append(late.cured_s)
    return min(ends, default=np.inf)


def not_reclaimed(s: Scenario, contract: Contract, at_s: NDArray[np.int64], zone: str) -> Array:
    """Share of a contract's capacity that reclaims leave at each instant. [0 to 1]"""
    left = np.ones(len(at_s))
    for d in departures(s, contract, zone):
        if d.ground == "reclaim":
            left *= np.where((at_s >= d.gone_s) & (at_s < d.back_s), 1.0 - d.share, 1.0)
    return left


def between(hours: Times, zone: str, begin: date | None, end: date | None) -> Array:
    """1 in the hours from the day `begin` to before the day `end`, else 0; None is open."""
    starts = hours.begins_s
    inside = np.ones(hours.count, dtype=bool)
    if begin is not None:
        inside &= starts >= utc_s(begin, zone)
    if end is not None:
        inside &= starts < utc_s(end, zone)
    return inside.astype(np.float64)
