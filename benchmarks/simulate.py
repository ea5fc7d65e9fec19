"""What simulating replicas costs: requests per CPU second, 1,024 tokens in and 128 out, Poisson 6 a second a replica.

Qwen3 32B at fp8 on one H200, as vLLM runs it, round robin. Of the fleet there is the engine alone: no subscribers, limits
or failures. Rows of requests are used again when a request has ended, so memory does not grow with their number.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ampacity.base.compiled import compiled
from ampacity.inference.replica import replica
from ampacity.inference.step_time import step_time
from ampacity.scenario import lookup
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.model import Model
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
from ampacity.simulator.step_table import step_table
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


def measured(replicas: int, count: int) -> dict[str, Any]:
    """Requests per CPU second of this process, start-up and compilation left out, and what the requests met."""
    model = Model.model_validate({"name": "qwen3-32b", **lookup.model("qwen3-32b")})
    chip = Accelerator.model_validate({"name": "h200-sxm", **lookup.accelerator("h200-sxm")})
    one = replica(model, chip, "fp8", "fp8", 1)
    engine = vllm(one.kv_blocks, max_seqs=256)
    step = step_table(step_time(one), engine.token_budget)
    rng = np.random.Generator(np.random.Philox(key=1))
    gaps = rng.exponential(PS_PER_S / (RATE_PER_S * replicas), count)
    arrivals = np.cumsum(gaps).astype(np.int64)
    tokens = np.tile(np.array([INPUT_TOKENS, OUTPUT_TOKENS], np.int64), (count, 1))
    totals = np.zeros(TOTAL_FIELDS, np.int64)
    rows = fresh_replicas(engine, replicas)
    requests, sessions = fresh_requests(replicas * IN_FLIGHT_MOST), fresh_sessions(0)
    kernel = compiled(round_robin)
    given = engine.rules(), step.flat(), requests, sessions
    kernel.round_robin(
        fresh_replicas(engine, 1), *given, arrivals[:9], tokens, np.zeros_like(totals)
    )  # compiled before
    began = time.process_time()
    kernel.round_robin(rows, *given, arrivals, tokens, totals)
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
    publish("simulating replicas", figures, asked.json)
