"""The noun `Trace`: requests in one canonical frame, where they come from, and what of the source was not taken.

Open-loop time (`t_s`, when a request arrived) and closed-loop time (`gap_s`, how long the client thought after the
former answer) stand in columns of their own: a replay of one is no replay of the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from ampacity.scenario.mistakes import Mistake, Mistakes

# Users, sessions and agents are ordinals: who they are in the source stays there. 64 bits, since 38 thousand agent
# requests already pass 2^31 tokens. `t_s` [s] counts from the first request (of the trace, or of each session: see
# `Trace.clock`). `input_tokens` is the whole input, `cached_tokens` the part of it that a prefix cache held. `gap_s`
# [s] runs from the session's former answer, `server_s` [s] from arrival to the last token, `ttft_s` [s] to the first.
# `blocks` are ids of equal prefix blocks. Null: the source does not say.
COLUMNS: dict[str, pl.DataType] = {
    "t_s": pl.Float64(),
    "user": pl.Int64(),
    "tier": pl.String(),
    "session": pl.Int64(),
    "agent": pl.Int64(),
    "step": pl.Int64(),
    "model": pl.String(),
    "input_tokens": pl.Int64(),
    "cached_tokens": pl.Int64(),
    "output_tokens": pl.Int64(),
    "gap_s": pl.Float64(),
    "server_s": pl.Float64(),
    "ttft_s": pl.Float64(),
    "user_started": pl.Boolean(),
    "blocks": pl.List(pl.Int64()),
}
SHOWN_FAULTS = 20

# unix, trace: one clock for all requests; session: each session's own; none: the source has no arrivals
Clock = Literal["unix", "trace", "session", "none"]


@dataclass(frozen=True)
class Malformed:
    """Rows that could not be taken: how many, and the first of them with line, what was found, what belongs there."""

    count: int = 0
    first: tuple[Mistake, ...] = ()

    def __add__(self, other: Malformed) -> Malformed:
        return Malformed(self.count + other.count, (self.first + other.first)[:SHOWN_FAULTS])

    def as_error(self, file: str) -> Mistakes:
        """One error that lists them, and says how many more there are."""
        more = self.count - len(self.first)
        rest = [Mistake(file, 0, f"{self.count:,} rows", "", f"the first {len(self.first)} of them:")] if more else []
        return Mistakes([*rest, *self.first])


@dataclass(frozen=True)
class Trace:
    """Requests of one source.

    frame: a row a request, columns as in `COLUMNS`. start_s: what the source's clock showed at t_s = 0; Unix time if
    `clock` is "unix". rows_read: all rows of the source that are not blank = requests + malformed + set aside.
    aside: well-formed rows that are no request of their own, counted by reason. block_tokens: tokens in one of `blocks`
    [token]; blocks_local: whether their ids mean something inside one session only.
    """

    frame: pl.DataFrame
    format: str
    source: str
    clock: Clock
    rows_read: int
    start_s: float | None = None
    malformed: Malformed = Malformed()
    aside: Mapping[str, int] = field(default_factory=dict)
    block_tokens: int | None = None
    blocks_local: bool = False
    notes: tuple[str, ...] = ()

    @property
    def shared_clock(self) -> bool:
        """Whether arrivals of different sessions may be compared."""
        return self.clock in ("unix", "trace")


def canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """All columns of `COLUMNS` in their order and type; what is missing is null."""
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in COLUMNS.items()
    )


def arrivals_from_zero(frame: pl.DataFrame) -> tuple[pl.DataFrame, float | None]:
    """Requests in order of arrival with `t_s` from the first of them, and what the clock showed then [s].

    Instants in whole nanoseconds (`instant_ns`) are subtracted before they become floating point: a Unix time with
    seven decimals does not fit in one.
    """
    if "instant_ns" in frame.columns:
        first_ns = frame["instant_ns"].min()
        if not isinstance(first_ns, int):
            return frame.drop("instant_ns").with_columns(t_s=pl.lit(None, pl.Float64)), None
        ordered = frame.sort("instant_ns", maintain_order=True)
        return ordered.with_columns(t_s=(pl.col("instant_ns") - first_ns) / 1e9).drop("instant_ns"), first_ns / 1e9
    first_s = frame["t_s"].min()
    if not isinstance(first_s, float):
        return frame, None
    return frame.sort("t_s", maintain_order=True, nulls_last=True).with_columns(pl.col("t_s") - first_s), first_s


def ordinals(names: pl.Series) -> pl.Series:
    """Names as 0, 1, 2, ... in order of first appearance; null stays null."""
    known = names.drop_nulls().unique(maintain_order=True)
    numbered = pl.DataFrame({"name": known, "number": pl.int_range(known.len(), dtype=pl.Int64, eager=True)})
    return pl.DataFrame({"name": names}).join(numbered, on="name", how="left", maintain_order="left")["number"]


def steps() -> pl.Expr:
    """The place of each row among those of its session and agent, from 0; null where there is no session."""
    place = pl.int_range(pl.len(), dtype=pl.Int64).over("session", "agent")
    return pl.when(pl.col("session").is_not_null()).then(place)


def gaps() -> pl.Expr:
    """Time between a session's former answer and the next request [s]; null for the first, or if they overlap."""
    answered = (pl.col("t_s") + pl.col("server_s")).shift(1).over("session", "agent")
    gap = pl.col("t_s") - answered
    return pl.when(pl.col("session").is_not_null() & (gap >= 0)).then(gap)
