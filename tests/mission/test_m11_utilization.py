"""M11: 11 % is training MFU, 40 % is hard: no single lever takes one to the other; and what serving does, measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

STAGES = ("contracted", "delivered", "energized", "healthy", "allocated", "running", "busy", "useful")


def test_one_command_shows_that_no_single_lever_takes_11_percent_to_40(answer: Callable[..., Any]) -> None:
    ladder = answer("show", "utilization", "colossus-1")["ladders"][0]
    assert (ladder["one_lever_is_enough"], bool(ladder["reach_goal"]["high"])) == (False, True)


def test_requests_one_by_one_book_every_accelerator_millisecond_once_and_tell_what_is_useful(
    answer: Callable[..., Any],
) -> None:
    """Twelve hours of all contracts: what is contracted, what is taken off at each stage, and what of it was useful."""
    pools = answer("simulate", "colossus-1", "--as-of", "2026-05-06", "--cells", "1", "--hours", "12")["waterfall"]
    contracted = {
        "h100-sxm": 150_000,
        "h200-sxm": 50_000,
        "gb200-nvl72": 20_000,
        "tpu-v7": 300_000,
        "trainium2": 800_000,
    }
    for pool in pools:
        stages = [pool[f"{stage}_accelerator_ms"] for stage in STAGES]
        assert stages[0] == contracted[pool["pool"].split("/")[-1]] * 12 * 3_600_000
        assert stages == sorted(stages, reverse=True)
        assert pool["idle_accelerator_ms"] == pool["running_accelerator_ms"] - pool["busy_accelerator_ms"]
        # the two faces of what is useful of the busy time: an iteration needs the longer of what either says
        assert 0 < max(pool["mfu"], pool["mbu"]) <= pool["useful_share"] * (1 + 1e-6) < 1
