"""One replica of a cell looked at closely: every iteration that begins in a span, and who was in it.

A run may be cut at any instant and a replica looked at in between without a difference to what happens, so the span
alone is gone through one iteration at a time: those that would be solved for together are seen one by one. Everything
else of the cell runs compiled as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import Cell
from ampacity.simulator.cell_loop import next_ask_ps
from ampacity.simulator.dispatch import pool_of
from ampacity.simulator.replica import advance
from ampacity.simulator.rows import (
    ADMISSION,
    ARRIVAL_PS,
    COMPUTED,
    FINISH_PS,
    FLIGHT_B,
    FLIGHT_P,
    FLYING,
    FREE,
    HELD_SEQS,
    HITS,
    IDLE,
    JUMPED,
    LANDING,
    NEXT,
    NOW_PS,
    OUTSTANDING,
    PARTIAL,
    PHASE,
    PREEMPTIONS,
    REQUEST_FIELDS,
    SEQS,
    START_PS,
    STEPPED,
    Ints,
    K,
)
from ampacity.simulator.visible import first_visible_ps

# of an iteration
(
    BEGINS_PS,
    ENDS_PS,
    DECODING,  # sequences
    CONTEXT_TOKENS,  # of them, together
    PREFILL_TOKENS,
    ATTENDED_2,  # twice the sum over chunks of chunk x (context before it + half the chunk)
    WAITING_REQUESTS,
    FREE_BLOCKS,
    ITERATION_FIELDS,
) = range(9)

QUEUED, PREFILL, DECODE = "queued", "prefill", "decode"


@dataclass(frozen=True)
class Turn:
    """From `since_ps` on a request is in a phase, until its next turn, its end, or the end of the span. [ps]"""

    step: int
    phase: str
    since_ps: int


@dataclass
class Watched:
    """What was seen. replica: which. begin_ps, end_ps: the span; an iteration is seen if it begins in it. [ps]

    iterations: rows of ITERATION_FIELDS in their order. turns: of the requests that the replica had in the span, in the
    order of time; a request is named by its step in the cell's scripts.
    """

    replica: int
    begin_ps: int
    end_ps: int
    iterations: Ints
    turns: list[Turn] = field(default_factory=list)


@dataclass(frozen=True)
class _Prompt:
    """What was last seen of a request's prompt."""

    arrival_ps: int
    admission: int
    hits: int
    computed: int


def watch(cell: Cell, replica: int, until_ps: int) -> Watched:
    """Go on from where the cell stands to `until_ps`, and say what one replica did. [ps]

    Raises RuntimeError if something made the replica go on unseen, which must not be.
    """
    look = _Look(cell, replica)
    begin_ps = now_ps = cell.now_ps
    while True:
        look.at(now_ps)
        if now_ps >= until_ps:
            break
        now_ps = min(max(look.next_ps(), now_ps + 1), until_ps)
        cell.run(now_ps)
    look.close()
    rows = np.array(look.iterations, np.int64).reshape(-1, ITERATION_FIELDS)
    return Watched(replica, begin_ps, until_ps, rows, sorted(look.turns, key=lambda t: t.since_ps))


