"""A journal cut anywhere holds whole turns only: all that were committed before the cut, and nothing twice."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampacity.journal import keep, opening, read
from ampacity.journal.append import Journal
from ampacity.journal.records import Arrival, Settlement

Busy = Callable[..., None]
Everything = Callable[[Path], dict[str, list[tuple[Any, ...]]]]
TICKS = 60
PAGE = 4096
FRAME = 24 + PAGE
LOG_HEAD = 32


def written(
    path: Path, busy: Busy, everything: Everything, fold_pages: int = 0
) -> tuple[Journal, list[int], list[Any]]:
    """A journal of many turns, still open: how long its log was after each, and what the journal then held."""
    rng = random.Random(4)
    journal = Journal(path, fold_pages=fold_pages)
    log = Path(f"{path}-wal")
    ends, held = [log.stat().st_size], [everything(path)]
    for number in range(TICKS):
        busy(journal, rng, number)
        journal.commit()
        ends.append(log.stat().st_size)
        held.append(everything(path))
    return journal, ends, held


def test_a_log_cut_at_any_byte_gives_all_turns_before_the_cut_whole_and_none_after(
    kept: Path, tmp_path: Path, busy: Busy, everything: Everything
) -> None:
    journal, ends, held = written(kept, busy, everything)
    log, cut = Path(f"{kept}-wal").read_bytes(), tmp_path / "cut.journal"
    assert ends == sorted(ends) and len(log) == ends[-1]
    frames = range(LOG_HEAD, len(log) + 1, FRAME)
    rng = random.Random(5)
    offsets = {0, 1, LOG_HEAD - 1, *frames, *(f - 1 for f in rng.sample(frames, 40))}
    offsets |= {rng.randrange(len(log)) for _ in range(40)}
    for offset in sorted(offsets):
        shutil.copy(kept, cut)
        Path(f"{cut}-wal").write_bytes(log[:offset])
        assert everything(cut) == held[max(bisect_right(ends, offset) - 1, 0)], offset
    journal.close()


def test_junk_behind_the_last_whole_turn_is_dropped(
    kept: Path, tmp_path: Path, busy: Busy, everything: Everything
) -> None:
    journal, ends, held = written(kept, busy, everything)
    log, cut, rng = Path(f"{kept}-wal").read_bytes(), tmp_path / "cut.journal", random.Random(6)
    for turn in rng.sample(range(1, TICKS), 20):
        shutil.copy(kept, cut)
        torn = bytearray(log)
        for at in (ends[turn] + rng.randrange(FRAME), rng.randrange(ends[turn], len(log))):
            if at < len(torn):
                torn[at] ^= 0xFF
        Path(f"{cut}-wal").write_bytes(bytes(torn[: ends[turn + 1]]))
        found = everything(cut)
        assert found in (held[turn], held[turn + 1])
        if found == held[turn + 1]:  # what was torn lay in no frame of this turn, or in one that says nothing
            assert ends[turn + 1] == ends[turn]
    journal.close()


def test_a_cut_journal_is_taken_up_where_it_ends(
    kept: Path, tmp_path: Path, busy: Busy, everything: Everything
) -> None:
    journal, ends, held = written(kept, busy, everything)
    log, cut, rng = Path(f"{kept}-wal").read_bytes(), tmp_path / "cut.journal", random.Random(8)
    for offset in rng.sample(range(LOG_HEAD, len(log)), 12):
        shutil.copy(kept, cut)
        Path(f"{cut}-wal").write_bytes(log[:offset])
        before = held[bisect_right(ends, offset) - 1]
        with Journal(cut) as again:
            assert again.last == before["mark"][0][0]
            for number in range(200, 205):
                busy(again, random.Random(number), number)
                again.commit()
            last = again.last
        after = everything(cut)
        for table in ("arrival", "settlement", "placement", "change", "checkpoint"):
            assert after[table][: len(before[table])] == before[table]
        ordinals = [
            row[0] for table in ("arrival", "settlement", "placement", "change", "checkpoint") for row in after[table]
        ]
        assert sorted(ordinals) == list(range(1, last + 1))
    journal.close()


def test_a_copy_taken_after_any_commit_holds_that_commit_though_the_log_is_folded_all_the_time(
    kept: Path, tmp_path: Path, busy: Busy, everything: Everything
) -> None:
    rng, copy = random.Random(9), tmp_path / "copy.journal"
    journal = Journal(kept, fold_pages=3)
    grown = []
    for number in range(TICKS):
        busy(journal, rng, number)
        journal.commit()
        shutil.copy(kept, copy)
        shutil.copy(f"{kept}-wal", f"{copy}-wal")
        grown.append(Path(f"{kept}-wal").stat().st_size)
        assert everything(copy) == everything(kept)
        assert everything(copy)["mark"][0][0] == journal.durable == journal.last
    assert max(grown) < 40 * FRAME  # it was folded, often
    journal.close()


def test_a_fold_that_is_cut_at_any_page_leaves_the_whole_journal(
    kept: Path, tmp_path: Path, busy: Busy, everything: Everything
) -> None:
    journal, _, held = written(kept, busy, everything)
    log, old, cut = Path(f"{kept}-wal").read_bytes(), kept.read_bytes(), tmp_path / "cut.journal"
    assert keep.fold(kept) == 0
    new = kept.read_bytes()
    assert sum(new[at : at + PAGE] != old[at : at + PAGE] for at in range(0, len(new), PAGE)) > 5
    for page in range(len(new) // PAGE + 1):
        cut.write_bytes(new[: page * PAGE] + old[page * PAGE :])
        Path(f"{cut}-wal").write_bytes(log)
        Path(f"{cut}-shm").unlink(missing_ok=True)
        assert everything(cut) == held[-1], page
    journal.close()


CHILD = """
import random, sys
from ampacity.journal.append import Journal
from ampacity.journal.records import ADMITTED, SETTLED

