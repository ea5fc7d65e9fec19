"""A cell whose replicas are taken away: what becomes of its requests in flight, and what its people ask from then on.

At an instant the replicas stop, or, with notice, get nothing new and stop when it is over. Whoever then thinks, waits
or was broken off goes on elsewhere, with the step and at the instant at which they would have asked here; so every
request is answered here or asked there, and none twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.policy.book import STATE_FIELDS
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import Cell
from ampacity.simulator.cell_hour import Guests
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.rows import ARRIVAL_PS, DONE, NEXT, REQUEST_FIELDS, Ints
from ampacity.simulator.scripts import Scripts
from ampacity.simulator.ticks import Tick
from ampacity.simulator.wakes import COUNT, PAIRS_AT

Mask = NDArray[np.bool_]

IN_FLIGHT, FINISHED, HANDED_OVER, BROKEN_OFF, GIVEN_UP, WASTED_TOKENS, WAITING, FATES = range(8)
"""Of each tier: requests on replicas at the instant; of them answered in time, handed to other replicas, or broken off;
of those, never asked again; output that was lost; and requests that waited in the queue and are asked elsewhere."""
NEVER_PS = 1 << 60
"""Added to every pause once nobody is to ask here any more, so that whoever is answered tells when they would."""


@dataclass(frozen=True)
class Left:
    """What a cell leaves behind.

    fates: [tier, FATES]. agents, steps: rows as of a cell. begin_ps: when each agent asks next, by the cell's clock;
    below 0: never, or when its parent starts it. fresh: who had not begun. person: whose each is, from 1. states: rows
    of windows, by person.
    """

    name: str
    fates: Ints
    agents: Ints
    steps: Ints
    begin_ps: Ints
    fresh: Mask
    person: Ints
    states: Ints


def leaving_ticks(replicas: int, at_ps: int, notice_ps: int) -> tuple[Tick, ...]:
    """All replicas of a cell stop at an instant, or drain from then on and stop when the notice is over."""
    drains = tuple(Tick(at_ps, r, at.DRAIN) for r in range(replicas)) if notice_ps else ()
    return drains + tuple(Tick(at_ps + notice_ps, r, at.KILL) for r in range(replicas))


def leave(cell: Cell, name: str, at_ps: int, notice_ps: int) -> Left:
    """Run a cell, opened with `leaving_ticks` and not yet past `at_ps`, until nothing is left of it."""
    people = cell.people
    person = _agents(cell)[:, at.SUBSCRIBER].copy()
    steps = np.asarray(people.steps).reshape(-1, at.ASK_FIELDS).copy()
    cell.run(at_ps)
    before = cell.result()
    flying, rows = _in_flight(cell), _agents(cell).copy()
    cell.run(at_ps + 1)
    then = cell.result()
    begin_ps, fresh = _asking(cell)
    if notice_ps:
        _ask_no_more(cell)
        cell.run(at_ps + notice_ps)
        flying, rows = _in_flight(cell), _agents(cell).copy()
        cell.run(at_ps + notice_ps + 1)
        later_ps, _ = _asking(cell)
        later_ps = np.where(later_ps >= NEVER_PS, later_ps - NEVER_PS, later_ps)
        begin_ps = np.where(begin_ps < 0, later_ps, begin_ps)
    on_kill = int(cell.desk.cell[at.ON_KILL])
    fates = _fates(before, then, cell.result(), on_kill)
    if on_kill == at.LOSE:
        fates[:, GIVEN_UP] = _given_up(cell, flying, rows)
    else:
        _hand_over(cell, flying, rows, steps, begin_ps, at_ps + notice_ps)
    states = np.asarray(cell.windows.states).reshape(-1, STATE_FIELDS).copy()
    return Left(name, fates, _agents(cell).copy(), steps, begin_ps, fresh, person, states)


def _fates(before: CellResult, then: CellResult, end: CellResult, on_kill_is: int) -> Ints:
    """before: until the instant; then: with it; end: when the last replica has stopped.

    What is resumed elsewhere is refused here, but nothing of it is wasted.
    """
    b, t, e = (r.counts for r in (before, then, end))
    found = np.zeros((len(b), FATES), np.int64)
    on_kill = [at.BROKEN_OFF, at.RESUMED, at.RECOMPUTED]
    found[:, WAITING] = (t - b)[:, at.DROPPED] - (t - b)[:, on_kill].sum(axis=1)
    found[:, IN_FLIGHT] = b[:, at.SENT] - b[:, at.ANSWERED] - b[:, at.DROPPED] - found[:, WAITING]
    found[:, FINISHED] = (e - b)[:, at.ANSWERED]
    found[:, HANDED_OVER] = (e - b)[:, [at.RESUMED, at.RECOMPUTED]].sum(axis=1)
    found[:, BROKEN_OFF] = (e - b)[:, at.BROKEN_OFF]
    found[:, WASTED_TOKENS] = (e - b)[:, at.TOKENS_WASTED] if on_kill_is != at.RESUME else 0
    return found


def _given_up(cell: Cell, flying: Ints, rows: Ints) -> Ints:
    """How many of each tier's requests in flight no client and no person asks again: their agents were cut short."""
    agents = np.asarray(cell.desk.notes).reshape(-1, at.NOTE_FIELDS)[flying, at.BY_AGENT]
    cut = agents[_agents(cell)[agents, at.LAST] < rows[agents, at.LAST]]
    return np.bincount(rows[cut, at.TIER], minlength=len(cell.tiers))


def _agents(cell: Cell) -> Ints:
    return np.asarray(cell.people.agents).reshape(-1, at.AGENT_FIELDS)


