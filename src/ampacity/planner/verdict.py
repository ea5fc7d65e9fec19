"""The conditional answer about public facts: how many people the changed limits carry, and what would break that.

Nobody outside knows the inputs, so the answer is not yes or no: it is a headcount below which it holds, in every world
that the ranges allow, with what moves it most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from ampacity.demand.at_limit import Met
from ampacity.planner.headcount import people_carried, people_of, people_per_mw
from ampacity.planner.limits import ModelLoad, windows_of
from ampacity.planner.use import Use
from ampacity.planner.whom import binding_window
from ampacity.scenario.announced import after, came_with_it, changes
from ampacity.scenario.limit import Window
from ampacity.scenario.pool import counted
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier

DAYS_PER_MONTH = 365.2425 / 12


@dataclass(frozen=True)
class Judgement:
    """One world's verdict.

    people: there are. carried: most that the limits after the change carry; before: with the limits and contracts of
    before; alone: by what came with the change alone, customers without windows served elsewhere; without_largest:
    without the largest supplier; reclaimed: the new limits without the contracts that came with them.
    holds_months: until growth reaches `carried`; negative if it does not hold at all; infinite without growth.
    binds_before, binds_after: by tier, the window that stops most people, "" if none does. hit_*: people in a week.
    """

    people: float
    carried: float
    before: float
    alone: float
    without_largest: float
    reclaimed: float
    holds_months: float
    binds_before: dict[str, str]
    binds_after: dict[str, str]
    hit_before: dict[str, dict[str, float]]
    hit_after: dict[str, dict[str, float]]


def largest_supplier(s: Scenario) -> str:
    """The supplier whose contracts deliver most dense 8-bit arithmetic (bf16 where that is unknown), when complete."""
    flops: dict[str, float] = {}
    for contract in counted(s):
        for d in contract.deliveries:
            chip = s.accelerator(d.accelerator)
            peak = chip.flops("fp8") or chip.flops("bf16")
            flops[contract.supplier] = flops.get(contract.supplier, 0.0) + d.quantity.value * (
                peak.value if peak else 0
            )
    return max(flops, key=lambda name: flops[name], default="")


def changed_load(s: Scenario, loads: tuple[ModelLoad, ...]) -> ModelLoad:
    """The load of the model whose tier's limit changed first."""
    tier = changes(s)[0].tier
    return next(load for load in loads if any(t.name == tier for t in load.tiers))


def judge(s: Scenario, load: ModelLoad, supplier: str, met: dict[str, Met], seed: int = 1, world: int = 0) -> Judgement:
    """The verdict of one world: `s` as written (limits of before), `load` and `met` of the world after the change."""
    new = came_with_it(s)
    people, carried = people_of(load), people_carried(load)
    growth = [t.growth.value for t in s.tiers if t.growth is not None]
    rate = math.log1p(float(np.mean(growth))) if growth else 0.0
    months = math.inf
    if rate > 0 and people > 0:
        months = math.log(max(carried, 1e-9) / people) / rate
    elif carried < people:
        months = -math.inf
    before = Use(s, tuple(s.tier(t.name) for t in load.tiers), seed, world)
    met_after = {t.name: met[t.name] for t in load.tiers if t.name in met}
    met_before = {t.name: m for t in before.tiers if (m := before.today(t, _tokens(s, t))) is not None}
    return Judgement(
        people=people,
        carried=carried,
        before=people_carried(load, lambda p: p.pool.contract.name not in new, use=before),
        alone=people_carried(load, lambda p: p.pool.contract.name in new, others=False),
        without_largest=people_carried(load, lambda p: p.pool.contract.supplier != supplier),
        reclaimed=people_carried(load, lambda p: p.pool.contract.name not in new),
        holds_months=months,
        binds_before={n: binding_window(m) for n, m in met_before.items()},
        binds_after={n: binding_window(m) for n, m in met_after.items()},
        hit_before={n: {w: m.hit_by(w) for w in m.windows} for n, m in met_before.items()},
        hit_after={n: {w: m.hit_by(w) for w in m.windows} for n, m in met_after.items()},
    )


def _tokens(s: Scenario, tier: Tier) -> dict[str, float]:
    """Tokens of a tier's windows, as stated."""
    return {w.window: w.tokens for w in windows_of(s, tier)}


