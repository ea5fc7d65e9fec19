"""A run of a real server, request by request, and the same requests on the engine here: what both of them met.

The log is vLLM's as LLMServingSim records it (one JSON object a request). What it knows of instants is the engine's
own: a request is queued, its first token comes out, its last. What happens before the queue (HTTP, tokens of a text) is
on another clock; the shortest time between the two stands for no time at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ampacity.demand.traces.read import detect
from ampacity.demand.traces.rows import Field, content, json_rows, take
from ampacity.inference.work import Array
from ampacity.scenario.mistakes import Mistake, Mistakes
from ampacity.simulator.engine import PS_PER_S, Engine
from ampacity.simulator.open_loop import Served, serve_open_loop
from ampacity.simulator.rows import Ints
from ampacity.simulator.step_table import StepTable

SCHEMA: dict[str, pl.DataType] = {
    "input_toks": pl.Int64(),
    "output_toks": pl.Int64(),
    "arrival_time": pl.Float64(),
    "queued_ts": pl.Float64(),
    "first_token_ts": pl.Float64(),
    "last_token_ts": pl.Float64(),
}
FIELDS = [
    Field("input_toks", "input_tokens", "count"),
    Field("output_toks", "output_tokens", "count"),
    Field("arrival_time", "arrival_s", "number"),
    Field("queued_ts", "queued_s", "number"),
    Field("first_token_ts", "first_s", "number"),
    Field("last_token_ts", "last_s", "number"),
]
QUANTITIES = ("ttft", "tpot", "latency")
STATISTICS = ("mean", "p50", "p99")


@dataclass(frozen=True)
class Times:
    """Instants of the first and the last token of every request. [s]"""

    first_s: Array
    last_s: Array


@dataclass(frozen=True)
class LoggedRun:
    """Requests in the order of their arrival; instants from the first arrival on. [s]

    output_tokens: at least 2, so that there is a time per token. met: on the server.
    """

    file: str
    arrival_s: Array
    input_tokens: Ints
    output_tokens: Ints
    met: Times

    def __len__(self) -> int:
        return len(self.arrival_s)

    @property
    def end_s(self) -> float:
        """When the last token of all came out. [s]"""
        return float(self.met.last_s.max())

    def until(self, end_s: float) -> LoggedRun:
        """The requests that had come by an instant."""
        n = int(np.searchsorted(self.arrival_s, end_s, side="right"))
        met = Times(self.met.first_s[:n], self.met.last_s[:n])
        return LoggedRun(self.file, self.arrival_s[:n], self.input_tokens[:n], self.output_tokens[:n], met)

    def ttft_s(self, t: Times) -> Array:
        """From arrival to the first token. [s]"""
        return t.first_s - self.arrival_s

    def tpot_s(self, t: Times) -> Array:
        """Mean time of a token after the first. [s]"""
        return (t.last_s - t.first_s) / (self.output_tokens - 1)

    def latency_s(self, t: Times) -> Array:
        """From arrival to the last token. [s]"""
        return t.last_s - self.arrival_s


def is_logged_run(path: Path) -> bool:
    """Whether a file is such a log, by what it holds."""
    try:
        return detect(path) == "vllm"
    except (OSError, Mistakes):
        return False


def read_logged_run(path: Path) -> LoggedRun:
    """Read a log. A request that the log lost would still have loaded the server, so every row must be whole.

    Raises OSError; Mistakes that lists the rows that are not, or that none is there.
    """
    file = str(path)
    rows = json_rows(content(path), file, SCHEMA, private=True)
    frame, malformed = take(rows, FIELDS, file, private=True)
    if malformed.count:
        raise malformed.as_error(file)
    if frame.height == 0:
        raise Mistakes([Mistake(file, 0, "rows", "", "none; expected a JSON object a request")])
    frame = frame.sort("arrival_s", maintain_order=True)
    inputs, outputs = (frame[name].to_numpy().astype(np.int64) for name in ("input_tokens", "output_tokens"))
    arrival, queued, first, last = (frame[n].to_numpy() for n in ("arrival_s", "queued_s", "first_s", "last_s"))
    _refuse(
        file,
        {
            "input_toks: expected at least 1": inputs < 1,
            "output_toks: expected at least 2, or there is no time per token": outputs < 2,
            "first_token_ts: expected after queued_ts": first <= queued,
            "last_token_ts: expected after first_token_ts": last <= first,
        },
    )
    start = arrival[0] + (queued - arrival).min()  # of the first arrival, by the engine's clock
    return LoggedRun(file, arrival - arrival[0], inputs, outputs, Times(first - start, last - start))


def replayed(run: LoggedRun, engine: Engine, step: StepTable) -> tuple[Times, Served]:
    """The same requests at the same instants on one replica. No prompt shares anything with another's.

    Raises ValueError if a request could never fit.
    """
    at = np.rint(run.arrival_s * PS_PER_S).astype(np.int64)
    own = np.arange(1, len(run) + 1)  # whoever gives way finds what is left of its own blocks
    s = serve_open_loop(engine, step, at, run.input_tokens, run.output_tokens, session=own)
    return Times(s.first_ps / PS_PER_S, s.finish_ps / PS_PER_S), s


def later(run: LoggedRun, after_s: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The requests whose first token, and those whose last one, the server told only after an instant.

    Raises ValueError if there are none.
    """
    first, last = run.met.first_s > after_s, run.met.last_s > after_s
    if not (first.any() and last.any()):
        raise ValueError(f"{run.file}: nothing came out after {after_s:g} s")
    return first, last


def statistics(run: LoggedRun, found: Times, after_s: float = 0.0) -> dict[str, float]:
    """Mean, median and p99 of TTFT, TPOT and latency: "ttft mean" and so on. [s]

    after_s: what the server told only later counts: TTFT of first tokens after it, TPOT and latency of last ones.
    Raises ValueError if nothing came later.
    """
    first, last = later(run, after_s)
    parts = (run.ttft_s(found)[first], run.tpot_s(found)[last], run.latency_s(found)[last])
    return {f"{name} {s}": _statistic(x, s) for name, x in zip(QUANTITIES, parts, strict=True) for s in STATISTICS}


def errors(run: LoggedRun, found: Times, after_s: float = 0.0) -> dict[str, float]:
    """How far the statistics are off, as shares of the server's. Raises ValueError if nothing came later."""
    theirs = statistics(run, run.met, after_s)
    return {key: ours / theirs[key] - 1 for key, ours in statistics(run, found, after_s).items()}


def median_errors(run: LoggedRun, found: Times, after_s: float = 0.0) -> tuple[float, float]:
    """Median error of TTFT and of TPOT, request by request, of what the server told only after `after_s`."""
    begun, ended = run.met.first_s > after_s, run.met.last_s > after_s
    first = np.abs(run.ttft_s(found)[begun] / run.ttft_s(run.met)[begun] - 1)
    each = np.abs(run.tpot_s(found)[ended] / run.tpot_s(run.met)[ended] - 1)
    return float(np.median(first)), float(np.median(each))


def _statistic(values: Array, name: str) -> float:
    return float(values.mean() if name == "mean" else np.quantile(values, int(name[1:]) / 100))


def _refuse(file: str, wrong: dict[str, NDArray[np.bool_]]) -> None:
    found = [
        Mistake(file, 0, key.split(":")[0], f"{at.sum()} requests", key.split(": ", 1)[1])
        for key, at in wrong.items()
        if at.any()
    ]
    if found:
        raise Mistakes(found)
