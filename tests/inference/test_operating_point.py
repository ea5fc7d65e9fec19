"""Where a replica works: memory, time per token, and what an active person costs there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.inference.drafts import Drafts
from ampacity.inference.layout import Layout
from ampacity.inference.operating_point import (
    MAX_BATCH,
    Mix,
    iteration,
    largest_batch,
    operating_point,
    smallest_replica,
)
from ampacity.inference.replica import replica
from ampacity.inference.steady import Load, steady
from ampacity.inference.step_time import StepTime
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.model import Model

On = Callable[..., StepTime]
AGENT = Mix(uncached_per_s=100.0, cached_per_s=2600.0, output_per_s=9.6, context_tokens=122_380.0)
mixes = st.builds(
    Mix,
    uncached_per_s=st.floats(0, 500),
    cached_per_s=st.floats(0, 5000),
    output_per_s=st.floats(0.5, 100),
    context_tokens=st.floats(10, 100_000),
)


def test_with_time_to_spare_memory_bounds_the_batch(on: On) -> None:
    step = on("llama-3.1-70b", "h100-sxm", 8)
    point = operating_point(step, AGENT, tpot_s=10.0)
    assert point is not None
    r = step.replica
    room = 0.9 * 8 * 80e9 - r.weight_bytes - r.activation_bytes
    # 122,380 tokens take 7,649 blocks of 16
    assert point.batch == int(room / (r.kv_bytes_per_token * 7649 * 16))
    assert point.kv_tokens * r.kv_bytes_per_token == pytest.approx(room)
    assert point.meets_tpot


def test_a_service_level_bounds_the_batch_below_memory_and_one_more_would_break_it(on: On) -> None:
    step = on("llama-3.1-70b", "h100-sxm", 8)
    point = operating_point(step, AGENT, tpot_s=0.03)
    assert point is not None
    assert point.meets_tpot
    assert point.step_s <= 0.03
    assert float(step.seconds(*iteration(AGENT, point.batch + 1.0))) > 0.03
    unbound = operating_point(step, AGENT, tpot_s=10.0)
    assert unbound is not None
    assert unbound.batch > point.batch


@settings(max_examples=100, deadline=None)
@given(mixes, st.floats(0.005, 0.5), st.integers(1, 3000))
def test_the_largest_batch_is_the_one_that_trying_every_batch_finds(on: On, mix: Mix, tpot_s: float, most: int) -> None:
    step = on("deepseek-r1", "h200-sxm", 8)
    kept = step.seconds(*iteration(mix, np.arange(1, most + 1, dtype=np.float64))) <= tpot_s
    assert largest_batch(step, mix, tpot_s, most) == int(np.count_nonzero(kept))


def test_a_service_level_that_nothing_meets_is_told_and_one_sequence_is_served(on: On) -> None:
    point = operating_point(on("llama-3.1-405b", "h100-sxm", 8), replace(AGENT, context_tokens=1000.0), tpot_s=1e-6)
    assert point is not None
    assert (point.batch, point.meets_tpot) == (1, False)


@pytest.mark.parametrize(
    ("name", "count", "context"), [("llama-3.1-405b", 4, 1000.0), ("llama-3.1-8b", 1, 5e6)], ids=["weights", "context"]
)
def test_what_does_not_fit_has_no_operating_point(on: On, name: str, count: int, context: float) -> None:
    assert operating_point(on(name, "h100-sxm", count), replace(AGENT, context_tokens=context), 0.05) is None


def test_tiny_contexts_stop_at_the_largest_batch(on: On) -> None:
    point = operating_point(on("llama-3.1-8b", "h100-sxm", 8), Mix(0.0, 0.0, 10.0, 10.0), 10.0)
    assert point is not None
    assert point.batch == MAX_BATCH


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(("llama-3.1-8b", "llama-3.1-70b", "deepseek-v3")), mixes, st.floats(0.005, 1.0))
def test_useful_is_a_share_and_mfu_and_mbu_are_at_most_that(on: On, name: str, mix: Mix, tpot_s: float) -> None:
    point = operating_point(on(name, "h200-sxm", 16), mix, tpot_s)
    assert point is not None
    assert 0 < point.useful <= 1
    assert 0 < point.mfu <= point.useful * (1 + 1e-9)
    assert 0 < point.mbu <= point.useful * (1 + 1e-9)
    assert max(point.mfu, point.mbu) == pytest.approx(point.useful)
    assert 0 <= point.prefill_share < 1
    assert point.seconds_per_active_s > 0


@settings(max_examples=100, deadline=None)
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
    assert Mix(1.0, 0.0, 1.0, 1000.0).attended_tokens() == 500.0
    assert Mix(0.0, 1.0, 1.0, 1000.0).attended_tokens() == 1000.0
    assert Mix(1.0, 3.0, 1.0, 1000.0).attended_tokens() == pytest.approx(875.0)


@pytest.mark.parametrize(
    ("name", "precision", "count"),
    [("llama-3.1-8b", "fp8", 1), ("llama-3.1-70b", "fp8", 2), ("llama-3.1-70b", "bf16", 4), ("deepseek-r1", "fp8", 16)],
)
def test_the_smallest_replica_is_a_power_of_two_that_holds_weights_and_eight_contexts(
    model: Callable[[str], Model], chip: Callable[[str], Accelerator], name: str, precision: str, count: int
) -> None:
    found = smallest_replica(model(name), chip("h100-sxm"), precision, "fp8", 10_000.0)
    assert found == count
    assert replica(model(name), chip("h100-sxm"), precision, "fp8", found).sequences(10_000.0) >= 8
    if found > 1:
        assert replica(model(name), chip("h100-sxm"), precision, "fp8", found // 2).sequences(10_000.0) < 8


def test_guessed_tokens_make_an_iteration_longer_and_worth_more(on: On) -> None:
    step = on("llama-3.1-70b", "h100-sxm", 8)
    # two guesses, each right with a chance of one half where the first is: 1 + 1/2 + 1/4
    assert Drafts(2, 0.5).per_iteration == 1.75
    assert Drafts(3, 1.0).per_iteration == 4.0
    plain, guessed = operating_point(step, AGENT, 10.0), operating_point(step, AGENT, 10.0, Drafts(1, 0.8))
    assert plain is not None and guessed is not None
    assert guessed.batch == plain.batch
    b, k, p, a = iteration(AGENT, float(guessed.batch), Drafts(1, 0.8))
    prompts = 1.8 * guessed.batch * AGENT.uncached_per_s / AGENT.output_per_s
    # a guess of each sequence is computed like a prompt's token, behind its whole context
    assert (b, p) == (guessed.batch, pytest.approx(prompts + guessed.batch))
    assert a == pytest.approx(prompts * AGENT.attended_tokens() + guessed.batch * AGENT.context_tokens)
    assert guessed.step_s == pytest.approx(float(step.seconds(b, k, p, a)) / 1.8)
    assert guessed.seconds_per_active_s < plain.seconds_per_active_s


def test_guesses_that_are_always_wrong_only_cost(on: On) -> None:
    step = on("llama-3.1-70b", "h100-sxm", 8)
    plain, wrong = operating_point(step, AGENT, 10.0), operating_point(step, AGENT, 10.0, Drafts(4, 0.0))
    assert plain is not None and wrong is not None
    assert wrong.seconds_per_active_s > plain.seconds_per_active_s


def test_planning_and_the_steady_state_time_guesses_alike(on: On) -> None:
    """Decoding alone, but for one token of prompt in 100,000, which the mix leaves out."""
    for name in ("llama-3.1-70b", "gpt-oss-120b"):
        step = on(name, "h100-sxm", 8)
        load = Load(input_tokens=1000, output_tokens=100_000, cached_tokens=999, draft_tokens=4, acceptance=0.5)
        mix = Mix(0.0, 0.0, 1.0, load.mean_context)
        planned = step.seconds(*iteration(mix, 32.0, Drafts(4, 0.5)))
        assert float(planned) == pytest.approx(float(steady(step, load, 32).decode_s), rel=1e-4)


def test_states_of_linear_attention_take_memory_and_blocks_may_be_stated(on: On) -> None:
    """Qwen3.5 397B: 45 of 60 layers keep 64 x 128 x 128 numbers of four bytes a sequence: 188.7 MB."""
    r = on("qwen3.5-397b-a17b", "h200-sxm", Layout(8)).replica
    assert r.state_bytes == 45 * 64 * 128 * 128 * 4 == 188_743_680
    room = 0.9 * 8 * 141e9 - r.weight_bytes - r.activation_bytes
    # 2,048 tokens are 128 blocks; two heads of keys lie on eight chips, so four times
    context = 128 * 16 * 15 * 2 * 2 * 256 * 1.0 * 4
    assert r.sequences(2048) == int(room / (context + 188_743_680))
    assert replace(r, stated_blocks=1000).sequences(2048) == 7
    assert replace(r, stated_blocks=1000).kv_blocks == 1000
