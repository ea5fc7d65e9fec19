"""Keeping a journal: forget old events in short steps, copy it while it is written, fold its log into the file.

Each of these opens a connection of its own, so a thread or another process can do it beside the writer.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ampacity.journal import opening
from ampacity.journal.records import CONFIGURED, WORKERS
from ampacity.journal.schema import EVENTS

STEP_ROWS = 2000
COPY_PAGES = 256
KEPT = {
    "arrival": " AND ordinal NOT IN (SELECT request FROM held WHERE ordinal = :cut)",
    "change": " AND what NOT IN (SELECT id FROM name WHERE text IN (:limits, :workers))",
}


def forget(path: Path | str, before_ms: int, step_rows: int = STEP_ROWS) -> Iterator[int]:
    """Delete what happened before an instant, step by step; each step is one short transaction and gives its rows.

    The cut is the last checkpoint at or before that instant, so that what is kept can still be replayed; without one
    nothing is deleted. Arrivals that were under way there stay, and when which limits came into force, with their text,
    and which of how many processes writes it.
    The file does not shrink: freed pages are used again.
    Raises OSError, and Mistakes for what is no journal.
    """
    where = Path(path)
    with closing(opening.for_writing(where, making=False)) as db:
        try:
            found = db.execute("SELECT max(ordinal) FROM checkpoint WHERE now_ms <= ?", (before_ms,)).fetchone()[0]
            (was,) = db.execute("SELECT forgotten FROM mark").fetchone()
            cut = max(found or 0, was)  # an earlier cut that was not carried through is carried through now
            if cut == 0:
                return
            # first of all readers are told: from here on nobody takes up what is about to go
            db.execute("UPDATE mark SET forgotten = ?", (cut,))
            yield from _steps(db, cut, step_rows)
        except sqlite3.Error as err:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise opening.in_words(err, where) from err


def _steps(db: sqlite3.Connection, cut: int, step_rows: int) -> Iterator[int]:
    """Delete all rows before the cut but arrivals that it holds, and rows of deciding that later ones replace."""
    for table in (*EVENTS, "held"):
        kept = KEPT.get(table, "")
        key = "ordinal, request" if table == "held" else "ordinal"
        chosen = f"SELECT {key} FROM {table} WHERE ordinal < :cut{kept} ORDER BY {key} LIMIT :rows"
        deleting = f"DELETE FROM {table} WHERE ({key}) IN ({chosen})"
        named = {"cut": cut, "rows": step_rows, "limits": CONFIGURED, "workers": WORKERS}
        while rows := db.execute(deleting, named).rowcount:
            yield rows
    replaced = db.execute(
        """SELECT scope, owner, ordinal FROM state AS old WHERE ordinal < ? AND EXISTS (
            SELECT 1 FROM state AS new WHERE new.scope = old.scope AND new.owner = old.owner
                AND new.ordinal > old.ordinal AND new.ordinal <= ?)""",
        (cut, cut),
    ).fetchall()
    for begin in range(0, len(replaced), step_rows):
        few = replaced[begin : begin + step_rows]
        db.execute("BEGIN IMMEDIATE")
        db.executemany("DELETE FROM state WHERE scope = ? AND owner = ? AND ordinal = ?", few)
        db.execute("COMMIT")
        yield len(few)
    # one minute before the cut stays, for whoever asks since when
    db.execute("DELETE FROM minute WHERE ordinal < (SELECT max(ordinal) FROM minute WHERE ordinal <= ?)", (cut,))


def backup(path: Path | str, to: Path | str) -> None:
    """Copy a journal as it is at one moment, beside its writer, to one plain file; whole or not at all.

    Raises OSError, and Mistakes for what is no journal.
    """
    target = Path(to)
    handle, temporary = tempfile.mkstemp(dir=target.resolve().parent, prefix=f".{target.name}.")
    os.close(handle)
    try:
        with opening.for_reading(Path(path)) as source, closing(sqlite3.connect(temporary)) as copy:
            # a reader's moment, so that commits of others do not make the copy begin anew
            source.execute("BEGIN")
            source.execute("SELECT last FROM mark").fetchone()
            source.backup(copy, pages=COPY_PAGES, progress=_progress, sleep=0)
            source.execute("COMMIT")
            copy.execute("PRAGMA journal_mode = DELETE")
        with Path(temporary).open("rb") as file:
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _progress(status: int, remaining: int, total: int) -> None:
    """Called between the steps of a copy."""


def fold(path: Path | str) -> int:
    """Move what is committed from the log into the file as far as readers let it; gives the pages left in the log.

    The writer does so by itself every `fold_pages`, and waits for the disk meanwhile. A thread that calls this once a
    second does most of that waiting in its place. Raises OSError, and Mistakes.
    """
    where = Path(path)
    pages: int
    moved: int
    with closing(opening.for_writing(where, fold_pages=0, making=False)) as db:
        try:
            _, pages, moved = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as err:
            raise opening.in_words(err, where) from err
    return max(pages - moved, 0)
