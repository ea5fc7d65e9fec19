"""A fleet of any size, request by request in a sample: strata of hours and cells, each weighed by what it stands for.

The people of a cell live through their weeks up to its hour at session granularity, so windows are as full as they
would be; what fails is drawn for the fleet, so cells that share a feed fail together. No two looks know of each other:
any number of processes or machines gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from ampacity.base.streams import bits
from ampacity.demand.people import HOURS, people_seed, zone_of
from ampacity.demand.stretches import active_expected, habits, swings_of
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import Routing
from ampacity.simulator.cell_hour import CellHour, is_certain, look
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.estimate import Known, Sample
from ampacity.simulator.failure_causes import Causes, stated_causes
from ampacity.simulator.failures import failures
from ampacity.simulator.fleet_layout import Layout, layout_of
from ampacity.simulator.model_cell import pool_of
from ampacity.simulator.of_scenario import TokensFound, rules_of
from ampacity.simulator.strata import CELL_REPLICAS, Look, cells_of, every_look, looks
from ampacity.simulator.ticks import DOOR, SPEED, Tick
from ampacity.simulator.timeline import CLOSE, DRAIN, KILL, OPEN, SLOW, UP, timeline
from ampacity.supply.capacity import PoolCapacity, capacities
from ampacity.supply.delivery import hours_of
from ampacity.supply.serving_point import serving_point

Floats = NDArray[np.float64]

WARM_S = 900
"""Sent before an hour counts [s]: longer than memory under load keeps a context (`inference/at_rest.py`)."""
SOONEST = Routing("soonest")
KNOWN_FROM_CELLS = 20
"""Pools of so many cells want, all together, what is expected of them; of fewer, chance says too much."""
_WORDS = {DRAIN: at.DRAIN, KILL: at.KILL, UP: at.UP, SLOW: at.SLOW, CLOSE: at.CLOSE, OPEN: at.OPEN}


@dataclass(frozen=True)
class Setting:
    """What all looks share. s: one world, after its changes. found: tokens of open windows. causes: of what fails;
    None: nothing does. warm_s: sent before an hour counts [s]. routing: inside cells. cell_replicas: most of a cell.
    shocks: another number is another draw of what fails, for the same people."""

    s: Scenario
    found: TokensFound
    seed: int = 1
    world: int = 0
    causes: Causes | None = None
    warm_s: int = WARM_S
    routing: Routing = SOONEST
    cell_replicas: int = CELL_REPLICAS
    shocks: int = 0


Engine = Callable[[Setting, Sequence[Look]], Iterator[CellResult | None]]
"""Results of looks in their order, wherever they are worked out."""


@dataclass(frozen=True)
class Fleet:
    """A setting laid out. pools: those that serve, [pool]. tiers: of each. share: of its model's work that a pool is
    given in each hour, [pool, hour]. wanted_s: active time of all sessions that is expected in each hour before any
    limit, the shared swing in it, [tier of the scenario, hour]. load: output of that over the sessions that are
    carried, in no unit: what hours are sorted by. start_s: when hours begin, from 1970 [s]."""

    setting: Setting
    pools: tuple[PoolCapacity, ...]
    numbers: tuple[int, ...]
    tiers: tuple[tuple[Tier, ...], ...]
    share: Floats
    wanted_s: Floats
    load: Floats
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
    carries = (
        np.stack([_carries(s, p, own) for p, own in zip(pools, tiers, strict=True)]) if pools else np.zeros((0, 1))
    )
    share = np.zeros_like(carries)
    names = [p.replica.model.name for p in pools if p.replica]
    for i, name in enumerate(names):
        whole = np.sum([carries[k] for k, other in enumerate(names) if other == name], axis=0)
        share[i] = np.divide(carries[i], whole, out=np.zeros_like(whole), where=whole > 0)
    wanted_s = np.stack([_wanted_s(setting, t, hours.start_s, hours.count) for t in s.tiers])
    output = np.array([t.behaviour.output_per_s.value for t in s.tiers]) @ wanted_s
    carried = carries.sum(axis=0)
    load = np.divide(output, carried, out=np.zeros(hours.count), where=carried > 0)
    return Fleet(setting, pools, tuple(serving), tiers, share, wanted_s, load, layout_of(supply), hours.start_s)


def _wanted_s(setting: Setting, tier: Tier, start_s: int, hours: int) -> Floats:
    """Active time of a tier's sessions that is expected in each hour before any limit. [s]"""
    swings = swings_of(people_seed(setting.seed, setting.world), tier.behaviour.common_swing.value, hours)
    h = habits(tier, 1, start_s, hours, zone_of(setting.s, tier), swings)
    return active_expected(h) * tier.people.value * 3600.0


def _carries(s: Scenario, p: PoolCapacity, tiers: tuple[Tier, ...]) -> Floats:
    """Sessions of the tier with most people that a pool carries, in each hour."""
    lead = max(tiers, key=lambda t: t.people.value, default=None)
    point = serving_point(s, lead.behaviour, p) if lead is not None else None
    assert p.replica is not None
    return p.replicas * p.replica.accelerators / point.seconds_per_active_s if point else np.zeros_like(p.replicas)


