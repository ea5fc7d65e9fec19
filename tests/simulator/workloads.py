"""Workloads that reach every corner, and one way to run them through the engine: plain source or compiled."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
from naive import BLOCK, Replica, Request, Rules

from ampacity.simulator import replica
from ampacity.simulator.alone import kernel
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S, Engine
from ampacity.simulator.rows import (
    ARRIVAL_PS,
    BINS,
    BINS_AT,
    CACHEABLE,
    CACHED,
    FINISH_PS,
    FIRST_PS,
    FREE,
    GROUP,
    HELD_BLOCKS,
    HELD_CACHED,
    INPUT,
    LENGTH,
    JUMPED,
    OUTPUT,
    OUTSTANDING,
    OUTSTANDING_TOKENS,
    PARTIAL,
    PREEMPTED,
    REQUEST_FIELDS,
    SEQS,
    SESSION,
    SESSION_FIELDS,
    STEPPED,
    B,
    K,
    fresh_replicas,
    fresh_requests,
    fresh_sessions,
)
from ampacity.simulator.step_table import TICKS, StepTable, iteration_ticks

MS = PS_PER_S // 1000
PLAIN = SimpleNamespace(
    advance=replica.advance, push=replica.push, next_visible_ps=replica.next_visible_ps, collect=replica.collect
)


@dataclass
class Workload:
    """An engine, its iterations, and chains of requests: (arrival or gap, input, cacheable, output), session by session."""

    engine: Engine
    table: StepTable
    chains: list[list[tuple[int, int, int, int]]]
    shared: tuple[int, ...] = ()  # tokens that the sessions of each group share
    group_of: tuple[int, ...] = ()  # of each chain, counted from 1; 0: none


@dataclass
class Met:
    """What came out: instants of first and last tokens, chain by chain, and how it was found."""

    times: list[tuple[int, int]]
    stepped: int
    jumped: int
    preempted: int
    outstanding: list[tuple[int, int, int]]


def drawn(seed: int, **fixed: Any) -> Workload:
    """A workload of a seed: tight memory, long and short prompts, ties on grids of 1 and 10 ms, closed loops."""
    rng = np.random.default_rng(seed)
    grid = int(rng.choice([1, MS, 10 * MS]))
    blocks = int(rng.choice([12, 20, 60, 1000]))
    budget = int(rng.choice([16, 40, 256]))
    e = Engine(
        kv_blocks=blocks,
        token_budget=budget,
        max_seqs=int(rng.integers(1, min(budget, 12) + 1)),
        watermark=float(rng.choice([0.0, 0.1])),
        lag=int(rng.integers(2)),
        mixed=bool(rng.integers(2)),
        prefix_cache=bool(rng.integers(2)),
        idle_s=None if rng.random() < 0.5 else float(rng.choice([0.0, 0.05, 0.5])),
    )
    e = replace(e, **fixed)
    shared = tuple(int(n) for n in rng.integers(1, 90, int(rng.integers(0, 3)))) if e.prefix_cache else ()
    groups = [0, *range(1, len(shared) + 1)]
    table, chains, group_of = _table(rng, grid), [], []
    for chain in _chains(rng, grid, blocks):
        group = int(rng.choice(groups))
        same = shared[group - 1] if group else 0
        longer = [(at, i + same, c + same if c else 0, o) for at, i, c, o in chain]
        if max(i + o for _, i, _, o in longer) <= 16 * e.kv_blocks:
            chains.append(longer)
            group_of.append(group)
    return Workload(e, table, chains, shared, tuple(group_of))


def _table(rng: np.random.Generator, grid: int) -> StepTable:
    if grid == 1:
        bend = int(rng.integers(1, 60_000))
        first, then, each = (int(n) for n in rng.integers(1, 3_000_000, 3) * 300)
        return StepTable(
            dense_read=int(rng.integers(1, 10**13)),
            dense_token=int(rng.integers(1, 10**12)),
            expert_read=tuple(sorted(int(n) for n in rng.integers(0, 10**13, 20))),
            per_iteration=int(rng.integers(TICKS, 10**14)),
            per_sequence=int(rng.integers(0, 10**11)),
            prefill_a2=int(rng.integers(0, 10**7)),
            pieces=((0, first, each), (bend, then, each)),
        )
    per = [int(rng.integers(0, 3)) * grid * TICKS for _ in range(3)]
    return StepTable(
        per_iteration=(1 + int(rng.integers(3))) * grid * TICKS, per_sequence=per[0], pieces=((0, 0, per[1]),)
    )


def _chains(rng: np.random.Generator, grid: int, blocks: int) -> list[list[tuple[int, int, int, int]]]:
    longest = min(blocks * 16, 700)
    crowd = rng.random() < 0.3  # many at once, who together outgrow memory
    chains = []
    for _ in range(int(rng.integers(8, 25) if crowd else rng.integers(1, 10))):
        context, chain = 0, []
        for step in range(int(rng.integers(1, 6))):
            pause = (
                int(rng.integers(0, 3 if crowd else 40))
                * int(rng.choice([1, 5]))
                * (grid if grid > 1 else int(rng.integers(1, MS)))
            )
            branch = rng.random() < 0.2
            shared = int(context * rng.random()) if branch else context
            inputs = shared + int(rng.integers(1, 120 if rng.random() < 0.8 else 400))
            outputs = int(rng.choice([1, 2, rng.integers(1, 40), rng.integers(1, 200)]))
            if inputs + outputs - 1 > longest:
                break
            chain.append((pause, inputs, min(shared, inputs - 1) if step else 0, outputs))
            context = inputs + outputs - 1
        if chain:
            chains.append(chain)
    return chains


def by_naive(w: Workload) -> list[tuple[int, int]]:
    """First and last tokens by the naive stepper."""
    e, flat = w.engine, [int(n) for n in w.table.flat()]
    idle = FOREVER_PS if e.idle_s is None else round(e.idle_s * PS_PER_S)
    rules = Rules(
        e.kv_blocks, e.token_budget, e.max_seqs, int(e.watermark * e.kv_blocks), e.lag, e.mixed, e.prefix_cache, idle
    )
    every: list[Request] = []
    heads = []
    for number, chain in enumerate(w.chains, 1):
        group = w.group_of[number - 1]
        shared = w.shared[group - 1] // BLOCK if group else 0
        steps = [Request(at, i, c, o, number, group, shared) for at, i, c, o in chain]
        for one, then in pairwise(steps):
            one.follower, one.gap_ps = then, then.arrival_ps
        heads.append(steps[0])
        every += steps
    Replica(rules, lambda b, k, p, a2: iteration_ticks(flat, b, k, p, a2), TICKS).run(heads)
    return [(r.first_ps, r.finish_ps) for r in every]


def by_engine(w: Workload, run: Any = None, plain: bool = False, pokes: int = 0) -> Met:
    """The same by the engine, woken only when something can be seen, and at `pokes` other instants too."""
    run = PLAIN if plain else kernel()
    make = (lambda a: a.tolist()) if plain else (lambda a: a)
    total = sum(len(c) for c in w.chains)
    requests, sessions = make(fresh_requests(total)), make(fresh_sessions(len(w.chains) + len(w.shared)))
    for group, tokens in enumerate(w.shared, len(w.chains) + 1):
        sessions[group * SESSION_FIELDS + LENGTH] = tokens // BLOCK
    row, rules, table = make(fresh_replicas(w.engine, 1)[0]), make(w.engine.rules()), make(w.table.flat())
    coming, follows, gaps = [], {}, {}
    place = 0
    for number, chain in enumerate(w.chains, 1):
        for step, (at, i, c, o) in enumerate(chain):
            place += 1
            r = place * REQUEST_FIELDS
            requests[r + INPUT], requests[r + CACHEABLE], requests[r + OUTPUT] = i, c, o
            requests[r + SESSION] = number
            requests[r + GROUP] = len(w.chains) + w.group_of[number - 1] if w.group_of[number - 1] else 0
            if step == 0:
                heapq.heappush(coming, (at, place, place))
            else:
                follows[place - 1], gaps[place - 1] = place, at
    order = total
    outstanding = []
    woken = set()
    poke = np.random.default_rng(total).integers(1, 50 * MS, pokes).tolist()
    now = 0
    while True:
        nxt = min(run.next_visible_ps(row, requests), coming[0][0] if coming else FOREVER_PS)
        if nxt >= FOREVER_PS:
            break
        while poke and now + poke[-1] < nxt:  # looking changes nothing
            now += poke.pop()
            run.advance(row, rules, table, requests, sessions, now)
            assert run.collect(row, requests) == 0
        now = nxt
        woken.add(now)
        run.advance(row, rules, table, requests, sessions, now)
        while (ended := run.collect(row, requests)) > 0:
            assert requests[ended * REQUEST_FIELDS + FINISH_PS] == now
            if ended in follows:
                order += 1
                heapq.heappush(coming, (now + gaps[ended], order, follows[ended]))
        while coming and coming[0][0] == now:
            place = heapq.heappop(coming)[2]
            requests[place * REQUEST_FIELDS + ARRIVAL_PS] = now
            outstanding.append((now, place, int(row[OUTSTANDING])))
            assert run.push(row, rules, requests, place)
    run.advance(row, rules, table, requests, sessions, FOREVER_PS)
    at = np.array(requests).reshape(-1, REQUEST_FIELDS)[1:]
    left = [int(row[f]) for f in (OUTSTANDING, OUTSTANDING_TOKENS, SEQS, B, K, HELD_BLOCKS, HELD_CACHED, PARTIAL)]
    assert not any(left), left  # nothing is left behind
    assert row[FREE] == w.engine.kv_blocks
    assert not any(row[BINS_AT : BINS_AT + BINS])
    assert row[CACHED] <= row[FREE]
    assert set(at[:, FIRST_PS].tolist()) <= woken  # nobody has to look in between to see a token come out
    times = [(int(first), int(finish)) for first, finish in at[:, [FIRST_PS, FINISH_PS]]]
    return Met(times, int(row[STEPPED]), int(row[JUMPED]), int(at[:, PREEMPTED].sum()), outstanding)
