"""The laptop scenario with changes, and its capacity."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario
from ampacity.supply.capacity import PoolCapacity, capacities
from ampacity.supply.delivery import hours_of


@pytest.fixture(scope="session")
def ours() -> Callable[..., Scenario]:
    """`ours({"contracts.server.end": "2026-12-01"})` is the laptop scenario with that changed: 28 days of winter."""
    laptop = load("laptop")

    def change(changes: dict[str, object] | None = None) -> Scenario:
        return laptop.replace(changes or {})

    return change


@pytest.fixture(scope="session")
def pool_of(ours: Callable[..., Scenario]) -> Callable[..., PoolCapacity]:
    """The capacity of the first pool of the laptop scenario with changes."""

    def find(changes: dict[str, object] | None = None) -> PoolCapacity:
        s = ours(changes)
        return capacities(s, hours_of(s))[0]

    return find
