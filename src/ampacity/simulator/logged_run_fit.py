"""The fit of a step time to a server's log, with runs of the engine in the loop.

What a request met hangs on all others, so no sum over typical iterations says it: the engine runs the same requests and
is compared request by request. The parameters are the shifts of `inference/own_fit.py`, with its shrinkage. What a
request met jumps when its arrival passes the end of an iteration, so derivatives mislead; the search tries steps of
single shifts instead, large ones first. A run takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from ampacity.inference.coefficients import ALL_PATHS, LEAST_SHIFT, Coefficients, catalog_digest, coefficients
from ampacity.inference.fit import TTFT_WEIGHT
from ampacity.inference.own_fit import LARGEST, PULL_PATH, PULL_TOGETHER, SHIFTS, shifted_costs
from ampacity.inference.own_loads import costs
from ampacity.inference.replica import Replica
from ampacity.inference.robust_fit import OUTLIER
from ampacity.inference.step_time import StepTime
from ampacity.inference.work import PATHS, Array, ideal
from ampacity.scenario.calibration import Calibration, Errors, Shifts
from ampacity.simulator.engine import Engine
from ampacity.simulator.logged_run import LoggedRun, median_errors, replayed
from ampacity.simulator.step_table import StepTable, step_table

WORTH_LOADS = 20.0
"""So many independent loads the requests of one run tell as much as: they meet each other, and one weather."""
FIRST_STEPS = np.arange(-0.6, 0.61, 0.04)
"""Shifts of all paths together that are tried first: the catalog is seldom off by more."""
STEPS = (0.2, 0.1, 0.05, 0.025, 0.0125)
SWEEPS_MOST = 12
"""Of one step; no fit has needed more than five."""
FEWEST = 10
"""Requests that must have ended for a fit."""


@dataclass(frozen=True)
class RunFit:
    """shifts: in the order of SHIFTS. catalog: costs of ALL_PATHS before them. known: requests that had their first
    token by the instant up to which the log was read, and those that had ended. runs: of the engine. beside: whether
    the products of prompts come on top of reading the weights. loss: what the search made small."""

    replica: Replica
    shifts: Array
    catalog: Array
    known: tuple[int, int]
    runs: int
    beside: bool = False
    loss: float = 0.0

    @property
    def costs(self) -> Array:
        """Of ALL_PATHS, after the shifts."""
        return shifted_costs(self.catalog, self.shifts)

    def table(self, token_budget: int) -> StepTable:
        """Iterations of the replica at these costs."""
        return table_of(self.replica, self.costs, token_budget, self.beside)


def catalog_costs(r: Replica) -> Array:
    """What the catalog says that each of ALL_PATHS costs on a replica."""
    return costs(coefficients(r.engine, r.chip, r.vendor, r.precision))


def table_of(r: Replica, cost: Array, token_budget: int, beside: bool = False) -> StepTable:
    """Iterations of a replica at given costs of ALL_PATHS; what a first token waits for elsewhere is not in them.

    beside: the dense products of prompts come on top of reading the weights. The catalog takes the longer of the two,
    as if prompts of a few hundred tokens were free beside decoding. In the logs of vLLM 0.19 they are not: 305 tokens
    add 11 ms to an iteration of 13 ms, 391 add 17 ms to one of 21 ms.
    """
    own = Coefficients(tuple(cost[: len(PATHS)].tolist()), (0.0, 0.0, 0.0), "", "", prompts_beside_reading=beside)
    return step_table(StepTime(r, own), token_budget)


def fit_run(run: LoggedRun, r: Replica, engine: Engine, known_s: float | None = None, beside: bool = False) -> RunFit:
    """Fit the shifts to what was known `known_s` seconds after the first arrival; to the whole log if that is None.

    Known are arrivals and first tokens up to then, and times per token of requests that had ended. Raises ValueError
    if fewer than FEWEST requests had.
    """
    known_s = run.end_s if known_s is None else known_s
    run = run.until(known_s)
    begun, ended = run.met.first_s <= known_s, run.met.last_s <= known_s
    if ended.sum() < FEWEST:
        raise ValueError(f"{run.file}: {ended.sum()} requests had ended {known_s:g} s on; a fit needs {FEWEST}")
    catalog = catalog_costs(r)
    pull = np.array([PULL_TOGETHER] * 2 + [PULL_PATH] * len(ALL_PATHS))
    ttft_s, tpot_s = run.ttft_s(run.met)[begun], run.tpot_s(run.met)[ended]

    def loss(shifts: Array) -> float:
        table = table_of(r, shifted_costs(catalog, shifts), engine.token_budget, beside)
        found, _ = replayed(run, engine, table)
        first = _soft(np.log(run.ttft_s(found)[begun] / ttft_s))
        each = _soft(np.log(run.tpot_s(found)[ended] / tpot_s))
        return WORTH_LOADS * (TTFT_WEIGHT * first + each) + float((pull * shifts**2).sum())

    shifts, least, runs = _searched(loss, _free(r))
    return RunFit(r, shifts, catalog, (int(begun.sum()), int(ended.sum())), runs, beside, least)


def fit_better(run: LoggedRun, r: Replica, engine: Engine, known_s: float | None = None) -> RunFit:
    """The fit, with prompts beside reading or in the longer of the two: what explains better what was known."""
    return min((fit_run(run, r, engine, known_s, beside) for beside in (True, False)), key=lambda f: f.loss)


def calibration_of(
    f: RunFit, run: LoggedRun, engine: Engine, known_s: float, kv_precision: str, on: date
) -> Calibration:
    """The fit as a scenario names it, with its errors on what the server told after `known_s`.

    Where nothing came later they are those of the fit itself, and nothing is said of what it did not see.
    """
    r = f.replica
    later_s, name = (known_s, "left_out") if known_s < run.end_s else (0.0, "after")
    before = median_errors(run, replayed(run, engine, table_of(r, f.catalog, engine.token_budget))[0], later_s)
    after = median_errors(run, replayed(run, engine, f.table(engine.token_budget))[0], later_s)
    ttft, tpot = (Errors.model_validate({"before": b, name: a}) for b, a in zip(before, after, strict=True))
    shifts = {n: round(float(x), 4) for n, x in zip(SHIFTS, f.shifts, strict=True) if abs(x) >= LEAST_SHIFT}
    return Calibration(
        date=on,
        sources=(Path(run.file).name,),
        points=f.known[1],
        model=r.model.name,
        accelerator=r.chip,
        engine=r.engine,
        version=coefficients(r.engine, r.chip, r.vendor, r.precision).version,
        catalog=catalog_digest(),
        precision=r.precision,
        kv_precision=kv_precision,
        layout=str(r.layout),
        tpot=tpot,
        ttft=ttft,
        prompts_beside_reading=f.beside,
        shifts=Shifts(**shifts),
    )


def with_fit_of(f: RunFit, r: Replica) -> RunFit:
    """The shifts of one replica on another: what of a fit carries over."""
    return replace(f, replica=r, catalog=catalog_costs(r))


def _soft(residual: Array) -> float:
    """Mean of squares that grow linearly from OUTLIER on."""
    return float((2 * OUTLIER**2 * (np.sqrt(1 + (residual / OUTLIER) ** 2) - 1)).mean())


def _free(r: Replica) -> list[int]:
    """The shifts that change anything: of all paths together, and of each that this replica spends time in."""
    spent = ideal(r, 64.0, 64e3, 512.0, 1.3e5)
    return [0, *(SHIFTS.index(path) for path, seconds in zip(PATHS, spent, strict=True) if seconds > 0)]


def _searched(loss: Callable[[Array], float], free: list[int]) -> tuple[Array, float, int]:
    """The shifts of least loss that steps of one at a time reach, that loss, and how often it was asked for."""
    runs = 0

    def asked(shifts: Array) -> float:
        nonlocal runs
        runs += 1
        return loss(shifts)

    best = np.zeros(len(SHIFTS))
    least = asked(best)
    for together in FIRST_STEPS:
        tried = np.zeros(len(SHIFTS))
        tried[0] = together
        if (found := asked(tried)) < least:
            best, least = tried, found
    for step in STEPS:
        for _ in range(SWEEPS_MOST):
            before = least
            for i in free:
                for by in (step, -step):
                    tried = best.copy()
                    tried[i] = np.clip(tried[i] + by, -LARGEST, LARGEST)
                    if (found := asked(tried)) < least:
                        best, least = tried, found
                        break
            if least == before:
                break
    return best, least, runs
