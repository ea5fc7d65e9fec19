"""Tells what iterations cost by the kernel database inside `aisimulate`; runs in that package's environment, not here.

Reads a JSON list of questions a line, writes a list of times [ms] a line. A question is ["decode", sequences, mean
context that one reads] or ["prompts", how many, mean of what each has in memory in the end, mean of what it had
before]. `beside_aisimulate.py` starts it and asks.
"""

from __future__ import annotations

import json
import sys

from aisimulate_core.sdk.engine import EngineHandle  # type: ignore[import-not-found]

engine = EngineHandle.compile(*sys.argv[1:4], tp_size=int(sys.argv[4]))
for line in sys.stdin:
    times = []
    for kind, count, tokens, *before in json.loads(line):
        if kind == "decode":  # the package counts without the token that comes in and the one that comes out
            times.append(engine.decode_step_latency(count, max(tokens - 2, 1), 2))
        else:
            times.append(engine.predict_prefill_latency(count, tokens, *before))
    print(json.dumps(times), flush=True)
