"""Two customers hold more than half of $2 trillion of backlogs: the reported figure beside ours, with its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_the_reported_half_stands_beside_what_its_parts_give(answer: Callable[..., Any]) -> None:
    found = answer("show", "contracts", "colossus-1")["concentration"]["backlogs"]
    ours = [round(100 * found["ours"][rule]["share"], 1) for rule in ("parts_in_totals", "parts_added")]
    assert (found["reported"]["share_above"], *ours) == (0.5, 45.8, 48.3)
