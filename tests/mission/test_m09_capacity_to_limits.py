"""M9: from capacity to the people whose limits it sustains in a stated share of hours, with an interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_the_doubling_holds_below_a_headcount_with_an_interval(announced: Any) -> None:
    carried = announced["verdict"]["people_carried"]
    assert 0 <= carried["low"] < carried["median"] < carried["high"]


def test_the_hours_that_a_plan_promises_are_carried_when_every_request_is_sent(answer: Callable[..., Any]) -> None:
    """200 people on eight accelerators, who would ask for more than these carry were there no windows."""
    said = answer("run", "laptop", "--set", "worlds=40", "--set", "tiers.developers.people=200")
    window = said["limits"]["developers"]["five-hour"]
    assert 0 < window["low"] < window["value"] < window["high"]
    assert said["unlimited_share"]["llama-3.1-70b"]["value"] < said["service_level"]["hours"]
    assert said["requests"]["llama-3.1-70b"]["hours_carried_share"] >= said["service_level"]["hours"] == 0.995
