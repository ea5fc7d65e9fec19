"""What active people of a model's tiers take and what its pools give: what limits and headcounts are found from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ampacity.demand.hourly import HourlyDemand
from ampacity.planner.active_load import Capacity, Sources, Takes, carried_share
from ampacity.planner.use import Pace, Use, limit_of
from ampacity.supply.capacity import PoolCapacity

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """Who may be active in each kind of hour, what one of them takes, and what can be given.

    use: how people draw under windows. hour_kind: of each kind of hour, on each tier's clock, [hour, tier]. limited:
    whether a tier has windows; free: whether one of them is to be found. weight: its allowance in units of the others'.
    takers, parallel: as the behaviour has them. cost: accelerator-seconds of one active second. All [tier].
    own_second: mean square of what a person draws who meets no window, [hour, tier].
    """

    use: Use
    sources: Sources
    hour_kind: NDArray[np.int64]
    capacity: Capacity
    free: NDArray[np.bool_]
    limited: NDArray[np.bool_]
    weight: Array
    takers: Array
    parallel: Array
    own_second: Array
    cost: Array

    def takes(self, factor: float, *, all_taking: bool = False) -> Takes:
        """What one active person takes of windows at a factor, in each kind of hour; of no window, what they want.

        all_taking: if all were takers, and stated windows held no more than the factor gives either.
        """
        mean, square = np.ones(self.hour_kind.shape), self.own_second.copy()
        for i in np.flatnonzero(self.limited):
            share = 1.0 if all_taking else float(self.takers[i])
            taking = self.use.pace(int(i), factor, taking=True, giving_way=all_taking)
            others = self.use.pace(int(i), factor, taking=False) if share < 1.0 else taking
            both = Pace(*(share * getattr(taking, f) + (1 - share) * getattr(others, f) for f in ("mean", "square")))
            mean[:, i], square[:, i] = both.mean[self.hour_kind[:, i]], both.square[self.hour_kind[:, i]]
        return Takes(self.cost * mean, self.cost**2 * square)

    def carried(self, takes: Takes, people: float = 1.0) -> float:
        """Share of hours carried if so much is taken, with so many times the people of limited tiers."""
        many = np.where(self.limited, people, 1.0) * self.sources.people
        return carried_share(replace(self.sources, people=many), takes, self.capacity)

    def unlimited(self) -> Takes:
        """What is taken where nobody is limited and nobody uses more than today."""
        return Takes(np.broadcast_to(self.cost, self.hour_kind.shape), self.cost**2 * self.own_second)

    def without_others(self) -> Question:
        """The same question as if nobody but people with windows were there."""
        sources = replace(self.sources, people=np.where(self.limited, self.sources.people, 0.0))
        return replace(self, sources=sources)

    @property
    def most_drawn(self) -> float:
        """The rate that people's sessions at once can draw at the most; infinite where one person takes all first."""
        drawn = float((self.parallel / self.weight)[self.limited].max()) if self.limited.any() else np.inf
        return drawn if self.highest >= drawn else np.inf

    @property
    def highest(self) -> float:
        """A rate beyond which nothing changes: one person takes all there is, or nobody can draw more."""
        if not self.limited.any():
            return 0.0
        alone = float(self.capacity.whole.max() / (self.cost * self.weight)[self.limited].min())
        return min(alone, float((self.parallel / self.weight)[self.limited].max()))


def question(
    use: Use, demand: tuple[HourlyDemand, ...], cost: Array, whole: Array, pools: tuple[PoolCapacity, ...]
) -> Question:
    """The question of one model. whole: what its pools give with all replicas up, in accelerators, [hour]."""
    s, tiers, n = use.s, use.tiers, len(use.tiers)
    active = np.stack([d.active_share for d in demand], axis=1)
    clock = np.stack([d.kind for d in demand], axis=1)
    replicas = sum((p.replicas for p in pools), np.zeros_like(whole))
    table = np.column_stack([active, whole, replicas, clock]).round(12)
    kinds, counts = np.unique(table, axis=0, return_counts=True)
    capacity = Capacity(
        whole=kinds[:, n],
        replicas=kinds[:, n + 1],
        availability=float(np.mean([p.replica_availability for p in pools])),
        share=counts / counts.sum(),
    )
    people = np.array([d.people for d in demand])
    behaviours = [t.behaviour for t in tiers]
    swing = float(np.average([b.common_swing.value for b in behaviours], weights=np.maximum(people, 1e-9)))
    limits = [limit_of(s, t) for t in tiers]
    limited = np.array([limit is not None for limit in limits])
    pace = np.exp(np.array([b.sigma_within.value for b in behaviours]) ** 2)
    # sessions of one person that overlap; customers without windows are known ones, whose own use alone varies
    beside = np.exp(np.array([b.sigma_between.value for b in behaviours]) ** 2) * kinds[:, :n]
    return Question(
        use=use,
        sources=Sources(people, kinds[:, :n], swing),
        hour_kind=kinds[:, n + 2 :].astype(np.int64),
        capacity=capacity,
        free=np.array([any(w.tokens is None for w in limit.windows) if limit else False for limit in limits]),
        limited=limited,
        weight=np.array([t.weight for t in tiers]),
        takers=np.array([b.takers.value for b in behaviours]),
        parallel=np.array([b.parallel.value for b in behaviours]),
        own_second=np.where(limited, pace + beside, pace),
        cost=cost,
    )
