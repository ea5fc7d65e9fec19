"""A calibration in sentences: what to doubt before it is used, what it is worth, and what it moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ampacity.inference.coefficients import ALL_PATHS
from ampacity.inference.own_calibration import OwnCalibration
from ampacity.inference.own_fit import SHIFTS
from ampacity.inference.own_loads import DOES, TTFT

DOUBTFUL_FACTOR = 3.0
"""So many times the catalog, or as little of it, is rather another thing than another machine: left-out predictions of
the catalog are within a factor of 2 on all but a few of its points."""
LEAST_CHANGE = 0.005
LEAST_TOLD = 0.02
MOST_PATHS = 5
COSTS = {
    **DOES,
    "kernel_us": "starting kernels",
    "collective_us": "starting exchanges between chips",
    "sequence_us": "host work per sequence",
    "activation": "moving activations",
    "iteration_ms": "host work per iteration",
    "request_ms": "taking a request in",
    "input_token_us": "taking in each token of an input",
    "client_ms": "taking in requests that come together",
}
"""What each path of the model spends time on, in words."""


def warnings(c: OwnCalibration, assumed: Sequence[str] = ()) -> list[str]:
    """What a reader must know before trusting the fit, gravest first; with what nobody said and it rests on."""
    return [*_broken(c), *assumed, *_far_off(c), *_kept(c), *_copies(c)]


def verdict(c: OwnCalibration) -> str:
    """What the calibration is worth for a load that was not measured."""
    t = c.calibration.tpot
    if c.calibration.points == 1:
        return "One load moves everything together; nothing says how well that predicts others. Three are better."
    if t.before is None or t.left_out is None:
        return "No time per token and no throughput was measured: only the wait for the first token is calibrated."
    if not c.calibration.shifts.model_dump(exclude_defaults=True):
        return "Nothing is shifted: the catalog predicts these loads better than a fit does. Measure more loads."
    was = f"with the catalog alone within {100 * t.before:.1f} %"
    return f"A load that was not measured is predicted within {100 * t.left_out:.1f} % (median), {was}."


def changes(c: OwnCalibration) -> str:
    """How much longer these loads take than the catalog says, and which costs moved most."""
    said = []
    for ttft, what in ((False, "a token takes"), (True, "the first token")):
        own = (c.loads.kind == TTFT) == ttft
        if own.any() and abs(by := float(np.median(c.fit.after[own] / c.fit.before[own])) - 1) >= LEAST_CHANGE:
            said.append(f"{what} {_against(by, 'longer', 'less long')}")
    if not said:
        return "With it these loads take what the catalog says."
    paths = f" Costs that moved most: {', '.join(_paths(c))}." if _paths(c) else ""
    return f"With it, in these loads, {', '.join(said)} than the catalog says.{paths}"


def _paths(c: OwnCalibration) -> list[str]:
    """The paths that moved on their own, the most first, and what each costs now against the catalog."""
    shifts = {n: getattr(c.calibration.shifts, n) for n in SHIFTS[2:]}
    own = sorted((n for n in shifts if abs(shifts[n]) >= LEAST_TOLD), key=lambda n: -abs(shifts[n]))[:MOST_PATHS]
    found = []
    for name in own:
        i = ALL_PATHS.index(name)
        by = float(c.own[i] / c.catalog[i]) - 1 if c.catalog[i] else 0.0
        found += [f"{COSTS[name]} {_against(by, 'more', 'less')}"] if abs(by) >= LEAST_CHANGE else []
    return found


def _broken(c: OwnCalibration) -> list[str]:
    n = c.calibration.left_out
    if 2 * n < c.rows:
        return []
    rest = "one row" if c.rows - n == 1 else f"{c.rows - n} rows"
    return [f"{n} of {c.rows} rows are of no use; what follows rests on {rest} alone. Mend the others first."]


def _far_off(c: OwnCalibration) -> list[str]:
    said = []
    for ttft, what in ((False, "Time per token"), (True, "Time to first token")):
        times = c.times_catalog(ttft)
        if times is None or 1 / DOUBTFUL_FACTOR < times < DOUBTFUL_FACTOR:
            continue
        found = f"{times:,.1f} x" if times > 1 else f"1/{1 / times:,.1f} of"
        doubt = "another layout, precision or model than named, or s where ms belong?"
        said.append(f"{what} is {found} what the catalog says (median): {doubt}")
    return said


def _kept(c: OwnCalibration) -> list[str]:
    said = []
    for ttft, error in c.fit.kept:
        before = (c.calibration.ttft if ttft else c.calibration.tpot).before or 0.0
        what = "time to first token" if ttft else "time per token"
        part = "the first token's" if ttft else "an iteration's"
        said.append(
            f"The catalog predicts {what} better ({100 * before:.1f} %) than a fit to the other loads does "
            f"({100 * error:.1f} %): {part} costs stay as the catalog has them."
        )
    return said


def _copies(c: OwnCalibration) -> list[str]:
    if not c.repeated:
        return []
    copy, first = c.repeated[0]
    more = f", and {len(c.repeated) - 1} more" if len(c.repeated) > 1 else ""
    same = f"{copy.where} says the same as {first.where}{more}"
    them = "is a copy and counts" if len(c.repeated) == 1 else "are copies and count"
    return [f"{len(c.repeated)} of {c.rows} rows {them} once ({same})."]


def _against(by: float, more: str, less: str) -> str:
    """A change as a share of what was: "13 % longer", "12 x longer"."""
    size = f"{1 + by:,.1f} x" if by >= 1 else f"{100 * abs(by):.0f} %"
    return f"{size} {more if by > 0 else less}"
