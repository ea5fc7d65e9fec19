"""Sending a request of the cell to a replica; and what whoever touches a replica does before and after."""

from __future__ import annotations

from typing import Any

from ampacity.policy.routing import NOBODY, REPLICA_FIELDS
from ampacity.simulator.cell_rows import (
    AGENT_FIELDS,
    ASK_FIELDS,
    ASK_REUSABLE,
    ASTRAY,
    AT_REPLICA,
    BY_AGENT,
    CELL_FIELDS,
    CHUNKING,
    CONTEXT,
    HERE_STEP,
    NOTE_FIELDS,
    PLACED_FIELDS,
    REPLICAS,
    ROUTE,
    SEEN_AT,
    STEP,
    UNTAKEN,
    Desk,
    Engines,
    People,
)
from ampacity.simulator.engine import PREFIX_CACHE
from ampacity.simulator.replica import advance, next_visible_ps, push
from ampacity.simulator.route import BY_SOONEST, choose, is_stale, note_load, reads_backlog, wrong_place
from ampacity.simulator.rows import ARRIVAL_PS, CACHEABLE, REQUEST_FIELDS, SESSION, SESSION_FIELDS
from ampacity.simulator.visible import set_visible

NOT_SENT, SENT_RIGHT, SENT_ASTRAY = range(3)


def pool_of(cell: Any, replica: int) -> int:
    """The pool to which a replica belongs."""
    pool: int = cell[CELL_FIELDS + cell[REPLICAS] * REPLICA_FIELDS + replica * PLACED_FIELDS]
    return pool


def advance_one(e: Engines, cell: Any, replica: int, now_ps: int) -> None:
    """Bring a replica to now: what ends by now has ended, what begins before now has begun."""
    pool = pool_of(cell, replica)
    advance(e.rows[replica], e.rules[pool], e.tables[pool], e.requests, e.sessions[replica], now_ps)


def rekey(e: Engines, desk: Desk, replica: int) -> None:
    """Note when a replica that was touched can be seen next, and what it has to do."""
    row = e.rows[replica]
    note_load(desk.cell, row, replica)
    set_visible(desk.tree, replica, next_visible_ps(row, e.requests))


def send(e: Engines, desk: Desk, people: People, place: int, now_ps: int) -> int:
    """Send a request to the replica that the router chooses: SENT_RIGHT or SENT_ASTRAY; NOT_SENT if none has room."""
    cell = desk.cell
    n = place * NOTE_FIELDS
    agent = desk.notes[n + BY_AGENT]
    a = agent * AGENT_FIELDS
    if cell[ROUTE] == BY_SOONEST and people.agents[a + SEEN_AT] > 0:
        advance_one(e, cell, people.agents[a + SEEN_AT] - 1, now_ps)
        rekey(e, desk, people.agents[a + SEEN_AT] - 1)
    if cell[CHUNKING] > 0 and reads_backlog(cell):
        for stale in range(cell[REPLICAS]):
            if is_stale(cell, stale):
                advance_one(e, cell, stale, now_ps)
                rekey(e, desk, stale)
    replica = choose(cell, e.rules, e.sessions, people.agents, agent, people.steps, now_ps)
    if replica == NOBODY:
        return NOT_SENT
    how = SENT_RIGHT
    if cell[ASTRAY] > 0:
        wrong = wrong_place(cell, replica, agent, now_ps)
        if wrong != NOBODY:
            how = SENT_ASTRAY
            replica = wrong
    advance_one(e, cell, replica, now_ps)
    desk.notes[n + AT_REPLICA] = replica
    if people.agents[a + CONTEXT] > 0 and e.rules[pool_of(cell, replica)][PREFIX_CACHE] > 0:
        limit_to_visits(e, people, place, replica, people.agents[a + STEP])
    e.requests[place * REQUEST_FIELDS + ARRIVAL_PS] = now_ps
    cell[UNTAKEN] += push(e.rows[replica], e.rules[pool_of(cell, replica)], e.requests, place)
    rekey(e, desk, replica)
    return how


def limit_to_visits(e: Engines, people: People, place: int, replica: int, step: int) -> None:
    """Let a request find no more than what its context still has in common with what it left on the replica.

    What was cut off since its last step there is not the same any more, if it has grown again or not.
    """
    r = place * REQUEST_FIELDS
    there = e.requests[r + SESSION] * SESSION_FIELDS + HERE_STEP
    seen = e.sessions[replica][there]
    e.sessions[replica][there] = step + 1
    if seen == 0:
        e.requests[r + CACHEABLE] = 0
        return
    for since in range(seen, step):
        e.requests[r + CACHEABLE] = min(e.requests[r + CACHEABLE], people.steps[since * ASK_FIELDS + ASK_REUSABLE])
