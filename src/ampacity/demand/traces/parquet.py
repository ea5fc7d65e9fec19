"""Our own Parquet: the canonical frame as it is, with what else a `Trace` knows in the file's metadata."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import get_args

import polars as pl

from ampacity.base.files import write_whole
from ampacity.demand.traces.rows import Field, Kind, Rows, take
from ampacity.demand.traces.trace import COLUMNS, Clock, Trace, canonical
from ampacity.scenario.mistakes import Mistake, Mistakes

KEY = "ampacity.trace"
ALWAYS = ("input_tokens", "output_tokens")
KINDS: dict[str, Kind] = {"t_s": "number", "gap_s": "duration", "server_s": "duration", "ttft_s": "duration"}


def write(trace: Trace, path: Path) -> None:
    """Write a trace, whole or not at all. Raises OSError."""
    about = {
        "format": trace.format,
        "clock": trace.clock,
        "start_s": trace.start_s,
        "block_tokens": trace.block_tokens,
        "blocks_local": trace.blocks_local,
        "notes": trace.notes,
    }
    buffer = io.BytesIO()
    trace.frame.write_parquet(buffer, compression="zstd", metadata={KEY: json.dumps(about)})
    write_whole(path, buffer.getvalue())


def read(path: Path) -> Trace:
    """A trace that was written before; columns that are missing are null. Raises OSError, and Mistakes if damaged."""
    try:
        table = pl.read_parquet(path)
        about = json.loads(pl.read_parquet_metadata(path).get(KEY, "{}"))
    except (pl.exceptions.PolarsError, ValueError) as err:
        raise Mistakes([Mistake(str(path), 0, "parquet", "", "the file is damaged or cut off")]) from err
    fields = [
        Field(name, name, _kind(name, dtype), always=name in ALWAYS)
        for name, dtype in COLUMNS.items()
        if name in table.columns or name in ALWAYS
    ]
    missing = [name for name in ALWAYS if name not in table.columns]
    if missing:
        raise Mistakes([Mistake(str(path), 0, name, "no such column", "token counts") for name in missing])
    rows = Rows(table.with_columns(line=pl.int_range(1, table.height + 1, dtype=pl.Int64)), table.height)
    frame, malformed = take(rows, fields, str(path))
    default: Clock = "trace" if "t_s" in table.columns else "none"
    clock: Clock = about["clock"] if about.get("clock") in get_args(Clock) else default
    return Trace(
        canonical(frame),
        about.get("format", "parquet"),
        str(path),
        clock,
        table.height,
        about.get("start_s"),
        malformed,
        block_tokens=about.get("block_tokens"),
        blocks_local=bool(about.get("blocks_local", False)),
        notes=tuple(about.get("notes", ())),
    )


def _kind(name: str, dtype: pl.DataType) -> Kind:
    if name in KINDS:
        return KINDS[name]
    if dtype == pl.Int64:
        return "count"
    return "text" if dtype == pl.String else "as-is"
