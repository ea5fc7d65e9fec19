"""11 % is training MFU; 40 % is hard: no single lever takes one to the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_one_command_shows_that_no_single_lever_takes_11_percent_to_40(answer: Callable[..., Any]) -> None:
    ladder = answer("show", "utilization", "colossus-1")["ladders"][0]
    assert (ladder["one_lever_is_enough"], bool(ladder["reach_goal"]["high"])) == (False, True)
