"""Sessions as they are drawn: what must hold of every one, and what of all together."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from ampacity.demand.agent_model import AgentModel, packaged_model
from ampacity.demand.service import Service
from ampacity.demand.session_hour import session_hour
from ampacity.demand.sessions import Served, Steps, generate, served
from ampacity.demand.traces.reuse import hit_share


@pytest.fixture(scope="module")
def model() -> AgentModel:
    return packaged_model()


@pytest.fixture(scope="module")
def steps(model: AgentModel) -> Steps:
    return generate(model, 1, np.arange(2000))


@pytest.fixture(scope="module")
def done(model: AgentModel, steps: Steps) -> Served:
    return served(steps, model.service)


def test_steps_of_an_agent_are_numbered_from_zero_without_a_gap(steps: Steps) -> None:
    frame = pl.DataFrame({"session": steps.session, "agent": steps.agent, "step": steps.step})
    by_agent = frame.group_by("session", "agent").agg(
        n=pl.len(), most=pl.col("step").max(), kinds=pl.col("step").n_unique()
    )
    assert (by_agent["n"] == by_agent["most"] + 1).all()
    assert (by_agent["n"] == by_agent["kinds"]).all()


def test_no_more_is_reusable_than_the_whole_input_and_nothing_at_first(steps: Steps) -> None:
    assert (steps.reusable_tokens >= 0).all()
    assert (steps.reusable_tokens <= steps.input_tokens).all()
    assert (steps.reusable_tokens[steps.step == 0] == 0).all()
    assert (steps.input_tokens >= 1).all() and (steps.output_tokens >= 1).all()


def test_what_is_reusable_is_whole_blocks_of_what_the_agent_sent_before(model: AgentModel, steps: Steps) -> None:
    later = np.flatnonzero(steps.step > 0)
    kept, before = steps.reusable_tokens[later], steps.input_tokens[later - 1]
    assert (kept % model.context.block_tokens == 0).all()
    assert (kept <= np.maximum(before, model.context.prefix_tokens)).all()


def test_a_context_that_grows_grows_by_more_than_nothing_and_one_that_is_full_is_cut(
    model: AgentModel, steps: Steps
) -> None:
    later = steps.step > 0
    change = np.diff(steps.input_tokens, prepend=0)[later]
    assert (change != 0).mean() > 0.99
    cuts = (change < 0).mean()
    assert 0.005 < cuts < 0.015
    assert steps.input_tokens.max() < 1.3 * model.context.large_limit


def test_the_user_begins_every_session_and_no_step_of_a_helper(steps: Steps) -> None:
    main = steps.agent == 0
    assert steps.user_started[main & (steps.step == 0)].all()
    assert not steps.user_started[~main].any()


def test_helpers_are_as_many_as_the_model_says_and_start_after_a_step_of_their_session(
    model: AgentModel, steps: Steps
) -> None:
    assert model.sub_agents is not None
    sessions = generate(model, 5, np.arange(8000))
    having = len(np.unique(sessions.session[sessions.agent > 0])) / 8000
    expected = model.sub_agents.session_share
    assert abs(having - expected) < 5 * np.sqrt(expected / 8000)
    helper = sessions.agent > 0
    total = np.bincount(sessions.session[~helper])
    assert (sessions.start_step[helper] < total[sessions.session[helper]]).all()


def test_a_helper_asks_only_once_the_answer_that_started_it_has_ended(model: AgentModel, done: Served) -> None:
    s = done.steps
    begins = np.flatnonzero((s.agent > 0) & (s.step == 0))
    assert len(begins)
    for row in begins:
        parent = np.flatnonzero((s.session == s.session[row]) & (s.agent == 0))[s.start_step[row]]
        missed = s.input_tokens[parent] - done.cached_tokens[parent]
        answer = model.service.answer_s(
            *(np.array(float(x)) for x in (missed, s.input_tokens[parent], s.output_tokens[parent]))
        )
        assert done.t_s[row] == pytest.approx(done.t_s[parent] + float(answer))


def test_the_loop_is_closed_so_a_slower_service_stretches_a_session_by_its_answers(steps: Steps) -> None:
    fast, slow = (served(steps, Service(s, 0, 0, 0)) for s in (1.0, 11.0))
    main = steps.agent == 0
    later = main & (steps.step > 0)
    assert (slow.t_s - fast.t_s)[later] == pytest.approx(10.0 * steps.step[later])
    assert (slow.steps.gap_s == fast.steps.gap_s).all()


def test_times_of_an_agent_never_step_back(done: Served) -> None:
    later = done.steps.step > 0
    assert (np.diff(done.t_s, prepend=0.0)[later] > 0).all()


def test_five_minutes_of_cache_about_double_the_uncached_tokens_of_an_hour(model: AgentModel, steps: Steps) -> None:
    missed = {s: 1 - hit_share(served(steps, model.service, s).frame()) for s in (300.0, 3600.0, np.inf)}
    assert missed[300.0] / missed[3600.0] == pytest.approx(2.0, abs=0.2)
    assert missed[300.0] > missed[3600.0] > missed[np.inf]


def test_a_longer_cache_lifetime_never_misses_more(model: AgentModel, steps: Steps) -> None:
    cached = [served(steps, model.service, s).cached_tokens for s in (0.0, 60.0, 300.0, 3600.0, np.inf)]
    for less, more in pairwise(cached):
        assert (less <= more).all()
    assert (cached[0] == 0).all()
    assert (cached[-1] == steps.reusable_tokens).all()


def test_people_who_wait_longer_ask_as_often_but_fewer_times_an_hour(model: AgentModel, steps: Steps) -> None:
    longer = replace(steps, gap_s=np.where(steps.step == 0, 0.0, steps.gap_s + 30.0))
    hours = [session_hour(served(s, model.service)) for s in (steps, longer)]
    assert hours[1].requests < 0.8 * hours[0].requests
    assert hours[1].input_tokens / hours[1].requests == pytest.approx(hours[0].input_tokens / hours[0].requests)


def test_a_model_without_helpers_makes_none(model: AgentModel) -> None:
    assert (generate(replace(model, sub_agents=None), 1, np.arange(500)).agent == 0).all()


def test_no_session_is_asked_for_and_none_is_made(model: AgentModel) -> None:
    assert len(generate(model, 1, np.empty(0, dtype=np.int64))) == 0
