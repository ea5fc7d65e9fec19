"""M7: usage limits raised: who gains, and which window binds now."""

from __future__ import annotations

from typing import Any


def test_doubling_moves_the_heaviest_plan_from_the_five_hour_window_to_the_weekly_one(announced: Any) -> None:
    before, after = (announced["verdict"][f"binds_{when}"]["max-20x"] for when in ("before", "after"))
    assert (announced["verdict"]["factor"], after["weekly"] > before.get("weekly", 0.0), after["weekly"] > 0.5) == (
        2.0,
        True,
        True,
    )
