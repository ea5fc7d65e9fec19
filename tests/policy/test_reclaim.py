"""What a pool that goes may do next, and what becomes of its requests: against tables of what makes sense."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.compiled import compiled
from ampacity.policy.line import CAME_MOST_MS, TIERS_MOST
from ampacity.policy.reclaim import (
    CUT,
    MOVES_AWAY,
    P_DEADLINE_MS,
    P_STATE,
    POOL_DRAINING,
    POOL_FIELDS,
    POOL_GONE,
    POOL_HELD,
    POOL_OPEN,
    STAYS,
    drain_pool,
    end_drain,
    fate,
    gone_at_ms,
    hold_pool,
    moving_order,
    past_deadline,
    reopen_pool,
    takes_new,
)
from ampacity.policy.stores import FOREVER

NOW_MS = 1_795_424_700_000
AT = 3  # numbers that lie before the pool's


class Story:
    """What a pool was told and when, in words; what it is now follows from reading it."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def is_(self, now: int) -> tuple[str, int | None]:
        """Its state and its deadline."""
        state, deadline = "open", None
        for verb, at, until in self.told:
            if state == "drains" and deadline is not None and at >= deadline:
                return "gone", deadline
            if verb == "hold" and state == "open":
                state = "held"
            elif verb == "drain":
                state, deadline = "drains", max(at, until)
            elif verb == "reopen":
                state, deadline = "open", None
        return ("gone", deadline) if deadline is not None and now >= deadline else (state, deadline)


VERBS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 40, 100]),
        st.sampled_from(["hold", "drain", "reopen", "look"]),
        st.sampled_from([-50, 0, 1, 60, 100, 10**9]),
    ),
    max_size=25,
)


@given(VERBS)
def test_a_pool_is_what_it_was_told_to_be(verbs: list[tuple[int, str, int]]) -> None:
    pools, story, now, ended = [-9] * AT + [0] * POOL_FIELDS, Story(), NOW_MS, 0
    for later, verb, within in verbs:
        now += later
        was = story.is_(now)
        story.told.append((verb, now, now + within))
        changes = story.is_(now) != was and was[0] != "gone"
        if verb == "hold":
            assert hold_pool(pools, AT) == changes
        elif verb == "drain":
            assert drain_pool(pools, AT, now + within, now) == changes
        elif verb == "reopen":
            assert reopen_pool(pools, AT, now) == changes
        elif end_drain(pools, AT, now):
            ended += 1
        state, deadline = story.is_(now)
        assert takes_new(pools, AT) == (state == "open")
        assert past_deadline(pools, AT, now) == (state == "gone")
        assert gone_at_ms(pools, AT) == (FOREVER if deadline is None else deadline)
    end_first, end_again = end_drain(pools, AT, now), end_drain(pools, AT, now)
    assert ended + end_first == (story.is_(now)[0] == "gone")
    assert not end_again
    assert pools[:AT] == [-9] * AT


# what each verb makes of each state, at an instant before the deadline of one that drains; None: it makes no sense
TABLE = {
    ("hold", POOL_OPEN): POOL_HELD,
    ("hold", POOL_HELD): None,
    ("hold", POOL_DRAINING): None,
    ("hold", POOL_GONE): None,
    ("drain", POOL_OPEN): POOL_DRAINING,
    ("drain", POOL_HELD): POOL_DRAINING,
    ("drain", POOL_DRAINING): POOL_DRAINING,
    ("drain", POOL_GONE): None,
    ("reopen", POOL_OPEN): None,
    ("reopen", POOL_HELD): POOL_OPEN,
    ("reopen", POOL_DRAINING): POOL_OPEN,
    ("reopen", POOL_GONE): None,
    ("end", POOL_OPEN): None,
    ("end", POOL_HELD): None,
    ("end", POOL_DRAINING): None,
    ("end", POOL_GONE): None,
}


@pytest.mark.parametrize(("verb", "state"), TABLE)
def test_what_makes_no_sense_changes_nothing_and_says_so(verb: str, state: int) -> None:
    deadline = {POOL_DRAINING: NOW_MS + 100, POOL_GONE: NOW_MS - 100}.get(state, 0)
    pools = [state, deadline]
    did = {
        "hold": lambda: hold_pool(pools, 0),
        "drain": lambda: drain_pool(pools, 0, NOW_MS + 500, NOW_MS),
        "reopen": lambda: reopen_pool(pools, 0, NOW_MS),
        "end": lambda: end_drain(pools, 0, NOW_MS),
    }[verb]()
    becomes = TABLE[verb, state]
    assert did == (becomes is not None)
    assert pools == ([state, deadline] if becomes is None else [becomes, NOW_MS + 500 if verb == "drain" else 0])


