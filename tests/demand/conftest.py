"""Behaviours of the catalog, and tiers that have them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ampacity.scenario import lookup
from ampacity.scenario.tier import Behaviour, Tier


@pytest.fixture(scope="session")
def behaviour() -> Callable[..., Behaviour]:
    """`behaviour("coding-agent", sigma_within=0)` is that of the catalog, with what is said otherwise."""

    def make(name: str = "coding-agent", **otherwise: object) -> Behaviour:
        return Behaviour.model_validate({**lookup.behaviour(name), **otherwise})

    return make


@pytest.fixture(scope="session")
def tier(behaviour: Callable[..., Behaviour]) -> Callable[..., Tier]:
    """`tier(people=50, shape="flat")` is a tier of coding agents."""

    def make(people: float = 50, **otherwise: object) -> Tier:
        what = behaviour(**otherwise)
        return Tier.model_validate({"name": "t", "people": people, "model": "m", "behaviour": what})

    return make
