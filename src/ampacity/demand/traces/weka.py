"""Sessions of coding agents as Weka's proxy captured them: one JSON object a session, sub-agents inside.

Blocks are of 64 tokens and their ids mean something inside one session only. What an unlimited cache would have held is
therefore counted here, session by session, in the order in which requests were sent.
Source: github.com/callanjfox/kv-cache-tester (Apache-2.0).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from ampacity.demand.traces.reuse import Cache, held
from ampacity.demand.traces.rows import MOST, Misfit, content, fitted
from ampacity.demand.traces.trace import SHOWN_FAULTS, Malformed, Trace, canonical, steps
from ampacity.scenario.mistakes import Mistake

BLOCK_TOKENS = 64
REQUEST: dict[str, pl.DataType] = {
    "t": pl.Float64(),
    "type": pl.String(),
    "model": pl.String(),
    "in": pl.Int64(),
    "out": pl.Int64(),
    "hash_ids": pl.List(pl.Int64()),
    "input_types": pl.List(pl.String()),
    "api_time": pl.Float64(),
    "think_time": pl.Float64(),
}


def read(path: Path) -> Trace:
    """One session, or a folder of `*.json` sessions in the order of their names. Raises OSError."""
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    rows: list[dict[str, Any]] = []
    faults: list[Mistake] = []
    size = None
    for session, file in enumerate(files):
        found, wrong, own = _session(file, session)
        size = own if size is None else size
        if found and own != size:
            found, wrong = [], [Mistake(str(file), 0, "block_size", str(own), f"{size}, as in the first session")]
        rows += found
        faults += wrong
    size = size or BLOCK_TOKENS
    frame = pl.DataFrame(rows, schema={**REQUEST, "session": pl.Int64(), "agent": pl.Int64()}, orient="row")
    placed = _placed(frame)
    notes = ("each session's time starts at its own first request",)
    cached = held(placed["blocks"], placed["input_tokens"], placed["t_s"], size, Cache(), scope=placed["session"])
    return Trace(
        placed.with_columns(cached_tokens=cached),
        "weka",
        str(path),
        "session",
        len(rows) + len(faults),
        None,
        Malformed(len(faults), tuple(faults[:SHOWN_FAULTS])),
        block_tokens=size,
        blocks_local=True,
        notes=notes,
    )


def _session(file: Path, session: int) -> tuple[list[dict[str, Any]], list[Mistake], int]:
    """Requests of one file, those of sub-agents too, each checked alone."""
    try:
        tree = json.loads(content(file))
    except (ValueError, RecursionError) as err:
        return [], [Mistake(str(file), getattr(err, "lineno", 0), "session", "", "one whole JSON object")], BLOCK_TOKENS
    if not isinstance(tree, dict) or not isinstance(tree.get("requests"), list):
        return [], [Mistake(str(file), 0, "requests", "nothing", "a list of requests")], BLOCK_TOKENS
    size = tree.get("block_size", BLOCK_TOKENS)
    rows: list[dict[str, Any]] = []
    faults: list[Mistake] = []
    agents = 0
    for place, request in enumerate(tree["requests"]):
        key = f"requests[{place}]"
        if isinstance(request, dict) and request.get("type") == "subagent":
            agents += 1
            own = request.get("requests")
            try:
                start = fitted(request.get("t"), REQUEST["t"], f"{key}.t") or 0.0
            except Misfit as err:
                faults.append(err.at(str(file), 0, private=False))
                continue
            for i, child in enumerate(own if isinstance(own, list) else []):
                _add(child, f"{key}.requests[{i}]", file, {"session": session, "agent": agents}, start, rows, faults)
        else:
            _add(request, key, file, {"session": session, "agent": 0}, 0.0, rows, faults)
    return rows, faults, size if isinstance(size, int) and size > 0 else BLOCK_TOKENS


def _add(
    request: Any,
    key: str,
    file: Path,
    place: dict[str, int],
    spawned_s: float,
    rows: list[dict[str, Any]],
    faults: list[Mistake],
) -> None:
    try:
        if not isinstance(request, dict):
            raise Misfit(key, request, "an object")
        row = {name: fitted(request.get(name), dtype, f"{key}.{name}") for name, dtype in REQUEST.items()}
        for name in ("t", "in", "out"):
            if row[name] is None or not 0 <= row[name] < MOST:
                raise Misfit(f"{key}.{name}", row[name], "a number, 0 or more")
    except Misfit as err:
        faults.append(err.at(str(file), 0, private=False))
        return
    # newer captures write a sub-agent's times from the session's start, older ones from the sub-agent's own
    if row["t"] < spawned_s:
        row["t"] += spawned_s
    rows.append({**row, **place})


def _placed(frame: pl.DataFrame) -> pl.DataFrame:
    """Requests in canonical columns, each session in the order in which its requests were sent."""
    ordered = frame.sort("session", "t", maintain_order=True).with_columns(
        t_s=pl.col("t") - pl.col("t").min().over("session")
    )
    later = pl.int_range(pl.len()).over("session", "agent") > 0
    by_tool = pl.col("input_types").list.contains("tool_result")
    named = ordered.with_columns(
        input_tokens=pl.col("in"),
        output_tokens=pl.col("out"),
        gap_s=pl.when(later & (pl.col("think_time") >= 0)).then("think_time"),
        server_s=pl.when(pl.col("api_time") >= 0).then("api_time"),
        user_started=(pl.col("agent") == 0) & ~by_tool,
        blocks=pl.col("hash_ids"),
    )
    return canonical(named.with_columns(step=steps()))
