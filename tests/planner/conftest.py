"""The laptop scenario with changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario


@pytest.fixture(scope="session")
def ours() -> Callable[..., Scenario]:
    """`ours({"tiers.developers.people": 20})` is the laptop scenario with that changed."""
    laptop = load("laptop")

    def change(changes: dict[str, object] | None = None) -> Scenario:
        return laptop.replace(changes or {})

    return change
