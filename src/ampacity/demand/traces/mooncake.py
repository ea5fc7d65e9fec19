"""Mooncake traces: arrivals, lengths and ids of prefix blocks of 512 tokens, one JSON object a line.

`session_id` and `delay` [ms], which replay tools add, are read as sessions and gaps.
Source: github.com/kvcache-ai/Mooncake (Apache-2.0); Qin et al., "Mooncake", FAST 2025.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ampacity.demand.traces.rows import Field, content, json_rows, take
from ampacity.demand.traces.trace import Trace, arrivals_from_zero, canonical, ordinals, steps

BLOCK_TOKENS = 512
SCHEMA: dict[str, pl.DataType] = {
    "timestamp": pl.Float64(),
    "input_length": pl.Int64(),
    "output_length": pl.Int64(),
    "hash_ids": pl.List(pl.Int64()),
    "session_id": pl.String(),
    "delay": pl.Float64(),
}
FIELDS = [
    Field("timestamp", "t_ms", "number", always=False),
    Field("input_length", "input_tokens", "count"),
    Field("output_length", "output_tokens", "count"),
    Field("session_id", "session_name", "text", always=False),
    Field("delay", "delay_ms", "duration", always=False),
]


def read(path: Path) -> Trace:
    """A Mooncake trace; what was cached follows from its blocks (`reuse.py`). Raises OSError."""
    rows = json_rows(content(path), str(path), SCHEMA)
    kept = [*FIELDS, Field("hash_ids", "blocks", "as-is", always=False)]
    frame, malformed = take(rows, kept, str(path))
    timed = frame.with_columns(t_s=pl.col("t_ms") / 1000.0, gap_s=pl.col("delay_ms") / 1000.0)
    ordered, start_s = arrivals_from_zero(timed)
    named = ordered.with_columns(
        session=ordinals(ordered["session_name"]),
        agent=pl.when(pl.col("session_name").is_not_null()).then(pl.lit(0, pl.Int64)),
    )
    blocked = bool(named["blocks"].is_not_null().any())
    return Trace(
        canonical(named.with_columns(step=steps())),
        "mooncake",
        str(path),
        "none" if start_s is None else "trace",
        rows.read,
        start_s,
        malformed,
        block_tokens=BLOCK_TOKENS if blocked else None,
    )
