"""Reading a journal: its events in their order, requests with their ends, use by subscriber, what is under way.

All take a connection from `opening.for_reading`. Events are read in short strides, each a moment of its own, so that a
long replay holds up nobody: what has been read once never changes.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ampacity.journal.records import (
    CONFIGURED,
    EXPIRED,
    NO_CAPACITY,
    QUEUED,
    REFUSED,
    REFUSED_ORGANIZATION,
    RELEASED,
    Arrival,
    Change,
    Checkpoint,
    Placement,
    Request,
    Settlement,
    Use,
)

STRIDE = 4096
MINUTE_MS = 60_000
LOOKED_BACK = 1_000_000  # events
Event = Arrival | Placement | Settlement | Change
# arrivals that are not forgotten, or were under way when the others were: forgetting takes its time, and is not seen
_KEPT = "(ordinal >= :since OR ordinal IN (SELECT request FROM held WHERE ordinal = :since))"


class _Names:
    """What the numbers in the rows stand for, read again when one is new."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._texts: dict[int, str] = {}
        self._kinds: dict[int, tuple[str, ...]] = {}

    def text(self, number: int) -> str:
        if number and number not in self._texts:
            self._texts = dict(self._db.execute("SELECT id, text FROM name"))
        return self._texts[number] if number else ""

    def kind(self, number: int) -> tuple[str, ...]:
        if number not in self._kinds:
            hashes = dict(self._db.execute("SELECT id, hash FROM configuration"))
            rows = self._db.execute("SELECT * FROM kind").fetchall()
            self._kinds = {i: (*map(self.text, names), hashes.get(c, "")) for i, *names, c in rows}
        return self._kinds[number]


def events(db: sqlite3.Connection, after: int = 0) -> Iterator[Event]:
    """All events after an ordinal that are on disk now, in their order; later ones are for the next call."""
    with _sound():
        (last,) = db.execute("SELECT last FROM mark").fetchone()
        after = max(after, forgotten(db) - 1)
        names = _Names(db)
        arrivals: Iterator[Event] = (_arrival(names, row) for row in _strides(db, "arrival", after, last))
        settlements: Iterator[Event] = (Settlement(*row) for row in _strides(db, "settlement", after, last))
        placements: Iterator[Event] = (
            Placement(r, q, t, outcome, names.text(place), *more)
            for r, q, t, outcome, place, *more in _strides(db, "placement", after, last)
        )
        changes: Iterator[Event] = (
            Change(o, t, names.text(what), names.text(whose), detail)
            for o, t, what, whose, detail in _strides(db, "change", after, last)
        )
        yield from heapq.merge(arrivals, placements, settlements, changes, key=_ordinal)


def _ordinal(event: Event) -> int:
    return event.ordinal


def _arrival(names: _Names, row: tuple[int, ...]) -> Arrival:
    return Arrival._make((row[0], row[1], *names.kind(row[2]), *row[3:11], names.text(row[11])))


def _strides(db: sqlite3.Connection, table: str, after: int, last: int) -> Iterator[tuple[Any, ...]]:
    """Rows of a table by ordinal, so many at a time."""
    statement = f"SELECT * FROM {table} WHERE ordinal > ? AND ordinal <= ? ORDER BY ordinal LIMIT {STRIDE}"
    while rows := db.execute(statement, (after, last)).fetchall():
        yield from rows
        after = rows[-1][0]


def configurations(db: sqlite3.Connection) -> dict[str, str]:
    """The text of all limits that were ever in force, by their hash."""
    return dict(db.execute("SELECT hash, text FROM configuration"))


def configured(db: sqlite3.Connection) -> list[Change]:
    """Every coming into force of limits from the first on, also before what is forgotten; `subject` is their hash.

    A book is laid out by all that went before it, so a replay from a checkpoint compiles those up to it in turn.
    """
    with _moment(db):
        names = _Names(db)
        statement = "SELECT * FROM change WHERE what = (SELECT id FROM name WHERE text = ?) ORDER BY ordinal"
        rows = db.execute(statement, (CONFIGURED,))
        return [Change(o, t, CONFIGURED, names.text(whose), detail) for o, t, _, whose, detail in rows]


def changes(db: sqlite3.Connection, whats: Sequence[str]) -> list[Change]:
    """The changes of these kinds that are kept, in their order."""
    with _moment(db):
        names = _Names(db)
        marks = ", ".join("?" * len(whats))
        statement = f"SELECT * FROM change WHERE what IN (SELECT id FROM name WHERE text IN ({marks})) ORDER BY ordinal"
        rows = db.execute(statement, tuple(whats)).fetchall()
        return [Change(o, t, names.text(what), names.text(whose), detail) for o, t, what, whose, detail in rows]


