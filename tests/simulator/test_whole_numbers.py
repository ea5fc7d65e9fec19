"""No product of the engine passes 63 bits at the longest contexts, slowest chips and latest instants that it allows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.simulator import replica
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S, Engine
from ampacity.simulator.rows import (
    ARRIVAL_PS,
    FINISH_PS,
    INPUT,
    OUTPUT,
    REQUEST_FIELDS,
    fresh_replicas,
    fresh_requests,
    fresh_sessions,
)
from ampacity.simulator.step_table import TICKS, StepTable


def test_the_watched_integer_sees_an_overflow(watched: type[int]) -> None:
    with pytest.raises(AssertionError, match="mul"):
        3 * (watched(2**62) - 1)


@settings(max_examples=60)
@given(
    st.integers(TICKS, 20 * PS_PER_S * TICKS),
    st.integers(0, 4 * 10**9),
    st.lists(st.tuples(st.integers(1, 1 << 20), st.integers(1, 5000)), min_size=1, max_size=8),
    st.sampled_from([0, 30 * 86400 * PS_PER_S]),
)
def test_twenty_second_iterations_and_a_million_tokens_of_context_stay_within_63_bits(
    watched: type[int], iteration: int, slope: int, lengths: list[tuple[int, int]], start: int
) -> None:
    e = Engine(kv_blocks=1 << 24, token_budget=1 << 17, max_seqs=64)
    step = StepTable(per_iteration=iteration, prefill_a2=10**7, pieces=((0, slope, 0),))
    row, rules, table = ([watched(n) for n in a.tolist()] for a in (fresh_replicas(e, 1)[0], e.rules(), step.flat()))
    requests = [watched(n) for n in fresh_requests(len(lengths)).tolist()]
    sessions = [watched(n) for n in fresh_sessions(0).tolist()]
    for place, (inputs, outputs) in enumerate(lengths, 1):
        at = place * REQUEST_FIELDS
        requests[at + ARRIVAL_PS], requests[at + INPUT], requests[at + OUTPUT] = map(watched, (start, inputs, outputs))
        replica.advance(row, rules, table, requests, sessions, watched(start))
        assert replica.push(row, rules, requests, watched(place)) == replica.TAKEN
    while (now := replica.next_visible_ps(row, requests)) < FOREVER_PS:
        replica.advance(row, rules, table, requests, sessions, watched(now))
    assert all(requests[place * REQUEST_FIELDS + FINISH_PS] > start for place in range(1, len(lengths) + 1))
