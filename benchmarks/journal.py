"""What one recorded request costs: its arrival and its settlement, many or few in one commit; and reading them back.

Beside it, the same two rows written by hand into two bare tables: the floor that SQLite and the disk set from Python.
"""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from ampacity.journal import opening, read
from ampacity.journal.append import Journal
from ampacity.journal.keep import fold
from ampacity.journal.opening import FOLD_PAGES, Durability
from ampacity.journal.records import ADMITTED, SETTLED
from measure import arguments, publish

NOW = 1_795_000_000_000
TICKS = (1, 10, 100)
SUBSCRIBERS = 50_000


def appended(path: Path, requests: int, a_tick: int, durability: Durability, to_disk: bool = True) -> float:
    """CPU seconds of recording requests, `a_tick` to a commit. Leaves the file."""
    with Journal(path, durability) as journal:
        journal.configure("{}", NOW)
        kind, pool = journal.kind("max", "max-limit", "office", "opus", "code"), journal.name("pool-a")
        began = time.process_time()
        for begin in range(0, requests, a_tick):
            now = NOW + begin
            until = now + 900_000
            asked = [
                journal.arrived(now, kind, i % SUBSCRIBERS, 100_000, 32_000, i % 1000, until, ADMITTED, pool, 9, -i)
                for i in range(begin, begin + a_tick)
            ]
            for request in asked:
                journal.ended(request, now + 9000, SETTLED, 700, 3000, 96_000, 220, 400)
            if to_disk:
                journal.commit()
        return time.process_time() - began


def paced(path: Path, seconds: float, a_second: int, fold_s: float = 0.0) -> list[float]:
    """Ten requests in each of so many commits a second; wall seconds of each commit.

    fold_s: a thread moves the log into the file so often, and the writer hardly ever does; 0: the writer does.
    """
    over, walls = threading.Event(), []

    def folding() -> None:
        while not over.wait(fold_s):
            fold(path)

    with Journal(path, fold_pages=FOLD_PAGES * (10 if fold_s else 1)) as journal:
        kind, thread = journal.kind("max", "max-limit"), threading.Thread(target=folding if fold_s else over.wait)
        thread.start()
        began = time.perf_counter()
        for number in range(round(seconds * a_second)):
            now = NOW + number
            for request in [journal.arrived(now, kind, i, 1, 1, 1, now, ADMITTED, 0, 0, -i) for i in range(10)]:
                journal.ended(request, now, SETTLED, 700, 3000, 96_000, 220, 400)
            before = time.perf_counter()
            journal.commit()
            walls.append(time.perf_counter() - before)
            time.sleep(max(0.0, began + number / a_second - time.perf_counter()))
        over.set()
        thread.join()
    return walls


def by_hand(path: Path, requests: int, a_tick: int) -> float:
    """CPU seconds of the same rows into two tables of whole numbers, nothing checked, named or marked."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"CREATE TABLE a (o INTEGER PRIMARY KEY, {', '.join(f'c{i}' for i in range(11))})")
        db.execute(f"CREATE TABLE s (o INTEGER PRIMARY KEY, {', '.join(f'c{i}' for i in range(8))})")
        first, second = (f"INSERT INTO {t} VALUES ({', '.join('?' * n)})" for t, n in (("a", 12), ("s", 9)))
        began = time.process_time()
        for begin in range(0, requests, a_tick):
            now = NOW + begin
            rows = [
                (i, now, 1, i % SUBSCRIBERS, 9, -i, 100_000, 32_000, i % 1000, now + 900_000, 0, 1)
                for i in range(begin, begin + a_tick)
            ]
            ends = [(row[0], row[0], now + 9000, 0, 700, 3000, 96_000, 220, 400) for row in rows]
            db.execute("BEGIN IMMEDIATE")
            db.executemany(first, rows)
            db.executemany(second, ends)
            db.execute("COMMIT")
        return time.process_time() - began


def least(measured: Callable[[Path], Any], repeats: int) -> Any:
    """The least of some runs, each in an empty folder."""
    found = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            found.append(measured(Path(folder, "b.journal")))
    return min(found)


def reading(path: Path, requests: int) -> dict[str, float]:
    """CPU microseconds a request of what readers ask of a journal of so many; and how long it takes to be taken up."""
    appended(path, requests, 100, "normal")
    found: dict[str, float] = {}
    with opening.for_reading(path) as db:
        questions: dict[str, Callable[[], object]] = {
            "events, for a replay": lambda: sum(1 for _ in read.events(db)),
            "requests with their ends": lambda: sum(1 for _ in read.requests(db)),
            "use by subscriber and tier": lambda: read.use(db, 0, 1 << 62),
        }
        for name, ask in questions.items():
            began = time.process_time()
            ask()
            found[f"read, {name}, CPU us a request"] = (time.process_time() - began) / requests * 1e6
    for checkpointed in (False, True):
        began = time.process_time()
        with Journal(path) as journal:
            took = time.process_time() - began
            journal.checkpoint(NOW, "rows", [], [])
        words = "with" if checkpointed else "without"
        found[f"taken up {words} a checkpoint, CPU ms"] = took * 1e3
    found["bytes a request on disk"] = path.stat().st_size / requests
    return found


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "")
    requests, repeats, seconds = (4_000, 1, 0.3) if options.smoke else (100_000, 5, 8.0)
    figures: dict[str, Any] = {}
    buffered = least(lambda p: appended(p, requests, 100, "normal", to_disk=False), repeats)
    figures["buffered only, CPU us a request"] = buffered / requests * 1e6
    for a_tick in TICKS:
        few = requests if a_tick > 1 else requests // 4
        ours = least(lambda p, n=few, k=a_tick: appended(p, n, k, "normal"), repeats)  # type: ignore[misc]
        bare = least(lambda p, n=few, k=a_tick: by_hand(p, n, k), repeats)  # type: ignore[misc]
        figures[f"{a_tick} a tick: CPU us a request"] = ours / few * 1e6
        figures[f"{a_tick} a tick: the rows by hand, CPU us a request"] = bare / few * 1e6
        figures[f"{a_tick} a tick: over by hand"] = ours / bare
    full = least(lambda p: appended(p, requests // 20, 10, "full"), min(repeats, 2))
    figures["10 a tick, durability full: CPU us a request"] = full / (requests // 20) * 1e6
    for fold_s, who in ((0.0, "the writer"), (1.0, "a thread")):
        with tempfile.TemporaryDirectory() as folder:
            walls = sorted(paced(Path(folder, "p.journal"), seconds, 400, fold_s))
        for share, words in ((0.5, "median"), (0.99, "99 of 100"), (1.0, "longest")):
            place = min(int(len(walls) * share), len(walls) - 1)
            figures[f"400 commits/s, {who} folds: wall us, {words}"] = walls[place] * 1e6
    with tempfile.TemporaryDirectory() as folder:
        figures |= reading(Path(folder, "r.journal"), requests)
    figures["sqlite"] = sqlite3.sqlite_version
    publish("journal: one recorded request", figures, options.json)


if __name__ == "__main__":
    main()