def forgotten(db: sqlite3.Connection) -> int:
    """The ordinal before which events have been deleted, or are about to be: that of a checkpoint; 0 if none have."""
    ordinal: int = db.execute("SELECT forgotten FROM mark").fetchone()[0]
    return ordinal


def requests(db: sqlite3.Connection) -> Iterator[Request]:
    """All arrivals in their order, each with its end. One moment of the journal, for as long as it is read."""
    with _moment(db):
        names = _Names(db)
        since = {"since": forgotten(db)}
        ends = db.execute("SELECT * FROM settlement WHERE ordinal >= :since ORDER BY request, ordinal", since)
        end = next(ends, None)
        for row in db.execute(f"SELECT * FROM arrival WHERE {_KEPT} ORDER BY ordinal", since):
            last, late = None, False
            while end is not None and end[1] <= row[0]:
                if end[1] == row[0]:
                    late = last is not None and last.status == EXPIRED
                    last = Settlement(*end)
                end = next(ends, None)
            yield Request(_arrival(names, row), last, late)


def strays(db: sqlite3.Connection) -> list[int]:
    """Ordinals of settlements whose arrival is nowhere: none, unless somebody else has written the file."""
    rows = db.execute(
        f"""SELECT ordinal FROM settlement WHERE ordinal >= :since
            AND request NOT IN (SELECT ordinal FROM arrival WHERE {_KEPT})""",
        {"since": forgotten(db)},
    )
    return [ordinal for (ordinal,) in rows]


