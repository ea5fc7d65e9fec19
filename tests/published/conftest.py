"""Catalog models on catalog chips."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ampacity.inference.replica import replica
from ampacity.inference.step_time import StepTime, step_time
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.catalog_nouns import catalog_model


@pytest.fixture(scope="session")
def on(chip: Callable[[str], Accelerator]) -> Callable[..., StepTime]:
    """`on("llama-3.1-70b", "h100-sxm", 8, "fp8", "fp8", "vllm")`."""

    def make(model: str, name: str, count: int, precision: str, kv: str, engine: str, speed: float = 1.0) -> StepTime:
        shape = catalog_model(model)
        return step_time(replica(shape, chip(name), precision, kv, count, engine), speed=speed)

    return make
