"""A cell of a fleet: pools of replicas behind one router, and the agents who ask them; opened, run, read.

Cells know nothing of each other, so a fleet is any number of them, in any order, on any machine. What happens from
event to event is `cell_loop.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType

import numpy as np

from ampacity.base.compiled import compiled
from ampacity.base.streams import bits
from ampacity.inference.replica import KV_BLOCK_TOKENS
from ampacity.policy.book import HELD_FIELDS, STATE_FIELDS, Book
from ampacity.policy.limits import rebase
from ampacity.policy.line import PERSON_FIELDS, TIERS_MOST, fresh_queue
from ampacity.policy.routing import (
    REPLICA_FIELDS,
    replica_rows,
)
from ampacity.simulator import cell_rows as at
from ampacity.simulator.admission import PS_PER_MS
from ampacity.simulator.cell_caps import with_caps
from ampacity.simulator.cell_loop import NEEDS_ROWS, run_cell
from ampacity.simulator.cell_result import CellResult, Scaled
from ampacity.simulator.cell_rows import Control, Desk, Engines, Found, People, Windows
from ampacity.simulator.cell_terms import LOADS, ON_KILLS, RULES, CellTier, Pool, Routing
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S, block_count
from ampacity.simulator.histograms import BUCKETS
from ampacity.simulator.rows import (
    HIT_BELOW,
    HIT_FURTHER,
    HIT_TOKENS,
    JUMPED,
    LENGTH,
    NEXT,
    NOW_PS,
    PREEMPTIONS,
    PROMPT_TOKENS,
    REQUEST_FIELDS,
    RESTED_PS,
    SESSION_FIELDS,
    STEPPED,
    Ints,
    fresh_replicas,
    fresh_requests,
    fresh_sessions,
)
from ampacity.simulator.scaling import Scaling, scaled
from ampacity.simulator.scripts import Scripts
from ampacity.simulator.step_table import TICK_BITS, iteration_ticks
from ampacity.simulator.ticks import Tick, slower, tick_rows
from ampacity.simulator.visible import fresh_visible
from ampacity.simulator.wakes import fresh_wakes

TICKS_MOST = 1 << 62
"""Of an iteration: nearly five minutes."""
ROWS_AT_FIRST = 64
"""Rows of requests for every replica; more are made when they are needed."""


@dataclass
class Cell:
    """A cell under way: rows that the kernel writes. tier_of: of every subscriber. Made by `open_cell`."""

    tiers: tuple[str, ...]
    engines: Engines
    desk: Desk
    people: People
    windows: Windows
    found: Found
    rare: Control
    tier_of: Ints
    changes: list[tuple[int, Book]] = field(default_factory=list, repr=False)
    now_ps: int = 0
    kernel: object = field(default=None, repr=False)

    def run(self, until_ps: int = FOREVER_PS) -> None:
        """Let happen all that happens before an instant; any cuts give the same bytes as none. [ps]

        Limits change before all else that happens at an instant.
        """
        while self.changes and self.changes[0][0] < until_ps:
            at_ps, book = self.changes.pop(0)
            self._run(at_ps)
            self._change_limits(book, at_ps)
        self._run(until_ps)

    def _run(self, until_ps: int) -> None:
        step = run_cell if self.kernel is None else self.kernel.run_cell  # type: ignore[attr-defined]
        while step(self.engines, self.desk, self.people, self.windows, self.found, self.rare, until_ps) == NEEDS_ROWS:
            self._grow()
        self.now_ps = until_ps
        if self.desk.cell[at.UNTAKEN]:
            raise RuntimeError(f"{self.desk.cell[at.UNTAKEN]} requests went to replicas that were not advanced")

    def _change_limits(self, book: Book, now_ps: int) -> None:
        """Let another book be in force. What is used and reserved stays so."""
        old, new = self.windows.book, book.flat
        now_ms = int(self.desk.cell[at.EPOCH_MS]) + now_ps // PS_PER_MS
        for subscriber, tier in list(enumerate(self.tier_of.tolist()))[1:]:
            if limit := int(self.windows.tiers[tier * at.TERM_FIELDS + at.T_LIMIT]):
                rebase(self.windows.states, subscriber * STATE_FIELDS, old, new, limit, now_ms)
        self.windows = self.windows._replace(book=np.array(new, np.int64))

    def _grow(self) -> None:
        """Twice as many rows of requests."""
        requests = self.engines.requests
        have = len(requests) // REQUEST_FIELDS - 1
        more = np.concatenate([requests, fresh_requests(have - 1)])
        _chain_free(more, have + 1, 2 * have)
        self.desk.cell[at.FREE_ROW] = have + 1
        notes = np.concatenate([self.desk.notes, np.zeros(have * at.NOTE_FIELDS, np.int64)])
        held = self.windows.held
        if len(held) > HELD_FIELDS:
            held = np.concatenate([held, np.zeros(have * HELD_FIELDS, np.int64)])
        tabs = np.concatenate([self.rare.tabs, np.zeros(have * at.TAB_FIELDS, np.int64)])
        self.rare = self.rare._replace(tabs=tabs)
        self.engines = self.engines._replace(requests=more)
        self.desk = self.desk._replace(notes=notes)
        self.windows = self.windows._replace(held=held)

    def take_hits(self) -> Ints:
        """How many people of each tier each window has refused since the last call, [tier, window by place]."""
        begin = int(self.windows.tiers[at.T_HIT])
        hit = np.asarray(self.windows.tiers[begin:])
        found = np.zeros((len(self.tiers), at.WINDOWS_COUNTED), np.int64)
        for place in range(at.WINDOWS_COUNTED):
            found[:, place] = np.bincount(self.tier_of[(hit >> place & 1) > 0], minlength=len(self.tiers))
        self.windows.tiers[begin:] = np.zeros(len(hit), np.int64)
        return found

    def result(self) -> CellResult:
        """What has been met so far."""
        rows = np.asarray(self.engines.rows)
        counts = np.asarray(self.found.counts).reshape(len(self.tiers), at.COUNT_FIELDS).copy()
        return CellResult(
            tiers=self.tiers,
            counts=counts,
            histograms=np.asarray(self.found.histograms).reshape(len(self.tiers), at.METRICS, BUCKETS).copy(),
            met=np.asarray(self.found.met).reshape(-1, at.MET_FIELDS).copy() if self.desk.cell[at.KEEPS] else None,
            stepped=int(rows[:, STEPPED].sum()),
            jumped=int(rows[:, JUMPED].sum()),
            preemptions=int(rows[:, PREEMPTIONS].sum()),
            prompt_tokens=int(rows[:, PROMPT_TOKENS].sum()),
            hit_tokens=int(rows[:, HIT_TOKENS].sum()),
            in_flight=int((counts[:, at.SENT] - counts[:, at.ANSWERED] - counts[:, at.DROPPED]).sum()),
            events=int(self.desk.cell[at.EVENTS]),
            loaded_tokens=(int(rows[:, HIT_BELOW].sum()), int(rows[:, HIT_FURTHER].sum())),
            busy_ps=int((np.minimum(rows[:, NOW_PS], self.now_ps) - rows[:, RESTED_PS]).sum()),
            scaled=self._scaled(),
        )

    def _scaled(self) -> Scaled:
        row = self.desk.cell
        s = int(row[at.SCALED])
        if s == 0:
            return Scaled()
        since = self.now_ps - int(row[s + at.S_LOOKED_PS]) if row[s + at.S_LOOK_PS] < FOREVER_PS else 0
        starts, back, drains = (int(row[s + what]) for what in (at.S_STARTS, at.S_TAKEN_BACK, at.S_DRAINS))
        return Scaled(starts, back, drains, int(row[s + at.S_HERE_PS]) + int(row[s + at.S_HERE]) * since)


@cache
def kernel() -> ModuleType:
    """`run_cell`, compiled."""
    return compiled(run_cell)


def open_cell(
    pools: tuple[Pool, ...],
    scripts: Scripts,
    routing: Routing,
    tiers: tuple[CellTier, ...] = (CellTier("all"),),
    book: Book | None = None,
    epoch_ms: int = 1,
    seed: int = 1,
    number: int = 0,
    keep: bool = False,
    ticks: Sequence[Tick] = (),
    scaling: Scaling | None = None,
    changes: Sequence[tuple[int, Book]] = (),
) -> Cell:
    """A cell before anything has happened.

    epoch_ms: its instant 0 by the clock of limits, >= 1. number: of the cell among all of a seed. keep: what every step
    met. ticks: what changes meanwhile, in rising order of instants. scaling: of one pool, whose replicas come and go
    with the load. changes: when limits change, by their clock [ms], each to a book like the one before, in order.
    Raises ValueError that lists what can never be served, and every mistake in ticks and scaling.
    """
    _check(pools, scripts, tiers)
    tick_list, slowed = tick_rows(ticks, [i for i, p in enumerate(pools) for _ in range(p.replicas)])
    every = pools + tuple(Pool(pools[i].engine, slower(pools[i].step, value), 0) for i, value in slowed)
    _check_iterations(every, _longest(scripts))
    rules, tables = _laid_out(every)
    replicas = sum(p.replicas for p in pools)
    rows = np.zeros((replicas, max(fresh_replicas(p.engine, 1).shape[1] for p in pools)), np.int64)
    begin = 0
    for p in pools:
        fresh = fresh_replicas(p.engine, p.replicas)
        rows[begin : begin + p.replicas, : fresh.shape[1]] = fresh
        begin += p.replicas
    requests = fresh_requests(ROWS_AT_FIRST * replicas)
    _chain_free(requests, 1, ROWS_AT_FIRST * replicas)
    tiered = any(p.engine.tiers for p in pools)
    known = len(fresh_sessions(scripts.contexts + len(scripts.shared_tokens), tiered))
    sessions = np.zeros((replicas, known), np.int64)
    for group, tokens in enumerate(scripts.shared_tokens, scripts.contexts + 1):
        sessions[:, group * SESSION_FIELDS + LENGTH] = tokens // 16
    cell = _cell_row(pools, routing, epoch_ms, bits(seed, "cell", number) >> 4, keep)
    if len(tick_list):
        cell[at.CONTROL_PS] = tick_list[at.TICK_AT_PS]
    cell = scaled(cell, scaling, [p.replicas for p in pools], routing.room)
    notes = np.zeros((ROWS_AT_FIRST * replicas + 1) * at.NOTE_FIELDS, np.int64)
    most = int(scripts.agents[:, at.SUBSCRIBER].max(initial=0))
    states = np.zeros((most + 1) * STATE_FIELDS, np.int64)
    held = np.zeros((ROWS_AT_FIRST * replicas + 1 if book else 1) * HELD_FIELDS, np.int64)
    flat = np.array(book.flat if book else (0,), np.int64)
    terms = with_caps([tier.row(book) for tier in tiers], [tier.cap for tier in tiers])
    terms[at.T_HIT : len(tiers) * at.TERM_FIELDS : at.TERM_FIELDS] = [len(terms)] * len(tiers)
    lines = np.array(terms + [0] * (most + 1), np.int64)
    return Cell(
        tiers=tuple(tier.name for tier in tiers),
        engines=Engines(rows, rules, tables, requests, sessions),
        desk=Desk(cell, fresh_visible(replicas), notes),
        people=People(
            scripts.starts.reshape(-1),
            scripts.agents.reshape(-1).copy(),
            scripts.steps.reshape(-1),
            fresh_wakes(len(scripts.agents)),
        ),
        windows=Windows(lines, flat, states, held),
        found=Found(
            np.zeros(len(tiers) * at.COUNT_FIELDS, np.int64),
            np.zeros(len(tiers) * at.METRICS * BUCKETS, np.int64),
            np.zeros((len(scripts) if keep else 1) * at.MET_FIELDS, np.int64),
        ),
        rare=Control(
            tick_list,
            _line(cell, routing, tiers, most),
            np.zeros((ROWS_AT_FIRST * replicas + 1) * at.TAB_FIELDS, np.int64),
        ),
        tier_of=_tier_of(scripts, most),
        changes=[((ms - epoch_ms) * PS_PER_MS, book) for ms, book in changes],
        kernel=kernel(),
    )


def _tier_of(scripts: Scripts, most: int) -> Ints:
    """The tier of every subscriber up to `most`: that of their first agent."""
    tier = np.zeros(most + 1, np.int64)
    who, first = np.unique(scripts.agents[:, at.SUBSCRIBER], return_index=True)
    tier[who] = scripts.agents[first, at.TIER]
    return tier


def _laid_out(pools: tuple[Pool, ...]) -> tuple[Ints, Ints]:
    """Rules and step tables, a row a pool."""
    rules = np.stack([p.engine.rules() for p in pools])
    flats = [p.step.flat() for p in pools]
    tables = np.zeros((len(pools), max(len(f) for f in flats)), np.int64)
    for line, flat in zip(tables, flats, strict=True):
        line[: len(flat)] = flat
    return rules, tables


def _cell_row(pools: tuple[Pool, ...], routing: Routing, epoch_ms: int, seed: int, keep: bool) -> Ints:
    replicas = sum(p.replicas for p in pools)
    row = np.zeros(at.CELL_FIELDS + replicas * (REPLICA_FIELDS + at.PLACED_FIELDS + at.COLUMNS), np.int64)
    row[at.REPLICAS] = replicas
    row[at.ROUTE], row[at.ROUTE_BY], row[at.PERCENT] = RULES[routing.rule], LOADS[routing.by], routing.percent
    row[at.FREE_ROW], row[at.ROOM], row[at.EPOCH_MS], row[at.SEED] = 1, routing.room or 0, epoch_ms, seed
    row[at.KEEPS], row[at.TIMES] = keep, routing.times
    row[at.CONTROL_PS], row[at.SERVING], row[at.ON_KILL] = FOREVER_PS, replicas, ON_KILLS[routing.on_kill]
    row[at.QUEUE_MOST] = -1 if routing.queue_most is None else routing.queue_most
    row[at.QUEUE_PS] = 0 if routing.queue_s is None else max(round(routing.queue_s * PS_PER_S), 1)
    row[at.FAIR] = routing.queue == "fair"
    i = 0
    placed = at.CELL_FIELDS + replicas * REPLICA_FIELDS
    columns = placed + replicas * at.PLACED_FIELDS
    first = np.cumsum([0, *(p.replicas for p in pools)])
    for number, p in enumerate(pools):
        names = range(i, i + p.replicas)
        begin = at.CELL_FIELDS + i * REPLICA_FIELDS
        row[begin : begin + p.replicas * REPLICA_FIELDS] = replica_rows(names, p.pace_ns)
        for replica in names:
            row[placed + replica * at.PLACED_FIELDS + at.POOL] = number
            row[columns + 2 * replicas + replica] = first[(number + 1) % len(pools)]
            row[columns + 3 * replicas + replica] = pools[(number + 1) % len(pools)].replicas
        i += p.replicas
    return row


def _line(cell: Ints, routing: Routing, tiers: tuple[CellTier, ...], subscribers: int) -> Ints:
    """A fair queue, where its requests stand, and everybody who may wait in it. Raises ValueError as `fresh_queue`."""
    if routing.queue != "fair":
        return np.zeros(1, np.int64)
    room = routing.queue_most or 0
    queue = fresh_queue([tier.quantum for tier in tiers], room, routing.ageing)
    cell[at.LINE_PLACES], cell[at.LINE_PEOPLE] = len(queue), len(queue) + room
    people = (TIERS_MOST + subscribers + 1) * PERSON_FIELDS
    return np.array(queue + [0] * (room + people), np.int64)


def _chain_free(requests: Ints, first: int, last: int) -> None:
    """Let the free rows from `first` to `last` name each other."""
    rows = requests.reshape(-1, REQUEST_FIELDS)
    rows[first:last, NEXT] = np.arange(first + 1, last + 1)
    rows[last, NEXT] = 0


def _longest(scripts: Scripts) -> int:
    """Tokens of context that any step needs."""
    return int((scripts.steps[:, at.ASK_INPUT] + scripts.steps[:, at.ASK_OUTPUT] - 1).max(initial=0))


def _check_iterations(pools: tuple[Pool, ...], longest: int) -> None:
    """Raises ValueError for a pool whose longest iteration whole numbers of 63 bits cannot count."""
    wrong = []
    for i, p in enumerate(pools):
        e = p.engine
        chunk = min(e.token_budget, longest)
        context = min(e.max_seqs * longest, e.kv_blocks * KV_BLOCK_TOKENS)
        flat = [int(n) for n in p.step.flat()]
        ticks = iteration_ticks(flat, e.max_seqs, context, e.token_budget, e.token_budget * (2 * longest + chunk))
        if ticks > TICKS_MOST:
            most_s = TICKS_MOST >> TICK_BITS
            wrong.append(
                f"pool {i}: an iteration may take {(ticks >> TICK_BITS) / PS_PER_S:,.0f} s, beyond the "
                f"{most_s / PS_PER_S:,.0f} s that can be counted; fewer tokens an iteration, or shorter contexts"
            )
    if wrong:
        raise ValueError("; ".join(wrong))


def _check(pools: tuple[Pool, ...], scripts: Scripts, tiers: tuple[CellTier, ...]) -> None:
    longest = _longest(scripts)
    wrong = []
    for i, p in enumerate(pools):
        if p.replicas < 1:
            wrong.append(f"pool {i} has {p.replicas} replicas: at least 1")
        if block_count(longest + p.engine.drafts) > p.engine.kv_blocks:
            wrong.append(
                f"pool {i}: a step needs {longest} tokens of context, a replica has {p.engine.kv_blocks} blocks"
            )
    if not pools:
        wrong.append("no pool of replicas: at least one")
    if (highest := int(scripts.agents[:, at.TIER].max(initial=0))) >= len(tiers):
        wrong.append(f"an agent is of tier {highest}; there are {len(tiers)}, from 0")
    if wrong:
        raise ValueError("; ".join(wrong))