Progress = Callable[[int, int], None]


def sampled(
    f: Fleet, *, processes: int | None = None, progress: Progress | None = None, engine: Engine | None = None
) -> Sample:
    """The fleet's first four weeks, from a stratified sample of hours and cells.

    engine: who works looks out; by default so many processes of this machine, None: one a core.
    """
    hours = min(len(f.load), HOURS)
    wanted = looks(f.load[:hours], f.replicas, f.setting.seed, most=f.setting.cell_replicas)
    return gathered(f, wanted, processes, progress, engine, known(f, range(hours)))


def whole(
    f: Fleet,
    hours: list[int],
    *,
    processes: int | None = None,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> Sample:
    """All cells of a fleet in these hours."""
    return gathered(f, every_look(f.replicas, hours, f.setting.cell_replicas), processes, progress, engine)


def known(f: Fleet, hours: Sequence[int]) -> Known:
    """What people are expected to want of each pool of many cells in some hours; of tiers that are the same few people
    in every cell, chance says too much."""
    cells = tuple(len(cells_of(r, f.setting.cell_replicas)) for r in f.replicas)
    wanted_s = np.zeros((len(f.pools), len(f.setting.s.tiers)))
    for pool, many in enumerate(cells):
        if many >= KNOWN_FROM_CELLS:
            own = [f.setting.s.tiers.index(t) for t in f.tiers[pool] if not is_certain(t)]
            wanted_s[pool, own] = f.wanted_s[np.ix_(own, list(hours))] @ f.share[pool, list(hours)]
    return Known(wanted_s, cells)


def gathered(
    f: Fleet,
    wanted: list[Look],
    processes: int | None = None,
    progress: Progress | None = None,
    engine: Engine | None = None,
    known: Known | None = None,
) -> Sample:
    """What these looks show, together."""
    names = tuple(t.name for t in f.setting.s.tiers)
    sample = Sample.empty(names, tuple(p.pool.name for p in f.pools), wanted, known)
    found = engine(f.setting, wanted) if engine is not None else _results(f, wanted, processes)
    for done, (one, result) in enumerate(zip(wanted, found, strict=True), 1):
        if result is not None:
            sample.add(one, result)
        if progress is not None:
            progress(done, len(wanted))
    return sample


def _results(f: Fleet, wanted: list[Look], processes: int | None) -> Iterator[CellResult | None]:
    """The results of looks in their order."""
    many = min(processes or os.cpu_count() or 1, len(wanted))
    if many <= 1:
        yield from (one_look(f, w) for w in wanted)
        return
    # processes begin afresh: a fork of one that holds threads may never end
    with ProcessPoolExecutor(many, get_context("spawn"), _begin, (f.setting,)) as workers:
        yield from workers.map(_work, wanted, chunksize=4)


_FLEET: list[Fleet] = []
"""The fleet of a process that works for another."""


def _begin(setting: Setting) -> None:
    _FLEET.append(fleet(setting))


def _work(one: Look) -> CellResult | None:
    return one_look(_FLEET[0], one)


def one_look(f: Fleet, one: Look) -> CellResult | None:
    """What one cell meets in one hour; None if its replicas are not there yet, or any more."""
    pool, setting = f.pools[one.pool], f.setting
    there = int(pool.replicas[one.hour])
    replicas = min(max(there - one.first, 0), one.replicas)
    if replicas == 0 or not f.tiers[one.pool]:
        return None
    warm_s = min(setting.warm_s, one.hour * 3600)
    return look(
        CellHour(
            s=setting.s,
            tiers=f.tiers[one.pool],
            rules=tuple(rules_of(setting.s, t, setting.found) for t in f.tiers[one.pool]),
            pool=replace(pool_of(pool), replicas=replicas),
            share=float(f.share[one.pool, one.hour]) * replicas / there,
            start_s=f.start_s,
            hour=one.hour,
            warm_s=warm_s,
            routing=setting.routing,
            name=f"{pool.pool.name}#{one.cell}",
            seed=setting.seed,
            world=setting.world,
            ticks=_ticks(f, one, replicas, warm_s),
        )
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
    drawn_by = bits(s.seed, "shocks", s.shocks) if s.shocks else s.seed
    out = failures(s.causes, f.layout, drawn_by, start_ps, end_ps, chosen, f.start_s)
    line = timeline(out, f.layout, start_ps, end_ps, chosen)
    found = []
    for at_ps, replica, what, value in zip(
        line.at_ps.tolist(), line.replica.tolist(), line.what.tolist(), line.value.tolist(), strict=True
    ):
        if what in _WORDS:
            where = DOOR if replica < 0 else replica - first
            found.append(Tick(at_ps - start_ps, where, _WORDS[what], max(value, SPEED) if what == SLOW else 0))
    return tuple(found)


def setting_of(s: Scenario, found: TokensFound, seed: int = 1, world: int = 0) -> Setting:
    """A setting in which things fail as the catalog's causes say for this world."""
    return Setting(s, found, seed, world, stated_causes(seed, world, s.as_of))
