"""Hourly caps of tiers in a cell: against a naive cell with ==, and what a plan's capacity curves do to requests."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from cells import by_cell, by_naive_cell, drawn_caps, opened

import ampacity as amp
from ampacity.planner.answer import Answer, answer
from ampacity.planner.curves import capped
from ampacity.policy.book import STATE_FIELDS, compile_book
from ampacity.policy.capacity_cap import TAKEN_FIELDS, TOKENS_TAKEN
from ampacity.policy.rows import AT_FIRST_USE, ONE_REQUEST, WindowRule
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.scenario.scenario import Scenario
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import Cell, open_cell
from ampacity.simulator.cell_terms import CellTier, Pool, Routing
from ampacity.simulator.engine import PS_PER_S, Engine
from ampacity.simulator.fleet import Setting, fleet, one_look
from ampacity.simulator.of_scenario import cap_of
from ampacity.simulator.request_rows import agents_of
from ampacity.simulator.scripts import scripts_of_trace
from ampacity.simulator.step_table import TICKS, StepTable
from ampacity.simulator.strata import Look
from ampacity.simulator.twin import HOUR_PS, model_cells

MS = PS_PER_S // 1000
TEN_MS = StepTable(per_iteration=10 * MS * TICKS)


def taken(cell: Cell, tier: int) -> list[int]:
    """What is taken of a tier's cap: the hour, and the tokens."""
    k = int(cell.windows.tiers[tier * at.TERM_FIELDS + at.T_TAKEN])
    return [int(n) for n in cell.windows.tiers[k : k + TAKEN_FIELDS]]


def test_a_cell_with_caps_gives_what_a_naive_one_gives() -> None:
    seen: Counter[str] = Counter()
    for seed in range(200):
        w = drawn_caps(seed)
        naive, expected = by_naive_cell(w)
        cell = opened(w)
        cell.run()
        found = cell.result()
        assert found.met is not None
        assert [tuple(row) for row in found.met[:, :4].tolist()] == expected, seed
        assert [found.count(at.PAST_CAP, t.name) for t in w.tiers] == [naive.counts["cap", i] for i in range(3)], seed
        assert {tier: taken(cell, tier) for tier in naive.taken} == naive.taken, seed
        states = cell.windows.states.reshape(-1, STATE_FIELDS)
        assert all(states[who].tolist() == state for who, state in naive.states.items()), seed
        seen.update({name: n for (name, _), n in naive.counts.items()})
        seen["two hours"] += any(row[0] > 1 for row in naive.taken.values())
    assert seen["cap"] > 500
    assert seen["dropped"] > 50
    assert seen["two hours"] > 50


@pytest.mark.parametrize("seed", range(5))
def test_plain_source_and_compiled_source_agree_about_caps(seed: int) -> None:
    w = drawn_caps(seed)
    (plain, met), (compiled, same) = by_cell(w, plain=True), by_cell(w)
    assert met == same
    assert (plain.counts == compiled.counts).all()


def asked(many: int, cap: int, retries: int = 0, limit: int | None = None) -> Cell:
    """So many requests of 100 tokens, a minute apart, from the first instant of a curve of `cap` tokens an hour."""
    book = compile_book({"one": [WindowRule("all", limit * 1000, AT_FIRST_USE, 10**7, ONE_REQUEST)]}) if limit else None
    curve = CapacityCurve("one", "here", 0, (cap, cap, 2 * cap), (), ())
    tier = CellTier("one", limit="one" if limit else None, retries=retries, cap=curve)
    scripts = scripts_of_trace([60 * k * PS_PER_S for k in range(many)], 100, 2, subscriber=[1] * many)
    return open_cell((Pool(Engine(1000, lag=0), TEN_MS, 1),), scripts, Routing(), (tier,), book, keep=True)


def test_an_hour_gives_what_its_cap_says_and_the_next_begins_anew() -> None:
    cell = asked(60, cap=1000)
    cell.run(3599 * PS_PER_S)
    found = cell.result()
    assert found.count(at.ANSWERED) == 10
    assert found.count(at.PAST_CAP) == found.overloaded() >= 50
    assert found.count(at.REFUSALS) == 0
    cell.run((2 * 3600 - 1) * PS_PER_S)
    assert cell.result().count(at.ANSWERED) == 20
    cell.run((3 * 3600 - 1) * PS_PER_S)
    assert cell.result().count(at.ANSWERED) == 40


