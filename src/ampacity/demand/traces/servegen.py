"""ServeGen client windows: rate and burstiness of each client in each 600 s. These are no requests, and stay windows.

As published: one CSV a client without header (`t,rate,cv,pattern,shape,scale`), in a folder a model; or all of them in
one Parquet or CSV table with `model` and `client`.
Source: github.com/alibaba/ServeGen (Apache-2.0); Xiang et al., arXiv 2505.09999.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from ampacity.demand.traces.rows import Field, Rows, content, csv_rows, take
from ampacity.demand.traces.trace import Malformed
from ampacity.scenario.mistakes import Mistake, Mistakes

WINDOW_S = 600.0
HEADER = ("t", "rate", "cv", "pattern", "a", "b")
FIELDS = [
    Field("model", "model", "text", always=False),
    Field("client", "client", "count"),
    Field("t", "t_s", "number"),
    Field("rate", "rate_per_s", "duration"),
    Field("cv", "cv", "duration", always=False),
    Field("pattern", "pattern", "text", always=False),
    Field("a", "shape", "duration", always=False),
    Field("b", "scale_s", "duration", always=False),
]


@dataclass(frozen=True)
class Windows:
    """Client windows: model, client, t_s (start) [s], rate_per_s, cv of the time between arrivals, and the law fitted.

    Clients are organisations or applications. The fitted mean is not always 1/rate: rescale what is drawn.
    """

    frame: pl.DataFrame
    source: str
    rows_read: int
    malformed: Malformed = field(default_factory=Malformed)

    def totals(self) -> pl.DataFrame:
        """Per model and window, all clients together: `rate_per_s` and active `clients`."""
        active = self.frame.filter(pl.col("rate_per_s") > 0)
        summed = active.group_by("model", "t_s").agg(pl.col("rate_per_s").sum(), clients=pl.len())
        return summed.sort("model", "t_s")


def read_windows(path: Path) -> Windows:
    """Windows of one table, of one client's CSV, or of a folder of them. Raises OSError."""
    files = sorted(path.rglob("*.csv"), key=_client) if path.is_dir() else [path]
    found = [_one(file, number) for number, file in enumerate(files)]
    frames = [take(rows, FIELDS, str(file)) for rows, file in found]
    malformed = sum((wrong for _, wrong in frames), Malformed())
    frame = pl.concat([frame.drop("line") for frame, _ in frames]) if frames else pl.DataFrame()
    return Windows(frame, str(path), sum(rows.read for rows, _ in found), malformed)


def _one(file: Path, number: int) -> tuple[Rows, Path]:
    if file.suffix == ".parquet":
        names = [f.source for f in FIELDS]
        try:
            table = pl.read_parquet(file, columns=names).with_columns(pl.col("model", "pattern").cast(pl.String))
        except pl.exceptions.PolarsError as err:
            message = f"expected columns {', '.join(names)}"
            raise Mistakes([Mistake(str(file), 0, "servegen", "not readable", message)]) from err
        table = table.with_columns(line=pl.int_range(1, table.height + 1, dtype=pl.Int64))
        return Rows(table, table.height), file
    data = content(file)
    if data.startswith(b"model,"):
        return csv_rows(data, str(file), [f.source for f in FIELDS]), file
    rows = csv_rows(",".join(HEADER).encode() + b"\n" + data, str(file), list(HEADER))
    client = _client(file) if _client(file) >= 0 else number
    named = rows.frame.with_columns(pl.col("line") - 1, model=pl.lit(file.parent.name), client=pl.lit(str(client)))
    return Rows(named, rows.read, rows.malformed), file


def _client(file: Path) -> int:
    """The client's number in names like `chunk-12-trace.csv`; -1 if there is none."""
    match = re.search(r"(\d+)", file.stem)
    return int(match[1]) if match else -1
