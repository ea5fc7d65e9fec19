"""How processes on one port share the slots of pools: a small file in which each says what it holds and needs.

What all hold together is never more than a pool has. Who finds the file busy tries again with the next tick and goes by
what it had; what a dead process held is free once another has looked. Nothing in it outlives the processes.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from ampacity.gateway.recorder import Recorder
from ampacity.policy.desk import Desk
from ampacity.policy.leasing import first_share, next_lease
from ampacity.policy.terms import PoolTerms

OPENING_MS = 5000
TABLE = """CREATE TABLE IF NOT EXISTS lease (
    pool TEXT, worker INTEGER, pid INTEGER NOT NULL, held INTEGER NOT NULL, needed INTEGER NOT NULL,
    PRIMARY KEY (pool, worker)) WITHOUT ROWID"""


class Leases:
    """What this process holds of each pool. Raises sqlite3.Error if the file cannot be used."""

    def __init__(self, path: Path, worker: int, workers: int) -> None:
        self._worker, self._workers, self._pid = worker, workers, os.getpid()
        self._db = sqlite3.connect(path, timeout=OPENING_MS / 1000, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(TABLE)

    def first(self, recorder: Recorder, now_ms: int) -> None:
        """Begin with an even part of each pool, as far as it is free."""
        self._renew(recorder, now_ms)
        self._db.execute("PRAGMA busy_timeout = 0")

    def renew(self, recorder: Recorder, now_ms: int) -> None:
        """Say what this process needs now, and go by what it gets."""
        with suppress(sqlite3.Error):
            self._renew(recorder, now_ms)

    def alone(self) -> bool:
        """Whether no other process lives that shares these pools."""
        pids = self._db.execute("SELECT DISTINCT pid FROM lease WHERE worker != ?", (self._worker,)).fetchall()
        return not any(_lives(pid) for (pid,) in pids)

    def close(self) -> None:
        """Give all of it back."""
        with closing(self._db), suppress(sqlite3.Error):
            self._db.execute(f"PRAGMA busy_timeout = {OPENING_MS}")
            self._db.execute("DELETE FROM lease WHERE worker = ?", (self._worker,))

    def _renew(self, recorder: Recorder, now_ms: int) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            slots = self._decide(recorder.desk)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        for pool, own in slots.items():
            recorder.lease(pool, own, now_ms)

    def _decide(self, desk: Desk) -> dict[str, int]:
        """What may run here from now on of each pool; the table says what is held for it."""
        rows = self._db.execute("SELECT pool, worker, pid, held, needed FROM lease ORDER BY worker").fetchall()
        dead = {pid for pid in {row[2] for row in rows} if not _lives(pid)}
        if dead:
            self._db.executemany("DELETE FROM lease WHERE pid = ?", [(pid,) for pid in dead])
        slots, said = {}, []
        for service in desk.services.values():
            for pool, in_flight, needed in service.needs():
                own = [row for row in rows if row[0] == pool.name and row[2] not in dead]
                slots[pool.name], row = self._of(pool, in_flight, needed, own)
                if row not in own:
                    said.append(row)
        self._db.executemany("INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?)", said)
        return slots

    def _of(
        self, pool: PoolTerms, in_flight: int, needed: int, rows: list[tuple[str, int, int, int, int]]
    ) -> tuple[int, tuple[str, int, int, int, int]]:
        """What of a pool may run here, and the row that says what is held."""
        me = next((i for i, row in enumerate(rows) if row[1] == self._worker and row[2] == self._pid), -1)
        if me < 0:
            free = pool.slots - sum(held for _, worker, _, held, _ in rows if worker != self._worker)
            own = held = max(min(first_share(pool.slots, self._workers, self._worker), free), 0)
        else:
            needs = [row[4] for row in rows]
            needs[me] = needed
            own, held = next_lease([row[3] for row in rows], needs, me, in_flight, pool.slots)
        return own, (pool.name, self._worker, self._pid, held, needed)


def _lives(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