@dataclass(frozen=True)
class Spread:
    """Median of all worlds and their 90 % interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """The conditional answer over all worlds.

    changed_on: the day; factor: of the tokens of the shortest window. people: assumed. carried and the others as in
    Judgement. people_per_mw: more people for one more megawatt of the new contracts' servers. holds_share: of worlds
    in which it holds on the first day. holds_until: dates, None beyond a century. binds_*: by tier and window, share
    of worlds. hit_*: median share of people hit in a week.
    """

    changed_on: date
    factor: float
    supplier: str
    with_contracts: tuple[str, ...]
    people: Spread
    carried: Spread
    before: Spread
    alone: Spread
    without_largest: Spread
    reclaimed: Spread
    holds_reclaimed_share: float
    people_per_mw: float | None
    holds_share: float
    holds_without_largest_share: float
    growth: Spread | None
    holds_until: tuple[date | None, date | None, date | None]
    binds_before: dict[str, dict[str, float]]
    binds_after: dict[str, dict[str, float]]
    hit_before: dict[str, dict[str, float]]
    hit_after: dict[str, dict[str, float]]


def verdict(
    s: Scenario, worlds: list[Scenario], judged: list[Judgement], supplier: str, central: ModelLoad
) -> Verdict | None:
    """Gather the worlds' judgements; None where no limit changes."""
    if not changes(s):
        return None
    growth = [float(np.mean(g)) for w in worlds if (g := [t.growth.value for t in w.tiers if t.growth is not None])]
    months = np.quantile([min(max(j.holds_months, -1e6), 1e6) for j in judged], (0.05, 0.5, 0.95))
    return Verdict(
        changed_on=changes(s)[0].date,
        factor=factor(s),
        supplier=supplier,
        with_contracts=tuple(sorted(came_with_it(s))),
        people=_spread([j.people for j in judged]),
        carried=_spread([j.carried for j in judged]),
        before=_spread([j.before for j in judged]),
        alone=_spread([j.alone for j in judged]),
        without_largest=_spread([j.without_largest for j in judged]),
        reclaimed=_spread([j.reclaimed for j in judged]),
        holds_reclaimed_share=float(np.mean([j.reclaimed >= j.people for j in judged])),
        people_per_mw=people_per_mw(central, lambda p: p.pool.contract.name in came_with_it(s)),
        holds_share=float(np.mean([j.carried >= j.people for j in judged])),
        holds_without_largest_share=float(np.mean([j.without_largest >= j.people for j in judged])),
        growth=_spread(growth) if growth else None,
        holds_until=(_day(s, months[1]), _day(s, months[0]), _day(s, months[2])),
        binds_before=_shares([j.binds_before for j in judged]),
        binds_after=_shares([j.binds_after for j in judged]),
        hit_before=_medians([j.hit_before for j in judged]),
        hit_after=_medians([j.hit_after for j in judged]),
    )


def factor(s: Scenario) -> float:
    """How many times the tokens of a tier's shortest window, after over before, at the stated values; NaN where either
    has none, or states none."""
    name = str(changes(s)[0].tier)
    old, new = (shortest_window(state, name) for state in (s, after(s)))
    if old is None or new is None or old.tokens is None or new.tokens is None:
        return math.nan
    return new.tokens.value / old.tokens.value


def shortest_window(s: Scenario, tier: str) -> Window | None:
    """The shortest window of a tier's limit; None without one."""
    limit = s.tier(tier).limit
    return min(s.limit(limit).windows, key=lambda w: w.length_s, default=None) if limit is not None else None


def _spread(numbers: list[float]) -> Spread:
    low, median, high = np.quantile(np.array(numbers), (0.05, 0.5, 0.95))
    return Spread(float(median), float(low), float(high))


def _day(s: Scenario, months: float) -> date | None:
    return s.start + timedelta(days=months * DAYS_PER_MONTH) if abs(months) < 1200 else None


def _shares(found: list[dict[str, str]]) -> dict[str, dict[str, float]]:
    tiers = found[0]
    windows = {t: sorted({f[t] for f in found}) for t in tiers}
    return {t: {w or "none": float(np.mean([f[t] == w for f in found])) for w in windows[t]} for t in tiers}


def _medians(found: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {t: {w: float(np.median([f[t][w] for f in found])) for w in rows} for t, rows in found[0].items()}
