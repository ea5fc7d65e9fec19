"""Earmarks: where the tokens of each contract land, tier by tier.

Hour by hour, the tiers that a contract is earmarked for take from its pools first; what they and all others still need
is then shared out over what is left of all pools alike. A closed form: tokens move between contracts, none is made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.planner.answer import Answer, TierService
from ampacity.planner.limits import ModelLoad
from ampacity.scenario.contract import Contract

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Landing:
    """Tokens of one contract that one tier gets over all hours. earmarked: whether the contract names the tier."""

    contract: str
    tier: str
    tokens: float
    earmarked: bool


def earmarked(a: Answer, *, ignore: bool = False) -> tuple[Landing, ...]:
    """Where the tokens of each contract land; `ignore` shares all pools alike, as if there were no earmark."""
    found: list[Landing] = []
    contracts = {p.pool.contract.name: p.pool.contract for p in a.supply}
    for load in a.models:
        if not load.pools:
            continue
        served = {t.tier: t for t in a.tiers if any(t.tier == own.name for own in load.tiers)}
        for (contract, tier), seconds in _landed(load, served, contracts, ignore).items():
            share = _share(seconds, served[tier])
            named = tier in contracts[contract].earmark
            found.append(Landing(contract, tier, float((_tokens(served[tier]) * share).sum()), named))
    return tuple(found)


def earmarked_share(landings: tuple[Landing, ...], contract: str) -> float | None:
    """Share of a contract's tokens that lands on the tiers it is earmarked for; None where it serves none. [0 to 1]"""
    own = [x for x in landings if x.contract == contract]
    total = sum(x.tokens for x in own)
    return sum(x.tokens for x in own if x.earmarked) / total if total > 0 else None


def _landed(
    load: ModelLoad, served: dict[str, TierService], contracts: dict[str, Contract], ignore: bool
) -> dict[tuple[str, str], Array]:
    """Accelerator-seconds by contract and tier, in those of the model's first pool."""
    left = _capacity_by_contract(load)
    need = {tier.name: served[tier.name].served_s.copy() for tier in load.tiers}
    landed = {(c, t): np.zeros_like(load.capacity) for c in left for t in need}
    for name in left:
        tiers = [t for t in need if t in contracts[name].earmark and not ignore]
        wanted = sum((need[t] for t in tiers), np.zeros_like(load.capacity))
        part = _over(np.minimum(wanted, left[name]), wanted)
        for t in tiers:
            landed[name, t] += need[t] * part
        left[name] = left[name] - wanted * part
        need |= {t: need[t] * (1.0 - part) for t in tiers}
    total = sum(left.values(), np.zeros_like(load.capacity))
    whole = _capacity_by_contract(load)
    all_of_it = sum(whole.values(), np.zeros_like(load.capacity))
    for name in left:
        # where earmarks left nothing, what rounding left of the need follows the capacity
        part = np.where(total > 0, _over(left[name], total), _over(whole[name], all_of_it))
        for t in need:
            landed[name, t] += need[t] * part
    return landed


def _capacity_by_contract(load: ModelLoad) -> dict[str, Array]:
    """Accelerator-seconds by hour, in those of the first pool: a pool counts by how fast it does the tiers' work."""
    first = load.pools[0].pool.name
    cost = {t.name: load.points[t.name, first].seconds_per_active_s for t in load.tiers}
    weight = {
        t.name: float(d.people * d.active_share.mean()) * cost[t.name]
        for t, d in zip(load.tiers, load.demand, strict=True)
    }
    found: dict[str, Array] = {}
    for pool in load.pools:
        slow = {t: load.points[t, pool.pool.name].seconds_per_active_s / cost[t] for t in cost}
        total = sum(weight.values())
        speed = total / sum(weight[t] * slow[t] for t in cost) if total > 0 else 1.0
        name = pool.pool.contract.name
        found[name] = found.get(name, np.zeros_like(load.capacity)) + pool.running_accelerators * 3600.0 * speed
    return found


def _share(seconds: Array, tier: TierService) -> Array:
    return _over(seconds, tier.served_s)


def _tokens(tier: TierService) -> Array:
    return tier.uncached_input + tier.cached_input + tier.output


def _over(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
