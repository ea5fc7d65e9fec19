"""Where replicas stand: which accelerators, nodes, racks and power feeds of which site each of them spans.

Replicas of a pool are laid side by side on its nodes, nodes into racks, racks on feeds. Nodes, racks and feeds are a
pool's own and numbered within it from 0, so that a change of one pool moves nothing in another; sites are shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ampacity.physics.availability import ACCELERATORS_PER_NODE, node_availability, nodes_of
from ampacity.physics.radiation import HOURS_PER_YEAR
from ampacity.supply.capacity import PoolCapacity
from ampacity.supply.orbital import stops_per_year

Ints = NDArray[np.int64]

NODES_PER_RACK = 8
"""Servers of eight accelerators in a rack, as in Colossus (ServeTheHome, October 2024)."""
RACKS_PER_FEED = 8
"""Racks that share a feed or cooling loop: Colossus' racks stand in groups of eight (the same); that a group has one
feed is an assumption."""


@dataclass(frozen=True)
class PoolLayout:
    """The replicas of one pool.

    replicas: how many. accelerators: of one replica. node_failure_rate_per_s, restore_s: the site's, as supply has
    them [1/s, s]. stop_rate_per_s, restart_s: upsets of one replica in orbit [1/s, s]. orbital: racks, feeds and sites
    on the ground do not fail it. Raises ValueError with everything that cannot be.
    """

    name: str
    site: str
    replicas: int
    accelerators: int
    node_failure_rate_per_s: float = 0.0
    restore_s: float = 0.0
    nodes_per_rack: int = NODES_PER_RACK
    racks_per_feed: int = RACKS_PER_FEED
    stop_rate_per_s: float = 0.0
    restart_s: float = 0.0
    orbital: bool = False

    def __post_init__(self) -> None:
        least = {"replicas": 0, "accelerators": 1, "nodes_per_rack": 1, "racks_per_feed": 1}
        least |= {"node_failure_rate_per_s": 0, "restore_s": 0, "stop_rate_per_s": 0, "restart_s": 0}
        wrong = [
            f"{name} is {getattr(self, name)}; expected at least {most}"
            for name, most in least.items()
            if not getattr(self, name) >= most
        ]
        if wrong:
            raise ValueError(f"pool {self.name}: " + "; ".join(wrong))

    @property
    def per_node(self) -> int:
        """Replicas that share a node; 1 if a replica has nodes of its own."""
        return max(ACCELERATORS_PER_NODE // self.accelerators, 1)

    @property
    def span(self) -> int:
        """Nodes of one replica."""
        return nodes_of(self.accelerators)

    @property
    def nodes(self) -> int:
        """Nodes that the replicas stand on."""
        return -(-self.replicas // self.per_node) * self.span

    @property
    def node_up(self) -> float:
        """Share of time in which one node has not failed: as supply. [0 to 1]"""
        return node_availability(self.node_failure_rate_per_s, self.restore_s)

    @property
    def upset_free(self) -> float:
        """Share of time in which no upset stops a replica; 1 on the ground. [0 to 1]"""
        return node_availability(self.stop_rate_per_s, self.restart_s)

    def on_ground(self, level: str) -> bool:
        """Whether a cause of this level can reach the pool: in orbit there are no racks, feeds and halls."""
        return not (self.orbital and level in ("site", "feed", "rack"))

    def first_node(self, replica: Ints) -> Ints:
        """The first of each replica's `span` nodes."""
        return np.asarray(replica // self.per_node * self.span)


@dataclass(frozen=True)
class Layout:
    """A fleet: its pools. Replicas are numbered through all of them. Raises ValueError if two share a name."""

    pools: tuple[PoolLayout, ...]

    def __post_init__(self) -> None:
        names = [p.name for p in self.pools]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"pools of one name: {', '.join(twice)}; expected a name for each")

    @cached_property
    def first(self) -> Ints:
        """The first replica of each pool, and the number of all replicas at the end."""
        return np.concatenate([[0], np.cumsum([p.replicas for p in self.pools], dtype=np.int64)]).astype(np.int64)

    @property
    def replicas(self) -> int:
        """How many there are."""
        return int(self.first[-1])

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites that pools stand at, each once."""
        return tuple(dict.fromkeys(p.site for p in self.pools))

    def chosen(self, replicas: Sequence[int] | Ints | None) -> Ints:
        """Replicas in rising order, each once; None is all. Raises ValueError for one that is not there."""
        if replicas is None:
            return np.arange(self.replicas, dtype=np.int64)
        found: Ints = np.unique(np.asarray(replicas, dtype=np.int64))
        if found.size and not (found[0] >= 0 and found[-1] < self.replicas):
            raise ValueError(f"replicas {found[0]} to {found[-1]}; expected numbers from 0 to {self.replicas - 1}")
        return found

    def of_pool(self, pool: int, chosen: Ints) -> Ints:
        """Those of some replicas in rising order that are a pool's, by their number within it."""
        begin, behind = np.searchsorted(chosen, self.first[pool : pool + 2])
        return np.asarray(chosen[begin:behind] - self.first[pool])


def layout_of(supply: Sequence[PoolCapacity]) -> Layout:
    """The fleet that supply places, as many replicas as in each pool's best hour, with its failure rates."""
    pools = []
    for p in supply:
        if p.replica is None:
            continue
        site, size = p.pool.site, p.replica.accelerators
        orbit = site.orbit
        pools.append(
            PoolLayout(
                p.pool.name,
                site.name,
                int(p.replicas.max(initial=0)),
                size,
                site.node_failure_rate_per_s.value,
                site.restore_s.value,
                stop_rate_per_s=stops_per_year(orbit, size) / (HOURS_PER_YEAR * 3600.0) if orbit else 0.0,
                restart_s=orbit.restart_s.value if orbit else 0.0,
                orbital=orbit is not None,
            )
        )
    return Layout(tuple(pools))
