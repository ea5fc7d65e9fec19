"""Reading and writing traces: CPU and wall seconds for ten million requests, beside polars reading the bare columns."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ampacity.demand.traces import azure, mooncake, parquet
from ampacity.demand.traces.reuse import Cache, hit_share, with_cache
from ampacity.demand.traces.trace import Trace
from ampacity.demand.traces.write import write
from measure import arguments, publish

BLOCKS_EACH = 24  # as the mean of the Mooncake conversation trace


def azure_file(path: Path, rows: int) -> None:
    """A CSV in Azure's columns, Poisson arrivals over a day, lengths log-normal."""
    rng = np.random.default_rng(1)
    at = np.cumsum(rng.exponential(86_400e9 / rows, rows)).astype("timedelta64[ns]") + np.datetime64("2024-05-10", "ns")
    lengths = [np.exp(rng.normal(mean, 1.0, rows)).astype(np.int64) + 1 for mean in (7.0, 4.0)]
    table = pl.DataFrame({"TIMESTAMP": at, "ContextTokens": lengths[0], "GeneratedTokens": lengths[1]})
    stamp = pl.col("TIMESTAMP").dt.strftime("%Y-%m-%d %H:%M:%S%.9f").str.slice(0, 27)
    table.with_columns(stamp).write_csv(path)


def mooncake_file(path: Path, rows: int) -> None:
    """Mooncake JSON lines: half of each request's blocks are those of one of a thousand conversations."""
    rng = np.random.default_rng(2)
    half = BLOCKS_EACH // 2
    shared = rng.integers(0, 1000, rows)[:, None] * half + np.arange(half)
    own = 1_000_000 + np.arange(rows * half).reshape(rows, half)
    table = pl.DataFrame(
        {
            "timestamp": np.cumsum(rng.integers(0, 10, rows)),
            "input_length": np.full(rows, 512 * BLOCKS_EACH),
            "output_length": rng.integers(1, 500, rows),
            "hash_ids": np.hstack([shared, own]),
        },
        schema_overrides={"hash_ids": pl.Array(pl.Int64, BLOCKS_EACH)},
    )
    table.with_columns(pl.col("hash_ids").cast(pl.List(pl.Int64))).write_ndjson(path)


def timed(figures: dict[str, Any], name: str, function: Callable[[], Any]) -> Any:
    """Run once, and note processor and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = function()
    figures[f"{name}, CPU s"] = time.process_time() - cpu
    figures[f"{name}, wall s"] = time.perf_counter() - wall
    return result


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "")
    rows, blocked = (200_000, 20_000) if options.smoke else (10_000_000, 1_000_000)
    figures: dict[str, Any] = {"rows": rows, "rows with blocks": blocked}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        azure_file(folder / "azure.csv", rows)
        mooncake_file(folder / "mooncake.jsonl", blocked)
        bare = lambda: pl.read_csv(folder / "azure.csv")  # noqa: E731
        timed(figures, "polars alone, the CSV as it stands", bare)
        trace: Trace = timed(figures, "Azure CSV, checked and canonical", lambda: azure.read(folder / "azure.csv"))
        assert trace.frame.height == rows
        figures["ratio of CPU"] = (
            figures["Azure CSV, checked and canonical, CPU s"] / figures["polars alone, the CSV as it stands, CPU s"]
        )
        timed(figures, "write Parquet", lambda: parquet.write(trace, folder / "t.parquet"))
        timed(figures, "read Parquet", lambda: parquet.read(folder / "t.parquet"))
        timed(figures, "write TraceLab replay CSV", lambda: write(trace, folder / "t.csv"))
        blocks: Trace = timed(figures, "Mooncake JSON lines", lambda: mooncake.read(folder / "mooncake.jsonl"))
        share = timed(figures, "hit share, unlimited cache", lambda: hit_share(with_cache(blocks, Cache()).frame))
        figures["hit share, unlimited cache"] = share
        lru = Cache(tokens=512 * 12_000)
        timed(figures, "hit share, LRU of 6 M tokens", lambda: hit_share(with_cache(blocks, lru).frame))
    publish("traces", figures, options.json)


if __name__ == "__main__":
    main()
