"""Requests of people at work: as much as their weeks ask, when their stretches are, the same in any portion."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from ampacity.demand.asked import LONGEST_PAUSE_S, Asked, asked, fitting, since
from ampacity.demand.people import habits_of
from ampacity.demand.sessions import Steps
from ampacity.demand.stretches import Stretches, stretches
from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario

WINDOW = 131_072
"""Context of the laptop's model. [token]"""


@cache
def laptop() -> Scenario:
    return load("laptop")


@cache
def month(people: int = 150) -> tuple[Stretches, Asked]:
    tier = laptop().tier("developers")
    wanted = stretches(habits_of(laptop(), tier, people, 3), 3, tier.name)
    return wanted, asked(tier.behaviour, wanted, 3, tier.name, window_tokens=WINDOW)


def test_requests_ask_for_what_weeks_of_sessions_ask_for() -> None:
    """Output sets how fast tapes move; the other kinds follow the fitted sessions, whose mean the behaviour states."""
    wanted, found = month()
    b, s = laptop().tier("developers").behaviour, found.steps
    main = s.agent == 0
    active_s = wanted.wanted_ms / 1000.0
    assert s.output_tokens[main].sum() == pytest.approx(active_s * b.output_per_s.value, rel=0.03)
    assert s.reusable_tokens[main].sum() == pytest.approx(active_s * b.cached_per_s.value, rel=0.06)
    uncached = (s.input_tokens - s.reusable_tokens)[main].sum()
    assert uncached == pytest.approx(active_s * b.uncached_per_s.value, rel=0.08)


def test_nobody_asks_before_their_first_stretch_and_sessions_begin_in_stretches() -> None:
    wanted, found = month()
    first = wanted.first[:-1]
    worked = np.diff(wanted.first) > 0
    earliest = np.full(len(first), np.inf)
    earliest[worked] = wanted.begin_ms[first[worked]] / 1000.0
    assert np.all(found.begin_s >= earliest[found.subscriber])
    inside = 0
    for who, at in zip(found.subscriber.tolist(), found.begin_s.tolist(), strict=True):
        own = slice(wanted.first[who], wanted.first[who + 1])
        begin = wanted.begin_ms[own] / 1000.0
        inside += bool(np.any((begin <= at) & (at < begin + wanted.active_ms[own] / 1000.0)))
    assert inside == len(found.number)


def test_a_pause_is_never_shorter_than_drawn_but_for_those_that_end_a_stretch() -> None:
    from ampacity.demand.agent_model import packaged_model
    from ampacity.demand.sessions import generate

    _, found = month()
    s = found.steps
    key = s.session * 4096 + s.step
    seed = int(_seed())
    drawn = generate(packaged_model(), seed, found.number, WINDOW)
    main, own = drawn.agent == 0, s.agent == 0
    gaps = dict(zip((drawn.session * 4096 + drawn.step)[main].tolist(), drawn.gap_s[main].tolist(), strict=True))
    later = s.gap_s[own] - np.minimum([gaps[k] for k in key[own].tolist()], LONGEST_PAUSE_S)
    assert later[s.step[own] > 0].min() > -1e-6
    assert np.all(s.gap_s >= 0)


def _seed() -> int:
    from ampacity.demand import draws

    return int(draws.bits(3, "asked", "developers") >> np.uint64(1))


def test_a_portion_of_the_people_asks_what_it_asks_among_all() -> None:
    tier = laptop().tier("developers")
    _, whole = month(60)
    wanted = stretches(habits_of(laptop(), tier, 60, 3), 3, tier.name, 20, 40)
    part = asked(tier.behaviour, wanted, 3, tier.name, begin=20, window_tokens=WINDOW)
    chosen = (whole.subscriber >= 20) & (whole.subscriber < 40)
    assert np.array_equal(part.number, whole.number[chosen])
    assert np.allclose(part.begin_s, whole.begin_s[chosen], atol=1e-3, rtol=0)
    rows = np.isin(whole.steps.session, part.number)
    assert np.array_equal(part.steps.input_tokens, whole.steps.input_tokens[rows])
    assert np.allclose(part.steps.gap_s, whole.steps.gap_s[rows], atol=1e-3, rtol=0)


def test_work_side_by_side_is_in_sessions_side_by_side() -> None:
    stretch = np.array([0, 1_000], np.int64)
    wanted = Stretches(
        first=np.array([0, 2], np.int64),
        begin_ms=stretch,
        active_ms=np.array([7_200_000, 7_200_000], np.int64),
        pace=np.ones(2),
        reaction=np.ones(2),
        delay=np.ones(2),
        family=np.ones(2),
    )
    found = asked(laptop().tier("developers").behaviour, wanted, 1)
    assert sorted(found.begin_s.tolist())[:2] == [0.0, 1.0]


