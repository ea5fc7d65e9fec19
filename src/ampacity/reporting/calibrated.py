"""Which calibration stands behind an answer, in words: of how many loads, how good, and whether it was measured so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampacity.inference.replica import Replica
from ampacity.scenario.calibration import Calibration

if TYPE_CHECKING:
    from ampacity.planner.answer import Answer


def calibrations(a: Answer) -> list[str]:
    """A clause for each model and kind of accelerator whose speed comes from one's own measurements."""
    found = []
    for load in a.models:
        for pool in load.pools:
            own = pool.placement.calibration_on(pool.pool.accelerator.name) if pool.placement else None
            if own is not None and pool.replica is not None:
                found.append(f"{load.model} on {own.accelerator}: {calibrated_by(own)}{elsewhere(own, pool.replica)}")
    return list(dict.fromkeys(found))


def calibrated_by(c: Calibration) -> str:
    """Of how many loads, from which files, in which layout, with which error of the time per token."""
    loads = "1 load" if c.points == 1 else f"{c.points} loads"
    error = c.expected_error
    within = "error not known" if error is None else f"TPOT within {100 * error:.1f} % (median)"
    layout = f", measured in {c.layout}" if c.layout else ""
    return f"{loads} of {', '.join(c.sources)}{layout}; {within}"


def elsewhere(c: Calibration, r: Replica) -> str:
    """That the replica is laid out otherwise than what was measured; nothing if it is not, or if nobody knows."""
    if c.layout in ("", str(r.layout)):
        return ""
    return f"; it runs in {r.layout} here, for which that error is not known"
