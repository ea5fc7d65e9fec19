"""One replica as people call it: what is refused, what is counted, and hand-sized examples."""

from __future__ import annotations

import numpy as np
import pytest

from ampacity.simulator.engine import PS_PER_S, Engine, sglang, vllm
from ampacity.simulator.open_loop import serve_open_loop
from ampacity.simulator.step_table import TICKS, StepTable

MS = PS_PER_S // 1000
TEN_MS = StepTable(per_iteration=10 * MS * TICKS)


def engine(**rules: object) -> Engine:
    return Engine(**{"kv_blocks": 1000, "lag": 0, "prefix_cache": False, **rules})  # type: ignore[arg-type]


def test_one_request_takes_an_iteration_for_its_prompt_and_one_for_each_further_token() -> None:
    found = serve_open_loop(engine(), TEN_MS, 5 * MS, 100, 4)
    assert found.first_ps.tolist() == [15 * MS]
    assert found.finish_ps.tolist() == [45 * MS]


def test_who_comes_as_an_iteration_ends_is_in_the_next_and_who_comes_a_moment_later_is_not() -> None:
    at = np.array([0, 10 * MS, 10 * MS + 1])
    found = serve_open_loop(engine(), TEN_MS, at, 10, 5)
    assert found.first_ps.tolist() == [10 * MS, 20 * MS, 30 * MS]


def test_scheduling_that_runs_ahead_meets_who_comes_an_iteration_later() -> None:
    at = np.array([0, 10 * MS, 10 * MS + 1])
    found = serve_open_loop(engine(lag=1), TEN_MS, at, 10, 5)
    assert found.first_ps.tolist() == [10 * MS, 30 * MS, 40 * MS]


def test_prompts_in_iterations_of_their_own_stop_decoding() -> None:
    at = np.array([0, 20 * MS])
    mixed, apart = (
        serve_open_loop(engine(mixed=m, token_budget=50, max_seqs=9), TEN_MS, at, 100, 5) for m in (True, False)
    )
    assert mixed.finish_ps[0] == 60 * MS
    assert apart.finish_ps[0] == 80 * MS
    assert apart.first_ps[1] == 40 * MS


def test_the_last_admitted_gives_way_when_blocks_run_out() -> None:
    found = serve_open_loop(engine(kv_blocks=6), TEN_MS, np.array([0, 0]), 32, np.array([40, 40]))
    assert found.preemptions == 1
    assert found.finish_ps[0] == 400 * MS  # the first never notices
    assert found.finish_ps[1] > 400 * MS


def test_a_prefix_that_is_still_there_is_not_computed_again() -> None:
    step = StepTable(per_iteration=TICKS, per_token=MS * TICKS)
    at, inputs = np.array([0, 2 * PS_PER_S]), np.array([320, 480])
    given = {"cached_tokens": np.array([0, 329]), "session": 1}
    kept = serve_open_loop(engine(prefix_cache=True), step, at, inputs, 10, **given)
    lost = serve_open_loop(engine(prefix_cache=True, idle_s=0.5), step, at, inputs, 10, **given)
    assert (kept.first_ps - at)[1] // MS == 480 - 329 // 16 * 16
    assert (lost.first_ps - at)[1] // MS == 480


def test_most_iterations_of_long_answers_are_not_stepped() -> None:
    rng = np.random.default_rng(3)
    at = np.cumsum(rng.exponential(PS_PER_S, 300)).astype(np.int64)
    found = serve_open_loop(
        vllm(10_000), StepTable(per_iteration=10**10 * TICKS, pieces=((0, 9999, 7),)), at, 500, 1000
    )
    assert found.stepped_share < 0.05
    assert found.stepped + found.jumped > 10_000


def test_every_mistake_in_requests_is_named_at_once() -> None:
    with pytest.raises(ValueError) as met:
        serve_open_loop(engine(kv_blocks=4), TEN_MS, [5, 3], [10, 100], [0, 1], [10, 0], [0, -1])
    assert str(met.value) == (
        "request 1 comes before the one above it, or before 0 (1 such); request 0 has no output (1 such); "
        "request 0 has more cached or brought than input, or all of it (1 such); request 1 names no session (1 such); "
        "request 1 never fits into 4 blocks of context (1 such)"
    )


def test_every_mistake_in_an_engine_is_named_at_once() -> None:
    with pytest.raises(ValueError) as met:
        Engine(kv_blocks=0, token_budget=4, max_seqs=5, watermark=1.0, lag=2, idle_s=-1.0)
    assert str(met.value).count(";") == 4


def test_engines_differ_in_what_their_documents_say() -> None:
    assert vllm(1000).kv_blocks == 999
    assert vllm(1000).mixed
    assert not sglang(1000).mixed
