"""Requests of real sessions as one frame: the columns that fitting and goodness of fit look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ampacity.demand.service import fit_service
from ampacity.demand.traces import read
from ampacity.scenario.mistakes import Mistake, Mistakes

COLUMNS = ("session", "agent", "step", "input_tokens", "cached_tokens", "output_tokens", "gap_s", "user_started")
"""session, agent (0 = main), step (from 0 within the agent); whole input, what of it an unlimited cache holds, output
[token]; gap from the answer before to the request, or nothing where unknown [s]; whether the user began the step."""

COUNTED = ("input_tokens", "cached_tokens", "output_tokens")


@dataclass(frozen=True)
class Requests:
    """Requests of the sessions whose every request is counted. frame: COLUMNS and, where known, `t_s` and `server_s`.
    left_out: sessions of which some request's input, cached part or output is not known."""

    frame: pl.DataFrame
    left_out: int = 0


def read_requests(path: Path) -> Requests:
    """Requests of a trace in any format that knows sessions.

    Raises Mistakes, and OSError.
    """
    return requests(read.read(path).frame, str(path))


def requests(raw: pl.DataFrame, where: str = "the frame") -> Requests:
    """A frame with at least COLUMNS as these alone, sorted by session, agent, step. Raises Mistakes."""
    missing = [name for name in COLUMNS if name not in raw.columns]
    if missing:
        raise Mistakes([Mistake(where, 0, name, "", "no such column") for name in missing])
    if len(raw) == 0:
        raise _mistake(where, "rows", "none", "a trace of sessions has requests")
    frame = raw.filter(pl.col("session").is_not_null())
    # a session with a gap in its counts would be told as one that is cached less, or shorter
    counted = pl.all_horizontal(pl.col(name).is_not_null() for name in COUNTED).all().over("session")
    whole_sessions = frame.filter(counted)
    if len(whole_sessions) == 0:
        message = "sessions are needed in which what a cache held of each input is told; it is not known here"
        raise _mistake(where, "cached_tokens", "nothing, or not of every request", message)
    left_out = frame["session"].n_unique() - whole_sessions["session"].n_unique()
    frame = whole_sessions
    whole = [pl.col(n).cast(pl.Int64) for n in (*COUNTED, "step", "agent")]
    extra = [pl.col(n).cast(pl.Float64) for n in ("t_s", "server_s") if n in frame.columns]
    frame = frame.select(
        pl.col("session"),
        *whole,
        pl.when(pl.col("step") == 0)
        .then(0.0)
        .otherwise(pl.col("gap_s").cast(pl.Float64).fill_nan(None))
        .alias("gap_s"),
        pl.col("user_started").cast(pl.Boolean),
        *extra,
    )
    wrong = frame.filter(
        (pl.col("input_tokens") < 0)
        | (pl.col("output_tokens") < 0)
        | (pl.col("cached_tokens") < 0)
        | (pl.col("cached_tokens") > pl.col("input_tokens"))
        | (pl.col("gap_s") < 0)
    )
    if len(wrong):
        first = f"{len(wrong):,} of {len(frame):,} rows, first session {wrong['session'][0]} step {wrong['step'][0]}"
        raise _mistake(
            where, "rows", first, "counts and gaps are 0 or more, and no more is cached than the whole input"
        )
    return Requests(_possible_gaps(frame.sort("session", "agent", "step")), left_out)


def _mistake(where: str, key: str, found: str, message: str) -> Mistakes:
    return Mistakes([Mistake(where, 0, key, found, message)])


def _possible_gaps(frame: pl.DataFrame) -> pl.DataFrame:
    """Gaps after answers that were not timed, from the time between requests and the law of the timed answers.

    Traces record such gaps longer than the whole time between two requests, which cannot be.
    """
    if not {"t_s", "server_s"} <= set(frame.columns):
        return frame
    whole, cached, output = (frame[name].to_numpy().astype(np.float64) for name in COUNTED)
    timed = frame.with_columns(taken=fit_service(frame).answer_s(whole - cached, whole, output))
    agent = ["session", "agent"]
    between = pl.col("t_s").diff().over(agent)
    untimed = pl.col("server_s").is_null().shift().over(agent) & between.is_not_null()
    gap = (between - pl.col("taken").shift().over(agent)).clip(0.0).round(0)
    return timed.with_columns(gap_s=pl.when(untimed).then(gap).otherwise(pl.col("gap_s"))).drop("taken")


def session_split(frame: pl.DataFrame, share: float, order: np.random.Generator) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The requests of a random share of the sessions, and those of the others."""
    sessions = frame["session"].unique().sort().to_numpy()
    chosen = order.permutation(sessions)[: round(share * len(sessions))]
    inside = pl.col("session").is_in(chosen.tolist())
    return frame.filter(inside), frame.filter(~inside)
