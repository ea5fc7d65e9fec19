"""What simulating cells of a fleet costs, in requests per CPU second: router, queue, closed loop and limits included.

(a) 1,024 tokens in and 128 out, Poisson 6 a second a replica, least outstanding uncached tokens; Qwen3 32B at fp8 on
one H200 as vLLM runs it. (b) Lengths of the Azure conversation trace of 2023 at 1,024 replicas in cells of 64,
likewise at 4 a second (AMPACITY_DATA; left out without it). (c) Coding agents of the packaged model in a closed loop at
124,000 tokens of context, least wait + uncached prefill, prefix cache, a limit of three windows; Qwen3 Coder 480B at
fp8 on eight H200. Histograms and counts of every request included; drawing what agents want, and compiling, left out.

Beside (a) the peer AISimulate, if AMPACITY_AISIMULATE names its command (it needs an environment of 1.5 GB of its own):
the same lengths, rate and replicas, Qwen3-32B-FP8 on h200_sxm with vLLM, its default router. Its rate is by its own
"Wall Time", on one thread, tables loaded; ours is by CPU seconds.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.reactions import stated
from ampacity.demand.sessions import generate
from ampacity.inference.replica import replica
from ampacity.inference.step_time import step_time
from ampacity.policy.book import compile_book
from ampacity.policy.rows import AT_FIRST_USE, EVENLY, ONE_REQUEST, Price, WindowRule
from ampacity.scenario import lookup
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.model import Model
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import Cell, open_cell
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.cell_terms import CellTier, Pool, Routing
from ampacity.simulator.engine import PS_PER_S, vllm
from ampacity.simulator.scripts import Scripts, scripts_of_sessions, scripts_of_trace
from ampacity.simulator.step_table import step_table
from measure import arguments, publish

CELL = 64
HOUR_MS = 3_600_000


def pool(name: str, chips: int, replicas: int) -> Pool:
    """A model of the catalog on H200."""
    model = Model.model_validate({"name": name, **lookup.model(name)})
    chip = Accelerator.model_validate({"name": "h200-sxm", **lookup.accelerator("h200-sxm")})
    one = replica(model, chip, "fp8", "fp8", chips)
    engine = vllm(one.kv_blocks, max_seqs=256)
    return Pool(engine, step_table(step_time(one), engine.token_budget), replicas)


def run(cells: list[Cell]) -> tuple[float, list[CellResult]]:
    """CPU seconds of this process for all cells, and what came out."""
    took, found = 0.0, []
    while cells:
        cell = cells.pop()
        began = time.process_time()
        cell.run()
        took += time.process_time() - began
        found.append(cell.result())
    return took, found


def figures_of(what: str, took: float, found: list[CellResult]) -> dict[str, Any]:
    """The rate, and what the requests met."""
    answered = sum(r.count(at.ANSWERED) for r in found)
    stepped, jumped = sum(r.stepped for r in found), sum(r.jumped for r in found)
    one = found[0]
    return {
        f"requests_per_cpu_s, {what}": answered / took,
        f"requests, {what}": answered,
        f"iterations stepped, share, {what}": stepped / (stepped + jumped),
        f"looks at a replica per request, {what}": sum(r.events for r in found) / answered,
        f"median TTFT [s], {what}": one.quantile_s(at.TTFT, 0.5),
        f"p99 TTFT [s], {what}": one.quantile_s(at.TTFT, 0.99),
        f"median TPOT [s], {what}": one.quantile_s(at.TPOT, 0.5),
    }


def poisson(rate_per_s: float, inputs: Any, outputs: Any, key: int) -> Scripts:
    """Requests of a cell, as many as there are lengths."""
    rng = np.random.Generator(np.random.Philox(key=key))
    arrivals = np.cumsum(rng.exponential(PS_PER_S / rate_per_s, len(inputs))).astype(np.int64)
    return scripts_of_trace(arrivals, inputs, outputs)


def equal_lengths(replicas: int, count: int) -> dict[str, Any]:
    """(a)"""
    one = pool("qwen3-32b", 1, replicas)
    scripts = poisson(6 * replicas, np.full(count, 1024), np.full(count, 128), 1)
    return figures_of(f"1,024 in, 128 out, {replicas} replicas", *run([open_cell((one,), scripts, Routing("least"))]))


def peer(replicas: int, count: int, ours: float) -> dict[str, Any]:
    """AISimulate on the workload of (a), and how many times as fast ours is."""
    command = os.environ.get("AMPACITY_AISIMULATE")
    if not command:
        return {}
    wanted = {
        "traffic": {
            "source": {"type": "synthetic", "input_tokens": 1024, "output_tokens": 128},
            "load": {"type": "poisson", "requests_per_second": 6 * replicas, "seed": 1},
            "stop": {"requests": count},
        },
        "engine": {
            "mode": "aggregated",
            "model": "Qwen/Qwen3-32B-FP8",
            "hardware": "h200_sxm",
            "backend": "vllm",
            "workers": {"aggregated": {"parallelism": {"replicas": replicas}}},
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "peer.yaml"
        config.write_text(json.dumps(wanted))  # JSON is YAML
        out = ["--output-dir", str(Path(folder) / "out"), "--overwrite"]
        done = subprocess.run([command, "predict", "-c", str(config), *out], capture_output=True, text=True, check=True)
    wall_s = float(re.search(r"Wall Time \(ms\): ([\d,.]+)", done.stdout)[1].replace(",", "")) / 1000  # type: ignore[index]
    return {
        f"AISimulate, requests per s of its wall time, {replicas} replicas": count / wall_s,
        f"ours over AISimulate, {replicas} replicas": ours * wall_s / count,
    }


def conversations(cells: int, count: int) -> dict[str, Any]:
    """(b)"""
    root = Path(os.environ.get("AMPACITY_DATA") or Path(__file__).parents[2] / "shared" / "data")
    path = root / "demand/azure2023/AzureLLMInferenceTrace_conv.csv"
    if not path.exists():
        return {}
    trace = pl.read_csv(path)
    one = pool("qwen3-32b", 1, CELL)
    opened = []
    for i in range(cells):
        rng = np.random.Generator(np.random.Philox(key=100 + i))
        which = rng.integers(0, len(trace), count)
        inputs, outputs = (trace[name].to_numpy()[which] for name in ("ContextTokens", "GeneratedTokens"))
        scripts = poisson(4 * CELL, np.maximum(inputs, 1), np.maximum(outputs, 1), i)
        opened.append(open_cell((one,), scripts, Routing("least"), number=i))
    return figures_of(f"Azure conversations, {cells} cells of {CELL}", *run(opened))


def agents(sessions: int, spread_s: float) -> dict[str, Any]:
    """(c)"""
    one = pool("qwen3-coder-480b-a35b", 8, CELL)
    rng = np.random.Generator(np.random.Philox(key=3))
    steps = generate(packaged_model(), 1, np.arange(sessions))
    scripts = scripts_of_sessions(steps, rng.uniform(0, spread_s, sessions), subscriber=np.arange(sessions) // 2 + 1)
    price = Price(1000, 1250, 100, 5000)
    book = compile_book(
        {
            "pro": [
                WindowRule("five-hour", 2_500_000_000, AT_FIRST_USE, 5 * HOUR_MS, price),
                WindowRule("weekly", 12_000_000_000, AT_FIRST_USE, 168 * HOUR_MS, price),
                WindowRule("per-minute", 20_000, EVENLY, 60_000, ONE_REQUEST),
            ]
        }
    )
    tier = CellTier("pro", limit="pro", reactions=stated())
    cell = open_cell((one,), scripts, Routing("soonest"), (tier,), book, epoch_ms=1_790_000_000_000)
    took, found = run([cell])
    what = f"agents, {CELL} replicas, {sessions} sessions in {spread_s / 3600:g} h"
    return figures_of(what, took, found) | {
        f"mean input [token], {what}": found[0].count(at.INPUT_TOKENS) / found[0].count(at.ANSWERED),
        f"prompt tokens found, share, {what}": found[0].hit_share,
        f"reusable, share, {what}": float(steps.reusable_tokens.sum() / steps.input_tokens.sum()),
        f"refused attempts per request, {what}": found[0].count(at.REFUSALS) / found[0].count(at.ANSWERED),
        f"steps lost, share, {what}": found[0].count(at.STEPS_LOST) / len(steps),
    }


if __name__ == "__main__":
    asked = arguments(__doc__ or "")
    figures: dict[str, Any] = {}
    equal_lengths(1, 9)  # compiles before
    for n in (16, 128):
        figures |= equal_lengths(n, 20_000 if asked.smoke else 1_000_000)
        rate = figures[f"requests_per_cpu_s, 1,024 in, 128 out, {n} replicas"]
        figures |= {} if asked.smoke else peer(n, {16: 16_000, 128: 64_000}[n], rate)
    figures |= conversations(2 if asked.smoke else 16, 10_000 if asked.smoke else 100_000)
    for spread_h in (1.0,) if asked.smoke else (6.0, 1.5):
        figures |= agents(200 if asked.smoke else 6_400, 3600 * spread_h)
    publish("simulating cells", figures, asked.json)
