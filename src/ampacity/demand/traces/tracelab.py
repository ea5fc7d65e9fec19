"""TraceLab: rounds of coding-agent sessions, as released (JSON lines) and as replayed (CSV).

The release has instants of what went in and what came out of each round. The replay CSV has none but a session's start
(`arrival_time`, ms): its rounds follow by waiting `tool_wait_after_ms` after the answer, which makes it closed-loop;
`input_len` is what a round appends to `prefix_len`.
Source: github.com/uw-syfi/TraceLab (data CC BY 4.0, code Apache-2.0); arXiv 2606.30560.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ampacity.demand.traces.rows import Field, content, csv_rows, instant_ns, json_rows, take
from ampacity.demand.traces.trace import Clock, Trace, arrivals_from_zero, canonical, gaps, ordinals, steps

SCHEMA: dict[str, pl.DataType] = {
    "user": pl.String(),
    "session_id": pl.String(),
    "round_index": pl.Int64(),
    "model": pl.String(),
    "input_tokens_total": pl.Int64(),
    "prefix_tokens": pl.Int64(),
    "output_tokens": pl.Int64(),
    "current_user_message_count": pl.Int64(),
    "timing_events": pl.List(pl.Struct({"event_type": pl.String(), "timestamp": pl.String()})),
}
ROUND = [
    Field("user", "user_name", "text", always=False),
    Field("session_id", "session_name", "text"),
    Field("round_index", "round", "count"),
    Field("model", "model", "text", always=False),
    Field("input_tokens_total", "input_tokens", "count"),
    Field("prefix_tokens", "cached_tokens", "count"),
    Field("output_tokens", "output_tokens", "count"),
    Field("current_user_message_count", "messages", "count", always=False),
    Field("timing_events", "events", "as-is", always=False),
]
REPLAY = [
    Field("session_id", "session_name", "text"),
    Field("arrival_time", "arrival_ms", "number", always=False),
    Field("round_idx", "round", "count"),
    Field("prefix_len", "cached_tokens", "count"),
    Field("input_len", "appended", "count"),
    Field("output_len", "output_tokens", "count"),
    Field("tool_wait_after_ms", "wait_ms", "duration"),
]
WENT_IN = ("user_message", "tool_result")


def read(path: Path) -> Trace:
    """Rounds as released: a request arrives with the last thing that went in. Raises OSError."""
    rows = json_rows(content(path), str(path), SCHEMA)
    frame, malformed = take(rows, ROUND, str(path))
    ordered, start_s = arrivals_from_zero(_timed(frame))
    named = ordered.with_columns(
        user=ordinals(ordered["user_name"]),
        session=ordinals(ordered["session_name"]),
        agent=pl.lit(0, pl.Int64),
        user_started=pl.col("messages") > 0,
    )
    placed = canonical(named.with_columns(step=steps(), gap_s=gaps()))
    clock: Clock = "none" if start_s is None else "unix"
    return Trace(placed, "tracelab", str(path), clock, rows.read, start_s, malformed)


def _timed(frame: pl.DataFrame) -> pl.DataFrame:
    """Arrival of each round, and the time until its last output, from its events."""
    each = frame.with_row_index("row").select("row", "events").explode("events").unnest("events")
    at = each.with_columns(at=instant_ns(pl.col("timestamp")), into=pl.col("event_type").is_in(WENT_IN))
    ends = at.group_by("row").agg(
        instant_ns=pl.coalesce(pl.col("at").filter("into").max(), pl.col("at").min()),
        last_ns=pl.col("at").filter(~pl.col("into")).max(),
    )
    joined = frame.with_row_index("row").join(ends, on="row", how="left", maintain_order="left")
    took = (pl.col("last_ns") - pl.col("instant_ns")) / 1e9
    return joined.with_columns(server_s=pl.when(took >= 0).then(took)).drop("row", "events")


def read_replay(path: Path) -> Trace:
    """The replay CSV: arrivals of sessions, waits between rounds; `id` is read as `session_id`. Raises OSError."""
    data = content(path)
    header = data.split(b"\n", 1)[0].decode("utf-8", "replace").strip().split(",")
    fields = [Field("id", f.name, f.kind) if f.source == "session_id" and "id" in header else f for f in REPLAY]
    rows = csv_rows(data, str(path), [f.source for f in fields])
    frame, malformed = take(rows, fields, str(path))
    named = frame.with_columns(session=ordinals(frame["session_name"]), agent=pl.lit(0, pl.Int64))
    ordered = named.sort("session", "round", maintain_order=True).with_columns(step=steps())
    waited = pl.col("wait_ms").shift(1).over("session") / 1000.0
    first = pl.col("step") == 0
    start_ms = ordered["arrival_ms"].min()
    zero_ms = start_ms if isinstance(start_ms, float) else None
    placed = ordered.with_columns(
        t_s=pl.when(first).then((pl.col("arrival_ms") - (zero_ms or 0.0)) / 1000.0),
        gap_s=pl.when(~first).then(waited),
        input_tokens=pl.col("cached_tokens") + pl.col("appended"),
    )
    clock: Clock = "none" if zero_ms is None else "trace"
    start_s = None if zero_ms is None else zero_ms / 1000.0
    notes = ("only the first request of each session has an arrival; the others wait for the answer before them",)
    return Trace(canonical(placed), "tracelab-replay", str(path), clock, rows.read, start_s, malformed, notes=notes)
