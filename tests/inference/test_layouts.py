"""Layouts that are tried, what each chip holds in them, and many replicas at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from ampacity.inference.candidates import candidates, layouts, precisions
from ampacity.inference.layout import Layout
from ampacity.inference.stack import stacked
from ampacity.inference.steady import Load
from ampacity.inference.step_time import StepTime
from ampacity.inference.token_cost import not_known
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.model import Model
from ampacity.scenario.value import Value

On = Callable[..., StepTime]
Models, Chips = Callable[[str], Model], Callable[[str], Accelerator]
NAMES = ("llama-3.1-70b", "deepseek-r1", "qwen3-30b-a3b", "gpt-oss-120b")


@pytest.mark.parametrize("name", NAMES)
def test_every_layout_within_a_node_is_tried_once(model: Models, name: str) -> None:
    m = model(name)
    found = [(x.tensor, x.data, x.pipeline) for x in layouts(m, (1, 2, 4, 8))]
    powers = (1, 2, 4, 8)
    wanted = {
        (t, d, p)
        for t, d, p in product(powers, powers, powers)
        if t * d * p <= 8 and m.heads % t == 0 and (d == 1 or m.experts)
    }
    assert len(found) == len(set(found))
    assert set(found) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_a_layout_neither_loses_nor_invents_weights(on: On, model: Models, name: str) -> None:
    """Chip by chip: a copy of what is not an expert in each data parallel group, one copy of every expert."""
    m = model(name)
    for layout in layouts(m, (1, 4, 8, 16)):
        r = on(name, "h200-sxm", layout).replica
        held = 0.0
        for _ in range(layout.accelerators):
            held += (m.dense_parameters + 2 * 2 * m.head_parameters) / (layout.tensor * layout.pipeline)
            held += m.expert_parameters / layout.accelerators
        assert r.weight_bytes == pytest.approx(held, rel=1e-9)


def test_many_replicas_at_once_take_what_each_takes_alone(on: On, model: Models) -> None:
    for name in NAMES:
        kinds = product(layouts(model(name), (1, 8, 16)), (("fp8", "fp8"), ("bf16", "bf16"), ("fp4", "fp8")))
        one_model = model(name)
        steps = [on(name, "b200-sxm", x, *kind) for x, kind in kinds]
        steps = [replace(step, replica=replace(step.replica, model=one_model)) for step in steps]
        b = np.geomspace(1, 500, 6)
        together = stacked(steps)
        for own, found in zip(steps, together.seconds(b, 3000 * b, 100 * b, 2e5 * b), strict=True):
            assert found == pytest.approx(own.seconds(b, 3000 * b, 100 * b, 2e5 * b), rel=1e-12)
        for i in range(2):
            assert together.roofline(b, 3000 * b)[i][-1] == pytest.approx(steps[-1].roofline(b, 3000 * b)[i], rel=1e-12)


def test_prompts_beside_reading_are_stacked_as_such_or_not_at_all(on: On) -> None:
    steps = [on("llama-3.1-70b", "b200-sxm", n) for n in (1, 2)]
    beside = [replace(s, coefficients=replace(s.coefficients, prompts_beside_reading=True)) for s in steps]
    b = np.geomspace(1, 500, 6)
    for own, found in zip(beside, stacked(beside).seconds(b, 3000 * b, 100 * b, 2e5 * b), strict=True):
        assert found == pytest.approx(own.seconds(b, 3000 * b, 100 * b, 2e5 * b), rel=1e-12)
    with pytest.raises(ValueError, match="in all of them or in none"):
        stacked([steps[0], beside[1]])


def test_models_are_not_stacked_together(on: On) -> None:
    with pytest.raises(ValueError, match="one model"):
        stacked([on("llama-3.1-8b", "h100-sxm", 1), on("llama-3.1-70b", "h100-sxm", 4)])


def test_requests_that_fit_fill_the_blocks_of_every_group(on: On) -> None:
    r = on("deepseek-r1", "h200-sxm", Layout(1, 8, 1, 8)).replica
    load = Load(1000, 500)
    held = r.sequences(load.most_context)
    # 1,500 tokens are 93.75 blocks, so 94
    per_group = r.kv_blocks // 8 // 94
    assert held == 8 * per_group
    assert per_group * 94 * 16 * 8 <= r.kv_tokens < (per_group + 1) * 94 * 16 * 8 + 8 * 94 * 16


def test_a_model_too_large_for_a_node_is_laid_over_several(model: Models, chip: Chips) -> None:
    sizes = {s.replica.accelerators for s in candidates(model("deepseek-r1"), chip("h100-sxm"), Load()).steps}
    assert sizes == {16, 32}


def test_stages_apart_keep_the_fast_link_inside_each(on: On) -> None:
    apart = on("llama-3.1-405b", "h100-sxm", Layout(8, pipeline=2)).replica.link_bytes_per_s
    across = on("llama-3.1-405b", "h100-sxm", Layout(16)).replica.link_bytes_per_s
    assert (apart, across) == (450e9, 50e9)


def test_a_chip_says_which_of_its_figures_nobody_states(chip: Chips) -> None:
    assert not_known(chip("h100-sxm")) == []
    assert not_known(chip("tpu-8i")) == ["scale-up bandwidth", "scale-out bandwidth", "TDP", "facility power", "price"]
    assert precisions(chip("tpu-8i")) == ("fp4",)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"hbm_bytes_per_s": None}, "not known: memory bandwidth"),
        ({"hbm_bytes_per_s": Value(value=0.0)}, "memory bandwidth: 0"),
        ({"hbm_bytes": None, "hbm_bytes_per_s": None}, "2 mistakes"),
        ({"scaleup_bytes_per_s": Value(value=0.0)}, "scale-up bandwidth: 0"),
        ({"bf16_flops": None, "fp8_flops": None}, "peak arithmetic: not known"),
        ({"hbm_bytes": Value(value=1e7)}, "no layout of up to 1,024 chips"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    model: Models, chip: Chips, changed: dict[str, Value | None], words: str
) -> None:
    part = chip("h100-sxm").model_copy(update=changed)
    with pytest.raises(Mistakes, match=words):
        candidates(model("llama-3.1-70b"), part, Load())


def test_a_precision_that_a_chip_lacks_is_answered_with_those_it_has(model: Models, chip: Chips) -> None:
    with pytest.raises(Mistakes, match="it has bf16, fp8, and int4 for weights alone"):
        candidates(model("llama-3.1-70b"), chip("h100-sxm"), Load(), precision="fp4")
    assert candidates(model("llama-3.1-70b"), chip("h100-sxm"), Load(), precision="int4").steps


def test_a_context_longer_than_the_model_takes_is_refused(model: Models, chip: Chips) -> None:
    with pytest.raises(Mistakes, match="takes at most 131,072"):
        candidates(model("llama-3.1-8b"), chip("h100-sxm"), Load(131_000, 100))
