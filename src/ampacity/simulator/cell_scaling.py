"""Replicas of a cell that come and go with its load, as `policy/autoscaling.py` says, at looks in equal distances.

At a look whatever has drained and is empty is gone, with its memory; then replicas are started, taken back or drained.
A start serves after its delay, with nothing in memory. What fails (`cell_ticks.py`) does so beside it: a replica that
is out counts for nobody, so another is started for it, and when it is back it is as far as it was. Looks end with the
first that finds nothing left to do in the cell.
"""

from __future__ import annotations

from typing import Any

from ampacity.policy.autoscaling import A_START_MS, scale_by, taken_back
from ampacity.policy.routing import NOBODY, R_BACKLOG, R_REQUESTS, REPLICA_FIELDS, WHOLE_SHARE
from ampacity.simulator.admission import PS_PER_MS
from ampacity.simulator.cell_rows import (
    ABSENT,
    CELL_FIELDS,
    EPOCH_MS,
    FROM_PS,
    IN_QUEUE,
    IN_SERVICE,
    IS_OUT,
    LEAVING,
    S_BY,
    S_COUNT,
    S_DRAINS,
    S_EVERY_PS,
    S_FIRST,
    S_HERE,
    S_HERE_PS,
    S_LOOK_PS,
    S_LOOKED_PS,
    S_NEXT_PS,
    S_RULES,
    S_STARTS,
    S_TAKEN_BACK,
    S_WATCH,
    SCALED,
    SCALED_FIELDS,
    SCALED_HEADER,
    STAGE,
    STARTING,
    Control,
    Desk,
    Engines,
    People,
)
from ampacity.simulator.cell_ticks import stop_replica
from ampacity.simulator.dispatch import advance_one, rekey
from ampacity.simulator.engine import FOREVER_PS
from ampacity.simulator.route import set_share


def next_scaling_ps(cell: Any) -> int:
    """When a look is due or a replica has started; FOREVER_PS in a cell that does not scale."""
    at_ps: int = cell[cell[SCALED] + S_NEXT_PS] if cell[SCALED] > 0 else FOREVER_PS
    return at_ps


def carry_out_scaling(e: Engines, desk: Desk, rare: Control, people: People, now_ps: int, work_left: bool) -> None:
    """What is due now: replicas have started, and if it is time for a look, some come and go."""
    cell = desk.cell
    s = cell[SCALED]
    for i in range(cell[s + S_COUNT]):
        at = s + SCALED_HEADER + i * SCALED_FIELDS
        if cell[at + STAGE] == STARTING and cell[at + FROM_PS] <= now_ps:
            serve_again(e, desk, i, now_ps)
    if cell[s + S_LOOK_PS] == now_ps:
        cell[s + S_HERE_PS] += cell[s + S_HERE] * (now_ps - cell[s + S_LOOKED_PS])
        cell[s + S_LOOKED_PS] = now_ps
        let_go_the_drained(e, desk, rare, people, now_ps)
        follow_the_load(e, desk, now_ps)
        cell[s + S_LOOK_PS] = now_ps + cell[s + S_EVERY_PS] if work_left else FOREVER_PS
    cell[s + S_NEXT_PS] = cell[s + S_LOOK_PS]
    for i in range(cell[s + S_COUNT]):
        at = s + SCALED_HEADER + i * SCALED_FIELDS
        if cell[at + STAGE] == STARTING:
            cell[s + S_NEXT_PS] = min(cell[s + S_NEXT_PS], cell[at + FROM_PS])


def let_go_the_drained(e: Engines, desk: Desk, rare: Control, people: People, now_ps: int) -> None:
    """Replicas that drain and are empty are not there any more."""
    cell = desk.cell
    s = cell[SCALED]
    for i in range(cell[s + S_COUNT]):
        at = s + SCALED_HEADER + i * SCALED_FIELDS
        replica = cell[s + S_FIRST] + i
        if cell[at + STAGE] == LEAVING and cell[CELL_FIELDS + replica * REPLICA_FIELDS + R_REQUESTS] == 0:
            advance_one(e, cell, replica, now_ps)
            stop_replica(e, desk, rare, people, replica, now_ps)
            rekey(e, desk, replica)
            cell[at + STAGE] = ABSENT
            cell[s + S_HERE] -= 1


