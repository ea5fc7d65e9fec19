"""One active session-hour: what an hour of work with an agent asks for, and what hours per week mean in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ampacity.demand.sessions import Served

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
    t, step = done.t_s[main], s.step[main]
    between = np.diff(t, prepend=0.0)
    hours = float(np.minimum(between[step > 0], PAUSE_S).sum()) / 3600.0
    whole, output = s.input_tokens[main].astype(float), s.output_tokens[main].astype(float)
    return SessionHour(
        requests=len(t) / hours,
        input_tokens=float(whole.sum()) / hours,
        uncached_tokens=float((whole - done.cached_tokens[main]).sum()) / hours,
        output_tokens=float(output.sum()) / hours,
        context_tokens=float(np.average(whole + output / 2, weights=output)),
        hours=hours,
    )