def test_what_a_cap_refuses_counts_in_no_window() -> None:
    """Twelve requests are allowed, ten fit the first hour's cap: the other two are still there in the second."""
    cell = asked(30, cap=1000, limit=12)
    cell.run(3599 * PS_PER_S)
    assert cell.result().count(at.ANSWERED) == 10
    assert cell.result().count(at.REFUSALS) == 0
    cell.run(2 * 3600 * PS_PER_S)
    assert cell.result().count(at.ANSWERED) == 12
    assert cell.result().count(at.REFUSALS) > 0


def test_a_session_whose_context_is_found_takes_what_it_computes() -> None:
    w = drawn_caps(3)
    cell = opened(w)
    cell.run()
    assert all(taken(cell, i)[TOKENS_TAKEN] >= 0 for i, t in enumerate(w.tiers) if t.cap)


def test_a_curve_without_hours_is_refused() -> None:
    with pytest.raises(ValueError, match="curve of one on here: no hours"):
        open_cell(
            (Pool(Engine(1000), TEN_MS, 1),), scripts_of_trace([0], 1, 1), Routing(),
            (CellTier("one", cap=CapacityCurve("one", "here", 0, (), (), ())),),
        )  # fmt: skip


def crowded(capped: bool) -> Scenario:
    """`laptop` with forty customers of its API."""
    return amp.load("laptop").replace({"worlds": 1, "tiers.tools.people": 40, "tiers.tools.capped": capped})


def tenth(s: Scenario, a: Answer) -> tuple[CapacityCurve, ...]:
    """A tenth of what the plan gives, which is ten times what is wanted."""
    return tuple(replace(c, uncached_input=tuple(n // 10 for n in c.uncached_input)) for c in capped(a, s))


def test_a_capped_tier_takes_in_no_hour_more_than_its_curve_gives_it() -> None:
    s = crowded(True)
    a = answer(s, guarantee=False)
    found = {w.tier: {w.window: w.tokens} for load in a.models for w in load.limits}
    (own,) = model_cells(s, found, curves=tenth(s, a))
    cell = own.open(keep=True)
    cell.run(30 * HOUR_PS)
    result = cell.result()
    assert result.met is not None
    tier = [t.name for t in own.tiers].index("tools")
    mine = own.scripts.agents[agents_of(own.scripts), at.TIER] == tier
    done = mine & (result.met[:, at.MET_FINISH_PS] > 0)
    hour = result.met[done, at.MET_ARRIVAL_PS] // HOUR_PS
    computed = np.bincount(hour, own.scripts.steps[done, at.ASK_INPUT], minlength=30)
    (curve,) = tenth(s, a)
    sizes = np.array(curve.uncached_input[:30])
    assert (computed <= sizes).all()
    assert (computed > 0.95 * sizes).sum() > 5  # it binds
    assert result.count(at.PAST_CAP, "tools") > 100 > 0 == result.count(at.PAST_CAP, "developers")


def test_without_a_cap_of_its_own_no_curve_stops_a_tier() -> None:
    s = crowded(False)
    assert capped(answer(s, guarantee=False), s) == ()


def test_a_cells_part_of_a_curve_is_that_of_its_replicas() -> None:
    tier = crowded(True).tier("tools")
    curves = [CapacityCurve("tools", pool, 7200, (1000, 2001, 3000), (), ()) for pool in ("a", "b")]
    every, part = cap_of(tier, curves, ["a", "b"]), cap_of(tier, curves, ["a"], first=1, part=1, whole=2)
    assert every is not None
    assert (every.start_s, every.uncached_input) == (7200, (2000, 4002, 6000))
    assert part is not None
    assert (part.start_s, part.uncached_input) == (10800, (1000, 1500))
    assert cap_of(tier, curves, ["c"]) is None


def test_looks_at_a_fleet_obey_the_curves_too() -> None:
    s = crowded(True)
    a = answer(s, guarantee=False)
    little = tuple(replace(c, uncached_input=(2000,) * len(c.uncached_input)) for c in capped(a, s))
    met = [
        look
        for curves in ((), little)
        if (look := one_look(fleet(Setting(s, {}, curves=curves)), Look(0, 0, 0, 1, 0, 33, 1.0))) is not None
    ]
    assert [look.count(at.PAST_CAP, "tools") > 0 for look in met] == [False, True]
    # what is answered in the hour came in it or, of the long, in the hour before
    assert met[0].count(at.INPUT_TOKENS, "tools") > 20_000 > 4000 >= met[1].count(at.INPUT_TOKENS, "tools")
