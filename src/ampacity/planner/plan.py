"""`plan`: a scenario to limits, capacity curves, cost and energy, over all worlds that its ranges allow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np

from ampacity.base.record import Record
from ampacity.planner.answer import Answer, answer
from ampacity.planner.curves import curves
from ampacity.planner.hazard import has_hazards, struck
from ampacity.planner.interval import Interval, interval
from ampacity.planner.movers import Mover, movers
from ampacity.planner.serving import Served, served
from ampacity.planner.verdict import Judgement, Verdict, changed_load, judge, largest_supplier, verdict
from ampacity.planner.whom import binding_window, served_share
from ampacity.scenario.announced import after, changes
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.scenario.contract import Contract
from ampacity.scenario.pool import counted
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.worlds import draw, ranges
from ampacity.supply.billing import price_usd_per_s
from ampacity.supply.delivery import hours_of
from ampacity.supply.leasing import leased_out
from ampacity.supply.options import exercised, rights

if TYPE_CHECKING:
    import polars as pl


WORLDS_TO_SHARE, WORLDS_AT_ONCE = 50, 10
"""Fewer worlds than that are not worth another process; a process takes so many at a time."""


@dataclass(frozen=True)
class PlannedWindow:
    """One window of one tier, over all worlds.

    tokens: weighted tokens it can hold. guaranteed: the same if every active person used it up, at the stated values.
    stated: whether the scenario gave the tokens. On today's use: binding: in most worlds; binding_share: in which share
    of them; people_hit_share: of people, in a week; unserved_share: of the tokens that the tier wants, under all its
    windows [0 to 1]. A window that shapes seconds is not seen by weeks of sessions: nothing is known of whom it hits.
    """

    tier: str
    model: str
    window: str
    length_s: float
    tokens: Interval
    guaranteed: float
    stated: bool
    binding: bool
    binding_share: float
    people_hit_share: Interval | None
    unserved_share: Interval


@dataclass(frozen=True)
class Plan:
    """The result of planning.

    windows: every window of every tier. curves: hourly caps. central: the answer at the stated values of all ranges.
    carried_share: hours that carry the limits, by model. unlimited_share: hours that would carry today's use with no
    limit at all. cost_usd_per_mtok: by kind. movers: ranges, the most moving first. verdict: of a change of limits, if
    there is one. serving: tokens per second of an accelerator, by pool. notes: what has no effect here.
    """

    scenario: Scenario
    record: Record
    central: Answer
    windows: tuple[PlannedWindow, ...]
    curves: tuple[CapacityCurve, ...]
    carried_share: dict[str, float]
    unlimited_share: dict[str, Interval]
    cost_usd_per_mtok: dict[str, Interval | None]
    movers: tuple[Mover, ...]
    verdict: Verdict | None
    serving: tuple[Served, ...]
    notes: tuple[str, ...]
    tokens_by_world: tuple[float, ...] = ()

    @property
    def limits(self) -> pl.DataFrame:
        """One row a tier and window; units in the column names."""
        from ampacity.planner.frames import limits_frame

        return limits_frame(self)

    @property
    def waterfall(self) -> pl.DataFrame:
        """Accelerator-milliseconds by pool, hour and stage, whole numbers."""
        from ampacity.planner.frames import waterfall_frame

        return waterfall_frame(self)

    @property
    def hours(self) -> pl.DataFrame:
        """Supply against demand by hour and model, in accelerators; tokens served by kind."""
        from ampacity.planner.frames import hours_frame

        return hours_frame(self)


def plan(s: Scenario, *, seed: int = 1, progress: Callable[[int, int], None] | None = None, processes: int = 1) -> Plan:
    """Find the largest limits of a scenario, with an interval over its worlds.

    seed: of the draws from ranges. progress: called with (worlds done, worlds in all). processes: that share the
    worlds; any number gives the same plan. More than one begin afresh, so a script of one's own that asks for them
    must be guarded by `if __name__ == "__main__"`.
    """
    began = time.process_time()
    paths = [path for path, _ in ranges(s)]
    count = s.worlds if paths or has_hazards(s) else 1
    worlds, answers, judged, cpu_s = [], [], [], 0.0
    supplier = largest_supplier(s)
    for one in _worlds(s, seed, count, supplier, processes if count >= WORLDS_TO_SHARE else 1):
        worlds.append(one.scenario)
        answers.append(one.answer)
        judged += [one.judgement] if one.judgement is not None else []
        cpu_s += one.cpu_s
        if progress is not None:
            progress(len(answers), count)
    central = answers[0]
    record = Record(
        scenario=s.name,
        scenario_hash=s.digest(),
        seed=seed,
        worlds=count,
        version=version("ampacity"),
        as_of=s.as_of,
        cpu_s=time.process_time() - began + cpu_s,
    )
    costs = [a.cost_usd_per_mtok() for a in answers]
    return Plan(
        scenario=s,
        record=record,
        central=central,
        windows=_windows(after(s), answers),
        curves=curves(central),
        carried_share={m.model: m.carried_share for m in central.models},
        unlimited_share={
            m.model: interval([a.models[i].unlimited_share for a in answers]) for i, m in enumerate(central.models)
        },
        cost_usd_per_mtok={kind: _interval_or_none([c[kind] for c in costs]) for kind in costs[0]},
        movers=movers(s, worlds, _moved(answers, judged)),
        verdict=verdict(s, worlds, judged, supplier, changed_load(s, central.models)) if judged else None,
        serving=served(s, answers),
        notes=_notes(s),
        tokens_by_world=tuple(a.tokens()["all"] for a in answers),
    )


@dataclass(frozen=True)
class _World:
    """One world: what is so in it, its answer, its verdict; CPU time beside that of this process [s]."""

    scenario: Scenario
    answer: Answer
    judgement: Judgement | None
    cpu_s: float = 0.0


def _worlds(s: Scenario, seed: int, count: int, supplier: str, processes: int) -> Iterator[_World]:
    """All worlds, in order."""
    one = partial(_world, s, seed, supplier)
    if processes <= 1:
        yield from map(one, range(count))
        return
    # processes begin afresh: a fork of one that holds threads may never end
    with ProcessPoolExecutor(processes, get_context("spawn")) as workers:
        yield from workers.map(partial(_timed, one), range(count), chunksize=WORLDS_AT_ONCE)


def _world(s: Scenario, seed: int, supplier: str, world: int) -> _World:
    own = struck(draw(s, seed, world), seed, world)
    found = answer(after(own), guarantee=world == 0, seed=seed, world=world)
    if not changes(s):
        return _World(own, found, None)
    return _World(own, found, judge(own, changed_load(own, found.models), supplier, found.met, seed, world))


def _timed(one: Callable[[int], _World], world: int) -> _World:
    began = time.process_time()
    return replace(one(world), cpu_s=time.process_time() - began)


def _windows(s: Scenario, answers: list[Answer]) -> tuple[PlannedWindow, ...]:
    found = []
    for i, load in enumerate(answers[0].models):
        for j, central in enumerate(load.limits):
            rows = [a.models[i].limits[j] for a in answers]
            met = [a.met[central.tier] for a in answers]
            tier = s.tier(central.tier)
            window = next(w for w in s.limit(str(tier.limit)).windows if w.name == central.window)
            share = float(np.mean([binding_window(m) == central.window for m in met]))
            seen = central.window in met[0].windows
            found.append(
                PlannedWindow(
                    tier=tier.name,
                    model=load.model,
                    window=window.name,
                    length_s=window.length_s,
                    tokens=interval([r.tokens for r in rows]),
                    guaranteed=central.guaranteed,
                    stated=central.stated,
                    binding=share > 0.5,
                    binding_share=share,
                    people_hit_share=interval([m.hit_by(central.window) for m in met]) if seen else None,
                    unserved_share=interval([1.0 - served_share(m) for m in met]),
                )
            )
    return tuple(found)


def _interval_or_none(numbers: list[float | None]) -> Interval | None:
    known = [n for n in numbers if n is not None]
    return interval(known) if len(known) == len(numbers) else None


def _moved(answers: list[Answer], judged: list[Judgement]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What the ranges are ranked by, one number a world: the people carried, or else the rate that limits allow."""
    if judged:
        return np.array([j.carried for j in judged])
    return np.array([np.mean([m.scale for m in a.models]) for a in answers])


