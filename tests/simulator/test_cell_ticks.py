"""What changes while a cell runs, against a naive cell with ==; and what becomes of whoever is in the way."""

from __future__ import annotations

from collections import Counter

import pytest
from cells import by_cell, by_naive_cell, drawn_changes

from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import CellResult

COUNTED = {
    "asked": at.ASKED,
    "sent": at.SENT,
    "door": at.SHUT_OUT,
    "capacity": at.NO_CAPACITY,
    "full": at.QUEUE_FULL,
    "overdue": at.OVERDUE,
    "back": at.HANDED_BACK,
    "resume": at.RESUMED,
    "recompute": at.RECOMPUTED,
    "broken": at.BROKEN_OFF,
    "dropped": at.DROPPED,
    "wasted": at.TOKENS_WASTED,
}
REACTIONS = {
    "retry": at.RETRIES_MADE,
    "wait": at.WAITED,
    "later": at.CAME_LATER,
    "switch": at.SWITCHED_AWAY,
    "buy": at.BOUGHT,
    "leave": at.LEFT,
}


def counted(found: CellResult) -> Counter[tuple[str, int]]:
    """The counts of a cell by name and tier, without zeros."""
    rows = {(name, tier): int(found.counts[tier, what]) for name, what in COUNTED.items() for tier in range(3)}
    return Counter({key: n for key, n in rows.items() if n})


@pytest.mark.parametrize("queue", ["fifo", "fair"])
def test_a_cell_that_changes_gives_what_a_naive_one_gives(queue: str) -> None:
    seen: Counter[str] = Counter()
    for seed in range(300):
        w = drawn_changes(seed, queue)
        naive, expected = by_naive_cell(w)
        found, met = by_cell(w)
        assert met == expected, f"seed {seed}: {w.routing}, {w.ticks}"
        assert counted(found) == naive.counts, seed
        assert {name: found.count(what) for name, what in REACTIONS.items()} == naive.reactions
        assert found.count(at.REFUSALS) == len(naive.refused)
        seen.update(Counter({name: n for (name, _), n in naive.counts.items()}))
        seen.update(naive.reactions)
    assert min(seen[name] for name in (*COUNTED, *REACTIONS)) > 20, seen
