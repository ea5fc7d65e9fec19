"""The waterfall: every accelerator-second of a contract, booked exactly once.

    contracted -> delivered -> energized -> healthy -> allocated -> running -> busy -> useful

Amounts are whole accelerator-milliseconds by pool and hour. Each stage is a part of the one before it, the difference
is what was lost there, and the losses together with what is useful are what was contracted: exactly, by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

STAGES = ("contracted", "delivered", "energized", "healthy", "allocated", "running", "busy", "useful")
HOUR_MS = 3_600_000

MEANING = {
    "contracted": "accelerators that contracts in force are for",
    "delivered": "of those, there: ramp, delay, outage, reclaim",
    "energized": "of those, with power at nameplate",
    "healthy": "of those, on a node that works",
    "allocated": "of those, in a whole replica of a model, and not taken by a job",
    "running": "of those, in a replica all of whose nodes work",
    "busy": "of those, needed for the demand that is there",
    "useful": "of those, what the same work would need at the roofline",
}

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Booking:
    """One pool's accelerator-milliseconds: an array [stage, hour], stages in the order of STAGES."""

    pool: str
    amounts: Whole

    @property
    def totals(self) -> dict[str, int]:
        """Accelerator-milliseconds of each stage over all hours."""
        return {stage: int(self.amounts[i].sum()) for i, stage in enumerate(STAGES)}

    @property
    def losses(self) -> dict[str, int]:
        """Accelerator-milliseconds lost in reaching each stage."""
        lost = (self.amounts[:-1] - self.amounts[1:]).sum(axis=1)
        return {stage: int(lost[i]) for i, stage in enumerate(STAGES[1:])}


def book(pool: str, contracted: ArrayLike, ratios: Mapping[str, ArrayLike]) -> Booking:
    """Book a pool: accelerators contracted in each hour, and for every later stage its ratio to the one before.

    Ratios lie in [0, 1]; amounts are rounded down, so that no rounding ever creates a second. Raises ValueError.
    """
    amount = np.rint(np.asarray(contracted, dtype=np.float64) * HOUR_MS).astype(np.int64)
    rows = [amount]
    for stage in STAGES[1:]:
        ratio = np.broadcast_to(np.asarray(ratios[stage], dtype=np.float64), amount.shape)
        if np.any(~((ratio >= 0) & (ratio <= 1))):
            raise ValueError(f"{pool}: the ratio of {stage} is not between 0 and 1")
        amount = np.minimum(np.floor(amount * ratio + 1e-6).astype(np.int64), amount)
        rows.append(amount)
    return Booking(pool, np.stack(rows))


def ratios_of(totals: Mapping[str, int]) -> dict[str, float]:
    """Each stage over the one before it; 1 where nothing was left to lose."""
    found = {}
    for before, stage in pairwise(STAGES):
        found[stage] = totals[stage] / totals[before] if totals[before] else 1.0
    return found
