"""A fleet of any size, request by request in a sample: strata of hours and cells, each weighed by what it stands for.

The people of a cell live through their weeks up to its hour at session granularity, so windows are as full as they
would be; what fails is drawn for the fleet, so cells that share a feed fail together. No two looks know of each other:
any number of processes gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ampacity.base.cores import cores
from ampacity.demand.hourly import hourly
from ampacity.demand.people import HOURS, people_seed, zone_of
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_hour import CellHour, Seen, closely
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.estimate import Sample
from ampacity.simulator.failure_causes import Causes, stated_causes
from ampacity.simulator.failures import failures
from ampacity.simulator.fleet_layout import Layout, layout_of
from ampacity.simulator.known_activity import Known, known_activity
from ampacity.simulator.limits_in_time import LimitsInTime, TokensFound, limits_in_time
from ampacity.simulator.model_cell import follows, pool_of
from ampacity.simulator.of_scenario import cap_of, scaling_of
from ampacity.simulator.shedding import quanta, room_of, shedding
from ampacity.simulator.strata import CELLS, Look, every_look, looks
from ampacity.simulator.ticks import DOOR, SPEED, Tick
from ampacity.simulator.timeline import CLOSE, DRAIN, KILL, MISROUTE, OPEN, SLOW, UP, timeline
from ampacity.supply.capacity import PoolCapacity, capacities
from ampacity.supply.delivery import hours_of
from ampacity.supply.serving_point import serving_point

Floats = NDArray[np.float64]
Item = TypeVar("Item")
Out = TypeVar("Out")
Workers = int | Literal["ray"] | None
"""Who shares the looks: so many processes, one a core, or a cluster of Ray."""

WARM_S = 900
"""Sent before an hour counts [s]: longer than memory under load keeps a context (`inference/at_rest.py`)."""
REPLICATES_MOST = 20
"""Of a sample with many cells: more would tell the interval hardly better."""
_WORDS = {
    DRAIN: at.DRAIN, KILL: at.KILL, UP: at.UP, SLOW: at.SLOW, CLOSE: at.CLOSE, OPEN: at.OPEN, MISROUTE: at.MISROUTE
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What all looks share. s: one world. found: tokens of open windows. causes: of what fails;
    None: nothing does. warm_s: sent before an hour counts [s]. curves: of the plan, for capped tiers."""

    s: Scenario
    found: TokensFound
    seed: int = 1
    world: int = 0
    causes: Causes | None = None
    warm_s: int = WARM_S
    curves: tuple[CapacityCurve, ...] = ()


@dataclass(frozen=True)
class Fleet:
    """A setting laid out. pools: those that serve, [pool]. numbers: of each in the layout. tiers, limits: of each.
    share: of its model's work that a pool is given in each hour, [pool, hour]. load: accelerators that demand takes at
    full load over those that run, in each hour. rooms: requests that a replica takes, [pool]. start_s: when hours
    begin, from 1970 [s]."""

    setting: Setting
    pools: tuple[PoolCapacity, ...]
    numbers: tuple[int, ...]
    tiers: tuple[tuple[Tier, ...], ...]
    limits: tuple[LimitsInTime, ...]
    share: Floats
    load: Floats
    rooms: tuple[float, ...]
    layout: Layout
    start_s: int

    @property
    def replicas(self) -> list[int]:
        """Most replicas that each pool ever has."""
        return [int(p.replicas.max()) for p in self.pools]


def fleet(setting: Setting) -> Fleet:
    """The pools of a scenario that serve, and how work is divided among them: by how many sessions each carries."""
    s = setting.s
    hours = hours_of(s)
    supply = capacities(s, hours)
    serving = [i for i, p in enumerate(supply) if p.replica is not None and p.replicas.max() >= 1]
    pools = tuple(supply[i] for i in serving)
    tiers = tuple(tuple(t for t in s.tiers if p.replica and t.model == p.replica.model.name) for p in pools)
    carries = np.array([_carries(s, p, own) for p, own in zip(pools, tiers, strict=True)]).reshape(-1, hours.count)
    share = np.zeros_like(carries)
    names = [p.replica.model.name for p in pools if p.replica]
    for i, name in enumerate(names):
        whole = np.sum([carries[k] for k, other in enumerate(names) if other == name], axis=0)
        share[i] = np.divide(carries[i], whole, out=np.zeros_like(whole), where=whole > 0)
    wanted = np.array([_wanted(s, p, own) for p, own in zip(pools, tiers, strict=True)]).reshape(-1, hours.count)
    wanted = (wanted * share).sum(axis=0)
    held = sum((p.running_accelerators for p in pools), np.zeros(hours.count))
    load = np.divide(wanted, held, out=np.zeros_like(wanted), where=held > 0)
    rooms = tuple(room_of(s, own, p) for p, own in zip(pools, tiers, strict=True))
    layout = layout_of(supply)
    numbers = [next(i for i, other in enumerate(layout.pools) if other.name == p.pool.name) for p in pools]
    limits = tuple(limits_in_time(s, own, setting.found) for own in tiers)
    return Fleet(setting, pools, tuple(numbers), tiers, limits, share, load, rooms, layout, hours.start_s)


