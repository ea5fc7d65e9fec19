"""N-1: what is left without the largest supplier, which one that is depending on what is counted."""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.scenario.contract import Contract
from ampacity.scenario.pool import pools
from ampacity.scenario.scenario import Scenario
from ampacity.supply.delivery import Hours, quantity
from ampacity.supply.ledger import Account
from ampacity.supply.options import exercised

BASES = ("accelerators", "flops", "fee")
MEANING = {
    "accelerators": "accelerators delivered, mean over the planned hours",
    "flops": "FLOP/s delivered, dense bf16 peak, mean over the planned hours",
    "fee": "USD due to the supplier over the terms of its contracts",
}


@dataclass(frozen=True)
class SupplierLoss:
    """The largest supplier on one basis, its amount and the whole. share: what is lost with it [0 to 1]."""

    basis: str
    supplier: str
    amount: float
    total: float

    @property
    def share(self) -> float:
        """Share of the whole. [0 to 1]"""
        return self.amount / self.total if self.total else 0.0


def supplier_of(contract: Contract) -> str:
    """Whom a contract's capacity comes from; what one owns comes from oneself."""
    return contract.supplier or ("own fleet" if contract.side == "owner" else contract.name)


def largest_suppliers(s: Scenario, hours: Hours, found: tuple[Account, ...]) -> tuple[SupplierLoss, ...]:
    """The largest supplier by accelerators, by FLOP/s and by fee; a basis on which there is nothing is left out."""
    s = exercised(s)
    sums: dict[str, dict[str, float]] = {basis: {} for basis in BASES}
    for pool in pools(s):
        count = float(quantity(s, pool, hours).delivered.mean())
        peak = pool.accelerator.flops("bf16")
        _add(sums["accelerators"], supplier_of(pool.contract), count)
        _add(sums["flops"], supplier_of(pool.contract), count * peak.value if peak else 0.0)
    for a in found:
        if a.contract.side != "lessor":
            _add(sums["fee"], supplier_of(a.contract), a.total_usd)
    losses = []
    for basis, amounts in sums.items():
        if sum(amounts.values()) > 0:
            name = max(amounts, key=lambda supplier: amounts[supplier])
            losses.append(SupplierLoss(basis, name, amounts[name], sum(amounts.values())))
    return tuple(losses)


def without(s: Scenario, supplier: str) -> Scenario:
    """The scenario without a supplier's contracts, and without the placements and events that name them."""
    kept = tuple(c for c in s.contracts if c.side == "lessor" or supplier_of(c) != supplier)
    names = {c.name for c in kept}
    return s.model_copy(
        update={
            "contracts": kept,
            "placements": tuple(p for p in s.placements if p.contract is None or p.contract in names),
            "events": tuple(e for e in s.events if e.contract is None or e.contract in names),
        }
    )


def _add(sums: dict[str, float], key: str, amount: float) -> None:
    sums[key] = sums.get(key, 0.0) + amount
