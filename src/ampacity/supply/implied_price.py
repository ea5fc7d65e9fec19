"""What a contract's fee comes to: per accelerator-hour and per megawatt and year, each with what it divides by.

A month is 730 hours here, as in published comparisons; a bill goes by the calendar.
"""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.scenario.contract import Contract
from ampacity.scenario.scenario import Scenario
from ampacity.supply.billing import price_usd_per_s

HOURS_PER_MONTH = 730.0


@dataclass(frozen=True)
class ImpliedPrice:
    """A price and its basis: over which accelerators, and how many. [USD per accelerator-hour]"""

    usd_per_accelerator_hour: float
    accelerators: float
    basis: str


def usd_per_accelerator_hour(fee_usd_per_month: float, accelerators: float) -> float:
    """A monthly fee per accelerator and hour, months of 730 hours. [USD per accelerator-hour]"""
    return fee_usd_per_month / accelerators / HOURS_PER_MONTH


def usd_per_mw_year(fee_usd_per_month: float, power_w: float) -> float:
    """A monthly fee per megawatt and year. [USD per MW-year]"""
    return 12.0 * fee_usd_per_month / (power_w / 1e6)


def implied_prices(s: Scenario, contract: Contract) -> tuple[ImpliedPrice, ...]:
    """What the full fee comes to: over all accelerators, and over those of each site where there are several.

    Which accelerators a fee is for is often the disputed part; so the range is printed with its scope.
    """
    if contract.fee is None:
        return ()
    if contract.fee.monthly_usd is None:
        return _by_accelerator(s, contract)
    fee = contract.fee.monthly_usd.value
    counts: dict[str, float] = {}
    for d in contract.deliveries:
        counts[d.site] = counts.get(d.site, 0.0) + d.quantity.value
    scopes = {"all accelerators of the contract": sum(counts.values())}
    if len(counts) > 1:
        scopes |= {f"those at {site} alone, as if the fee were for them": n for site, n in counts.items()}
    return tuple(
        ImpliedPrice(usd_per_accelerator_hour(fee, n), n, f"full monthly fee over {what}, months of 730 h")
        for what, n in scopes.items()
        if n > 0
    )


def contract_power_w(s: Scenario, contract: Contract) -> float | None:
    """All-in facility power of a contract's accelerators; None where that of one is not known. [W]"""
    total = 0.0
    for d in contract.deliveries:
        power = s.accelerator(d.accelerator).facility_w
        if power is None:
            return None
        total += d.quantity.value * power.value
    return total


def _by_accelerator(s: Scenario, contract: Contract) -> tuple[ImpliedPrice, ...]:
    found = []
    for d in contract.deliveries:
        price = price_usd_per_s(contract, s.accelerator(d.accelerator))
        if price is not None:
            basis = f"the contract's own price of {d.accelerator}, by the delivered hour"
            found.append(ImpliedPrice(3600.0 * price, d.quantity.value, basis))
    return tuple(found)
