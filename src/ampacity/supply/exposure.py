"""Exposure: what must still be paid under a contract if its lessee leaves as early as the clauses allow.

Beside the nominal total. For a lessor the same figure is what a committed customer covers at least.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from ampacity.base.calendar import utc_s
from ampacity.scenario.contract import Contract
from ampacity.scenario.scenario import Scenario
from ampacity.supply.exit import Exit, earliest_exit, zone_of
from ampacity.supply.ledger import Account, account
from ampacity.supply.options import exercised


@dataclass(frozen=True)
class Exposure:
    """Money at stake on a day.

    nominal_usd: over the whole term, no one leaving and nothing going wrong. remaining_usd: of it, from the day on.
    firm_usd: of that, what is due even if the lessee leaves as early as it may and uses nothing it need not.
    exit: how it would leave; None: it may not. lessor_exit: how the lessor may. full_usd_per_month: the whole fee.
    """

    contract: str
    on: date
    nominal_usd: float
    remaining_usd: float
    firm_usd: float
    exit: Exit | None
    lessor_exit: Exit | None
    full_usd_per_month: float | None

    @property
    def firm_months(self) -> float | None:
        """Firm exposure in whole monthly fees; None where the fee is not monthly."""
        return self.firm_usd / self.full_usd_per_month if self.full_usd_per_month else None


def exposure(s: Scenario, contract: Contract, on: date) -> Exposure:
    """The exposure of a contract on a day, before that day's payments. Events count only where they use an option.

    A commitment to spend outlives an exit: what is missing from it stays due. What is prepaid does not come back.
    """
    s = exercised(s)
    contract = s.contract(contract.name)
    plain = s.model_copy(update={"events": tuple(e for e in s.events if e.kind == "exercise")})
    nominal = account(plain, contract)
    day_s = utc_s(on, zone_of(s, contract))
    leave = earliest_exit(contract, "lessee", on)
    remaining = float(nominal.due_usd[nominal.term.begins_s >= day_s].sum())
    firm = min(remaining, _firm_usd(plain, nominal, day_s, leave))
    monthly = contract.fee.monthly_usd.value if contract.fee and contract.fee.monthly_usd else None
    lessor = earliest_exit(contract, "lessor", on)
    return Exposure(contract.name, on, nominal.total_usd, remaining, max(firm, 0.0), leave, lessor, monthly)


def _firm_usd(s: Scenario, nominal: Account, day_s: int, leave: Exit | None) -> float:
    """What is due from a day to an exit, or to the end, and because of it. [USD]"""
    contract, when = nominal.contract, nominal.term
    zone = zone_of(s, contract)
    gone_s = utc_s(leave.gone_on, zone) if leave else int(when.edges_s[-1])
    until_exit = (when.begins_s >= day_s) & (when.begins_s < gone_s)
    floor = contract.take_or_pay.value if contract.take_or_pay else 1.0
    zero = np.zeros(when.count)
    fees = floor * (nominal.items["fee"] + nominal.items.get("take-or-pay", zero))
    set_off = np.minimum(-nominal.items.get("set-off", zero), fees)
    due = float((fees - set_off + nominal.items.get("prepayment", zero))[until_exit].sum()) + (
        leave.fee_usd if leave else 0.0
    )
    terms = contract.commitment
    if terms is None or day_s >= utc_s(terms.end, zone):
        return due
    before = (when.begins_s >= utc_s(terms.begin, zone)) & (when.begins_s < day_s)
    running = nominal.items["fee"] + nominal.items.get("take-or-pay", zero) + nominal.items.get("commitment", zero)
    return max(due, terms.total_usd.value - float(running[before].sum()))
