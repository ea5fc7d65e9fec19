"""A ledger as a journal's events make it: what was reserved is reserved again, what was settled is used.

Fed with the same events in the same order it holds the same numbers, whoever feeds it: a gateway that starts, or a
replay.
"""

from __future__ import annotations

from hashlib import blake2b

from ampacity.base.outcomes import ORGANIZATION, SUBSCRIBER
from ampacity.journal.records import ABORTED, CAPS, EXPIRED, RESERVING, SETTLED, Arrival, Settlement
from ampacity.policy.book import AT, HELD_FIELDS, LIMIT, PLAN, STATE_FIELDS
from ampacity.policy.capacity_cap import hour_of
from ampacity.policy.ledger import Ledger
from ampacity.policy.terms import Terms
from ampacity.policy.ticket import NO_CAP, Kind, Ticket


class Taken:
    """The ledger, and what is under way."""

    def __init__(self) -> None:
        self.ledger: Ledger | None = None
        self.under_way: dict[int, Ticket] = {}
        self.last_ms = 0

    def configure(self, terms: Terms, now_ms: int) -> Ledger:
        """Bring terms into force."""
        if self.ledger is None:
            self.ledger = Ledger(terms)
        else:
            self.ledger.change(terms, now_ms)
        return self.ledger

    def arrived(self, a: Arrival) -> None:
        """A request was decided on; what was reserved then is reserved again."""
        ledger = self.ledger
        assert ledger is not None
        ticket = _ticket(ledger, a)
        if a.outcome in RESERVING:
            ledger.reserve_again(ticket, a.now_ms)
            self.under_way[a.ordinal] = ticket
        else:
            ledger.row(SUBSCRIBER, a.subscriber, a.limit, a.now_ms)

    def ended(self, s: Settlement) -> None:
        """A request ended; one that had ended before changes nothing."""
        ticket, ledger = self.under_way.get(s.request), self.ledger
        if ticket is None or ledger is None:
            return
        if s.status == EXPIRED:
            ledger.expire(ticket, s.now_ms)
            return
        if s.status in (SETTLED, ABORTED):
            ledger.settle(ticket, s.now_ms, s.uncached, s.written, s.read, s.output)
        else:
            ledger.release(ticket, s.now_ms)
        del self.under_way[s.request]

    def release_all(self, now_ms: int) -> list[int]:
        """Give back what those reserve whom nobody serves any more; which they were."""
        gone = sorted(self.under_way)
        for request in gone:
            assert self.ledger is not None
            self.ledger.release(self.under_way.pop(request), now_ms)
        return gone

    def put_back(
        self, state: dict[tuple[int, int], list[int]], held: dict[int, list[int]], arrivals: dict[int, Arrival]
    ) -> None:
        """Rows as a checkpoint had them; `arrivals` are those of what it held."""
        ledger = self.ledger
        assert ledger is not None
        limits = {hash_of(name): name for name in ledger.book.limits}
        caps = {cap_number(tier, alias): (tier, alias) for tier, alias in ledger.curves}
        for (scope, who), numbers in state.items():
            if scope == CAPS:
                if who in caps:
                    ledger.take_up_cap(*caps[who], *numbers)
                continue
            ledger.take_up(scope, who, limits[numbers[STATE_FIELDS]], numbers[:STATE_FIELDS])
        for request, numbers in held.items():
            if request in arrivals:
                a = arrivals[request]
                ticket = _ticket(ledger, a)
                ticket.held, ticket.scopes = numbers, len(numbers) // HELD_FIELDS
                if ticket.kind.cap != NO_CAP:
                    ticket.cap_hour = hour_of(ledger.caps, ticket.kind.cap, a.now_ms)
                # places in the book, and rows, are those of this ledger
                numbers[LIMIT], numbers[PLAN] = ticket.kind.limit, ticket.kind.plan
                numbers[AT] = ledger.row(SUBSCRIBER, a.subscriber, a.limit, a.now_ms)
                if ticket.scopes == 2:
                    theirs = ticket.kind.organization_limit, ticket.kind.organization_plan
                    numbers[HELD_FIELDS + LIMIT], numbers[HELD_FIELDS + PLAN] = theirs
                    numbers[HELD_FIELDS + AT] = ledger.row(ORGANIZATION, a.organization, a.organization_limit, a.now_ms)
                self.under_way[request] = ticket


def _ticket(ledger: Ledger, a: Arrival) -> Ticket:
    """The request of an arrival."""
    book = ledger.book
    theirs = a.organization_limit
    c = ledger.curves.get((a.tier, a.family))
    kind = Kind(
        a.tier,
        a.limit,
        theirs,
        a.family,
        a.product,
        limit=book.limit(a.limit),
        plan=book.plan(a.limit, a.family, a.product),
        organization_limit=book.limit(theirs) if theirs else 0,
        organization_plan=book.plan(theirs, a.family, a.product) if theirs else 0,
        tier=0,
        rank=0,
        cap=NO_CAP if c is None else c,
        taken=0 if c is None else ledger.taken_at(a.tier, a.family),
    )
    ticket = Ticket(
        kind, a.subscriber, a.organization, a.session, a.input_tokens, a.output_most, a.now_ms, a.draw, a.expires_ms
    )
    ticket.number = a.ordinal
    return ticket


def cap_number(tier: str, alias: str) -> int:
    """What stands for the cap of a tier on an alias."""
    return hash_of(f"{tier}\n{alias}")


def hash_of(limit: str) -> int:
    """What stands for the name of a limit behind a row of numbers."""
    return int.from_bytes(blake2b(limit.encode(), digest_size=8).digest(), "big") >> 1
