"""Requests one by one: none is lost or doubled, and more of what serves them never makes them worse off on the mean."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.policy.book import compile_book
from ampacity.policy.rows import EVENLY, Price, WindowRule
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell import open_cell
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.cell_terms import CellTier, Pool, Routing
from ampacity.simulator.engine import PS_PER_S, Engine
from ampacity.simulator.scripts import scripts_of_trace
from ampacity.simulator.step_table import TICKS, StepTable

MS = PS_PER_S // 1000
MANY = 600
SLACK = 1.02
"""A mean may be worse by so much: who shares an iteration with whom is another after every change."""

seeds = st.integers(0, 2**32)


def step(per_iteration_ms: float = 8.0) -> StepTable:
    """A fixed part, and 0.05 ms for each token of a prompt or of decoding."""
    return StepTable(per_iteration=round(per_iteration_ms * MS) * TICKS, per_token=MS * TICKS // 20)


def served(
    seed: int,
    rate_per_s: float,
    replicas: int = 2,
    table: StepTable | None = None,
    blocks: int = 4000,
    window: int | None = None,
) -> CellResult:
    """Prompts of 50 to 800 tokens and answers of 5 to 60, at chance instants; people of four, windows if there are."""
    rng = np.random.default_rng(seed)
    arrival_ps = np.cumsum(rng.exponential(PS_PER_S / rate_per_s, MANY)).astype(np.int64)
    inputs, outputs = rng.integers(50, 800, MANY), rng.integers(5, 60, MANY)
    price = Price(1000, 1000, 1000, 1000)
    rules = {"some": [WindowRule("minute", (window or 1) * 1000, EVENLY, 60_000, price)]}
    book = compile_book(rules, prior_tokens=(400, 0, 0, 30)) if window else None
    tier = CellTier("some", limit="some" if window else None, retries=0, output_most=60)
    scripts = scripts_of_trace(arrival_ps, inputs, outputs, subscriber=rng.integers(1, 5, MANY))
    pool = Pool(Engine(blocks, token_budget=2048, max_seqs=64), table or step(), replicas)
    cell = open_cell((pool,), scripts, Routing("least", "requests"), (tier,), book, keep=True)
    cell.run()
    return cell.result()


def mean_s(found: CellResult, what: int) -> float:
    """Mean time from asking to the first token, or to the last, of answered requests. [s]"""
    assert found.met is not None
    done = found.met[found.met[:, at.MET_FINISH_PS] > 0]
    return float((done[:, what] - done[:, at.MET_ARRIVAL_PS]).mean()) / PS_PER_S


@settings(max_examples=25)
@given(seeds, st.floats(5, 200), st.integers(1, 6))
def test_more_replicas_never_answer_later_on_the_mean(seed: int, rate_per_s: float, replicas: int) -> None:
    few, many = served(seed, rate_per_s, replicas), served(seed, rate_per_s, 2 * replicas)
    for what in (at.MET_FIRST_PS, at.MET_FINISH_PS):
        assert mean_s(many, what) <= SLACK * mean_s(few, what)


@settings(max_examples=25)
@given(seeds, st.floats(5, 200), st.floats(1, 20))
def test_faster_iterations_never_answer_later_on_the_mean(seed: int, rate_per_s: float, slower_ms: float) -> None:
    fast, slow = served(seed, rate_per_s, table=step(8.0)), served(seed, rate_per_s, table=step(8.0 + slower_ms))
    for what in (at.MET_FIRST_PS, at.MET_FINISH_PS):
        assert mean_s(fast, what) <= SLACK * mean_s(slow, what)


@settings(max_examples=25)
@given(seeds, st.floats(20, 200), st.integers(60, 600))
def test_more_memory_never_answers_later_on_the_mean(seed: int, rate_per_s: float, blocks: int) -> None:
    little, much = served(seed, rate_per_s, blocks=blocks), served(seed, rate_per_s, blocks=2 * blocks)
    assert mean_s(much, at.MET_FIRST_PS) <= SLACK * mean_s(little, at.MET_FIRST_PS)
    assert mean_s(much, at.MET_FINISH_PS) <= SLACK * mean_s(little, at.MET_FINISH_PS)


@settings(max_examples=25)
@given(seeds, st.floats(5, 50), st.integers(300, 20_000))
def test_a_larger_window_never_loses_more_requests_nor_keeps_those_that_fit_waiting_longer(
    seed: int, rate_per_s: float, window: int
) -> None:
    """A request of more than the window is lost; one that has to wait asks again and again, so attempts say nothing."""
    small, large = (served(seed, rate_per_s, window=size) for size in (window, 2 * window))
    assert large.count(at.STEPS_LOST) <= small.count(at.STEPS_LOST)
    if small.count(at.STEPS_LOST) == 0:
        assert large.count(at.REFUSALS) <= small.count(at.REFUSALS)


@settings(max_examples=25)
@given(seeds, st.floats(5, 200), st.integers(1, 3), st.sampled_from([None, 3000]))
def test_every_request_is_answered_or_given_up_and_every_token_counted_once(
    seed: int, rate_per_s: float, replicas: int, window: int | None
) -> None:
    r = served(seed, rate_per_s, replicas, window=window)
    assert r.met is not None
    answered = int((r.met[:, at.MET_FINISH_PS] > 0).sum())
    assert r.count(at.ANSWERED) == r.count(at.SENT) == answered
    assert answered + r.count(at.STEPS_LOST) == r.count(at.ASKED) == MANY
    assert r.prompt_tokens + r.hit_tokens >= r.count(at.INPUT_TOKENS)
    assert r.in_flight == 0


@settings(max_examples=10)
@given(seeds)
def test_the_same_seed_gives_the_same_bytes(seed: int) -> None:
    one, again = served(seed, 40), served(seed, 40)
    assert one.met is not None
    assert again.met is not None
    assert one.met.tobytes() == again.met.tobytes()
    assert one.histograms.tobytes() == again.histograms.tobytes()
