"""M6: limits of several plans, and whom they hit, by window."""

from __future__ import annotations

from typing import Any


def test_the_share_of_people_hit_is_told_by_plan_and_window(announced: Any) -> None:
    hit = announced["verdict"]["people_hit_per_week_before"]
    assert sorted((tier, *sorted(windows)) for tier, windows in hit.items()) == [
        ("max-20x", "five-hour", "weekly"),
        ("max-5x", "five-hour", "weekly"),
        ("pro", "five-hour", "weekly"),
    ]
