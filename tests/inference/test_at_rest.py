"""A replica whose memory keeps contexts between requests: the closed form against trying everything, and its laws."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.inference.at_rest import AtRest, Fullest, fullest, with_lost
from ampacity.inference.drafts import NO_DRAFTS
from ampacity.inference.operating_point import Mix, iteration, operating_point
from ampacity.inference.step_time import StepTime

On = Callable[..., StepTime]
AGENT = Mix(uncached_per_s=78.0, cached_per_s=1335.0, output_per_s=9.7, context_tokens=66_800.0)
REST = AtRest(
    keep_s=np.array([0.0, 5.0, 20.0, 60.0, 300.0, 1200.0, 3600.0]),
    found=np.array([0.0, 0.21, 0.73, 0.86, 0.955, 0.987, 0.995]),
    tokens=np.array([0.0, 7_000.0, 16_800.0, 28_500.0, 61_000.0, 112_000.0, 195_000.0]),
)


@st.composite
def rests(draw: st.DrawFn) -> AtRest:
    """Tables of 2 to 12 rows that rise, the first of them of nothing."""
    rows = draw(st.integers(1, 11))
    parts = [
        np.array(draw(st.lists(st.floats(0.01, 1.0), min_size=rows, max_size=rows)), dtype=np.float64) for _ in range(3)
    ]
    keep, found, tokens = (np.concatenate([[0.0], np.cumsum(p)]) for p in parts)
    all_found = draw(st.floats(0.5, 1.0))
    most_tokens = draw(st.floats(1_000.0, 500_000.0))
    return AtRest(keep * 100.0, found / found[-1] * all_found, tokens / tokens[-1] * most_tokens)


def sessions(step: StepTime, full: Fullest, output_per_s: float) -> float:
    return full.batch / (float(step.seconds(*iteration(full.mix, float(full.batch)))) * output_per_s)


def tried(step: StepTime, mix: Mix, tpot_s: float, most: int, rest: AtRest, memory: float) -> float:
    """The most sessions of any batch and any time for which contexts are kept, if they fit and are quick enough."""
    best = 0.0
    for found, tokens in zip(rest.found.tolist(), rest.tokens.tolist(), strict=True):
        lost = with_lost(mix, mix.cached_per_s * (1 - found))
        batch = np.arange(1, most + 1, dtype=np.float64)
        seconds = np.asarray(step.seconds(*iteration(lost, batch)))
        carried = batch / (seconds * mix.output_per_s)
        fits = batch * mix.context_tokens + carried * tokens <= memory
        best = max(best, float(np.max(carried * fits * (seconds <= tpot_s))))
    return best


@settings(max_examples=60, deadline=None)
@given(rests(), st.floats(0.02, 0.3), st.integers(1, 400), st.floats(1.0, 20.0))
def test_no_batch_and_no_time_of_keeping_carries_more_than_what_is_found(
    on: On, rest: AtRest, tpot_s: float, most: int, roomy: float
) -> None:
    """But for batches between those looked at, a seventh apart at the most: sessions are flat near their largest value,
    less where the time per token bounds them."""
    step = on("llama-3.1-70b", "h200-sxm", 8)
    memory = most * AGENT.context_tokens * roomy
    full = fullest(step, AGENT, tpot_s, most, NO_DRAFTS, rest, memory)
    best = tried(step, AGENT, tpot_s, most, rest, memory)
    assert full.meets_tpot == (best > 0)
    if full.meets_tpot:
        assert 0.95 * best <= sessions(step, full, AGENT.output_per_s) <= best * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(rests(), st.floats(0.02, 0.3), st.integers(1, 60), st.floats(1.0, 20.0), st.floats(1.0, 3.0))
def test_more_memory_never_carries_fewer_sessions_nor_keeps_less(
    on: On, rest: AtRest, tpot_s: float, most: int, roomy: float, times: float
) -> None:
    step = on("llama-3.1-70b", "h100-sxm", 8)
    memory = most * AGENT.context_tokens * roomy
    less, more = (fullest(step, AGENT, tpot_s, most, NO_DRAFTS, rest, m) for m in (memory, memory * times))
    assert more.meets_tpot >= less.meets_tpot
    if less.meets_tpot:
        assert sessions(step, more, AGENT.output_per_s) >= sessions(step, less, AGENT.output_per_s) * (1 - 1e-9)


@pytest.mark.parametrize("tpot_s", [0.03, 0.05, 0.2, 10.0])
def test_where_contexts_at_rest_take_no_memory_it_is_the_operating_point_without_them(on: On, tpot_s: float) -> None:
    step = on("llama-3.1-70b", "h100-sxm", 8)
    nothing = AtRest(np.array([0.0, math.inf]), np.array([0.0, 1.0]), np.array([0.0, 0.0]))
    plain, resting = operating_point(step, AGENT, tpot_s), operating_point(step, AGENT, tpot_s, rest=nothing)
    assert plain is not None and resting is not None
    assert resting.found_share == pytest.approx(AGENT.cached_per_s / (AGENT.cached_per_s + AGENT.uncached_per_s))
    assert resting.found_share == plain.found_share
    assert (resting.keep_s, plain.keep_s) == (math.inf, None)
    assert resting.batch <= plain.batch
    assert resting.seconds_per_active_s == pytest.approx(plain.seconds_per_active_s, rel=0.01)


def test_memory_below_counts_like_memory_beside_the_chips(on: On) -> None:
    step = on("llama-3.1-70b", "h100-sxm", 8)
    most = step.replica.sequences(AGENT.context_tokens)
    here, below = (
        operating_point(step, AGENT, 0.05, rest=AtRest(REST.keep_s, REST.found, REST.tokens, tokens))
        for tokens in (0.0, 3e6)
    )
    assert here is not None and below is not None
    kv_tokens = step.replica.kv_tokens
    as_one = fullest(step, AGENT, 0.05, most, NO_DRAFTS, REST, kv_tokens + 3e6)
    assert (below.batch, below.keep_s) == (as_one.batch, as_one.keep_s)
    assert below.seconds_per_active_s < here.seconds_per_active_s
    assert below.batch > here.batch


def test_what_is_kept_and_what_is_in_flight_fill_memory_and_the_next_row_would_not_fit(on: On) -> None:
    step = on("llama-3.1-70b", "h100-sxm", 8)
    for memory in (1e6, 2e6, 3e6, 6e6, 2e7):
        full = fullest(step, AGENT, 0.05, 40, NO_DRAFTS, REST, memory)
        row = int(np.searchsorted(REST.keep_s, full.keep_s))
        held = full.batch * AGENT.context_tokens + sessions(step, full, AGENT.output_per_s) * REST.tokens[row]
        assert held <= memory
        if row + 1 < len(REST.keep_s):
            next_mix = with_lost(AGENT, AGENT.cached_per_s * (1 - REST.found[row + 1]))
            seconds = float(step.seconds(*iteration(next_mix, float(full.batch))))
            more = full.batch / (seconds * AGENT.output_per_s)
            assert full.batch * AGENT.context_tokens + more * REST.tokens[row + 1] > memory


def test_what_is_lost_is_computed_again_and_no_token_disappears() -> None:
    lost = with_lost(AGENT, 100.0)
    assert lost.uncached_per_s + lost.cached_per_s == pytest.approx(AGENT.uncached_per_s + AGENT.cached_per_s)
    assert lost.uncached_per_s == AGENT.uncached_per_s + 100.0
    assert (lost.output_per_s, lost.context_tokens) == (AGENT.output_per_s, AGENT.context_tokens)


def test_a_time_per_token_that_nothing_keeps_is_told(on: On) -> None:
    step = on("llama-3.1-70b", "h100-sxm", 8)
    full = fullest(step, AGENT, 1e-6, 40, NO_DRAFTS, REST, 3e6)
    assert (full.batch, full.meets_tpot) == (1, False)
    point = operating_point(step, AGENT, 1e-6, rest=REST)
    assert point is not None
    assert (point.batch, point.meets_tpot) == (1, False)
