"""Windows that are looked at iteration by iteration: they stand for the whole, within the error that they state."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
import pytest

from ampacity.demand.traces.trace import Trace, canonical
from ampacity.scenario.load import load
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.estimate import around
from ampacity.simulator.model_cell import busy_ps, serving, step_of
from ampacity.simulator.ran import Ran, ran
from ampacity.simulator.sampled import run_sampled, shares
from ampacity.simulator.trace_replay import replay
from ampacity.simulator.watch import BEGINS_PS, ENDS_PS, watch
from ampacity.supply.capacity import capacities
from ampacity.supply.delivery import hours_of

SPAN_PS = 300 * PS_PER_S


@cache
def minutes(windows: int = 0) -> Ran:
    """Five minutes of chats that come in waves."""
    rng = np.random.default_rng(4)
    t_s = np.sort(rng.uniform(0, 300, 900) + 20 * np.sin(np.arange(900) / 20)).clip(0)
    frame = canonical(
        pl.DataFrame(
            {"t_s": t_s, "input_tokens": rng.integers(50, 9000, 900), "output_tokens": rng.integers(1, 200, 900)}
        )
    )
    s = load("laptop")
    supply = serving(capacities(s, hours_of(s)), "llama-3.1-70b")
    r = replay(Trace(frame, "parquet", "made", "trace", 900, 0.0), supply, "llama-3.1-70b")
    return ran(r.cell, SPAN_PS, windows=windows)


def test_windows_change_nothing_of_a_run() -> None:
    one, other = minutes().result, minutes(windows=100).result
    assert (one.counts == other.counts).all()
    assert (one.histograms == other.histograms).all()
    assert one.busy_ps == other.busy_ps
    assert one.stepped + one.jumped == other.stepped + other.jumped


def test_shares_of_windows_are_those_of_all_iterations_within_their_error() -> None:
    run = minutes()
    cell = run.setup.open()
    whole = shares(step_of(run.setup.supply[0]), [watch(cell, 0, SPAN_PS)])
    assert whole is not None
    off = []
    for seed in range(6):
        seen = run_sampled(run.setup.open(), SPAN_PS, seed, windows=60)
        found = shares(step_of(run.setup.supply[0]), seen)
        assert found is not None
        off.append((found.useful - whole.useful) / found.useful_error)
        assert found.mfu <= found.useful <= found.mfu + found.mbu
        assert found.prefill == pytest.approx(whole.prefill, rel=0.2)
    assert max(abs(x) for x in off) < 4
    assert 0.2 < float(np.sqrt(np.mean(np.square(off)))) < 1.8


def test_the_busy_time_is_that_of_all_iterations() -> None:
    run = minutes()
    cell = run.setup.open()
    i = watch(cell, 0, SPAN_PS).iterations
    whole_ps = int((np.minimum(i[:, ENDS_PS], SPAN_PS) - i[:, BEGINS_PS]).sum())
    assert whole_ps == busy_ps(run.cell)[0] == run.result.busy_ps
    assert run.pool_busy() == [run.busy_share] == [whole_ps / SPAN_PS]


def test_an_interval_of_something_hardly_ever_seen_is_wide_and_warns_of_nothing() -> None:
    e = around(1e-6, [0.0, 0.0, 0.0, 0.0, 5e-6 * 1e6], most=1.0)
    assert 0 <= e.low < 1e-20
    assert e.high == 1.0
