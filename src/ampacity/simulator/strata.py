"""Which hours and which cells of a fleet are looked at request by request, and how much each of them stands for.

Hours are sorted by how much of the fleet is asked for and cut into strata of equal length; cells are those of one pool.
Every sampled cell has an hour of its own in each stratum of hours, so that how much the cells of a pool differ tells
what sampling of hours and of cells together leaves unknown. A pool with fewer cells is in the sample with all of them,
each in several hours of a stratum.
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
"""Strata of hours, and looks at every pool in each of them."""
CELL_REPLICAS = 16
"""Replicas of a cell: their rows fit a core's cache."""


@dataclass(frozen=True)
class Look:
    """One cell in one hour. pool: its position. cell: its number in the pool. first, replicas: which of the pool's.
    group: looks of one group, one in every stratum of hours, stand for the whole pool. hour: from the scenario's start.
    weight: cell-hours of the fleet that it stands for."""

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


def strata_of(load: Floats, hour_strata: int = HOUR_STRATA) -> list[Ints]:
    """Hours in strata of equal length, from those of least load to those of most."""
    order = np.lexsort((np.arange(len(load)), load))
    return [part for part in np.array_split(order, max(min(hour_strata, len(order)), 1)) if len(part)]


def looks(
    load: Floats,
    replicas: list[int],
    seed: int,
    hour_strata: int = HOUR_STRATA,
    cells: int = CELLS,
    most: int = CELL_REPLICAS,
) -> list[Look]:
    """What is looked at. load: of the fleet in each hour, in any unit. replicas: of each pool. cells: of each pool, or
    so many groups of looks where there are fewer cells. most: replicas of a cell."""
    strata = strata_of(load, hour_strata)
    found = []
    for pool, have in enumerate(replicas):
        every = cells_of(have, most)
        chosen = _some(pool, len(every), seed, cells)
        times = -(-cells // len(chosen)) if chosen else 0
        for group in range(times * len(chosen)):
            cell = chosen[group % len(chosen)]
            first, count = every[cell]
            for number, part in enumerate(strata):
                drawn = uniform(seed, "which hour", pool, cell, number, group // len(chosen))
                weight = len(part) * len(every) / (times * len(chosen))
                found.append(Look(pool, cell, first, count, group, int(part[int(drawn * len(part))]), weight))
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


def every_look(replicas: list[int], hours: list[int], most: int = CELL_REPLICAS) -> list[Look]:
    """All cells of all pools in each of these hours. most: replicas of a cell."""
    return [
        Look(pool, cell, first, count, cell, hour, 1.0)
        for pool, have in enumerate(replicas)
        for cell, (first, count) in enumerate(cells_of(have, most))
        for hour in hours
    ]
