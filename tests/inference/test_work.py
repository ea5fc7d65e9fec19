"""What an iteration computes and moves, worked out by hand, and the laws that its time must keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.inference.layout import Layout
from ampacity.inference.step_time import PS, StepTime
from ampacity.inference.work import EFFICIENCIES, PATHS, ideal

On = Callable[..., StepTime]
MODELS = ("llama-3.1-8b", "llama-3.1-70b", "deepseek-r1", "deepseek-v3.2", "gpt-oss-120b", "qwen3.5-397b-a17b")
iterations = st.tuples(st.integers(1, 2048), st.floats(0, 3e7), st.floats(0, 8192), st.floats(0, 1e9))


def paths(step: StepTime, b: float, k: float, p: float, a: float) -> dict[str, float]:
    return dict(zip(PATHS, (float(x) for x in ideal(step.replica, b, k, p, a)), strict=True))


def test_a_dense_model_with_grouped_attention_by_hand(on: On) -> None:
    """Llama 3.1 70B at fp8 on four H100: 80 layers, hidden 8192, 64 heads of 128, 8 of them for keys, 128,256 words.

    Head 128,256 x 8,192 = 1,050,673,152 numbers, as many in the embedding; 70.6e9 - 2 x that = 68,498,653,696 others.
    Eight sequences with 4,000 tokens of context each, and 1,000 tokens of prompt that look back at 500,000 pairs.
    """
    found = paths(on("llama-3.1-70b", "h100-sxm", Layout(4)), 8, 32_000, 1000, 500_000)
    others, head = 68_498_653_696, 1_050_673_152
    # a quarter of everything is read by each chip; the head has two bytes a number
    assert found["dense_memory"] == pytest.approx((others / 4 + 2 * head / 4) / 3.35e12)
    # two operations a number and token; the head is for the eight that decode, in bf16
    products = 2 * others * 1008 / 1979e12 + 2 * head * 8 / 989e12
    assert found["dense_compute"] == pytest.approx(products / 4)
    # keys and values: 80 layers x 2 x 8 heads x 128 = 163,840 bytes a token, two heads on each chip
    assert found["decode_memory"] == pytest.approx(163_840 * 32_000 / 4 / 3.35e12)
    # scores and sums: 2 x 64 heads x (128 + 128) x 80 layers = 2,621,440 operations a pair
    assert found["decode_compute"] == pytest.approx(2_621_440 * 32_000 / 4 / 989e12)
    assert found["prefill_attention"] == pytest.approx(2_621_440 * 500_000 / 4 / 989e12)
    # two all-reduces a layer of 1,008 x 8,192 numbers of two bytes; a ring of four moves 2 x 3/4 of them
    assert found["link"] == pytest.approx(1008 * 8192 * 2 * 2 * 80 * 1.5 / 450e9)
    assert found["expert_memory"] == found["expert_compute"] == 0
    # six kernels to attend and four to feed forward, 80 times
    assert found["kernel_us"] == pytest.approx(800e-6)
    assert found["collective_us"] == pytest.approx(80e-6)
    assert found["sequence_us"] == pytest.approx(8 * 80 / 60 * 1e-6)
    assert found["activation"] == pytest.approx(1008 * 80 * 8192 / 3.35e12)
    assert found["iteration_ms"] == 1e-3


def test_states_of_linear_attention_are_read_by_the_group_that_keeps_them(on: On) -> None:
    """Qwen3.5 397B data parallel over eight H200: 512 sequences of 2,000 tokens, 64 to a chip.

    15 layers keep 2 x 2 heads of 256 bytes a token; 45 read and write 64 x 128 x 128 numbers of four bytes a sequence.
    """
    found = paths(on("qwen3.5-397b-a17b", "h200-sxm", Layout(1, 8, 1, 8)), 512, 512 * 2000, 0, 0)
    cache, states = 15 * 2 * 2 * 256 * 64 * 2000, 2 * 45 * 64 * 128 * 128 * 4 * 64
    assert found["decode_memory"] == pytest.approx((cache + states) / 4.8e12)


def test_a_model_of_experts_with_latent_attention_by_hand(on: On) -> None:
    """DeepSeek R1 at fp8, data parallel over eight H200: 61 layers, 58 with 8 of 256 experts, latent of 576 numbers.

    Head 129,280 x 7,168 = 926,679,040; 671e9 - 653.9e9 in routed experts - 2 x head = 15,246,641,920 others, of which
    every chip keeps a copy. 64 sequences with 5,000 tokens of context each.
    """
    found = paths(on("deepseek-r1", "h200-sxm", Layout(1, 8, 1, 8)), 64, 320_000, 0, 0)
    others, head = 15_246_641_920, 926_679_040
    assert found["dense_memory"] == pytest.approx((others + 2 * head / 8) / 4.8e12)
    # a token misses an expert with 31/32, 64 of them with (31/32)^64 = 0.1311, so 86.9 % of experts are read
    assert found["expert_memory"] == pytest.approx(653.9e9 * (1 - (31 / 32) ** 64) / 8 / 4.8e12)
    assert found["expert_compute"] == pytest.approx(2 * 653.9e9 / 32 * 64 / 8 / 1979e12)
    assert found["decode_memory"] == pytest.approx(61 * 576 * 320_000 / 8 / 4.8e12)
    # absorbed: 128 heads against 576 numbers for scores and 512 for sums
    assert found["decode_compute"] == pytest.approx(2 * 128 * (576 + 512) * 61 * 320_000 / 8 / 989e12)
    # dispatch and return: two bytes of 7,168 numbers each way, 61 layers, a chip's own eighth of the tokens
    assert found["link"] == pytest.approx(64 / 8 * 7168 * 2 * 2 * 61 / 450e9)
    assert found["kernel_us"] == pytest.approx((61 * 12 + 3 * 4 + 58 * 12) * 1e-6)


def test_small_batches_wait_for_memory_and_long_prompts_for_arithmetic(on: On) -> None:
    step = on("llama-3.1-70b", "h100-sxm", 4)
    decode, prompt = paths(step, 8, 32_000, 0, 0), paths(step, 0, 0, 8192, 8192 * 4096)
    assert decode["dense_memory"] > 10 * decode["dense_compute"]
    assert prompt["dense_compute"] > 10 * prompt["dense_memory"]


@pytest.mark.parametrize("b", [1, 64, 2000])
def test_prompts_beside_reading_take_their_products_on_top_of_what_decoding_takes(on: On, b: int) -> None:
    """Decoding alone is as it was. No token of a prompt is free: Llama 3.1 70B at fp8 on four H100 multiplies
    68,498,653,696 numbers for it, whether or not the batch waits for reading the weights."""
    longer = on("llama-3.1-70b", "h100-sxm", Layout(4))
    beside = replace(longer, coefficients=replace(longer.coefficients, prompts_beside_reading=True))
    decoding_s = float(longer.seconds(b, 1000 * b))
    assert float(beside.seconds(b, 1000 * b)) == decoding_s
    cost = dict(zip(PATHS, longer.coefficients.cost, strict=True))
    for p in (1, 300, 8192):
        products_s = 2 * 68_498_653_696 * p / 4 / 1979e12 * cost["dense_compute"]
        with_it, without = (paths(longer, b, 1000 * b, n, 0) for n in (p, 0))
        others_s = sum((with_it[key] - without[key]) * cost[key] for key in ("link", "activation"))
        assert float(beside.seconds(b, 1000 * b, p)) == pytest.approx(decoding_s + products_s + others_s, rel=1e-9)
        assert float(longer.seconds(b, 1000 * b, p)) <= float(beside.seconds(b, 1000 * b, p))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("b", [1, 7, 64, 900])
def test_the_pieces_give_the_time_of_every_context_to_the_rounding_of_their_slope(on: On, name: str, b: int) -> None:
    step = on(name, "h200-sxm", 8)
    pieces = step.lines(b, 512, 1e6)
    starts = [piece.from_k for piece in pieces]
    for k in sorted({0, 1, b * 100, b * 5000, *starts, *(max(s - 1, 0) for s in starts), 2 * starts[-1] + 12345}):
        own = max(s for s in starts if s <= k)
        exact = float(step.seconds(b, k, 512, 1e6)) * PS
        # a bend that falls between two whole tokens of context is off by at most one token's slope
        slope = max(piece.slope_ps for piece in pieces)
        assert abs(step.iteration_ps(b, k, 512, 1e6) - exact) <= 1 + slope + 0.5 * (k - own)


def test_windows_and_sparse_reading_bend_the_time_where_they_are_full(on: On) -> None:
    assert 16 * 128 in [piece.from_k for piece in on("gpt-oss-120b", "h100-sxm", 4).lines(16)]
    assert 16 * 2048 in [piece.from_k for piece in on("deepseek-v3.2", "h200-sxm", 8).lines(16)]


@settings(max_examples=60)
@given(st.sampled_from(MODELS), iterations, st.sampled_from(("bytes_per_s", "dense", "link_bytes_per_s")))
def test_a_faster_chip_is_never_slower(on: On, model: str, iteration: tuple[float, ...], figure: str) -> None:
    step = on(model, "h200-sxm", 8)
    r = step.replica
    peaks = ("dense_flops_per_s", "expert_flops_per_s", "attention_flops_per_s")
    names = peaks if figure == "dense" else (figure,)
    faster = replace(step, replica=replace(r, **{name: 2 * getattr(r, name) for name in names}))
    assert float(faster.seconds(*iteration)) <= float(step.seconds(*iteration))


@settings(max_examples=60)
@given(st.sampled_from(MODELS), iterations, st.integers(0, 3), st.floats(1, 1e6))
def test_more_of_anything_never_makes_an_iteration_shorter(
    on: On, model: str, iteration: tuple[float, ...], which: int, more: float
) -> None:
    step = on(model, "h100-sxm", 16)
    larger = [x + more * (i == which) for i, x in enumerate(iteration)]
    assert float(step.seconds(*larger)) >= float(step.seconds(*iteration)) * (1 - 1e-12)


@settings(max_examples=40)
@given(st.sampled_from(MODELS), st.floats(100, 50_000))
def test_a_larger_batch_never_decodes_fewer_tokens_a_second(on: On, model: str, context: float) -> None:
    b = np.arange(1.0, 600.0)
    rate = b / on(model, "b200-sxm", 8).seconds(b, b * context)
    assert np.all(np.diff(rate) >= -1e-9 * rate[1:])


@settings(max_examples=60)
@given(
    st.sampled_from(MODELS),
    st.sampled_from(("h100-sxm", "b200-sxm", "mi300x", "tpu-v7")),
    st.sampled_from(("vllm", "sglang", "trtllm")),
    iterations,
)
def test_no_iteration_is_faster_than_perfect_chips(
    on: On, model: str, chip: str, engine: str, iteration: tuple[float, ...]
) -> None:
    step = on(model, chip, 16, engine=engine)
    assert set(step.coefficients.efficiencies) == set(EFFICIENCIES)
    assert all(0 < share <= 1 for share in step.coefficients.efficiencies.values())
    compute_s, memory_s = step.roofline(*iteration)
    assert max(float(compute_s), float(memory_s)) <= float(step.seconds(*iteration))
