"""What each pool has in each hour, stage by stage down to `running`: placed replicas that work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import utc_s
from ampacity.inference.operating_point import smallest_replica
from ampacity.inference.replica import Replica, replica
from ampacity.inference.step_time import StepTime, step_time
from ampacity.physics.availability import node_availability, nodes_of
from ampacity.scenario.placement import Placement
from ampacity.scenario.pool import Pool, pools
from ampacity.scenario.scenario import Scenario
from ampacity.supply.delivery import Hours, between, quantity
from ampacity.supply.energized import energized_share
from ampacity.supply.leasing import leased_out
from ampacity.supply.options import exercised
from ampacity.supply.orbital import interactive, surviving, upset_availability

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PoolCapacity:
    """A pool in each hour.

    contracted, delivered: accelerators, less those that are leased out. held: by training jobs.
    energized, healthy, allocated, running: ratio of each stage to the one before.
    alive: share of the delivered that attrition has left, part of `healthy` [0 to 1].
    step: the placement's replica at work, None where the pool serves nothing. replicas: whole replicas placed.
    replica_availability: share of time in which all nodes of a replica work, and no upset stops it [0 to 1].
    """

    pool: Pool
    placement: Placement | None
    step: StepTime | None
    contracted: Array
    delivered: Array
    held: Array
    energized: Array
    healthy: Array | float
    allocated: Array
    running: float
    replicas: Array
    replica_availability: float
    alive: Array | float = 1.0

    @property
    def replica(self) -> Replica | None:
        """One copy of the model that is placed here."""
        return self.step.replica if self.step else None

    @property
    def ratios(self) -> dict[str, Array | float]:
        """Ratios of the stages that supply decides, as the waterfall books them."""
        with np.errstate(divide="ignore", invalid="ignore"):
            delivered = np.where(self.contracted > 0, self.delivered / self.contracted, 0.0)
        return {
            "delivered": delivered,
            "energized": self.energized,
            "healthy": self.healthy,
            "allocated": self.allocated,
            "running": self.running,
        }

    @property
    def running_accelerators(self) -> Array:
        """Accelerators that serve, averaged over failures, one entry an hour."""
        size = self.replica.accelerators if self.replica else 0
        return self.replicas * size * self.replica_availability


def capacities(s: Scenario, hours: Hours) -> tuple[PoolCapacity, ...]:
    """The capacity of every pool of a scenario. What is leased out draws its share of the site's power too."""
    s = exercised(s)
    all_pools = pools(s)
    quantities = [quantity(s, pool, hours) for pool in all_pools]
    taken = leased_out(s, hours).taken
    found = []
    jobs = _Jobs(s, hours)
    for pool, count in zip(all_pools, quantities, strict=True):
        neighbours = [i for i, other in enumerate(all_pools) if other.site.name == pool.site.name]
        energized = energized_share(
            pool.site,
            [all_pools[i].accelerator for i in neighbours],
            [quantities[i].delivered for i in neighbours],
            hours,
        )
        own = np.maximum(count.delivered - taken[pool.name], 0.0)
        alive = surviving(pool.site, pool.contract, pool.deliveries, hours)
        powered = own * energized * alive
        placement = next((p for p in s.placements if _stands_on(p, pool) and interactive(pool.site)), None)
        unit = _step_time(s, placement, pool) if placement else None
        size = unit.replica.accelerators if unit else 1
        held = jobs.take(pool, powered)
        free = np.maximum(powered - held, 0.0)
        usable = placement.usable.value if placement else 0.0
        replicas = np.floor(free * usable / size + 1e-9) if unit else np.zeros(hours.count)
        with np.errstate(divide="ignore", invalid="ignore"):
            allocated = np.where(powered > 0, np.minimum(replicas * size / powered, 1.0), 1.0 if unit else 0.0)
        site = pool.site
        node = node_availability(site.node_failure_rate_per_s.value, site.restore_s.value)
        whole = node ** nodes_of(size) * upset_availability(site, size)
        found.append(
            PoolCapacity(
                pool=pool,
                placement=placement,
                step=unit,
                contracted=np.maximum(count.contracted - taken[pool.name], own),
                delivered=own,
                held=held,
                energized=energized,
                healthy=node * alive,
                allocated=allocated,
                running=whole / node,
                replicas=replicas,
                replica_availability=whole,
                alive=alive,
            )
        )
    return tuple(found)


def _stands_on(p: Placement, pool: Pool) -> bool:
    return (
        p.contract in (None, pool.contract.name)
        and p.site in (None, pool.site.name)
        and p.accelerator in (None, pool.accelerator.name)
    )


def _step_time(s: Scenario, p: Placement, pool: Pool) -> StepTime:
    """The replica of a placement; its size, where the scenario is silent, from weights and the longest mean context."""
    model, chip = s.model(p.model), pool.accelerator
    size = p.accelerators_per_replica
    if size is None:
        context = max((t.behaviour.context_tokens.value for t in s.tiers if t.model == p.model), default=8192.0)
        size = smallest_replica(model, chip, p.precision, p.kv_precision, context)
        there = max(int(sum(d.quantity.value for d in pool.deliveries)), 1)
        while size > there and replica(model, chip, p.precision, p.kv_precision, size // 2).sequences(context) >= 1:
            size //= 2
    unit = replica(model, chip, p.precision, p.kv_precision, size, p.engine, p.kv_blocks, p.max_sequences)
    own = p.calibration_on(chip.name)
    # a calibration of one's own replaces the chip's error by its own
    return step_time(unit, speed=chip.speed.value if own is None else 1.0, calibration=own)


class _Jobs:
    """Accelerators that training jobs hold, taken from the pools of their site in turn. Batch jobs yield to serving."""

    def __init__(self, s: Scenario, hours: Hours) -> None:
        self.left: dict[tuple[str, str], Array] = {}
        for job in s.jobs:
            if job.kind != "training":
                continue
            zone = s.site(job.site).time_zone
            held = between(hours, zone, job.start, None)
            if job.duration_s is not None:
                held *= hours.begins_s < utc_s(job.start, zone) + job.duration_s
            key = (job.site, job.accelerator)
            self.left[key] = self.left.get(key, np.zeros(hours.count)) + held * job.quantity.value

    def take(self, pool: Pool, powered: Array) -> Array:
        key = (pool.site.name, pool.accelerator.name)
        if key not in self.left:
            return np.zeros_like(powered)
        taken = np.minimum(self.left[key], powered)
        self.left[key] = self.left[key] - taken
        return np.asarray(taken)
