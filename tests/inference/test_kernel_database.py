"""NVIDIA's kernel times as a table: the table says what the package says, and is linear between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ampacity.inference.kernel_database import (
    BATCHES,
    BEFORE,
    CHUNKS,
    CONTEXTS,
    KernelTimes,
    NotInDatabase,
    _engine,
    kernel_times,
)
from ampacity.inference.layout import Layout
from ampacity.inference.published import installed
from ampacity.inference.step_time import StepTime

BY_PACKAGE = pytest.mark.skipif(not installed(), reason="kernel times come with aiconfigurator-core")


@pytest.fixture(scope="module")
def plain(on: Callable[..., StepTime]) -> KernelTimes:
    """A made table of which every value is known: 5 ms + 10 us a sequence + 1 ns a token of context and sequence."""
    b, c = np.array(BATCHES)[:, None], np.array(CONTEXTS)[None, :]
    p, before = np.array(CHUNKS)[:, None], np.array(BEFORE)[None, :]
    return KernelTimes(
        on("llama-3.1-8b", "h100-sxm", 1).replica,
        "made",
        decode_s=5e-3 + 1e-5 * b + 1e-9 * b * c,
        prefill_s=5e-3 + 1e-5 * p + 2e-10 * p * before,
    )


def test_between_the_grid_a_bilinear_time_is_met_exactly(plain: KernelTimes) -> None:
    for b, k in ((1, 700), (3, 3 * 900), (100, 100 * 5000), (512, 512 * 131072)):
        assert float(plain.seconds(b, k)) == pytest.approx(5e-3 + 1e-5 * b + 1e-9 * k)
    p, before = 3000, 9000
    assert float(plain.seconds(0, 0, p, p * (before + p / 2))) == pytest.approx(5e-3 + 1e-5 * p + 2e-10 * p * before)


def test_decoding_sequences_beside_a_prompt_add_their_token_and_their_context(plain: KernelTimes) -> None:
    b, k, p = 32, 32 * 2048, 4096
    shared = 5e-3 + 1e-5 * (p + b)
    context = 1e-9 * (k - b * CONTEXTS[0])
    assert float(plain.seconds(b, k, p, p * p / 2)) == pytest.approx(shared + context)


def test_nothing_to_do_takes_no_time_and_shapes_are_those_of_the_arguments(plain: KernelTimes) -> None:
    assert float(plain.seconds(0, 0)) == 0
    assert plain.seconds(np.ones((3, 1)), np.full(4, 1000.0)).shape == (3, 4)


@BY_PACKAGE
def test_the_table_says_what_the_package_says(on: Callable[..., StepTime]) -> None:
    r = on("llama-3.1-8b", "h100-sxm", 1, precision="bf16", kv="bf16").replica
    table, engine = kernel_times(r), _engine(r)
    for b, c in ((1, 1024), (8, 4096), (64, 1024), (256, 2048)):
        assert float(table.seconds(b, b * c)) == pytest.approx(engine.decode_step_latency(b, c, 2) / 1e3)
    for p in (512, 4096):
        assert float(table.seconds(0, 0, p, p * p / 2)) == pytest.approx(
            engine.predict_prefill_latency(1, p, 0) / 1e3, rel=1e-9
        )
    # off the grid, and mixed by the package's own rule
    assert float(table.seconds(48, 48 * 1500)) == pytest.approx(engine.decode_step_latency(48, 1500, 2) / 1e3, rel=0.1)
    for p, b, c in ((2048, 32, 2048), (4096, 64, 4096), (512, 100, 1000)):
        mixed = engine.mixed_step_latency(p, b, p, 2) / 1e3
        attended = engine.mixed_step_breakdown(0, b, c, 2)[3] - engine.mixed_step_breakdown(0, b, p, 2)[3]
        assert float(table.seconds(b, b * c, p, p * p / 2)) == pytest.approx(mixed + attended / 1e3, rel=0.08)


@BY_PACKAGE
def test_the_table_is_piecewise_linear_in_the_context(on: Callable[..., StepTime]) -> None:
    table = kernel_times(on("llama-3.1-8b", "h100-sxm", 1).replica)
    b = 48
    k = np.linspace(b * 4096, b * 8192, 9)
    steps = np.diff(table.seconds(b, k))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


@BY_PACKAGE
@pytest.mark.parametrize(
    ("case", "words"),
    [
        (("frontier-moe-hypothetical", "h100-sxm", 16), "brings no shape of frontier-moe-hypothetical"),
        (("llama-3.1-8b", "mi300x", 1), "has measured no mi300x: known are a100-sxm"),
        (("llama-3.1-8b", "h100-sxm", Layout(1, pipeline=2)), "one without PP"),
    ],
)
def test_what_the_package_does_not_know_is_said_with_what_it_does(
    on: Callable[..., StepTime], case: tuple[str, str, int | Layout], words: str
) -> None:
    with pytest.raises(NotInDatabase, match=words):
        kernel_times(on(*case).replica)
