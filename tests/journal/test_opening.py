"""Opening: what is no journal is told in words, an older one is brought up to date, all of it or not at all."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampacity.journal import keep, opening, read, schema
from ampacity.journal.append import Journal
from ampacity.scenario.mistakes import Mistakes

Raw = Callable[[Path], sqlite3.Connection]
Everything = Callable[[Path], dict[str, list[tuple[Any, ...]]]]


def refused(path: Path, words: str, error: type[Exception] = Mistakes) -> None:
    """Both ways of opening refuse it, with these words."""
    with pytest.raises(error, match=words):
        Journal(path)
    with pytest.raises(error, match=words), opening.for_reading(path):
        pass


def test_another_kind_of_file_and_another_programs_database_are_told_and_left_alone(tmp_path: Path, raw: Raw) -> None:
    text, database = tmp_path / "notes.txt", tmp_path / "other.db"
    text.write_text("startTime,prompt_tokens\n" * 9)
    db = raw(database)
    db.execute("CREATE TABLE theirs (a)")
    db.execute("PRAGMA application_id = 77")
    db.close()
    before = database.read_bytes()
    refused(text, "another kind of file")
    refused(database, r"another program \(application id 0x4d\)")
    assert database.read_bytes() == before
    assert text.read_text().startswith("startTime")


def test_a_database_of_nobody_with_tables_is_no_journal(tmp_path: Path, raw: Raw) -> None:
    db = raw(tmp_path / "plain.db")
    db.execute("CREATE TABLE arrival (ordinal INTEGER PRIMARY KEY)")
    db.close()
    before = (tmp_path / "plain.db").read_bytes()
    refused(tmp_path / "plain.db", "database of another program")
    assert (tmp_path / "plain.db").read_bytes() == before


def test_an_empty_file_becomes_a_journal_and_is_none_before(kept: Path) -> None:
    kept.touch()
    with pytest.raises(Mistakes, match="an empty file"), opening.for_reading(kept):
        pass
    Journal(kept).close()
    with opening.for_reading(kept) as db:
        assert list(read.events(db)) == []


def test_a_missing_file_a_missing_folder_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), opening.for_reading(tmp_path / "none"):
        pass
    with pytest.raises(OSError, match="No such file"):
        Journal(tmp_path / "nowhere" / "a.journal")
    refused(tmp_path, "this is a folder", IsADirectoryError)
    for keeping in (lambda p: list(keep.forget(p, 1)), keep.fold, lambda p: keep.backup(p, tmp_path / "b")):
        with pytest.raises(FileNotFoundError):
            keeping(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_a_journal_of_a_newer_program_is_refused_with_what_to_do(kept: Path, raw: Raw) -> None:
    Journal(kept).close()
    db = raw(kept)
    db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    db.close()
    before = kept.read_bytes()
    refused(kept, f"schema version: {schema.VERSION + 1}\n.*update ampacity")
    assert kept.read_bytes() == before


@pytest.fixture
def older(kept: Path, busy: Callable[..., None]) -> Path:
    """A journal of the first version, with a busy while in it."""
    rng = random.Random(1)
    with Journal(kept) as journal:
        for number in range(20):
            busy(journal, rng, number)
            journal.commit()
    return kept


def test_an_older_journal_is_migrated_with_all_that_it_holds(
    older: Path, everything: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(older)
    now = schema.VERSION
    filling = ("CREATE TABLE later (a)", "INSERT INTO later SELECT ordinal FROM arrival")
    monkeypatch.setattr(schema, "VERSION", now + 2)
    monkeypatch.setattr(schema, "MIGRATIONS", {now: filling, now + 1: ("DELETE FROM later",)})
    with (
        pytest.raises(Mistakes, match=rf"schema version: {now}\n.*a service that opens it to write"),
        opening.for_reading(older),
    ):
        pass
    for keeping in (lambda: list(keep.forget(older, 1)), lambda: keep.fold(older)):
        with pytest.raises(Mistakes, match=f"schema version: {now}"):
            keeping()
    Journal(older).close()
    assert everything(older) == before
    with opening.for_reading(older) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (now + 2,)
        assert db.execute("SELECT count(*) FROM later").fetchone() == (0,)


def test_a_migration_that_fails_at_any_statement_leaves_the_older_journal(
    older: Path, everything: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(older)
    good = ["DELETE FROM arrival", "DROP TABLE minute", "CREATE TABLE later (a)"]
    for failing in range(4):
        steps = (*good[:failing], "INSERT INTO nothing_of_that_name VALUES (1)", *good[failing:])
        with monkeypatch.context() as newer:
            newer.setattr(schema, "MIGRATIONS", {schema.VERSION: steps})
            newer.setattr(schema, "VERSION", schema.VERSION + 1)
            with pytest.raises(Mistakes, match="nothing_of_that_name"):
                Journal(older)
        assert everything(older) == before


def test_a_journal_of_the_first_version_is_migrated_and_goes_on(older: Path, everything: Everything) -> None:
    before = everything(older)
    db = sqlite3.connect(older)
    for table, column in (("placement", "answer"), ("placement", "wait_ms"), ("settlement", "answer")):
        db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()
    with Journal(older) as journal:
        request = min(journal.under_way)
        assert journal.ended(request, 1, answer=-3)
    with opening.for_reading(older) as db:
        assert db.execute("SELECT answer FROM settlement ORDER BY ordinal DESC").fetchone() == (-3,)
    after = everything(older)
    assert after != before and len(after) == len(before)


def test_every_version_but_the_first_is_reached_from_the_one_before_it() -> None:
    assert sorted(schema.MIGRATIONS) == list(range(1, schema.VERSION))


def test_a_damaged_file_is_told_in_words_and_never_as_a_traceback(older: Path, tmp_path: Path) -> None:
    rng, right, torn = random.Random(2), older.read_bytes(), tmp_path / "torn.journal"
    told = 0
    for _ in range(150):
        data = bytearray(right)
        for _ in range(rng.randrange(1, 60)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        torn.write_bytes(bytes(data[: rng.choice([len(data), rng.randrange(1, len(data))])]))
        for reading in (
            lambda db: list(read.requests(db)), lambda db: list(read.events(db)), lambda db: read.use(db, 0, 1 << 62),
            read.under_way, read.last_checkpoint,
        ):  # fmt: skip
            try:
                with opening.for_reading(torn) as db:
                    reading(db)
            except (Mistakes, OSError) as err:
                told += 1
                assert "torn.journal" in str(err)
    assert told > 150


def test_the_file_says_what_it_is_before_anything_is_folded_into_it(kept: Path) -> None:
    with Journal(kept):
        head = kept.read_bytes()[:100]
    assert head.startswith(opening.MAGIC)
    at = schema.APPLICATION_ID_AT
    assert int.from_bytes(head[at : at + 4], "big") == schema.APPLICATION_ID


def test_reading_leaves_no_file_behind_and_changes_none(older: Path) -> None:
    before = {p.name: p.read_bytes() for p in older.parent.iterdir()}
    with opening.for_reading(older) as db:
        assert list(read.requests(db))
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("DELETE FROM arrival")
    assert {p.name: p.read_bytes() for p in older.parent.iterdir()} == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_journal_that_may_not_be_written_is_read_and_not_opened_to_write(older: Path) -> None:
    older.chmod(stat.S_IRUSR)
    older.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with opening.for_reading(older) as db:
            assert list(read.requests(db))
        with pytest.raises(OSError):
            Journal(older)
    finally:
        older.parent.chmod(stat.S_IRWXU)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (sqlite3.SQLITE_READONLY, "may only be read: give this user the right"),
        (sqlite3.SQLITE_FULL, "no room on the disk: free some"),
        (sqlite3.SQLITE_BUSY, "another process holds it for writing"),
        (sqlite3.SQLITE_IOERR, "look at the system's log"),
        (sqlite3.SQLITE_CANTOPEN, "does its folder exist"),
    ],
)
def test_every_way_in_which_a_disk_refuses_says_what_to_do_and_what_is_kept(
    kept: Path, one_request: Callable[..., int], code: int, words: str
) -> None:
    class Refusing:
        def __init__(self, db: sqlite3.Connection) -> None:
            self.db, self.refusing = db, True

        def __getattr__(self, name: str) -> Any:
            return getattr(self.db, name)

        def execute(self, statement: str, *values: Any) -> Any:
            if self.refusing and statement.startswith("BEGIN"):
                err = sqlite3.OperationalError("refused")
                err.sqlite_errorcode = code
                raise err
            return self.db.execute(statement, *values)

    journal = Journal(kept)
    journal._db = refusing = Refusing(journal._db)  # type: ignore[assignment]
    one_request(journal)
    with pytest.raises(opening.NotWritten, match=words) as caught:
        journal.commit()
    assert "is kept and goes with the next commit" in str(caught.value)
    refusing.refusing = False
    assert journal.commit() == 1
    journal.close()


def test_a_reader_that_leaves_does_not_take_the_log_away_from_a_writer_that_has_read_itself(tmp_path: Path) -> None:
    """A process that opened the plain file and closed it would have no lock on it any more: so POSIX wants it."""
    path = tmp_path / "team.journal"
    with Journal(path) as journal:
        with opening.for_reading(path):
            pass  # as a service does at its start, to take up what is there
        journal.changed(1, "health", "here")
        journal.commit()
        look = "import sys; from pathlib import Path; from ampacity.journal import opening\n"
        look += "with opening.for_reading(Path(sys.argv[1])) as db: db.execute('SELECT last FROM mark').fetchone()"
        subprocess.run([sys.executable, "-c", look, str(path)], check=True, timeout=30)
        assert Path(f"{path}-wal").exists()
        journal.changed(2, "health", "here")
        journal.commit()
        copies = [shutil.copy(f"{path}{end}", tmp_path / f"copy{end}") for end in ("", "-wal")]
        with opening.for_reading(Path(copies[0])) as db:
            assert db.execute("SELECT last FROM mark").fetchone() == (2,)
