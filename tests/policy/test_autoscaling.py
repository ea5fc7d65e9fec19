"""Autoscaling against its own log; what holds whatever the load does; and the same compiled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.compiled import compiled
from ampacity.policy.autoscaling import (
    SCALING_FIELDS,
    WATCH_FIELDS,
    replicas_wanted,
    scale_by,
    scaling_rules,
    taken_back,
)

LOOKS = st.lists(st.tuples(st.integers(1, 5_000), st.integers(0, 400)), min_size=1, max_size=60)
RULES = st.builds(
    lambda target, least, more, calm: (target, least, least + more, 1, calm),
    st.integers(1, 40),
    st.integers(1, 5),
    st.integers(0, 30),
    st.integers(0, 20_000),
)


def followed(rules: tuple[int, ...], looks: list[tuple[int, int]], first: int) -> list[tuple[int, int, int, int]]:
    """Of every look: when, the load, replicas before and after it; starts serve at once."""
    row, watch = scaling_rules(*rules), [0] * WATCH_FIELDS
    now, have, out = 1, first, []
    for after, load in looks:
        now += after
        change = scale_by(row, 0, watch, 0, load, have, 0, now)
        out.append((now, load, have, have + change))
        have += change
    return out


def brute(rules: tuple[int, ...], log: list[tuple[int, int, int, int]], i: int) -> int:
    """How many there should be after look i, from all that was seen before."""
    target, least, most, _, calm = rules

    def wanted(j: int) -> int:
        return sorted((least, -(-log[j][1] // target), most))[1]

    if wanted(i) >= log[i][2]:
        return wanted(i)
    begun = i  # the first look of the while: fewer would have done ever since, and none has drained since
    while begun > 0 and log[begun - 1][3] == log[begun - 1][2] and wanted(begun - 1) < log[begun - 1][2]:
        begun -= 1
    if begun > 0 and wanted(begun - 1) < log[begun - 1][3]:
        begun -= 1  # the look that drained began another
    if log[i][0] - log[begun][0] < calm:
        return log[i][2]
    return max(wanted(j) for j in range(begun, i + 1))


@given(RULES, LOOKS, st.integers(0, 30))
def test_what_is_done_follows_from_the_log_of_what_was_seen(
    rules: tuple[int, ...], looks: list[tuple[int, int]], first: int
) -> None:
    log = followed(rules, looks, min(max(first, rules[1]), rules[2]))
    assert [after for *_, after in log] == [brute(rules, log, i) for i in range(len(log))]


@given(RULES, LOOKS)
def test_nobody_is_short_of_replicas_and_none_goes_that_was_wanted_within_the_calm(
    rules: tuple[int, ...], looks: list[tuple[int, int]]
) -> None:
    target, least, most, _, calm = rules
    log = followed(rules, looks, least)
    for i, (now, load, before, after) in enumerate(log):
        assert least <= after <= most
        assert after * target >= load or after == most
        if after < before:
            lately = [seen for at, seen, *_ in log[: i + 1] if at > now - calm]
            assert all(after * target >= seen or after == most for seen in lately)


@given(RULES, st.integers(0, 400), st.integers(1, 35))
def test_a_load_that_stays_is_met_after_one_calm_and_nothing_changes_any_more(
    rules: tuple[int, ...], load: int, first: int
) -> None:
    first = min(max(first, rules[1]), rules[2])
    looks = [(500, load)] * (rules[4] // 500 + 4)
    last = [after for *_, after in followed(rules, looks, first)]
    assert last[-1] == last[-2] == replicas_wanted(scaling_rules(*rules), 0, load)
    assert sum(a != b for a, b in zip([first, *last], last, strict=False)) <= 1


def test_replicas_that_start_are_not_started_again_and_those_that_drain_are_taken_back_first() -> None:
    rules, watch = scaling_rules(10, 1, 9, 60_000, 0), [0, 0]
    assert scale_by(rules, 0, watch, 0, 55, 2, 0, 1) == 4
    assert scale_by(rules, 0, watch, 0, 55, 2, 4, 2) == 0
    assert (taken_back(4, 3), taken_back(4, 9), taken_back(-4, 9)) == (3, 4, 0)


def test_a_clock_that_steps_back_lets_nothing_drain() -> None:
    rules, watch = scaling_rules(10, 1, 9, 1, 1000), [0, 0]
    assert [scale_by(rules, 0, watch, 0, 5, 3, 0, now) for now in (5000, 4000, 4999, 5000)] == [0, 0, 0, -2]


def test_the_same_compiled() -> None:
    rng = np.random.default_rng(3)
    kernel = compiled(scale_by)
    for _ in range(300):
        rules = scaling_rules(*(int(n) for n in (rng.integers(1, 9), 1, rng.integers(1, 30), 1, rng.integers(0, 40))))
        assert len(rules) == SCALING_FIELDS
        flat, watch, same = np.array(rules), [0] * WATCH_FIELDS, np.zeros(WATCH_FIELDS, np.int64)
        for now in range(1, 60):
            load, serving, starting = (int(n) for n in rng.integers(0, 40, 3))
            one = scale_by(rules, 0, watch, 0, load, serving, starting, now)
            assert one == kernel.scale_by(flat, 0, same, 0, load, serving, starting, now)
        assert same.tolist() == watch


def test_every_mistake_in_the_rules_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"(?s)target is 0.*least is 5.*calm_ms is -1") as told:
        scaling_rules(0, 5, 4, 1, -1)
    assert "most" not in str(told.value)
