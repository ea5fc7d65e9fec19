"""Going on where a journal ends: the first start, a start after a clean end and one after a crash are the same lines.

What was settled is used, to the last request. What was under way when a process died reached no client whole: it is
released, and the journal says so.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from ampacity.journal import opening, read
from ampacity.journal.append import Journal
from ampacity.journal.records import (
    ABORTED,
    CONFIGURED,
    EXPIRED,
    RELEASED,
    RESERVING,
    SETTLED,
    Arrival,
    Change,
    Settlement,
)
from ampacity.policy.book import AT, HELD_FIELDS, STATE_FIELDS
from ampacity.policy.desk import Desk
from ampacity.policy.ledger import ORGANIZATION, SUBSCRIBER, Ledger
from ampacity.policy.terms import Terms, terms_of
from ampacity.policy.ticket import NO_CAP, Kind, Ticket

LAYOUT = "rows of STATE_FIELDS and the hash of their limit, 1"
TAKING_UP, STARTED = "taking-up", "started"  # changes that a journal tells of a process


class Taken:
    """A ledger as a journal has it: fed with its events, in their order."""

    def __init__(self) -> None:
        self.ledger: Ledger | None = None
        self.under_way: dict[int, Ticket] = {}
        self.last_ms = 0

    def configure(self, terms: Terms, now_ms: int) -> Ledger:
        """Bring terms into force."""
        if self.ledger is None:
            self.ledger = Ledger(terms)
        else:
            self.ledger.change(terms, now_ms, at_rest=True)
        return self.ledger

    def arrived(self, a: Arrival) -> None:
        """A request was decided on; what was reserved then is reserved again."""
        ledger = self.ledger
        assert ledger is not None
        ticket = _ticket(ledger, a)
        if a.outcome in RESERVING:
            ledger.reserve(ticket, a.now_ms)
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


def _ticket(ledger: Ledger, a: Arrival) -> Ticket:
    """The request of an arrival. Caps of an hour are not taken up: estimates of a prompt's cache are not known here."""
    book = ledger.book
    theirs = a.organization_limit
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
        cap=NO_CAP,
        taken=0,
    )
    ticket = Ticket(
        kind, a.subscriber, a.organization, a.session, a.input_tokens, a.output_most, a.now_ms, a.draw, a.expires_ms
    )
    ticket.number = a.ordinal
    return ticket


def taken_up(path: Path | str) -> Taken:
    """The ledger that a journal says, with what was under way at its end. Raises OSError, and Mistakes."""
    taken = Taken()
    with opening.for_reading(Path(path)) as db:
        texts = read.configurations(db)
        checkpoint = read.last_checkpoint(db)
        after = 0
        if checkpoint is not None and checkpoint.layout == LAYOUT:
            after = taken.last_ms = checkpoint.ordinal
            for change in read.configured(db):
                if change.ordinal < after:
                    taken.configure(terms_of(texts[change.subject]), change.now_ms)
            _put_back(
                taken, checkpoint.state, checkpoint.held, {r.arrival.ordinal: r.arrival for r in read.under_way(db)}
            )
            taken.last_ms = checkpoint.now_ms
        for event in read.events(db, after):
            taken.last_ms = max(taken.last_ms, event.now_ms)
            if isinstance(event, Change) and event.what == CONFIGURED:
                taken.configure(terms_of(texts[event.subject]), event.now_ms)
            elif isinstance(event, Arrival):
                taken.arrived(event)
            elif isinstance(event, Settlement):
                taken.ended(event)
    return taken


def _put_back(
    taken: Taken, state: dict[tuple[int, int], list[int]], held: dict[int, list[int]], arrivals: dict[int, Arrival]
) -> None:
    """Rows as a checkpoint had them."""
    ledger = taken.ledger
    assert ledger is not None
    limits = {hash_of(name): name for name in ledger.book.limits}
    for (scope, who), numbers in state.items():
        ledger.take_up(scope, who, limits[numbers[STATE_FIELDS]], numbers[:STATE_FIELDS])
    for request, numbers in held.items():
        if request in arrivals:
            a = arrivals[request]
            ticket = _ticket(ledger, a)
            ticket.held, ticket.scopes = numbers, len(numbers) // HELD_FIELDS
            numbers[AT] = ledger.row(SUBSCRIBER, a.subscriber, a.limit, a.now_ms)
            if ticket.scopes == 2:
                numbers[HELD_FIELDS + AT] = ledger.row(ORGANIZATION, a.organization, a.organization_limit, a.now_ms)
            taken.under_way[request] = ticket


def hash_of(limit: str) -> int:
    """What stands for the name of a limit behind a row of numbers."""
    return int.from_bytes(blake2b(limit.encode(), digest_size=8).digest(), "big") >> 1


def open_desk(journal: Journal, terms: Terms, now_ms: int) -> tuple[Desk, int]:
    """A desk that knows what the journal knows, under these terms; and how many requests a death had cut off."""
    taken = taken_up(journal.path)
    now_ms = max(now_ms, taken.last_ms)
    journal.changed(now_ms, TAKING_UP, terms.name)
    cut_off = taken.release_all(now_ms)
    for request in cut_off:
        journal.ended(request, now_ms, RELEASED)
    desk = Desk(terms, taken.configure(terms, now_ms))
    journal.configure(terms.text(), now_ms)
    journal.changed(now_ms, STARTED, terms.name)
    write_checkpoint(journal, desk, {}, now_ms)
    journal.commit()
    return desk, len(cut_off)


def write_checkpoint(journal: Journal, desk: Desk, under_way: dict[int, Ticket], now_ms: int) -> None:
    """Write the rows that changed since the last one, so that a start need not go through all events."""
    ledger = desk.ledger
    rows = [(scope, who, [*row, hash_of(ledger.limit_of(scope, who))]) for scope, who, row in ledger.rows_touched()]
    held = [(request, under_way[request].held) for request in sorted(journal.under_way)]
    journal.checkpoint(now_ms, LAYOUT, rows, held)
