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


def test_whom_a_scheme_stops_in_a_week_is_told_by_plan_and_window_with_an_interval(schemes_compared: Any) -> None:
    plans = schemes_compared["schemes"]["2026-03-26"]["tiers"]
    assert [
        (p, sorted(w for w, hit in t["hit_by_window"].items() if hit["low"] <= hit["high"])) for p, t in plans.items()
    ] == [
        ("pro", ["five-hour", "weekly"]),
        ("max-5x", ["five-hour", "weekly"]),
        ("max-20x", ["five-hour", "weekly"]),
    ]
