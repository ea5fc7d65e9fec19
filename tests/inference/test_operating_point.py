"""Where a replica works: memory, time per token, and what an active person costs there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.inference.operating_point import MAX_BATCH, MEMORY_SHARE, Mix, operating_point, smallest_replica
from ampacity.inference.roofline import Replica, step_time_s

On = Callable[..., Replica]
AGENT = Mix(uncached_per_s=100.0, cached_per_s=2600.0, output_per_s=9.6, context_tokens=122_380.0)
mixes = st.builds(
    Mix,
    uncached_per_s=st.floats(0, 500),
    cached_per_s=st.floats(0, 5000),
    output_per_s=st.floats(0.5, 100),
    context_tokens=st.floats(10, 100_000),
)


def test_with_time_to_spare_memory_bounds_the_batch(on: On) -> None:
    r = on("llama-3.1-70b", "h100-sxm", 8)
    point = operating_point(r, AGENT, tpot_s=10.0)
    assert point is not None
    room = MEMORY_SHARE * r.hbm_bytes - r.weight_bytes
    assert point.batch == int(room / (r.kv_bytes_per_token * AGENT.context_tokens))
    assert point.kv_tokens * r.kv_bytes_per_token == pytest.approx(room)
    assert point.meets_tpot


def test_a_service_level_bounds_the_batch_below_memory_and_one_more_would_break_it(on: On) -> None:
    r = on("llama-3.1-70b", "h100-sxm", 8)
    point = operating_point(r, AGENT, tpot_s=0.03)
    assert point is not None
    assert point.meets_tpot
    assert point.step_s <= 0.03
    b = point.batch + 1
    p = b * AGENT.uncached_per_s / AGENT.output_per_s
    one_more = step_time_s(r, b, b * AGENT.context_tokens, p, p * AGENT.attended_tokens)
    assert float(one_more) > 0.03
    unbound = operating_point(r, AGENT, tpot_s=10.0)
    assert unbound is not None
    assert unbound.batch > point.batch


def test_a_service_level_that_nothing_meets_is_told_and_one_sequence_is_served(on: On) -> None:
    point = operating_point(on("llama-3.1-405b", "h100-sxm", 8), replace(AGENT, context_tokens=1000.0), tpot_s=1e-6)
    assert point is not None
    assert (point.batch, point.meets_tpot) == (1, False)


@pytest.mark.parametrize(
    ("model", "count", "context"), [("llama-3.1-405b", 4, 1000.0), ("llama-3.1-8b", 1, 5e6)], ids=["weights", "context"]
)
def test_what_does_not_fit_has_no_operating_point(on: On, model: str, count: int, context: float) -> None:
    assert operating_point(on(model, "h100-sxm", count), replace(AGENT, context_tokens=context), 0.05) is None


def test_tiny_contexts_stop_at_the_largest_batch(on: On) -> None:
    point = operating_point(on("llama-3.1-8b", "h100-sxm", 8), Mix(0.0, 0.0, 10.0, 10.0), 10.0)
    assert point is not None
    assert point.batch == MAX_BATCH


@settings(max_examples=150)
@given(st.sampled_from(("llama-3.1-8b", "llama-3.1-70b", "deepseek-v3")), mixes, st.floats(0.005, 1.0))
def test_useful_is_a_share_and_mfu_and_mbu_are_at_most_that(on: On, model: str, mix: Mix, tpot_s: float) -> None:
    r = on(model, "h200-sxm", 16)
    point = operating_point(r, mix, tpot_s)
    assert point is not None
    assert 0 < point.useful <= r.efficiency * (1 + 1e-9)
    assert 0 < point.mfu <= point.useful * (1 + 1e-9)
    assert 0 < point.mbu <= point.useful * (1 + 1e-9)
    assert max(point.mfu, point.mbu) == pytest.approx(point.useful)
    assert 0 <= point.prefill_share < 1
    assert point.seconds_per_active_s > 0


@settings(max_examples=100)
@given(mixes, st.floats(0.01, 1.0), st.floats(1.0, 5.0))
def test_a_looser_service_level_never_makes_a_person_dearer(on: On, mix: Mix, tpot_s: float, looser: float) -> None:
    r = on("llama-3.1-70b", "h200-sxm", 8)
    strict, loose = operating_point(r, mix, tpot_s), operating_point(r, mix, tpot_s * looser)
    assert strict is not None
    assert loose is not None
    assert loose.seconds_per_active_s <= strict.seconds_per_active_s * (1 + 1e-9)


def test_tokens_per_second_are_the_batch_over_the_step(on: On) -> None:
    point = operating_point(on("llama-3.1-70b", "h100-sxm", 8), AGENT, 0.05)
    assert point is not None
    people = 8 / point.seconds_per_active_s
    assert people * AGENT.output_per_s == pytest.approx(point.batch / point.step_s)


def test_prefill_attends_to_all_that_is_cached_and_half_of_what_is_not() -> None:
    assert Mix(1.0, 0.0, 1.0, 1000.0).attended_tokens == 500.0
    assert Mix(0.0, 1.0, 1.0, 1000.0).attended_tokens == 1000.0
    assert Mix(1.0, 3.0, 1.0, 1000.0).attended_tokens == pytest.approx(875.0)


@pytest.mark.parametrize(("weight_gb", "count"), [(1, 1), (71, 1), (72.1, 2), (145, 4), (600, 16)])
def test_the_smallest_replica_is_a_power_of_two_that_holds_the_weights(weight_gb: float, count: int) -> None:
    assert smallest_replica(weight_gb * 1e9, 0.0, 80e9) == count


def test_the_smallest_replica_holds_eight_contexts(on: On) -> None:
    one = on("llama-3.1-70b", "h100-sxm", 1)
    context = 122_380.0
    count = smallest_replica(one.weight_bytes, one.kv_bytes_per_token * context, one.hbm_bytes)
    point = operating_point(on("llama-3.1-70b", "h100-sxm", count), AGENT, 10.0)
    assert point is not None
    assert point.batch >= 8
