"""Our engine beside AISimulate, request by request: the same arrivals, lengths, rules and times of kernels.

AMPACITY_AISIMULATE names the peer's command (see `beside_aisimulate.py`). Its kernel database is asked for what
iterations cost, and our engine runs on that table. Both chunk prompts into decoding iterations with 8,192 tokens an
iteration, 256 sequences, 46,112 blocks of 16 tokens, no shared prefixes, scheduling when an iteration has ended (lag
0), requests to replicas by turn. Qwen3 32B at fp8 on one H200 a replica as vLLM runs it.

(a) 1,024 tokens in and 128 out, Poisson, one replica from light load to near its knee, and 16. (b) Lengths of the Azure
conversation trace of 2023 (AMPACITY_DATA; left out without it); where it is busiest once more with prompts priced at
their means, as the peer prices them, by the naive stepper of tests/simulator. (c) The time of an iteration constant on
both sides, so that only scheduling can differ, with memory for all, and with too little of it. (d) Scheduling an
iteration ahead, vLLM's default, against lag 0, in our engine alone. --smoke: (d) alone, on our own step time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ampacity.inference.replica import replica
from ampacity.inference.step_time import step_time
from ampacity.scenario import lookup
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.model import Model
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import open_cell
from ampacity.simulator.cell_terms import Pool, Routing
from ampacity.simulator.engine import PS_PER_S, Engine
from ampacity.simulator.measured_table import measured_table
from ampacity.simulator.scripts import scripts_of_trace
from ampacity.simulator.step_table import TICKS, StepTable, iteration_ticks, step_table
from beside_aisimulate import BLOCKS, PS_PER_MS, KernelTimes, Replayed, Requests, command, replay, version
from measure import arguments, publish

SAME = Engine(BLOCKS, token_budget=8192, max_seqs=256, lag=0, prefix_cache=False)
QUANTILES = (0.5, 0.9, 0.99)
EVEN_MS = (50.0, 20.0)
"""Times of prompts and of decoding where they are constant."""
Floats = NDArray[np.float64]


def poisson(rate_per_s: float, inputs: Any, outputs: Any, key: int) -> Requests:
    """Requests of a Poisson process, the first at 0."""
    rng = np.random.Generator(np.random.Philox(key=key))
    arrival = np.cumsum(rng.exponential(PS_PER_S / rate_per_s, len(inputs))).astype(np.int64)
    return Requests(arrival - arrival[0], np.asarray(inputs, np.int64), np.asarray(outputs, np.int64))


def ours(asked: Requests, engine: Engine, step: StepTable, replicas: int = 1) -> Replayed:
    """As `beside_aisimulate.replay`, in a cell of ours whose router takes turns. Admissions are not kept: 0."""
    scripts = scripts_of_trace(asked.arrival_ps, asked.inputs, asked.outputs)
    cell = open_cell((Pool(engine, step, replicas),), scripts, Routing("round-robin"), keep=True)
    cell.run()
    met = cell.result().met
    assert met is not None
    first, last = met[:, at.MET_FIRST_PS] / PS_PER_MS, met[:, at.MET_FINISH_PS] / PS_PER_MS
    return Replayed(first, last, met[:, at.MET_REPLICA], np.zeros(len(met), np.int64))


def ttft_tpot_ms(asked: Requests, met: Replayed) -> tuple[Floats, Floats]:
    """Time to the first token, and time per token after it where there is one. [ms]"""
    more = asked.outputs > 1
    tpot = (met.last_ms - met.first_ms)[more] / (asked.outputs[more] - 1)
    return met.first_ms - asked.arrival_ps / PS_PER_MS, tpot


def side_by_side(what: str, asked: Requests, a: Replayed, b: Replayed) -> dict[str, Any]:
    """Quantiles of both, and by how much the first is off the second."""
    found: dict[str, Any] = {}
    for name, x, y in zip(("TTFT", "TPOT"), ttft_tpot_ms(asked, a), ttft_tpot_ms(asked, b), strict=True):
        for q in QUANTILES:
            p, r = (float(np.quantile(z, q)) for z in (x, y))
            found[f"{name} p{100 * q:g}, {what}: ours [ms]"] = p
            found[f"{name} p{100 * q:g}, {what}: beside it [ms]"] = r
            found[f"{name} p{100 * q:g}, {what}: off by [%]"] = 100 * (p / r - 1)
    found[f"first tokens more than 1 ms apart, share, {what}"] = float(np.mean(np.abs(a.first_ms - b.first_ms) > 1))
    return found


def tabulated(times: KernelTimes, equal: tuple[int, int] | None = None) -> StepTable:
    """The peer's times as our table; `equal`: tokens in and out, if all requests have the same.

    It prices a decoding iteration at the mean context, rounded down, and all prompts of an iteration at the mean of
    their lengths. For prompts of one length that is a table by their tokens. For others we take a prompt of so many
    tokens, and for every unit of a2 what fits best over drawn iterations of several prompts and of later chunks.
    """
    knots = {round(16 * 2 ** (i / 16)) for i in range(11 * 16 + 1)}
    if equal:
        knots |= set(range(equal[0] + 1, equal[0] + equal[1] + 8, 2))
    contexts = sorted(knots)
    batches = range(1, SAME.max_seqs + 1)
    here, below = (
        np.reshape(times.ask([("decode", b, c - less) for b in batches for c in contexts]), (len(batches), -1))
        for less in (0, 1)
    )
    down = (np.arange(len(batches))[:, None] / (np.arange(len(batches))[:, None] + 1)) / 2  # of a token, on average
    decode_s = ((1 - down) * here + down * below) / 1e3
    tokens = range(1, SAME.token_budget + 1)
    if equal:
        counts = [-(-p // equal[0]) for p in tokens]
        prompt_s = np.array(times.ask([("prompts", n, p // n, 0) for n, p in zip(counts, tokens, strict=True)])) / 1e3
        return measured_table(decode_s, contexts, [0.0, *prompt_s])
    prompt_s = np.array([0.0, *times.ask([("prompts", 1, p, 0) for p in tokens])]) / 1e3
    return measured_table(decode_s, contexts, prompt_s, attention_s(times, prompt_s))


def attention_s(times: KernelTimes, prompt_s: Floats) -> float:
    """What a unit of a2 takes, by least squares of relative errors. [s]"""
    rng = np.random.Generator(np.random.Philox(key=7))
    counts = rng.integers(2, 9, 400)
    lengths = (rng.uniform(0.05, 1, 400) * SAME.token_budget / counts).astype(np.int64)
    chunks, before = rng.integers(64, SAME.token_budget, 400), rng.integers(1, 12_000, 400)
    several = [("prompts", int(n), int(s), 0) for n, s in zip(counts, lengths, strict=True)]
    later = [("prompts", 1, int(c + b), int(b)) for c, b in zip(chunks, before, strict=True)]
    true = np.array(times.ask(several + later)) / 1e3
    p = np.concatenate([counts * lengths, chunks])
    a2 = np.concatenate([counts * lengths**2, chunks * (2 * before + chunks)])
    x, y = (a2 - p.astype(np.float64) ** 2) / true, (true - prompt_s[p]) / true
    return float((x * y).sum() / (x * x).sum())


def equal_lengths(times: KernelTimes, count: int) -> dict[str, Any]:
    """(a)"""
    step = tabulated(times, (1024, 128))
    found: dict[str, Any] = {}
    for replicas, rate in ((1, 2), (1, 6), (1, 8), (1, 10), (16, 8)):
        n = count * (1 if replicas == 1 else 4)
        asked = poisson(rate * replicas, np.full(n, 1024), np.full(n, 128), rate)
        what = f"1,024 in, 128 out, {rate}/s a replica, {replicas} replica{'s' if replicas > 1 else ''}"
        beside = replay(asked, SAME, replicas)
        found |= side_by_side(what, asked, ours(asked, SAME, step, replicas), beside)
        if rate == 6:  # (d)
            ahead = Engine(**{**vars(SAME), "lag": 1})
            found |= side_by_side(f"{what}, ours an iteration ahead", asked, ours(asked, ahead, step), beside)
    return found


def conversations(times: KernelTimes, count: int) -> dict[str, Any]:
    """(b)"""
    root = Path(os.environ.get("AMPACITY_DATA") or Path(__file__).parents[2] / "shared" / "data")
    path = root / "demand/azure2023/AzureLLMInferenceTrace_conv.csv"
    if not path.exists():
        return {}
    trace, step = pl.read_csv(path), tabulated(times)
    found: dict[str, Any] = {}
    for rate in (2, 4, 6, 8):
        which = np.random.Generator(np.random.Philox(key=100 + rate)).integers(0, len(trace), count)
        inputs, outputs = (trace[name].to_numpy()[which] for name in ("ContextTokens", "GeneratedTokens"))
        asked = poisson(rate, np.maximum(inputs, 1), np.maximum(outputs, 1), rate)
        what = f"Azure conversations, {rate}/s"
        beside = replay(asked, SAME)
        found |= side_by_side(what, asked, ours(asked, SAME, step), beside)
        if rate == 8:
            found |= side_by_side(f"{what}, prompts at their means", asked, at_the_means(asked, step), beside)
    return found


def at_the_means(asked: Requests, step: StepTable) -> Replayed:
    """As `ours` on one replica, if all prompts of an iteration are priced as if they were alike: stepped, slow."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "simulator"))
    from naive import Iteration, Replica, Request, Rules  # type: ignore[import-not-found]

    def shape(it: Iteration) -> tuple[int, int, int, int]:
        n, p = len(it.chunks), sum(chunk for _, chunk in it.chunks)
        a2 = round(p * (2 * sum(before for before, _ in it.chunks) + p) / n) if n else 0
        return len(it.decode), sum(context for _, context in it.decode), p, a2

    class Alike(Replica):  # type: ignore[misc]
        def compose(self, now_ps: int) -> Iteration:
            it = super().compose(now_ps)
            it.shape = lambda: shape(it)
            return it

    flat = step.flat().tolist()
    rows = zip(asked.arrival_ps.tolist(), asked.inputs.tolist(), asked.outputs.tolist(), strict=True)
    requests = [Request(arrival, i, 0, o, number=n) for n, (arrival, i, o) in enumerate(rows)]
    rules = Rules(SAME.kv_blocks, SAME.token_budget, SAME.max_seqs, 0, SAME.lag, SAME.mixed, SAME.prefix_cache, 0)
    Alike(rules, lambda b, k, p, a2: iteration_ticks(flat, b, k, p, a2), TICKS).run(requests)
    first, last = (np.array([getattr(r, name) for r in requests]) / PS_PER_MS for name in ("first_ps", "finish_ps"))
    return Replayed(first, last, np.zeros(len(requests), np.int64), np.zeros(len(requests), np.int64))


