"""Every request of a cell as a row: who asked it, when its first and last token came, from where, at what outcome."""

from __future__ import annotations

import numpy as np
import polars as pl

from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import Cell
from ampacity.simulator.model_cell import ModelCell
from ampacity.simulator.rows import NEXT, REQUEST_FIELDS, Ints
from ampacity.simulator.scripts import Scripts

OUTCOMES = ("answered", "stopped", "waiting for a window", "in flight")
ANSWERED, STOPPED, WAITING, IN_FLIGHT = range(4)


def request_rows(m: ModelCell, cell: Cell) -> pl.DataFrame:
    """One row a request that was asked by now, in the order in which they were asked.

    step: place in the scripts. subscriber: from 1, 0 of nobody. Instants count from the run's beginning [ps]; null
    where there is none yet. found_tokens: of the input, not computed. stopped: a window refused it, and whoever asked
    it gave up; requests that would have followed it are no rows. The cell must have kept what it met.
    """
    if not cell.desk.cell[at.KEEPS]:
        raise ValueError("the cell was opened without `keep`: what each request met is not known")
    met = np.asarray(cell.found.met).reshape(-1, at.MET_FIELDS)
    outcome = np.full(len(met), -1, np.int64)
    asked = met[:, at.MET_ARRIVAL_PS].copy()
    outcome[met[:, at.MET_FINISH_PS] > 0] = ANSWERED
    _unanswered(m, cell, outcome, asked)
    step = np.flatnonzero(outcome >= 0)
    agent = agents_of(m.scripts)[step]
    own = m.scripts.agents[agent]
    answered = outcome[step] == ANSWERED
    frame = pl.DataFrame(
        {
            "step": step,
            "tier": pl.Series([t.name for t in m.tiers], dtype=pl.String).gather(own[:, at.TIER]),
            "subscriber": own[:, at.SUBSCRIBER],
            "agent": agent,
            "outcome": pl.Series(OUTCOMES, dtype=pl.String).gather(outcome[step]),
            "refused": outcome[step] == STOPPED,
            "asked_ps": asked[step],
            "first_token_ps": _known(met[step, at.MET_FIRST_PS], answered),
            "finished_ps": _known(met[step, at.MET_FINISH_PS], answered),
            "input_tokens": m.scripts.steps[step, at.ASK_INPUT],
            "found_tokens": _known(met[step, at.MET_HITS], answered),
            "output_tokens": m.scripts.steps[step, at.ASK_OUTPUT],
            "replica": _known(met[step, at.MET_REPLICA], answered),
        }
    )
    return frame.sort("asked_ps", "step")


def agents_of(scripts: Scripts) -> Ints:
    """The agent of each step."""
    own = scripts.agents[1:]
    of = np.zeros(len(scripts), np.int64)
    order = np.argsort(own[:, at.STEP], kind="stable")
    counts = (own[:, at.LAST] - own[:, at.STEP])[order]
    of[: int(counts.sum())] = np.repeat(order + 1, counts)
    return of


def _unanswered(m: ModelCell, cell: Cell, outcome: Ints, asked: Ints) -> None:
    """Requests under way, held by a window, or given up: of each agent at most the one that it is at."""
    then = m.scripts.agents[1:]
    now = np.asarray(cell.people.agents).reshape(-1, at.AGENT_FIELDS)[1:]
    at_step = now[:, at.STEP]
    held = now[:, at.WAITS_PS] > 0
    gone_on = at_step < then[:, at.LAST]
    given_up = gone_on & held & (now[:, at.LAST] == at_step)
    waits = gone_on & held & (now[:, at.LAST] > at_step)
    outcome[at_step[given_up]], outcome[at_step[waits]] = STOPPED, WAITING
    asked[at_step[given_up | waits]] = now[given_up | waits, at.WAITS_PS] - 1
    for agent, asked_ps in _in_flight(cell):
        step = int(now[agent - 1, at.STEP])
        outcome[step], asked[step] = IN_FLIGHT, asked_ps


def _in_flight(cell: Cell) -> list[tuple[int, int]]:
    """Agents whose request is on a replica or in the queue, and when they asked it: rows that are not free."""
    requests = np.asarray(cell.engines.requests).reshape(-1, REQUEST_FIELDS)
    notes = np.asarray(cell.desk.notes).reshape(-1, at.NOTE_FIELDS)
    used = notes[:, at.BY_AGENT] > 0
    place = int(cell.desk.cell[at.FREE_ROW])
    while place > 0:
        used[place] = False
        place = int(requests[place, NEXT])
    return [(int(notes[p, at.BY_AGENT]), int(notes[p, at.ASKED_PS])) for p in np.flatnonzero(used)]


def _known(values: Ints, where: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> pl.Series:
    return pl.Series(values).set(pl.Series(~where), None)
