"""What a cell's replicas and its door are told, instant by instant: outages that overlap become one.

A replica is up again when the last of its causes has ended. Of causes that slow it or misroute, the worst counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.demand.draws import as_uniform, then
from ampacity.simulator.failure_causes import WHOLE
from ampacity.simulator.failures import Outage, nodes_of_element
from ampacity.simulator.fleet_layout import Ints, Layout, PoolLayout

Mask = NDArray[np.bool_]

DRAIN, KILL, UP, SLOW, CLOSE, OPEN, MISROUTE = range(7)
"""What a row says: no new requests; stop at once; serve; iterations take `value` / WHOLE times as long; the door is
closed; open; `value` / WHOLE of the requests go to the wrong place."""
DOOR = -1
_DRAINING, _DOWN = 1, 2


@dataclass(frozen=True)
class Timeline:
    """Rows in the order of their instants, those of one instant by replica, then by what.

    replica: its number in the fleet, or DOOR. value: of SLOW and MISROUTE, in parts of WHOLE; else 0.
    """

    at_ps: Ints
    replica: Ints
    what: Ints
    value: Ints


def timeline(
    outages: Iterable[Outage],
    layout: Layout,
    start_ps: int,
    end_ps: int,
    replicas: Sequence[int] | Ints | None = None,
) -> Timeline:
    """What happens to some replicas (None: all) and to the door in [start_ps, end_ps).

    Everything is up, open and at its usual pace before `start_ps`; what is out then is told at `start_ps`.
    """
    chosen = layout.chosen(replicas)
    stops, slows, shut, lost = _Spans(), _Spans(), _Spans(), _Spans()
    for o in outages:
        does = o.cause.does
        if does == "close":
            shut.add(o, np.array([DOOR]), 1)
        elif does == "misroute":
            lost.add(o, np.array([DOOR]), o.cause.value)
        elif does == "slow":
            slows.add(o, hit(o, layout, chosen), o.cause.value)
        else:
            stops.add(o, hit(o, layout, chosen), _DOWN if does == "down" else _DRAINING)
    rows = []
    for spans, words in ((stops, (UP, DRAIN, KILL)), (shut, (OPEN, CLOSE))):
        at, replica, worst = spans.worst(start_ps, end_ps)
        rows.append((at, replica, np.asarray(words)[worst], np.zeros_like(at)))
    for spans, what, usual in ((slows, SLOW, WHOLE), (lost, MISROUTE, 0)):
        at, replica, worst = spans.worst(start_ps, end_ps)
        rows.append((at, replica, np.full_like(at, what), np.where(worst > 0, worst, usual)))
    at, replica, said, value = (np.concatenate(column) for column in zip(*rows, strict=True))
    order = np.lexsort((said, replica, at))
    return Timeline(at[order], replica[order], said[order], value[order])


def hit(o: Outage, layout: Layout, chosen: Ints) -> Ints:
    """Which of some replicas (in rising order) an outage hits. Raises ValueError for an owner that is not there."""
    level = o.cause.level
    if level != "service" and o.owner not in (layout.sites if level == "site" else [p.name for p in layout.pools]):
        raise ValueError(f"an outage of {o.owner!r}, which the layout does not have")
    found = [np.empty(0, dtype=np.int64)]
    for number, pool in enumerate(layout.pools):
        if pool.on_ground(level) and (level == "service" or o.owner == (pool.site if level == "site" else pool.name)):
            local = layout.of_pool(number, chosen)
            found.append(local[_hit_of_pool(o, pool, local)] + layout.first[number])
    return np.concatenate(found)


def _hit_of_pool(o: Outage, pool: PoolLayout, local: Ints) -> Mask:
    """Which replicas of a pool an outage hits: one that has at least one unit below the element that is hit."""
    level = o.cause.level
    if level == "replica":
        return np.asarray(local == o.element)
    if level in ("service", "pool"):
        return _units_hit(o, pool, local)
    first, last, low, high = _units(o, pool, local)
    if not local.size:
        return np.zeros(0, dtype=np.bool_)
    low, high = max(low, int(first[0])), min(high, int(last[-1]))
    units = np.arange(low, high + 1, dtype=np.int64)
    hits = np.concatenate([[0], np.cumsum(_units_hit(o, pool, units))])
    return np.asarray(hits[np.clip(last + 1 - low, 0, len(units))] > hits[np.clip(first - low, 0, len(units))])


def _units(o: Outage, pool: PoolLayout, local: Ints) -> tuple[Ints, Ints, int, int]:
    """First and last unit of each replica, and of the element; units are racks below sites and feeds, else nodes."""
    first = pool.first_node(local)
    last = first + pool.span - 1
    if o.cause.level == "node":
        return first, last, o.element, o.element
    if o.cause.level == "rack":
        return first, last, o.element * pool.nodes_per_rack, (o.element + 1) * pool.nodes_per_rack - 1
    first, last = first // pool.nodes_per_rack, last // pool.nodes_per_rack
    if o.cause.level == "site":
        return first, last, 0, pool.nodes
    racks = nodes_of_element(o.cause, pool) // pool.nodes_per_rack
    return first, last, o.element * racks, (o.element + 1) * racks - 1


def _units_hit(o: Outage, pool: PoolLayout, units: Ints) -> Mask:
    """Whether each unit of a pool is among the share that is hit: drawn by the outage and the unit's own name."""
    if o.cause.share >= 1:
        return np.ones(len(units), dtype=np.bool_)
    word = then(np.array([o.word], dtype=np.uint64), "hit")
    return np.asarray(as_uniform(then(then(word, pool.name), units)) < o.cause.share)


