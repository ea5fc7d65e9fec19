"""Step time against a slow oracle, and the laws that it must keep."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.inference.roofline import Replica, replica, roofline_s, step_time_s, work
from ampacity.scenario import lookup
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.model import Model

On = Callable[..., Replica]
MODELS = ("llama-3.1-8b", "llama-3.1-70b", "deepseek-v3", "qwen3-30b-a3b", "gpt-oss-120b")
iterations = st.tuples(
    st.integers(0, 4096), st.floats(0, 1e9), st.floats(0, 65_536), st.floats(0, 1e9)
)  # sequences decoding, their context, prefill tokens, prefill tokens x context


def naive_step_s(r: Replica, b: float, k: float, p: float, a: float) -> float:
    """One iteration, kernel group by kernel group, in plain floats; written from the head of roofline.py."""
    m = r.model
    tokens = b + p
    weights = m.parameters_total - m.expert_parameters
    if m.experts:
        missed_by_one = 1.0 - m.experts_per_token / m.experts
        weights += m.expert_parameters * (1.0 - missed_by_one**tokens)
    if tokens == 0:
        weights = 0.0
    products = max(
        2.0 * m.parameters_active * tokens / r.flops_per_s, weights * r.weight_bytes_per_number / r.bytes_per_s
    )
    width = m.kv_latent_dim if m.attention == "mla" else m.head_dim
    flops_per_pair = 0.0
    for _ in range(m.layers):
        flops_per_pair += m.heads * (2 * width + 2 * width)  # scores, then the weighted sum of values
    kept = m.kv_latent_dim if m.attention == "mla" else m.kv_heads * m.head_dim * 2
    bytes_per_token = m.layers * kept * r.kv_bytes_per_number
    decode = max(k * flops_per_pair / r.flops_per_s, k * bytes_per_token / r.bytes_per_s)
    prefill = a * flops_per_pair / r.flops_per_s
    return (products + decode + prefill) / r.efficiency


@settings(max_examples=200)
@given(st.sampled_from(MODELS), st.sampled_from(("h100-sxm", "b200-sxm")), st.integers(1, 64), iterations)
def test_step_time_is_what_a_naive_loop_over_kernel_groups_finds(
    on: On, model: str, chip: str, count: int, iteration: tuple[float, ...]
) -> None:
    r = on(model, chip, count)
    assert float(step_time_s(r, *iteration)) == pytest.approx(naive_step_s(r, *iteration), rel=1e-12)


@settings(max_examples=150)
@given(st.sampled_from(MODELS), iterations, st.integers(0, 3), st.floats(1, 1e6))
def test_more_of_anything_never_makes_a_step_shorter(
    on: On, model: str, iteration: tuple[float, ...], which: int, more: float
) -> None:
    r = on(model, "h200-sxm", 8)
    larger = [x + more * (i == which) for i, x in enumerate(iteration)]
    assert float(step_time_s(r, *larger)) >= float(step_time_s(r, *iteration))


@settings(max_examples=150)
@given(st.sampled_from(MODELS), iterations)
def test_no_step_is_shorter_than_its_roofline_over_the_efficiency(
    on: On, model: str, iteration: tuple[float, ...]
) -> None:
    r = on(model, "h100-sxm", 8)
    assert float(roofline_s(r, *iteration)) <= float(step_time_s(r, *iteration)) * r.efficiency * (1 + 1e-12)


@settings(max_examples=100)
@given(st.sampled_from(MODELS), st.floats(1, 1e6))
def test_a_step_reads_at_most_all_weights_and_at_least_those_of_one_token(on: On, model: str, tokens: float) -> None:
    r = on(model, "h100-sxm", 8)
    read = float(work(r, tokens, 0.0, 0.0, 0.0).bytes[0])
    m = r.model
    dense = m.parameters_total - m.expert_parameters
    of_one = dense + (m.expert_parameters * m.experts_per_token / m.experts if m.experts else 0.0)
    assert of_one * r.weight_bytes_per_number * (1 - 1e-9) <= read <= r.weight_bytes * (1 + 1e-12)


def test_a_large_batch_touches_all_experts_and_a_single_token_its_own(on: On) -> None:
    r = on("deepseek-v3", "h100-sxm", 16)
    one, many = work(r, [1.0, 100_000.0], 0.0, 0.0, 0.0).bytes[0]
    assert many == pytest.approx(r.weight_bytes, rel=1e-9)
    assert one == pytest.approx((671.0e9 - 653.9e9) + 653.9e9 * 8 / 256, rel=1e-9)


def test_an_iteration_of_nothing_takes_no_time(on: On) -> None:
    for model in MODELS:
        assert float(step_time_s(on(model, "h100-sxm", 8), 0, 0, 0, 0)) == 0.0


def test_twice_the_chips_halve_a_step(on: On) -> None:
    iteration = (64, 64 * 8000.0, 512.0, 512 * 4000.0)
    one, two = (float(step_time_s(on("llama-3.1-70b", "h100-sxm", n), *iteration)) for n in (4, 8))
    assert one == pytest.approx(2 * two)


def test_latent_attention_keeps_576_numbers_a_layer_and_grouped_attention_2048(on: On) -> None:
    assert on("deepseek-v3", "h100-sxm", 16).kv_bytes_per_token == 61 * 576
    assert on("llama-3.1-70b", "h100-sxm", 8, kv="bf16").kv_bytes_per_token == 80 * 2048 * 2


def test_step_times_broadcast(on: On) -> None:
    found = step_time_s(on("llama-3.1-8b", "h100-sxm", 1), np.ones((3, 1)), 1000.0, np.arange(4.0), 0.0)
    assert found.shape == (3, 4)


def test_a_chip_whose_speed_is_not_known_is_refused() -> None:
    chip = Accelerator.model_validate({"name": "h100-sxm", **lookup.accelerator("h100-sxm")})
    model = Model.model_validate({"name": "llama-3.1-8b", **lookup.model("llama-3.1-8b")})
    with pytest.raises(ValueError, match="h100-sxm: speed at fp4"):
        replica(model, chip, "fp4", "fp8", 1)
