"""What changes while a cell runs, at instants that are known before: replicas that drain, stop, return or slow down.

Order at one instant: iterations end; ticks, in the order in which they are given; who waits in the queue gets the room;
whoever has waited too long is refused; agents ask, among them those whose requests a replica has handed back;
iterations begin.
"""

from __future__ import annotations

from typing import Any

from ampacity.policy.routing import REPLICA_FIELDS, WHOLE_SHARE
from ampacity.simulator.cell_queue import settle_charge
from ampacity.simulator.cell_rows import (
    AGENT_FIELDS,
    ASTRAY,
    BY_AGENT,
    CELL_FIELDS,
    CLOSE,
    DRAIN,
    FAIR,
    HERE_STEP,
    IN_HAND,
    IN_SERVICE,
    IS_OUT,
    KILL,
    MISROUTE,
    NEXT_TICK,
    NOTE_FIELDS,
    OPEN,
    PLACED_FIELDS,
    POOL,
    REPLICAS,
    S_COUNT,
    S_FIRST,
    SCALED,
    SCALED_FIELDS,
    SCALED_HEADER,
    SHUT,
    SLOW,
    STAGE,
    TICK_AT_PS,
    TICK_FIELDS,
    TICK_REPLICA,
    TICK_VALUE,
    TICK_WHAT,
    UP,
    Control,
    Desk,
    Engines,
    People,
)
from ampacity.simulator.dispatch import pool_of, rekey
from ampacity.simulator.engine import FOREVER_PS
from ampacity.simulator.kill import kill
from ampacity.simulator.replica import collect
from ampacity.simulator.route import set_share
from ampacity.simulator.rows import EQUALS, SESSION_FIELDS
from ampacity.simulator.wakes import wake_at


def next_tick_ps(desk: Desk, rare: Control) -> int:
    """The instant of the next tick; FOREVER_PS if there is none."""
    t = desk.cell[NEXT_TICK] * TICK_FIELDS
    at_ps: int = rare.ticks[t + TICK_AT_PS] if t < len(rare.ticks) else FOREVER_PS
    return at_ps


def carry_out_tick(e: Engines, desk: Desk, rare: Control, people: People, t: int, now_ps: int) -> None:
    """One tick, whose row begins at `t`; if it is of a replica, that has been advanced to now."""
    cell, what, replica = desk.cell, rare.ticks[t + TICK_WHAT], rare.ticks[t + TICK_REPLICA]
    if what in (CLOSE, OPEN):
        cell[SHUT] = 1 if what == CLOSE else 0
        return
    if what == MISROUTE:
        cell[ASTRAY] = rare.ticks[t + TICK_VALUE]
        return
    if what == UP:
        set_share(cell, replica, WHOLE_SHARE if note_out(cell, replica, 0) else 0)
    elif what == DRAIN:
        note_out(cell, replica, 1)
        set_share(cell, replica, 0)
    elif what == KILL:
        note_out(cell, replica, 1)
        set_share(cell, replica, 0)
        stop_replica(e, desk, rare, people, replica, now_ps)
    elif what == SLOW:
        change_table(e, cell, replica, rare.ticks[t + TICK_VALUE])
    rekey(e, desk, replica)


def note_out(cell: Any, replica: int, out: int) -> bool:
    """Note whether a replica is out by a tick; whether it may serve, as far as scaling goes."""
    s = cell[SCALED]
    if s == 0 or not cell[s + S_FIRST] <= replica < cell[s + S_FIRST] + cell[s + S_COUNT]:
        return out == 0
    at = s + SCALED_HEADER + (replica - cell[s + S_FIRST]) * SCALED_FIELDS
    cell[at + IS_OUT] = out
    return out == 0 and bool(cell[at + STAGE] == IN_SERVICE)


def stop_replica(e: Engines, desk: Desk, rare: Control, people: People, replica: int, now_ps: int) -> None:
    """Kill a replica that has been advanced; whoever had a request there has it in hand at this instant."""
    row = e.rows[replica]
    kill(row, e.rules[pool_of(desk.cell, replica)], e.requests, e.sessions[replica], now_ps)
    for visited in range(HERE_STEP, len(e.sessions[replica]), SESSION_FIELDS):
        e.sessions[replica][visited] = 0
    place = collect(row, e.requests)
    while place > 0:
        if desk.cell[FAIR] > 0:
            settle_charge(e.requests, desk, rare, people, place, False)
        agent = desk.notes[place * NOTE_FIELDS + BY_AGENT]
        people.agents[agent * AGENT_FIELDS + IN_HAND] = -place
        wake_at(people.wakes, now_ps, agent)
        place = collect(row, e.requests)


def change_table(e: Engines, cell: Any, replica: int, pool: int) -> None:
    """Give a replica another row of rules and tables from its next iteration on; the one in flight runs as it is.

    Iterations that were foreseen to be equal are not any more.
    """
    cell[CELL_FIELDS + cell[REPLICAS] * REPLICA_FIELDS + replica * PLACED_FIELDS + POOL] = pool
    e.rows[replica][EQUALS] = 0
