"""Replicas of catalog models on catalog chips, at any share of the roofline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ampacity.inference.roofline import Replica, replica
from ampacity.scenario import lookup
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.model import Model


@pytest.fixture(scope="session")
def chip() -> Callable[[str], Accelerator]:
    """A chip of the catalog."""
    return lambda name: Accelerator.model_validate({"name": name, **lookup.accelerator(name)})


@pytest.fixture(scope="session")
def on(chip: Callable[[str], Accelerator]) -> Callable[..., Replica]:
    """`on("llama-3.1-70b", "h100-sxm", 8, "fp8", "fp8", efficiency=0.5)`."""

    def make(model: str, name: str, count: int, precision: str, kv: str, efficiency: float) -> Replica:
        shape = Model.model_validate({"name": model, **lookup.model(model)})
        return replace(replica(shape, chip(name), precision, kv, count), efficiency=efficiency)

    return make
