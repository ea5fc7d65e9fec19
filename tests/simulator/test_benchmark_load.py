"""Loads with so many requests in flight, against the small stepper of `inference/` and against Little's law."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ampacity.inference.coefficients import coefficients
from ampacity.inference.engines import mixes, token_budget
from ampacity.inference.loop import Protocol, measure, schedule
from ampacity.inference.replica import replica
from ampacity.inference.step_time import StepTime
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.model import Model
from ampacity.simulator.benchmark_load import serve_load


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("concurrency", [1, 8, 64])
def test_the_engine_and_the_stepper_of_the_fit_meet_the_same(
    engine: str, concurrency: int, model: Callable[[str], Model], chip: Callable[[str], Accelerator]
) -> None:
    r = replica(model("llama-3.1-70b"), chip("h100-sxm"), "fp8", "fp8", 4, engine)
    c = coefficients(engine, r.chip, r.vendor, r.precision)
    q = Protocol(concurrency, 2000, 400, mixed=mixes(engine), token_budget=token_budget(engine))
    ours, theirs = serve_load(q, r, c), measure(schedule(q), StepTime(r, c).seconds)
    assert ours.tpot_s == pytest.approx(float(theirs.tpot_s.mean()), rel=0.02)
    waits_s = c.first[0] + 2000 * c.first[1] + concurrency * c.first[2]
    assert ours.ttft_s - waits_s == pytest.approx(float(theirs.ttft_s.mean()), rel=0.1)
    assert ours.output_tokens_per_s == pytest.approx(theirs.output_tokens_per_s, rel=0.05)


def test_throughput_is_what_little_says(model: Callable[[str], Model], chip: Callable[[str], Accelerator]) -> None:
    r = replica(model("llama-3.1-8b"), chip("h100-sxm"), "fp8", "fp8", 1)
    c = coefficients("vllm", r.chip, r.vendor, r.precision)
    q = Protocol(16, 1000, 300, shortest=1.0, per_slot=40)
    found = serve_load(q, r, c)
    waits_s = c.first[0] + 1000 * c.first[1] + 16 * c.first[2]  # beside the engine, which sees the next at once
    stayed_s = found.ttft_s - waits_s + 299 * found.tpot_s
    assert found.output_tokens_per_s == pytest.approx(16 * 300 / stayed_s, rel=0.01)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_more_requests_in_flight_never_shorten_a_token_or_lower_throughput(
    engine: str, model: Callable[[str], Model], chip: Callable[[str], Accelerator]
) -> None:
    r = replica(model("llama-3.1-8b"), chip("h100-sxm"), "fp8", "fp8", 1, engine)
    c = coefficients(engine, r.chip, r.vendor, r.precision)
    asked = [Protocol(n, 1500, 200, shortest=1.0, mixed=mixes(engine)) for n in (1, 2, 4, 8, 16, 32, 64, 128)]
    found = [serve_load(q, r, c, skip=1) for q in asked]
    assert [m.tpot_s for m in found] == sorted(m.tpot_s for m in found)
    assert [m.output_tokens_per_s for m in found] == sorted(m.output_tokens_per_s for m in found)
    assert found[-1].tpot_s > 3 * found[0].tpot_s
    assert found[-1].output_tokens_per_s > 5 * found[0].output_tokens_per_s


def test_what_is_no_such_load_is_refused(model: Callable[[str], Model], chip: Callable[[str], Accelerator]) -> None:
    r = replica(model("llama-3.1-8b"), chip("h100-sxm"), "fp8", "fp8", 1)
    c = coefficients("vllm", r.chip, r.vendor, r.precision)
    with pytest.raises(ValueError, match=r"come at a rate \(3 a second\)"):
        serve_load(Protocol(4, 1000, 300, rate_per_s=3.0), r, c)
    with pytest.raises(ValueError, match="10 of 10 requests left out"):
        serve_load(Protocol(4, 1000, 300), r, c, skip=10)
    with pytest.raises(ValueError, match="blocks hold"):
        serve_load(Protocol(4, 1000, 300, kv_tokens=500.0), r, c)