def _carries(s: Scenario, p: PoolCapacity, tiers: tuple[Tier, ...]) -> Floats:
    """Sessions of the tier with most people that a pool carries, in each hour."""
    lead = max(tiers, key=lambda t: t.people.value, default=None)
    point = serving_point(s, lead.behaviour, p) if lead is not None else None
    assert p.replica is not None
    return p.replicas * p.replica.accelerators / point.seconds_per_active_s if point else np.zeros_like(p.replicas)


def _wanted(s: Scenario, p: PoolCapacity, tiers: tuple[Tier, ...]) -> Floats:
    """Accelerators of a pool that its model's whole demand would take at full load, in each hour."""
    hours = hours_of(s)
    found = np.zeros(hours.count)
    for t in tiers:
        if point := serving_point(s, t.behaviour, p):
            d = hourly(t, hours.start_s, hours.count, zone_of(s, t))
            found += d.people * d.active_share * point.seconds_per_active_s
    return found


def sampled(
    f: Fleet,
    *,
    hours: int = HOURS,
    cells: int = CELLS,
    processes: Workers = None,
    progress: Callable[[int, int], None] | None = None,
) -> Sample:
    """The fleet's first hours, four weeks at most, from a stratified sample of hours and cells.

    cells: of each pool, at least one; one alone tells no interval. processes: None: as many as there are processors;
    "ray": a cluster's. progress: called with (looks done, looks in all).
    """
    span = min(len(f.load), hours, HOURS)
    wanted = looks(f.load[:span], f.replicas, f.setting.seed, cells=cells)
    return gathered(f, wanted, processes, progress, min(cells, REPLICATES_MOST), known(f, span))


def known(f: Fleet, hours: int) -> Known:
    """How long people are expected to be active in the first hours, pool by pool."""
    setting, there = f.setting, np.array([np.floor(p.replicas[:hours]) for p in f.pools]).reshape(-1, hours)
    drawn_by = people_seed(setting.seed, setting.world)
    return known_activity(setting.s, f.tiers, f.share[:, :hours], there, f.start_s, drawn_by)


def whole(
    f: Fleet, hours: list[int], *, processes: Workers = None, progress: Callable[[int, int], None] | None = None
) -> Sample:
    """All cells of a fleet in these hours: nothing is left to sampling, so no figure has an interval."""
    return gathered(f, every_look(f.replicas, hours), processes, progress, 1)


def busiest(f: Fleet, hours: int) -> list[int]:
    """The hours of the first four weeks in which most is asked of what is there, in the order of time."""
    load = f.load[:HOURS]
    return sorted(np.lexsort((np.arange(len(load)), -load))[:hours].tolist())


def gathered(
    f: Fleet,
    wanted: list[Look],
    processes: Workers,
    progress: Callable[[int, int], None] | None,
    replicates: int = CELLS,
    activity: Known | None = None,
) -> Sample:
    """What these looks show, together. activity: of all cell-hours that they stand for."""
    names = tuple(t.name for t in f.setting.s.tiers)
    sample = Sample.empty(names, tuple(p.pool.name for p in f.pools), wanted, replicates, activity)
    for done, (one, seen) in enumerate(zip(wanted, _results(f, wanted, processes), strict=True), 1):
        if seen is not None:
            sample.add(one, seen)
        if progress is not None:
            progress(done, len(wanted))
    return sample


def _results(f: Fleet, wanted: list[Look], processes: Workers) -> Iterator[Seen | None]:
    """What looks show, in their order."""
    return mapped(f, seen_in, wanted, processes)


