"""The answer for one world: limits, whom they hit, and what is served, costs and draws under them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.demand.at_limit import Met
from ampacity.planner.limits import ModelLoad, model_loads
from ampacity.planner.whom import served_share
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.supply.capacity import PoolCapacity, capacities
from ampacity.supply.delivery import Hours, hours_of
from ampacity.supply.energy import Energy, energy
from ampacity.supply.ledger import accounts, paid_and_earned_usd
from ampacity.supply.options import exercised
from ampacity.supply.waterfall import Booking, book

Array = NDArray[np.float64]
KINDS = ("uncached_input", "cached_input", "output")


@dataclass(frozen=True)
class TierService:
    """What a tier gets in each hour under its limits.

    wanted_s, served_s: accelerator-seconds wanted without a limit, and served, [hour].
    uncached_input, cached_input, output: tokens served, [hour].
    """

    tier: str
    wanted_s: Array
    served_s: Array
    uncached_input: Array
    cached_input: Array
    output: Array


@dataclass(frozen=True)
class Carried:
    """What one world's compute carries."""

    hours: Hours
    supply: tuple[PoolCapacity, ...]
    models: tuple[ModelLoad, ...]


@dataclass(frozen=True)
class Answer(Carried):
    """One world's answer.

    met: what people meet on today's use, by tier that has windows. bookings, energy: one a pool. fees_usd: paid over
    all hours; earned_usd: by leasing out.
    """

    met: dict[str, Met]
    tiers: tuple[TierService, ...]
    bookings: tuple[Booking, ...]
    energy: tuple[Energy, ...]
    fees_usd: float
    earned_usd: float = 0.0

    @property
    def cost_usd(self) -> float:
        """Fees paid and energy over all hours; what is earned by leasing out is not taken off. [USD]"""
        return self.fees_usd + sum(e.cost_usd or 0.0 for e in self.energy)

    def tokens(self) -> dict[str, float]:
        """Tokens served over all hours by kind, and all. [token]"""
        found = {kind: float(sum(getattr(t, kind).sum() for t in self.tiers)) for kind in KINDS}
        return {**found, "all": sum(found.values())}

    def cost_usd_per_mtok(self) -> dict[str, float | None]:
        """Cost per million tokens served, by kind; None where none is served or nothing has a price. [USD/Mtoken]

        Prefill's share of the busy time pays for uncached input, decode's for output; a cache read is in both of them.
        """
        tokens = self.tokens()
        prefill = prefill_share(self.models, self.tiers)
        shares = {"uncached_input": prefill, "output": 1.0 - prefill, "all": 1.0}
        paid = self.cost_usd
        return {k: paid * v / tokens[k] * 1e6 if tokens[k] > 0 and paid > 0 else None for k, v in shares.items()}


def carried(s: Scenario, *, guarantee: bool | None = True, seed: int = 1, world: int = 0) -> Carried:
    """The largest limits of one world; `guarantee` as in `model_loads`."""
    s = exercised(s)
    hours = hours_of(s)
    supply = capacities(s, hours)
    return Carried(hours, supply, model_loads(s, hours, supply, seed, world, guarantee=guarantee))


def answer(s: Scenario, *, guarantee: bool = True, seed: int = 1, world: int = 0) -> Answer:
    """Plan one world of a scenario; `guarantee` as in `model_loads`, seed and world: whose people are drawn."""
    found, s = carried(s, guarantee=guarantee, seed=seed, world=world), exercised(s)
    hours, supply, models = found.hours, found.supply, found.models
    met = {t.name: m for load in models for t in load.tiers if (m := _met(load, t)) is not None}
    served = tuple(row for load in models for row in _service(load, met))
    bookings, energies, used = [], [], {}
    for pool in supply:
        load = next((m for m in models if any(p is pool for p in m.pools)), None)
        busy, useful, prefill = _busy(load, served, pool)
        ratios = {**pool.ratios, "busy": busy, "useful": useful}
        bookings.append(book(pool.pool.name, pool.contracted, ratios))
        used[pool.pool.name] = pool.held + pool.running_accelerators * busy
        on = pool.delivered * pool.energized * pool.alive
        with np.errstate(divide="ignore", invalid="ignore"):
            active = np.where(on > 0, pool.running_accelerators * busy / on, 0.0)
        active = np.clip(active, 0.0, 1.0)
        energies.append(energy(pool.pool.site, pool.pool.accelerator, on, active * prefill, active * (1 - prefill)))
    fees, earned = paid_and_earned_usd(accounts(s, hours, used), hours)
    return Answer(hours, supply, models, met, served, tuple(bookings), tuple(energies), fees, earned)


def _met(load: ModelLoad, tier: Tier) -> Met | None:
    return load.use.today(tier, {w.window: w.tokens for w in load.limits if w.tier == tier.name})


def prefill_share(models: tuple[ModelLoad, ...], tiers: tuple[TierService, ...]) -> float:
    """Share of the busy accelerator-seconds that prefill takes. [0 to 1]"""
    prefill = total = 0.0
    for load in models:
        for tier in load.tiers:
            seconds = float(sum(t.served_s.sum() for t in tiers if t.tier == tier.name))
            for pool in load.pools[:1]:
                prefill += seconds * load.points[tier.name, pool.pool.name].prefill_share
                total += seconds
    return prefill / total if total else 0.0


def _service(load: ModelLoad, met: dict[str, Met]) -> list[TierService]:
    """Wants cut by the windows, then by capacity, all tiers of a model alike."""
    wanted = [
        d.people * d.active_share * 3600.0 * c for d, c in zip(load.demand, load.seconds_per_active_s, strict=True)
    ]
    kept = [served_share(met.get(t.name)) for t in load.tiers]
    total = sum((w * k for w, k in zip(wanted, kept, strict=True)), np.zeros_like(load.capacity))
    with np.errstate(divide="ignore", invalid="ignore"):
        fits = np.where(total > 0, np.minimum(load.capacity * 3600.0 / total, 1.0), 0.0)
    if not load.pools:
        fits = np.zeros_like(load.capacity)
    return [
        TierService(t.name, w, w * k * fits, *(getattr(d, kind) * k * fits for kind in KINDS))
        for t, d, w, k in zip(load.tiers, load.demand, wanted, kept, strict=True)
    ]


def _busy(load: ModelLoad | None, served: tuple[TierService, ...], pool: PoolCapacity) -> tuple[Array, float, float]:
    """Busy share of a pool by hour, and the useful and prefill shares of its busy time, over its tiers' work."""
    if load is None:
        return np.zeros_like(pool.delivered), 0.0, 0.0
    own = [t for t in served if any(t.tier == tier.name for tier in load.tiers)]
    work = sum((t.served_s for t in own), np.zeros_like(pool.delivered))
    with np.errstate(divide="ignore", invalid="ignore"):
        busy = np.where(load.capacity > 0, np.minimum(work / (load.capacity * 3600.0), 1.0), 0.0)
    weights = np.array([t.served_s.sum() for t in own])
    if weights.sum() <= 0:
        return busy, 1.0, 0.0
    points = [load.points[t.tier, pool.pool.name] for t in own]
    useful = float(np.average([p.useful for p in points], weights=weights))
    prefill = float(np.average([p.prefill_share for p in points], weights=weights))
    return busy, useful, prefill
