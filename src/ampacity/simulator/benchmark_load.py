"""A load as benchmark tools make it, on the engine: so many requests in flight, each followed by the next.

`inference/loop.py` runs the same protocol in its small stepper, to which the catalog is fitted. Here are its lengths on
the engine of this room, with scheduling that runs ahead and blocks of context.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ampacity.inference.coefficients import Coefficients, first_at
from ampacity.inference.loop import Protocol
from ampacity.inference.replica import Replica
from ampacity.inference.step_time import StepTime
from ampacity.simulator.closed_loop import serve_closed_loop
from ampacity.simulator.engine import PS_PER_S, SEQS_MOST, Engine
from ampacity.simulator.step_table import step_table

BLOCKS = 1 << 22
"""Blocks where a protocol says nothing of memory: more than any load takes."""


@dataclass(frozen=True)
class LoadMet:
    """Means over requests [s], as benchmark tools print them; output tokens per second of all together."""

    ttft_s: float
    tpot_s: float
    output_tokens_per_s: float


def serve_load(q: Protocol, r: Replica, c: Coefficients, skip: int = 0) -> LoadMet:
    """Run a protocol with requests in flight on a replica. Of each of them the first `skip` requests are not counted.

    What a first token waits for beside the engine is in TTFT. Raises ValueError if requests come at a rate instead
    (`open_loop.py`), if none would be counted, or if one never fits.
    """
    if q.rate_per_s is not None:
        raise ValueError(f"requests that come at a rate ({q.rate_per_s:g} a second) are no load with so many in flight")
    if not 0 <= skip < q.per_slot:
        raise ValueError(f"{skip} of {q.per_slot} requests left out: at least one must be counted")
    rng = np.random.Generator(np.random.Philox(key=q.seed))
    span = q.shortest + (1 - q.shortest) * rng.random((2, q.concurrency, q.per_slot))
    inputs = np.maximum(np.rint(q.input_tokens * span[0]), q.cached_tokens + 1).astype(np.int64)
    outputs = np.maximum(np.rint(q.output_tokens * span[1]), 2).astype(np.int64)
    blocks = BLOCKS if np.isinf(q.kv_tokens) else int(q.kv_tokens) // 16
    engine = Engine(blocks, q.token_budget, min(SEQS_MOST, q.token_budget), mixed=q.mixed, prefix_cache=False)
    chains = [
        [(0, int(n), q.cached_tokens, int(out)) for n, out in zip(*slot, strict=True)]
        for slot in zip(inputs, outputs, strict=True)
    ]
    found = serve_closed_loop(engine, step_table(StepTime(r, c), q.token_budget), chains)
    counted = np.arange(q.requests) % q.per_slot >= skip
    waits_s = float(np.dot(c.first, np.array(first_at(q.input_tokens, q.concurrency)) / first_at(1, 1)))
    ttft_s = (found.first_ps - found.arrival_ps) / PS_PER_S + waits_s
    tpot_s = (found.finish_ps - found.first_ps) / PS_PER_S / (outputs.reshape(-1) - 1)
    together_s = float(found.finish_ps.max()) / PS_PER_S
    return LoadMet(float(ttft_s[counted].mean()), float(tpot_s[counted].mean()), float(outputs.sum() / together_s))
