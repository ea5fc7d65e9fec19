"""What no sample of cells can tell: how much all cells lose, or are asked for, together, in one drawing or another.

A bad release, a closed door or a site that is out is met by every cell of a sample at once, and so is a busy week, so
cells do not differ by it. Here the shared causes and the shared swing alone are drawn anew under many seeds, without a
request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ampacity.simulator.disruption import open_share, up_share
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.estimate import Estimate
from ampacity.simulator.failure_causes import Causes
from ampacity.simulator.failures import failures
from ampacity.simulator.fleet_layout import Layout
from ampacity.simulator.timeline import timeline

Floats = NDArray[np.float64]

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


def between_swings(answered: Floats, active: Floats, others: Floats) -> Estimate:
    """Answers under other drawings of the swing that all people share, as many for as much activity: mean, and the 5 %
    and 95 % quantiles.

    answered: by tier. active: how long people of a tier are expected to be active under the drawing in which they were
    counted, [tier]; others: under the others, [drawing, tier].
    """
    for_each = np.divide(answered, active, out=np.zeros_like(answered), where=active > 0)
    each = others @ for_each
    low, high = np.quantile(each, [0.05, 0.95])
    return Estimate(float(each.mean()), float(low), float(high))


def _each(causes: Causes, layout: Layout, end_ps: int, epoch_s: int, seeds: int) -> Iterator[tuple[float, float]]:
    every = layout.chosen(None)
    for seed in range(1, seeds + 1):
        line = timeline(failures(causes, layout, seed, 0, end_ps, None, epoch_s), layout, 0, end_ps)
        up = float(up_share(line, every, 0, end_ps).mean()) if every.size else 1.0
        yield open_share(line, 0, end_ps), up


def _shared_only(layout: Layout) -> Layout:
    """The fleet if no node failed by itself: those failures each cell has for itself, and samples tell them."""
    return Layout(tuple(replace(p, node_failure_rate_per_s=0.0, stop_rate_per_s=0.0) for p in layout.pools))
