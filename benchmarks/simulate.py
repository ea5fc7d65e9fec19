"""What simulating replicas costs, in requests per CPU second: the engine alone, without limits, routing and failures.

Open loop: 1,024 tokens in and 128 out, Poisson 6 a second a replica, round robin; Qwen3 32B at fp8 on one H200 as vLLM
runs it. Coding agents: sessions that read 100,000 tokens again and again in a closed loop, each on one replica, with
its prefix cache; Qwen3 Coder 480B at fp8 on eight H200. Rows of requests are used again when a request has ended.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ampacity.base.compiled import compiled
from ampacity.inference.replica import Replica, replica
from ampacity.inference.step_time import step_time
from ampacity.scenario import lookup
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.model import Model
from ampacity.simulator.closed_loop import (
    GAP_PS,
    MET_HITS,
    STEP_CACHEABLE,
    STEP_FIELDS,
    STEP_INPUT,
    STEP_OUTPUT,
)
from ampacity.simulator.compile import kernel
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S, vllm
from ampacity.simulator.replica import advance, collect, push
from ampacity.simulator.rows import (
    ARRIVAL_PS,
    FINISH_PS,
    FIRST_PS,
    INPUT,
    JUMPED,
    NEXT,
    OUTPUT,
    REQUEST_FIELDS,
    STEPPED,
    fresh_replicas,
    fresh_requests,
    fresh_sessions,
)
from ampacity.simulator.step_table import StepTable, step_table
from ampacity.simulator.wakes import fresh_wakes, wake_at
from measure import arguments, publish

RATE_PER_S, INPUT_TOKENS, OUTPUT_TOKENS = 6, 1024, 128
IN_FLIGHT_MOST = 1024
"""Rows of requests for every replica."""
# of the totals
ENDED_COUNT, TTFT_PS, LATENCY_PS, TOTAL_FIELDS = range(4)


def round_robin(
    rows: Any, rules: Any, table: Any, requests: Any, sessions: Any, arrivals: Any, tokens: Any, totals: Any
) -> None:
    """Send each request to the next replica; whoever has ended there gives its row back."""
    free = 1
    for place in range(1, len(requests) // REQUEST_FIELDS):
        requests[place * REQUEST_FIELDS + NEXT] = place + 1
    for i in range(len(arrivals)):
        row = rows[i % len(rows)]
        advance(row, rules, table, requests, sessions, arrivals[i])
        free = settle(row, requests, totals, free)
        place = free
        at = place * REQUEST_FIELDS
        free = requests[at + NEXT]
        for field in range(REQUEST_FIELDS):
            requests[at + field] = 0
        requests[at + ARRIVAL_PS] = arrivals[i]
        requests[at + INPUT] = tokens[i, 0]
        requests[at + OUTPUT] = tokens[i, 1]
        push(row, rules, requests, place)
    for i in range(len(rows)):
        advance(rows[i], rules, table, requests, sessions, FOREVER_PS)
        free = settle(rows[i], requests, totals, free)


def settle(row: Any, requests: Any, totals: Any, free: int) -> int:
    """Add up what those who ended have met; returns the first of the rows that are free again."""
    place = collect(row, requests)
    while place > 0:
        at = place * REQUEST_FIELDS
        totals[ENDED_COUNT] += 1
        totals[TTFT_PS] += requests[at + FIRST_PS] - requests[at + ARRIVAL_PS]
        totals[LATENCY_PS] += requests[at + FINISH_PS] - requests[at + ARRIVAL_PS]
        requests[at + NEXT] = free
        free = place
        place = collect(row, requests)
    return free


def on(name: str, chips: int) -> tuple[Replica, StepTable]:
    """A model of the catalog on H200, and its iterations."""
    model = Model.model_validate({"name": name, **lookup.model(name)})
    chip = Accelerator.model_validate({"name": "h200-sxm", **lookup.accelerator("h200-sxm")})
    one = replica(model, chip, "fp8", "fp8", chips)
    return one, step_table(step_time(one), 8192)


def agents(replicas: int, sessions: int, steps_each: int) -> dict[str, Any]:
    """Requests per CPU second of agents' sessions, and what share of their prompts the cache held."""
    one, step = on("qwen3-coder-480b-a35b", 8)
    engine = vllm(one.kv_blocks, max_seqs=256)
    rng = np.random.Generator(np.random.Philox(key=2))
    shape = (replicas, sessions, steps_each)
    added, outputs = (np.maximum(rng.lognormal(m, 1.0, shape), 1).astype(np.int64) for m in (6.2, 5.5))
    gaps = (rng.lognormal(1.5, 1.3, shape) * PS_PER_S).astype(np.int64)
    context = 100_000 + np.cumsum(added + outputs, axis=2) - outputs
    steps = np.zeros((*shape, STEP_FIELDS), np.int64)
    steps[..., GAP_PS], steps[..., STEP_INPUT], steps[..., STEP_OUTPUT] = gaps, context, outputs
    steps[:, :, 1:, STEP_CACHEABLE] = context[:, :, :-1] + outputs[:, :, :-1] - 1
    took = stepped = jumped = 0.0
    for r in range(-1, replicas):  # once more before, to compile
        row, wakes = fresh_replicas(engine, 1)[0], fresh_wakes(sessions)
        ends = np.arange(sessions + 1, dtype=np.int64) * steps_each
        at = np.concatenate([[0], ends[:-1]])
        for s in range(1, sessions + 1):
            wake_at(wakes, int(gaps[max(r, 0), s - 1, 0]), s)
        given = fresh_requests(sessions), fresh_sessions(sessions), steps[max(r, 0)].reshape(-1), ends, at, wakes
        began = time.process_time()
        kernel().serve_sessions(row, engine.rules(), step.flat(), *given)
        if r >= 0:
            took += time.process_time() - began
            stepped, jumped = stepped + int(row[STEPPED]), jumped + int(row[JUMPED])
    what = f"agents, {replicas} replicas of {sessions} sessions"
    return {
        f"requests_per_cpu_s, {what}": steps[..., 0].size / took,
        f"prompt tokens found, share, {what}": float(steps[..., MET_HITS].sum() / steps[..., STEP_INPUT].sum()),
        f"iterations stepped, share, {what}": stepped / (stepped + jumped),
    }


