"""A calibration from the log of a run: fitted to the first part of it, and held against what came later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from ampacity.inference.replica import Replica
from ampacity.scenario.calibration import Calibration
from ampacity.simulator.engine import Engine
from ampacity.simulator.logged_run import LoggedRun, Times, errors, later, replayed, statistics
from ampacity.simulator.logged_run_fit import RunFit, calibration_of, fit_better, table_of


@dataclass(frozen=True)
class LoggedCalibration:
    """What a log said of a server.

    calibration: what a scenario names. fit: what it comes from. run, engine: what was compared. known: share of the
    run's time whose events the fit saw (0 to 1]. judged: first tokens and last ones that the errors are of: those that
    came later, or all where nothing did. server: mean, p50 and p99 of TTFT, TPOT and latency of those [s]. catalog,
    own: how far they are off, as shares, with the catalog alone and with the fit. times_catalog: TPOT of the server
    over the catalog's, in the median. gave_way: times that a sequence of the fitted run lost its place.
    """

    calibration: Calibration
    fit: RunFit
    run: LoggedRun
    engine: Engine
    known: float
    judged: tuple[int, int]
    server: dict[str, float]
    catalog: dict[str, float]
    own: dict[str, float]
    times_catalog: float
    gave_way: int

    @property
    def held_back(self) -> bool:
        """Whether the errors are of what the fit did not see."""
        return self.known < 1

    def worst(self, of: dict[str, float]) -> float:
        """The largest error of TTFT and TPOT, as a share."""
        return max(abs(e) for key, e in of.items() if not key.startswith("latency"))


def logged_calibration(
    run: LoggedRun, r: Replica, engine: Engine, kv_precision: str, on: date, known: float
) -> LoggedCalibration:
    """Fit a replica to what a log tells of the first share of its time, and compare the rest.

    Raises ValueError if a request could never fit, or if too few had ended by then.
    """
    known_s = run.end_s * known
    after_s = known_s if known < 1 else 0.0
    f = fit_better(run, r, engine, known_s)
    before, _ = replayed(run, engine, table_of(r, f.catalog, engine.token_budget))
    after, served = replayed(run, engine, f.table(engine.token_budget))
    first, last = later(run, after_s)
    return LoggedCalibration(
        calibration=calibration_of(f, run, engine, known_s, kv_precision, on),
        fit=f,
        run=run,
        engine=engine,
        known=known,
        judged=(int(first.sum()), int(last.sum())),
        server=statistics(run, run.met, after_s),
        catalog=errors(run, before, after_s),
        own=errors(run, after, after_s),
        times_catalog=_times(run, before),
        gave_way=served.preemptions,
    )


def _times(run: LoggedRun, found: Times) -> float:
    return float(np.median(run.tpot_s(run.met) / run.tpot_s(found)))
