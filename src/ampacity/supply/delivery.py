"""What contracts deliver hour by hour: quantity by pool, after ramps, ends, outages, delays and reclaims."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import HOUR_S, utc_s
from ampacity.scenario.contract import Contract, Delivery
from ampacity.scenario.pool import Pool
from ampacity.scenario.scenario import Scenario

Array = NDArray[np.float64]


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
    """Accelerators of a pool, one entry an hour: what the contract is for, and what of it is there."""

    contracted: Array
    delivered: Array


def quantity(s: Scenario, pool: Pool, hours: Hours) -> Quantity:
    """Accelerators of a pool under its contract."""
    zone = pool.site.time_zone
    in_force = between(hours, zone, pool.contract.start, pool.contract.end)
    delays = [(e.date, e.duration_s or 0.0) for e in s.events if e.kind == "delay" and e.contract == pool.contract.name]
    contracted = sum((d.quantity.value * in_force for d in pool.deliveries), np.zeros(hours.count))
    begin = pool.contract.start
    delivered = sum((_ramped(d, begin, hours, zone, delays) for d in pool.deliveries), np.zeros(hours.count))
    return Quantity(contracted, delivered * in_force * _what_events_leave(s, pool, hours))


def between(hours: Hours, zone: str, begin: date | None, end: date | None) -> Array:
    """1 in the hours from the day `begin` to before the day `end`, else 0; None is open."""
    starts = hours.begins_s
    inside = np.ones(hours.count, dtype=bool)
    if begin is not None:
        inside &= starts >= utc_s(begin, zone)
    if end is not None:
        inside &= starts < utc_s(end, zone)
    return inside.astype(np.float64)


def fee_share(contract: Contract, day: date) -> float:
    """Share of the monthly fee due on a day: of the ramp step in force, the least over deliveries. [0 to 1]"""
    shares = [1.0]
    for delivery in contract.deliveries:
        steps = [step for step in delivery.ramp if step.date <= day]
        if steps and steps[-1].fee_share is not None:
            shares.append(steps[-1].fee_share.value)
        elif delivery.ramp and not steps:
            shares.append(0.0)
    return min(shares)


def _ramped(delivery: Delivery, begin: date, hours: Hours, zone: str, delays: list[tuple[date, float]]) -> Array:
    """Accelerators there in each hour: those of the last ramp step reached; without a ramp all from `begin`.

    delays: from which day on, and by how many seconds, steps come later; what was there before that day stays.
    """
    steps = [(step.date, step.quantity.value) for step in delivery.ramp] or [(begin, delivery.quantity.value)]
    instants = [utc_s(day, zone) + sum(late_s for since, late_s in delays if day >= since) for day, _ in steps]
    there = np.array([0.0, *(count for _, count in steps)])
    return np.asarray(there[np.searchsorted(instants, hours.begins_s, side="right")])


def _what_events_leave(s: Scenario, pool: Pool, hours: Hours) -> Array:
    """Share of the pool that outages and reclaims leave in each hour."""
    left = np.ones(hours.count)
    for event in s.events:
        hit = (event.kind == "reclaim" and event.contract == pool.contract.name) or (
            event.kind == "outage" and event.site == pool.site.name
        )
        if not hit:
            continue
        begin = utc_s(event.date, pool.site.time_zone)
        end = begin + event.duration_s if event.duration_s is not None else np.inf
        gone = (hours.begins_s >= begin) & (hours.begins_s < end)
        left *= np.where(gone, 1.0 - (event.share.value if event.share else 1.0), 1.0)
    return left
