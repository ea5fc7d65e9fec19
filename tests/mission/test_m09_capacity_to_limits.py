"""M9: from capacity to the people whose limits it sustains in a stated share of hours, with an interval."""

from __future__ import annotations

from typing import Any


def test_the_doubling_holds_below_a_headcount_with_an_interval(announced: Any) -> None:
    carried = announced["verdict"]["people_carried"]
    assert 0 <= carried["low"] < carried["median"] < carried["high"]