class _Look:
    """Notes of one replica while it is watched."""

    def __init__(self, cell: Cell, replica: int) -> None:
        self.cell, self.replica = cell, replica
        self.row = cell.engines.rows[replica]
        self.iterations: list[list[int]] = []
        self.turns: list[Turn] = []
        self.prompts: dict[int, _Prompt] = {}
        self.landing: list[int] = []  # steps whose prompt the last iteration seen completes
        self.known: set[int] = set()  # steps with a turn
        self._advance(cell.now_ps)
        self.begun = self._begun()
        self.preemptions = int(self.row[PREEMPTIONS])
        self.last_end_ps = 0
        self._note_first()

    def at(self, now_ps: int) -> None:
        """Let happen on the replica what begins before now, and note the iteration that has begun."""
        self._advance(now_ps)
        begun = self._begun()
        if begun > self.begun + 1:
            raise RuntimeError(f"{begun - self.begun - 1} iterations of replica {self.replica} passed unseen")
        if begun > self.begun:
            self.begun = begun
            self._note_iteration()

    def next_ps(self) -> int:
        """The instant after which something may begin on the replica."""
        if self.row[PHASE] != IDLE:
            return int(self.row[NOW_PS]) + 1
        asked_ps = next_ask_ps(self.cell.desk.cell, self.cell.people)
        told_ps = self.cell.desk.cell[at.CONTROL_PS]
        return int(min(first_visible_ps(self.cell.desk.tree), asked_ps, told_ps)) + 1

    def close(self) -> None:
        """At the end: whose prompt the last iteration completed, and who has come and was never in one."""
        if self.last_end_ps <= self.cell.now_ps:
            self.turns += [Turn(step, DECODE, self.last_end_ps) for step in self.landing]
        for place in self._live():
            if self._step(place) not in self.known:
                self._turn(place, QUEUED, self._field(place, ARRIVAL_PS))

    def _advance(self, now_ps: int) -> None:
        e = self.cell.engines
        pool = pool_of(self.cell.desk.cell, self.replica)
        advance(self.row, e.rules[pool], e.tables[pool], e.requests, e.sessions[self.replica], now_ps)

    def _begun(self) -> int:
        return int(self.row[STEPPED] + self.row[JUMPED])

    def _field(self, place: int, what: int) -> int:
        return int(self.cell.engines.requests[place * REQUEST_FIELDS + what])

    def _step(self, place: int) -> int:
        agent = self.cell.desk.notes[place * at.NOTE_FIELDS + at.BY_AGENT]
        return int(self.cell.people.agents[agent * at.AGENT_FIELDS + at.STEP])

    def _live(self) -> list[int]:
        """Places of the requests that the replica has."""
        requests = np.asarray(self.cell.engines.requests).reshape(-1, REQUEST_FIELDS)
        notes = np.asarray(self.cell.desk.notes).reshape(-1, at.NOTE_FIELDS)
        here = (notes[:, at.BY_AGENT] > 0) & (notes[:, at.AT_REPLICA] == self.replica) & (requests[:, FINISH_PS] == 0)
        if self.cell.desk.cell[at.ROOM] > 0:  # who waits for a replica with room has come to none
            here &= requests[:, ARRIVAL_PS] > 0
        return [int(place) for place in np.flatnonzero(here)]

    def _prompts_now(self) -> Iterator[int]:
        """Places of the requests whose prompt is in the iteration in flight, or partly computed."""
        place = int(self.row[LANDING])
        while place > 0:
            yield place
            place = self._field(place, NEXT)
        if self.row[PARTIAL] > 0:
            yield int(self.row[PARTIAL])

    def _note_first(self) -> None:
        """Where every request stands when the span begins."""
        begin_ps = self.cell.now_ps
        computing = set(self._prompts_now())
        for place in self._live():
            self._see(place)
            if self._field(place, COMPUTED) == 0:
                self._turn(place, QUEUED, min(self._field(place, ARRIVAL_PS), begin_ps))
            else:
                self._turn(place, PREFILL if place in computing else DECODE, begin_ps)
        self.landing = [self._step(p) for p in computing if p != self.row[PARTIAL]]
        if self.row[PHASE] == FLYING:
            self.last_end_ps = int(self.row[NOW_PS])

    def _note_iteration(self) -> None:
        row = self.row
        start_ps = int(row[START_PS])
        self.turns += [Turn(step, DECODE, self.last_end_ps) for step in self.landing]
        if row[PREEMPTIONS] != self.preemptions:
            self.preemptions = int(row[PREEMPTIONS])
            self._note_preempted(start_ps)
        attended_2 = 0
        self.landing = []
        for place in self._prompts_now():
            before, after, is_new = self._chunk(place)
            attended_2 += (after - before) * (before + after)
            if is_new:
                if self._step(place) not in self.known:
                    self._turn(place, QUEUED, self._field(place, ARRIVAL_PS))
                self._turn(place, PREFILL, start_ps)
            self._see(place)
            if place != row[PARTIAL]:
                self.landing.append(self._step(place))
        self.last_end_ps = int(row[NOW_PS])
        b = int(row[FLIGHT_B])
        self.iterations.append(
            [
                start_ps,
                self.last_end_ps,
                b,
                int(row[K]) if b else 0,
                int(row[FLIGHT_P]),
                attended_2,
                int(row[OUTSTANDING] - row[SEQS] + row[HELD_SEQS]),
                int(row[FREE]),
            ]
        )

    def _chunk(self, place: int) -> tuple[int, int, bool]:
        """Tokens of a prompt before and after the iteration, and whether it was admitted for it."""
        then = self.prompts.get(place)
        same = then is not None and then.arrival_ps == self._field(place, ARRIVAL_PS)
        computed = self._field(place, COMPUTED)
        if then is not None and same and then.admission == self._field(place, ADMISSION):
            return then.computed, computed, False
        hits = then.hits if then is not None and same else 0
        return self._field(place, HITS) - hits, computed, True

    def _see(self, place: int) -> None:
        fields = (self._field(place, f) for f in (ARRIVAL_PS, ADMISSION, HITS, COMPUTED))
        self.prompts[place] = _Prompt(*fields)

    def _turn(self, place: int, phase: str, since_ps: int) -> None:
        step = self._step(place)
        self.known.add(step)
        self.turns.append(Turn(step, phase, since_ps))

    def _note_preempted(self, now_ps: int) -> None:
        """Who has given way and waits again; nobody comes in while somebody goes."""
        phases = {t.step: t.phase for t in self.turns}
        for place in self._live():
            if self._field(place, COMPUTED) == 0 and phases.get(self._step(place), QUEUED) != QUEUED:
                self._turn(place, QUEUED, now_ps)
