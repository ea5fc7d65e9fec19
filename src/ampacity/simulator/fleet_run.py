"""A sampled fleet as it was run: the hours it stands for, what it showed and took, and what no sample can tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ampacity.demand.people import HOURS
from ampacity.policy.rows import WindowRule
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.scenario.scenario import Scenario
from ampacity.simulator import cell_rows as at
from ampacity.simulator.disruption import Disruption, expected_disruptions
from ampacity.simulator.estimate import Estimate, Sample
from ampacity.simulator.failure_causes import Causes
from ampacity.simulator.fleet import Fleet, Workers, busiest, fleet, known, sampled, setting_of, whole
from ampacity.simulator.limits_in_time import TokensFound
from ampacity.simulator.measured_fleet import Spread, measured_fleet
from ampacity.simulator.shared_shocks import SEEDS, BetweenSeeds, between_seeds, between_swings
from ampacity.simulator.strata import CELLS, cells_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FleetRun:
    """fleet: what was looked at. hours: that the sample stands for. whole: every cell was looked at in each of them.
    wall_s: how long it took."""

    fleet: Fleet
    sample: Sample
    hours: tuple[int, ...]
    whole: bool
    wall_s: float

    @property
    def cells(self) -> int:
        """Of the fleet."""
        return sum(len(cells_of(replicas)) for replicas in self.fleet.replicas)

    @cached_property
    def measured(self) -> Spread:
        """Waterfall, energy, air and fees of the hours."""
        return measured_fleet(self.fleet, self.sample, self.hours)

    @cached_property
    def disruptions(self) -> tuple[Disruption, ...]:
        """Minutes a month by cause, as they are to be expected."""
        return expected_disruptions(self._causes, self.fleet.layout)

    @cached_property
    def shocks(self) -> BetweenSeeds:
        """What shared causes leave of the scenario's first four weeks, by seed."""
        return between_seeds(self._causes, self.fleet.layout, min(HOURS, len(self.fleet.load)), self.fleet.start_s)

    @cached_property
    def swings(self) -> Estimate:
        """Answers in the same hours if the swing that all people share were drawn anew."""
        answered = self.sample.whole.counts[:, :, at.ANSWERED].sum(axis=0)
        others = np.array([self._active(seed) for seed in range(1, SEEDS + 1)])
        return between_swings(answered, self._active(self.fleet.setting.seed), others)

    def _active(self, seed: int) -> Floats:
        """How long people are expected to be active in the hours, [tier]."""
        other = replace(self.fleet, setting=replace(self.fleet.setting, seed=seed))
        return np.asarray(known(other, max(self.hours) + 1).active[:, :, list(self.hours)].sum(axis=(0, 2)))

    @property
    def _causes(self) -> Causes:
        return self.fleet.setting.causes or Causes()

    def windows(self, tier: str) -> tuple[WindowRule, ...]:
        """The windows of a tier in the order in which refusals by window are counted."""
        own = (limits.windows(tier) for limits in self.fleet.limits)
        return next((windows for windows in own if windows), ())


def fleet_run(
    s: Scenario,
    found: TokensFound,
    seed: int = 1,
    *,
    hours: int | None = None,
    cells: int | None = CELLS,
    processes: Workers = 1,
    progress: Callable[[int, int], None] | None = None,
    curves: tuple[CapacityCurve, ...] = (),
) -> FleetRun:
    """The fleet of one world of a scenario from a sample of cells and hours.

    hours: from the start, four weeks if it is None. cells: of each pool; None: all of them, in the busiest hours or
    in all. processes, progress: as in `sampled`. curves: of the plan, for capped tiers. Raises ValueError for hours or
    cells that there are not.
    """
    began = time.monotonic()
    f = fleet(setting_of(s, found, seed, curves=curves))
    most = min(HOURS, len(f.load))
    if hours is not None and not 1 <= hours <= most:
        raise ValueError(f"{hours} hours: from 1 to {most}")
    if cells is not None and cells < 1:
        raise ValueError(f"{cells} cells of a pool: at least 1")
    if cells is None:
        span = busiest(f, hours or most)
        sample = whole(f, span, processes=processes, progress=progress)
    else:
        span = list(range(hours or most))
        sample = sampled(f, hours=len(span), cells=cells, processes=processes, progress=progress)
    return FleetRun(f, sample, tuple(span), cells is None, time.monotonic() - began)
