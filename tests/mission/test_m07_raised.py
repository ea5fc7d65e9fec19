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


def test_the_same_subscribers_gain_and_the_weekly_window_binds_more_often(schemes_compared: Any) -> None:
    before, after = (
        schemes_compared["schemes"][s]["binding_window_share"]["weekly"] for s in ("2026-03-26", "2026-05-06")
    )
    gain = schemes_compared["change"]["no_longer_hit"]
    assert (gain["low"] > 0, after["value"] > before["value"], after["high"] > before["high"]) == (True, True, True)
