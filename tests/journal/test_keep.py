"""Keeping: what is forgotten goes in steps and what stays can be replayed; a copy is a moment of the journal."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampacity.journal import keep, opening, read
from ampacity.journal.append import Journal
from ampacity.journal.records import SUBSCRIBER

Busy = Callable[..., None]
Everything = Callable[[Path], dict[str, list[tuple[Any, ...]]]]
NOW = 1_795_000_000_000


@pytest.fixture
def long(kept: Path, busy: Busy) -> Path:
    """A journal of many turns and checkpoints, closed."""
    rng = random.Random(12)
    with Journal(kept) as journal:
        for number in range(200):
            busy(journal, rng, number)
            journal.commit()
    return kept


def an_instant(path: Path) -> int:
    """When most requests were under way at a checkpoint in the middle of the journal."""
    with opening.for_reading(path) as db:
        counted = (
            "SELECT now_ms FROM checkpoint JOIN held USING (ordinal) WHERE now_ms BETWEEN ? AND ? GROUP BY ordinal"
        )
        middle = (NOW + 80 * 7_000, NOW + 160 * 7_000)
        (now_ms,) = db.execute(f"{counted} ORDER BY count(*) DESC", middle).fetchone()
        return int(now_ms)


def cut_of(path: Path, before_ms: int) -> tuple[int, set[int]]:
    """The last checkpoint at or before an instant, and the requests that it holds."""
    with opening.for_reading(path) as db:
        (cut,) = db.execute("SELECT max(ordinal) FROM checkpoint WHERE now_ms <= ?", (before_ms,)).fetchone()
        return cut, {request for (request,) in db.execute("SELECT request FROM held WHERE ordinal = ?", (cut,))}


def test_forgetting_leaves_every_event_from_the_last_checkpoint_before_the_instant(long: Path) -> None:
    middle = an_instant(long)
    cut, held = cut_of(long, middle)
    with opening.for_reading(long) as db:
        before, checkpoint = list(read.events(db)), read.last_checkpoint(db, before=cut + 1)
        under_way = read.under_way(db)
    steps = list(keep.forget(long, middle, step_rows=7))
    assert len(steps) > 10 and max(steps) <= 7
    with opening.for_reading(long) as db:
        assert list(read.events(db)) == [e for e in before if e.ordinal > cut]
        assert read.last_checkpoint(db, before=cut + 1) == checkpoint
        assert checkpoint is not None and checkpoint.ordinal == cut and set(checkpoint.held) == held
        assert read.under_way(db) == under_way
        assert held and {r.arrival.ordinal for r in read.requests(db)} > held
        assert read.strays(db) == []
    assert list(keep.forget(long, middle)) == []


def test_forgetting_may_stop_after_any_step_and_be_taken_up_again(
    long: Path, tmp_path: Path, everything: Everything
) -> None:
    middle = an_instant(long)
    whole = tmp_path / "whole.journal"
    keep.backup(long, whole)
    list(keep.forget(whole, middle))
    cut, _ = cut_of(long, middle)
    with opening.for_reading(long) as db:
        after = [e for e in read.events(db) if e.ordinal > cut]
    stopped = 0
    while True:
        steps = keep.forget(long, middle, step_rows=40)
        if next(steps, None) is None:
            break
        next(steps, None)
        steps.close()  # as if the process had died here
        stopped += 1
        with opening.for_reading(long) as db:
            assert list(read.events(db)) == after
            assert read.strays(db) == []
    assert stopped > 5
    assert everything(long) == everything(whole)


def test_a_journal_is_written_on_while_it_forgets_and_a_restart_goes_on_behind_it(
    long: Path, busy: Busy, everything: Everything
) -> None:
    rng = random.Random(1)
    with Journal(long) as journal:
        for number, _ in enumerate(keep.forget(long, NOW + 1_200_000, step_rows=20)):
            busy(journal, rng, 300 + number)
            journal.commit()
        last = journal.last
    ordinals = [row[0] for table in ("arrival", "settlement", "change", "placement") for row in everything(long)[table]]
    assert len(set(ordinals)) == len(ordinals) and max(ordinals) <= last
    with Journal(long) as journal:
        assert journal.last == last


def test_without_a_checkpoint_nothing_is_forgotten(kept: Path, one_request: Callable[..., int]) -> None:
    with Journal(kept) as journal:
        one_request(journal)
    assert list(keep.forget(kept, 1 << 62)) == []
    with opening.for_reading(kept) as db:
        assert len(list(read.requests(db))) == 1


def test_a_journal_forgotten_to_its_end_never_gives_an_ordinal_twice(
    kept: Path, one_request: Callable[..., int]
) -> None:
    with Journal(kept) as journal:
        journal.ended(one_request(journal), NOW)
        journal.checkpoint(NOW + 1, "rows", [(SUBSCRIBER, 7, [1, 2])], [])
    list(keep.forget(kept, NOW + 2))
    with Journal(kept) as journal:
        assert one_request(journal) == 4
    with opening.for_reading(kept) as db:
        checkpoint = read.last_checkpoint(db)
    assert checkpoint is not None and checkpoint.state == {(SUBSCRIBER, 7): [1, 2]}


def test_which_limits_are_in_force_is_not_forgotten(kept: Path, one_request: Callable[..., int]) -> None:
    with Journal(kept) as journal:
        hashes = [journal.configure(text, NOW + i) for i, text in enumerate(["tight", "wide", "tight"])]
        journal.changed(NOW + 5, "health", "pool-a")
        journal.checkpoint(NOW + 9, "rows", [], [])
    assert sum(keep.forget(kept, NOW + 9)) == 1  # the pool's health
    with Journal(kept) as journal:
        one_request(journal)
    with opening.for_reading(kept) as db:
        assert [r.arrival.configuration for r in read.requests(db)] == [hashes[2]]
        assert [(c.ordinal, c.now_ms, c.subject) for c in read.configured(db)] == [
            (i + 1, NOW + i, known) for i, known in enumerate(hashes)
        ]
        assert read.configurations(db) == {hashes[0]: "tight", hashes[1]: "wide"}


def test_freed_pages_are_used_again(kept: Path, busy: Busy) -> None:
    rng, sizes = random.Random(3), []
    with Journal(kept, fold_pages=1) as journal:
        for week in range(8):
            for number in range(week * 60, week * 60 + 60):
                busy(journal, rng, number)
            now = NOW + (week * 60 + 60) * 7_000
            journal.checkpoint(now, "rows", [], [(r, [0]) for r in sorted(journal.under_way)])
            journal.commit()
            list(keep.forget(kept, now - 60 * 7_000))
            sizes.append(kept.stat().st_size)
    assert max(sizes[4:]) <= 1.3 * max(sizes[:4])


def test_a_backup_beside_a_writer_is_the_journal_at_one_moment_and_one_plain_file(
    kept: Path, tmp_path: Path, busy: Busy, everything: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, moments = random.Random(4), []
    monkeypatch.setattr(keep, "COPY_PAGES", 2)
    with Journal(kept, fold_pages=5) as journal:
        for number in range(60):
            busy(journal, rng, number)
            journal.commit()
            moments.append(everything(kept))
            if number % 10 == 9:
                copy = tmp_path / f"{number}.journal"
                keep.backup(kept, copy)
                assert everything(copy) == moments[-1]
                assert copy.read_bytes()[18:20] == b"\x01\x01"  # no log beside it
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    with Journal(tmp_path / "9.journal") as restored:
        assert restored.last == moments[9]["mark"][0][0]


def test_a_backup_is_not_disturbed_by_commits_between_its_steps(
    kept: Path, tmp_path: Path, busy: Busy, everything: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(5)
    journal = Journal(kept)
    for number in range(60):
        busy(journal, rng, number)
        journal.commit()
    moment = everything(kept)
    own, steps = keep.COPY_PAGES, []

    def told(*_: int) -> None:
        busy(journal, rng, 60 + len(steps))
        journal.commit()
        steps.append(1)

    monkeypatch.setattr(keep, "COPY_PAGES", 2)
    monkeypatch.setattr(keep, "_progress", told)
    keep.backup(kept, tmp_path / "copy.journal")
    journal.close()
    assert own > 2 and len(steps) > 5
    assert everything(tmp_path / "copy.journal") == moment
    assert everything(kept) != moment


def test_folding_in_a_thread_of_its_own_takes_the_log_from_the_writer(kept: Path, busy: Busy) -> None:
    rng = random.Random(6)
    with Journal(kept, fold_pages=0) as journal:
        for number in range(40):
            busy(journal, rng, number)
            journal.commit()
        grown = Path(f"{kept}-wal").stat().st_size
        assert keep.fold(kept) == 0
        for number in range(40, 60):
            busy(journal, rng, number)
            journal.commit()
        assert Path(f"{kept}-wal").stat().st_size == grown  # written from its beginning again
