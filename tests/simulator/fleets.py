"""Small fleets that fail often, and what a replica goes through, found by looking at every outage at every instant."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from ampacity.simulator.failure_causes import WHOLE, Cause, Causes, Lemons
from ampacity.simulator.failures import Outage
from ampacity.simulator.fleet_layout import Layout, PoolLayout

S = 10**12
HOUR = 3600 * S
DAY = 24 * HOUR


def pool(name: str = "a", site: str = "here", replicas: int = 20, accelerators: int = 8, **other: float) -> PoolLayout:
    """Eight nodes a feed, four a rack; nodes fail once in ten days and are back after six hours."""
    usual: dict[str, float] = {"nodes_per_rack": 4, "racks_per_feed": 2}
    usual |= {"node_failure_rate_per_s": 0.1 / 86400, "restore_s": 6 * 3600.0}
    return PoolLayout(name, site, replicas, accelerators, **{**usual, **other})  # type: ignore[arg-type]


def cause(name: str = "rack", level: str = "rack", does: str = "down", per_day: float = 0.2, **other: float) -> Cause:
    """Once in five days, for an hour as the median."""
    usual: dict[str, float] = {"median_s": 3600.0, "sigma": 1.0}
    return Cause(name, level, does, per_day / 86400, **{**usual, **other})  # type: ignore[arg-type]


OFTEN = (
    cause("site", "site", per_day=0.05, share=0.6),
    cause("feed", "feed", per_day=0.1, share=0.7),
    cause("rack", "rack", share=0.5),
    cause("release-errors", "service", per_day=0.5, share=0.3),
    cause("planned", "pool", "drain", per_day=0.3, share=0.4),
    cause("release-slow", "service", "slow", per_day=0.5, share=0.3, value=1536),
    cause("slow-pool", "pool", "slow", per_day=0.5, share=0.8, value=1200),
    cause("authentication", "service", "close", per_day=0.4),
    cause("wrong-pool", "service", "misroute", per_day=0.1, median_s=40000.0, value=8),
    cause("wrong-pool-badly", "service", "misroute", per_day=0.1, median_s=40000.0, value=164),
)
ALL = Causes(OFTEN, node_sigma=1.0, accelerator_share=0.64, lemons=Lemons(0.1, 0.5))


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """One to three pools at one or two sites, of replicas smaller and larger than a node and a rack."""
    return Layout(
        tuple(
            pool(
                name,
                draw(st.sampled_from(["here", "there"])),
                draw(st.integers(0, 24)),
                draw(st.sampled_from([1, 2, 3, 4, 8, 12, 32, 64])),
                nodes_per_rack=draw(st.sampled_from([1, 3, 4])),
                racks_per_feed=draw(st.sampled_from([1, 2, 5])),
            )
            for name in "abc"[: draw(st.integers(1, 3))]
        )
    )


def nodes_of(layout: Layout, replica: int) -> tuple[PoolLayout, list[int]]:
    """A replica's pool and nodes, counted out one replica after the other."""
    for p in layout.pools:
        if replica < p.replicas:
            if p.accelerators > 4:
                size = -(-p.accelerators // 8)
                return p, list(range(replica * size, replica * size + size))
            return p, [replica // (8 // p.accelerators)]
        replica -= p.replicas
    raise AssertionError


def meets(o: Outage, layout: Layout, replica: int) -> bool:
    """Whether an outage of a cause with share 1 hits a replica."""
    p, nodes = nodes_of(layout, replica)
    if o.cause.level == "service":
        return True
    if o.cause.level == "site":
        return o.owner == p.site
    if o.owner != p.name or o.cause.level == "pool":
        return o.owner == p.name
    racks = [n // p.nodes_per_rack for n in nodes]
    feeds = [r // p.racks_per_feed for r in racks]
    return o.element in {"node": nodes, "rack": racks, "feed": feeds}[o.cause.level]


def state(outages: Iterable[Outage], layout: Layout, replica: int, at_ps: int) -> tuple[str, int, str, int]:
    """What a replica and the door are at an instant: stopped how, slow by how much, open, how much goes astray."""
    on = [o for o in outages if o.begin_ps <= at_ps < o.end_ps]
    mine = [o.cause for o in on if meets(o, layout, replica)]
    stops = {c.does for c in mine} & {"down", "drain"}
    return (
        "down" if "down" in stops else "drain" if stops else "up",
        max((c.value for c in mine if c.does == "slow"), default=WHOLE),
        "closed" if any(o.cause.does == "close" for o in on) else "open",
        max((o.cause.value for o in on if o.cause.does == "misroute"), default=0),
    )
