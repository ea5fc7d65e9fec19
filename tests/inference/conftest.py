"""Replicas of catalog models on catalog chips."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ampacity.inference.roofline import Replica, replica
from ampacity.scenario import lookup
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.model import Model


@pytest.fixture(scope="session")
def on() -> Callable[..., Replica]:
    """`on("llama-3.1-70b", "h100-sxm", 8)` is that model on eight of those, at fp8 unless said otherwise."""

    def make(model: str, chip: str, count: int, precision: str = "fp8", kv: str = "fp8") -> Replica:
        shape = Model.model_validate({"name": model, **lookup.model(model)})
        part = Accelerator.model_validate({"name": chip, **lookup.accelerator(chip)})
        return replica(shape, part, precision, kv, count)

    return make
