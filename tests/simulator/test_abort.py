"""Requests that are taken back, wherever they are."""

from __future__ import annotations

import pytest
from workloads import One, Workload, by_engine, by_naive, drawn

from ampacity.simulator.engine import PS_PER_S, Engine
from ampacity.simulator.rows import FREE, SEQS
from ampacity.simulator.step_table import TICKS, StepTable

MS = PS_PER_S // 1000
TEN_MS = StepTable(per_iteration=10 * MS * TICKS)


def two(lag: int, after_ms: float) -> One:
    """Two requests for 100 and 5 tokens, the first of which is taken back."""
    engine = Engine(kv_blocks=9, max_seqs=1, lag=lag, prefix_cache=False)
    chains = [[(0, 20, 0, 100)], [(0, 20, 0, 5)]]
    return One(Workload(engine, TEN_MS, chains, (), (0, 0), (0, 0), (int(after_ms * MS), None)))


@pytest.mark.parametrize(("lag", "second_begins_ms"), [(0, 60), (1, 70)])
def test_the_place_of_one_who_is_taken_back_is_free_when_scheduling_learns_of_it(
    lag: int, second_begins_ms: int
) -> None:
    one = two(lag, 55)
    one.run()
    one.hold_that_nothing_is_left()
    (_, finish), (first, _) = one.met().times
    assert finish == 0
    assert first == (second_begins_ms + 10) * MS


def test_one_who_ends_with_the_iteration_in_flight_has_ended() -> None:
    one = two(0, 995)
    one.run()
    assert one.met().times[0] == (10 * MS, 1000 * MS)


def test_one_who_waits_goes_and_nobody_notices() -> None:
    engine = Engine(kv_blocks=9, max_seqs=1, lag=0, prefix_cache=False)
    chains = [[(0, 20, 0, 100)], [(0, 20, 0, 5)]]
    one = One(Workload(engine, TEN_MS, chains, (), (0, 0), (0, 0), (None, 25 * MS)))
    one.run(31 * MS)
    assert one.row[SEQS] == 1
    assert one.row[FREE] == 9 - 2
    one.run()
    assert one.met().times == [(10 * MS, 1000 * MS), (0, 0)]


def test_all_kinds_of_requests_are_taken_back_as_the_naive_stepper_says() -> None:
    waited = begun = 0
    for seed in range(400):
        w = drawn(seed)
        if not any(after is not None for after in w.abort_after_ps):
            continue
        found = by_engine(w).times
        assert found == by_naive(w)
        waited += sum(first == 0 for first, _ in found)
        begun += sum(first > 0 and finish == 0 for first, finish in found)
    assert waited > 100
    assert begun > 30
