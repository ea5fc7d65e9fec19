"""Appending: what is refused, what counts once, and what happens when the disk does not take it."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampacity.journal import opening, read
from ampacity.journal.append import Journal
from ampacity.journal.opening import NotWritten
from ampacity.journal.records import ABORTED, EXPIRED, QUEUED, REFUSED, RELEASED, SETTLED, Arrival, Settlement

NOW = 1_795_000_000_000
OneRequest = Callable[..., int]
Everything = Callable[[Path], dict[str, list[tuple[Any, ...]]]]


def test_nothing_is_on_disk_before_the_commit_and_all_of_it_after(kept: Path, one_request: OneRequest) -> None:
    with Journal(kept) as journal, opening.for_reading(kept) as db:
        request = one_request(journal)
        journal.ended(request, NOW + 5, SETTLED, 1, 2, 3, 4, 5)
        assert (journal.durable, journal.last) == (0, 2)
        assert list(read.events(db)) == []
        assert journal.commit() == journal.durable == 2
        assert [type(e) for e in read.events(db)] == [Arrival, Settlement]


def test_a_request_ends_once_however_often_it_is_told(kept: Path, one_request: OneRequest) -> None:
    with Journal(kept) as journal:
        request = one_request(journal)
        assert journal.ended(request, NOW, SETTLED, 10)
        for status in (SETTLED, RELEASED, EXPIRED, ABORTED):
            assert not journal.ended(request, NOW, status, 10)
        assert not journal.ended(request + 999, NOW)
        assert not journal.placed(request, NOW, QUEUED)
        assert journal.last == 2


def test_one_that_expired_may_end_once_more_also_after_a_restart(kept: Path, one_request: OneRequest) -> None:
    with Journal(kept) as journal:
        first, second = one_request(journal), one_request(journal)
        assert journal.ended(first, NOW, EXPIRED) and not journal.ended(first, NOW, EXPIRED)
        assert journal.ended(second, NOW, EXPIRED)
        assert journal.ended(second, NOW, SETTLED, 1)
    with Journal(kept) as journal:
        assert journal.under_way == {first}
        assert not journal.ended(first, NOW, EXPIRED)
        assert not journal.ended(second, NOW, SETTLED, 1)
        assert journal.ended(first, NOW + 9, SETTLED, 5)
    with opening.for_reading(kept) as db:
        ends = [(r.end.uncached, r.late) for r in read.requests(db) if r.end]
    assert ends == [(5, True), (1, True)]


def test_a_refused_request_is_recorded_and_is_not_under_way(kept: Path, one_request: OneRequest) -> None:
    with Journal(kept) as journal:
        refused = one_request(journal, outcome=REFUSED, place=journal.name("five-hour"))
        assert not journal.ended(refused, NOW, SETTLED, 5)
        assert journal.under_way == set()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("subscriber", "ada", "subscriber is a str"),
        ("input_tokens", 1.5, "input_tokens is 1.5"),
        ("session", 1 << 63, "session is 9223372036854775808"),
        ("draw", None, "draw is a NoneType"),
    ],
)
def test_what_is_no_whole_number_is_refused_by_name_and_leaves_nothing_behind(
    kept: Path, one_request: OneRequest, field: str, value: object, words: str
) -> None:
    with Journal(kept) as journal:
        with pytest.raises(TypeError, match=words):
            one_request(journal, **{field: value})
        with pytest.raises(TypeError, match="uncached is a str"):
            journal.ended(one_request(journal), NOW, SETTLED, "12")  # type: ignore[arg-type]
        assert journal.last == 1


def test_mistaken_values_are_all_told_at_once(kept: Path, one_request: OneRequest) -> None:
    with Journal(kept) as journal, pytest.raises(TypeError, match=r"subscriber is a str; draw is 0\.5"):
        one_request(journal, subscriber="key", draw=0.5)


def test_a_text_of_a_person_is_too_long_for_a_name_or_a_detail(kept: Path, one_request: OneRequest) -> None:
    with Journal(kept) as journal:
        with pytest.raises(ValueError, match="at most 200"):
            journal.name("please write me a poem " * 20)
        with pytest.raises(ValueError, match="texts belong elsewhere"):
            journal.changed(NOW, "health", "pool", "x" * 70_000)
        with pytest.raises(ValueError, match="outcome 9"):
            one_request(journal, outcome=9)
        with pytest.raises(ValueError, match="status 4"):
            journal.ended(one_request(journal), NOW, 4)


def test_a_checkpoint_names_all_that_are_under_way(kept: Path, one_request: OneRequest) -> None:
    with Journal(kept) as journal:
        request = one_request(journal)
        with pytest.raises(ValueError, match="0 requests are held, and 1 under way"):
            journal.checkpoint(NOW, "rows", [], [])
        assert journal.checkpoint(NOW, "rows", [], [(request, [1])]) == 2


def test_limits_are_written_once_however_often_they_come_into_force(kept: Path, everything: Everything) -> None:
    with Journal(kept) as journal:
        first, second = journal.configure("tight", NOW), journal.configure("wide", NOW + 1)
        journal.commit()
        assert journal.configure("tight", NOW + 2) == first != second
    with Journal(kept) as journal:
        journal.arrived(NOW + 3, journal.kind("pro", "l"), 1, 1, 1, 1, NOW, QUEUED)
    assert [row[1:] for row in everything(kept)["configuration"]] == [(first, "tight"), (second, "wide")]
    with opening.for_reading(kept) as db:
        assert read.configurations(db) == {first: "tight", second: "wide"}
        assert [r.arrival.configuration for r in read.requests(db)] == [first]


def test_a_second_writer_is_turned_away_and_the_first_writes_on(kept: Path, one_request: OneRequest) -> None:
    with Journal(kept) as journal:
        with pytest.raises(BlockingIOError, match="another process writes this journal"):
            Journal(kept)
        one_request(journal)
        assert journal.commit() == 1
    Journal(kept).close()


def test_a_writer_whose_journal_was_taken_over_stops_instead_of_mixing_its_rows_in(
    kept: Path, one_request: OneRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ampacity.journal.lock.hold", lambda path: None)  # a file system without locks
    first = Journal(kept)
    one_request(first)
    first.commit()
    with Journal(kept) as second:
        one_request(second)
        one_request(first)
        with pytest.raises(NotWritten, match="another process has begun to write"):
            first.commit()
        assert second.commit() == 2
    first._db.close()
    with opening.for_reading(kept) as db:
        assert [e.ordinal for e in read.events(db)] == [1, 2]


def test_a_full_disk_keeps_the_turn_for_the_next_try_and_then_writes_it_once(
    kept: Path, busy: Callable[..., None], everything: Everything, tmp_path: Path
) -> None:
    rng, twin_rng = random.Random(3), random.Random(3)
    journal, twin = Journal(kept), Journal(tmp_path / "twin.journal")
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    failures = 0
    for number in range(150):
        busy(journal, rng, number)
        busy(twin, twin_rng, number)
        twin.commit()
        journal._db.execute(f"PRAGMA max_page_count = {pages + number // 40}")
        try:
            journal.commit()
        except NotWritten as err:
            failures += 1
            assert err.errno == 28
            assert "no room on the disk" in str(err) and "kept and goes with the next commit" in str(err)
            assert journal.durable < journal.last
    assert failures > 20
    journal._db.execute("PRAGMA max_page_count = 100000")
    journal.commit()
    assert journal.durable == journal.last == twin.last
    journal.close()
    twin.close()
    ours, theirs = everything(kept), everything(tmp_path / "twin.journal")
    for table in (
        "arrival",
        "settlement",
        "placement",
        "change",
        "checkpoint",
        "kind",
        "name",
        "configuration",
        "held",
    ):
        assert ours[table] == theirs[table], table


class Doubtful:
    """A connection whose commits reach the disk and are then told to have failed."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db, self.lying = db, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)

    def execute(self, statement: str, *values: Any) -> Any:
        done = self.db.execute(statement, *values)
        if self.lying and statement == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return done


