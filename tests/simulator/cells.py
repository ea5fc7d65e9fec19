"""Cells that reach every corner, and one way to run them: naive, plain source or compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
from naive import BLOCK
from naive_cell import NaiveCell
from naive_line import Agent, Terms
from stepper import Stepper
from workloads import MS, Workload, drawn, rules_of

from ampacity.demand.reactions import Reactions
from ampacity.policy.book import Book, compile_book
from ampacity.policy.capacity_cap import compile_caps
from ampacity.policy.routing import replica_rows
from ampacity.policy.rows import AT_FIRST_USE, EVENLY, IN_FLIGHT, ONE_IN_FLIGHT, ONE_REQUEST, Price, WindowRule
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.simulator import cell_loop
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import Cell, open_cell
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.cell_terms import LOADS, CellTier, Pool, Routing
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S
from ampacity.simulator.route import BY_SOONEST
from ampacity.simulator.scaling import Scaling
from ampacity.simulator.scripts import Scripts, checked
from ampacity.simulator.step_table import (
    EXPERT_READ,
    EXPERT_ROWS,
    PIECE_COUNT,
    PIECE_FIELDS,
    PIECE_ROWS,
    PIECES,
    PIECES_FROM,
    PROMPT_FROM,
    PROMPT_ROWS,
    TICKS,
    iteration_ticks,
)
from ampacity.simulator.ticks import DOOR, Tick

RULES = ("random", "round-robin", "two-choices", "least", "affinity", "soonest")


@dataclass
class CellWorkload:
    """One or two pools of replicas, sessions as chains, some of them helpers: (parent, step) of the chain, from 1."""

    pools: tuple[tuple[Workload, int], ...]
    routing: Routing
    tiers: tuple[CellTier, ...]
    tier_of: tuple[int, ...]
    subscriber_of: tuple[int, ...]
    helper_of: tuple[tuple[int, int], ...]
    book: Book | None
    epoch_ms: int
    ticks: tuple[Tick, ...] = ()
    scaling: Scaling | None = None
    changes: tuple[tuple[int, Book], ...] = ()

    @property
    def sessions(self) -> Workload:
        return self.pools[0][0]


def drawn_cell(
    seed: int, limited: bool | None = None, tiered: bool = False, reserves: bool = False, **routing: Any
) -> CellWorkload:
    """A cell of a seed. limited: whether windows count some of its tiers. tiered, reserves: as `drawn`."""
    rng = np.random.default_rng([seed, 7])
    rule = str(routing.pop("rule", rng.choice(RULES)))
    lag = {"lag": 0} if rule == "soonest" else {}  # the naive cache runs ahead with scheduling
    first = drawn(seed, tiered=tiered, reserves=reserves, **lag)
    pools = [(first, int(rng.integers(1, 5)))]
    if rng.random() < 0.3:
        other = drawn(seed + 1, kv_blocks=first.engine.kv_blocks, prefix_cache=first.engine.prefix_cache, **lag)
        drafts = {"drafts": first.engine.drafts, "tokens_per_round": first.engine.tokens_per_round}
        size = {"token_budget": first.engine.token_budget, "max_seqs": first.engine.max_seqs}
        pools.append((replace(other, engine=replace(other.engine, **drafts, **size)), int(rng.integers(1, 4))))
    kind = Routing(
        rule=rule,
        by=str(rng.choice(["requests", "tokens"])),
        percent=int(rng.choice([110, 125, 200])),
        times=int(rng.integers(1, 3)),
        room=None if rng.random() < 0.6 else int(rng.integers(1, 4)),
    )
    n = len(first.chains)
    helper_of = [(0, 0)] * n
    for i in range(1, n):
        if rng.random() < 0.25:
            parent = int(rng.integers(0, i))
            if helper_of[parent] == (0, 0):
                helper_of[i] = (parent + 1, int(rng.integers(0, len(first.chains[parent]))))
    book = _book(rng) if (rng.random() < 0.5 if limited is None else limited) else None
    return CellWorkload(
        tuple(pools),
        replace(kind, **routing),
        (_tier(rng, "free", book), CellTier("api"), _tier(rng, "pro", book)),
        tuple(int(t) for t in rng.integers(0, 3, n)),
        tuple(int(s) for s in rng.integers(0, 4, n)),
        tuple(helper_of),
        book,
        int(rng.choice([1, 1_790_000_000_123])),
    )


def drawn_changes(seed: int, queue: str = "fifo", **routing: Any) -> CellWorkload:
    """A cell of a seed in which replicas drain, stop, return and slow down, doors close, and queues end; it recovers.

    Half of the instants are those at which something ends if nothing changes.
    """
    rng = np.random.default_rng([seed, 8])
    waits = queue == "fair" or rng.random() < 0.6
    w = drawn_cell(seed, room=int(rng.integers(1, 4)) if waits else None)
    kind: dict[str, Any] = {"queue": queue, "on_kill": str(rng.choice(["resume", "recompute", "lose"]))}
    if queue == "fair":
        kind |= {"queue_most": int(rng.integers(1, 9)), "ageing": int(rng.choice([0, 3, 500]))}
    elif waits and rng.random() < 0.5:
        kind["queue_most"] = int(rng.integers(0, 5))
    if waits and rng.random() < 0.5:
        kind["queue_s"] = float(rng.choice([0.0001, 0.01, 0.0753, 0.4]))
    quanta = (int(n) for n in rng.integers(1, 300, 3))
    w = replace(w, routing=replace(w.routing, **kind, **routing))
    w = replace(w, tiers=tuple(replace(t, quantum=n) for t, n in zip(w.tiers, quanta, strict=True)))
    ends = sorted({t for _, first, finish, _ in by_cell(w)[1] for t in (first, finish)})
    last, replicas = ends[-1], sum(n for _, n in w.pools)
    ticks = []
    for _ in range(int(rng.integers(1, 14))):
        at_ps = int(rng.choice(ends)) if rng.random() < 0.5 else int(rng.integers(0, last + 1))
        what = int(rng.choice([at.DRAIN, at.KILL, at.KILL, at.UP, at.UP, at.SLOW, at.CLOSE, at.OPEN, at.MISROUTE]))
        where = DOOR if what in (at.CLOSE, at.OPEN, at.MISROUTE) else int(rng.integers(replicas))
        values = {at.SLOW: [1024, 1500, 3000], at.MISROUTE: [0, 100, 600, 1024]}
        ticks.append(Tick(at_ps, where, what, int(rng.choice(values.get(what, [0])))))
    if rng.random() < 0.2:
        ticks.append(Tick(0, 0, at.KILL))  # it is not there at first
    at_last = [Tick(last + MS, DOOR, at.OPEN), *(Tick(last + MS, i, at.UP) for i in range(replicas))]
    return replace(w, ticks=(*sorted(ticks), *at_last))


def drawn_limit_changes(seed: int) -> CellWorkload:
    """A cell of a seed in which limits change too, up to three times; of a subscriber all are of one tier."""
    rng = np.random.default_rng([seed, 10])
    queue = str(rng.choice(["fifo", "fair"]))
    w = next(w for n in count() if (w := drawn_changes(seed + 10_000 * n, queue)).book is not None)
    w = replace(w, tier_of=tuple(s % 3 if s else t for s, t in zip(w.subscriber_of, w.tier_of, strict=True)))
    last_ms = max(finish for _, _, finish, _ in by_cell(w)[1]) // MS
    assert w.book is not None
    changes, book = [], w.book
    for at_ms in sorted(int(x) for x in rng.integers(1, max(last_ms, 2), int(rng.integers(1, 4)))):
        book = _changed(rng, book)
        changes.append((w.epoch_ms + at_ms, book))
    return replace(w, changes=tuple(changes))


def drawn_caps(seed: int) -> CellWorkload:
    """The same, with hourly caps of some tiers, small enough to refuse; a new hour begins on the way."""
    rng = np.random.default_rng([seed, 11])
    w = drawn_limit_changes(seed) if rng.random() < 0.5 else drawn_changes(seed, "fair" if seed % 2 else "fifo")
    last_ms = max(finish for _, _, finish, _ in by_cell(w)[1]) // MS
    start_s = (w.epoch_ms + int(rng.integers(1, max(last_ms, 2)))) // 1000 - 3600
    whole = sum(step[1] for chain in w.sessions.chains for step in chain)
    tiers = []
    for t in w.tiers:
        sizes = tuple(int(whole * rng.uniform(0, 0.3)) for _ in range(3))
        tiers.append(replace(t, cap=CapacityCurve(t.name, "", start_s, sizes, (), ())) if rng.random() < 0.7 else t)
    return replace(w, tiers=tuple(tiers))


def _changed(rng: np.random.Generator, book: Book) -> Book:
    """Other sizes and lengths; a window more or fewer."""
    rules = {}
    for name, own in book.places.items():
        sizes = [replace(r, size=max(int(r.size * rng.uniform(0.2, 4)), 1000)) for r in own]
        kept = [replace(r, length_ms=r.length_ms * int(rng.integers(1, 4))) for r in sizes if rng.random() < 0.8]
        if rng.random() < 0.3 and len(own) < 4:
            kept.append(
                WindowRule(f"new {len(own)}", int(rng.integers(1, 2000)) * 1000, AT_FIRST_USE, 500, own[0].price)
            )
        rules[name] = kept
    return compile_book(rules, like=book, prior_tokens=(100, 0, 300, 50))


def drawn_scaling(seed: int, queue: str = "fifo") -> CellWorkload:
    """A cell of a seed in which all of that happens while the replicas of one pool come and go."""
    rng = np.random.default_rng([seed, 9])
    w = drawn_changes(seed, queue)
    if rng.random() < 0.4:
        w = replace(w, ticks=())
    if rng.random() < 0.7:
        w = replace(w, pools=((w.pools[0][0], w.pools[0][1] + int(rng.integers(0, 4))), *w.pools[1:]))
    last_s = max(finish for _, _, finish, _ in by_cell(w)[1]) / PS_PER_S
    pool = int(rng.integers(len(w.pools)))
    count = w.pools[pool][1]
    least = int(rng.integers(1, count + 1)) if rng.random() < 0.3 else 1
    most = int(rng.integers(least, count + 1)) if rng.random() < 0.3 else None
    by = "requests" if w.routing.room is not None or rng.random() < 0.5 else "tokens"
    every_s = max(round(last_s / float(rng.integers(5, 60)), 3), 0.001)
    scaling = Scaling(
        target=int(rng.integers(1, 5)) if by == "requests" else int(rng.integers(10, 2000)),
        by=by,
        least=least,
        most=most,
        first=int(rng.integers(least, (most or count) + 1)) if rng.random() < 0.5 else None,
        every_s=every_s,
        start_s=max(round(every_s * float(rng.choice([0.3, 1, 2, 7])), 3), 0.001),
        calm_s=round(every_s * float(rng.choice([0, 1, 3, 10])), 3),
        pool=pool,
    )
    return replace(w, scaling=scaling)


def _book(rng: np.random.Generator) -> Book:
    price = Price(1000, 1250, 100, 5000)

    def some(most: int) -> int:
        return int(rng.integers(1, most)) * 1000

    rules = {
        "free": [
            WindowRule("short", some(2000), AT_FIRST_USE, int(rng.choice([20, 300, 5000])), price),
            WindowRule("at once", 1000 * int(rng.integers(1, 3)), IN_FLIGHT, 0, ONE_IN_FLIGHT),
        ],
        "pro": [
            WindowRule("stream", some(4000), EVENLY, 1000, price, overflow=200, passing=500),
            WindowRule("asks", 1000 * int(rng.integers(1, 6)), EVENLY, 400, ONE_REQUEST),
        ],
    }
    return compile_book(rules, prior_tokens=(100, 0, 300, 50))


def _tier(rng: np.random.Generator, name: str, book: Book | None) -> CellTier:
    wait, later, switch, buy = (float(x) for x in rng.dirichlet([3, 1, 1, 1, 1])[:4])
    shares = [int(x * 1000) / 1000 for x in (wait, later, switch, buy)]
    return CellTier(
        name,
        limit=name if book else None,
        output_most=int(rng.choice([50, 500])),
        writes=bool(rng.integers(2)),
        retries=int(rng.integers(0, 3)),
        told_s=float(rng.choice([0.0, 0.2, 10.0])),
        reactions=Reactions(*shares, patience_ms=float(rng.choice([10, 1000])), delay_ms=float(rng.choice([1, 100]))),
    )


def scripts_of(w: CellWorkload) -> Scripts:
    """The chains as agents, numbered as they are."""
    s = w.sessions
    agents = np.zeros((len(s.chains) + 1, at.AGENT_FIELDS), np.int64)
    steps, starts, last_child = [], [], {}
    first: list[int] = []
    for chain in s.chains:
        first.append(len(steps))
        steps += chain
    rows = [(i, *w.helper_of[i - 1]) for i in range(1, len(s.chains) + 1)]
    for i, parent, after in sorted(rows, key=lambda row: (row[1], row[2], row[0])):
        a = agents[i]
        a[at.STEP], a[at.LAST] = first[i - 1], first[i - 1] + len(s.chains[i - 1])
        a[at.TIER], a[at.SUBSCRIBER], a[at.CONTEXT] = w.tier_of[i - 1], w.subscriber_of[i - 1], i
        a[at.SHARES] = len(s.chains) + s.group_of[i - 1] if s.group_of[i - 1] else 0
        if parent == 0:
            starts.append((s.chains[i - 1][0][0], i))
            continue
        a[at.AFTER] = first[parent - 1] + after
        if parent in last_child:
            agents[last_child[parent], at.SIBLING] = i
        else:
            agents[parent, at.CHILD] = i
        last_child[parent] = i
    return checked(Scripts(np.array(sorted(starts)), agents, np.array(steps), len(s.chains), s.shared))


def opened(w: CellWorkload, plain: bool = False, seed: int = 5) -> Cell:
    """The cell before anything happens; plain: rows are lists, and the source runs as it stands."""
    pools = tuple(Pool(x.engine, x.table, n) for x, n in w.pools)
    more = {"keep": True, "ticks": w.ticks, "scaling": w.scaling, "changes": w.changes}
    cell = open_cell(pools, scripts_of(w), w.routing, w.tiers, w.book, w.epoch_ms, seed, **more)  # type: ignore[arg-type]
    if plain:
        cell.kernel = SimpleNamespace(run_cell=cell_loop.run_cell)
        for name in ("engines", "desk", "people", "windows", "found", "rare"):
            group = getattr(cell, name)
            setattr(cell, name, type(group)(*(a.tolist() for a in group)))
    return cell


def by_cell(w: CellWorkload, plain: bool = False) -> tuple[CellResult, list[tuple[int, int, int, int]]]:
    """What came out, and of every step: arrival, first, finish, replica."""
    cell = opened(w, plain)
    cell.run(FOREVER_PS)
    found = cell.result()
    assert found.met is not None
    met = [(int(a), int(b), int(c), int(d)) for a, b, c, d in found.met[:, :4]]
    return found, met


def by_naive_cell(w: CellWorkload, seed: int = 5) -> tuple[NaiveCell, list[tuple[int, int, int, int]]]:
    """The same by the naive cell."""
    s = w.sessions
    agents = []
    for i, chain in enumerate(s.chains, 1):
        group = s.group_of[i - 1]
        shared = s.shared[group - 1] // BLOCK if group else 0
        agents.append(Agent(i, chain, w.tier_of[i - 1], w.subscriber_of[i - 1], group, shared))
    heads = []
    for agent, (parent, step) in zip(agents, w.helper_of, strict=True):
        if parent:
            agents[parent - 1].helpers.append((step, agent))
        else:
            heads.append((agent.steps[0][0], agent))
    pools = [Pool(x.engine, x.table, n) for x, n in w.pools]
    lines: list[int] = []
    steppers = []
    tables = []
    for (x, n), p in zip(w.pools, pools, strict=True):
        lines += replica_rows(range(len(steppers), len(steppers) + n), p.pace_ns)
        for _ in range(n):
            tables.append([int(v) for v in x.table.flat()])
            steppers.append(Stepper(rules_of(x), _ticks_by(tables[-1]), TICKS))
    cell_seed = int(opened(w, seed=seed).desk.cell[at.SEED])
    r = w.routing
    terms = Terms(
        r.rule, LOADS[r.by], r.percent, r.times, r.room, cell_seed, w.book, _plain_tiers(w), w.epoch_ms,
        ticks=tuple(
            (*t[:3], _ticks_by(_times(tables[t.replica], t.value)) if t.what == at.SLOW else t.value) for t in w.ticks
        ),
        pool_of=tuple(i for i, (_, n) in enumerate(w.pools) for _ in range(n)),
        fair=([t.quantum for t in w.tiers], r.ageing) if r.queue == "fair" else None,
        queue_most=r.queue_most,
        queue_ps=round(r.queue_s * PS_PER_S) if r.queue_s else 0,
        on_kill=r.on_kill,
        scaling=_plain_scaling(w),
        caps={i: compile_caps([t.cap]) for i, t in enumerate(w.tiers) if t.cap},
        changes=tuple(((ms - w.epoch_ms) * MS, book) for ms, book in w.changes),
    )  # fmt: skip
    naive = NaiveCell(steppers, lines, heads, terms)
    naive.run()
    return naive, [m for a in agents for m in a.met]


def _plain_scaling(w: CellWorkload) -> dict[str, int] | None:
    s = w.scaling
    if s is None:
        return None
    return {
        "pool": s.pool,
        "by": LOADS[s.by],
        "target": s.target,
        "least": s.least,
        "most": w.pools[s.pool][1] if s.most is None else s.most,
        "first": s.least if s.first is None else s.first,
        "every_ms": round(s.every_s * 1000),
        "start_ms": round(s.start_s * 1000),
        "calm_ms": round(s.calm_s * 1000),
    }


def _ticks_by(flat: list[int]) -> Callable[[int, int, int, int], int]:
    return lambda b, k, p, a2: iteration_ticks(flat, b, k, p, a2)


def _times(flat: list[int], value: int) -> list[int]:
    """A table of which every time is value / 1,024 times as long, to the nearest tick."""
    counts = {EXPERT_ROWS, PIECE_COUNT, PIECE_ROWS, PIECES_FROM, PROMPT_ROWS, PROMPT_FROM}
    counts |= {*range(PIECES, EXPERT_READ, PIECE_FIELDS)}
    return [n if i in counts else (2 * n * value + 1024) // 2048 for i, n in enumerate(flat)]


def _plain_tiers(w: CellWorkload) -> tuple[dict[str, int], ...]:
    out = []
    for t in w.tiers:
        limited = t.limit is not None and w.book is not None
        r = t.reactions
        out.append(
            {
                "limit": w.book.limit(t.limit) if limited else 0,
                "plan": w.book.plan(t.limit) if limited else 0,
                "output_most": t.output_most,
                "writes": int(t.writes),
                "retries": t.retries,
                "told_ms": round(t.told_s * 1000),
                **{name: round(getattr(r, name) * 1000) for name in ("wait", "later", "switch", "buy")},
                "patience_ms": round(r.patience_ms),
                "delay_ms": round(r.delay_ms),
            }
        )
    return tuple(out)


__all__ = [
    "BY_SOONEST",
    "MS",
    "CellWorkload",
    "by_cell",
    "by_naive_cell",
    "drawn_caps",
    "drawn_cell",
    "drawn_changes",
    "drawn_limit_changes",
    "drawn_scaling",
    "opened",
]
