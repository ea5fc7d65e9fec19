"""A table of measured iterations: what it gives back, and the engine that runs on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from workloads import by_engine, by_naive, drawn

from ampacity.simulator.measured_table import measured_table
from ampacity.simulator.step_table import TICKS, StepTable, iteration_ticks

CONTEXTS = [1, 40, 100, 700]


def measured(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Decoding times by 1 to 12 sequences and CONTEXTS, and those of prompts up to 256 tokens. [s]"""
    rng = np.random.default_rng(seed)
    decode_s = rng.uniform(0.01, 0.02, (12, 1)) + np.cumsum(rng.uniform(0, 0.002, (12, 4)), axis=1)
    return decode_s, np.concatenate([[0], 0.02 + np.cumsum(rng.uniform(0, 0.001, 256))])


def seconds(step: StepTable, *shape: int) -> float:
    return iteration_ticks(step.flat().tolist(), *shape) / TICKS / 1e12


def test_a_table_gives_back_what_was_measured_and_the_sum_where_prompts_join() -> None:
    decode_s, prompt_s = measured(1)
    step = measured_table(decode_s, CONTEXTS, prompt_s)
    for b in (1, 2, 7, 12):
        for j, context in enumerate(CONTEXTS):
            alone = seconds(step, b, b * context, 0, 0)
            assert alone == pytest.approx(decode_s[b - 1, j], rel=1e-9)
            assert seconds(step, b, b * context, 99, 0) == pytest.approx(alone + prompt_s[99], rel=1e-9)
    assert seconds(step, 0, 0, 256, 0) == pytest.approx(prompt_s[256], rel=1e-9)


def test_between_the_points_and_beyond_them_times_go_straight_on() -> None:
    decode_s, prompt_s = measured(2)
    step = measured_table(decode_s, CONTEXTS, prompt_s)
    row = decode_s[4]
    assert seconds(step, 5, 5 * 70, 0, 0) == pytest.approx((row[1] + row[2]) / 2, rel=1e-9)
    beyond = row[3] + (row[3] - row[2]) * (2000 - 700) / 600
    assert seconds(step, 5, 5 * 2000, 0, 0) == pytest.approx(beyond, rel=1e-9)
    assert seconds(step, 24, 24 * 100, 0, 0) == pytest.approx(2 * decode_s[11, 2], rel=1e-9)


def test_a_chunk_behind_a_context_takes_longer_by_its_attention_and_a_prompt_alone_what_was_measured() -> None:
    decode_s, prompt_s = measured(3)
    step = measured_table(decode_s, CONTEXTS, prompt_s, per_a2_s=1e-8)
    assert seconds(step, 0, 0, 200, 200 * 200) == pytest.approx(prompt_s[200], rel=1e-9)
    later = seconds(step, 0, 0, 200, 200 * (2 * 5000 + 200))
    assert later == pytest.approx(prompt_s[200] + 2e-8 * 200 * 5000, rel=1e-6)


def test_a_time_that_falls_with_the_context_is_level_there() -> None:
    step = measured_table([[0.02, 0.03, 0.025, 0.04]], CONTEXTS, [0, 0.1])
    assert seconds(step, 1, 100, 0, 0) == pytest.approx(0.03, rel=1e-9)
    assert seconds(step, 1, 700, 0, 0) == pytest.approx(0.04, rel=1e-9)


def test_on_measured_times_engine_and_naive_stepper_give_the_same_picoseconds() -> None:
    jumped = requests = 0
    for seed in range(200):
        w = drawn(seed)
        w = replace(w, table=measured_table(*_split(seed), per_a2_s=1e-8))
        found = by_engine(w)
        assert found.times == by_naive(w), f"seed {seed}: {w.engine}"
        jumped, requests = jumped + found.jumped, requests + len(found.times)
    assert requests > 2_000
    assert jumped > 5_000


def _split(seed: int) -> tuple[np.ndarray, list[int], np.ndarray]:
    decode_s, prompt_s = measured(seed)
    return decode_s, CONTEXTS, prompt_s


def test_every_mistake_in_measurements_is_named_at_once() -> None:
    with pytest.raises(ValueError) as met:
        measured_table([[1.0, 0.0]], [5, 5], [0.1, 1.0], -1.0)
    assert str(met.value) == (
        "contexts: at least two, from 1 on, rising; "
        "decoding times of shape (1, 2): a row a number of sequences, 2 columns, above 0; "
        "times of prompts: one for every number of tokens, 0 for none, above 0 for any other; "
        "-1.0 s per unit of a2: at least 0"
    )
    with pytest.raises(ValueError, match=r"less than its own attention"):
        measured_table([[1.0, 1.0]], [1, 5], [0, 0.1, 0.2], 0.06)
