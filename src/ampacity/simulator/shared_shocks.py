"""What no sample of cells can tell: how much of a span all cells lose together, in one drawing of failures or another.

A bad release, a closed door or a site that is out is met by every cell of a sample at once, so cells do not differ by
it. Here the shared causes alone are drawn anew under many seeds, without a request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ampacity.simulator.disruption import open_share, up_share
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.estimate import Estimate
from ampacity.simulator.failure_causes import Causes
from ampacity.simulator.failures import failures
from ampacity.simulator.fleet_layout import Layout
from ampacity.simulator.timeline import timeline

SEEDS = 20


@dataclass(frozen=True)
class BetweenSeeds:
    """Over the seeds: mean, and the 5 % and 95 % quantiles. door: share of the span in which the service lets requests
    in. up: the same of the mean replica, as far as shared causes decide. [0 to 1]"""

    seeds: int
    door: Estimate
    up: Estimate


def between_seeds(causes: Causes, layout: Layout, hours: int, epoch_s: int, seeds: int = SEEDS) -> BetweenSeeds:
    """What shared causes leave of the first `hours` hours, under seeds 1 to `seeds`; exactly all of it without any.

    epoch_s: when the hours begin, from 1970 [s].
    """
    each = np.array(list(_each(causes, _shared_only(layout), hours * 3600 * PS_PER_S, epoch_s, seeds)))
    low, high = np.quantile(each, [0.05, 0.95], axis=0)
    door, up = (Estimate(float(each[:, i].mean()), float(low[i]), float(high[i])) for i in range(2))
    return BetweenSeeds(seeds, door, up)


def _each(causes: Causes, layout: Layout, end_ps: int, epoch_s: int, seeds: int) -> Iterator[tuple[float, float]]:
    every = layout.chosen(None)
    for seed in range(1, seeds + 1):
        line = timeline(failures(causes, layout, seed, 0, end_ps, None, epoch_s), layout, 0, end_ps)
        up = float(up_share(line, every, 0, end_ps).mean()) if every.size else 1.0
        yield open_share(line, 0, end_ps), up


def _shared_only(layout: Layout) -> Layout:
    """The fleet if no node failed by itself: those failures each cell has for itself, and samples tell them."""
    return Layout(tuple(replace(p, node_failure_rate_per_s=0.0, stop_rate_per_s=0.0) for p in layout.pools))