def follow_the_load(e: Engines, desk: Desk, now_ps: int) -> None:
    """Start, take back or drain as many replicas as the load says."""
    cell = desk.cell
    s = cell[SCALED]
    load = load_now(e, desk, now_ps)
    serving, starting = in_stage(cell, IN_SERVICE), in_stage(cell, STARTING)
    now_ms = cell[EPOCH_MS] + now_ps // PS_PER_MS
    change = scale_by(cell, s + S_RULES, cell, s + S_WATCH, load, serving, starting, now_ms)
    back = taken_back(change, in_stage(cell, LEAVING))
    for _ in range(back):
        serve_again(e, desk, first_in_stage(cell, LEAVING), now_ps)
    cell[s + S_TAKEN_BACK] += back
    for _ in range(min(change - back, in_stage(cell, ABSENT))):
        at = s + SCALED_HEADER + first_in_stage(cell, ABSENT) * SCALED_FIELDS
        cell[at + STAGE] = STARTING
        cell[at + FROM_PS] = now_ps + cell[s + S_RULES + A_START_MS] * PS_PER_MS
        cell[s + S_STARTS] += 1
        cell[s + S_HERE] += 1
    for _ in range(-change):
        drain_one(e, desk, now_ps)


def load_now(e: Engines, desk: Desk, now_ps: int) -> int:
    """What the pool's replicas, and in requests the queue, have to do; also the replicas that drain."""
    cell = desk.cell
    s = cell[SCALED]
    load: int = cell[IN_QUEUE] if cell[s + S_BY] == R_REQUESTS else 0
    for replica in range(cell[s + S_FIRST], cell[s + S_FIRST] + cell[s + S_COUNT]):
        if cell[s + S_BY] == R_BACKLOG:
            advance_one(e, cell, replica, now_ps)
            rekey(e, desk, replica)
        load += cell[CELL_FIELDS + replica * REPLICA_FIELDS + cell[s + S_BY]]
    return load


def drain_one(e: Engines, desk: Desk, now_ps: int) -> None:
    """Do without one replica: the one that is started last, or else the one that has least to do; of equals the last.

    A start is broken off: it has nothing that must end.
    """
    cell = desk.cell
    s = cell[SCALED]
    chosen = NOBODY
    least = FOREVER_PS
    for i in range(cell[s + S_COUNT]):
        at = s + SCALED_HEADER + i * SCALED_FIELDS
        replica = cell[s + S_FIRST] + i
        if cell[at + IS_OUT] == 0 and cell[at + STAGE] == STARTING:
            key = -cell[at + FROM_PS]
        elif cell[at + IS_OUT] == 0 and cell[at + STAGE] == IN_SERVICE:
            key = cell[CELL_FIELDS + replica * REPLICA_FIELDS + cell[s + S_BY]]
        else:
            key = FOREVER_PS
        if key <= least and key < FOREVER_PS:
            chosen = i
            least = key
    at = s + SCALED_HEADER + chosen * SCALED_FIELDS
    cell[s + S_DRAINS] += 1
    if cell[at + STAGE] == STARTING:
        cell[at + STAGE] = ABSENT
        cell[s + S_HERE] -= 1
        return
    cell[at + STAGE] = LEAVING
    advance_one(e, cell, cell[s + S_FIRST] + chosen, now_ps)
    set_share(cell, cell[s + S_FIRST] + chosen, 0)
    rekey(e, desk, cell[s + S_FIRST] + chosen)


def serve_again(e: Engines, desk: Desk, i: int, now_ps: int) -> None:
    """Let the pool's replica of a number get requests, unless it is out."""
    cell = desk.cell
    at = cell[SCALED] + SCALED_HEADER + i * SCALED_FIELDS
    replica = cell[cell[SCALED] + S_FIRST] + i
    cell[at + STAGE] = IN_SERVICE
    if cell[at + IS_OUT] == 0:
        advance_one(e, cell, replica, now_ps)
        set_share(cell, replica, WHOLE_SHARE)
        rekey(e, desk, replica)


def in_stage(cell: Any, stage: int) -> int:
    """How many of the pool's replicas are in a stage and not out."""
    s = cell[SCALED]
    found = 0
    for i in range(cell[s + S_COUNT]):
        at = s + SCALED_HEADER + i * SCALED_FIELDS
        if cell[at + STAGE] == stage and cell[at + IS_OUT] == 0:
            found += 1
    return found


def first_in_stage(cell: Any, stage: int) -> int:
    """The first of them; there must be one."""
    s = cell[SCALED]
    i = 0
    while cell[s + SCALED_HEADER + i * SCALED_FIELDS + STAGE] != stage or (
        cell[s + SCALED_HEADER + i * SCALED_FIELDS + IS_OUT] > 0
    ):
        i += 1
    return i
