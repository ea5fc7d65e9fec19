"""The steady state against the stepper run until it is steady, and what drafts, caches and pipelines change in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ampacity.inference.layout import Layout
from ampacity.inference.loop import Protocol, measure, schedule
from ampacity.inference.steady import Load, steady, usual_load
from ampacity.inference.step_time import StepTime

On = Callable[..., StepTime]
ROUNDS = 40
"""Requests of each slot: those of the burst at the start, and of the 13 rounds after it, are not counted."""


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("concurrency", [1, 12, 64])
@pytest.mark.parametrize(
    ("inputs", "outputs", "cached"), [(1024, 1024, 0), (8192, 512, 0), (20_000, 500, 16_000), (1000, 100, 0)]
)
def test_it_is_what_the_stepper_comes_to(
    on: On, engine: str, concurrency: int, inputs: int, outputs: int, cached: int
) -> None:
    """Within 2 % of TPOT and 20 % of TTFT. Lengths vary by a fifth, so that requests do not stay in step."""
    step = on("llama-3.1-70b", "h100-sxm", Layout(4), engine=engine)
    load = usual_load(engine, round(inputs * 0.9), round(outputs * 0.9), round(cached * 0.9))
    q = Protocol(
        concurrency,
        inputs,
        outputs,
        per_slot=ROUNDS,
        cached_tokens=load.cached_tokens,
        token_budget=load.token_budget,
        mixed=load.mixed,
    )
    measured = measure(schedule(q), step.seconds)
    counted = slice(14 * concurrency, -2 * concurrency)
    found = steady(step, load, concurrency, beside_engine=False)
    assert float(found.tpot_s) == pytest.approx(measured.tpot_s[counted].mean(), rel=0.02)
    assert float(found.ttft_s) == pytest.approx(measured.ttft_s[counted].mean(), rel=0.2)
    request_s = measured.ttft_s[counted] + measured.tpot_s[counted] * (load.output_tokens - 1)
    assert float(found.requests_per_s) == pytest.approx(concurrency / request_s.mean(), rel=0.03)


def test_prompts_that_exceed_the_budget_queue_and_throughput_stops_growing(on: On) -> None:
    step = on("llama-3.1-8b", "h100-sxm", 1)
    found = steady(step, Load(30_000, 100), np.array([64.0, 128.0, 256.0]))
    # of 8,192 tokens an iteration each request takes 30,000 + 99
    most = 8192 / 30_099 / found.prefill_s[-1]
    assert found.requests_per_s == pytest.approx(np.full(3, most), rel=0.05)
    assert found.ttft_s[2] > 2 * found.ttft_s[0]


def test_what_a_first_token_waits_for_beside_the_engine_is_added_as_it_was_fitted(on: On) -> None:
    step = on("llama-3.1-8b", "h100-sxm", 1)
    inside, outside = (float(steady(step, Load(2000, 200), 32, beside_engine=x).ttft_s) for x in (False, True))
    request, token, client = step.coefficients.first
    assert outside - inside == pytest.approx(request + 2000 * token + 32 * client)


def test_expected_tokens_of_drafts_are_a_geometric_sum() -> None:
    load = Load(draft_tokens=3, acceptance=0.8)
    # 1 + 0.8 + 0.64 + 0.512
    assert load.tokens_per_iteration == pytest.approx(2.952)


def test_drafts_that_are_never_right_cost_and_good_ones_speed_up_a_lone_request(on: On) -> None:
    """A lone request waits for weights, whatever it checks; where many decode, arithmetic is what is short."""
    step = on("llama-3.1-70b", "h100-sxm", 4)
    plain, wrong, right = (
        [float(steady(step, Load(draft_tokens=tokens, acceptance=right), many).tpot_s) for many in (1, 256)]
        for tokens, right in ((0, 0.0), (4, 0.0), (4, 0.8))
    )
    assert plain[0] < wrong[0] < 1.02 * plain[0]
    assert wrong[1] > 1.5 * plain[1]
    assert right[0] < plain[0] / 2
    assert right[1] / plain[1] > right[0] / plain[0]


def test_a_cached_prefix_saves_prefill_but_not_the_reading_of_its_cache(on: On) -> None:
    step = on("llama-3.1-8b", "h100-sxm", 1)
    cold, warm = (steady(step, Load(16_000, 400, cached), 8) for cached in (0, 15_000))
    assert float(warm.ttft_s) < float(cold.ttft_s) / 2
    assert float(warm.decode[1] / warm.decode[0]) == float(cold.decode[1] / cold.decode[0]) == 16_200


def test_a_prompt_in_one_part_of_a_pipeline_delays_the_others(on: On) -> None:
    step = on("llama-3.1-70b", "h100-sxm", Layout(2, pipeline=4))
    load = Load(4000, 400)
    found = steady(step, load, 64)
    alone = float(found.prompt_share)
    means = float(found.decode_s) + alone * float(found.prefill_s - found.decode_s)
    assert float(found.iteration_s) > 1.3 * means
    assert float(found.iteration_s) <= float(found.prefill_s)


def test_impossible_requests_are_all_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"0 input tokens.*1 output tokens.*acceptance of 1"):
        Load(0, 1, acceptance=1.0)
    with pytest.raises(ValueError, match="from 0 to 99"):
        replace(Load(100, 10), cached_tokens=100)
