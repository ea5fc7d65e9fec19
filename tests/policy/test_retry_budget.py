"""Retries keep to their budget over any span and get all of it; and the same compiled."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.compiled import compiled
from ampacity.policy.retry_budget import (
    B_MISSING,
    BUDGET_FIELDS,
    LEAST_MOST,
    PERCENT_EARNED_MOST,
    RESERVE_MOST,
    SPAN_MOST_MS,
    budget_rules,
    may_retry,
    note_try,
    retries_left,
)

RULES = st.tuples(
    st.sampled_from([0, 1, 20, 33, 100, 250]),
    st.sampled_from([0, 1, 3, 10]),
    st.sampled_from([1, 7, 1000, 10_000]),
    st.sampled_from([1, 2, 5, 30]),
)
# how much later, whether it is a retry; now and then the clock steps back
EVENTS = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 1, 2, 50, 333, 5000, -70, -4000]), st.booleans()), min_size=1, max_size=120
)


def allowed(rules: tuple[int, ...], log: list[tuple[int, str]], now: int) -> int:
    """How many retries the promise leaves now: in no span until now more than share x tries + the few + the reserve."""
    percent, least, span_ms, reserve = rules
    left = Fraction(reserve)
    earned, retried = Fraction(0), 0
    for t, what in reversed(log):
        earned += Fraction(percent, 100) * (what == "try")
        retried += what == "retry"
        left = min(left, reserve + earned + Fraction((now - t) * least, span_ms) - retried)
    return int(left)


@given(RULES, EVENTS)
def test_a_retry_is_allowed_if_and_only_if_every_span_until_then_has_room_for_it(
    rules: tuple[int, ...], events: list[tuple[int, bool]]
) -> None:
    row, budget = [-9, *budget_rules(*rules)], [-9] + [0] * BUDGET_FIELDS
    log: list[tuple[int, str]] = []
    clock, latest = 1_000_000, 0
    for later, again in events:
        clock += later
        latest = max(latest, clock)  # time that has been counted is not counted again
        left = allowed(rules, log, latest)
        assert retries_left(budget, 1, row, 1, clock) == left
        if again:
            assert may_retry(budget, 1, row, 1, clock) == (left >= 1)
            log += [(latest, "retry")] if left >= 1 else []
        else:
            note_try(budget, 1, row, 1)
            log.append((latest, "try"))
    assert budget[0] == -9


def test_a_pool_that_fails_throughout_gets_a_fifth_more_requests_and_not_three_times_as_many() -> None:
    rules, budget, tries, retries = budget_rules(), [0] * BUDGET_FIELDS, 0, 0
    for now in range(1, 60_001, 10):  # a minute, 100 requests a second, each to be tried three times
        note_try(budget, 0, rules, 0)
        tries += 1
        retries += sum(may_retry(budget, 0, rules, 0, now) for _ in range(2))
    assert 0.2 * tries + 60 + 100 - 2 <= retries <= 0.2 * tries + 60 + 100


@pytest.mark.parametrize("span_ms", [1, 9_999, SPAN_MOST_MS])
@pytest.mark.parametrize(("percent", "tries"), [(20, 5), (1, 100), (100, 1), (50, 2)])
def test_first_tries_earn_exactly_their_share(percent: int, tries: int, span_ms: int) -> None:
    rules, budget = budget_rules(percent, 0, span_ms, 1), [0] * BUDGET_FIELDS
    assert may_retry(budget, 0, rules, 0, 1)
    for _ in range(50):
        for _ in range(tries):
            assert not may_retry(budget, 0, rules, 0, 2**40)
            note_try(budget, 0, rules, 0)
        assert may_retry(budget, 0, rules, 0, 2**40)


def test_a_service_with_little_to_do_has_a_few_retries_and_an_idle_year_saves_no_more_than_the_reserve() -> None:
    rules, budget = budget_rules(percent=0, least=10, span_ms=10_000, reserve=5), [0] * BUDGET_FIELDS
    now = 1_795_424_700_000
    assert [may_retry(budget, 0, rules, 0, now) for _ in range(7)] == [True] * 5 + [False] * 2  # fresh: all of it
    assert [may_retry(budget, 0, rules, 0, now + ms) for ms in (999, 1000, 1001, 2000)] == [False, True, False, True]
    now += 365 * 24 * 3_600_000
    assert retries_left(budget, 0, rules, 0, now) == 5


def test_the_slowest_largest_budget_fills_in_its_own_time_however_long_nobody_looks() -> None:
    rules, budget = budget_rules(0, 1, SPAN_MOST_MS, RESERVE_MOST), [0] * BUDGET_FIELDS
    budget[B_MISSING] = 100 * SPAN_MOST_MS * RESERVE_MOST
    assert retries_left(budget, 0, rules, 0, SPAN_MOST_MS * (RESERVE_MOST - 1)) == RESERVE_MOST - 1
    assert retries_left(budget, 0, rules, 0, SPAN_MOST_MS * RESERVE_MOST) == RESERVE_MOST
    budget[B_MISSING] = 100 * SPAN_MOST_MS * RESERVE_MOST
    assert retries_left(budget, 0, rules, 0, 2**62) == RESERVE_MOST


def test_a_clock_that_steps_back_and_forth_earns_nothing_twice() -> None:
    rules, budget = budget_rules(reserve=1), [0] * BUDGET_FIELDS
    assert may_retry(budget, 0, rules, 0, 10_000)
    assert [may_retry(budget, 0, rules, 0, now) for now in (9_000, 10_999, 9_000, 10_999)] == [False] * 4
    assert may_retry(budget, 0, rules, 0, 11_000)


def drive(ops, rules, budget, out):
    """Tries and retries one after the other; `out` gets what was allowed, and what is left."""
    now = 1
    for n in range(len(out)):
        now += ops[2 * n]
        if ops[2 * n + 1] == 0:
            note_try(budget, 0, rules, 0)
        elif may_retry(budget, 0, rules, 0, now):
            out[n] = 1_000_000
        out[n] += retries_left(budget, 0, rules, 0, now)


def int64(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


def test_the_same_compiled() -> None:
    rng = np.random.default_rng(4)
    ops = np.stack([rng.integers(-20, 60, 20_000), rng.integers(0, 3, 20_000)], axis=1).ravel().tolist()
    for rules in ((), (33, 7, 9_999, 17), (PERCENT_EARNED_MOST, LEAST_MOST, SPAN_MOST_MS, RESERVE_MOST), (1, 1, 1, 1)):
        left = []
        for function, make in ((drive, list), (compiled(drive).drive, int64)):
            budget, out = make([0] * BUDGET_FIELDS), make([0] * 20_000)
            function(make(ops), make(budget_rules(*rules)), budget, out)
            left.append((np.array(budget), np.array(out)))
        for one, other in zip(*left, strict=True):
            np.testing.assert_array_equal(one, other)
        assert (left[0][1] >= 1_000_000).any()
        assert rules != () or (left[0][1] == 0).any()


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 2**40, 2**43, 2**62]), st.booleans()), max_size=40),
    st.sampled_from([0, PERCENT_EARNED_MOST]),
    st.sampled_from([0, LEAST_MOST]),
    st.sampled_from([1, SPAN_MOST_MS]),
    st.sampled_from([1, RESERVE_MOST]),
)
def test_no_number_passes_63_bits_in_the_largest_budget(
    watched: Any, told: list[tuple[int, bool]], percent: int, least: int, span_ms: int, reserve: int
) -> None:
    rules = [watched(n) for n in budget_rules(percent, least, span_ms, reserve)]
    budget = [watched(0)] * BUDGET_FIELDS
    for now, again in told:
        if again:
            may_retry(budget, 0, rules, 0, watched(now))
        else:
            note_try(budget, 0, rules, 0)
        assert 0 <= budget[B_MISSING] <= 100 * span_ms * reserve


def test_every_mistake_in_the_rules_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"(?s)percent is 1001.*least is -1.*span_ms is 0.*reserve is 0"):
        budget_rules(1001, -1, 0, 0)
    assert budget_rules() == [20, 10, 10_000, 100]
