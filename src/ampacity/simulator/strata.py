"""Which hours and which cells of a fleet are looked at request by request, and how much each of them stands for.

Hours are sorted by how much of the fleet is asked for and cut into strata of equal length; cells are those of one pool.
Every sampled cell has an hour of its own in each stratum of hours, so that how much the cells of a pool differ tells
what sampling of hours and of cells together leaves unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ampacity.base.streams import uniform

Floats = NDArray[np.float64]

HOUR_STRATA = 12
CELLS = 5
"""Strata of hours, and cells of every pool; a pool of fewer cells is looked at whole."""
CELL_REPLICAS = 16
"""Replicas of a cell: their rows fit a core's cache."""


@dataclass(frozen=True)
class Look:
    """One cell in one hour. pool: its position. cell: its number in the pool. first, replicas: which of the pool's.
    group: cells of one group are alike in all strata. hour: from the scenario's start. weight: cell-hours of the fleet
    that it stands for."""

    pool: int
    cell: int
    first: int
    replicas: int
    group: int
    hour: int
    weight: float


def cells_of(replicas: int, most: int = CELL_REPLICAS) -> list[tuple[int, int]]:
    """A pool cut into cells as alike as can be: the first replica of each, and how many it has."""
    count = -(-replicas // most)
    edges = [replicas * i // count for i in range(count + 1)] if count else [0]
    return [(a, b - a) for a, b in pairwise(edges)]


def looks(
    load: Floats, replicas: list[int], seed: int, hour_strata: int = HOUR_STRATA, cells: int = CELLS
) -> list[Look]:
    """What is looked at. load: of the fleet in each hour, in any unit. replicas: of each pool."""
    order = np.lexsort((np.arange(len(load)), load))
    strata = [part for part in np.array_split(order, min(hour_strata, len(order))) if len(part)]
    found = []
    for pool, have in enumerate(replicas):
        every = cells_of(have)
        chosen = _some(pool, len(every), seed, cells)
        for group, cell in enumerate(chosen):
            first, count = every[cell]
            for number, part in enumerate(strata):
                hour = int(part[int(uniform(seed, "which hour", pool, cell, number) * len(part))])
                weight = len(part) * len(every) / len(chosen)
                found.append(Look(pool, cell, first, count, group, hour, weight))
    return found


def one_hour(replicas: list[int], hour: int, seed: int, cells: int = CELLS) -> list[Look]:
    """Some cells of every pool, all in the same hour; replicas: of each pool then."""
    found = []
    for pool, have in enumerate(replicas):
        every = cells_of(have)
        chosen = _some(pool, len(every), seed, cells)
        for group, cell in enumerate(chosen):
            found.append(Look(pool, cell, *every[cell], group, hour, len(every) / len(chosen)))
    return found


def _some(pool: int, have: int, seed: int, cells: int) -> list[int]:
    """Cells of a pool, by chance, in rising order."""
    rank = sorted(range(have), key=lambda c: uniform(seed, "which cells", pool, c))
    return sorted(rank[: min(cells, have)])


def every_look(replicas: list[int], hours: list[int]) -> list[Look]:
    """All cells of all pools in each of these hours."""
    return [
        Look(pool, cell, first, count, cell, hour, 1.0)
        for pool, have in enumerate(replicas)
        for cell, (first, count) in enumerate(cells_of(have))
        for hour in hours
    ]
