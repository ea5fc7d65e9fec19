"""The ledger: every dollar of every contract, booked once, by month and by what it is for.

An amount is what the lessee pays the lessor; a negative one flows back. For a contract with side `lessor` that is what
the scenario's own side earns, for the others what it pays. The items:

    fee                   for what is there, and used where the contract is take-or-pay
    take-or-pay           what the floor adds
    late-discount         taken off until a late delivery is complete
    service-credit        comes back for a month of low availability
    prepayment, set-off   paid at the start, set off later
    commitment            spending that is promised where no fee says what for, taken as even over its window
    commitment-shortfall  missing from a commitment at its end
    rollover              set off against later fees, for a shortfall already paid
    termination-fee       owed by the party that leaves
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import utc_s
from ampacity.scenario.contract import Contract
from ampacity.scenario.pool import leased_out_pools, pools
from ampacity.scenario.scenario import Scenario
from ampacity.supply.billing import Term, fee_usd, late_discount, span_of, term
from ampacity.supply.delivery import Hours, over_at_s, quantity
from ampacity.supply.drawdown import Drawdown, drawdown, rolled_over
from ampacity.supply.exit import departures, zone_of
from ampacity.supply.lateness import due_and_there, lateness
from ampacity.supply.options import exercised
from ampacity.supply.prepayment import set_off
from ampacity.supply.ramp import Array, arrived
from ampacity.supply.service_credit import availability, credit_share
from ampacity.supply.take_or_pay import take_or_pay

ITEMS = (
    "fee",
    "take-or-pay",
    "late-discount",
    "service-credit",
    "prepayment",
    "set-off",
    "commitment",
    "commitment-shortfall",
    "rollover",
    "termination-fee",
)


@dataclass(frozen=True)
class LedgerRow:
    """One amount: the month by its first day, the contract, what it is for, and what the lessee pays. [USD]"""

    month: date
    contract: str
    item: str
    usd: float


@dataclass(frozen=True)
class Account:
    """A contract's money over its term: for each item what is due in each span. drawn: of its commitment. [USD]"""

    contract: Contract
    term: Term
    items: dict[str, Array]
    drawn: Drawdown | None

    @property
    def due_usd(self) -> Array:
        """What is due in each span, all items together. [USD]"""
        return np.asarray(np.sum(list(self.items.values()), axis=0))

    @property
    def total_usd(self) -> float:
        """All of it. [USD]"""
        return float(self.due_usd.sum())

    def rows(self) -> list[LedgerRow]:
        """By month and item, without the zeros."""
        found = []
        for item, amounts in self.items.items():
            by_month = np.bincount(self.term.month, amounts, minlength=len(self.term.months))
            for month, usd in zip(self.term.months, by_month.tolist(), strict=True):
                if usd != 0.0:
                    found.append(LedgerRow(month, self.contract.name, item, usd))
        return sorted(found, key=lambda row: (row.month, ITEMS.index(row.item)))

    def by_month(self) -> dict[date, float]:
        """What is due in each month. [USD]"""
        sums = np.bincount(self.term.month, self.due_usd, minlength=len(self.term.months))
        return dict(zip(self.term.months, sums.tolist(), strict=True))

    def within_usd(self, begin_s: int, end_s: int) -> float:
        """What is due between two instants at which the term was cut. [USD]"""
        begins = self.term.begins_s
        return float(self.due_usd[(begins >= begin_s) & (begins < end_s)].sum())


def accounts(s: Scenario, hours: Hours | None = None, used: Mapping[str, Array] | None = None) -> tuple[Account, ...]:
    """The account of every contract.

    hours, used: accelerators in use by pool in each hour, for take-or-pay; where they are not known, all are used.
    """
    s = exercised(s)
    return tuple(account(s, contract, hours, used) for contract in s.contracts)


def ledger(s: Scenario, hours: Hours | None = None, used: Mapping[str, Array] | None = None) -> tuple[LedgerRow, ...]:
    """Every row of every contract, contract by contract in the order in which they are written."""
    return tuple(row for a in accounts(s, hours, used) for row in a.rows())


def paid_and_earned_usd(found: tuple[Account, ...], hours: Hours) -> tuple[float, float]:
    """What the scenario's own side pays and what it earns within the hours. [USD]"""
    end_s = hours.start_s + 3600 * hours.count
    amounts = [(a.contract.side, a.within_usd(hours.start_s, end_s)) for a in found]
    return sum(x for side, x in amounts if side != "lessor"), sum(x for side, x in amounts if side == "lessor")


def account(
    s: Scenario, contract: Contract, hours: Hours | None = None, used: Mapping[str, Array] | None = None
) -> Account:
    """The account of one contract of a scenario whose options are already written in."""
    cuts = (hours.start_s, hours.start_s + 3600 * hours.count) if hours else ()
    when = term(s, contract, cuts)
    full = fee_usd(s, contract, when)
    off = full * late_discount(s, contract, when)
    items: dict[str, Array] = {"fee": full}
    if contract.take_or_pay is not None:
        share = _used_share(s, contract, when, hours, used)
        items["fee"], items["take-or-pay"] = take_or_pay(full, share, contract.take_or_pay.value)
        off = off * np.maximum(share, contract.take_or_pay.value)
    items["late-discount"] = -off
    items["service-credit"] = -_credits(s, contract, when, np.sum(list(items.values()), axis=0))
    running = np.sum(list(items.values()), axis=0)
    items |= _prepaid(contract, when, running, float(full.sum()))
    items["termination-fee"] = _termination_fees(s, contract, when)
    committed, drawn = _committed(s, contract, when, running)
    items |= committed
    return Account(contract, when, {k: items[k] for k in ITEMS if k in items}, drawn)


