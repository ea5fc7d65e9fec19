"""LiteLLM's spend logs: the table LiteLLM_SpendLogs as JSON, JSON lines or CSV, read for counts and times only.

Messages, responses, addresses and keys in it are not looked at; users and sessions become ordinals. A row that
LiteLLM answered from its own response cache, a failed call, and a call that generates nothing (embedding, ...) are set
aside: no model served them.
Source of the columns: github.com/BerriAI/litellm, litellm/proxy/schema.prisma.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from ampacity.demand.traces.rows import Field, Rows, content, csv_rows, take
from ampacity.demand.traces.trace import Malformed, Trace, arrivals_from_zero, canonical, gaps, ordinals, steps
from ampacity.scenario.mistakes import Mistake

COLUMNS = [
    "call_type", "status", "startTime", "endTime", "prompt_tokens", "completion_tokens", "model", "user", "end_user",
    "api_key", "session_id", "cache_hit", "metadata",
]  # fmt: skip
FIELDS = [
    Field("startTime", "instant_ns", "instant"),
    Field("endTime", "end_ns", "instant", always=False),
    Field("prompt_tokens", "input_tokens", "count"),
    Field("completion_tokens", "output_tokens", "count"),
    Field("cached", "cached_tokens", "count", always=False),
    Field("model", "model", "text", always=False),
    Field("who", "user_name", "text", always=False),
    Field("session_id", "session_name", "text", always=False),
]
ASIDE = {
    "answered from the response cache": pl.col("cache_hit").str.to_lowercase() == "true",
    "failed": pl.col("status").str.to_lowercase() == "failure",
    "no generation": ~pl.col("call_type").str.contains("completion|responses|message|generate_content"),
}


def read(path: Path) -> Trace:
    """Spend logs as a trace of users' requests; server time runs from startTime to endTime. Raises OSError."""
    rows = _rows(content(path), str(path))
    who = pl.coalesce(*(pl.when(pl.col(c) != "").then(c) for c in ("user", "end_user", "api_key")))
    session = pl.when(pl.col("session_id") != "").then("session_id")
    named = rows.frame.with_columns(
        who=who, session_id=session, cached=pl.col("metadata").map_elements(cached_in, return_dtype=pl.String)
    )
    aside: dict[str, int] = {}
    for reason, holds in ASIDE.items():
        out = named.select(holds.fill_null(False)).to_series()
        aside |= {reason: int(out.sum())} if out.any() else {}
        named = named.filter(~out)
    frame, malformed = take(Rows(named, rows.read, rows.malformed), FIELDS, str(path), private=True)
    took = (pl.col("end_ns") - pl.col("instant_ns")) / 1e9
    ordered, start_s = arrivals_from_zero(frame.with_columns(server_s=pl.when(took >= 0).then(took)))
    placed = ordered.with_columns(
        user=ordinals(ordered["user_name"]),
        session=ordinals(ordered["session_name"]),
        agent=pl.when(pl.col("session_name").is_not_null()).then(pl.lit(0, pl.Int64)),
    ).with_columns(step=steps(), gap_s=gaps())
    return Trace(canonical(placed), "litellm", str(path), "unix", rows.read, start_s, malformed, aside)


def _rows(data: bytes, file: str) -> Rows:
    """The columns as text, whichever way they were exported; in JSON, `line` counts the rows of the table."""
    start = data.lstrip()[:1]
    if start not in (b"[", b"{"):
        return csv_rows(data, file, COLUMNS)
    try:
        tree = json.loads(data)
        listed = tree.get("data", [tree]) if isinstance(tree, dict) else tree
        each = [(i, row) for i, row in enumerate(listed, 1)]
    except (ValueError, RecursionError):
        each = [(i, _parsed(line)) for i, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    faults = [Mistake(file, i, "row", "", "one JSON object a row") for i, row in each if not isinstance(row, dict)]
    taken = [{**{c: _text(row.get(c)) for c in COLUMNS}, "line": i} for i, row in each if isinstance(row, dict)]
    frame = pl.DataFrame(taken, schema={**dict.fromkeys(COLUMNS, pl.String()), "line": pl.Int64()}, orient="row")
    return Rows(frame, len(each), Malformed(len(faults), tuple(faults[:20])))


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def cached_in(metadata: str | None) -> str | None:
    """Input tokens that the provider read from its cache, as a row's metadata says; None if it does not."""
    if not metadata or "cache" not in metadata:
        return None
    tree = _parsed(metadata.encode())
    for usage in _usages(tree):
        for found in (usage.get("cache_read_input_tokens"), _within(usage, "prompt_tokens_details", "cached_tokens")):
            if isinstance(found, int) and not isinstance(found, bool):
                return str(found)
    return None


def _usages(tree: Any) -> list[dict[str, Any]]:
    """The places where LiteLLM keeps a provider's usage."""
    found = [tree.get(k) for k in ("usage_object", "additional_usage_values")] if isinstance(tree, dict) else []
    return [usage for usage in found if isinstance(usage, dict)]


def _within(usage: dict[str, Any], outer: str, inner: str) -> Any:
    details = usage.get(outer)
    return details.get(inner) if isinstance(details, dict) else None
