"""A reclaim or an outage, rehearsed request by request: a sample of cells that go, and of those that stay, minute by
minute from an hour before to two hours after.

At the event's instant whoever was served by the pools that go turns to the cells that stay, in proportion to what each
carries: their contexts are in no memory there, what they have used of their windows comes along. Cells admit to a
bounded fair queue, so what they cannot carry is refused (529), tier by tier. Nothing else fails meanwhile.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ampacity.base.streams import bits
from ampacity.demand import draws
from ampacity.demand.hourly import hourly
from ampacity.demand.people import HOURS, zone_of
from ampacity.simulator.cell_hour import HOUR_S, CellHour, Guests, drawn, opened
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.fleet import Fleet, Setting, Workers, cell_hour, fleet, mapped
from ampacity.simulator.leaving import FATES, Left, leave, leaving_ticks, moved
from ampacity.simulator.minutes import ANSWERED, KINDS, MINUTE_PS, TTFT_BUCKETS, by_minute
from ampacity.simulator.rehearsed import AFTER_H, BEFORE_H, MINUTES, Going, Rehearsal
from ampacity.simulator.strata import CELLS, Look, one_hour
from ampacity.supply.serving_point import serving_point

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]


def rehearse(
    setting: Setting, going: Going, at: int | None = None, cells: int = CELLS, processes: Workers = None
) -> Rehearsal:
    """Take pools away at the beginning of an hour, by default the busiest, and look at what everybody meets.

    at: hours from the scenario's start, from 1 to two before its fourth week ends. cells: of each pool. Raises
    ValueError for what is not there, serves nothing at that hour, or an hour that cannot be looked at.
    """
    f = fleet(replace(setting, causes=None))
    hour = _hour(f, at)
    gone = _gone(f, going, hour)
    then = [int(p.replicas[hour - BEFORE_H]) for p in f.pools]
    wanted = one_hour(then, hour - BEFORE_H, setting.seed, cells)
    leave_looks = [w for w in wanted if w.pool in gone and then[w.pool]]
    stay_looks = [w for w in wanted if w.pool not in gone and then[w.pool]]
    left = list(mapped(f, _leaves, [(w, going) for w in leave_looks], processes))
    items = [(w, going, g) for w, g in zip(stay_looks, _whereto(f, going, stay_looks, leave_looks, left), strict=True)]
    met = list(mapped(f, _stays, items, processes))
    known = {p: sum(w.pool == p for w in wanted) for p in range(len(f.pools))}
    sums = _Sums(f, cells, known)
    for w, (one, counts, ttft) in zip(leave_looks, left, strict=True):
        sums.add(w, (counts, ttft), sums.met)
        sums.add_fates(w, one)
    for w, (with_them, alone) in zip(stay_looks, met, strict=True):
        sums.add(w, with_them, sums.met)
        sums.add(w, alone, sums.without)
    staying = {t.name for p in {w.pool for w in stay_looks} for t in f.tiers[p]}
    taken = {t.name for p in gone for t in f.tiers[p]}
    pool_names, names = [p.pool.name for p in f.pools], sums.names
    return Rehearsal(
        going,
        hour,
        names,
        tuple(pool_names[p] for p in sorted(gone)),
        tuple(pool_names[p] for p in sorted({w.pool for w in stay_looks})),
        tuple(n for n in names if n in taken - staying),
        _share_gone(f, gone, hour - BEFORE_H),
        _load(f, hour, set()),
        _load(f, hour, gone),
        *sums.met,
        *sums.without,
        sums.fates,
        (len(leave_looks), len(stay_looks)),
        sums.requests,
    )


class _Sums:
    """What cells met, weighed and added up by replicate."""

    def __init__(self, f: Fleet, cells: int, known: dict[int, int]) -> None:
        self.f, self.cells, self.known = f, cells, known
        self.names = tuple(t.name for t in f.setting.s.tiers)
        rows = (cells, MINUTES, len(self.names))
        self.met = np.zeros((*rows, KINDS)), np.zeros((*rows, TTFT_BUCKETS))
        self.without = np.zeros((*rows, KINDS)), np.zeros((*rows, TTFT_BUCKETS))
        self.fates = np.zeros((cells, len(self.names), FATES))
        self.requests = 0

    def add(self, w: Look, found: Pair, to: Pair) -> None:
        """Add the first minutes of a cell."""
        own = self._own(w)
        for replicate, weight in _weights(w, self.known[w.pool], self.cells):
            for part, whole in zip(found, to, strict=True):
                whole[replicate, : len(part), own] += weight * part.swapaxes(0, 1)
        self.requests += int(found[0][:, :, ANSWERED].sum())

    def add_fates(self, w: Look, one: Left) -> None:
        """Add what became of a cell's requests in flight."""
        for replicate, weight in _weights(w, self.known[w.pool], self.cells):
            self.fates[replicate, self._own(w)] += weight * one.fates

    def _own(self, w: Look) -> list[int]:
        return [self.names.index(t.name) for t in self.f.tiers[w.pool]]


