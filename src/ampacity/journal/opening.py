"""Opening a journal, to write or to read; and every reason not to, in words.

There is no repair: SQLite takes up what a dead process had committed and drops what it had not, whenever anybody opens
the file. So the first start, a start after a clean end and one after a crash are the same few lines.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from ampacity.journal import schema
from ampacity.scenario.mistakes import Mistake, Mistakes

Durability = Literal["normal", "full"]
MAGIC = b"SQLite format 3\x00"
FOLD_PAGES = 4000
SEVERAL = re.compile(r"use-\d+\.journal")  # of a service with several data processes
BUSY_MS = 2000  # how long a step waits for another process that deletes or folds


class NotWritten(OSError):
    """What is buffered is not on disk, and stays buffered for the next try; says why, and what to do."""


def journals_at(path: Path) -> list[Path]:
    """The journals of a folder, one for each data process that served from it; or this one."""
    there = sorted(path.glob("*.journal")) if path.is_dir() else [path]
    return [p for p in there if SEVERAL.fullmatch(p.name)] or there[:1] or [path]


def for_writing(
    path: Path, durability: Durability = "normal", fold_pages: int = FOLD_PAGES, making: bool = True
) -> sqlite3.Connection:
    """A connection that writes; makes the journal if there is no file, and migrates an older one, unless told not to.

    durability: `normal` survives the death of the process, `full` the loss of power, for a wait on the disk at each
    commit. fold_pages: after so many pages the log is moved into the file [4 KiB each]. Raises OSError, and Mistakes
    for what is no journal, or one of a newer program.
    """
    _look(path, making)
    with _told(path):
        db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000)
        try:
            version = _version(db, path, making)
            if version is None:
                schema.create(db)
            elif version < schema.VERSION:
                schema.migrate(db, version)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
            db.execute(f"PRAGMA wal_autocheckpoint = {fold_pages}")
        except BaseException:
            db.close()
            raise
    return db


@contextmanager
def for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that reads, beside a writer or without one; it holds up nobody.

    Raises OSError, and Mistakes for what is no journal, is of another version, or turns out damaged while it is read.
    """
    _look(path, making=False)
    with _told(path):
        db = _connected(path)
        try:
            _version(db, path, making=False)
            yield db
        finally:
            db.close()


def _connected(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing; where the folder may not be written, the log is read as it lies."""
    where = f"file:{quote(str(path.resolve()))}"
    # the first leaves no files behind; the last is for a file in a folder that nobody can write, where it is no danger
    for mode in ("mode=rw", "mode=ro", "mode=ro&immutable=1"):
        if mode.endswith("immutable=1") and Path(f"{path}-wal").exists():
            break
        db = sqlite3.connect(f"{where}?{mode}", uri=True, isolation_level=None, timeout=BUSY_MS / 1000)
        try:
            db.execute("PRAGMA query_only = 1")
            db.execute("PRAGMA user_version").fetchone()
            return db
        except sqlite3.OperationalError as err:
            db.close()
            if _code(err) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
    raise PermissionError(errno.EACCES, "the journal or its folder may not be read by this user", str(path))


def _look(path: Path, making: bool) -> None:
    """Raises OSError unless there is a file that may be a journal, or it may be made.

    It is not opened to see what is in it: to close it would drop the locks that this process has on it through SQLite,
    and the next reader of another process that leaves would take itself for the last and delete the log.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a journal is a file, this is a folder", str(path))
    if not path.exists():
        if making:
            return
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _is_another_kind(path: Path) -> bool:
    """Whether a file that SQLite does not take for a database does not even begin as one does."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) != MAGIC


def _version(db: sqlite3.Connection, path: Path, making: bool) -> int | None:
    """The journal's schema version, None of an empty file. Raises Mistakes for what is no journal that may be used.

    making: an empty file and an older version may, since they are about to become what they should be.
    """
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if application != schema.APPLICATION_ID:
        empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0 and not application
        if empty and making:
            return None
        found = "an empty file" if empty else f"a database of another program (application id {application:#x})"
        message = f"no journal; one has application id {schema.APPLICATION_ID:#x}"
        raise _mistake(path, "journal", found, message)
    if version > schema.VERSION:
        message = f"this program knows versions up to {schema.VERSION}; a newer one wrote it: update ampacity"
        raise _mistake(path, "schema version", str(version), message)
    if version < schema.VERSION and not making:
        message = f"this program uses {schema.VERSION}; a service that opens it to write brings it there"
        raise _mistake(path, "schema version", str(version), message)
    db.execute("SELECT last FROM mark").fetchone()
    return version


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as err:
        if _code(err) == sqlite3.SQLITE_NOTADB and _is_another_kind(path):
            message = "a journal is an SQLite database that `serve` writes"
            raise _mistake(path, "journal", "another kind of file", message) from err
        raise in_words(err, path) from err
    except UnicodeDecodeError as err:  # SQLite quotes what it cannot read of the tables
        raise in_words(sqlite3.DatabaseError("its tables cannot be read"), path) from err


def in_words(err: sqlite3.Error, path: Path, buffered: bool = False) -> Exception:
    """What an error of SQLite means for whoever has this journal, and what to do; `buffered`: rows wait for it."""
    code = _code(err)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(err, sqlite3.DataError):
        message = f"the file is damaged ({err}); restore a backup, or save what is left by sqlite3 {path.name} .recover"
        return _mistake(path, "journal", "", message)
    kept = "; what is not written yet is kept and goes with the next commit" if buffered else ""
    known = {
        sqlite3.SQLITE_FULL: (errno.ENOSPC, "no room on the disk: free some, or forget old months"),
        sqlite3.SQLITE_READONLY: (errno.EROFS, "may only be read: give this user the right to write it"),
        sqlite3.SQLITE_CANTOPEN: (errno.EACCES, "cannot be opened: does its folder exist, and may this user use it?"),
        sqlite3.SQLITE_BUSY: (errno.EBUSY, "another process holds it for writing: let that finish or stop it"),
        sqlite3.SQLITE_LOCKED: (errno.EBUSY, "another process holds it for writing: let that finish or stop it"),
    }
    number, words = known.get(code, (errno.EIO, f"the disk does not do its work ({err}): look at the system's log"))
    if code == sqlite3.SQLITE_ERROR and not buffered:
        return _mistake(path, "journal", "", f"damaged, or not as a journal is written ({err}); restore a backup")
    return NotWritten(number, words + kept, str(path)) if buffered else OSError(number, words, str(path))


def _code(err: sqlite3.Error) -> int:
    """SQLite's primary code of an error, 1 for one of the Python module itself."""
    return getattr(err, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _mistake(path: Path, key: str, found: str, message: str) -> Mistakes:
    return Mistakes([Mistake(str(path), 0, key, found, message)])
