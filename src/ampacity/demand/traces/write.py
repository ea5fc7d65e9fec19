"""Writing traces for replay: Mooncake JSON lines and TraceLab's replay CSV; our own Parquet is in `parquet.py`.

Both are written whole or not at all.
"""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from ampacity.base.files import write_whole
from ampacity.demand.traces import mooncake, parquet
from ampacity.demand.traces.trace import Trace, ordinals
from ampacity.scenario.mistakes import Mistake, Mistakes

WRITERS = {".parquet": "Parquet", ".jsonl": "Mooncake JSON lines", ".csv": "TraceLab's replay CSV"}


def write(trace: Trace, path: Path) -> str:
    """Write a trace in the format of the name's ending; says which. Raises Mistakes for another ending, OSError."""
    if path.suffix == ".parquet":
        parquet.write(trace, path)
    elif path.suffix == ".jsonl":
        write_whole(path, mooncake_lines(trace))
    elif path.suffix == ".csv":
        write_whole(path, replay_csv(trace))
    else:
        endings = ", ".join(f"{end} ({what})" for end, what in WRITERS.items())
        raise Mistakes([Mistake(str(path), 0, "name", path.suffix or "no ending", f"known endings are {endings}")])
    return WRITERS[path.suffix]


def mooncake_lines(trace: Trace) -> bytes:
    """A trace as Mooncake JSON lines: `timestamp` [ms] where arrivals share a clock, `hash_ids` of 512 tokens.

    Sessions are written as `session_id`, gaps after an answer as `delay` [ms], the names that aiperf reads.
    """
    frame = trace.frame
    written = {
        "timestamp": _whole_if_all(frame["t_s"] * 1000.0) if trace.shared_clock else None,
        "input_length": frame["input_tokens"],
        "output_length": frame["output_tokens"],
        "hash_ids": blocks_of(trace, mooncake.BLOCK_TOKENS),
        "session_id": _session_names(frame) if frame["session"].is_not_null().any() else None,
        "delay": frame["gap_s"] * 1000.0 if frame["gap_s"].is_not_null().any() else None,
    }
    table = pl.DataFrame({name: column for name, column in written.items() if column is not None})
    buffer = io.BytesIO()
    table.write_ndjson(buffer)
    return buffer.getvalue()


def replay_csv(trace: Trace) -> bytes:
    """A trace as TraceLab's replay CSV: a session's rounds one after the other, each after the answer before it.

    A request without a session is a session of one round, and so is each sub-agent's run one of its own. Sessions on
    clocks of their own all arrive at 0. Nothing cached that is known is `prefix_len` 0. As in the format's own export
    `input_len` and `output_len` are at least 1.
    """
    arrival_ms = (pl.col("t_s").fill_null(0.0) if trace.shared_clock else pl.lit(0.0)) * 1000.0
    appended = pl.max_horizontal(pl.col("input_tokens") - pl.col("cached_tokens").fill_null(0), pl.lit(1))
    table = trace.frame.select(
        session_id=pl.coalesce(_session_names(trace.frame), pl.format("r{}", pl.int_range(pl.len()))),
        arrival_time=arrival_ms.round(6),
        round_idx=pl.lit(0, pl.Int64),
        prefix_len=pl.max_horizontal(pl.col("input_tokens") - appended, pl.lit(0)),
        input_len=appended,
        output_len=pl.max_horizontal("output_tokens", pl.lit(1)),
        tool_wait_after_ms=pl.col("gap_s").fill_null(0.0) * 1000.0,
    )
    if trace.frame["session"].is_not_null().any():
        table = _in_rounds(table)
    return table.write_csv().encode()


def _in_rounds(table: pl.DataFrame) -> pl.DataFrame:
    """Rows session by session: arrival of the first, and the wait before a request written after the one before it."""
    numbered = table.with_columns(place=ordinals(table["session_id"]))
    rounds = numbered.with_columns(
        arrival_time=pl.col("arrival_time").first().over("place"),
        round_idx=pl.int_range(pl.len(), dtype=pl.Int64).over("place"),
        tool_wait_after_ms=pl.col("tool_wait_after_ms").shift(-1, fill_value=0.0).over("place").round(6),
    )
    return rounds.sort("place", "round_idx", maintain_order=True).drop("place")


def blocks_of(trace: Trace, tokens: int) -> pl.Series | None:
    """Prefix blocks of another size, which must be a multiple of the trace's own; None if they cannot be had.

    A new block is known by its own blocks and all before them, and counts as equal only if it is whole: what is left
    at a request's end is its own. Ids of sessions that share nothing stay apart.
    """
    own = trace.block_tokens
    if own is None or tokens % own:
        return None
    if own == tokens and not trace.blocks_local:
        return trace.frame["blocks"]
    each = tokens // own
    known: dict[object, int] = {}
    regrouped: list[list[int] | None] = []
    columns = trace.frame.select("session", "input_tokens", "blocks").iter_rows()
    for row, (session, length, ids) in enumerate(columns):
        if ids is None:
            regrouped.append(None)
            continue
        before: object = ("session", session) if trace.blocks_local else "all"
        made = []
        for begin in range(0, -(-length // tokens) * each, each):
            group = tuple(ids[begin : begin + each])
            key: object = (before, group) if len(group) == each else ("end", row, begin)
            before = known.setdefault(key, len(known))
            made.append(known[key])
        regrouped.append(made)
    return pl.Series(regrouped, dtype=pl.List(pl.Int64))


def _session_names(frame: pl.DataFrame) -> pl.Series:
    """Sessions by number, sub-agents after a point: "12", "12.1"; null without a session."""
    sub = pl.when(pl.col("agent").fill_null(0) > 0).then(pl.format(".{}", "agent")).otherwise(pl.lit(""))
    return frame.select(pl.format("{}{}", "session", sub)).to_series()


def _whole_if_all(numbers: pl.Series) -> pl.Series:
    """Whole numbers if all are whole: readers of the first Mooncake files expect them."""
    rounded = numbers.round(6)
    return rounded.cast(pl.Int64) if bool((rounded == rounded.round()).all()) else rounded
