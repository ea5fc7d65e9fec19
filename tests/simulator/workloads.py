"""Workloads that reach every corner, and one way to run them through the engine: plain source or compiled."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
from naive import BLOCK, Replica, Request, Reserve, Rules

from ampacity.simulator import replica
from ampacity.simulator.abort import abort
from ampacity.simulator.compile import kernel
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S, Engine, KvTier
from ampacity.simulator.engine import Reserve as Kept
from ampacity.simulator.kill import kill
from ampacity.simulator.kv_tiers import sunk_at
from ampacity.simulator.rows import (
    ARRIVAL_PS,
    BELOW,
    BINS,
    BINS_AT,
    CACHEABLE,
    CACHED,
    CLASS,
    FINISH_PS,
    FIRST_PS,
    FREE,
    GROUP,
    HELD_BLOCKS,
    HELD_CACHED,
    INPUT,
    JUMPED,
    LENGTH,
    LOADING,
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
    SUNK,
    TIER_FREE,
    TIER_STATE,
    B,
    K,
    fresh_replicas,
    fresh_requests,
    fresh_sessions,
)
from ampacity.simulator.step_table import TICKS, StepTable, iteration_ticks

MS = PS_PER_S // 1000
PLAIN = SimpleNamespace(
    advance=replica.advance,
    push=replica.push,
    next_visible_ps=replica.next_visible_ps,
    collect=replica.collect,
    kill=kill,
    abort=abort,
)


@dataclass
class Workload:
    """An engine, its iterations, and sessions as chains of requests: (arrival or gap, input, cacheable, output)."""

    engine: Engine
    table: StepTable
    chains: list[list[tuple[int, int, int, int]]]
    shared: tuple[int, ...] = ()  # tokens that the sessions of each group share
    group_of: tuple[int, ...] = ()  # of each chain, counted from 1; 0: none
    class_of: tuple[int, ...] = ()  # of each chain
    abort_after_ps: tuple[int | None, ...] = ()  # of each request, from its arrival on


@dataclass
class Met:
    """What came out: instants of first and last tokens, chain by chain, and how it was found."""

    times: list[tuple[int, int]]
    stepped: int
    jumped: int
    preempted: int
    outstanding: list[tuple[int, int, int]]


def drawn(seed: int, aborts: bool = True, tiered: bool = False, reserves: bool = False, **fixed: Any) -> Workload:
    """A workload of a seed: tight memory, long and short prompts, ties on grids of 1 and 10 ms, closed loops.

    tiered: with one or two KV tiers below HBM, if it has a prefix cache. reserves: with output to come for which
    admission keeps memory free, with SGLang's order of giving way, or with both.
    """
    rng = np.random.default_rng(seed)
    grid = int(rng.choice([1, MS, 10 * MS]))
    blocks = int(rng.choice([12, 20, 60, 1000]))
    budget = int(rng.choice([16, 40, 256]))
    drafts = int(rng.choice([0, 0, 0, 1, 3]))
    e = Engine(
        kv_blocks=blocks,
        token_budget=budget,
        drafts=drafts,
        tokens_per_round=1 + drafts * Fraction(int(rng.integers(0, 6)), 5),
        max_seqs=int(rng.integers(1, min(budget // (1 + drafts), 12) + 1)),
        watermark=float(rng.choice([0.0, 0.1])),
        lag=int(rng.integers(2)),
        mixed=bool(rng.integers(2)),
        prefix_cache=bool(rng.integers(2)),
        idle_s=None if rng.random() < 0.5 else float(rng.choice([0.0, 0.05, 0.5])),
    )
    if tiered and e.prefix_cache and fixed.get("prefix_cache", True):
        fixed = {"tiers": _tiers(np.random.default_rng([seed, 3]), grid, blocks), **fixed}
    if reserves:
        fixed = {**_reserves(np.random.default_rng([seed, 9])), **fixed}
    e = replace(e, **fixed)
    shared = tuple(int(n) for n in rng.integers(1, 90, int(rng.integers(0, 3)))) if e.prefix_cache else ()
    groups = [0, *range(1, len(shared) + 1)]
    table, chains, group_of = _table(rng, grid), [], []
    for chain in _chains(rng, grid, blocks):
        group = int(rng.choice(groups))
        same = shared[group - 1] if group else 0
        longer = [(at, i + same, c + same if c else 0, o) for at, i, c, o in chain]
        if max(i + o for _, i, _, o in longer) + e.drafts <= 16 * e.kv_blocks:
            chains.append(longer)
            group_of.append(group)
    if not chains:
        chains, group_of = [[(0, 5, 0, 3)]], [0]
    classes = rng.integers(0, int(rng.choice([1, 1, 4])), len(chains)).tolist()
    count = sum(len(c) for c in chains)
    share = float(rng.choice([0.0, 0.0, 0.2])) if aborts else 0.0
    after = (rng.integers(0, 60, count) * int(rng.choice([1, 20])) * max(grid, MS // 3)).tolist()
    after = tuple(a if taken_back else None for a, taken_back in zip(after, rng.random(count) < share, strict=True))
    return Workload(e, table, chains, shared, tuple(group_of), tuple(classes), after)


def _tiers(rng: np.random.Generator, grid: int, blocks: int) -> tuple[KvTier, ...]:
    """One or two tiers, smaller and larger than HBM, at once, fast and slow beside iterations; ties on the grid."""
    each = [0, grid // 4, grid, 5 * grid] if grid > 1 else [0, MS // 100, MS, 20 * MS]
    return tuple(
        KvTier(max(int(blocks * rng.choice([0.1, 0.5, 1, 10])), 1), int(rng.choice(each)) + (grid == 1))
        for _ in range(int(rng.integers(1, 3)))
    )


def _reserves(rng: np.random.Generator) -> dict[str, Any]:
    """Shares that fall at once, slowly or never, counted up to few tokens or many, with answers shorter than asked."""
    which = int(rng.integers(4))
    if which == 0:
        return {"least_output_first": True}
    least, first = sorted(Fraction(int(n), 20) for n in rng.integers(0, 21, 2))
    if rng.random() < 0.5:
        least, first = Fraction(0), Fraction(1)
    reserve = Kept(
        first=first,
        least=least,
        fall=(first - least) / int(rng.choice([1, 4, 40, 600])),
        ahead=int(rng.choice([0, 20])),
        most=int(rng.choice([1, 30, 4096])),
        asked=int(rng.choice([0, 50, 200])),
    )
    both = {"mixed": False, "least_output_first": True} if which > 1 else {}
    return {"reserve": reserve, **both}


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
    return [(r.first_ps, r.finish_ps) for r in naive_requests(w)]


def rules_of(w: Workload) -> Rules:
    """The engine's rules as the naive stepper has them."""
    e = w.engine
    idle = FOREVER_PS if e.idle_s is None else round(e.idle_s * PS_PER_S)
    watermark = int(e.watermark * e.kv_blocks)
    rate = e.tokens_per_round.numerator, e.tokens_per_round.denominator
    return Rules(
        e.kv_blocks, e.token_budget, e.max_seqs, watermark, e.lag, e.mixed, e.prefix_cache, idle, e.drafts, *rate,
        tiers=tuple((tier.blocks, tier.load_ps_per_block) for tier in e.tiers),
        least_output=e.least_output_first, reserve=Reserve(**vars(e.reserve)) if e.reserve else None,
    )  # fmt: skip