def mapped(f: Fleet, work: Callable[[Fleet, Item], Out], items: Sequence[Item], processes: Workers) -> Iterator[Out]:
    """`work(f, item)` of every item in their order, in as many processes (None: one a core). work: of a module."""
    if processes == "ray":
        from ampacity.simulator.ray_engine import on_ray

        yield from on_ray(f.setting, work, items)
        return
    many = min(processes or cores(), len(items))
    if many <= 1:
        yield from (work(f, item) for item in items)
        return
    # processes begin afresh: a fork of one that holds threads may never end
    with ProcessPoolExecutor(many, get_context("spawn"), _begin, (f.setting,)) as workers:
        yield from workers.map(partial(_work, work), items, chunksize=max(min(4, len(items) // (2 * many)), 1))


_FLEET: list[Fleet] = []
"""The fleet of a process that works for another."""


def _begin(setting: Setting) -> None:
    _FLEET.append(fleet(setting))


def _work(work: Callable[[Fleet, Item], Out], item: Item) -> Out:
    return work(_FLEET[0], item)


def one_look(f: Fleet, one: Look) -> CellResult | None:
    """What one cell meets in one hour; None if its replicas are not there yet, or any more."""
    seen = seen_in(f, one)
    return seen.result if seen is not None else None


def seen_in(f: Fleet, one: Look) -> Seen | None:
    """The same, with how good it was and what it took of the replicas."""
    c = cell_hour(f, one)
    return None if c is None else closely(replace(c, step=f.pools[one.pool].step))


def cell_hour(f: Fleet, one: Look) -> CellHour | None:
    """One cell and its hour; None if its replicas are not there yet, or any more."""
    pool, setting = f.pools[one.pool], f.setting
    there = int(pool.replicas[one.hour])
    replicas = min(max(there - one.first, 0), one.replicas)
    if replicas == 0 or not f.tiers[one.pool]:
        return None
    warm_s = min(setting.warm_s, one.hour * 3600)
    return CellHour(
        s=setting.s,
        tiers=f.tiers[one.pool],
        limits=f.limits[one.pool],
        pool=replace(pool_of(pool), replicas=replicas),
        share=float(f.share[one.pool, one.hour]) * replicas / there,
        start_s=f.start_s,
        hour=one.hour,
        warm_s=warm_s,
        routing=shedding([f.rooms[one.pool]], [replicas]),
        quanta=quanta(f.tiers[one.pool]),
        name=f"{pool.pool.name}#{one.cell}",
        seed=setting.seed,
        world=setting.world,
        ticks=_ticks(f, one, replicas, warm_s),
        scaling=scaling_of(follows(pool), 0, replicas, there),
        caps=tuple(
            cap_of(t, setting.curves, [pool.pool.name], one.hour - -(-warm_s // 3600), replicas, there)
            for t in f.tiers[one.pool]
        ),
    )


def _ticks(f: Fleet, one: Look, replicas: int, warm_s: int) -> tuple[Tick, ...]:
    """What fails in the cell, counted from when it opens."""
    s = f.setting
    if s.causes is None:
        return ()
    first = sum(int(p.replicas) for p in f.layout.pools[: f.numbers[one.pool]]) + one.first
    chosen = range(first, first + replicas)
    start_ps = (one.hour * 3600 - warm_s) * PS_PER_S
    end_ps = (one.hour + 1) * 3600 * PS_PER_S
    out = failures(s.causes, f.layout, s.seed, start_ps, end_ps, chosen, f.start_s)
    line = timeline(out, f.layout, start_ps, end_ps, chosen)
    found = []
    for at_ps, replica, what, value in zip(
        line.at_ps.tolist(), line.replica.tolist(), line.what.tolist(), line.value.tolist(), strict=True
    ):
        where = DOOR if replica < 0 else replica - first
        found.append(Tick(at_ps - start_ps, where, _WORDS[what], max(value, SPEED) if what == SLOW else value))
    return tuple(found)


def setting_of(
    s: Scenario, found: TokensFound, seed: int = 1, world: int = 0, curves: tuple[CapacityCurve, ...] = ()
) -> Setting:
    """A setting in which things fail as the catalog's causes say for this world."""
    return Setting(s, found, seed, world, stated_causes(seed, world, s.as_of), curves=curves)
