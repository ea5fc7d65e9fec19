"""Sessions on one replica: each step follows the answer to the one before."""

from __future__ import annotations

import heapq
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workloads import by_naive, drawn

from ampacity.simulator.closed_loop import serve_closed_loop
from ampacity.simulator.engine import PS_PER_S, Engine, vllm
from ampacity.simulator.step_table import TICKS, StepTable
from ampacity.simulator.wakes import FOREVER_PS, fresh_wakes, next_wake_ps, take_wake, wake_at


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_sessions_in_a_closed_loop_meet_what_the_naive_stepper_says(seed: int) -> None:
    w = drawn(seed, aborts=False)
    nothing = (0,) * len(w.chains)
    w = replace(w, shared=(), group_of=nothing, class_of=nothing)
    found = serve_closed_loop(w.engine, w.table, w.chains)
    assert list(zip(found.first_ps.tolist(), found.finish_ps.tolist(), strict=True)) == by_naive(w)


def test_hits_collapse_when_sessions_outgrow_memory_and_not_before() -> None:
    """Twenty sessions of 1,600 tokens in the memory of thirty, and of ten, read again and again."""
    step = StepTable(per_iteration=10**9 * TICKS, per_token=10**6 * TICKS)
    chain = [(PS_PER_S, 1600 + 20 * i, 1600 + 20 * (i - 1) if i else 0, 20) for i in range(20)]
    chains = [[(i * PS_PER_S // 7, *chain[0][1:]), *chain[1:]] for i in range(20)]
    room, tight = (serve_closed_loop(vllm(120 * n), step, chains) for n in (30, 10))
    prompt = sum(i for c in chains for _, i, _, _ in c)
    assert room.hit_tokens.sum() / prompt > 0.9
    assert tight.hit_tokens.sum() / prompt < 0.1


@given(st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 5), st.integers(1, 9))), max_size=60))
def test_wakes_come_in_the_order_of_instant_and_number(events: list[tuple[int, int] | None]) -> None:
    wakes, expected = fresh_wakes(60), []
    for event in events:
        if event is not None:
            wake_at(wakes, *event)
            heapq.heappush(expected, event)
        elif expected:
            assert (next_wake_ps(wakes), take_wake(wakes)) == heapq.heappop(expected)
    assert next_wake_ps(wakes) == (expected[0][0] if expected else FOREVER_PS)


def test_every_mistake_in_a_chain_is_named_at_once() -> None:
    with pytest.raises(ValueError) as met:
        serve_closed_loop(Engine(4), StepTable(per_iteration=TICKS), [[(0, 9, 9, 1)], [(0, 5, 0, 0), (-1, 99, 0, 9)]])
    assert str(met.value) == (
        "step 2 has a gap below 0 (1 such); step 1 has no input or no output (1 such); "
        "step 0 has more cacheable than input, or all of it (1 such); "
        "step 2 has more context than 4 blocks hold (1 such)"
    )


def test_a_session_row_is_used_again_for_every_step() -> None:
    rng = np.random.default_rng(5)
    chains = [[(int(rng.integers(10**12)), 100 + s, 99 if s else 0, 5) for s in range(50)] for _ in range(3)]
    found = serve_closed_loop(vllm(1000), StepTable(per_iteration=10**9 * TICKS), chains)
    assert (found.finish_ps > found.first_ps).all()
    assert (found.first_ps > found.arrival_ps).all()
    assert (np.diff(found.arrival_ps.reshape(3, 50), axis=1) > 0).all()
