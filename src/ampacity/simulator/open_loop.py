"""One replica under requests that come when they come: arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ampacity.simulator.engine import FOREVER_PS, Engine
from ampacity.simulator.replica import advance, push
from ampacity.simulator.rows import (
    ARRIVAL_PS,
    CACHEABLE,
    COMPUTED,
    FINISH_PS,
    FIRST_PS,
    INPUT,
    JUMPED,
    OUTPUT,
    PREEMPTIONS,
    REQUEST_FIELDS,
    SESSION,
    STEPPED,
    Ints,
    fresh_replicas,
    fresh_requests,
    fresh_sessions,
)
from ampacity.simulator.step_table import StepTable


@dataclass(frozen=True)
class Served:
    """What requests met, in the order in which they were given.

    first_ps, finish_ps: instants of their first and last token. [ps] stepped, jumped: iterations that were composed
    one by one, and those solved for. preemptions: how often a sequence lost its place.
    """

    first_ps: Ints
    finish_ps: Ints
    stepped: int
    jumped: int
    preemptions: int

    @property
    def stepped_share(self) -> float:
        """Share of all iterations that were stepped. [0 to 1]"""
        return self.stepped / max(self.stepped + self.jumped, 1)


def serve_all(row: Any, rules: Any, table: Any, requests: Any, sessions: Any, until_ps: int) -> None:
    """Send every request, in the order of their places, at its instant; then let the replica run on."""
    for place in range(1, len(requests) // REQUEST_FIELDS):
        advance(row, rules, table, requests, sessions, requests[place * REQUEST_FIELDS + ARRIVAL_PS])
        push(row, rules, requests, place)
    advance(row, rules, table, requests, sessions, until_ps)


def serve_open_loop(
    engine: Engine,
    step: StepTable,
    arrival_ps: ArrayLike,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    cached_tokens: ArrayLike = 0,
    session: ArrayLike = 0,
    brought_tokens: ArrayLike = 0,
) -> Served:
    """Run requests on one replica; arrays of one length, arrivals rising.

    cached_tokens: of each input, what an earlier request of its `session` (1, 2, ...; 0: of none) had. Without a
    prefix cache they are taken as found. brought_tokens: of each input, what comes along in memory from another
    replica. Raises ValueError that lists everything that is impossible.
    """
    given = (arrival_ps, input_tokens, cached_tokens, output_tokens, session, brought_tokens)
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, np.int64)) for x in given))
    _check(engine, *columns)
    sessions = fresh_sessions(int(columns[4].max(initial=0)), bool(engine.tiers))
    requests = fresh_requests(len(columns[0]))
    rows = requests.reshape(-1, REQUEST_FIELDS)
    for field, column in zip((ARRIVAL_PS, INPUT, CACHEABLE, OUTPUT, SESSION, COMPUTED), columns, strict=True):
        rows[1:, field] = column
    from ampacity.simulator.compile import kernel  # which imports this file

    row = fresh_replicas(engine, 1)[0]
    kernel().serve_all(row, engine.rules(), step.flat(), requests, sessions, FOREVER_PS)
    counts = int(row[STEPPED]), int(row[JUMPED]), int(row[PREEMPTIONS])
    return Served(rows[1:, FIRST_PS].copy(), rows[1:, FINISH_PS].copy(), *counts)


def _check(
    engine: Engine, arrival: Ints, inputs: Ints, cached: Ints, outputs: Ints, session: Ints, brought: Ints
) -> None:
    most = np.maximum(cached, brought)
    wrong = {
        "comes before the one above it, or before 0": np.diff(arrival, prepend=0) < 0,
        "has no input": inputs < 1,
        "has no output": outputs < 1,
        "has more cached or brought than input, or all of it": (np.minimum(cached, brought) < 0)
        | (most >= np.maximum(inputs, 1)),
        "names no session": session < 0,
        f"never fits into {engine.kv_blocks} blocks of context": inputs + outputs - 1 > engine.context_most,
    }
    found = [f"request {np.flatnonzero(at)[0]} {words} ({at.sum()} such)" for words, at in wrong.items() if at.any()]
    if found:
        raise ValueError("; ".join(found))
