"""The desk with its journal: what is decided is written down in the same order, with all that it was decided on.

The caller's `Waiter` is told what becomes of its request later: placed, put back, refused.
"""

from __future__ import annotations

from random import Random
from secrets import randbits
from typing import Protocol, cast

from ampacity.gateway.keys import Holder
from ampacity.journal.append import Journal
from ampacity.journal.records import (
    ADMITTED,
    BEGUN,
    CAP,
    CUT_WITH_POOL,
    DRAIN,
    EXPIRED,
    FAILED,
    GONE,
    HOLD,
    LEASE,
    NO_CAPACITY,
    NOT_KNOWN,
    PREEMPTED,
    RELEASED,
    REOPEN,
    SETTLED,
)
from ampacity.journal.ticks import Ticks
from ampacity.policy.desk import WHOLE, Desk
from ampacity.policy.health import GIVEN_UP
from ampacity.policy.routing import NOBODY
from ampacity.policy.terms import Terms
from ampacity.policy.ticket import Kind, Ticket


class Waiter(Protocol):
    """Who asked."""

    def placed(self) -> None:
        """Its request has a pool now."""

    def put_back(self) -> None:
        """Its request waits again: whatever was sent is to be taken back."""

    def turned_away(self) -> None:
        """No pool took it in time."""

    def cut(self, why: str, answer: int) -> None:
        """Its pool goes, in the midst of its answer."""