def naive_requests(w: Workload, until_ps: int | None = None) -> list[Request]:
    """All requests as the naive stepper leaves them, at the end or at an instant."""
    flat = [int(n) for n in w.table.flat()]
    every: list[Request] = []
    heads = []
    for number, chain in enumerate(w.chains, 1):
        group = w.group_of[number - 1]
        shared = w.shared[group - 1] // BLOCK if group else 0
        steps = [
            Request(at, i, c, o, number, group, shared, len(every) + n, w.class_of[number - 1])
            for n, (at, i, c, o) in enumerate(chain)
        ]
        for r in steps:
            r.abort_after_ps = w.abort_after_ps[r.number]
        for one, then in pairwise(steps):
            one.follower, one.gap_ps = then, then.arrival_ps
        heads.append(steps[0])
        every += steps
    Replica(rules_of(w), lambda b, k, p, a2: iteration_ticks(flat, b, k, p, a2), TICKS).run(heads, until_ps)
    return every


def by_engine(w: Workload, plain: bool = False, pokes: int = 0) -> Met:
    """The same by the engine, woken only when something can be seen, and at `pokes` other instants too."""
    one = One(w, plain, pokes)
    one.run()
    one.hold_that_nothing_is_left()
    return one.met()


class One:
    """A replica of the engine, and who sends it a workload: plain source on lists, or compiled on arrays."""

    def __init__(self, w: Workload, plain: bool = False, pokes: int = 0) -> None:
        self.w = w
        self.kernel: Any = PLAIN if plain else kernel()
        make = (lambda a: a.tolist()) if plain else (lambda a: a)
        total = sum(len(c) for c in w.chains)
        self.row, self.rules, self.table = map(make, (fresh_replicas(w.engine, 1)[0], w.engine.rules(), w.table.flat()))
        self.requests, self.sessions = (
            make(fresh_requests(total)),
            make(fresh_sessions(len(w.chains) + len(w.shared), bool(w.engine.tiers))),
        )
        self.known = len(w.chains) + len(w.shared)
        for group, tokens in enumerate(w.shared, len(w.chains) + 1):
            self.sessions[group * SESSION_FIELDS + LENGTH] = tokens // BLOCK
        self.coming: list[tuple[int, int, int]] = []
        self.follows: dict[int, tuple[int, int]] = {}
        self._write_requests()
        self.outstanding: list[tuple[int, int, int]] = []
        self.aborts: list[tuple[int, int]] = []
        self.gone: set[int] = set()
        self.woken: set[int] = set()
        self.pokes = np.random.default_rng(total).integers(1, 50 * MS, pokes).tolist()
        self.now = 0

    def _write_requests(self) -> None:
        place, w = 0, self.w
        for number, chain in enumerate(w.chains, 1):
            for step, (at, i, c, o) in enumerate(chain):
                place += 1
                r = place * REQUEST_FIELDS
                given = {INPUT: i, CACHEABLE: c, OUTPUT: o, SESSION: number, CLASS: w.class_of[number - 1]}
                for field, value in given.items():
                    self.requests[r + field] = value
                self.requests[r + GROUP] = len(w.chains) + w.group_of[number - 1] if w.group_of[number - 1] else 0
                if step == 0:
                    heapq.heappush(self.coming, (at, place, place))
                else:
                    self.follows[place - 1] = (place, at)

    def advance(self, until_ps: int) -> None:
        self.kernel.advance(self.row, self.rules, self.table, self.requests, self.sessions, until_ps)

    def run(self, until_ps: int = FOREVER_PS) -> None:
        """Send and collect until an instant; all that comes by then is sent."""
        while True:
            nxt = self.kernel.next_visible_ps(self.row, self.requests)
            nxt = min(nxt, *(heap[0][0] for heap in (self.coming, self.aborts) if heap), FOREVER_PS)
            if nxt >= FOREVER_PS or nxt > until_ps:
                break
            while self.pokes and self.now + self.pokes[-1] < nxt:  # looking changes nothing
                self.now += self.pokes.pop()
                self.advance(self.now)
                assert self.kernel.collect(self.row, self.requests) == 0
            self.now = nxt
            self.woken.add(nxt)
            self.advance(nxt)
            self.collect()
            while self.coming and self.coming[0][0] == nxt:
                place = heapq.heappop(self.coming)[2]
                self.requests[place * REQUEST_FIELDS + ARRIVAL_PS] = nxt
                self.outstanding.append((nxt, place, int(self.row[OUTSTANDING])))
                assert self.kernel.push(self.row, self.rules, self.requests, place) == replica.TAKEN
                if (after := self.w.abort_after_ps[place - 1]) is not None:
                    heapq.heappush(self.aborts, (nxt + after, place))
            while self.aborts and self.aborts[0][0] == nxt:
                self._abort(heapq.heappop(self.aborts)[1])
            self.collect()
        self.advance(until_ps)

    def _abort(self, place: int) -> None:
        at = place * REQUEST_FIELDS
        if self.requests[at + FINISH_PS] == 0 and place not in self.gone:
            self.kernel.abort(self.row, self.rules, self.requests, self.sessions, place, self.now)

    def collect(self) -> list[int]:
        """Those who have ended, each at this very instant; who follows them comes after a gap."""
        ended = []
        while (place := self.kernel.collect(self.row, self.requests)) > 0:
            assert self.requests[place * REQUEST_FIELDS + FINISH_PS] in (self.now, 0)
            if place in self.follows and self.requests[place * REQUEST_FIELDS + FINISH_PS]:
                follower, gap = self.follows[place]
                heapq.heappush(self.coming, (self.now + gap, follower, follower))
            ended.append(place)
            self.gone.add(place)
        return ended

    def hold_that_nothing_is_left(self) -> None:
        row = self.row
        left = [int(row[f]) for f in (OUTSTANDING, OUTSTANDING_TOKENS, SEQS, B, K, HELD_BLOCKS, HELD_CACHED, PARTIAL)]
        assert not any(left), left
        assert row[FREE] == self.w.engine.kv_blocks
        assert not any(row[BINS_AT : BINS_AT + BINS])
        assert row[CACHED] <= row[FREE]
        assert row[LOADING] == 0
        for number, tier in enumerate(self.w.engine.tiers):
            sunk = sum(int(self.sessions[sunk_at(self.sessions, s, number) + SUNK]) for s in range(1, self.known + 1))
            assert 0 <= sunk == tier.blocks - row[BELOW + number * TIER_STATE + TIER_FREE] <= tier.blocks

    def met(self) -> Met:
        at = np.array(self.requests).reshape(-1, REQUEST_FIELDS)[1:]
        times = [(int(first), int(finish)) for first, finish in at[:, [FIRST_PS, FINISH_PS]]]
        assert {
            first for first, _ in times if first
        } <= self.woken  # nobody has to look in between to see a token come out
        counts = int(self.row[STEPPED]), int(self.row[JUMPED]), int(at[:, PREEMPTED].sum())
        return Met(times, *counts, self.outstanding)