def test_an_agent_ends_before_its_first_request_that_does_not_fit() -> None:
    _, found = month()
    most = 80_000
    fits, left_out = fitting(found, most)
    whole, s = found.steps, fits.steps
    assert len(s) + left_out == len(whole)
    assert 0 < left_out < len(whole)
    assert (s.input_tokens + s.output_tokens).max() <= most
    assert np.array_equal(np.unique(s.session), fits.number)
    assert len(fits.begin_s) == len(fits.number) == len(fits.subscriber)
    # what is kept of an agent is its beginning, whole
    key = s.session * 4096 + s.agent
    for agent in np.unique(key)[:200]:
        assert np.array_equal(s.step[key == agent], np.arange((key == agent).sum()))
    started = {(n, k) for n, k, a in zip(s.session.tolist(), s.step.tolist(), s.agent.tolist(), strict=True) if a == 0}
    helpers = (s.agent > 0) & (s.step == 0)
    asked_by = zip(s.session[helpers].tolist(), s.start_step[helpers].tolist(), strict=True)
    assert all(pair in started for pair in asked_by)


def test_everything_fits_where_there_is_room() -> None:
    _, found = month()
    fits, left_out = fitting(found, 1 << 40)
    assert left_out == 0
    assert np.array_equal(fits.steps.input_tokens, found.steps.input_tokens)


def two_sessions() -> Asked:
    """Session 7 asks at 0, 10, 20 and 30 s and starts a helper with its first step and one with its third; session 9
    asks at 50 s."""
    rows = [  # session, agent, step, start_step, at
        (7, 0, 0, 0, 0.0),
        (7, 0, 1, 0, 10.0),
        (7, 0, 2, 0, 20.0),
        (7, 0, 3, 0, 30.0),
        (7, 1, 0, 0, 0.0),
        (7, 1, 1, 0, 5.0),
        (7, 2, 0, 2, 20.0),
        (9, 0, 0, 0, 50.0),
    ]
    session, agent, step, start = (np.array([r[i] for r in rows], np.int64) for i in range(4))
    ones = np.arange(1, len(rows) + 1, dtype=np.int64)
    gap = np.where(step > 0, 4.0, 0.0)
    steps = Steps(session, agent, step, start, np.zeros(len(rows), np.bool_), gap, 100 * ones, 90 * ones, ones)
    at = np.array([r[4] for r in rows])
    return Asked(steps, np.array([7, 9]), np.array([0.0, 50.0]), np.array([3, 4]), at)


def test_from_an_instant_on_a_session_under_way_begins_with_its_next_step() -> None:
    left = since(two_sessions(), 15.0)
    assert left.number.tolist() == [7, 9]
    assert left.begin_s.tolist() == [20.0, 50.0]
    assert left.subscriber.tolist() == [3, 4]
    s = left.steps
    # the helper of the first step is gone, that of the third starts with what is the first step now
    found = list(zip(*(x.tolist() for x in (s.session, s.agent, s.step, s.start_step, s.input_tokens)), strict=True))
    assert found == [(7, 0, 0, 0, 300), (7, 0, 1, 0, 400), (7, 2, 0, 0, 700), (9, 0, 0, 0, 800)]
    assert s.gap_s.tolist() == [0.0, 4.0, 0.0, 0.0]


def test_what_is_asked_at_the_instant_itself_is_still_to_come_and_what_has_ended_is_gone() -> None:
    assert since(two_sessions(), 0.0).steps.input_tokens.tolist() == two_sessions().steps.input_tokens.tolist()
    assert since(two_sessions(), 20.0).begin_s.tolist() == [20.0, 50.0]
    late = since(two_sessions(), 31.0)
    assert (late.number.tolist(), late.subscriber.tolist(), late.steps.input_tokens.tolist()) == ([9], [4], [800])
    assert len(since(two_sessions(), 51.0).steps) == 0


def test_a_month_from_its_middle_on_is_the_same_in_one_cut_or_two() -> None:
    _, found = month(60)
    first, last = float(found.at_s.min()), float(found.at_s.max())
    middle, later = first + 0.4 * (last - first), first + 0.5 * (last - first)
    once, twice = since(found, later), since(since(found, middle), later)
    main = found.steps.agent == 0
    assert (once.steps.agent == 0).sum() == (main & (found.at_s >= later)).sum() > 1000
    assert once.steps.output_tokens[once.steps.agent == 0].sum() == (
        found.steps.output_tokens[main & (found.at_s >= later)].sum()
    )
    for name in ("session", "agent", "step", "start_step", "gap_s", "input_tokens"):
        assert np.array_equal(getattr(once.steps, name), getattr(twice.steps, name)), name
    assert np.array_equal(once.begin_s, twice.begin_s)
    assert once.begin_s.min() >= later


def test_the_first_steps_of_sessions_are_the_same_if_no_more_are_drawn() -> None:
    from ampacity.demand.agent_model import packaged_model
    from ampacity.demand.sessions import generate

    numbers = np.arange(300, dtype=np.int64)
    whole, short = (generate(packaged_model(), 5, numbers, WINDOW, most) for most in (None, 20))
    main, cut = whole.agent == 0, short.agent == 0
    kept = main & (whole.step < 20)
    assert cut.sum() == kept.sum() < main.sum()
    for name in ("session", "step", "gap_s", "input_tokens", "reusable_tokens", "output_tokens"):
        assert np.array_equal(getattr(short, name)[cut], getattr(whole, name)[kept]), name
