"""Published serving points, first tokens too, through the engine by the protocol of their measurement.

The catalog's coefficients were fitted to these points, so this is the error of the whole way in sample: coefficients,
tables in whole numbers, and the engine's own scheduling in the place of the fit's small stepper.
"""

from __future__ import annotations

import numpy as np
import pytest

from ampacity.inference.coefficients import coefficients
from ampacity.inference.fit import protocol
from ampacity.inference.published import Point, installed, points
from ampacity.inference.replica import replica, usual_kv
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model
from ampacity.simulator.benchmark_load import serve_load

EVERY = 20


@pytest.fixture(scope="module")
def off() -> np.ndarray:
    """Errors of TTFT and TPOT of every 20th point of a single data group; shape (2, points)."""
    if not installed():
        pytest.skip("the measured points come with aiconfigurator-core: pip install 'ampacity[calibrate]'")
    chosen = [p for p in points() if p.layout.data == 1][::EVERY]
    assert len(chosen) > 100
    return np.array([errors(p) for p in chosen]).T


def errors(p: Point) -> tuple[float, float]:
    chip = catalog_accelerator(p.accelerator)
    r = replica(catalog_model(p.model), chip, p.precision, usual_kv(p.precision), p.layout, p.engine)
    c = coefficients(p.engine, p.accelerator, chip.vendor, p.precision, p.version)
    asked = protocol(p.concurrency, p.input_tokens, p.output_tokens, p.engine)
    found = serve_load(asked, r, c, skip=int(p.steady))
    return found.ttft_s / p.ttft_s - 1, found.tpot_s / p.tpot_s - 1


@pytest.mark.published("aiconfigurator-core 0.12.0 silicon sample: TPOT under load, vLLM, SGLang and TensorRT-LLM")
def test_half_of_the_times_per_token_are_within_7_percent(off: np.ndarray) -> None:
    assert np.median(np.abs(off[1])) < 0.07
    assert abs(np.median(off[1])) < 0.03


@pytest.mark.published("aiconfigurator-core 0.12.0 silicon sample: TTFT under load, vLLM, SGLang and TensorRT-LLM")
def test_half_of_the_first_tokens_are_within_a_quarter(off: np.ndarray) -> None:
    """A burst's first tokens hang on queues and on what waits beside the engine: far less sure than a token's time."""
    assert np.median(np.abs(off[0])) < 0.25
    assert abs(np.median(off[0])) < 0.15