def test_a_deadline_may_be_brought_forward_and_put_off_until_it_has_passed() -> None:
    pools = [0] * POOL_FIELDS
    assert drain_pool(pools, 0, FOREVER, NOW_MS)  # no day is named yet
    assert [drain_pool(pools, 0, NOW_MS + ms, NOW_MS) for ms in (1000, 300, 300, 700)] == [True, True, False, True]
    assert gone_at_ms(pools, 0) == NOW_MS + 700
    assert not past_deadline(pools, 0, NOW_MS + 699)
    assert past_deadline(pools, 0, NOW_MS + 700)
    assert not drain_pool(pools, 0, NOW_MS + 5000, NOW_MS + 700)
    assert not reopen_pool(pools, 0, NOW_MS + 700)
    assert not end_drain(pools, 0, NOW_MS + 699)
    assert [end_drain(pools, 0, NOW_MS + ms) for ms in (700, 701)] == [True, False]
    assert not drain_pool(pools, 0, NOW_MS + 5000, NOW_MS)  # a clock that steps back brings nothing back
    assert pools == [POOL_GONE, NOW_MS + 700]


def test_a_reclaim_without_notice_is_a_drain_whose_deadline_is_now() -> None:
    pools = [0] * POOL_FIELDS
    assert drain_pool(pools, 0, NOW_MS - 3_600_000, NOW_MS)
    assert gone_at_ms(pools, 0) == NOW_MS
    assert end_drain(pools, 0, NOW_MS)
    assert {fate(begun, ms, gone_at_ms(pools, 0), NOW_MS) for begun, ms in product((0, 1), (-5, 0, 9))} == {
        MOVES_AWAY,
        CUT,
    }


@given(st.booleans(), st.integers(-5, 50), st.integers(-5, 50), st.integers(0, 20))
def test_who_ends_in_time_stays_and_of_the_others_only_who_has_begun_is_cut(
    begun: bool, remaining: int, left: int, more: int
) -> None:
    ends = NOW_MS + max(remaining, 0)
    found = fate(begun, remaining, NOW_MS + left, NOW_MS)
    in_time = left > 0 and ends in range(NOW_MS, NOW_MS + left + 1)
    assert found == (STAYS if in_time else (MOVES_AWAY, CUT)[begun])
    later = fate(begun, remaining, NOW_MS + left + more, NOW_MS)  # put off: nobody is worse for it
    assert later in (found, STAYS)


def test_nobody_leaves_a_pool_that_nobody_takes() -> None:
    pools = [0] * POOL_FIELDS
    hold_pool(pools, 0)
    for begun, remaining in product((False, True), (0, 2**62)):
        assert fate(begun, remaining, gone_at_ms(pools, 0), 0) == STAYS
    assert (pools[P_STATE], pools[P_DEADLINE_MS]) == (POOL_HELD, 0)


@given(st.lists(st.tuples(st.integers(0, TIERS_MOST - 1), st.integers(0, CAME_MOST_MS - 1)), max_size=20))
def test_the_first_tier_moves_first_and_in_a_tier_who_came_first(those: list[tuple[int, int]]) -> None:
    assert sorted(those, key=lambda one: moving_order(*one)) == sorted(those)


def test_the_same_compiled() -> None:
    kernel = compiled(hold_pool, drain_pool, reopen_pool, end_drain, takes_new, gone_at_ms, fate, moving_order)
    rng = np.random.default_rng(6)
    pools, same, now = [0] * (3 * POOL_FIELDS), np.zeros(3 * POOL_FIELDS, np.int64), NOW_MS
    seen = set()
    for _ in range(3_000):
        now += int(rng.integers(0, 50))
        p, verb, deadline = (int(n) for n in (rng.integers(0, 3) * POOL_FIELDS, rng.integers(0, 5), 0))
        deadline = now + int(rng.integers(-20, 400))
        if verb == 0:
            did = hold_pool(pools, p), kernel.hold_pool(same, p)
        elif verb == 1:
            did = drain_pool(pools, p, deadline, now), kernel.drain_pool(same, p, deadline, now)
        elif verb == 2:
            did = reopen_pool(pools, p, now), kernel.reopen_pool(same, p, now)
        elif end_drain(pools, p, now):
            did = True, kernel.end_drain(same, p, now)
            pools[p : p + POOL_FIELDS] = same[p : p + POOL_FIELDS] = [0] * POOL_FIELDS
        else:
            did = False, kernel.end_drain(same, p, now)
        seen.add((verb, did[0]))
        assert did[0] == did[1]
        assert same.tolist() == pools
        assert takes_new(pools, p) == kernel.takes_new(same, p)
        gone = gone_at_ms(pools, p)
        assert gone == kernel.gone_at_ms(same, p)
        assert fate(verb > 1, deadline - now, gone, now) == kernel.fate(verb > 1, deadline - now, gone, now)
        assert moving_order(verb, now) == kernel.moving_order(verb, now)
    assert len(seen) >= 8
