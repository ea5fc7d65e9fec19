"""Prefill and decoding apart, against two naive replicas and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import Replica, Request
from workloads import Workload, drawn, rules_of

from ampacity.simulator.disaggregated import Transfer, serve_apart
from ampacity.simulator.engine import PS_PER_S, Engine
from ampacity.simulator.step_table import TICKS, StepTable, iteration_ticks

MS = PS_PER_S // 1000


def by_naive(w: Workload, requests: list[Request]) -> list[tuple[int, int]]:
    flat = [int(n) for n in w.table.flat()]
    Replica(rules_of(w), lambda b, k, p, a2: iteration_ticks(flat, b, k, p, a2), TICKS).run(requests)
    return [(r.first_ps, r.finish_ps) for r in requests]


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.sampled_from([0, 3 * MS, 40 * MS]), st.sampled_from([0, 10**6, MS]))
def test_both_sides_meet_what_two_naive_steppers_say(seed: int, latency: int, per_token: int) -> None:
    one, other = drawn(seed), drawn(seed + 1, kv_blocks=40)
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 20))
    longest = min(one.engine.context_most, other.engine.context_most) // 2
    inputs, outputs = (rng.integers(1, longest + 1, count).tolist() for _ in range(2))
    arrivals = (np.sort(rng.integers(0, 200, count)) * 10 * MS).tolist()
    sides = (one.engine, one.table), (other.engine, other.table)
    prompts, answers = serve_apart(*sides, Transfer(latency, per_token), arrivals, inputs, outputs)
    first = by_naive(
        one, [Request(a, i, 0, 1, number=n) for n, (a, i) in enumerate(zip(arrivals, inputs, strict=True))]
    )
    assert prompts.finish_ps.tolist() == [finish for _, finish in first]
    moved = [
        Request(finish + latency + per_token * i, i, 0, o, number=n, brought=i - 1)
        for n, ((_, finish), i, o) in enumerate(zip(first, inputs, outputs, strict=True))
    ]
    second = by_naive(other, moved)
    assert list(zip(answers.first_ps.tolist(), answers.finish_ps.tolist(), strict=True)) == second


def test_decoding_is_never_held_up_by_prompts_and_the_first_token_waits_for_the_move() -> None:
    step = StepTable(per_iteration=10 * MS * TICKS, per_token=MS // 10 * TICKS)
    engine = Engine(kv_blocks=1000, lag=0, prefix_cache=False)
    _, answers = serve_apart((engine, step), (engine, step), Transfer(5 * MS, MS // 100), [0, 50 * MS], 1000, 5)
    prompt, move, token = 110 * MS, 15 * MS, 10 * MS + MS // 10
    assert answers.first_ps[0] == prompt + move + token
    assert answers.finish_ps[0] == answers.first_ps[0] + 4 * token
    assert answers.first_ps[1] == 2 * prompt + move + token


def test_a_transfer_that_takes_less_than_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 ps and 0 ps a token"):
        Transfer(-1)
