"""M15: multiple gigawatts of orbital compute: the same chain, zero firm capacity until a contract says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_one_command_says_what_a_gigawatt_in_orbit_would_add_and_that_nothing_of_it_is_firm(
    answer: Callable[..., Any],
) -> None:
    site = answer("plan", "orbital-gigawatt")["orbit"]["sites"]["dawn-dusk"]
    assert site["firm_accelerators"] == 0 < site["light"]["shadow_share_of_year"] < 0.05
