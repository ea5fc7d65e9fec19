"""What the tests of the journal share: ticks of a busy hour, drawn; and all that a journal holds, as one value."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampacity.journal import opening
from ampacity.journal.append import Journal
from ampacity.journal.records import (
    ABORTED,
    ADMITTED,
    EXPIRED,
    NO_CAPACITY,
    QUEUED,
    REFUSED,
    RELEASED,
    SETTLED,
    SUBSCRIBER,
)
from ampacity.journal.schema import EVENTS

NOW = 1_795_000_000_000
TABLES = (*EVENTS, "mark", "name", "configuration", "kind", "state", "held", "minute")


def contents(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of the file, as a reader finds it; but not who opened it last to write."""
    columns = {"mark": "last, forgotten"}
    with opening.for_reading(path) as db:
        return {table: sorted(db.execute(f"SELECT {columns.get(table, '*')} FROM {table}")) for table in TABLES}


def tick(journal: Journal, rng: random.Random, number: int) -> None:
    """Append what one turn of a loop may bring: arrivals, ends, changes, now and then a checkpoint."""
    now = NOW + number * 7_000 + rng.randrange(2_000)
    if number == 0 or rng.random() < 0.03:
        journal.configure(f'{{"five-hour": {rng.randrange(3)}}}', now)
    for _ in range(rng.randrange(6)):
        kind = journal.kind(rng.choice(["pro", "max"]), "l", family=rng.choice(["opus", "sonnet"]), product="code")
        outcome = rng.choice([ADMITTED, ADMITTED, ADMITTED, QUEUED, REFUSED, NO_CAPACITY])
        place = journal.name({ADMITTED: "pool-a", REFUSED: "five-hour"}.get(outcome, ""))
        tokens, who = rng.randrange(200_000), rng.randrange(1, 9)
        journal.arrived(
            now,
            kind,
            who,
            tokens,
            32_000,
            rng.randrange(1000),
            now + 60_000,
            outcome,
            place,
            who % 3,
            -rng.randrange(99),
        )
    for request in sorted(journal.under_way):
        draw = rng.random()
        if draw < 0.1:
            journal.placed(request, now, ADMITTED, journal.name("pool-b"))
        if draw < 0.3:
            journal.ended(request, now, SETTLED, rng.randrange(900), 9, rng.randrange(90_000), rng.randrange(500), 250)
        elif draw < 0.4:
            journal.ended(request, now, rng.choice([RELEASED, EXPIRED, ABORTED]))
        elif draw < 0.45:
            journal.placed(request, now, NO_CAPACITY)
            journal.ended(request, now, RELEASED)
    if rng.random() < 0.2:
        journal.changed(now, "health", "pool-a", '{"healthy": false}')
    if rng.random() < 0.1:
        held = [(request, [request, 1, 2]) for request in sorted(journal.under_way)]
        journal.checkpoint(now, "rows-1", [(SUBSCRIBER, rng.randrange(1, 9), [number, now, -5])], held)


@pytest.fixture
def busy() -> Callable[..., None]:
    """`busy(journal, rng, number)` appends tick `number`."""
    return tick


@pytest.fixture
def everything() -> Callable[[Path], dict[str, list[tuple[Any, ...]]]]:
    """`everything(path)`: every row of every table."""
    return contents


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where a test keeps its journal."""
    return tmp_path / "kept.journal"


@pytest.fixture
def one_request() -> Callable[..., int]:
    """`one_request(journal)` appends an admitted request and gives its number; fields may be named."""

    def append(journal: Journal, **fields: Any) -> int:
        kind = journal.kind("pro", "pro-limit", "", "opus", "code")
        own = {"now_ms": NOW, "kind": kind, "subscriber": 7, "input_tokens": 1000, "output_most": 500, "draw": 1}
        own |= {"expires_ms": NOW + 60_000, "outcome": ADMITTED, "place": journal.name("pool-a")}
        return journal.arrived(**{**own, **fields})

    return append


@pytest.fixture
def raw() -> Callable[[Path], sqlite3.Connection]:
    """`raw(path)`: the file as any program may open it."""
    return lambda path: sqlite3.connect(path, isolation_level=None)
