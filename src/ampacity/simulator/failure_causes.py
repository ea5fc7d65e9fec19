"""What makes a fleet fail: causes with their rates, repair times and effects, as the catalog states them.

Failures of nodes are not among the shared causes: their rate and mean repair are those of the site, the same that
`supply` expects, and only how they spread (repair times, lemons, which part breaks) is said here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from ampacity.base.streams import uniform
from ampacity.physics.availability import node_availability
from ampacity.scenario import lookup
from ampacity.scenario.value import Value
from ampacity.scenario.worlds import at

Level = Literal["service", "pool", "site", "feed", "rack", "node", "replica"]
Does = Literal["down", "drain", "slow", "close", "misroute"]

WHOLE = 1024
"""Slowness is in parts of 1,024 of the usual time, a misrouted share in parts of 1,024 of the requests."""

OWN = ("accelerator", "node", "upset")
"""Causes that supply expects already; all others are shared."""
_WHAT: dict[str, tuple[Level, Does]] = {
    "site": ("site", "down"),
    "feed": ("feed", "down"),
    "rack": ("rack", "down"),
    "release-errors": ("service", "down"),
    "release-slow": ("service", "slow"),
    "authentication": ("service", "close"),
    "wrong-pool": ("service", "misroute"),
    "slow-pool": ("pool", "slow"),
}
_FOLLOWS_LOAD = ("release-errors", "release-slow", "authentication")
_UNIT = {"1/d": 1 / 86400.0, "1/year": 1 / (365.25 * 86400.0), "h": 3600.0, "1": 1.0}


@dataclass(frozen=True)
class Cause:
    """Something that happens to every element of a level, now and then, and to a share of what is below it.

    rate_per_s: how often, of one element in a second without it, >= 0. median_s, sigma: of its log-normal repair.
    share: of the replicas (service, pool), racks (site, feed) or nodes (rack) below that are hit, each by its own draw.
    value: in parts of WHOLE: how long iterations take (slow, > WHOLE), or the share of requests (misroute).
    follows_load: comes as incidents do over the week. Raises ValueError with everything that cannot be.
    """

    name: str
    level: Level
    does: Does
    rate_per_s: float
    median_s: float
    sigma: float
    share: float = 1.0
    value: int = 0
    follows_load: bool = False

    def __post_init__(self) -> None:
        wrong = [
            f"{name} is {found:.4g}; expected {expected}"
            for name, found, fine, expected in (
                ("rate_per_s", self.rate_per_s, 0 <= self.rate_per_s < math.inf, "a rate of at least 0"),
                ("median_s", self.median_s, 0 < self.median_s < math.inf, "more than 0"),
                ("sigma", self.sigma, 0 <= self.sigma <= 5, "0 to 5"),
                ("share", self.share, 0 <= self.share <= 1, "a share from 0 to 1"),
            )
            if not fine
        ]
        if self.does == "slow" and self.value <= WHOLE:
            wrong.append(f"value is {self.value}; expected more than {WHOLE}, which is the usual time")
        if self.does == "misroute" and not 0 <= self.value <= WHOLE:
            wrong.append(f"value is {self.value}; expected 0 to {WHOLE}, which is every request")
        if self.does in ("close", "misroute") and (self.level != "service" or self.share != 1):
            wrong.append(f"{self.does} acts on the door of the whole service; expected level service and share 1")
        if self.level in ("node", "replica") and self.share != 1:
            wrong.append(f"share is {self.share:.4g}; a {self.level} that fails is hit as a whole, expected 1")
        if wrong:
            raise ValueError(f"cause {self.name}: " + "; ".join(wrong))

    @property
    def mean_s(self) -> float:
        """Mean repair time: median x exp(sigma^2 / 2). [s]"""
        return self.median_s * math.exp(self.sigma**2 / 2)

    @property
    def free_share(self) -> float:
        """Long-run share of time in which one element is free of it. [0 to 1]"""
        return node_availability(self.rate_per_s, self.mean_s)


@dataclass(frozen=True)
class Lemons:
    """Few nodes with many of the failures. share: of nodes; failures: of all node failures in a fleet. Both (0, 1)."""

    share: float
    failures: float

    def __post_init__(self) -> None:
        if not (0 < self.share < 1 and self.share <= self.failures < 1):
            raise ValueError(
                f"lemons: share {self.share:.4g}, failures {self.failures:.4g}; expected 0 < share <= failures < 1"
            )

    def rates_per_s(self, rate_per_s: float, restore_s: float) -> tuple[float, float]:
        """Failure rates of a lemon and of any other node whose mean is that of `rate_per_s`. [1/s]

        A node of rate l has l a failures per second, where a = 1 / (1 + l restore) is its availability, and
        l a restore = 1 - a. So a fleet in which lemons have their part of the failures has, to the last digit, the
        availability of one in which all nodes are alike. No lemon is down more than half of its time: where the
        mean is so high, lemons have fewer of the failures.
        """
        down_s = 1.0 - node_availability(rate_per_s, restore_s)
        if down_s <= 0 or restore_s <= 0:
            return rate_per_s, rate_per_s
        lemon_down = max(min(self.failures * down_s / self.share, 0.5), down_s)
        other_down = (down_s - self.share * lemon_down) / (1 - self.share)
        return lemon_down / (1 - lemon_down) / restore_s, other_down / (1 - other_down) / restore_s


@dataclass(frozen=True)
class Causes:
    """Everything that fails.

    shared: causes that many nodes have in common. node_sigma: of the log-normal repair of a node. accelerator_share: of
    node failures that an accelerator causes. lemons: None if all nodes are alike.
    weekday_share, afternoon_share: of incidents that follow load, Monday to Friday and from 14 to 22 UTC.
    Raises ValueError if two shared causes have one name, or the name of one that supply expects.
    """

    shared: tuple[Cause, ...] = ()
    node_sigma: float = 1.0
    accelerator_share: float = 0.0
    lemons: Lemons | None = None
    weekday_share: float = 5 / 7
    afternoon_share: float = 8 / 24

    def __post_init__(self) -> None:
        names = [c.name for c in self.shared]
        taken = sorted({n for n in names if names.count(n) > 1 or n in OWN})
        if taken:
            raise ValueError(
                f"causes named {', '.join(taken)}; expected names of their own, as draws are keyed by them"
            )

    def without(self, *names: str) -> Causes:
        """The same without some shared causes. Raises ValueError for one that is not there."""
        unknown = set(names) - {c.name for c in self.shared}
        if unknown:
            there = ", ".join(c.name for c in self.shared) or "none"
            raise ValueError(f"no shared cause {', '.join(sorted(unknown))}; there are: {there}")
        return replace(self, shared=tuple(c for c in self.shared if c.name not in names))


def stated_causes(seed: int = 1, world: int = 0, as_of: date | None = None) -> Causes:
    """The catalog's causes; in a world other than 0 drawn from their ranges as any range is.

    as_of: leaves out what was not known by that day, and causes of which something is missing then.
    """
    known = {name: _known(name, seed, world, as_of) for name in ("node", "incidents", *_WHAT)}
    node, week = known["node"], known["incidents"]
    shared = tuple(_cause(name, known[name]) for name in _WHAT if "rate" in known[name])
    lemons = Lemons(node["lemon_share"], node["lemon_failures"]) if "lemon_share" in node else None
    base = Causes(shared, lemons=lemons)
    return replace(
        base,
        node_sigma=node.get("repair_sigma", base.node_sigma),
        accelerator_share=node.get("accelerator_share", base.accelerator_share),
        weekday_share=week.get("weekday_share", base.weekday_share),
        afternoon_share=week.get("afternoon_share", base.afternoon_share),
    )


def _cause(name: str, known: dict[str, float]) -> Cause:
    level, does = _WHAT[name]
    return Cause(
        name,
        level,
        does,
        rate_per_s=known["rate"],
        median_s=known["repair_median"],
        sigma=known["repair_sigma"],
        share=known.get("share", 1.0),
        value=round(WHOLE * known.get("slow", known.get("misrouted", 0.0))),
        follows_load=name in _FOLLOWS_LOAD,
    )


def _known(name: str, seed: int, world: int, as_of: date | None) -> dict[str, float]:
    """Quantities of a cause in base units, the last claim by that day; drawn unless the world is 0."""
    found = {}
    for quantity, claims in lookup.claims("failure_causes", "cause", name).items():
        in_force = [c for c in claims if as_of is None or c["known_since"] <= as_of.isoformat()]
        if in_force:
            value = Value(**{end: in_force[-1].get(end) for end in ("value", "low", "high")})
            number = at(value, uniform(seed, "failure cause", name, quantity, world)) if world else value.value
            found[quantity] = number * _UNIT[in_force[-1]["unit"]]
    return found
