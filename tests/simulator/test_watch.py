"""A replica looked at closely: nothing changes by it, no iteration is missed, and what is seen adds up."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
from cells import CellWorkload, drawn_cell, opened

from ampacity.simulator.cell import Cell
from ampacity.simulator.engine import FOREVER_PS
from ampacity.simulator.rows import JUMPED, PREEMPTIONS, PROMPT_TOKENS, STEPPED
from ampacity.simulator.step_table import TICK_BITS, iteration_ticks
from ampacity.simulator.watch import (
    ATTENDED_2,
    BEGINS_PS,
    CONTEXT_TOKENS,
    DECODE,
    DECODING,
    ENDS_PS,
    PREFILL,
    PREFILL_TOKENS,
    QUEUED,
    WAITING_REQUESTS,
    Watched,
    watch,
)

SEEDS = range(24)


def run(w: CellWorkload) -> tuple[Cell, int]:
    """A cell of a workload to its end, and the instant of its last token."""
    cell = opened(w)
    cell.run(FOREVER_PS)
    met = cell.result().met
    assert met is not None
    return cell, int(met[:, 2].max()) + 1


def watched(w: CellWorkload, replica: int, begin_ps: int, end_ps: int) -> tuple[Cell, Watched]:
    """The same cell with one replica watched over a span, and then run to its end."""
    cell = opened(w)
    cell.run(begin_ps)
    seen = watch(cell, replica, end_ps)
    cell.run(FOREVER_PS)
    return cell, seen


@pytest.mark.parametrize("seed", SEEDS)
def test_watching_a_replica_changes_nothing_and_misses_no_iteration(seed: int) -> None:
    w = drawn_cell(seed)
    plain, end_ps = run(w)
    cell, seen = watched(w, 0, 0, end_ps)
    one, other = plain.result(), cell.result()
    assert one.met is not None
    assert other.met is not None
    assert (one.met == other.met).all()
    assert (one.counts == other.counts).all()
    row = cell.engines.rows[0]
    assert len(seen.iterations) == row[STEPPED] + row[JUMPED]
    assert seen.iterations[:, PREFILL_TOKENS].sum() == row[PROMPT_TOKENS]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_seen_of_an_iteration_is_what_it_takes_as_long_as(seed: int) -> None:
    """Sequences, contexts, prompt tokens and what they look back at give the very time, to a picosecond of rounding."""
    w = drawn_cell(seed)
    _, end_ps = run(w)
    _, seen = watched(w, 0, 0, end_ps)
    engine, table = w.pools[0][0].engine, [int(n) for n in w.pools[0][0].table.flat()]
    for i in seen.iterations:
        b, k = int(i[DECODING]), int(i[CONTEXT_TOKENS])
        guessed = b * engine.drafts
        a2 = int(i[ATTENDED_2]) + engine.drafts * (2 * k + guessed)
        ticks = iteration_ticks(table, b, k, int(i[PREFILL_TOKENS]) + guessed, a2)
        assert abs((ticks >> TICK_BITS) - (i[ENDS_PS] - i[BEGINS_PS])) <= 1
        assert i[WAITING_REQUESTS] >= 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_turns_of_a_request_run_from_its_arrival_to_its_first_and_last_token(seed: int) -> None:
    w = drawn_cell(seed)
    _, end_ps = run(w)
    cell, seen = watched(w, 0, 0, end_ps)
    met = cell.result().met
    assert met is not None
    turns = defaultdict(list)
    for t in seen.turns:
        turns[t.step].append(t)
    here = set(np.flatnonzero((met[:, 3] == 0) & (met[:, 2] > 0)))
    assert {s for s in turns if met[s, 2] > 0} == here
    late = w.routing.room is not None
    preempted = cell.engines.rows[0][PREEMPTIONS] > 0
    for step in here:
        own = turns[step]
        assert own[0].phase == QUEUED
        assert own[0].since_ps == met[step, 0] or (late and own[0].since_ps > met[step, 0])
        assert own[1].phase == PREFILL
        assert all(a.since_ps <= b.since_ps for a, b in itertools.pairwise(own))
        if not preempted:
            assert [t.phase for t in own] == [QUEUED, PREFILL, DECODE]
            assert own[2].since_ps == met[step, 1]


def test_a_span_in_the_middle_shows_the_iterations_of_the_whole_that_begin_in_it() -> None:
    for seed in SEEDS:
        w = drawn_cell(seed)
        _, end_ps = run(w)
        _, whole = watched(w, 0, 0, end_ps)
        begin, end = end_ps // 3, 2 * end_ps // 3
        _, part = watched(w, 0, begin, end)
        inside = (whole.iterations[:, BEGINS_PS] >= begin) & (whole.iterations[:, BEGINS_PS] < end)
        assert (part.iterations == whole.iterations[inside]).all()
