"""M10: a growing user base: until when the limits hold, at which growth."""

from __future__ import annotations

from typing import Any


def test_the_new_limits_hold_until_a_day_at_a_stated_growth(announced: Any) -> None:
    verdict = announced["verdict"]
    days, growth = verdict["holds_until"], verdict["growth_per_month"]
    assert (set(days), growth["low"] <= growth["median"] <= growth["high"]) == ({"median", "low", "high"}, True)