class Recorder:
    """Decides and writes down. One thread uses it."""

    def __init__(self, desk: Desk, journal: Journal, ticks: Ticks) -> None:
        self.desk, self.journal, self.ticks = desk, journal, ticks
        self._chance = Random(randbits(128)).random
        self._numbers: dict[Kind, int] = {}
        self.under_way: dict[int, Ticket] = {}
        self.last: dict[int, tuple[int, int]] = {}  # of each subscriber's last request: input tokens, most output

    def change(self, terms: Terms, now_ms: int) -> None:
        """Bring other terms into force. Raises TermsError or LimitError, and nothing changes."""
        self.desk.change(terms, now_ms)
        self._numbers.clear()
        self.journal.configure(terms.text(), now_ms)
        self._tell(now_ms)

    def arrive(
        self, kind: Kind, holder: Holder, session: int, input_tokens: int, output_most: int, now_ms: int, owner: Waiter
    ) -> Ticket:
        """Decide on a request; its ticket says what."""
        desk, journal = self.desk, self.journal
        expires_ms = now_ms + desk.terms.expires_ms
        draw = int(self._chance() * 1000)
        who, organization = holder.subscriber, holder.organization
        ticket = Ticket(kind, who, organization, session, input_tokens, output_most, now_ms, draw, expires_ms, owner)
        self.last[who] = input_tokens, output_most
        outcome = desk.arrive(ticket, now_ms)
        number = self._numbers.get(kind)
        if number is None:
            number = self._numbers[kind] = journal.kind(
                kind.tier_name, kind.limit_name, kind.organization_limit_name, kind.alias, kind.product
            )
        place = 0
        if outcome == ADMITTED:
            place = journal.name(self.pool_of(ticket))
        elif ticket.window > 0:
            place = journal.name(desk.ledger.window_of(ticket, ticket.window)[1])
        elif ticket.window < 0:
            place = journal.name(CAP)
        ticket.number = journal.arrived(
            now_ms, number, who, input_tokens, output_most, draw, expires_ms, outcome, place, organization, session
        )
        if not ticket.over:
            self.under_way[ticket.number] = ticket
        self.ticks.touch()
        if desk.told:
            self._tell(now_ms)
        return ticket

    def pool_of(self, ticket: Ticket) -> str:
        """The name of the pool that has a request."""
        return self.desk.services[ticket.kind.alias].pools[ticket.pool].name

    def begun(self, ticket: Ticket, now_ms: int) -> None:
        """The first byte of its answer has come."""
        self.desk.begun(ticket)
        self.journal.placed(ticket.number, now_ms, BEGUN)

    def failed(self, ticket: Ticket, now_ms: int, answer: int, wait_ms: int = 0) -> int:
        """Its pool failed before the first byte: ADMITTED elsewhere, QUEUED, or NO_CAPACITY, and it is over.

        answer, wait_ms: see `Desk.failed`.
        """
        self.journal.placed(ticket.number, now_ms, FAILED, self.journal.name(self.pool_of(ticket)), answer, wait_ms)
        outcome = self.desk.failed(ticket, now_ms, answer, wait_ms)
        place = self.journal.name(self.pool_of(ticket)) if outcome == ADMITTED else 0
        self.journal.placed(ticket.number, now_ms, outcome, place)
        if outcome == NO_CAPACITY:
            self._close(ticket, now_ms)
        self._tell(now_ms)
        return outcome

    def ended(
        self,
        ticket: Ticket,
        now_ms: int,
        status: int = SETTLED,
        uncached: int = 0,
        written: int = 0,
        read: int = 0,
        output: int = 0,
        first_token_ms: int = NOT_KNOWN,
        answer: int = WHOLE,
    ) -> bool:
        """A request has ended; False if it had before. answer: see `Desk.ended`."""
        if not self.desk.ended(ticket, now_ms, status, uncached, written, read, output, answer):
            return False
        self.journal.ended(ticket.number, now_ms, status, uncached, written, read, output, first_token_ms, answer)
        if status != EXPIRED:
            self.under_way.pop(ticket.number, None)
            ticket.owner = None  # who owns it holds it: a circle would wait for the garbage collector
        self.ticks.touch()
        if self.desk.told:
            self._tell(now_ms)
        return True

    def due(self, now_ms: int) -> list[str]:
        """What the passing of time decides; gives the pools that are gone since this was last asked."""
        gone = self.desk.due(now_ms)
        for pool in gone:
            self.journal.changed(now_ms, GONE, pool)
            self.ticks.touch()
        if self.desk.told:
            self._tell(now_ms)
        return gone

    def hold_pool(self, pool: str, now_ms: int) -> bool:
        """A pool takes nothing new; False if it did not before. Raises KeyError."""
        changed = self.desk.hold_pool(pool)
        return self._changed(HOLD, pool, "", changed, now_ms)

    def drain_pool(self, pool: str, deadline_ms: int, now_ms: int) -> bool:
        """A pool takes nothing new and is gone by a deadline; False if that changes nothing. Raises KeyError."""
        changed = self.desk.drain_pool(pool, deadline_ms, now_ms)
        return self._changed(DRAIN, pool, str(deadline_ms), changed, now_ms)

    def reopen_pool(self, pool: str, now_ms: int) -> bool:
        """A pool takes requests again; False if it cannot. Raises KeyError."""
        changed = self.desk.reopen_pool(pool, now_ms)
        return self._changed(REOPEN, pool, "", changed, now_ms)

    def lease(self, pool: str, slots: int, now_ms: int) -> bool:
        """A pool has so many slots here; False if it had them before. Raises KeyError."""
        changed = self.desk.lease(pool, slots, now_ms)
        return self._changed(LEASE, pool, str(slots), changed, now_ms)

    def _changed(self, what: str, pool: str, detail: str, changed: bool, now_ms: int) -> bool:
        """Write down what changed a pool; what was asked and changed nothing is not to be heard after a restart."""
        if changed:
            self.journal.changed(now_ms, what, pool, detail)
            self.ticks.touch()
        self._tell(now_ms)
        return changed

    def _close(self, ticket: Ticket, now_ms: int) -> None:
        self.journal.ended(ticket.number, now_ms, RELEASED)
        self.under_way.pop(ticket.number, None)

    def _tell(self, now_ms: int) -> None:
        """Write down what became of other requests, then tell those who asked: they may ask again at once."""
        told = self.desk.take_told()
        for ticket, outcome, i in told:
            place = 0 if i == NOBODY else self.journal.name(self.desk.services[ticket.kind.alias].pools[i].name)
            self.journal.placed(ticket.number, now_ms, outcome, place)
            if outcome == NO_CAPACITY:
                self._close(ticket, now_ms)
        if told:
            self.ticks.touch()
        for ticket, outcome, i in told:
            waiter = cast(Waiter, ticket.owner)
            if outcome == PREEMPTED:
                waiter.put_back()
            elif outcome == NO_CAPACITY:
                waiter.turned_away()
            elif outcome == CUT_WITH_POOL:
                waiter.cut("its pool was taken away", GIVEN_UP)
            elif ticket.pool == i:  # it has not been put back meanwhile
                waiter.placed()
