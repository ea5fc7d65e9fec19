"""No product of the engine passes 63 bits at the longest contexts, slowest chips and latest instants that it allows."""

from __future__ import annotations

from typing import Any

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


class Int63(int):
    """An integer that refuses to leave 63 bits, whatever is computed with it."""


def _watched(name: str) -> Any:
    plain = getattr(int, name)

    def method(self: int, other: int) -> Any:
        result = plain(self, other)
        if not isinstance(result, int):
            return result
        assert -(2**63) <= result < 2**63, f"{int(self)} {name} {int(other)}"
        return Int63(result)

    return method


for _name in ("add", "sub", "mul", "floordiv", "mod", "lshift", "rshift", "or", "and"):
    setattr(Int63, f"__{_name}__", _watched(f"__{_name}__"))
    setattr(Int63, f"__r{_name}__", _watched(f"__r{_name}__"))


def test_the_watched_integer_sees_an_overflow() -> None:
    with pytest.raises(AssertionError, match="mul"):
        3 * (Int63(2**62) - 1)


@settings(max_examples=60)
@given(
    st.integers(TICKS, 20 * PS_PER_S * TICKS),
    st.integers(0, 4 * 10**9),
    st.lists(st.tuples(st.integers(1, 1 << 20), st.integers(1, 5000)), min_size=1, max_size=8),
    st.sampled_from([0, 30 * 86400 * PS_PER_S]),
)
def test_twenty_second_iterations_and_a_million_tokens_of_context_stay_within_63_bits(
    iteration: int, slope: int, lengths: list[tuple[int, int]], start: int
) -> None:
    e = Engine(kv_blocks=1 << 24, token_budget=1 << 17, max_seqs=64)
    step = StepTable(per_iteration=iteration, prefill_a2=10**7, pieces=((0, slope, 0),))
    watched = [[Int63(n) for n in a.tolist()] for a in (fresh_replicas(e, 1)[0], e.rules(), step.flat())]
    requests = [Int63(n) for n in fresh_requests(len(lengths)).tolist()]
    sessions = [Int63(n) for n in fresh_sessions(0).tolist()]
    row, rules, table = watched
    for place, (inputs, outputs) in enumerate(lengths, 1):
        at = place * REQUEST_FIELDS
        requests[at + ARRIVAL_PS], requests[at + INPUT], requests[at + OUTPUT] = map(Int63, (start, inputs, outputs))
        replica.advance(row, rules, table, requests, sessions, Int63(start))
        assert replica.push(row, rules, requests, Int63(place)) == replica.TAKEN
    while (now := replica.next_visible_ps(row, requests)) < FOREVER_PS:
        replica.advance(row, rules, table, requests, sessions, Int63(now))
    assert all(requests[place * REQUEST_FIELDS + FINISH_PS] > start for place in range(1, len(lengths) + 1))