def _weights(w: Look, known: int, cells: int) -> list[tuple[int, float]]:
    """What a cell counts for in each replicate of the fleet; a pool of few cells is whole in all of them."""
    if known < cells:
        return [(r, w.weight) for r in range(cells)]
    return [(w.group % cells, w.weight * known)]


def _hour(f: Fleet, at: int | None) -> int:
    most = min(len(f.load), HOURS) - AFTER_H
    if at is None:
        return BEFORE_H + int(np.argmax(f.load[BEFORE_H : most + 1]))
    if not BEFORE_H <= at <= most:
        raise ValueError(f"hour {at}: from {BEFORE_H} to {most}, so that an hour before and two after can be seen")
    return at


def _gone(f: Fleet, going: Going, hour: int) -> set[int]:
    """The pools that are taken away, by position."""
    subject = [p.pool.contract.name if going.kind == "reclaim" else p.pool.site.name for p in f.pools]
    found = {i for i, name in enumerate(subject) if name == going.subject}
    what = "contract" if going.kind == "reclaim" else "site"
    if not found:
        known = ", ".join(dict.fromkeys(subject))
        raise ValueError(f'no {what} "{going.subject}" serves; there are {known}')
    if not any(f.pools[i].replicas[hour - BEFORE_H] >= 1 for i in found):
        there = [int(np.argmax(f.pools[i].replicas >= 1)) for i in found]
        raise ValueError(
            f'the {what} "{going.subject}" serves nothing in hour {hour}; its first replicas are there in hour '
            f"{min(there)}"
        )
    return found


def _model(f: Fleet, pool: int) -> str:
    replica = f.pools[pool].replica
    assert replica is not None
    return replica.model.name