def measured(replicas: int, count: int) -> dict[str, Any]:
    """Requests per CPU second of this process, start-up and compilation left out, and what the requests met."""
    one, step = on("qwen3-32b", 1)
    engine = vllm(one.kv_blocks, max_seqs=256)
    rng = np.random.Generator(np.random.Philox(key=1))
    gaps = rng.exponential(PS_PER_S / (RATE_PER_S * replicas), count)
    arrivals = np.cumsum(gaps).astype(np.int64)
    tokens = np.tile(np.array([INPUT_TOKENS, OUTPUT_TOKENS], np.int64), (count, 1))
    totals = np.zeros(TOTAL_FIELDS, np.int64)
    rows = fresh_replicas(engine, replicas)
    requests, sessions = fresh_requests(replicas * IN_FLIGHT_MOST), fresh_sessions(0)
    one_after_another = compiled(round_robin).round_robin
    given = engine.rules(), step.flat(), requests, sessions
    one_after_another(fresh_replicas(engine, 1), *given, arrivals[:9], tokens, np.zeros_like(totals))  # compiled before
    began = time.process_time()
    one_after_another(rows, *given, arrivals, tokens, totals)
    took = time.process_time() - began
    assert totals[ENDED_COUNT] == count
    stepped, jumped = int(rows[:, STEPPED].sum()), int(rows[:, JUMPED].sum())
    return {
        f"requests_per_cpu_s at {replicas} replicas": count / took,
        f"iterations stepped, share, at {replicas} replicas": stepped / (stepped + jumped),
        f"mean TTFT at {replicas} replicas [ms]": float(totals[TTFT_PS]) / count / 1e9,
        f"mean TPOT at {replicas} replicas [ms]": float(totals[LATENCY_PS] - totals[TTFT_PS])
        / count
        / (OUTPUT_TOKENS - 1)
        / 1e9,
    }


if __name__ == "__main__":
    asked = arguments(__doc__ or "")
    figures: dict[str, Any] = {}
    for n in (1, 16, 128):
        figures |= measured(n, 20_000 if asked.smoke else 2_000_000)
    for sessions in (24, 64):
        figures |= agents(2 if asked.smoke else 128, sessions, 20 if asked.smoke else 60)
    publish("simulating replicas", figures, asked.json)
