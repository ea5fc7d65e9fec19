"""What a run took of its scenario: the waterfall, energy, air and fees, with busy and useful measured, not expected.

Down to `running` the stages are what supply expects. Nothing fails in a run, so `busy` is the share of the time in
which an iteration ran on replicas that are all up, and `useful` what a sample of iterations says of it. Only the pools
that served are in it; fees are those of all contracts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import HOUR_S
from ampacity.scenario.scenario import Scenario
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.ran import Ran
from ampacity.simulator.sampled import Shares
from ampacity.supply.air import Air, air
from ampacity.supply.capacity import PoolCapacity
from ampacity.supply.delivery import Hours, hours_of
from ampacity.supply.energy import Energy, energy
from ampacity.supply.ledger import accounts
from ampacity.supply.waterfall import Booking, book

Array = NDArray[np.float64]
KINDS = ("uncached_input", "cached_input", "output")


@dataclass(frozen=True)
class Measured:
    """Over the time of a run. seconds: how long it was. bookings, energy: one a pool that served. air: by site.

    prefill_share: of the busy accelerator-seconds [0 to 1]; None where nothing was looked at iteration by iteration.
    fees_usd: of all contracts on the scenario's own side, less nothing for what is leased out.
    """

    seconds: float
    bookings: tuple[Booking, ...]
    energy: dict[str, Energy]
    air: dict[str, Air]
    prefill_share: float | None
    fees_usd: float
    tokens: dict[str, int]

    @property
    def cost_usd(self) -> float:
        """Fees and electricity. [USD]"""
        return self.fees_usd + sum(e.cost_usd or 0.0 for e in self.energy.values())

    def cost_usd_per_mtok(self) -> dict[str, float | None]:
        """Per million tokens by kind, as a plan has it: prefill's share of the busy time pays for uncached input,
        decode's for output, a cache read is in both. None where none was served or nothing has a price."""
        paid, prefill = self.cost_usd, self.prefill_share
        served = {**self.tokens, "all": sum(self.tokens.values())}
        pays = {"uncached_input": prefill, "output": None if prefill is None else 1.0 - prefill, "all": 1.0}
        return {
            kind: paid * share / served[kind] * 1e6 if share is not None and served[kind] and paid > 0 else None
            for kind, share in pays.items()
        }


@dataclass(frozen=True)
class PoolTook:
    """What a pool did. busy: share of the time of its replicas that are up in which an iteration ran [0 to 1]. shares:
    of that time; None where nothing was looked at iteration by iteration."""

    pool: PoolCapacity
    busy: float
    shares: Shares | None


def measured(s: Scenario, runs: tuple[Ran, ...]) -> Measured:
    """What runs of one length took together. s: the scenario with its options exercised."""
    seconds = max((r.span_ps for r in runs), default=0) / PS_PER_S
    # the last hour counts by the part of it that was run
    count = min(max(int(np.ceil(seconds / HOUR_S)), 1), hours_of(s).count)
    weight = np.clip(seconds / HOUR_S - np.arange(count), 0.0, 1.0)
    took = [PoolTook(*each) for r in runs for each in zip(r.setup.supply, r.pool_busy(), r.pool_shares(), strict=True)]
    return taken(s, weight, took, {kind: sum(r.tokens()[kind] for r in runs) for kind in KINDS})


def taken(s: Scenario, weight: Array, took: Sequence[PoolTook], tokens: dict[str, int]) -> Measured:
    """What pools that did this took of a scenario whose options are exercised.

    weight: how much of each hour from the start on counts. [0 to 1]
    """
    hours = Hours(hours_of(s).start_s, len(weight))
    bookings, energies, used, drawn = [], {}, {}, {}
    spent = prefilled = 0.0
    for t in took:
        pool, name, useful = t.pool, t.pool.pool.name, t.shares.useful if t.shares else 0.0
        cut = {k: v if isinstance(v, float) else v[: hours.count] for k, v in pool.ratios.items()}
        at_work = min(t.busy, 1.0)
        contracted = pool.contracted[: hours.count] * weight
        bookings.append(book(name, contracted, {**cut, "busy": at_work, "useful": useful}))
        running = pool.running_accelerators[: hours.count]
        used[name] = pool.held[: hours.count] + running * at_work
        prefill = t.shares.prefill if t.shares else 0.0
        energies[name], drawn[name] = _energy(pool, running, weight, at_work, prefill)
        accelerator_s = float((running * weight).sum()) * at_work
        spent, prefilled = spent + accelerator_s, prefilled + accelerator_s * prefill
    return Measured(
        seconds=float(weight.sum()) * HOUR_S,
        bookings=tuple(bookings),
        energy=energies,
        air=_air(s, [t.pool for t in took], drawn, hours),
        prefill_share=prefilled / spent if any(t.shares for t in took) and spent > 0 else None,
        fees_usd=_fees_usd(s, weight, hours, used),
        tokens=tokens,
    )


def _fees_usd(s: Scenario, weight: Array, hours: Hours, used: dict[str, Array]) -> float:
    """Fees of the hours that count, span by span of those that follow each other. [USD]"""
    paid = 0.0
    there = np.flatnonzero(weight)
    for span in np.split(there, np.flatnonzero(np.diff(there) > 1) + 1):
        if not len(span):
            continue
        first, behind = int(span[0]), int(span[-1]) + 1
        start_s = hours.start_s + first * HOUR_S
        end_s = start_s + round(float(weight[first:behind].sum()) * HOUR_S)
        within = accounts(s, Hours(start_s, behind - first), {name: u[first:behind] for name, u in used.items()})
        paid += sum(a.within_usd(start_s, end_s) for a in within if a.contract.side != "lessor")
    return float(paid)


def _energy(pool: PoolCapacity, running: Array, weight: Array, busy: float, prefill: float) -> tuple[Energy, Array]:
    """Energy of a pool, and its power at the facility's meter hour by hour, the part of the last hour counted. [W]"""
    many = len(running)
    on = (pool.delivered * pool.energized * pool.alive)[:many]
    with np.errstate(divide="ignore", invalid="ignore"):
        active = np.clip(np.where(on > 0, running * busy / on, 0.0), 0.0, 1.0)
    found = energy(pool.pool.site, pool.pool.accelerator, on * weight, active * prefill, active * (1 - prefill))
    return found, found.facility_w


def _air(s: Scenario, pools: Sequence[PoolCapacity], drawn: dict[str, Array], hours: Hours) -> dict[str, Air]:
    """What the power of all pools of a site puts into the air."""
    sites = {p.pool.site.name: p.pool.site for p in pools}
    of = {p.pool.name: p.pool.site.name for p in pools}
    return {
        name: air(
            site, sum((w for pool, w in drawn.items() if of[pool] == name), np.zeros(hours.count)), hours, s.as_of
        )
        for name, site in sites.items()
    }
