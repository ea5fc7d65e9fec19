"""First and last token of every request, engine against naive stepper, with ==."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workloads import MS, by_engine, by_naive, drawn

from ampacity.simulator.engine import PS_PER_S

SEEDS = st.integers(0, 2**32)


def test_eight_hundred_workloads_end_at_the_same_picoseconds() -> None:
    requests = preempted = jumped = 0
    for seed in range(800):
        w = drawn(seed)
        found = by_engine(w)
        assert found.times == by_naive(w), f"seed {seed}: {w.engine}"
        requests, preempted = requests + len(found.times), preempted + found.preempted
        jumped += found.jumped
    assert requests > 10_000
    assert preempted > 300
    assert jumped > 60_000


@pytest.mark.parametrize("seed", [4046, 6572])
def test_who_gives_way_while_another_ends_leaves_the_older_prefix(seed: int) -> None:
    """Scheduling that runs ahead takes the one's blocks before the other's end; drawn workloads rarely show it."""
    w = drawn(seed)
    assert w.engine.lag == 1
    assert by_engine(w).times == by_naive(w)


@settings(max_examples=150)
@given(SEEDS)
def test_plain_source_and_compiled_source_agree_with_the_naive_stepper(seed: int) -> None:
    w = drawn(seed)
    assert by_engine(w, plain=True) == by_engine(w)
    assert by_engine(w).times == by_naive(w)


@pytest.mark.parametrize("grid_ps", [MS, 10 * MS])
def test_arrivals_that_tie_with_iterations_meet_the_iteration_that_begins_then(grid_ps: int) -> None:
    """With float time, nine in ten requests moved: 0.1 + 0.2 comes after 0.3."""
    ties = 0
    for seed in range(3000):
        w = drawn(seed)
        if w.table.per_iteration % grid_ps:
            continue
        times = by_naive(w)
        assert by_engine(w).times == times
        ends = {t for pair in times for t in pair}
        ties += sum(chain[0][0] in ends for chain in w.chains)
        if ties > 100:
            return
    raise AssertionError("too few ties")


def test_who_routes_sees_nothing_of_the_iteration_in_flight() -> None:
    for seed in range(300):
        w = drawn(seed, aborts=False)
        found = by_engine(w)
        arrived: list[int] = []
        for now, place, outstanding in found.outstanding:
            assert outstanding == sum(found.times[r - 1][1] > now for r in arrived)
            arrived.append(place)


@settings(max_examples=100)
@given(SEEDS)
def test_looking_at_a_replica_changes_nothing(seed: int) -> None:
    w = drawn(seed)
    assert by_engine(w, pokes=200).times == by_engine(w).times


@settings(max_examples=60)
@given(SEEDS)
def test_all_comes_later_by_what_it_starts_later(seed: int) -> None:
    w = drawn(seed)
    shift = 40 * 86400 * PS_PER_S
    later = replace(w, chains=[[(c[0][0] + shift, *c[0][1:]), *c[1:]] for c in w.chains])
    assert by_engine(later).times == [tuple(t + shift if t else 0 for t in times) for times in by_engine(w).times]


@settings(max_examples=100)
@given(SEEDS)
def test_more_memory_than_anybody_needs_changes_nothing(seed: int) -> None:
    w = drawn(seed, kv_blocks=10_000, prefix_cache=False)
    more = replace(w, engine=replace(w.engine, kv_blocks=20_000, watermark=0.0))
    assert by_engine(more).times == by_engine(w).times
    assert by_engine(more).preempted == 0