def _used_share(
    s: Scenario, contract: Contract, when: Term, hours: Hours | None, used: Mapping[str, Array] | None
) -> Array:
    """Share of what is there that is used, month by month within the hours; 1 where it is not known. [0 to 1]"""
    share = np.ones(when.count)
    if hours is None or used is None:
        return share
    own = [p for p in (*pools(s), *leased_out_pools(s)) if p.contract.name == contract.name]
    there = sum((quantity(s, p, hours).delivered for p in own), np.zeros(hours.count))
    in_use = sum((used[p.name] for p in own if p.name in used), np.zeros(hours.count))
    span = np.searchsorted(when.edges_s, hours.begins_s, side="right") - 1
    inside = (span >= 0) & (span < when.count)
    month = when.month[span[inside]]
    size = len(when.months)
    sums = np.bincount(month, there[inside], minlength=size), np.bincount(month, in_use[inside], minlength=size)
    by_month = np.divide(sums[1], sums[0], out=np.ones(size), where=sums[0] > 0)
    known = (when.begins_s >= hours.start_s) & (when.begins_s < hours.start_s + 3600 * hours.count)
    return np.where(known, by_month[when.month], share)


def _credits(s: Scenario, contract: Contract, when: Term, fees: Array) -> Array:
    """Credits of each span: the share that its month's availability gives. Availability is what outages leave."""
    if not contract.service_credits:
        return np.zeros(when.count)
    _, there = due_and_there(s, contract, when.begins_s)
    due = sum((arrived(s, contract, d, when.begins_s) for d in contract.deliveries), np.zeros(when.count))
    valid = (when.begins_s < over_at_s(s, contract, zone_of(s, contract))) * when.lengths_s
    shares = [
        credit_share(contract.service_credits, availability((due * valid)[own], (there * valid)[own]))
        for own in (when.month == i for i in range(len(when.months)))
    ]
    return np.asarray(fees * np.array(shares)[when.month])


def _prepaid(contract: Contract, when: Term, running: Array, whole_usd: float) -> dict[str, Array]:
    """The prepayment in the first span, and its parts spread over their months."""
    if contract.prepayment is None or when.count == 0:
        return {}
    prepaid = np.zeros(when.count)
    prepaid[0] = contract.prepayment.share.value * whole_usd
    by_month = np.bincount(when.month, running, minlength=len(when.months))
    parts = set_off(float(prepaid[0]), contract.prepayment.months.value, by_month.tolist())
    return {"prepayment": prepaid, "set-off": -_spread(np.array(parts), when)}


def _termination_fees(s: Scenario, contract: Contract, when: Term) -> Array:
    """What the party that leaves owes, in the last span before it is gone; what the lessor owes flows back."""
    found = np.zeros(when.count)
    zone = zone_of(s, contract)
    over_s = over_at_s(s, contract, zone)
    for d in departures(s, contract, zone):
        if d.ground == "termination" and d.gone_s <= over_s and found.sum() == 0.0:
            found[span_of(when.edges_s, d.gone_s - 1)] += d.fee_usd if d.party == "lessee" else -d.fee_usd
    return found


def _committed(s: Scenario, contract: Contract, when: Term, running: Array) -> tuple[dict[str, Array], Drawdown | None]:
    """The commitment: drawn down by the fees of its window. Nothing is missing if it was the lessor who ended it."""
    terms = contract.commitment
    if terms is None:
        return {}, None
    zone = zone_of(s, contract)
    begin_s, end_s = utc_s(terms.begin, zone), utc_s(terms.end, zone)
    inside = (when.begins_s >= begin_s) & (when.begins_s < end_s)
    total = terms.total_usd.value
    if contract.fee is None:
        length = when.lengths_s * inside
        even = total * length / length.sum() if length.sum() > 0 else length
        return {"commitment": even}, drawdown(_monthly(even, when), total)
    drawn = drawdown(_monthly(running * inside, when), total)
    if _ended_by_lessor(s, contract, zone):
        return {}, drawn
    short, back = np.zeros(when.count), np.zeros(when.count)
    at = span_of(when.edges_s, end_s - 1)
    short[at] = drawn.shortfall_usd
    if terms.rollover:
        later = running * (when.begins_s >= end_s)
        back = -_spread(np.array(rolled_over(_monthly(later, when), drawn.shortfall_usd)), when, later)
    return {"commitment-shortfall": short, "rollover": back}, drawn


def _ended_by_lessor(s: Scenario, contract: Contract, zone: str) -> bool:
    """Whether the lessor took the capacity away, or lost the contract by late delivery."""
    late = lateness(s, contract)
    taken = any(d.party == "lessor" and d.share == 1.0 and np.isinf(d.back_s) for d in departures(s, contract, zone))
    return taken or (late is not None and late.terms.remedy == "terminate")


def _monthly(amounts: Array, when: Term) -> list[float]:
    found: list[float] = np.bincount(when.month, amounts, minlength=len(when.months)).tolist()
    return found


def _spread(by_month: NDArray[np.float64], when: Term, weights: Array | None = None) -> Array:
    """Monthly amounts over the spans of their month, by length or by other weights."""
    weight = when.lengths_s if weights is None else np.maximum(weights, 0.0)
    sums = np.bincount(when.month, weight, minlength=len(when.months))
    part = np.divide(weight, sums[when.month], out=np.zeros(when.count), where=sums[when.month] > 0)
    return np.asarray(by_month[when.month] * part)