def test_a_commit_that_is_told_to_have_failed_and_did_not_is_not_written_twice(
    kept: Path, busy: Callable[..., None], everything: Everything, tmp_path: Path
) -> None:
    journal, twin = Journal(kept), Journal(tmp_path / "twin.journal")
    journal._db = doubtful = Doubtful(journal._db)  # type: ignore[assignment]
    rng, twin_rng = random.Random(2), random.Random(2)
    for number in range(80):
        busy(journal, rng, number)
        busy(twin, twin_rng, number)
        twin.commit()
        doubtful.lying = number % 3 == 0 and journal.last > journal.durable
        if doubtful.lying:
            with pytest.raises(NotWritten, match="look at the system's log"):
                journal.commit()
        elif number % 3 == 1:
            journal.commit()
    doubtful.lying = False
    journal.close()
    twin.close()
    ours, theirs = everything(kept), everything(tmp_path / "twin.journal")
    for table in set(ours) - {"mark", "minute"}:
        assert ours[table] == theirs[table], table
    assert ours["mark"][0][0] == theirs["mark"][0][0]


def test_the_room_loads_nothing_heavy() -> None:
    rooms = "append, read, keep, ticks, opening, records, schema"
    code = f"import sys; from ampacity.journal import {rooms}; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "sqlite3" in loaded
    assert not {"numpy", "polars", "pint", "pydantic", "numba"} & set(loaded)
