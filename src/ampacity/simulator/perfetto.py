"""One replica over a span as a trace that ui.perfetto.dev and chrome://tracing open: iterations, and every request.

Written as the JSON array format's object form [1]_: complete events ("X"), counters ("C") and names ("M"). Instants
count from the span's beginning in microseconds, cut to whole nanoseconds, so that neighbours do not overlap.

References
----------
.. [1] Trace Event Format, Google, 2016: docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ampacity.simulator import cell_rows as at
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.model_cell import ModelCell
from ampacity.simulator.ran import Ran
from ampacity.simulator.request_rows import agents_of
from ampacity.simulator.rows import Ints
from ampacity.simulator.watch import (
    BEGINS_PS,
    CONTEXT_TOKENS,
    DECODING,
    ENDS_PS,
    FREE_BLOCKS,
    PREFILL_TOKENS,
    WAITING_REQUESTS,
    Turn,
    Watched,
    watch,
)

REPLICA_PID, REQUESTS_PID = 1, 2
ITERATIONS_TID = 1
COUNTERS = {
    "sequences decoding": DECODING,
    "prompt tokens computed": PREFILL_TOKENS,
    "requests waiting": WAITING_REQUESTS,
    "KV blocks free": FREE_BLOCKS,
}
Event = dict[str, Any]


def busiest(r: Ran, replica: int | None = None) -> tuple[int, int]:
    """A replica and the instant at which it has most requests: the given one, or that which answered most of them.

    Raises ValueError if there is no such replica, or if it answered nothing.
    """
    met = np.asarray(r.cell.found.met).reshape(-1, at.MET_FIELDS)
    met = met[met[:, at.MET_FINISH_PS] > 0]
    if replica is not None and not 0 <= replica < r.replicas:
        raise ValueError(f"replica {replica}: from 0 to {r.replicas - 1}")
    if replica is None:
        replica = int(np.bincount(met[:, at.MET_REPLICA], minlength=r.replicas).argmax())
    own = met[met[:, at.MET_REPLICA] == replica]
    if not len(own):
        raise ValueError(f"replica {replica} answered nothing")
    instants = np.concatenate([own[:, at.MET_FINISH_PS], own[:, at.MET_ARRIVAL_PS]])
    change = np.concatenate([np.full(len(own), -1), np.full(len(own), 1)])
    order = np.lexsort((change, instants))
    return replica, int(instants[order][np.cumsum(change[order]).argmax()])


def closely(r: Ran, replica: int, begin_ps: int, span_ps: int) -> Watched:
    """A span of one replica, iteration by iteration, in a second run that is the same as the first. [ps]"""
    cell = r.setup.open(keep=True)
    cell.run(begin_ps)
    return watch(cell, replica, min(begin_ps + span_ps, max(r.span_ps, begin_ps + 1)))


def perfetto(r: Ran, seen: Watched) -> dict[str, Any]:
    """What was seen of a replica as a trace."""
    events = [
        *_names(REPLICA_PID, f"{r.setup.model}, replica {seen.replica}", {ITERATIONS_TID: "iterations"}),
        *_iterations(seen),
        *_requests(r, seen),
    ]
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {
            "model": r.setup.model,
            "replica": seen.replica,
            "begins_s_of_the_run": seen.begin_ps / PS_PER_S,
            "span_s": (seen.end_ps - seen.begin_ps) / PS_PER_S,
            "iterations": len(seen.iterations),
        },
    }


def _names(pid: int, process: str, threads: dict[int, str]) -> list[Event]:
    named = [{"ph": "M", "pid": pid, "tid": 0, "name": "process_name", "args": {"name": process}}]
    for tid, name in threads.items():
        named.append({"ph": "M", "pid": pid, "tid": tid, "name": "thread_name", "args": {"name": name}})
        named.append({"ph": "M", "pid": pid, "tid": tid, "name": "thread_sort_index", "args": {"sort_index": tid}})
    return named


def _iterations(seen: Watched) -> list[Event]:
    events: list[Event] = []
    for i in seen.iterations:
        b, p = int(i[DECODING]), int(i[PREFILL_TOKENS])
        args = {
            "sequences_decoding": b,
            "prompt_tokens": p,
            "context_tokens": int(i[CONTEXT_TOKENS]),
            "duration_ps": int(i[ENDS_PS] - i[BEGINS_PS]),
        }
        name = "decode" if p == 0 else "prefill" if b == 0 else "decode + prefill"
        events.append(
            _slice(seen, REPLICA_PID, ITERATIONS_TID, name, "iteration", (int(i[BEGINS_PS]), int(i[ENDS_PS])), args)
        )
        ts = _us(int(i[BEGINS_PS]) - seen.begin_ps)
        for counter, column in COUNTERS.items():
            events.append(
                {"ph": "C", "pid": REPLICA_PID, "tid": 0, "name": counter, "ts": ts, "args": {"value": int(i[column])}}
            )
    return events


def _requests(r: Ran, seen: Watched) -> list[Event]:
    """Each request as a slice with its phases inside, in the first lane that is free when it begins."""
    met = np.asarray(r.cell.found.met).reshape(-1, at.MET_FIELDS)
    turns: dict[int, list[Turn]] = {}
    for t in seen.turns:
        turns.setdefault(t.step, []).append(t)
    events: list[Event] = []
    free_ps: list[int] = []
    agent = agents_of(r.setup.scripts)
    for step, own in sorted(turns.items(), key=lambda item: (item[1][0].since_ps, item[0])):
        finish_ps = int(met[step, at.MET_FINISH_PS])
        end_ps = min(finish_ps, seen.end_ps) if finish_ps else seen.end_ps
        begin_ps = max(own[0].since_ps, seen.begin_ps)
        if end_ps <= begin_ps:
            continue
        lane = next((n for n, until_ps in enumerate(free_ps) if until_ps <= begin_ps), len(free_ps))
        free_ps[lane : lane + 1] = [end_ps]
        args = _of_request(r.setup, met, step, int(agent[step]))
        events.append(_slice(seen, REQUESTS_PID, lane + 1, str(args["tier"]), "request", (begin_ps, end_ps), args))
        edges = [max(t.since_ps, begin_ps) for t in own] + [end_ps]
        for t, (since_ps, until_ps) in zip(own, pairwise(edges), strict=True):
            if until_ps > since_ps:
                events.append(
                    _slice(seen, REQUESTS_PID, lane + 1, t.phase, "phase", (since_ps, until_ps), {"request": step})
                )
    return _names(REQUESTS_PID, "requests", {n + 1: f"place {n + 1}" for n in range(len(free_ps))}) + events


def _of_request(m: ModelCell, met: Ints, step: int, agent: int) -> Event:
    own = m.scripts.agents[agent]
    answered = bool(met[step, at.MET_FINISH_PS] > 0)
    asked_ps, first_ps = int(met[step, at.MET_ARRIVAL_PS]), int(met[step, at.MET_FIRST_PS])
    return {
        "request": step,
        "tier": m.tiers[own[at.TIER]].name,
        "subscriber": int(own[at.SUBSCRIBER]),
        "input_tokens": int(m.scripts.steps[step, at.ASK_INPUT]),
        "output_tokens": int(m.scripts.steps[step, at.ASK_OUTPUT]),
        "found_tokens": int(met[step, at.MET_HITS]) if answered else None,
        "ttft_s": (first_ps - asked_ps) / PS_PER_S if answered else None,
    }


def _slice(seen: Watched, pid: int, tid: int, name: str, kind: str, within_ps: tuple[int, int], args: Event) -> Event:
    begin_ns, end_ns = ((ps - seen.begin_ps) // 1000 for ps in within_ps)
    return {
        "ph": "X",
        "pid": pid,
        "tid": tid,
        "name": name,
        "cat": kind,
        "ts": begin_ns / 1000,
        "dur": (end_ns - begin_ns) / 1000,
        "args": args,
    }


def _us(since_ps: int) -> float:
    """Microseconds, cut to whole nanoseconds."""
    return (since_ps // 1000) / 1000
