"""The fit finds a model again from what it drew, and follows the public traces where they are present."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ampacity.demand.agent_model import AgentModel, packaged_model
from ampacity.demand.fit import fit
from ampacity.demand.goodness import TARGETS, distance, drawn, goodness, means, statistics
from ampacity.demand.requests import read_requests, requests, session_split
from ampacity.demand.service import Service, fit_service
from ampacity.demand.sessions import generate, served
from ampacity.demand.traces.reuse import hit_share

CLAUDE = "demand/claude_code/claude_code_requests.parquet"


@pytest.fixture(scope="module")
def truth() -> AgentModel:
    return packaged_model()


@pytest.fixture(scope="module")
def drawn_trace(truth: AgentModel) -> pl.DataFrame:
    return requests(served(generate(truth, 11, np.arange(1500)), truth.service).frame()).frame


@pytest.fixture(scope="module")
def again(drawn_trace: pl.DataFrame) -> AgentModel:
    return fit(drawn_trace)


def test_shares_and_cache_of_a_known_model_are_found_again(truth: AgentModel, again: AgentModel) -> None:
    assert again.fresh.share == pytest.approx(truth.fresh.share, abs=0.05)
    assert again.context.prefix_tokens == pytest.approx(truth.context.prefix_tokens, rel=0.01)
    assert again.context.tail_tokens == pytest.approx(truth.context.tail_tokens, abs=2)
    assert again.context.break_share == pytest.approx(truth.context.break_share, rel=0.25)
    assert again.context.limit == pytest.approx(truth.context.limit, rel=0.05)


def test_laws_of_a_known_model_are_found_again(truth: AgentModel, again: AgentModel) -> None:
    for name in ("output", "growth", "tool_gap", "user_gap", "turn", "first_turn"):
        theirs, ours = getattr(truth, name).table(20_000), getattr(again, name).table(20_000)
        assert distance(np.maximum(np.rint(theirs), 1), np.maximum(np.rint(ours), 1)) < 0.06, name


def test_how_steps_of_a_session_are_alike_is_found_again(truth: AgentModel, again: AgentModel) -> None:
    assert again.factors.spread == pytest.approx(truth.factors.spread, abs=0.06)
    assert again.factors.within == pytest.approx(truth.factors.within, abs=0.06)
    assert again.factors.follows == pytest.approx(truth.factors.follows, abs=0.06)
    assert np.array(again.factors.correlation) == pytest.approx(np.array(truth.factors.correlation), abs=0.15)


def test_a_model_that_is_true_is_no_further_from_its_trace_than_noise(
    again: AgentModel, drawn_trace: pl.DataFrame
) -> None:
    ours, real = statistics(drawn(again, 3, 3000, drawn_trace)), statistics(drawn_trace)
    for name in TARGETS:
        assert distance(ours[name], real[name]) < 0.08, name


def test_a_wrong_model_is_seen_to_be_wrong(truth: AgentModel, drawn_trace: pl.DataFrame) -> None:
    slower = replace(truth, output=replace(truth.output, mu=tuple(m + 0.4 for m in truth.output.mu)))
    ours, real = statistics(drawn(slower, 3, 1500, drawn_trace)), statistics(drawn_trace)
    assert distance(ours["output per request"], real["output per request"]) > TARGETS["output per request"]


def test_the_kolmogorov_distance_is_that_of_scipy() -> None:
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(5)
    x, y = np.rint(rng.normal(0, 3, 400)), np.rint(rng.normal(1, 3, 700))
    assert distance(x, y) == pytest.approx(ks_2samp(x, y).statistic, abs=1e-12)


def test_turns_cut_off_by_the_end_of_a_session_do_not_shorten_the_law() -> None:
    """Turns of exactly 10 steps in sessions of 15: the second is seen for 5 steps and did not end there."""
    step = np.tile(np.arange(15), 40)
    frame = pl.DataFrame(
        {
            "session": np.repeat(np.arange(40), 15),
            "agent": 0,
            "step": step,
            "input_tokens": 20_000 + 500 * step,
            "cached_tokens": np.where(step == 0, 0, 19_000),
            "output_tokens": 100 + step,
            "gap_s": 5.5 + step,
            "user_started": step % 10 == 0,
        }
    )
    found = fit(requests(frame).frame)
    assert found.first_turn.median == pytest.approx(10.0, abs=0.6)
    assert found.turn.median > 5.5


def test_seconds_of_an_answer_are_found_again() -> None:
    rng = np.random.default_rng(2)
    whole = rng.integers(1000, 200_000, 1000)
    cached, output = (whole * rng.random(1000)).astype(int), rng.integers(1, 4000, 1000)
    law = Service(2.0, 0.02, 3e-5, 1e-5)
    taken = law.answer_s((whole - cached).astype(float), whole.astype(float), output.astype(float))
    frame = pl.DataFrame({"input_tokens": whole, "cached_tokens": cached, "output_tokens": output, "server_s": taken})
    found = fit_service(frame)
    assert (found.fixed_s, found.per_output_s) == pytest.approx((2.0, 0.02), rel=1e-6)
    assert (found.per_uncached_s, found.per_input_s) == pytest.approx((3e-5, 1e-5), rel=1e-6)
    assert fit_service(frame.head(10)) == Service()


def test_too_few_sessions_are_refused_with_their_number(drawn_trace: pl.DataFrame) -> None:
    few = drawn_trace.filter(pl.col("session") < 5)
    with pytest.raises(ValueError, match="found 5 sessions"):
        fit(few)


def test_the_public_traces_are_followed_within_the_targets(shared: Callable[[str], Path]) -> None:
    real = read_requests(shared(CLAUDE)).frame
    model = fit(real)
    ours = drawn(model, 1, 4000, real)
    found = {name: distance(x, statistics(real)[name]) for name, x in statistics(ours).items()}
    assert {name: d for name, d in found.items() if d > TARGETS[name]} == {}
    assert 100 * abs(hit_share(ours) - hit_share(real)) < 1.0
    theirs = means(real)
    assert means(ours) == {name: pytest.approx(value, rel=0.15) for name, value in theirs.items()}


def test_sessions_held_out_are_followed_nearly_as_well(shared: Callable[[str], Path]) -> None:
    """Median of three partitions; the targets are meant for all sessions, so each gets 0.03 of noise on top."""
    real = read_requests(shared(CLAUDE)).frame
    for g in goodness(real, drawn(fit(real), 1, 1000, real), 1, repetitions=3):
        assert g.held_out is not None and g.floor is not None
        assert g.held_out < g.target + 0.03, g.statistic
        assert g.floor < g.held_out + 0.03, g.statistic


def test_the_packaged_model_is_the_fit_of_the_public_traces(shared: Callable[[str], Path], truth: AgentModel) -> None:
    ours = fit(read_requests(shared(CLAUDE)).frame)
    assert ours.as_dict() | {"about": {}} == truth.as_dict() | {"about": {}}


def test_a_partition_keeps_sessions_whole(drawn_trace: pl.DataFrame) -> None:
    most, rest = session_split(drawn_trace, 0.75, np.random.default_rng(1))
    assert len(most) + len(rest) == len(drawn_trace)
    assert set(most["session"].to_list()).isdisjoint(rest["session"].to_list())
    assert most["session"].n_unique() == round(0.75 * drawn_trace["session"].n_unique())
