"""A journal replayed through `policy/`: the same inputs in the same order, and every decision held against the record.

Inputs are arrivals, first bytes, failures, ends, changes of terms and pools, and the instants at which time decided
something. A process that died took its queues and its view of pools with it, so a replay begins those anew wherever the
journal says that a process began, as the process did.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from ampacity.journal import opening, read
from ampacity.journal.read import Event
from ampacity.journal.records import (
    ADMITTED,
    BEGUN,
    CAP,
    CONFIGURED,
    DRAIN,
    EXPIRED,
    FAILED,
    GONE,
    HOLD,
    LEASE,
    OUTCOMES,
    REFUSED,
    REFUSED_ORGANIZATION,
    REOPEN,
    STARTED,
    TAKING_UP,
    WORKERS,
    Arrival,
    Change,
    Placement,
    Settlement,
)
from ampacity.policy.desk import Desk
from ampacity.policy.routing import NOBODY
from ampacity.policy.terms import Terms, terms_of
from ampacity.policy.ticket import Ticket
from ampacity.simulator.journal_ledger import Taken

SHOWN_MOST = 20
MORE_OUTCOMES = ("begun", "failed", "put back", "cut with its pool")


@dataclass(frozen=True)
class Replayed:
    """What a replay found.

    events: read. decisions: held against the record, same of them. starts: of processes. changes: of terms and pools.
    differing: the first decisions that were others, in words. skipped: events before the first start that is kept.
    """

    events: int
    decisions: int
    same: int
    starts: int
    changes: int
    differing: tuple[str, ...]
    skipped: int


def replay(path: Path | str) -> Replayed:
    """Decide again on all that a journal holds. Raises OSError, and Mistakes for what is no journal."""
    with opening.for_reading(Path(path)) as db:
        again = _Again({h: terms_of(t) for h, t in read.configurations(db).items()})
        for event in read.events(db):
            again.take(event)
    again.ended_all()
    return Replayed(
        again.events,
        again.decisions,
        again.decisions - again.wrong,
        again.starts,
        again.changes,
        tuple(again.differing),
        again.skipped,
    )


class _Again:
    """The state of a replay. expected: decisions that were made here and not yet found in the record."""

    def __init__(self, terms: dict[str, Terms]) -> None:
        self._terms = terms
        self._in_force: Terms | None = None
        self._taken = Taken()
        self._desk: Desk | None = None
        self._leased = False
        self._tickets: dict[int, Ticket] = {}
        self._expected: deque[tuple[int, int, str]] = deque()
        self._gone: deque[str] = deque()
        self.events = self.decisions = self.wrong = self.starts = self.changes = self.skipped = 0
        self.differing: list[str] = []

    def take(self, event: Event) -> None:
        """One event more."""
        self.events += 1
        if isinstance(event, Change):
            self._change(event)
        elif self._desk is None and isinstance(event, Settlement):
            self._taken.ended(event)
        elif self._desk is None:
            self.skipped += 1
        elif isinstance(event, Arrival):
            self._arrival(self._desk, event)
        elif isinstance(event, Placement):
            self._placement(self._desk, event)
        else:
            self._settlement(self._desk, event)

    def ended_all(self) -> None:
        """Nothing more comes."""
        while self._expected:
            request, outcome, place = self._expected.popleft()
            self._differs(f"request {request}: {_words(outcome, place)} here, and nothing in the journal")

    def _change(self, c: Change) -> None:
        desk = self._desk
        if c.what == TAKING_UP:
            self.ended_all()
            if desk is not None:
                self._taken.ledger = desk.ledger
                self._taken.under_way = {n: t for n, t in self._tickets.items() if not t.over}
            self._desk, self._tickets = None, {}
        elif c.what == CONFIGURED:
            self._in_force = self._terms[c.subject]
            self.changes += 1
            if desk is None:
                self._taken.configure(self._in_force, c.now_ms)
            else:
                desk.change(self._in_force, c.now_ms)
        elif c.what == STARTED and self._in_force is not None:
            self.starts += 1
            self._desk = Desk(self._in_force, self._taken.ledger, self._leased)
        elif c.what == WORKERS:
            self._leased = True
        elif desk is not None and c.what in (HOLD, DRAIN, REOPEN, GONE, LEASE):
            self.changes += 1
            self._pool(desk, c)
        self._collect()

    def _pool(self, desk: Desk, c: Change) -> None:
        if c.what == HOLD:
            desk.hold_pool(c.subject)
        elif c.what == DRAIN:
            desk.drain_pool(c.subject, int(c.detail), c.now_ms)
        elif c.what == REOPEN:
            desk.reopen_pool(c.subject, c.now_ms)
        elif c.what == LEASE:
            desk.lease(c.subject, int(c.detail), c.now_ms)
        else:
            if not self._gone:
                self._gone.extend(desk.due(c.now_ms))
            found = self._gone.popleft() if self._gone else "none"
            self._hold(found == c.subject, f"pool {c.subject} is gone in the journal, {found} here")

    def _arrival(self, desk: Desk, a: Arrival) -> None:
        kind = desk.kind(a.tier, a.family, a.product, a.organization_limit)
        ticket = Ticket(
            kind, a.subscriber, a.organization, a.session, a.input_tokens, a.output_most, a.now_ms, a.draw, a.expires_ms
        )
        ticket.number = a.ordinal
        outcome = desk.arrive(ticket, a.now_ms)
        place = ""
        if outcome == ADMITTED:
            place = _pool_of(desk, ticket, ticket.pool)
        elif outcome in (REFUSED, REFUSED_ORGANIZATION):
            place = desk.ledger.window_of(ticket, ticket.window)[1]
        elif ticket.window < 0:
            place = CAP
        self._compare(a.ordinal, (outcome, place), (a.outcome, a.place))
        if not ticket.over:
            self._tickets[a.ordinal] = ticket
        self._collect()

    def _placement(self, desk: Desk, p: Placement) -> None:
        ticket = self._tickets.get(p.request)
        if p.outcome in (BEGUN, FAILED):
            if ticket is None or ticket.pool == NOBODY:
                self._differs(f"request {p.request}: {_words(p.outcome, '')} in the journal, and no pool has it here")
            elif p.outcome == BEGUN:
                desk.begun(ticket)
            else:
                outcome = desk.failed(ticket, p.now_ms, p.answer, p.wait_ms)
                place = _pool_of(desk, ticket, ticket.pool) if outcome == ADMITTED else ""
                self._expected.append((p.request, outcome, place))
                self._collect()
            return
        if not self._expected:
            self._gone.extend(desk.due(p.now_ms))
            self._collect()
        if self._expected:
            request, outcome, place = self._expected.popleft()
            found = f"{request} {_words(outcome, place)}"
        else:
            found = "nothing"
        told = f"{p.request} {_words(p.outcome, p.place)}"
        self._hold(found == told, f"request {told} in the journal, {found} here")

    def _settlement(self, desk: Desk, s: Settlement) -> None:
        ticket = self._tickets.get(s.request)
        if ticket is None:
            return
        tokens = s.uncached, s.written, s.read, s.output
        desk.ended(ticket, s.now_ms, s.status, *tokens, s.answer)
        if s.status != EXPIRED:
            del self._tickets[s.request]
        self._collect()

    def _collect(self) -> None:
        """Decisions on other requests, to be found in the record in this order."""
        if self._desk is not None:
            for ticket, outcome, i in self._desk.take_told():
                self._expected.append((ticket.number, outcome, "" if i == NOBODY else _pool_of(self._desk, ticket, i)))

    def _compare(self, request: int, here: tuple[int, str], there: tuple[int, str]) -> None:
        self._hold(here == there, f"request {request}: {_words(*there)} in the journal, {_words(*here)} here")

    def _hold(self, same: bool, words: str) -> None:
        self.decisions += 1
        if not same:
            self.decisions -= 1
            self._differs(words)

    def _differs(self, words: str) -> None:
        self.decisions += 1
        self.wrong += 1
        if len(self.differing) < SHOWN_MOST:
            self.differing.append(words)


def _pool_of(desk: Desk, ticket: Ticket, i: int) -> str:
    return desk.services[ticket.kind.alias].pools[i].name


def _words(outcome: int, place: str) -> str:
    words = (OUTCOMES + MORE_OUTCOMES)[outcome]
    return f"{words} ({place})" if place else words
