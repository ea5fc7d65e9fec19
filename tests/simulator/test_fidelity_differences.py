"""Where our engine and AISimulate differ: each difference by name, and what it moves; then the two request by request.

The last tests need the peer (AMPACITY_AISIMULATE, see benchmarks/beside_aisimulate.py); the others our engine alone.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naive import Iteration, Replica, Request, Rules

from ampacity.inference.replica import replica
from ampacity.inference.step_time import step_time
from ampacity.simulator.engine import PS_PER_S, Engine
from ampacity.simulator.measured_table import measured_table
from ampacity.simulator.open_loop import Served, serve_open_loop
from ampacity.simulator.step_table import TICKS, StepTable, iteration_ticks, step_table

MS = PS_PER_S // 1000
SAME = Engine(46_112, max_seqs=256, lag=0, prefix_cache=False)


def poisson(rate_per_s: float, count: int, seed: int = 1) -> np.ndarray:
    arrival = np.cumsum(np.random.default_rng(seed).exponential(PS_PER_S / rate_per_s, count)).astype(np.int64)
    return arrival - arrival[0]


def even(prompts_ms: float, decoding_ms: float) -> StepTable:
    """Every iteration takes as long, whatever is in it."""
    return measured_table(np.full((256, 2), decoding_ms / 1e3), [1, 2], [0.0, *np.full(8192, prompts_ms / 1e3)])


def lengths(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Spread like those of conversations: half of the prompts below 1,000 tokens, one in a hundred above 6,000."""
    rng = np.random.default_rng(3)
    inputs = np.clip(rng.lognormal(6.8, 0.8, count), 1, 14_000).astype(np.int64)
    return inputs, np.clip(rng.lognormal(5.0, 0.8, count), 1, 1000).astype(np.int64)


def by_naive(price: Any, arrival: np.ndarray, inputs: np.ndarray, outputs: np.ndarray) -> list[Request]:
    """Requests as the naive stepper leaves them if an iteration takes price(its decoding, its chunks) ps."""

    class Priced(Replica):
        def compose(self, now_ps: int) -> Iteration:
            it = super().compose(now_ps)
            it.shape = lambda: (it.decode, it.chunks, 0, 0)  # type: ignore[method-assign, assignment]
            return it

    rules = Rules(SAME.kv_blocks, SAME.token_budget, SAME.max_seqs, 0, 0, True, False, 0)
    rows = zip(arrival.tolist(), inputs.tolist(), outputs.tolist(), strict=True)
    asked = [Request(at, i, 0, o, number=n) for n, (at, i, o) in enumerate(rows)]
    Priced(rules, lambda decode, chunks, *_: price(decode, chunks), 1).run(asked)
    return asked


def test_scheduling_an_iteration_ahead_makes_first_tokens_wait_for_one_more_iteration() -> None:
    """vLLM's default, ours; AISimulate composes an iteration when the one before has ended (lag 0)."""
    arrival = poisson(3, 2000)
    waits = {}
    for lag in (0, 1):
        met = serve_open_loop(replace(SAME, lag=lag), even(20, 20), arrival, 100, 200)
        waits[lag] = (met.first_ps - arrival) / MS
    # an iteration of prompts and decoding takes 40 ms, one of decoding 20; that is what an arrival meets
    assert 20 < np.median(waits[1]) - np.median(waits[0]) < 24
    assert waits[1].mean() - waits[0].mean() == pytest.approx(20, rel=0.15)


def test_an_iteration_priced_as_prompts_plus_decoding_reads_the_weights_twice(model: Any, chip: Any) -> None:
    """AISimulate adds the two; in an engine, and in our step time, one pass over the weights serves both."""
    one = step_time(replica(model("qwen3-32b"), chip("h200-sxm"), "fp8", "fp8", 1))
    once = step_table(one, 8192)
    contexts = np.array([16, 512, 1024, 2048, 4096])
    batch = np.arange(1, 257)[:, None]
    p = np.arange(1, 8193)
    apart = measured_table(
        one.seconds(batch, batch * contexts), contexts, [0.0, *one.seconds(0, 0, p, p * p / 2)], per_a2_s=0.0
    )
    both = [iteration_ticks(t.flat().tolist(), 16, 16 * 1100, 64, 64 * 64) / TICKS / MS for t in (once, apart)]
    assert both[1] > 1.7 * both[0]  # a short chunk beside sixteen sequences: both wait for the weights
    arrival = poisson(6, 2000)
    tpot = [
        np.median((met.finish_ps - met.first_ps) / 127)
        for met in (serve_open_loop(SAME, t, arrival, 1024, 128) for t in (once, apart))
    ]
    assert 1.02 < tpot[1] / tpot[0] < 1.25