class _Spans:
    """Spans of time of replicas, each with how bad it is, gathered to find the worst at each instant."""

    def __init__(self) -> None:
        self.parts: list[tuple[Ints, Outage, int]] = []

    def add(self, o: Outage, replicas: Ints, value: int) -> None:
        if replicas.size:
            self.parts.append((replicas.astype(np.int64), o, value))

    def worst(self, start_ps: int, end_ps: int) -> tuple[Ints, Ints, Ints]:
        """Instants at which the worst value of a replica changes, the replica, the value from then on (0: none)."""
        empty = np.empty(0, dtype=np.int64)
        if not self.parts:
            return empty, empty, empty
        sizes = [len(r) for r, _, _ in self.parts]
        who = np.concatenate([r for r, _, _ in self.parts])
        begin = np.repeat([max(o.begin_ps, start_ps) for _, o, _ in self.parts], sizes)
        # an end that nobody lives to see is put at the end, so that it fits
        end = np.repeat([min(o.end_ps, end_ps) for _, o, _ in self.parts], sizes)
        value = np.repeat([v for _, _, v in self.parts], sizes)
        inside = begin < end
        who, begin, end, value = who[inside], begin[inside], end[inside], value[inside]
        if not who.size:
            return empty, empty, empty
        replica, at = np.concatenate([who, who]), np.concatenate([begin, end])
        change = np.concatenate([np.ones_like(who), -np.ones_like(who)])
        order = np.lexsort((at, replica))
        replica, at, change, value = replica[order], at[order], change[order], np.concatenate([value, value])[order]
        last = np.append((replica[1:] != replica[:-1]) | (at[1:] != at[:-1]), True)
        worst = np.zeros(len(at), dtype=np.int64)
        for v in np.unique(value):  # rising: the worst is written last; what a replica opens it closes
            worst[np.cumsum(np.where(value == v, change, 0)) > 0] = v
        replica, at, worst = replica[last], at[last], worst[last]
        before = np.where(np.append(True, replica[1:] != replica[:-1]), 0, np.append(0, worst[:-1]))
        kept = (worst != before) & (at < end_ps)
        return at[kept], replica[kept], worst[kept]
