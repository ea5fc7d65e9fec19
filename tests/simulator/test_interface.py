"""What others call of a replica, at the edges."""

from __future__ import annotations

from ampacity.simulator.engine import FOREVER_PS, PS_PER_S, Engine
from ampacity.simulator.replica import BEHIND, TAKEN, TOO_LONG, advance, collect, next_visible_ps, push
from ampacity.simulator.rows import (
    ARRIVAL_PS,
    INPUT,
    OUTPUT,
    OUTSTANDING,
    OUTSTANDING_TOKENS,
    REQUEST_FIELDS,
    fresh_replicas,
    fresh_requests,
    fresh_sessions,
)
from ampacity.simulator.step_table import TICKS, StepTable

MS = PS_PER_S // 1000
ENGINE = Engine(kv_blocks=100, lag=0, prefix_cache=False)
TABLE = StepTable(per_iteration=10 * MS * TICKS).flat().tolist()


class Bench:
    """A replica, and requests of 40 tokens in and 5 out to send to it."""

    def __init__(self) -> None:
        self.row, self.rules = fresh_replicas(ENGINE, 1)[0].tolist(), ENGINE.rules().tolist()
        self.requests, self.sessions = fresh_requests(5).tolist(), fresh_sessions(0).tolist()

    def send(self, place: int, at_ps: int, inputs: int = 40, outputs: int = 5) -> int:
        at = place * REQUEST_FIELDS
        for field, value in ((ARRIVAL_PS, at_ps), (INPUT, inputs), (OUTPUT, outputs)):
            self.requests[at + field] = value
        return push(self.row, self.rules, self.requests, place)

    def advance(self, until_ps: int) -> None:
        advance(self.row, self.rules, TABLE, self.requests, self.sessions, until_ps)

    def next_ms(self) -> float:
        return next_visible_ps(self.row, self.requests) / MS


def test_a_replica_that_was_not_advanced_takes_no_request() -> None:
    """A session that moves to a replica which still lives in the past would change what has happened there."""
    b = Bench()
    assert b.send(1, 0) == TAKEN
    assert b.send(2, 1) == BEHIND  # the first has not begun
    b.advance(1)
    assert b.send(2, 10 * MS - 1) == TAKEN  # nothing happens before
    assert b.send(3, 10 * MS) == BEHIND  # an iteration ends then
    b.advance(10 * MS)
    assert b.send(3, 10 * MS) == TAKEN
    assert b.send(4, 10 * MS + 1) == BEHIND  # the next one has not begun
    b.advance(FOREVER_PS)
    assert [collect(b.row, b.requests) for _ in range(4)] == [1, 2, 3, 0]


def test_a_context_that_never_fits_is_not_taken() -> None:
    b = Bench()
    assert b.send(1, 0, 1600, 1) == TAKEN
    assert b.send(2, 0, 1600, 2) == TOO_LONG
    assert (b.row[OUTSTANDING], b.row[OUTSTANDING_TOKENS]) == (1, 1600)


def test_the_next_visible_instant_is_the_first_token_and_then_the_last() -> None:
    b = Bench()
    assert b.next_ms() == FOREVER_PS / MS
    b.send(1, 5 * MS)
    b.advance(5 * MS + 1)
    assert b.next_ms() == 15
    b.advance(15 * MS)
    b.advance(15 * MS + 1)
    assert b.next_ms() == 55
    b.advance(55 * MS)
    assert collect(b.row, b.requests) == 1
    assert b.next_ms() == FOREVER_PS / MS


def test_what_is_outstanding_changes_when_an_iteration_ends_and_not_before() -> None:
    b = Bench()
    b.send(1, 0)
    seen = []
    for until_ps in (1, 10 * MS - 1, 10 * MS, 50 * MS - 1, 50 * MS):
        b.advance(until_ps)
        seen.append((b.row[OUTSTANDING], b.row[OUTSTANDING_TOKENS]))
    assert seen == [(1, 40), (1, 40), (1, 0), (1, 0), (0, 0)]
