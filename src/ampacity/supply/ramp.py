"""When accelerators arrive: ramp steps, the delays that move them, and the share of the fee that is due meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import utc_s
from ampacity.scenario.contract import Contract, Delivery
from ampacity.scenario.scenario import Scenario

Array = NDArray[np.float64]
Instants = NDArray[np.int64]


@dataclass(frozen=True)
class Arrivals:
    """The steps of a delivery: when each is there [s since 1970 UTC], accelerators there then, share of the fee due."""

    at_s: tuple[float, ...]
    accelerators: tuple[float, ...]
    fee_shares: tuple[float, ...]


def arrivals(s: Scenario, contract: Contract, delivery: Delivery) -> Arrivals:
    """The steps of a delivery; without a ramp, all of it on its first day.

    A delay moves every step that falls on its day or later; what was there before stays.
    """
    zone = s.site(delivery.site).time_zone
    whole = delivery.quantity.value
    steps = [(step.date, step.quantity.value, step.fee_share) for step in delivery.ramp]
    if not steps:
        steps = [(max(contract.start, delivery.since or contract.start), whole, None)]
    delays = [(e.date, e.duration_s or 0.0) for e in s.events if e.kind == "delay" and e.contract == contract.name]
    at_s = tuple(utc_s(day, zone) + sum(late for since, late in delays if day >= since) for day, _, _ in steps)
    shares = tuple(share.value if share else _part(count, whole) for _, count, share in steps)
    return Arrivals(at_s, tuple(count for _, count, _ in steps), shares)


def arrived(s: Scenario, contract: Contract, delivery: Delivery, at_s: Instants) -> Array:
    """Accelerators of a delivery that have arrived at each instant, whatever became of them later."""
    steps = arrivals(s, contract, delivery)
    there = np.array([0.0, *steps.accelerators])
    return np.asarray(there[np.searchsorted(steps.at_s, at_s, side="right")])


def fee_share(s: Scenario, contract: Contract, at_s: Instants) -> Array:
    """Share of a monthly fee due at each instant: of the ramp step reached, deliveries weighed by quantity. [0 to 1]"""
    due = weight = np.zeros(len(at_s))
    for delivery in contract.deliveries:
        steps = arrivals(s, contract, delivery)
        shares = np.array([0.0, *steps.fee_shares])
        own = delivery.quantity.value * meant(s, delivery, at_s)
        due = due + own * shares[np.searchsorted(steps.at_s, at_s, side="right")]
        weight = weight + own
    return np.divide(due, weight, out=np.zeros(len(at_s)), where=weight > 0)


def meant(s: Scenario, delivery: Delivery, at_s: Instants) -> Array:
    """1 at the instants for which the contract, while in force, includes this delivery, else 0."""
    zone = s.site(delivery.site).time_zone
    inside = np.ones(len(at_s), dtype=bool)
    if delivery.since is not None:
        inside &= at_s >= utc_s(delivery.since, zone)
    if delivery.until is not None:
        inside &= at_s < utc_s(delivery.until, zone)
    return inside.astype(np.float64)


def _part(count: float, whole: float) -> float:
    return count / whole if whole > 0 else 1.0