journal = Journal(sys.argv[1], fold_pages=20)
number, kind = int(sys.argv[2]), journal.kind("pro", "l")
open_ones = sorted(journal.under_way)
print("taken up", flush=True)
while True:
    number += 1
    now, size = 1_795_000_000_000 + number, number % 7 + 1
    for request in open_ones:
        journal.ended(request, now, SETTLED, number, 0, 0, size)
    open_ones = [journal.arrived(now, kind, 1, size, 9, number, now + 9, ADMITTED) for _ in range(size)]
    journal.commit()
    print(number, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_nothing_that_was_told_is_lost_and_nothing_doubled_when_the_writer_is_killed_twenty_times(kept: Path) -> None:
    rng, told = random.Random(10), 0
    for _ in range(20):
        told = killed(kept, told, wait_for=rng.randrange(1, 150))
        ticks: dict[int, int] = {}
        settled: dict[int, int] = {}
        asked: dict[int, int] = {}
        ordinals = []
        with opening.for_reading(kept) as db:
            for event in read.events(db):
                ordinals.append(event.ordinal)
                if isinstance(event, Arrival):
                    ticks[event.draw] = ticks.get(event.draw, 0) + 1
                    asked[event.ordinal] = event.draw
                elif isinstance(event, Settlement):
                    assert event.request not in settled
                    settled[event.request] = event.uncached
        assert ordinals == list(range(1, len(ordinals) + 1))
        last = max(ticks)
        assert last >= told  # what the child told was on disk; it may have written one more before it was killed
        assert all(count == number % 7 + 1 for number, count in ticks.items())
        assert {asked[r] for r in asked if r not in settled} == {last}  # each turn ended all of the one before it
        told = last


def killed(path: Path, number: int, wait_for: int) -> int:
    """Write on until so many turns have been told, then kill; gives the last turn that was told."""
    command = [sys.executable, "-c", CHILD, str(path), str(number)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "taken up\n"
        for _ in range(wait_for):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        rest = child.stdout.read().splitlines(keepends=True)
        told = [int(line) for line in rest if line.endswith("\n")]
    return max([number + wait_for, *told])
