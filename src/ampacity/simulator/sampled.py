"""Short windows of a run, iteration by iteration: what share of the busy time is useful, and what prompts take.

A run is cut into equal slots; in each a window begins by chance, on a replica drawn by chance, so every iteration has
the same chance to be seen. Shares are ratios of sums over windows, with the standard error of such ratios [1]_.

References
----------
.. [1] W. G. Cochran, Sampling Techniques, 3rd ed., 1977, sec. 6.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.base.streams import uniform
from ampacity.inference.step_time import StepTime
from ampacity.simulator.cell import Cell
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.watch import (
    ATTENDED_2,
    BEGINS_PS,
    CONTEXT_TOKENS,
    DECODING,
    ENDS_PS,
    PREFILL_TOKENS,
    Watched,
    watch,
)

Floats = NDArray[np.float64]

# of a window
(
    USEFUL,  # what its iterations would need at the roofline
    COMPUTE,  # of it their arithmetic at peak, and their bytes at bandwidth
    MEMORY,
    PREFILL,  # what prompts took longer than decoding alone would have
    SPENT,  # what the iterations took
    WORK_FIELDS,
) = range(6)

WINDOWS = 500
WINDOW_PS = 2 * PS_PER_S


@dataclass(frozen=True)
class Shares:
    """Of the time in which iterations ran, each 0 to 1.

    useful: what their work would need at the roofline, step by step. useful_error: its standard error. mfu: their
    arithmetic at peak. mbu: their bytes at bandwidth. prefill: what prompts take longer than decoding alone would.
    iterations: that were seen.
    """

    useful: float
    useful_error: float
    mfu: float
    mbu: float
    prefill: float
    iterations: int


def run_sampled(
    cell: Cell, until_ps: int, seed: int, windows: int = WINDOWS, window_ps: int = WINDOW_PS
) -> list[Watched]:
    """Run a cell from its beginning, and say what was seen in the windows. The run is the same as without them."""
    seen = []
    slot_ps = until_ps // max(windows, 1)
    length_ps = min(window_ps, slot_ps // 4)
    for n in range(windows if length_ps > 0 else 0):
        begin_ps = n * slot_ps + int(uniform(seed, "window", n) * (slot_ps - length_ps))
        replica = int(uniform(seed, "window's replica", n) * len(cell.engines.rows))
        cell.run(begin_ps)
        seen.append(watch(cell, replica, begin_ps + length_ps))
    cell.run(until_ps)
    return seen


def worked(step: StepTime, w: Watched) -> Floats:
    """What the iterations of a window took and would need, WORK_FIELDS: [s]."""
    found = np.zeros(WORK_FIELDS)
    i = w.iterations
    if not len(i):
        return found
    b, k, p, a = (i[:, f].astype(np.float64) for f in (DECODING, CONTEXT_TOKENS, PREFILL_TOKENS, ATTENDED_2))
    took_s = (i[:, ENDS_PS] - i[:, BEGINS_PS]) / PS_PER_S
    at_peak, at_bandwidth = step.roofline(b, k, p, a / 2)
    decoding_s = np.where(b > 0, step.seconds(b, k), 0.0)
    found[USEFUL], found[COMPUTE], found[MEMORY] = (
        x.sum() for x in (np.maximum(at_peak, at_bandwidth), at_peak, at_bandwidth)
    )
    found[PREFILL] = np.where(p > 0, np.maximum(took_s - decoding_s, 0.0), 0.0).sum()
    found[SPENT] = took_s.sum()
    return found


def shares(step: StepTime, seen: list[Watched]) -> Shares | None:
    """The shares of what was seen of a pool's replicas; None if nothing ran there."""
    each = np.array([worked(step, w) for w in seen]).reshape(-1, WORK_FIELDS)
    return shares_of(each, sum(len(w.iterations) for w in seen))


def shares_of(each: Floats, iterations: int) -> Shares | None:
    """The shares of windows, [window, WORK_FIELDS], that hold so many iterations; None if nothing ran in them."""
    useful, spent = each[:, USEFUL], each[:, SPENT]
    total = float(spent.sum())
    if total <= 0:
        return None
    ratio = min(float(useful.sum()) / total, 1.0)
    many = len(each)
    off = float(((useful - ratio * spent) ** 2).sum())
    return Shares(
        useful=ratio,
        useful_error=math.sqrt(off * many / (many - 1)) / total if many > 1 else 0.0,
        mfu=float(each[:, COMPUTE].sum()) / total,
        mbu=float(each[:, MEMORY].sum()) / total,
        prefill=float(each[:, PREFILL].sum()) / total,
        iterations=iterations,
    )
