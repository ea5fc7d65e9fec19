"""What fails in a span of time: outages of every element of a fleet, drawn one after another from time 0.

An element works for an exponential time, is out for a log-normal one, and so on; at time 0 it is as it would be after
a long time, so no warm-up is needed. Every draw is keyed by (seed, cause, element, number of the outage): a part of the
fleet, or of the time, meets the same outages as all of it would. Draws become whole milliseconds at once, so no
machine's last digit reaches a result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ampacity.demand.draws import Words, as_uniform, bits, then
from ampacity.physics.availability import ACCELERATORS_PER_NODE
from ampacity.simulator.failure_causes import Cause, Causes
from ampacity.simulator.fleet_layout import Ints, Layout, PoolLayout
from ampacity.simulator.incident_hours import EvenClock, WeekClock, hour_weights

Floats = NDArray[np.float64]
Clock = EvenClock | WeekClock

PS_PER_MS = 10**9
LONGEST_MS = float(1 << 53)
_EVEN = EvenClock()


class Outage(NamedTuple):
    """One element out, once.

    owner: the pool or site whose element it is; "" for the service. element: its number there. nth: of its outages
    from time 0, 0 for one that was on then. begin_ps may lie before the span that was asked for, end_ps behind it.
    accelerator: of the node, the one that caused it; -1: none did. word: what is drawn about it begins here.
    """

    begin_ps: int
    end_ps: int
    cause: Cause
    owner: str
    element: int
    nth: int
    accelerator: int
    word: int


def failures(
    causes: Causes,
    layout: Layout,
    seed: int,
    start_ps: int,
    end_ps: int,
    replicas: Sequence[int] | Ints | None = None,
    epoch_s: int | None = None,
) -> tuple[Outage, ...]:
    """All outages that touch [start_ps, end_ps), in the order in which they begin.

    replicas: leaves out what none of these can meet. epoch_s: of UTC, at time 0; without it incidents do not follow the
    week. Raises ValueError for a span that goes backward, begins before 0, or replicas that are not there.
    """
    if not 0 <= start_ps <= end_ps:
        raise ValueError(f"span from {start_ps} to {end_ps} ps; expected 0 <= start <= end")
    chosen = layout.chosen(replicas)
    found: list[Outage] = []
    draw = partial(_outages, seed=seed, start_ms=start_ps // PS_PER_MS, end_ms=-(-end_ps // PS_PER_MS))
    for cause in causes.shared:
        clock = _clock(causes, epoch_s) if cause.follows_load else _EVEN
        for owner, elements in _elements(cause, layout, chosen):
            found += draw(cause, owner, elements, clock=clock)
    for number, pool in enumerate(layout.pools):
        local = layout.of_pool(number, chosen)
        if pool.stop_rate_per_s > 0 and pool.restart_s > 0:
            found += draw(upset_cause(pool), pool.name, local)
        found += _node_failures(causes, pool, nodes_under(pool, local), draw, seed)
    inside = (o for o in found if o.end_ps > start_ps and o.begin_ps < end_ps)
    return tuple(sorted(inside, key=lambda o: (o.begin_ps, o.end_ps, o.cause.name, o.owner, o.element)))


def planned(cause: Cause, begin_ps: int, end_ps: int, owner: str = "", element: int = 0, seed: int = 1) -> Outage:
    """An outage that somebody decides, to stand beside those that are drawn: a reclaim, a rehearsal, a release.

    owner, element: as in Outage. Which share of what is below it is hit depends on the seed and on all of these.
    """
    word = bits(seed, "planned", cause.name, owner, element, begin_ps)
    return Outage(begin_ps, end_ps, cause, owner, element, 0, -1, int(word))


def nodes_under(pool: PoolLayout, local: Ints) -> Ints:
    """The nodes that some replicas of a pool stand on, in rising order, each once."""
    return np.unique((pool.first_node(local)[:, None] + np.arange(pool.span)).reshape(-1))


def node_causes(causes: Causes, pool: PoolLayout) -> tuple[Cause, Cause]:
    """What fails a node of a pool: an ordinary one, and a lemon. Their mean is what supply expects."""
    rate, restore = pool.node_failure_rate_per_s, pool.restore_s
    lemon, other = (rate, rate) if causes.lemons is None else causes.lemons.rates_per_s(rate, restore)
    median_s = restore * math.exp(-(causes.node_sigma**2) / 2)  # restore is the mean
    ordinary = Cause("node", "node", "down", other, median_s, causes.node_sigma)
    return ordinary, replace(ordinary, rate_per_s=lemon)


def upset_cause(pool: PoolLayout) -> Cause:
    """What stops a replica in orbit, for as long as a restart takes."""
    return Cause("upset", "replica", "down", pool.stop_rate_per_s, pool.restart_s, 0.0)


def is_lemon(causes: Causes, pool: PoolLayout, nodes: Ints, seed: int) -> NDArray[np.bool_]:
    """Which nodes are lemons: a node is one or is not, whatever else is drawn."""
    if causes.lemons is None:
        return np.zeros(len(nodes), dtype=np.bool_)
    return np.asarray(as_uniform(bits(seed, "lemon", pool.name, nodes)) < causes.lemons.share)


def _node_failures(
    causes: Causes, pool: PoolLayout, nodes: Ints, draw: partial[list[Outage]], seed: int
) -> list[Outage]:
    """Failures of nodes. What broke is told, but the node is out as a whole and as long, as supply has it."""
    if pool.node_failure_rate_per_s <= 0 or pool.restore_s <= 0:
        return []
    lemon = is_lemon(causes, pool, nodes, seed)
    ordinary_cause, lemon_cause = node_causes(causes, pool)
    found = draw(ordinary_cause, pool.name, nodes[~lemon]) + draw(lemon_cause, pool.name, nodes[lemon])
    return [_with_part(o, causes.accelerator_share) for o in found]


def _with_part(o: Outage, accelerator_share: float) -> Outage:
    """A failure of a node with the accelerator that caused it, if one did."""
    u = float(as_uniform(then(np.array([o.word], dtype=np.uint64), "part"))[0])
    if u >= accelerator_share:
        return o
    number = int(u / accelerator_share * ACCELERATORS_PER_NODE)
    return o._replace(cause=replace(o.cause, name="accelerator"), accelerator=number)


def _clock(causes: Causes, epoch_s: int | None) -> Clock:
    if epoch_s is None:
        return _EVEN
    return WeekClock(tuple(hour_weights(causes.weekday_share, causes.afternoon_share)), 1000 * epoch_s)


def _elements(cause: Cause, layout: Layout, chosen: Ints) -> Iterator[tuple[str, Ints]]:
    """The elements of a shared cause that some replicas can meet: whose they are, and their numbers."""
    one = np.zeros(1, dtype=np.int64)
    if cause.level == "service":
        yield "", one
        return
    sites = []
    for number, pool in enumerate(layout.pools):
        local = layout.of_pool(number, chosen)
        if not local.size or not pool.on_ground(cause.level):
            continue
        if cause.level == "site":
            sites.append(pool.site)
        elif cause.level == "pool":
            yield pool.name, one
        elif cause.level == "replica":
            yield pool.name, local
        else:
            nodes = nodes_under(pool, local)
            yield pool.name, np.unique(nodes // nodes_of_element(cause, pool))
    yield from ((site, one) for site in dict.fromkeys(sites))


def nodes_of_element(cause: Cause, pool: PoolLayout) -> int:
    """Nodes of one rack or feed of a pool; 1 for a node."""
    return {"node": 1, "rack": pool.nodes_per_rack, "feed": pool.nodes_per_rack * pool.racks_per_feed}[cause.level]


def _outages(
    cause: Cause, owner: str, elements: Ints, seed: int, start_ms: int, end_ms: int, clock: Clock = _EVEN
) -> list[Outage]:
    """Outages by one cause of some elements of one owner, up to `end_ms`; those that ended before the span are left."""
    if cause.rate_per_s <= 0 or not elements.size:
        return []
    roots = bits(seed, "failure", cause.name, owner, elements)
    found: list[Outage] = []

    def keep(which: Ints, nth: int, words: Words, begin_ms: Ints, end: Ints) -> None:
        for i in np.flatnonzero((end > start_ms) & (begin_ms < end_ms)):
            span = int(begin_ms[i]) * PS_PER_MS, int(end[i]) * PS_PER_MS
            found.append(Outage(*span, cause, owner, int(elements[which[i]]), nth, -1, int(words[i])))

    which = np.arange(len(elements))
    words = then(roots, 0)
    out = as_uniform(then(words, "out")) >= cause.free_share
    # an outage that is met is longer than others, by its own length; how much of it is over is even
    age = as_uniform(then(words, "age"))
    length_ms = _repair_ms(cause, words, longer=cause.sigma)
    begin_ms = -np.floor(age * length_ms).astype(np.int64)
    now_ms = np.where(out, np.maximum(begin_ms + length_ms, 1), 0)
    keep(which[out], 0, words[out], begin_ms[out], now_ms[out])
    nth = 1
    while which.size:
        words = then(roots[which], nth)
        wait_ms = np.minimum(-np.log(as_uniform(then(words, "works"))) * 1000.0 / cause.rate_per_s, LONGEST_MS)
        begin_ms = clock.after(now_ms, wait_ms)
        goes_on = begin_ms < end_ms
        which, words, begin_ms = which[goes_on], words[goes_on], begin_ms[goes_on]
        now_ms = begin_ms + _repair_ms(cause, words)
        keep(which, nth, words, begin_ms, now_ms)
        nth += 1
    return found


def _repair_ms(cause: Cause, words: Words, longer: float = 0.0) -> Ints:
    """Log-normal repair times, at least a millisecond. [ms] longer: how many sigma the logarithm is moved up."""
    normal: Floats = ndtri(as_uniform(then(words, "repair")))
    drawn = cause.median_s * 1000.0 * np.exp(cause.sigma * (normal + longer))
    return np.clip(np.rint(drawn), 1.0, LONGEST_MS).astype(np.int64)
