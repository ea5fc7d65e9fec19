"""BurstGPT: arrivals and lengths of requests to ChatGPT and GPT-4 services; the third part has sessions, too.

Six columns (`Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type`), or eight with `Session ID` and
`Elapsed time`. A failed request has no response tokens and stays a request.
Source: github.com/HPMLL/BurstGPT (CC BY 4.0); Wang et al., arXiv 2401.17644.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ampacity.demand.traces.rows import Field, content, csv_rows, take
from ampacity.demand.traces.trace import Trace, arrivals_from_zero, canonical, gaps, ordinals, steps

FIELDS = [
    Field("Timestamp", "t_s", "number"),
    Field("Session ID", "session_name", "text", always=False),
    Field("Elapsed time", "server_s", "duration", always=False),
    Field("Model", "model", "text", always=False),
    Field("Request tokens", "input_tokens", "count"),
    Field("Response tokens", "output_tokens", "count"),
    Field("Log Type", "tier", "text", always=False),
]


def read(path: Path) -> Trace:
    """A BurstGPT file of six or eight columns; `tier` is its log type. Raises OSError."""
    rows = csv_rows(content(path), str(path), [f.source for f in FIELDS])
    frame, malformed = take(rows, FIELDS, str(path))
    ordered, start_s = arrivals_from_zero(frame)
    named = ordered.with_columns(session=ordinals(ordered["session_name"]), agent=pl.lit(None, pl.Int64))
    placed = named.with_columns(step=steps(), gap_s=gaps())
    failed = int((placed["output_tokens"] == 0).sum())
    notes = (f"requests without output, failed or filtered: {failed:,}",) if failed else ()
    return Trace(canonical(placed), "burstgpt", str(path), "trace", rows.read, start_s, malformed, notes=notes)
