"""One replica under sessions: the next request of a session comes a gap after the answer to the one before.

The smallest whole of what a fleet does: wake whoever is first, advance what it touches, collect, send. Every session
has one row of requests, used again for each of its steps, so memory grows with sessions and not with requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ampacity.simulator.engine import FOREVER_PS, Engine
from ampacity.simulator.replica import advance, collect, next_visible_ps, push
from ampacity.simulator.rows import (
    ARRIVAL_PS,
    CACHEABLE,
    FINISH_PS,
    FIRST_PS,
    GROUP,
    HIT_BELOW,
    HIT_FURTHER,
    HITS,
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
from ampacity.simulator.wakes import fresh_wakes, next_wake_ps, take_wake, wake_at

# of a step: what it asks, and what it met
GAP_PS, STEP_INPUT, STEP_CACHEABLE, STEP_OUTPUT, MET_ARRIVAL_PS, MET_FIRST_PS, MET_FINISH_PS, MET_HITS, STEP_FIELDS = (
    range(9)
)


@dataclass(frozen=True)
class Steps:
    """What every step of every session met, session by session, in the order given.

    arrival_ps, first_ps, finish_ps: instants [ps]. hit_tokens: of its prompt, not computed. stepped, jumped: iterations
    that were composed one by one, and those solved for. preemptions: how often a sequence lost its place.
    loaded_tokens: of those not computed, loaded from each of the two tiers below HBM.
    """

    arrival_ps: Ints
    first_ps: Ints
    finish_ps: Ints
    hit_tokens: Ints
    stepped: int
    jumped: int
    preemptions: int
    loaded_tokens: tuple[int, int]


def serve_sessions(
    row: Any, rules: Any, table: Any, requests: Any, sessions: Any, steps: Any, ends: Any, at: Any, wakes: Any
) -> None:
    """Run all sessions to their ends; `at[s]` is the step that session `s` is at, `ends[s]` the one behind its last."""
    while True:
        now = min(next_visible_ps(row, requests), next_wake_ps(wakes))
        if now >= FOREVER_PS:
            return
        advance(row, rules, table, requests, sessions, now)
        place = collect(row, requests)
        while place > 0:
            note(requests, steps, place, at[place])
            at[place] += 1
            if at[place] < ends[place]:
                wake_at(wakes, now + steps[at[place] * STEP_FIELDS + GAP_PS], place)
            place = collect(row, requests)
        while next_wake_ps(wakes) == now:
            place = take_wake(wakes)
            ask(requests, steps, place, at[place], now)
            push(row, rules, requests, place)


def ask(requests: Any, steps: Any, place: int, step: int, now_ps: int) -> None:
    """Make the session's row of requests its next step."""
    r, s = place * REQUEST_FIELDS, step * STEP_FIELDS
    group = requests[r + GROUP]
    for field in range(REQUEST_FIELDS):
        requests[r + field] = 0
    requests[r + ARRIVAL_PS] = now_ps
    requests[r + INPUT] = steps[s + STEP_INPUT]
    requests[r + CACHEABLE] = steps[s + STEP_CACHEABLE]
    requests[r + OUTPUT] = steps[s + STEP_OUTPUT]
    requests[r + SESSION] = place
    requests[r + GROUP] = group


def note(requests: Any, steps: Any, place: int, step: int) -> None:
    """Write into a step what it met."""
    r, s = place * REQUEST_FIELDS, step * STEP_FIELDS
    steps[s + MET_ARRIVAL_PS] = requests[r + ARRIVAL_PS]
    steps[s + MET_FIRST_PS] = requests[r + FIRST_PS]
    steps[s + MET_FINISH_PS] = requests[r + FINISH_PS]
    steps[s + MET_HITS] = requests[r + HITS]


def serve_closed_loop(engine: Engine, step: StepTable, chains: list[list[tuple[int, int, int, int]]]) -> Steps:
    """Run sessions on one replica; a chain is its steps as (gap in ps, input, cacheable and output tokens).

    The gap of a first step counts from 0. Raises ValueError if a step could never be served.
    """
    counts = [len(chain) for chain in chains]
    steps = np.zeros((sum(counts), STEP_FIELDS), np.int64)
    steps[:, : STEP_OUTPUT + 1] = [s for chain in chains for s in chain]
    _check(engine, steps)
    ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    at = np.concatenate([[0], ends[:-1]])
    wakes = fresh_wakes(len(chains))
    for session, chain in enumerate(chains, 1):
        wake_at(wakes, chain[0][0], session)
    row = fresh_replicas(engine, 1)[0]
    requests, sessions = fresh_requests(len(chains)), fresh_sessions(len(chains), bool(engine.tiers))
    given = engine.rules(), step.flat(), requests, sessions, steps.reshape(-1), ends, at, wakes
    from ampacity.simulator.compile import kernel  # which imports this file

    kernel().serve_sessions(row, *given)
    arrival, first, finish, hits = (
        steps[:, field].copy() for field in (MET_ARRIVAL_PS, MET_FIRST_PS, MET_FINISH_PS, MET_HITS)
    )
    loaded = int(row[HIT_BELOW]), int(row[HIT_FURTHER])
    return Steps(arrival, first, finish, hits, int(row[STEPPED]), int(row[JUMPED]), int(row[PREEMPTIONS]), loaded)


def _check(engine: Engine, steps: Ints) -> None:
    gap, inputs, cacheable, outputs = steps[:, : STEP_OUTPUT + 1].T
    wrong = {
        "a gap below 0": gap < 0,
        "no input or no output": (inputs < 1) | (outputs < 1),
        "more cacheable than input, or all of it": (cacheable < 0) | (cacheable >= np.maximum(inputs, 1)),
        f"more context than {engine.kv_blocks} blocks hold": inputs + outputs - 1 > engine.context_most,
    }
    found = [f"step {np.flatnonzero(at)[0]} has {words} ({at.sum()} such)" for words, at in wrong.items() if at.any()]
    if found:
        raise ValueError("; ".join(found))
