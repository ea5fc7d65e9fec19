"""Delivery that is late: a deadline, a cure, and the remedy when capacity is missing on both days.

Days begin at midnight where the contract's first site is; what comes later on a day comes on the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ampacity.base.calendar import utc_s
from ampacity.scenario.clauses import DeliveryTerms
from ampacity.scenario.contract import Contract, Delivery
from ampacity.scenario.scenario import Scenario
from ampacity.supply.exit import days_after_s, zone_of
from ampacity.supply.ramp import Array, Instants, arrived, meant


@dataclass(frozen=True)
class Lateness:
    """A delivery that was still short when its cure ended.

    cured_s: when the remedy begins [s since 1970 UTC]. there_share: of the quantity, there by then [0 to 1].
    """

    terms: DeliveryTerms
    cured_s: int
    there_share: float


def lateness(s: Scenario, contract: Contract) -> Lateness | None:
    """Whether a contract's deadline is missed and not cured; None where it is met, or where there is none."""
    terms = contract.delivery
    if terms is None:
        return None
    zone = zone_of(s, contract)
    days = np.array([utc_s(terms.deadline, zone), days_after_s(terms.deadline, terms.cure_days, zone)])
    due, there = due_and_there(s, contract, days)
    if due[1] <= 0 or np.any(there >= due * (1 - 1e-9)):
        return None
    return Lateness(terms, int(days[1]), float(there[1] / due[1]))


def due_and_there(s: Scenario, contract: Contract, at_s: Instants) -> tuple[Array, Array]:
    """Accelerators that the contract is for, and those of them that have arrived and are not out, at each instant."""
    due = there = np.zeros(len(at_s))
    for delivery in contract.deliveries:
        own = meant(s, delivery, at_s)
        due = due + own * delivery.quantity.value
        there = there + own * present(s, contract, delivery, at_s)
    return due, there


def present(s: Scenario, contract: Contract, delivery: Delivery, at_s: Instants) -> Array:
    """Accelerators of a delivery that have arrived and are not struck by an outage of their site."""
    return arrived(s, contract, delivery, at_s) * not_out(s, delivery.site, at_s)


def not_out(s: Scenario, site: str, at_s: Instants) -> Array:
    """Share of a site that its outages leave at each instant. [0 to 1]"""
    zone = s.site(site).time_zone
    left = np.ones(len(at_s))
    for event in s.events:
        if event.kind == "outage" and event.site == site:
            begin = utc_s(event.date, zone)
            end = np.inf if event.duration_s is None else begin + event.duration_s
            out = (at_s >= begin) & (at_s < end)
            left *= np.where(out, 1.0 - (event.share.value if event.share else 1.0), 1.0)
    return left