def _notes(s: Scenario) -> tuple[str, ...]:
    """What the scenario says that this plan does not use, so that nobody takes silence for effect."""
    notes = []
    for c in s.contracts:
        if not c.firm:
            alone = "nothing here is, so this plan is a what-if" if c in counted(s) else "its capacity counts nothing"
            notes.append(f'contract "{c.name}" is not firm: {alone}')
        unused = [f"{kind} (no event uses it)" for kind in unused_rights(s, c)]
        if c.earmark:
            notes.append(f'contract "{c.name}": its earmark says where tokens land; limits and curves do not follow it')
        if c.commitment and c.fee is None:
            notes.append(
                f'contract "{c.name}": no fee says what is spent when; its commitment counts evenly over its time'
            )
        if unused:
            notes.append(
                f'contract "{c.name}": {", ".join(unused)}; kept with the scenario, without effect on this plan'
            )
        if (
            c.fee
            and c.fee.index
            and any(price_usd_per_s(c, s.accelerator(d.accelerator)) is None for d in c.deliveries)
        ):
            notes.append(
                f'contract "{c.name}": {c.fee.index} is not known for all of its accelerators; those cost nothing here'
            )
    notes += _requests_counted(s)
    unpowered = [a.name for a in s.accelerators if a.tdp_w is None and a.server_w is None]
    notes += [f"{name}: its power is not known; it draws nothing here and never runs short" for name in unpowered]
    return (*notes, *_given_short(s))


def _requests_counted(s: Scenario) -> list[str]:
    """Windows that no plan sees."""
    met = {t.limit for t in s.tiers}
    return [
        f'limit "{limit.name}", {w.name}: counts requests; requests meet it one by one, no plan follows from it'
        for limit in s.limits
        for w in limit.windows
        if limit.name in met and w.requests is not None
    ]


def unused_rights(s: Scenario, contract: Contract) -> list[str]:
    """Rights of a contract that no event uses: reclaim, termination, options."""
    used = {e.kind for e in s.events if e.contract == contract.name}
    found = [kind for kind in ("reclaim", "termination") if getattr(contract, kind) and kind not in used]
    return found + [f"the right to {right.kind}" for right in rights(s, contract) if right.used_on is None]


def _given_short(s: Scenario) -> list[str]:
    """What is promised to others beyond what is there."""
    out = leased_out(exercised(s), hours_of(s))
    return [
        f"{name}: up to {float((promised - out.given[name]).max()):,.0f} accelerators are promised beyond what is there"
        for name, promised in out.promised.items()
        if np.any(promised > out.given[name] + 1e-6)
    ]
