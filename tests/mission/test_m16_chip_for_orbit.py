"""M16: a chip for orbit, and its hurdles: upsets with an interval; debris, re-entry and soot beside the carbon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_one_command_shows_a_chip_in_orbit_with_its_upsets_and_what_lies_beside_the_carbon(
    answer: Callable[..., Any],
) -> None:
    site = answer("show", "orbit", "orbital-gigawatt")["sites"]["dawn-dusk"]
    beside = {**site["air"], **site["upsets"]}
    assert all(
        0 < beside[line]["low"] <= beside[line]["value"] <= beside[line]["high"]
        for line in ("memory_per_chip_year", "dead_satellites", "reentry_t_per_year", "soot_kg")
    )
