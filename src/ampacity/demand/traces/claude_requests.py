"""Requests of Claude Code sessions flattened into one table, Parquet or CSV, with cached tokens already counted.

Main requests have a time from their session's start; those of sub-agents from the sub-agent's own, which the table does
not place in the session: they have no arrival here, only gaps. A gap that was not recorded is the time between two
requests, answer included. The user began a step if the one before ended its turn; where that was not recorded, who
began it is unknown.
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
    Field("stop", "stop", "text", always=False),
]


def read(path: Path) -> Trace:
    """The table as a trace on its sessions' own clocks. Raises OSError."""
    if path.suffix == ".parquet":
        table = pl.read_parquet(path)
        absent = [f.source for f in FIELDS if not f.always and f.source not in table.columns]
        table = table.with_columns(pl.lit(None).alias(name) for name in absent)
        rows = Rows(table.with_columns(line=pl.int_range(1, table.height + 1, dtype=pl.Int64)), table.height)
    else:
        rows = csv_rows(content(path), str(path), [f.source for f in FIELDS])
    frame, malformed = take(rows, FIELDS, str(path))
    named = frame.with_columns(session=ordinals(frame["session_name"])).sort(
        "session", "agent", "turn", maintain_order=True
    )
    agent = ["session", "agent"]
    ended = pl.col("stop").fill_null("").shift().over(agent)
    placed = named.with_columns(step=steps()).with_columns(
        t_s=pl.when(pl.col("agent") == 0).then("t"),
        gap_s=pl.when(pl.col("step") > 0).then(pl.coalesce("think_s", pl.col("t").diff().over(agent))),
        user_started=pl.when(pl.col("step") == 0)
        .then(pl.col("agent") == 0)
        .when(ended != "")
        .then(ended == "end_turn"),
    )
    notes = ("each session's time starts at its own first request; requests of sub-agents have none",)
    return Trace(canonical(placed), "claude-requests", str(path), "session", rows.read, None, malformed, notes=notes)
