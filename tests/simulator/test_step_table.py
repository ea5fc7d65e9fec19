"""The table of iteration times against the step time that it was made from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.inference.coefficients import coefficients
from ampacity.inference.engines import token_budget
from ampacity.inference.layout import Layout
from ampacity.inference.published import installed, points
from ampacity.inference.replica import replica, usual_kv
from ampacity.inference.step_time import PS, StepTime, step_time
from ampacity.scenario import lookup
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model
from ampacity.scenario.model import Model
from ampacity.simulator import step_table as room
from ampacity.simulator.step_table import BEND, TICKS, StepTable, iteration_ticks, piece_ends_at, piece_of, step_table

KINDS = {
    "dense": ("qwen3-32b", "h200-sxm", 1, "fp8"),
    "dense on eight": ("llama-3.1-70b", "h100-sxm", 8, "bf16"),
    "two stages": ("llama-3.1-405b", "h100-sxm", Layout(8, 1, 2, 1), "fp8"),
    "experts": ("qwen3-235b-a22b", "h100-sxm", 8, "fp8"),
    "latent attention": ("deepseek-v3", "h200-sxm", 8, "fp8"),
    "windows": ("gpt-oss-120b", "b200-sxm", 2, "fp4"),
    "sparse reading": ("deepseek-v3.2", "h200-sxm", 16, "fp8"),
    "states": ("qwen3.5-397b-a17b", "b200-sxm", 8, "fp8"),
}


def on(name: str, part: str, layout: Any, precision: str) -> StepTime:
    model = Model.model_validate({"name": name, **lookup.model(name)})
    chip = Accelerator.model_validate({"name": part, **lookup.accelerator(part)})
    return step_time(replica(model, chip, precision, "fp8", layout))


@pytest.mark.parametrize("beside", [False, True], ids=["longer", "beside"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_table_gives_the_step_time_to_two_millionths(kind: str, beside: bool) -> None:
    step = on(*KINDS[kind])
    step = replace(step, coefficients=replace(step.coefficients, prompts_beside_reading=beside))
    flat = step_table(step, 8192).flat().tolist()
    rng = np.random.default_rng(7)
    for _ in range(2000):
        b = int(rng.integers(0, 600))
        p = int(rng.choice([0, rng.integers(1, 64), rng.integers(1, 7500)])) or int(b == 0)
        k = b * int(np.exp(rng.uniform(0, 13)))
        a2 = p * int(np.exp(rng.uniform(0, 13)))
        true = float(step.seconds(b, k, p, a2 / 2)) * PS * TICKS
        assert iteration_ticks(flat, b, k, p, a2) == pytest.approx(true, rel=2e-6)


def test_every_published_configuration_has_a_table() -> None:
    """gpt-oss-120b on eight of the fastest chips among them, for which ticks of 1/4,096 ps would be too coarse."""
    if not installed():
        pytest.skip("the measured points come with aiconfigurator-core: pip install 'ampacity[calibrate]'")
    made = {}
    for p in points():
        key = (p.model, p.accelerator, p.engine, p.version, p.precision, str(p.layout))
        if key not in made:
            chip = catalog_accelerator(p.accelerator)
            one = replica(catalog_model(p.model), chip, p.precision, usual_kv(p.precision), p.layout, p.engine)
            known = coefficients(p.engine, p.accelerator, chip.vendor, p.precision, p.version)
            made[key] = step_table(StepTime(one, known), token_budget(p.engine))
    assert len(made) > 160
    attention = [table.prefill_a2 for table in made.values()]
    assert 0.5 / min(attention) < 2e-6
    # and the slowest of them, at 100,000 tokens of context and a sixteenth of its speed, stays within 63 bits
    assert 16 * max(attention) * 8192 * 2 * 100_000 < 1 << 62


def test_a_calibrated_speed_is_in_the_table() -> None:
    step = on(*KINDS["dense"])
    slow, fast = (step_table(replace(step, speed=s), 64).flat().tolist() for s in (1.0, 2.0))
    assert iteration_ticks(slow, 8, 9000, 0, 0) == pytest.approx(2 * iteration_ticks(fast, 8, 9000, 0, 0), rel=1e-9)


def test_tables_are_small() -> None:
    for kind in KINDS.values():
        assert step_table(on(*kind), 8192).flat().nbytes < 10_000


def test_a_step_time_of_another_shape_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_pieces", lambda step: ((0, 1, 0),))
    with pytest.raises(ValueError, match=r"off: its groups have changed"):
        step_table(on(*KINDS["dense"]), 8192)


def test_an_impossible_table_names_all_that_is_wrong() -> None:
    with pytest.raises(
        ValueError, match=r"0 pieces .* the first from 0; an iteration of no tokens takes less than 1 ps"
    ):
        StepTable(pieces=())


@given(
    st.integers(1, 1 << 12),
    st.lists(st.integers(1, 1 << 27), min_size=1, max_size=4, unique=True),
    st.integers(0, 1 << 16),
)
def test_a_piece_ends_at_the_first_context_at_which_the_next_one_holds(b: int, bends: list[int], each: int) -> None:
    pieces = tuple((x, i, 0) for i, x in enumerate([0, *sorted(bends)]))
    flat = StepTable(per_iteration=TICKS, pieces=pieces).flat().tolist()
    k = b * each
    piece = piece_of(flat, b, k)
    expected = max(i for i, (x, _, _) in enumerate(pieces) if k * BEND >= x * b)
    assert (piece - room.PIECES) // room.PIECE_FIELDS == expected
    end = piece_ends_at(flat, piece, b)
    if expected < len(pieces) - 1:
        assert piece_of(flat, b, end) > piece
        assert piece_of(flat, b, end - 1) == piece


def test_measured_pieces_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match=r"measured pieces: .* the first from 0; .* no prompt tokens takes time"):
        StepTable(measured=(((0, 0, 1),), ((0, 0, 1), (5, 0, 1))), prompt=(7,))