def use(db: sqlite3.Connection, begin_ms: int, end_ms: int) -> list[Use]:
    """What each subscriber of each tier used in [begin, end), most output first.

    A request counts when it is settled, whole. What has been forgotten is not in it.
    """
    with _moment(db):
        since = "SELECT min(ordinal) FROM minute WHERE minute >= ?"
        first = db.execute(since, (begin_ms // MINUTE_MS,)).fetchone()[0]
        return [] if first is None else _use(db, max(first, forgotten(db)), begin_ms, end_ms)


def _use(db: sqlite3.Connection, first: int, begin_ms: int, end_ms: int) -> list[Use]:
    """The same; nothing before the ordinal `first` lies in the period."""
    names = _Names(db)
    rows = db.execute(
        f"""
        SELECT subscriber, tier, sum(ended), sum(refused), sum(overloaded),
            sum(uncached), sum(written), sum(read), sum(output)
        FROM (
            SELECT a.subscriber, kind.tier, 1 AS ended, 0 AS refused, 0 AS overloaded,
                s.uncached, s.written, s.read, s.output
            FROM settlement AS s JOIN arrival AS a ON a.ordinal = s.request JOIN kind ON kind.id = a.kind
            WHERE s.ordinal >= :first AND s.now_ms >= :begin AND s.now_ms < :end
                AND s.status NOT IN ({RELEASED}, {EXPIRED})
            UNION ALL
            SELECT a.subscriber, kind.tier, 0, a.outcome != {NO_CAPACITY}, a.outcome = {NO_CAPACITY}, 0, 0, 0, 0
            FROM arrival AS a JOIN kind ON kind.id = a.kind
            WHERE a.ordinal >= :first AND a.now_ms >= :begin AND a.now_ms < :end
                AND a.outcome IN ({REFUSED}, {REFUSED_ORGANIZATION}, {NO_CAPACITY})
            UNION ALL
            SELECT a.subscriber, kind.tier, 0, 0, 1, 0, 0, 0, 0
            FROM placement AS p JOIN arrival AS a ON a.ordinal = p.request JOIN kind ON kind.id = a.kind
            WHERE p.ordinal >= :first AND p.now_ms >= :begin AND p.now_ms < :end AND p.outcome = {NO_CAPACITY}
        ) GROUP BY subscriber, tier ORDER BY sum(output) DESC, subscriber, tier
        """,
        {"first": first, "begin": begin_ms, "end": end_ms},
    )
    return [Use(row[0], names.text(row[1]), *row[2:]) for row in rows]


def refusals(db: sqlite3.Connection, among: Sequence[int] | None = None, most: int = 20) -> list[Arrival]:
    """The latest arrivals that were refused, the last first: at once, with what refused them; or after waiting.

    among: of these subscribers. Of those that waited in vain `outcome` is NO_CAPACITY. Looks back a million events.
    """
    with _moment(db):
        names = _Names(db)
        (last,) = db.execute("SELECT last FROM mark").fetchone()
        given = {"who": None if among is None else json.dumps(among), "since": last - LOOKED_BACK, "most": most}
        rows = db.execute(
            f"""
            SELECT * FROM arrival WHERE ordinal > :since AND outcome > {QUEUED}
            AND (:who IS NULL OR subscriber IN (SELECT value FROM json_each(:who)))
            ORDER BY ordinal DESC LIMIT :most
            """,
            given,
        ).fetchall()
        found = [_arrival(names, row) for row in rows]
        waited = db.execute(
            f"""
            SELECT a.* FROM placement AS p JOIN arrival AS a ON a.ordinal = p.request
            WHERE p.ordinal > :since AND p.outcome = {NO_CAPACITY}
            AND (:who IS NULL OR a.subscriber IN (SELECT value FROM json_each(:who)))
            ORDER BY p.ordinal DESC LIMIT :most
            """,
            given,
        ).fetchall()
        found += [_arrival(names, row)._replace(outcome=NO_CAPACITY, place="") for row in waited]
        return sorted(found, key=_ordinal, reverse=True)[:most]


def unended(db: sqlite3.Connection) -> tuple[set[int], set[int]]:
    """Requests that reserve something and have not ended, and which of them have expired."""
    (since,) = db.execute("SELECT ifnull(max(ordinal), 0) FROM checkpoint").fetchone()
    kept = db.execute("SELECT request, expired FROM held WHERE ordinal = ?", (since,)).fetchall()
    open_ones = {request for request, _ in kept}
    expired = {request for request, gone in kept if gone}
    asked = db.execute(f"SELECT ordinal FROM arrival WHERE ordinal > ? AND outcome <= {QUEUED}", (since,))
    open_ones.update(ordinal for (ordinal,) in asked)
    for request, status in db.execute("SELECT request, status FROM settlement WHERE ordinal > ?", (since,)):
        if status == EXPIRED:
            expired.add(request)
        else:
            open_ones.discard(request)
    return open_ones, expired & open_ones


def under_way(db: sqlite3.Connection) -> list[Request]:
    """Arrivals that reserve something and have not ended, in their order; `late` says that one has expired."""
    with _moment(db):
        open_ones, expired = unended(db)
        names = _Names(db)
        statement = "SELECT * FROM arrival WHERE ordinal = ?"
        rows = [db.execute(statement, (ordinal,)).fetchone() for ordinal in sorted(open_ones)]
        return [Request(_arrival(names, row), None, row[0] in expired) for row in rows]


def arrivals(db: sqlite3.Connection, requests: Iterable[int]) -> dict[int, Arrival]:
    """The arrivals of these requests, also of those that have ended; one that is forgotten is left out."""
    with _moment(db):
        names = _Names(db)
        statement = "SELECT * FROM arrival WHERE ordinal = ?"
        rows = [db.execute(statement, (ordinal,)).fetchone() for ordinal in requests]
        return {row[0]: _arrival(names, row) for row in rows if row is not None}


def last_checkpoint(db: sqlite3.Connection, before: int | None = None) -> Checkpoint | None:
    """The rows of deciding at the last checkpoint, or at the last one before an ordinal; None if there is none.

    A start compiles what was `configured` by then, takes these rows up and replays `events(db, checkpoint.ordinal)`.
    """
    with _moment(db):
        found = db.execute(
            "SELECT ordinal, now_ms, layout FROM checkpoint WHERE ordinal < ? ORDER BY ordinal DESC LIMIT 1",
            ((1 << 63) - 1 if before is None else before,),
        ).fetchone()
        if found is None:
            return None
        ordinal, now_ms, layout = found
        rows = db.execute(
            # beside a lone max() SQLite gives the other columns of the row that has it
            "SELECT scope, owner, max(ordinal), numbers FROM state WHERE ordinal <= ? GROUP BY scope, owner",
            (ordinal,),
        )
        state = {(scope, owner): _numbers(numbers) for scope, owner, _, numbers in rows}
        held = db.execute("SELECT request, numbers FROM held WHERE ordinal = ?", (ordinal,))
        return Checkpoint(ordinal, now_ms, layout, state, {r: _numbers(numbers) for r, numbers in held})


@contextmanager
def _moment(db: sqlite3.Connection) -> Iterator[None]:
    """All that is read within is of one moment; of that of whoever asks, if there is one."""
    if db.in_transaction:
        with _sound():
            yield
        return
    db.execute("BEGIN")
    try:
        with _sound():
            yield
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


@contextmanager
def _sound() -> Iterator[None]:
    """Rows that no journal writes, in a file that is damaged, are an error of the database."""
    try:
        yield
    except (TypeError, KeyError, ValueError) as err:
        raise sqlite3.DatabaseError("its rows are not as they were written") from err


def _numbers(blob: bytes) -> list[int]:
    row = array("q")
    row.frombytes(blob)
    return row.tolist()
