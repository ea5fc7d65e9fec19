"""One model's replicas with those who will ask them, before anything is served: a cell that can be run more than once.

The same description gives the same bytes every time, so what was seen in one run can be looked at closely in another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ampacity.inference.engines import token_budget
from ampacity.inference.replica import KV_BLOCK_TOKENS, Replica
from ampacity.inference.step_time import StepTime
from ampacity.scenario.placement import HOST_KV_BYTES_PER_S, FollowsLoad, Placement
from ampacity.simulator.cell import Cell, open_cell
from ampacity.simulator.cell_terms import CellTier, Pool, Routing
from ampacity.simulator.dispatch import pool_of as pool_number
from ampacity.simulator.engine import PS_PER_S, SEQS_USUAL, KvTier, sglang, vllm
from ampacity.simulator.limits_in_time import LimitsInTime
from ampacity.simulator.of_scenario import scaling_of
from ampacity.simulator.replica import advance
from ampacity.simulator.rows import NOW_PS, RESTED_PS, Ints
from ampacity.simulator.scaling import Scaling
from ampacity.simulator.scripts import Scripts
from ampacity.simulator.step_table import step_table
from ampacity.supply.capacity import PoolCapacity


@dataclass(frozen=True)
class ModelCell:
    """The replicas of a model and what will be asked of them.

    model: its name. supply: the pools of the scenario that hold its replicas. scripts: who asks what, and when. tiers:
    in the order in which the scripts number them. limits: of theirs. epoch_ms: instant 0 by the clock of limits.
    left_out: requests that are not in the scripts, by reason.
    """

    model: str
    supply: tuple[PoolCapacity, ...]
    scripts: Scripts
    routing: Routing
    tiers: tuple[CellTier, ...]
    limits: LimitsInTime
    epoch_ms: int
    seed: int
    left_out: dict[str, int]

    @property
    def pools(self) -> tuple[Pool, ...]:
        """The pools as a cell takes them."""
        return tuple(pool_of(p) for p in self.supply)

    @property
    def replicas_of(self) -> tuple[int, ...]:
        """Replicas of each pool; their numbers go through all pools."""
        return tuple(replicas_in(p) for p in self.supply)

    @property
    def scaling(self) -> Scaling | None:
        """How the one pool follows the load that does."""
        pools = enumerate(zip(self.supply, self.replicas_of, strict=True))
        return next((own for i, (p, n) in pools if (own := scaling_of(follows(p), i, n, n)) is not None), None)

    def open(self, *, keep: bool = False) -> Cell:
        """The cell before anything has happened. keep: what every request met."""
        book, changes = self.limits.book(self.epoch_ms), self.limits.changes(self.epoch_ms)
        return open_cell(
            self.pools, self.scripts, self.routing, self.tiers, book, self.epoch_ms, self.seed, keep=keep,
            scaling=self.scaling, changes=changes,
        )  # fmt: skip

    def window(self, tier: int, place: int) -> str:
        """The name of the window that `cell_rows.BY_WINDOW + place` counts for a tier."""
        return self.limits.windows(self.tiers[tier].name)[place].name

    def windows(self, tier: int) -> int:
        """How many windows a tier ever has."""
        return len(self.limits.windows(self.tiers[tier].name))


def pool_of(p: PoolCapacity) -> Pool:
    """The replicas of a pool with the engine and the step time of its placement, as many as in its best hour."""
    assert p.step is not None
    assert p.placement is not None
    r = p.step.replica
    budget = p.placement.token_budget or max(token_budget(r.engine), r.stated_seqs or 1)
    seqs = min(SEQS_USUAL, budget) if r.stated_seqs is None else r.stated_seqs
    # data parallel groups are one replica here, as in the step time: their blocks together
    engine = (sglang if r.engine == "sglang" else vllm)(r.kv_blocks, budget, seqs, tiers=kv_tiers(p.placement, r))
    return Pool(engine, step_table(p.step, budget), replicas_in(p))


def follows(p: PoolCapacity) -> FollowsLoad | None:
    """How a pool's replicas follow the load, if they do."""
    return p.placement.follows_load if p.placement is not None else None


def kv_tiers(p: Placement, r: Replica) -> tuple[KvTier, ...]:
    """The memory below HBM that a placement gives a replica, in blocks; every chip loads its own part of a block."""
    stated = (
        (p.host_kv, p.host_kv_bandwidth.value if p.host_kv_bandwidth else HOST_KV_BYTES_PER_S),
        (p.store_kv, p.store_kv_bandwidth.value if p.store_kv_bandwidth else HOST_KV_BYTES_PER_S),
    )
    block_bytes = KV_BLOCK_TOKENS * r.kv_bytes_per_token / r.accelerators
    tiers = (
        KvTier(int(memory.value // block_bytes), math.ceil(block_bytes / bytes_per_s * PS_PER_S))
        for memory, bytes_per_s in stated
        if memory is not None
    )
    return tuple(tier for tier in tiers if tier.blocks > 0)


def step_of(p: PoolCapacity) -> StepTime:
    """The step time of a pool that serves."""
    assert p.step is not None
    return p.step


def replicas_in(p: PoolCapacity) -> int:
    """Replicas of a pool in its best hour."""
    return int(p.replicas.max())


def context_most(supply: tuple[PoolCapacity, ...]) -> int:
    """Tokens of context that a request may have, input and output, so that each of the pools can hold it."""
    return min((pool_of(p).engine.kv_blocks - 1) * KV_BLOCK_TOKENS for p in supply)


def serving(supply: tuple[PoolCapacity, ...], model: str) -> tuple[PoolCapacity, ...]:
    """The pools that hold replicas of a model."""
    return tuple(p for p in supply if p.replica is not None and p.replica.model.name == model and p.replicas.max() >= 1)


def bring_to_now(cell: Cell) -> None:
    """Let every replica do what it does by now: a run touches a replica only when something can be seen of it."""
    e = cell.engines
    for replica, row in enumerate(e.rows):
        pool = pool_number(cell.desk.cell, replica)
        advance(row, e.rules[pool], e.tables[pool], e.requests, e.sessions[replica], cell.now_ps)


def busy_ps(cell: Cell) -> Ints:
    """Time of each replica, brought to now, in which an iteration ran. [ps]"""
    rows = np.asarray(cell.engines.rows)
    return np.asarray(np.minimum(rows[:, NOW_PS], cell.now_ps) - rows[:, RESTED_PS])
