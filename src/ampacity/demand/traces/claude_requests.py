"""Requests of Claude Code sessions flattened into one table, Parquet or CSV, with cached tokens already counted.

Main requests have a time from their session's start; those of sub-agents from the sub-agent's own, which the table does
not place in the session: they have no arrival here, only gaps.
Derived from github.com/callanjfox/kv-cache-tester (Apache-2.0).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ampacity.demand.traces.rows import Field, Rows, content, csv_rows, take
from ampacity.demand.traces.trace import Trace, canonical, ordinals, steps

FIELDS = [
    Field("session", "session_name", "text"),
    Field("agent", "agent", "count"),
    Field("turn", "turn", "count"),
    Field("t", "t", "duration"),
    Field("model", "model", "text", always=False),
    Field("in_tokens", "input_tokens", "count"),
    Field("out_tokens", "output_tokens", "count"),
    Field("cached_session", "cached_tokens", "count"),
    Field("api_s", "server_s", "duration", always=False),
    Field("think_s", "think_s", "duration", always=False),
    Field("input_types", "input_types", "text", always=False),
]


def read(path: Path) -> Trace:
    """The table as a trace on its sessions' own clocks. Raises OSError."""
    if path.suffix == ".parquet":
        table = pl.read_parquet(path)
        rows = Rows(table.with_columns(line=pl.int_range(1, table.height + 1, dtype=pl.Int64)), table.height)
    else:
        rows = csv_rows(content(path), str(path), [f.source for f in FIELDS])
    frame, malformed = take(rows, FIELDS, str(path))
    named = frame.with_columns(session=ordinals(frame["session_name"])).sort(
        "session", "agent", "turn", maintain_order=True
    )
    placed = named.with_columns(step=steps()).with_columns(
        t_s=pl.when(pl.col("agent") == 0).then("t"),
        gap_s=pl.when(pl.col("step") > 0).then("think_s"),
        user_started=(pl.col("agent") == 0) & ~pl.col("input_types").str.contains("tool_result", literal=True),
    )
    notes = ("each session's time starts at its own first request; requests of sub-agents have none",)
    return Trace(canonical(placed), "claude-requests", str(path), "session", rows.read, None, malformed, notes=notes)
