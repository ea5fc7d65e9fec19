"""An hour of a cell against whole weeks of the same fleet: as many people, as far into their work, as weeks leave."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.fleet import WARM_S, Setting, fleet, one_look
from ampacity.simulator.histograms import quantile_s
from ampacity.simulator.strata import Look
from ampacity.simulator.twin import HOUR_PS, model_cells

LIMITS = {"developers": {"five-hour": 20e6, "weekly": 100e6}}
FROM, UNTIL = 192, 672  # from the second week on windows are as full as they will be
BATCHES = 12
ONE_WEEK_SEEDS = range(1, 5)


@cache
def server() -> Scenario:
    """The laptop's with memory that keeps contexts, and without the other clients."""
    return load("laptop", sets=["placements.code.kv_blocks=400000", "tiers.tools.people=1"])


@cache
def weeks() -> tuple[CellResult, ...]:
    """Weeks two to four, request by request from the first instant on."""
    found = []
    for seed in ONE_WEEK_SEEDS:
        (m,) = model_cells(server(), LIMITS, seed)
        cell = m.open()
        cell.run(FROM * HOUR_PS)
        before = cell.result()
        cell.run(UNTIL * HOUR_PS)
        found.append(cell.result() - before)
    return tuple(found)


@cache
def hours(warm_s: int) -> tuple[CellResult, ...]:
    """Single hours of those weeks, as many of each hour of the day, in batches alike."""
    found: list[CellResult] = []
    for seed in ONE_WEEK_SEEDS:
        f = fleet(Setting(server(), LIMITS, seed=seed, warm_s=warm_s))
        for hour in range(FROM + seed, UNTIL, 19):
            r = one_look(f, Look(0, 0, 0, 1, 0, hour, 1.0))
            assert r is not None
            found.append(r)
    return tuple(found)


def figures(parts: tuple[CellResult, ...], per_hours: float) -> dict[str, float]:
    counts = np.sum([r.counts[0] for r in parts], axis=0)
    ttft = np.sum([r.histograms[0, at.TTFT] for r in parts], axis=0)
    return {
        "output": counts[at.OUTPUT_TOKENS] / per_hours,
        "asked": counts[at.ASKED] / per_hours,
        "found": counts[at.HIT] / counts[at.INPUT_TOKENS],
        "TTFT p50": quantile_s(ttft, 0.5),
        "TTFT p90": quantile_s(ttft, 0.9),
        "busy": sum(r.busy_ps for r in parts) / (per_hours * HOUR_PS),
        "refused": counts[at.REFUSALS] / counts[at.ASKED],
    }


def apart(name: str, warm_s: int = WARM_S) -> tuple[float, float]:
    """How far hours are from weeks, relative, and the standard error of that."""
    of_weeks = [figures((w,), UNTIL - FROM)[name] for w in weeks()]
    seen = hours(warm_s)
    batches = [figures(seen[i::BATCHES], len(seen[i::BATCHES]))[name] for i in range(BATCHES)]
    mean = float(np.mean(of_weeks))
    error = np.hypot(np.std(of_weeks, ddof=1) / np.sqrt(len(of_weeks)), np.std(batches, ddof=1) / np.sqrt(BATCHES))
    return figures(seen, len(seen))[name] / mean - 1, float(error) / mean


@pytest.mark.parametrize("name", ["asked", "output", "busy"])
def test_single_hours_have_the_work_of_whole_weeks(name: str) -> None:
    off, error = apart(name)
    assert abs(off) < 3.5 * error < 0.5


def test_half_of_the_first_tokens_of_single_hours_come_as_soon_as_in_whole_weeks() -> None:
    off, error = apart("TTFT p50")
    assert abs(off) < 3.5 * error + 0.02
    assert error < 0.05


def test_memory_of_single_hours_holds_nearly_what_weeks_leave_in_it() -> None:
    """What rested for longer than the cell was open is not there: a point of what is found, a sixth on TTFT p90."""
    assert -0.015 < apart("found")[0] < 0.002
    assert apart("found", 0)[0] < apart("found")[0]
    off, error = apart("TTFT p90")
    assert off < 0.3 + 3 * error
    assert off < apart("TTFT p90", 0)[0]


def test_how_long_a_cell_was_open_does_not_change_how_much_is_asked() -> None:
    """Sessions under way, and those that long pauses have delayed, are there from the first instant on."""
    before, after = (figures(hours(warm_s), len(hours(warm_s))) for warm_s in (0, WARM_S))
    assert before["output"] == pytest.approx(after["output"], rel=0.06)


def test_windows_stop_people_as_often_as_in_weeks_within_what_sessions_leave() -> None:
    """In weeks who was stopped asks again with each session of a stretch, here the whole stretch is stopped at once."""
    off, error = apart("refused")
    assert -0.6 < off < 3.5 * error
