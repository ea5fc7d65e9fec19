"""One active session-hour: what an hour of work with an agent asks for, and what hours per week mean in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ampacity.demand.sessions import Served

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PAUSE_S = 300.0
"""A session is active until five minutes after a request; longer pauses count as that much. [s]"""


@dataclass(frozen=True)
class SessionHour:
    """What main agents ask for in an hour in which their session is active. hours: active ones, all sessions."""

    requests: float
    input_tokens: float
    uncached_tokens: float
    output_tokens: float
    context_tokens: float
    hours: float


def session_hour(done: Served) -> SessionHour:
    """The mean active session-hour of served sessions, their helpers left out, pauses capped at five minutes.

    context_tokens is the mean context of a decoding sequence: each request's input and half its output, weighted by
    output.
    """
    s = done.steps
    main = s.agent == 0
    return _hour(s.session[main], done.t_s[main], s.input_tokens[main], done.cached_tokens[main], s.output_tokens[main])


def measured_session_hour(frame: pl.DataFrame) -> SessionHour | None:
    """The same of requests that were measured (`requests.COLUMNS`); nothing if the trace does not time them all."""
    main = frame.filter(pl.col("agent") == 0)
    if "t_s" not in main.columns or main["t_s"].null_count():
        return None
    ordinal = main["session"].rank("dense").to_numpy().astype(np.int64)
    tokens = [main[name].to_numpy() for name in ("input_tokens", "cached_tokens", "output_tokens")]
    hour = _hour(ordinal, main["t_s"].to_numpy(), *tokens)
    return hour if np.isfinite(hour.requests) else None


def _hour(session: Ints, t_s: Floats, whole: Ints, cached: Ints, output: Ints) -> SessionHour:
    """Requests ordered by session and time, all of main agents; infinite rates if no time passes in any session."""
    between = np.diff(t_s)[session[1:] == session[:-1]]
    hours = float(np.clip(between, 0.0, PAUSE_S).sum()) / 3600.0
    per_hour = 1.0 / hours if hours > 0 else np.inf
    inputs, outputs = whole.astype(float), output.astype(float)
    return SessionHour(
        requests=len(t_s) * per_hour,
        input_tokens=float(inputs.sum()) * per_hour,
        uncached_tokens=float((inputs - cached).sum()) * per_hour,
        output_tokens=float(outputs.sum()) * per_hour,
        context_tokens=float(np.average(inputs + outputs / 2, weights=outputs)),
        hours=hours,
    )