def test_prompts_priced_at_the_mean_of_their_lengths_cost_less_than_one_by_one() -> None:
    """Attention grows with the square: AISimulate's mean leaves out the spread, our a2 keeps it."""
    step = measured_table(np.full((256, 2), 0.02), [1, 2], [0.0, *(0.01 + 6e-5 * np.arange(1, 8193))], per_a2_s=0.0)
    step = replace(step, prefill_a2=round(3e-9 * PS_PER_S * TICKS))  # twice H200's, so that it shows
    flat = step.flat().tolist()

    def price(decode: Any, chunks: Any, mean: bool) -> int:
        n, p = len(chunks), sum(c for _, c in chunks)
        a2 = sum(c * (2 * before + c) for before, c in chunks)
        if mean and n:
            a2 = round(p * (2 * sum(before for before, _ in chunks) / n + p / n))
        return iteration_ticks(flat, len(decode), sum(k for _, k in decode), p, a2) // TICKS

    inputs, outputs = lengths(400)
    arrival = poisson(4, 400)
    ttft = {
        mean: np.array([r.first_ps - r.arrival_ps for r in asked]) / MS
        for mean in (False, True)
        for asked in [by_naive(lambda d, c, m=mean: price(d, c, m), arrival, inputs, outputs)]
    }
    ours = (serve_open_loop(SAME, step, arrival, inputs, outputs).first_ps - arrival) / MS
    assert np.abs(ours - ttft[False]).max() < 1e-3  # the engine prices one by one (this stepper drops parts of a ps)
    assert ttft[True].mean() < 0.995 * ttft[False].mean()


def test_a_hundred_thousandth_of_a_step_moves_single_first_tokens_by_an_iteration_and_quantiles_hardly() -> None:
    """Who comes within microseconds of an iteration's end meets it or not; the queue behind may differ for long."""
    arrival = poisson(8, 3000)
    met = [
        (serve_open_loop(SAME, even(50 * off, 20 * off), arrival, 1024, 128).first_ps - arrival) / MS
        for off in (1, 1 + 1e-5)
    ]
    assert np.abs(met[1] - met[0]).max() > 15
    for share in (0.5, 0.9):
        assert np.quantile(met[1], share) == pytest.approx(np.quantile(met[0], share), rel=0.01)


@pytest.fixture(scope="module")
def peer() -> Any:
    """benchmarks/beside_aisimulate.py, if there is a peer to run."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    beside = importlib.import_module("beside_aisimulate")
    if beside.command() is None:
        pytest.skip("AMPACITY_AISIMULATE names no command of AISimulate")
    return beside


@pytest.mark.parametrize("blocks", [46_112, 1_500])
def test_with_constant_times_the_peer_gives_every_request_the_same_nanosecond(peer: Any, blocks: int) -> None:
    """Chunks, places, blocks and who gives way are alike: only times can differ."""
    rng = np.random.default_rng(5)
    asked = peer.Requests(poisson(8, 600), rng.integers(1, 6000, 600), rng.integers(1, 300, 600))
    engine = replace(SAME, kv_blocks=blocks)
    theirs = peer.replay(asked, engine, fixed_ms=(50.0, 20.0))
    ours: Served = serve_open_loop(engine, even(50, 20), asked.arrival_ps, asked.inputs, asked.outputs)
    assert np.abs(ours.first_ps / 1e9 - theirs.first_ms).max() < 1e-6
    assert np.abs(ours.finish_ps / 1e9 - theirs.last_ms).max() < 1e-6
    assert (ours.preemptions > 0) == (blocks == 1_500)


def test_at_its_own_price_of_an_iteration_the_naive_stepper_gives_every_request_the_peers_nanosecond(peer: Any) -> None:
    """So nothing but the price differs: the mean context of those who decode, rounded down; prompts at their means."""
    inputs, outputs = lengths(400)
    asked = peer.Requests(poisson(8, 400), inputs, outputs)
    theirs = peer.replay(asked, SAME)
    with peer.KernelTimes() as kernels:

        def price(decode: Any, chunks: Any) -> int:
            questions: list[Any] = []
            if decode:
                questions.append(("decode", len(decode), sum(k for _, k in decode) // len(decode)))
            if chunks:
                total, before = sum(x + c for x, c in chunks), sum(x for x, _ in chunks)
                questions.append(("prompts", len(chunks), total // len(chunks), before // len(chunks)))
            return round(sum(kernels.ask(questions)) * 1e6) * 1000  # it counts in ns

        ours = by_naive(price, asked.arrival_ps, inputs, outputs)
    assert np.abs(np.array([r.first_ps for r in ours]) / 1e9 - theirs.first_ms).max() < 1e-4
    assert np.abs(np.array([r.finish_ps for r in ours]) / 1e9 - theirs.last_ms).max() < 1e-4