def _asking(cell: Cell) -> tuple[Ints, Mask]:
    """When each agent asks next, -1 if nothing but a parent or an answer decides; and who has not begun."""
    begin_ps = np.full(len(_agents(cell)), -1, np.int64)
    fresh = np.zeros(len(begin_ps), np.bool_)
    wakes = np.asarray(cell.people.wakes)
    pairs = wakes[PAIRS_AT : PAIRS_AT + 2 * int(wakes[COUNT])].reshape(-1, 2)
    begin_ps[pairs[:, 1]] = pairs[:, 0]
    coming = np.asarray(cell.people.starts).reshape(-1, 2)[int(cell.desk.cell[at.BEGUN]) :]
    begin_ps[coming[:, 1]] = coming[:, 0]
    fresh[coming[:, 1]] = True
    return begin_ps, fresh


def _ask_no_more(cell: Cell) -> None:
    """Let nobody ask here any more: who would is known, and who is answered from now on only tells when they would."""
    cell.people.wakes[COUNT] = 0
    cell.desk.cell[at.BEGUN] = len(cell.people.starts) // 2
    np.asarray(cell.people.steps).reshape(-1, at.ASK_FIELDS)[:, at.ASK_GAP_PS] += NEVER_PS


def _in_flight(cell: Cell) -> Ints:
    """Places of the requests that replicas have: those that are neither free nor in the queue."""
    row, free = int(cell.desk.cell[at.FREE_ROW]), [0]
    requests = np.asarray(cell.engines.requests).reshape(-1, REQUEST_FIELDS)
    while row > 0:
        free.append(row)
        row = int(requests[row, NEXT])
    taken = requests[:, ARRIVAL_PS] > 0
    taken[free] = False
    return np.flatnonzero(taken)


def _hand_over(cell: Cell, places: Ints, rows: Ints, steps: Ints, begin_ps: Ints, now_ps: int) -> None:
    """Let those whose request was in flight at the end ask for the rest of it at once, with what had come out."""
    notes = np.asarray(cell.desk.notes).reshape(-1, at.NOTE_FIELDS)
    requests = np.asarray(cell.engines.requests).reshape(-1, REQUEST_FIELDS)
    for place in places:
        agent = int(notes[place, at.BY_AGENT])
        done = int(requests[place, DONE])
        own = _agents(cell)[agent]
        own[:] = rows[agent]
        own[at.TRIES], own[at.WAITS_PS] = 0, now_ps + 1
        step = steps[own[at.STEP]]
        done = min(done, int(step[at.ASK_OUTPUT]) - 1)
        step[at.ASK_INPUT] += done
        step[at.ASK_OUTPUT] -= done
        begin_ps[agent] = now_ps


def moved(left: Left, chosen: Mask, most_tokens: int, until_ps: int) -> Guests | None:
    """What some of the people ask elsewhere; None if nothing.

    chosen: by person. most_tokens: of a request there; a longer context is cut to it, as a client compacts it.
    until_ps: who would begin a session from then on stays away.
    """
    agents = left.agents
    mine = chosen[left.person] & (agents[:, at.STEP] < agents[:, at.LAST])
    starts = mine & (left.begin_ps >= 0) & ~(left.fresh & (left.begin_ps >= until_ps))
    parent = _parents(agents, np.flatnonzero(starts))
    kept = np.flatnonzero(starts | (parent > 0))
    if not len(kept):
        return None
    number = np.zeros(len(agents), np.int64)
    number[kept] = np.arange(1, len(kept) + 1)
    own = np.zeros((len(kept) + 1, at.AGENT_FIELDS), np.int64)
    rows = own[1:]
    rows[:] = agents[kept]
    many = rows[:, at.LAST] - rows[:, at.STEP]
    first = np.cumsum(many) - many
    steps = left.steps[np.repeat(rows[:, at.STEP] - first, many) + np.arange(int(many.sum()))]
    shift = np.zeros(len(agents), np.int64)
    shift[kept] = first - rows[:, at.STEP]
    rows[:, at.AFTER] = np.where(parent[kept] > 0, rows[:, at.AFTER] + shift[parent[kept]], 0)
    rows[:, at.STEP], rows[:, at.LAST] = first, first + many
    rows[:, at.CHILD], rows[:, at.SIBLING] = number[rows[:, at.CHILD]], number[rows[:, at.SIBLING]]
    rows[:, at.SEEN_AT] = 0
    rows[:, at.CONTEXT] = np.where(rows[:, at.CONTEXT] > 0, np.arange(1, len(kept) + 1), 0)
    who, rank = np.unique(left.person[kept], return_inverse=True)
    rows[:, at.SUBSCRIBER] = np.where(rows[:, at.SUBSCRIBER] > 0, rank + 1, 0)
    steps[:, at.ASK_INPUT] = np.minimum(steps[:, at.ASK_INPUT], most_tokens - steps[:, at.ASK_OUTPUT])
    steps[:, at.ASK_REUSABLE] = np.minimum(steps[:, at.ASK_REUSABLE], steps[:, at.ASK_INPUT] - 1)
    begins = np.flatnonzero(starts)
    order = np.lexsort((begins, left.begin_ps[begins]))
    pairs = np.column_stack([left.begin_ps[begins], number[begins]])[order]
    return Guests(Scripts(pairs, own, steps, len(kept)), left.states[who])


def _parents(agents: Ints, starts: Ints) -> Ints:
    """Of each agent that one of these will start, which one; 0 of the others."""
    parent = np.zeros(len(agents), np.int64)
    for agent in starts[agents[starts, at.CHILD] > 0]:
        child = agents[agent, at.CHILD]
        while child > 0:
            parent[child] = agent
            child = agents[child, at.SIBLING]
    return parent
