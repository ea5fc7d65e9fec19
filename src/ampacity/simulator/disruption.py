"""How much service failures take away: expected in closed form, and counted from what was drawn.

Failures of nodes are what supply books as `healthy` and `running`; the causes that many nodes share come beside them
and are told apart. Elements are independent, so availabilities multiply; minutes of single causes may overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.simulator.failure_causes import OWN, Cause, Causes, Does
from ampacity.simulator.failures import Outage, nodes_of_element
from ampacity.simulator.fleet_layout import Ints, Layout, PoolLayout
from ampacity.simulator.timeline import CLOSE, DOOR, DRAIN, KILL, OPEN, UP, Timeline, hit

Floats = NDArray[np.float64]

MONTH_MIN = 365.25 / 12 * 1440.0
PS_PER_MIN = 60 * 10**12


@dataclass(frozen=True)
class Up:
    """Long-run shares of time, one entry a replica. [0 to 1]

    own: no node of it has failed and no upset stops it, as supply expects. shared: no shared cause has taken it.
    door: the service lets requests in.
    """

    own: Floats
    shared: Floats
    door: float

    @property
    def serves(self) -> Floats:
        """Up, with the door open."""
        return self.own * self.shared * self.door


@dataclass(frozen=True)
class Disruption:
    """What one cause takes in a month of 30.44 days.

    shared: beside what supply expects. active_min: in which it is on somewhere in the fleet. replica_min: in which it
    is on for the mean replica, which then is down (down, drain, close), slow (slow) or misses some requests (misroute).
    """

    cause: str
    does: Does
    shared: bool
    active_min: float
    replica_min: float


def expected_up(causes: Causes, layout: Layout) -> Up:
    """What each replica can expect, if nothing is known of which nodes are lemons.

    Of one cause an element is out the share 1 - f of the time, f = 1 / (1 + rate x mean repair), whatever the law of
    the repair. It then hits each of u units of a replica below it by its own draw: the replica is spared for
    1 - (1 - f)(1 - (1 - share)^u) of the time.
    """
    own = [np.full(p.replicas, p.node_up**p.span * p.upset_free) for p in layout.pools]
    taking = [c for c in causes.shared if c.does in ("down", "drain")]
    shared = [math.prod((_spared(c, p) for c in taking), start=np.ones(p.replicas)) for p in layout.pools]
    door = math.prod(c.free_share for c in causes.shared if c.does == "close")
    return Up(np.concatenate([[], *own]), np.concatenate([[], *shared]), door)


def expected_disruptions(causes: Causes, layout: Layout) -> tuple[Disruption, ...]:
    """Minutes a month by cause, those that supply expects first. Failures of nodes are told by what broke."""
    found = []
    most = max(layout.replicas, 1)
    for name, part in (("accelerator", causes.accelerator_share), ("node", 1 - causes.accelerator_share)):
        spared = [1 - (1 - p.node_up) * part for p in layout.pools]
        none = math.prod(s**p.nodes for s, p in zip(spared, layout.pools, strict=True))
        down = sum(p.replicas * (1 - s**p.span) for s, p in zip(spared, layout.pools, strict=True)) / most
        found.append(Disruption(name, "down", False, MONTH_MIN * (1 - none), MONTH_MIN * down))
    if any(p.upset_free < 1 for p in layout.pools):
        none = math.prod(p.upset_free**p.replicas for p in layout.pools)
        down = sum(p.replicas * (1 - p.upset_free) for p in layout.pools) / most
        found.append(Disruption("upset", "down", False, MONTH_MIN * (1 - none), MONTH_MIN * down))
    for cause in causes.shared:
        none = cause.free_share ** _elements(cause, layout)
        hit_share = sum(float((1 - _spared(cause, p)).sum()) for p in layout.pools) / most
        found.append(Disruption(cause.name, cause.does, True, MONTH_MIN * (1 - none), MONTH_MIN * hit_share))
    return tuple(found)


def counted_disruptions(
    outages: Iterable[Outage],
    layout: Layout,
    start_ps: int,
    end_ps: int,
    replicas: Sequence[int] | Ints | None = None,
) -> tuple[Disruption, ...]:
    """The same minutes as they were drawn for some replicas (None: all) in a span, scaled to a month, by name.

    A cause that was not drawn has no row. Outages of one cause that overlap on a replica count once each.
    """
    chosen = layout.chosen(replicas)
    if end_ps <= start_ps:
        raise ValueError(f"span from {start_ps} to {end_ps} ps; expected start < end")
    scale = MONTH_MIN / (end_ps - start_ps)
    by_name: dict[str, list[Outage]] = {}
    for o in outages:
        if o.end_ps > start_ps and o.begin_ps < end_ps:
            by_name.setdefault(o.cause.name, []).append(o)
    found = []
    for name in sorted(by_name, key=lambda n: (n not in OWN, n)):
        on_ps, reached_ps, hit_ps = 0, start_ps, 0
        for o in sorted(by_name[name], key=lambda o: o.begin_ps):
            begin, end = max(o.begin_ps, start_ps), min(o.end_ps, end_ps)
            on_ps += max(end - max(begin, reached_ps), 0)
            reached_ps = max(reached_ps, end)
            whole = o.cause.does in ("close", "misroute")
            hit_ps += (end - begin) * (len(chosen) if whole else len(hit(o, layout, chosen)))
        mean_ps = hit_ps / max(len(chosen), 1)
        found.append(Disruption(name, by_name[name][0].cause.does, name not in OWN, on_ps * scale, mean_ps * scale))
    return tuple(found)


def up_share(line: Timeline, replicas: Sequence[int] | Ints, start_ps: int, end_ps: int) -> Floats:
    """Share of a span in which each of some replicas takes requests, by a timeline of that span. [0 to 1]"""
    return _share_without(line, np.asarray(replicas, dtype=np.int64), (KILL, DRAIN), UP, start_ps, end_ps)


def open_share(line: Timeline, start_ps: int, end_ps: int) -> float:
    """Share of a span in which the door is open, by a timeline of that span. [0 to 1]"""
    return float(_share_without(line, np.array([DOOR]), (CLOSE,), OPEN, start_ps, end_ps)[0])


def _share_without(
    line: Timeline, replicas: Ints, stops: tuple[int, ...], goes_on: int, start_ps: int, end_ps: int
) -> Floats:
    mine = np.isin(line.what, (*stops, goes_on))
    order = np.argsort(line.replica[mine], kind="stable")
    who, at, what = line.replica[mine][order], line.at_ps[mine][order], line.what[mine][order]
    until = np.append(at[1:], end_ps)
    until[np.append(who[1:] != who[:-1], True)] = end_ps
    stopped = np.isin(what, stops)
    lost_ps = np.bincount(
        who[stopped] - DOOR, (until - at)[stopped], int(max(who.max(initial=0), replicas.max(initial=0))) - DOOR + 1
    )
    return np.asarray(1.0 - lost_ps[replicas - DOOR] / (end_ps - start_ps))


def _spared(cause: Cause, pool: PoolLayout) -> Floats:
    """Share of time in which a cause does not hit each replica of a pool. [0 to 1]"""
    out = 1.0 - cause.free_share
    if not pool.on_ground(cause.level):
        return np.ones(pool.replicas)
    if cause.level in ("service", "pool", "replica"):
        return np.full(pool.replicas, 1.0 - out * cause.share)
    first = pool.first_node(np.arange(pool.replicas, dtype=np.int64))
    last = first + pool.span - 1
    unit = pool.nodes_per_rack if cause.level in ("site", "feed") else 1
    first, last = first // unit, last // unit
    per = pool.nodes if cause.level == "site" else nodes_of_element(cause, pool) // unit
    spared = np.ones(pool.replicas)
    begin = first // per
    for step in range(int((last // per - begin).max(initial=-1)) + 1):
        element = begin + step
        units = np.minimum(last, (element + 1) * per - 1) - np.maximum(first, element * per) + 1
        spared *= 1.0 - out * (1.0 - (1.0 - cause.share) ** np.maximum(units, 0))
    return spared


def _elements(cause: Cause, layout: Layout) -> int:
    """How many elements of a cause's level a fleet has."""
    there = [p for p in layout.pools if p.replicas and p.on_ground(cause.level)]
    if cause.level in ("service", "pool"):
        return len(there) if cause.level == "pool" else 1
    if cause.level == "site":
        return len({p.site for p in there})
    if cause.level == "replica":
        return layout.replicas
    return sum(-(-p.nodes // nodes_of_element(cause, p)) for p in there)
