"""Autoscaling as people state it: how many replicas of a pool serve; checked and laid out for `cell_scaling.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ampacity.policy.autoscaling import scaling_rules
from ampacity.policy.routing import R_BACKLOG, R_REQUESTS, REPLICA_FIELDS
from ampacity.simulator import cell_rows as at
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.route import TAKES_NOTHING, set_share
from ampacity.simulator.rows import Ints

PS_PER_MS = PS_PER_S // 1000
LOOKS_MOST_S = 86_400.0


@dataclass(frozen=True)
class Scaling:
    """How the replicas of a pool follow the load; the pool's own number is how many there can be at most.

    target: outstanding requests (by `requests`, waiting ones too) or uncached tokens (by `tokens`) that a replica is to
    have. least, most: replicas; most None: all of the pool. first: that serve when the cell opens; None: the least.
    every_s: between two looks; start_s: until a replica that is started serves, its memory empty; calm_s: for so long
    fewer must do before any drains. [s], in whole ms.
    """

    target: int
    by: str = "requests"
    least: int = 1
    most: int | None = None
    first: int | None = None
    every_s: float = 15.0
    start_s: float = 120.0
    calm_s: float = 300.0
    pool: int = 0

    def row(self, replicas: Sequence[int], room: int | None) -> list[int]:
        """As the kernels read it. replicas: of each pool. Raises ValueError with every mistake."""
        if not 0 <= self.pool < len(replicas):
            raise ValueError(f"pool {self.pool} scales: one from 0 to {len(replicas) - 1}")
        count = replicas[self.pool]
        most = count if self.most is None else self.most
        first = self.least if self.first is None else self.first
        wrong = []
        if self.by not in ("requests", "tokens"):
            wrong.append(f"by {self.by!r}: requests or tokens")
        if self.by == "tokens" and room is not None:
            wrong.append("by tokens, and room: what waits in a cell's queue is counted in requests")
        if not 0.001 <= self.every_s <= LOOKS_MOST_S:
            wrong.append(f"a look every {self.every_s} s: from 0.001 to {LOOKS_MOST_S:.0f}")
        if most > count:
            wrong.append(f"most is {most}: the pool has {count} replicas")
        if not self.least <= first <= most:
            wrong.append(f"first is {first}: from {self.least} to {most}")
        rules = [0]
        try:
            rules = scaling_rules(self.target, self.least, most, _ms(self.start_s), _ms(self.calm_s))
        except ValueError as mistakes:
            wrong += str(mistakes).split("\n")
        if wrong:
            raise ValueError("; ".join(wrong))
        every_ps = _ms(self.every_s) * PS_PER_MS
        row = [0] * at.SCALED_HEADER
        row[at.S_FIRST], row[at.S_COUNT] = sum(replicas[: self.pool]), count
        row[at.S_BY] = R_REQUESTS if self.by == "requests" else R_BACKLOG
        row[at.S_EVERY_PS] = row[at.S_LOOK_PS] = row[at.S_NEXT_PS] = every_ps
        row[at.S_HERE] = first
        row[at.S_RULES : at.S_WATCH] = rules
        for i in range(count):
            row += [at.IN_SERVICE if i < first else at.ABSENT, 0, 0]
        return row


def scaled(cell: Ints, scaling: Scaling | None, replicas: Sequence[int], room: int | None) -> Ints:
    """A cell's row of which one pool scales; the same row if none does. Raises ValueError with every mistake."""
    if scaling is None:
        return cell
    row = scaling.row(replicas, room)
    loads = at.CELL_FIELDS + sum(replicas) * (REPLICA_FIELDS + at.PLACED_FIELDS)
    cell[at.SCALED] = len(cell)
    cell[at.CONTROL_PS] = min(int(cell[at.CONTROL_PS]), row[at.S_NEXT_PS])
    for replica in range(row[at.S_FIRST] + row[at.S_HERE], row[at.S_FIRST] + row[at.S_COUNT]):
        set_share(cell, replica, 0)
        cell[loads + replica] = TAKES_NOTHING
    return np.concatenate([cell, np.array(row, np.int64)])


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