def _share_gone(f: Fleet, gone: set[int], hour: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for pool in range(len(f.pools)):
        own = float(f.share[pool, hour]) if pool in gone else 0.0
        found[_model(f, pool)] = found.get(_model(f, pool), 0.0) + own
    return found


def _load(f: Fleet, hour: int, gone: set[int]) -> float:
    """What the people of a model want over what its pools carry without those that are gone; of the fullest model."""
    s = f.setting.s
    worst = 0.0
    for model in {_model(f, p) for p in range(len(f.pools))}:
        own = [p for p in range(len(f.pools)) if _model(f, p) == model]
        rest = sum(float(f.share[p, hour]) for p in own if p not in gone)
        if rest <= 0:
            return math.inf
        for p in own:
            pool = f.pools[p]
            there = float(pool.replicas[hour])
            if p in gone or there < 1 or pool.replica is None:
                continue
            needed = 0.0
            for t in f.tiers[p]:
                point = serving_point(s, t.behaviour, pool)
                d = hourly(t, f.start_s + hour * HOUR_S, 1, zone_of(s, t))
                active = d.people * float(d.active_share[0])
                needed += active * (point.seconds_per_active_s if point else 0.0)
            worst = max(worst, needed * float(f.share[p, hour]) / rest / (there * pool.replica.accelerators))
    return worst


def _ready(f: Fleet, one: Look) -> CellHour:
    """A cell for the three hours."""
    c = cell_hour(f, one)
    assert c is not None
    return replace(c, hours=BEFORE_H + AFTER_H, ticks=())


def _leaves(f: Fleet, item: tuple[Look, Going]) -> tuple[Left, Floats, Floats]:
    """A cell that goes: what it leaves, and its hour before, minute by minute."""
    one, going = item
    c = _ready(f, one)
    at_ps = (c.warm_s + BEFORE_H * HOUR_S) * PS_PER_S
    notice_ps = round(going.notice_s * PS_PER_S)
    ticks = leaving_ticks(c.pool.replicas, at_ps, notice_ps)
    cell, _ = opened(replace(c, ticks=ticks, routing=replace(c.routing, on_kill=going.kills)))
    cell.run(c.warm_s * PS_PER_S)
    counts, ttft = by_minute(cell, at_ps // MINUTE_PS - c.warm_s // 60)
    return leave(cell, c.name, at_ps, notice_ps), counts, ttft


def _stays(f: Fleet, item: tuple[Look, Going, list[Guests]]) -> tuple[Pair, Pair]:
    """A cell that stays, all minutes: with those who come to it, and as it would have been."""
    one, _, guests = item
    c = _ready(f, one)
    own, found = drawn(c), []
    for coming in (guests, []):
        cell, _ = opened(c, own, coming)
        cell.run(c.warm_s * PS_PER_S)
        found.append(by_minute(cell, MINUTES))
    return found[0], found[1]


def _whereto(
    f: Fleet,
    going: Going,
    stay_looks: list[Look],
    leave_looks: list[Look],
    left: list[tuple[Left, Floats, Floats]],
) -> list[list[Guests]]:
    """Who comes to each cell that stays: of each that goes, people by chance, as many as its part of what stays.

    The parts lie side by side on a line and each person at a point of it, so where all cells are looked at everybody
    goes to one of them; where few stand for many, to none or, as one of many alike, to several.
    """
    weights = _parts(f, stay_looks, leave_looks)
    found: list[list[Guests]] = [[] for _ in stay_looks]
    for k, (one, _, _) in enumerate(left):
        who = np.arange(int(one.person.max(initial=0)) + 1, dtype=np.int64)
        point = draws.uniform(bits(f.setting.seed, "where to", one.name) >> 1, "person", who)
        edge = np.cumsum([0.0, *weights[:, k]])
        passed = np.floor(edge[:, None] - point[None, :]).astype(np.int64) + 1
        for i, w in enumerate(stay_looks):
            copies = passed[i + 1] - passed[i]
            copies[0] = 0
            c = _ready(f, w)
            opens_ps = (c.warm_s + BEFORE_H * HOUR_S) * PS_PER_S
            back_ps = opens_ps + round(min(going.for_s, 2 * AFTER_H * HOUR_S) * PS_PER_S)
            for n in range(int(copies.max(initial=0))):
                if (part := moved(one, copies > n, c.most_tokens, back_ps)) is not None:
                    found[i].append(part)
    return found


def _parts(f: Fleet, stay_looks: list[Look], leave_looks: list[Look]) -> Floats:
    """How many of the people of each cell that goes come to each that stays, [stays, goes].

    A cell that stays gets its share of the work of each pool that goes; the pool's sampled cells stand for all.
    """

    def share(w: Look) -> float:
        return float(f.share[w.pool, w.hour]) * w.replicas / max(int(f.pools[w.pool].replicas[w.hour]), 1)

    found = np.zeros((len(stay_looks), len(leave_looks)))
    staying: dict[str, float] = {}
    for p in {w.pool for w in stay_looks}:
        hour = stay_looks[0].hour
        staying[_model(f, p)] = staying.get(_model(f, p), 0.0) + float(f.share[p, hour])
    sampled: dict[int, float] = {}
    for w in leave_looks:
        sampled[w.pool] = sampled.get(w.pool, 0.0) + share(w)
    for k, g in enumerate(leave_looks):
        for i, w in enumerate(stay_looks):
            rest = staying[_model(f, w.pool)]
            if _model(f, w.pool) == _model(f, g.pool) and rest > 0 and sampled[g.pool] > 0:
                found[i, k] = share(w) / rest * float(f.share[g.pool, g.hour]) / sampled[g.pool]
    return found
