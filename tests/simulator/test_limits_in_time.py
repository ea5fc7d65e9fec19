"""Limits that change while people work: what is used stays used, new sizes hold at once, on everybody's own day."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from cells import by_naive_cell, drawn_limit_changes, opened

import ampacity as amp
from ampacity.base.calendar import utc_s
from ampacity.policy.book import STATE_FIELDS, USED, Book, compile_book
from ampacity.policy.rows import AT_FIRST_USE, Price, WindowRule
from ampacity.scenario.announced import after, days_of_change, in_force
from ampacity.scenario.scenario import Scenario
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import open_cell
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.cell_terms import CellTier, Pool, Routing
from ampacity.simulator.engine import PS_PER_S, Engine
from ampacity.simulator.fleet import Setting, fleet, one_look
from ampacity.simulator.limits_in_time import limits_in_time
from ampacity.simulator.scripts import scripts_of_trace
from ampacity.simulator.step_table import TICKS, StepTable
from ampacity.simulator.strata import Look
from ampacity.simulator.twin import HOUR_PS, model_cells

MS = PS_PER_S // 1000
TEN_MS = StepTable(per_iteration=10 * MS * TICKS)
DAY = 24


def test_a_cell_whose_limits_change_gives_what_a_naive_one_gives() -> None:
    changed = refused = 0
    for seed in range(120):
        w = drawn_limit_changes(seed)
        naive, expected = by_naive_cell(w)
        cell = opened(w)
        cell.run()
        found = cell.result()
        assert found.met is not None
        assert [tuple(row) for row in found.met[:, :4].tolist()] == expected, f"seed {seed}: {w.changes}"
        assert found.count(at.REFUSALS) == len(naive.refused)
        states = cell.windows.states.reshape(-1, STATE_FIELDS)
        assert all(states[who].tolist() == state for who, state in naive.states.items()), seed
        without = opened(replace(w, changes=()))
        without.run()
        hit = np.zeros((3, at.WINDOWS_COUNTED), np.int64)
        for tier, _, place in naive.hit:
            hit[tier, place] += 1
        assert (cell.take_hits() == hit).all(), seed
        assert not cell.take_hits().any()
        changed += without.result().count(at.REFUSALS) != found.count(at.REFUSALS)
        refused += found.count(at.REFUSALS)
    assert changed > 30
    assert refused > 300


@pytest.mark.parametrize("seed", range(8))
def test_cutting_a_run_where_limits_change_and_elsewhere_changes_no_byte(seed: int) -> None:
    w = drawn_limit_changes(seed)
    whole, cut = opened(w), opened(w)
    whole.run()
    instants = [(ms - w.epoch_ms) * MS for ms, _ in w.changes]
    for until in sorted({t + more for t in instants for more in (-1, 0, 1, MS)}):
        cut.run(until)
    cut.run()
    for name in ("counts", "histograms", "met"):
        assert getattr(whole.found, name).tobytes() == getattr(cut.found, name).tobytes()
    assert whole.windows.states.tobytes() == cut.windows.states.tobytes()


def five_requests(size: int) -> Book:
    """A window of an hour that counts each token of `size` requests of ten in and one out."""
    return compile_book(
        {"one": [WindowRule("hour", size * 11 * 1000, AT_FIRST_USE, 3_600_000, Price(1000, 1000, 1000, 1000))]},
        prior_tokens=(10, 0, 0, 1),
    )


def answered(changes: list[tuple[int, Book]], book: Book) -> tuple[CellResult, np.ndarray, int]:
    """Eight requests of one person, one every ten seconds; nobody tries again."""
    tier = CellTier("one", limit="one", output_most=1, retries=0)
    scripts = scripts_of_trace([10 * k * PS_PER_S for k in range(8)], 10, 1, subscriber=[1] * 8)
    pool = Pool(Engine(1000, lag=0), TEN_MS, 1)
    cell = open_cell((pool,), scripts, Routing(), (tier,), book, keep=True, changes=changes)
    cell.run(100 * PS_PER_S)
    found = cell.result()
    assert found.met is not None
    return found, found.met[:, at.MET_FINISH_PS] > 0, int(cell.windows.states[STATE_FIELDS + USED])


def test_a_raised_limit_admits_at_once_and_what_was_used_stays_used() -> None:
    small = five_requests(2)
    large = compile_book({"one": [replace(small.places["one"][0], size=5 * 11 * 1000)]}, like=small)
    _, ok, used = answered([], small)
    assert ok.tolist() == [True] * 2 + [False] * 6
    assert used == 22_000
    # at 45 s: three more, not five
    _, ok, used = answered([(1 + 45_000, large)], small)
    assert ok.tolist() == [True, True, False, False, False, True, True, True]
    assert used == 55_000


def test_a_limit_that_is_cut_refuses_whoever_has_used_more() -> None:
    large = five_requests(5)
    small = compile_book({"one": [replace(large.places["one"][0], size=2 * 11 * 1000)]}, like=large)
    _, ok, used = answered([(1 + 25_000, small)], large)
    assert ok.tolist() == [True] * 3 + [False] * 5
    assert used == 33_000


def laptop(**changed: object) -> Scenario:
    """`laptop`, whose developers get two hundred times the tokens on the third day."""
    s = amp.load("laptop")
    day = (s.start + timedelta(days=2)).isoformat()
    small = {"windows": {"five-hour": {"length": "5 h", "tokens": "1.5 Mtoken"}}}
    large = {"windows": {"five-hour": {"length": "5 h", "tokens": "300 Mtoken"}}}
    return s.replace(
        {
            "worlds": 1,
            "limits.small": small,
            "limits.large": large,
            "tiers.developers.limit": "small",
            "events.raised": {"kind": "limit-change", "date": day, "tier": "developers", "limit": "large"},
            **changed,
        }
    )


def test_a_scenario_is_under_the_limits_of_each_day() -> None:
    s = laptop()
    (day,) = days_of_change(s)
    assert in_force(s, s.start).tier("developers").limit == "small"
    assert in_force(s, day).tier("developers").limit == after(s).tier("developers").limit == "large"


def test_everybodys_limit_changes_with_their_own_day() -> None:
    s = laptop(
        **{"tiers.tools.kind": "subscribers", "tiers.tools.limit": "small", "tiers.tools.time_zone": "Asia/Tokyo"}
    )
    s = s.replace(
        {"events.too": {"kind": "limit-change", "date": str(days_of_change(s)[0]), "tier": "tools", "limit": "large"}}
    )
    found = limits_in_time(s, s.tiers, {})
    zone = s.sites[0].time_zone
    assert found.since_ms == (0, *sorted(1000 * utc_s(days_of_change(s)[0], z) for z in ("Asia/Tokyo", zone)))
    sizes = [[own[0].size for own in rules if own] for rules in found.rules]
    few, many = 1_500_000 * 1000, 300_000_000 * 1000
    assert sizes in ([[few, few], [few, many], [many, many]], [[few, few], [many, few], [many, many]])


def test_windows_that_a_plan_sized_are_those_of_the_last_limit() -> None:
    found = {"developers": {"five-hour": 5e6}}
    s = laptop(**{"limits.large.windows.five-hour.tokens": None, "limits.small.windows.five-hour.tokens": None})
    one, other = limits_in_time(s, s.tiers, found).rules
    sizes = [own[0].size for rules in (one, other) for own in rules if own]
    assert sizes[1] == 5_000_000 * 1000
    assert sizes[0] > 1e15  # no bound is stated, and none was found


def test_in_a_months_requests_windows_refuse_until_the_limit_is_raised_and_hardly_afterwards() -> None:
    (own,) = model_cells(laptop(), {})
    cell = own.open()
    refused = []
    for hours in (2 * DAY, 4 * DAY):
        cell.run(hours * HOUR_PS)
        refused.append(cell.result().count(at.REFUSALS, "developers"))
    assert refused[0] > 500
    assert refused[1] - refused[0] < refused[0] / 20
    assert [own.window(0, i) for i in range(own.windows(0))] == ["five-hour"]


def test_a_look_is_under_the_limits_of_its_hour() -> None:
    f = fleet(Setting(laptop(), {}))
    noon = [
        sum(
            r.count(at.REFUSALS, "developers")
            for hour in range(day * DAY + 9, day * DAY + 17, 2)
            if (r := one_look(f, Look(0, 0, 0, 1, 0, hour, 1.0))) is not None
        )
        for day in (1, 2)
    ]
    assert noon[0] > 100 > noon[1]
