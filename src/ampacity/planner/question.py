"""What active people of a model's tiers take and what its pools give: what limits and headcounts are found from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ampacity.demand.capped import capped_mean, capped_second
from ampacity.demand.hourly import HourlyDemand
from ampacity.demand.window_use import window_use
from ampacity.planner.active_load import Capacity, Sources, Takes, carried_share
from ampacity.scenario.limit import Limit
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.supply.capacity import PoolCapacity

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """Who may be active in each kind of hour, what one of them takes, and what can be given.

    free: whether some window of a tier is to be found. limited: whether a tier has windows. weight: its allowance in
    units of the others'. stated: the rate that stated windows allow, over today's mean rate, infinite where none is
    stated. takers, parallel, sigma: as the behaviour has them. own_second: second moment of one hour's own use.
    cost: accelerator-seconds of one active second. All [tier].
    """

    sources: Sources
    capacity: Capacity
    free: NDArray[np.bool_]
    limited: NDArray[np.bool_]
    weight: Array
    stated: Array
    takers: Array
    parallel: Array
    sigma: Array
    own_second: Array
    cost: Array

    def at_most(self, factor: float) -> Array:
        """The rate at a factor, or the stated one where that is less."""
        return np.asarray(np.minimum(factor * self.weight, self.stated))

    def allowed(self, factor: float) -> Array:
        """The rate that windows allow at a factor; where all of a tier's windows are stated no factor changes it."""
        return np.where(self.free, self.at_most(factor), self.stated)

    def takes(self, rate: Array, takers: Array) -> Takes:
        """Takers use up the rate they may have; the others use what they want of it; no window, no cap."""
        cap = np.maximum(rate, 1e-12)
        used_up = np.minimum(cap, self.parallel)
        mean = takers * used_up + (1 - takers) * capped_mean(cap, self.sigma)
        second = takers * used_up**2 + (1 - takers) * capped_second(cap, self.sigma)
        return Takes(
            self.cost * np.where(self.limited, mean, 1.0),
            self.cost**2 * np.where(self.limited, second, self.own_second),
        )

    def carried(self, rate: Array, takers: Array, people: float = 1.0) -> float:
        """Share of hours carried at rates by tier, with so many times the people of limited tiers."""
        many = np.where(self.limited, people, 1.0) * self.sources.people
        sources = Sources(many, self.sources.active, self.sources.swing)
        return carried_share(sources, self.takes(rate, takers), self.capacity)

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
    s: Scenario,
    tiers: tuple[Tier, ...],
    demand: tuple[HourlyDemand, ...],
    cost: Array,
    whole: Array,
    pools: tuple[PoolCapacity, ...],
) -> Question:
    """The question of one model. whole: what its pools give with all replicas up, in accelerators, [hour]."""
    active = np.stack([d.active_share for d in demand], axis=1)
    replicas = sum((p.replicas for p in pools), np.zeros_like(whole))
    kinds, counts = np.unique(np.column_stack([active, whole, replicas]).round(12), axis=0, return_counts=True)
    n = len(tiers)
    capacity = Capacity(
        whole=kinds[:, n],
        replicas=kinds[:, n + 1],
        availability=float(np.mean([p.replica_availability for p in pools])),
        share=counts / counts.sum(),
    )
    people = np.array([d.people for d in demand])
    behaviours = [t.behaviour for t in tiers]
    swing = float(np.average([b.common_swing.value for b in behaviours], weights=np.maximum(people, 1e-9)))
    within = np.array([b.sigma_within.value for b in behaviours])
    return Question(
        free=np.array([any(w.tokens is None for w in getattr(limit_of(s, t), "windows", ())) for t in tiers]),
        sources=Sources(people, kinds[:, :n], swing),
        capacity=capacity,
        limited=np.array([limit_of(s, t) is not None for t in tiers]),
        weight=np.array([t.weight for t in tiers]),
        stated=np.array([stated_rate(s, t) for t in tiers]),
        takers=np.array([b.takers.value for b in behaviours]),
        parallel=np.array([b.parallel.value for b in behaviours]),
        sigma=np.maximum(np.hypot([b.sigma_between.value for b in behaviours], within), 1e-6),
        # customers without windows are known ones: what varies from hour to hour is their own use
        own_second=np.exp(within**2),
        cost=cost,
    )


def limit_of(s: Scenario, tier: Tier) -> Limit | None:
    """A tier's limit with those windows that count tokens of its model or the model's family; None if there is none."""
    if tier.limit is None:
        return None
    model = s.model(tier.model)
    return s.limit(tier.limit).counting(model.name, model.family)


def stated_rate(s: Scenario, tier: Tier) -> float:
    """The rate per active time that stated windows allow, over today's mean rate; infinite where none is stated."""
    limit = limit_of(s, tier)
    rates = [np.inf]
    for w in limit.windows if limit else ():
        if w.tokens is not None:
            rates.append(w.tokens.value / window_use(tier.behaviour, w).mean)
    return float(min(rates))
