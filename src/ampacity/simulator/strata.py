"""Which hours and which cells of a fleet are looked at request by request, and how much each of them stands for.

Hours are sorted by how much of the fleet is asked for and cut into strata of equal length; cells are those of one pool.
Every sampled cell has an hour of its own in each stratum of hours, so that how much the cells of a pool differ tells
what sampling of hours and of cells together leaves unknown. Where all cells of a pool are looked at, only hours are
sampled: each cell then has several sets of hours, and how much these differ tells it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ampacity.base.streams import uniform

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOUR_STRATA = 12
CELLS = 5
"""Strata of hours, and cells of every pool; a pool of no more cells is looked at whole."""
CELL_REPLICAS = 16
"""Replicas of a cell: their rows fit a core's cache."""


@dataclass(frozen=True)
class Look:
    """One cell in one hour. pool: its position. cell: its number in the pool. first, replicas: which of the pool's.
    group: of a part of the pool, the looks that one set of hours of one cell has; groups of a part are independent and
    alike. hour: from the scenario's start. weight: cell-hours of the fleet that it stands for. part: of the pool: 0
    where cells are sampled, else the cell."""

    pool: int
    cell: int
    first: int
    replicas: int
    group: int
    hour: int
    weight: float
    part: int = 0


def cells_of(replicas: int, most: int = CELL_REPLICAS) -> list[tuple[int, int]]:
    """A pool cut into cells as alike as can be: the first replica of each, and how many it has."""
    count = -(-replicas // most)
    edges = [replicas * i // count for i in range(count + 1)] if count else [0]
    return [(a, b - a) for a, b in pairwise(edges)]


def looks(
    load: Floats,
    replicas: list[int],
    seed: int,
    hour_strata: int = HOUR_STRATA,
    cells: int = CELLS,
    most: int = CELL_REPLICAS,
) -> list[Look]:
    """What is looked at. load: of the fleet in each hour, in any unit. replicas: of each pool. most: of a cell."""
    order = np.lexsort((np.arange(len(load)), load))
    strata = [part for part in np.array_split(order, min(hour_strata, len(order))) if len(part)]
    found = []
    for pool, have in enumerate(replicas):
        every = cells_of(have, most)
        rank = sorted(range(len(every)), key=lambda c: uniform(seed, "which cells", pool, c))
        chosen = sorted(rank[:cells])
        whole = len(every) <= cells
        sets = max(-(-cells // len(every)), 2) if whole and every else 1
        for group, cell in enumerate(chosen):
            first, count = every[cell]
            for number, stratum in enumerate(strata):
                weight = len(stratum) * len(every) / len(chosen) / sets
                for k, hour in enumerate(_hours(stratum, sets, seed, pool, cell, number)):
                    found.append(Look(pool, cell, first, count, k if whole else group, hour, weight, cell * whole))
    return found


def _hours(stratum: Ints, many: int, seed: int, pool: int, cell: int, number: int) -> list[int]:
    """Hours of a stratum for a cell, each by chance, twice the same only where it has fewer."""
    rank = sorted(range(len(stratum)), key=lambda i: uniform(seed, "which hour", pool, cell, number, i))
    return [int(stratum[rank[k % len(rank)]]) for k in range(many)]


def every_look(replicas: list[int], hours: list[int], most: int = CELL_REPLICAS) -> list[Look]:
    """All cells of all pools in each of these hours: of a part with one group nothing is left to chance."""
    return [
        Look(pool, cell, first, count, 0, hour, 1.0)
        for pool, have in enumerate(replicas)
        for cell, (first, count) in enumerate(cells_of(have, most))
        for hour in hours
    ]
