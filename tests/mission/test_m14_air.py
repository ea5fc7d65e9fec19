"""Complaints about emissions: what the site gives to the air, modelled, and what it would energize without turbines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

MEMPHIS = str(Path(__file__).parents[1] / "supply" / "scenarios" / "memphis.yaml")


def test_one_command_weighs_the_turbines_against_the_fleet_they_energize(answer: Callable[..., Any]) -> None:
    found = answer("show", "air", MEMPHIS)["emissions"]["sites"]["memphis"]
    assert 0 < found["energized"]["without_turbines"]["mean"] < found["energized"]["with_turbines"]["mean"] <= 1
