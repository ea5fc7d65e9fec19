"""Catalog models on catalog chips."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ampacity.inference.layout import Layout
from ampacity.inference.replica import replica
from ampacity.inference.step_time import StepTime, step_time
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.model import Model


@pytest.fixture(scope="session")
def on(model: Callable[[str], Model], chip: Callable[[str], Accelerator]) -> Callable[..., StepTime]:
    """`on("llama-3.1-70b", "h100-sxm", 8)` is that model on eight of those, at fp8 unless said otherwise."""

    def make(
        name: str, part: str, layout: Layout | int, precision: str = "fp8", kv: str = "fp8", engine: str = "vllm"
    ) -> StepTime:
        return step_time(replica(model(name), chip(part), precision, kv, layout, engine))

    return make
