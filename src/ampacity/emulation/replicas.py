"""The replicas of a pool from instant to instant: the simulator's own engine, run as plain Python on lists.

It is the same source that the twin compiles (`simulator/replica.py`), so what is emulated and what is foretold follow
the same rules to the picosecond; iterations take milliseconds here, so nothing has to be compiled and the process loads
no compiler. There is no clock in this file: whoever calls says what instant it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ampacity.emulation.sessions import NO_SESSION, SESSIONS_MOST, Session, Sessions
from ampacity.inference.replica import KV_BLOCK_TOKENS
from ampacity.policy.routing import (
    MOVE_MOST_NS,
    NOBODY,
    R_BACKLOG,
    R_REQUESTS,
    R_SHARE,
    REPLICA_FIELDS,
    WHOLE_SHARE,
    late_bound,
    replica_rows,
)
from ampacity.simulator.abort import abort
from ampacity.simulator.cell_terms import Pool
from ampacity.simulator.engine import FOREVER_PS
from ampacity.simulator.kill import kill
from ampacity.simulator.lists import PLACE_MASK
from ampacity.simulator.prefix_cache import forget
from ampacity.simulator.replica import TAKEN, advance, collect, push
from ampacity.simulator.route import blocks_at
from ampacity.simulator.rows import (
    ARRIVAL_PS,
    CACHEABLE,
    DECODES,
    EQUALS,
    FINISH_PS,
    FLYING,
    GAIN,
    HEAP_AT,
    HELD_SEQS,
    HITS,
    IDLE,
    INPUT,
    LAST_ROUND,
    NOW_PS,
    OUTPUT,
    OUTSTANDING,
    OUTSTANDING_TOKENS,
    PHASE,
    REQUEST_FIELDS,
    ROUND,
    SEQS,
    SESSION,
    WAKE_PS,
    B,
    fresh_replicas,
    fresh_requests,
    fresh_sessions,
)
from ampacity.simulator.step_table import StepTable

TIMES = 2
"""How often computing a prompt counts against waiting, as the twin routes; see `policy.routing.late_bound`."""


@dataclass(frozen=True)
class Sent:
    """A request under way. place: its row. replica: which has it. session: of its conversation."""

    place: int
    replica: int
    session: Session


class Replicas:
    """A pool's replicas, the conversations that they know, and the requests under way."""

    def __init__(self, pool: Pool) -> None:
        self.count = pool.replicas
        self.up = [True] * pool.replicas
        self.sessions = Sessions()
        self._rules: list[int] = pool.engine.rules().tolist()
        self._tables: list[list[int]] = [pool.step.flat().tolist()] * pool.replicas
        self._rows: list[list[int]] = fresh_replicas(pool.engine, pool.replicas).tolist()
        self._known: list[list[int]] = [
            fresh_sessions(SESSIONS_MOST, bool(pool.engine.tiers)).tolist() for _ in range(pool.replicas)
        ]
        self._requests: list[int] = fresh_requests(0).tolist()
        self._free_places: list[int] = []
        self._cell = replica_rows(range(pool.replicas), pool.pace_ns)
        self._turns = 0

    def send(self, key: str, input_tokens: int, output_tokens: int, now_ps: int) -> Sent | None:
        """Send a request to the replica where it is served soonest; None if no replica is there.

        The caller has seen to it that input and output fit into a replica, and advances the replica afterwards.
        """
        if not any(self.up):
            return None
        session, shared = self.sessions.turn(key, input_tokens)
        self._clear_left()
        replica = self._route(session, shared, input_tokens, now_ps)
        if replica == NOBODY:
            return None
        self.advance(replica, now_ps)
        place = self._place()
        at = place * REQUEST_FIELDS
        self._requests[at + ARRIVAL_PS] = now_ps
        self._requests[at + INPUT] = input_tokens
        self._requests[at + CACHEABLE] = shared
        self._requests[at + OUTPUT] = output_tokens
        self._requests[at + SESSION] = session.place
        taken = push(self._rows[replica], self._rules, self._requests, place)
        assert taken == TAKEN, f"a request of {input_tokens} + {output_tokens} tokens was not taken: {taken}"
        session.home, session.context = replica, input_tokens + output_tokens - 1
        session.open = True
        self._note_load(replica)
        return Sent(place, replica, session)

    def advance(self, replica: int, now_ps: int) -> None:
        """Let all end on a replica that ends by now, and all begin that begins before now."""
        args = self._rules, self._tables[replica], self._requests, self._known[replica]
        advance(self._rows[replica], *args, now_ps)
        self._note_load(replica)

    def next_ps(self, replica: int) -> int:
        """When something may happen on a replica that was advanced; FOREVER_PS if nothing does."""
        row = self._rows[replica]
        if row[PHASE] == IDLE:
            return max(row[NOW_PS], row[WAKE_PS]) if row[WAKE_PS] < FOREVER_PS else FOREVER_PS
        return row[NOW_PS]

    def decoding(self, replica: int) -> Iterator[tuple[int, int]]:
        """Every request that has its first token and not its last, and how many tokens have come out of it."""
        row, requests = self._rows[replica], self._requests
        in_flight = row[GAIN] if row[PHASE] == FLYING and row[DECODES] else 0
        come = row[ROUND] - in_flight
        for i in range(row[B]):
            place = row[HEAP_AT + i] & PLACE_MASK
            at = place * REQUEST_FIELDS
            yield place, requests[at + OUTPUT] - requests[at + LAST_ROUND] + come

    def ended(self, replica: int) -> Iterator[tuple[int, bool]]:
        """Every request that has gone since the last call, and whether it has all its tokens; its row is free then."""
        while (place := collect(self._rows[replica], self._requests)) > 0:
            whole = self._requests[place * REQUEST_FIELDS + FINISH_PS] > 0
            yield place, whole
            self._free_places.append(place)

    def found(self, place: int) -> int:
        """Tokens of a prompt that the prefix cache held; known once it is scheduled."""
        return self._requests[place * REQUEST_FIELDS + HITS]

    def take_back(self, sent: Sent, now_ps: int) -> None:
        """Take a request back whose client is gone; its place comes back with those that end."""
        self.advance(sent.replica, now_ps)
        row = self._rows[sent.replica]
        if self._requests[sent.place * REQUEST_FIELDS + FINISH_PS] == 0:
            abort(row, self._rules, self._requests, self._known[sent.replica], sent.place, now_ps)
            self._note_load(sent.replica)

    def close(self, sent: Sent) -> None:
        """A request has gone, one way or another."""
        sent.session.open = False

    def kill(self, replica: int, now_ps: int) -> None:
        """Stop a replica that was advanced to now; its memory is empty, and what it had has gone, unfinished."""
        kill(self._rows[replica], self._rules, self._requests, self._known[replica], now_ps)
        self.up[replica] = False
        self._cell[replica * REPLICA_FIELDS + R_SHARE] = 0
        self._note_load(replica)

    def bring_back(self, replica: int) -> None:
        """Let a replica take requests again."""
        self.up[replica] = True
        self._cell[replica * REPLICA_FIELDS + R_SHARE] = WHOLE_SHARE

    def set_pace(self, replica: int, step: StepTable) -> None:
        """Give a replica another time of iterations; the one in flight runs as it is."""
        self._tables[replica] = step.flat().tolist()
        self._rows[replica][EQUALS] = 0  # iterations that were foreseen to be equal are not any more

    def outstanding(self, replica: int) -> int:
        """Requests that a replica has and that have not ended."""
        return self._rows[replica][OUTSTANDING]

    def waiting(self) -> int:
        """Requests of all replicas that wait for admission."""
        return sum(max(row[OUTSTANDING] - row[SEQS] + row[HELD_SEQS], 0) for row in self._rows)

    def running(self) -> int:
        """Requests of all replicas that hold a place."""
        return sum(max(row[SEQS] - row[HELD_SEQS], 0) for row in self._rows)

    def _route(self, session: Session, shared: int, input_tokens: int, now_ps: int) -> int:
        """As the twin routes by default: where wait + uncached prompt is least, at home while the wait is worth it."""
        home, at_home = session.home, 0
        if home != NOBODY and session.place != NO_SESSION:
            self.advance(home, now_ps)
            most = shared // KV_BLOCK_TOKENS
            at_home = blocks_at(self._known[home], self._rules, session.place, 0, most, now_ps) * KV_BLOCK_TOKENS
        self._turns += 1
        return late_bound(
            self._cell, 0, self.count, home, at_home, 0, MOVE_MOST_NS, TIMES, input_tokens, 0, self._turns
        )

    def _note_load(self, replica: int) -> None:
        row, r = self._rows[replica], replica * REPLICA_FIELDS
        self._cell[r + R_REQUESTS] = row[OUTSTANDING]
        self._cell[r + R_BACKLOG] = row[OUTSTANDING_TOKENS]

    def _clear_left(self) -> None:
        """Forget what replicas hold of conversations whose place another one has now."""
        for place in self.sessions.left:
            for row, known in zip(self._rows, self._known, strict=True):
                forget(row, known, place)
        self.sessions.left.clear()

    def _place(self) -> int:
        """A row of zeros for a request."""
        if self._free_places:
            place = self._free_places.pop()
            at = place * REQUEST_FIELDS
            self._requests[at : at + REQUEST_FIELDS] = [0] * REQUEST_FIELDS
            return place
        self._requests.extend([0] * REQUEST_FIELDS)
        return len(self._requests) // REQUEST_FIELDS - 1
