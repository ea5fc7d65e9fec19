"""Complaints about emissions: what the site gives to the air, modelled, and what it would energize without turbines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_one_command_weighs_the_turbines_against_the_fleet_they_energize(answer: Callable[..., Any]) -> None:
    found = answer("show", "air", "colossus-1", "--as-of", "2026-05-06")["emissions"]["sites"]["memphis"]
    assert 0 < found["energized"]["without_turbines"]["mean"] < found["energized"]["with_turbines"]["mean"] <= 1
