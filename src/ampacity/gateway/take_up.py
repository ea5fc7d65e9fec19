"""Going on where a journal ends: the first start, a start after a clean end and one after a crash are the same lines.

What was settled is used, to the last request. What was under way when a process died reached no client whole: it is
released, and the journal says so.
"""

from __future__ import annotations

from pathlib import Path

from ampacity.journal import opening, read
from ampacity.journal.append import Journal
from ampacity.journal.records import (
    CAPS,
    CONFIGURED,
    DRAIN,
    GONE,
    HOLD,
    RELEASED,
    REOPEN,
    STARTED,
    TAKING_UP,
    WORKERS,
    Arrival,
    Change,
    Settlement,
)
from ampacity.policy.desk import Desk
from ampacity.policy.terms import Terms, TermsError, terms_of
from ampacity.policy.ticket import Ticket
from ampacity.simulator.journal_ledger import Taken, cap_number, hash_of

LAYOUT = "rows of STATE_FIELDS and the hash of their limit, 1"


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
            taken.put_back(checkpoint.state, checkpoint.held, read.arrivals(db, checkpoint.held))
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


def pool_states(path: Path | str) -> dict[str, tuple[str, str, int]]:
    """What was said last of each pool: HOLD, DRAIN, REOPEN or GONE, the deadline of a drain, and when it was said."""
    with opening.for_reading(Path(path)) as db:
        return {c.subject: (c.what, c.detail, c.now_ms) for c in read.changes(db, (HOLD, DRAIN, REOPEN, GONE))}


def require_same_workers(path: Path | str, worker: int, workers: int) -> None:
    """Raise TermsError if a journal was begun by another number of processes, or by another one of them.

    What was used stands in the journal of whoever decides on it, and with another number that would be another.
    """
    with opening.for_reading(Path(path)) as db:
        told = read.changes(db, (WORKERS, STARTED))
    was = next((c.detail for c in reversed(told) if c.what == WORKERS), "0 of 1")
    if told and was != f"{worker} of {workers}":
        raise TermsError(
            [
                f"{Path(path).name} is the journal of process {was} (counted from 0), not of {worker} of {workers}; "
                "use stays with the number of processes that it began with: start so many, or begin with new journals"
            ]
        )


def open_desk(journal: Journal, terms: Terms, now_ms: int, worker: int = 0, workers: int = 1) -> tuple[Desk, int]:
    """A desk that knows what the journal knows, under these terms; and how many requests a death had cut off.

    worker, workers: which of how many processes this is. Raises TermsError if the journal is not this one's.
    """
    require_same_workers(journal.path, worker, workers)
    taken = taken_up(journal.path)
    now_ms = max(now_ms, taken.last_ms)
    journal.changed(now_ms, TAKING_UP, terms.name)
    if workers > 1:
        journal.changed(now_ms, WORKERS, terms.name, f"{worker} of {workers}")
    cut_off = taken.release_all(now_ms)
    for request in cut_off:
        journal.ended(request, now_ms, RELEASED)
    desk = Desk(terms, taken.configure(terms, now_ms), leased=workers > 1)
    journal.configure(terms.text(), now_ms)
    journal.changed(now_ms, STARTED, terms.name)
    write_checkpoint(journal, desk, {}, now_ms)
    journal.commit()
    return desk, len(cut_off)


def write_checkpoint(journal: Journal, desk: Desk, under_way: dict[int, Ticket], now_ms: int) -> None:
    """Write the rows that changed since the last one, so that a start need not go through all events."""
    ledger = desk.ledger
    rows = [(scope, who, [*row, hash_of(ledger.limit_of(scope, who))]) for scope, who, row in ledger.rows_touched()]
    for tier, alias, *taken in ledger.caps_taken(under_way.values()):
        rows.append((CAPS, cap_number(tier, alias), list(taken)))
    held = [(request, under_way[request].held) for request in sorted(journal.under_way)]
    journal.checkpoint(now_ms, LAYOUT, rows, held)
