"""A pool: accelerators of one type at one site under one contract: what routing sees. Derived, never written."""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.contract import Contract, Delivery
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.site import Site


@dataclass(frozen=True)
class Pool:
    """Accelerators that are alike in all that matters to routing. name: `contract/site/accelerator`."""

    name: str
    contract: Contract
    site: Site
    accelerator: Accelerator
    deliveries: tuple[Delivery, ...]


def pools(s: Scenario) -> tuple[Pool, ...]:
    """All pools of a scenario that its own side may use, in the order in which contracts and deliveries are written."""
    return _pools(s, leased_out=False)


def leased_out_pools(s: Scenario) -> tuple[Pool, ...]:
    """What the scenario's own side gives to others, in the same order."""
    return _pools(s, leased_out=True)


def _pools(s: Scenario, *, leased_out: bool) -> tuple[Pool, ...]:
    found: dict[str, Pool] = {}
    contracts = tuple(c for c in s.contracts if c.side == "lessor") if leased_out else counted(s)
    for contract in contracts:
        for delivery in contract.deliveries:
            name = f"{contract.name}/{delivery.site}/{delivery.accelerator}"
            before = found[name].deliveries if name in found else ()
            found[name] = Pool(
                name, contract, s.site(delivery.site), s.accelerator(delivery.accelerator), (*before, delivery)
            )
    return tuple(found.values())


def counted(s: Scenario) -> tuple[Contract, ...]:
    """The contracts whose capacity counts: the firm ones, or all where none is firm (the scenario is a what-if)."""
    return tuple(c for c in own(s) if c.firm) or own(s)


def own(s: Scenario) -> tuple[Contract, ...]:
    """The contracts under which the scenario's own side has capacity: all but those that lease it out."""
    return tuple(c for c in s.contracts if c.side != "lessor")
