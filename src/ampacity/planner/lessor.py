"""The lessor's view of a lease: what it earns against which counterfactual, its floor, and what it covers of a site.

What a lease is worth depends on what the accelerators would have done otherwise, so every figure names that:
left idle (only energy is saved), rented out at the market's three-year price, or used for one's own training at a
stated share of what a market user gets out of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.scenario.contract import Contract
from ampacity.scenario.pool import leased_out_pools, pools
from ampacity.scenario.scenario import Scenario
from ampacity.supply.billing import price_usd_per_s
from ampacity.supply.energized import nameplate_w

HOURS_PER_MONTH = 730.0
OWN_TRAINING_MFU, MARKET_MFU = 0.11, 0.40
"""Training MFU of the lessor's fleet and what most reach at best, as The Information reported on 2026-04-29."""


@dataclass(frozen=True)
class Lease:
    """One lease, seen by its lessor, at full quantity. Money per calendar month of 730 h.

    otherwise_usd: what the same accelerators would earn net of energy, by counterfactual. earns_usd: fee less energy
    less that. floor_usd_per_accelerator_h: price at which each counterfactual is as good.
    covers: by site with a capital, share of it that the fee to the contract's end pays.
    """

    contract: str
    accelerators: float
    kept_accelerators: float
    fee_usd: float
    usd_per_accelerator_h: float
    energy_usd: float
    otherwise_usd: dict[str, float]
    earns_usd: dict[str, float]
    floor_usd_per_accelerator_h: dict[str, float]
    covers: dict[str, float]


def leases(s: Scenario) -> tuple[Lease, ...]:
    """Every contract of a scenario that leases out."""
    return tuple(_lease(s, c) for c in s.contracts if c.side == "lessor")


def _lease(s: Scenario, contract: Contract) -> Lease:
    out = [p for p in leased_out_pools(s) if p.contract.name == contract.name]
    count = {p.name: sum(d.quantity.value for d in p.deliveries) for p in out}
    accelerators = sum(count.values())
    owned = sum(d.quantity.value for p in pools(s) for d in p.deliveries)
    hours = accelerators * HOURS_PER_MONTH
    fee = contract.fee.monthly_usd.value if contract.fee and contract.fee.monthly_usd else 0.0
    energy = market = 0.0
    for pool in out:
        fee += 3600 * HOURS_PER_MONTH * count[pool.name] * (price_usd_per_s(contract, pool.accelerator) or 0.0)
        price = pool.site.electricity_usd_per_j
        watts = nameplate_w(pool.accelerator, pool.site, "facility")
        energy += count[pool.name] * watts * HOURS_PER_MONTH * 3600 * (price.value if price else 0.0)
        rent = pool.accelerator.rental_3yr_usd_per_s
        market += 3600 * HOURS_PER_MONTH * count[pool.name] * (rent.value if rent else 0.0)
    otherwise = {
        "left idle": 0.0,
        "rented out at the three-year market price": market - energy,
        f"own training at {OWN_TRAINING_MFU:.0%} MFU where {MARKET_MFU:.0%} is the market's": (
            market * OWN_TRAINING_MFU / MARKET_MFU - energy
        ),
    }
    months = _months(contract)
    return Lease(
        contract=contract.name,
        accelerators=accelerators,
        kept_accelerators=owned - accelerators,
        fee_usd=fee,
        usd_per_accelerator_h=fee / hours if hours else 0.0,
        energy_usd=energy,
        otherwise_usd=otherwise,
        earns_usd={name: fee - energy - worth for name, worth in otherwise.items()},
        floor_usd_per_accelerator_h={n: (w + energy) / hours if hours else 0.0 for n, w in otherwise.items()},
        covers={x.name: fee * months / x.capital_usd.value for x in s.sites if x.capital_usd and months},
    )


def _months(contract: Contract) -> int:
    """Whole calendar months from start to end; 0 where the end is open."""
    if contract.end is None:
        return 0
    return (contract.end.year - contract.start.year) * 12 + contract.end.month - contract.start.month