def even_times(count: int) -> dict[str, Any]:
    """(c)"""
    step = measured_table(np.full((256, 2), EVEN_MS[1] / 1e3), [1, 2], [0.0, *np.full(8192, EVEN_MS[0] / 1e3)])
    rng = np.random.Generator(np.random.Philox(key=3))
    found: dict[str, Any] = {}
    inputs, outputs = rng.integers(1, 6000, count), rng.integers(1, 300, count)
    asked = poisson(8, inputs, outputs, 3)
    for what, blocks in (("room for all", BLOCKS), ("room for 24,000 tokens", 1500)):
        engine = Engine(**{**vars(SAME), "kv_blocks": blocks})
        a, b = ours(asked, engine, step), replay(asked, engine, fixed_ms=EVEN_MS)
        apart = np.maximum(np.abs(a.first_ms - b.first_ms), np.abs(a.last_ms - b.last_ms))
        found[f"constant times, {what}: requests"] = count
        found[f"constant times, {what}: requests that gave way and came back"] = int((b.admissions > 1).sum())
        found[f"constant times, {what}: requests more than 1 ns apart"] = int((apart > 1e-6).sum())
    return found


def ahead_alone(count: int) -> dict[str, Any]:
    """(d) on our own step time."""
    model = Model.model_validate({"name": "qwen3-32b", **lookup.model("qwen3-32b")})
    chip = Accelerator.model_validate({"name": "h200-sxm", **lookup.accelerator("h200-sxm")})
    step = step_table(step_time(replica(model, chip, "fp8", "fp8", 1)), SAME.token_budget)
    asked = poisson(6, np.full(count, 1024), np.full(count, 128), 6)
    ahead = Engine(**{**vars(SAME), "lag": 1})
    return side_by_side("an iteration ahead, not beside it", asked, ours(asked, ahead, step), ours(asked, SAME, step))


if __name__ == "__main__":
    options = arguments(__doc__ or "")
    figures = ahead_alone(2_000)
    if not options.smoke and command():
        figures["aisimulate"] = version()
        with KernelTimes() as kernels:
            beside = equal_lengths(kernels, 3_000) | conversations(kernels, 3_000)
        off = [v for name, v in beside.items() if "off by" in name and "ahead" not in name]
        figures |= beside | {"quantiles under equal rules, worst off by [%]": max(off, key=abs)}
        figures |= even_times(1_000)
    publish("fidelity beside AISimulate", figures, options.json)
