"""A session's home is drawn by share, moves only when it must, and is left only while it carries too much."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import log2

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from ampacity.policy.homes import LOG_BITS, _rarity, home_of, home_within, nearer
from ampacity.policy.mixing import HALF_MASK, MIXED_MASK, mixed, score
from ampacity.policy.routing import (
    NOBODY,
    R_BACKLOG,
    R_NAME,
    R_OUT_UNTIL_MS,
    R_REQUESTS,
    R_SHARE,
    REPLICA_FIELDS,
    replica_rows,
)

NOW_MS = 1_795_424_700_000
SESSIONS = [mixed(n) for n in range(8000)]


def homes(cell: list[int], sessions: list[int] = SESSIONS) -> list[int]:
    count = len(cell) // REPLICA_FIELDS
    return [home_of(cell, 0, count, session, NOW_MS) for session in sessions]


@given(st.lists(st.integers(0, MIXED_MASK), unique=True, max_size=50))
def test_no_two_numbers_are_mixed_into_one(numbers: list[int]) -> None:
    out = [mixed(n) for n in numbers]
    assert len(set(out)) == len(out)
    assert all(0 <= n <= MIXED_MASK for n in out)


def test_one_bit_of_a_number_changes_half_of_the_mixed_one() -> None:
    changed = [(mixed(n) ^ mixed(n ^ (1 << bit))).bit_count() for n in range(200) for bit in range(62)]
    assert sum(changed) / len(changed) == pytest.approx(31, rel=0.01)
    assert min(changed) > 8


def test_scores_are_spread_evenly_and_those_of_two_replicas_are_independent() -> None:
    one, other = mixed(1), mixed(2)
    sixteenth = [16 * score(s, one) // (HALF_MASK + 1) for s in SESSIONS]
    assert chisquare(list(Counter(sixteenth).values())).pvalue > 0.001
    table = Counter((a // 4, 4 * score(s, other) // (HALF_MASK + 1)) for a, s in zip(sixteenth, SESSIONS, strict=True))
    assert chi2_contingency([[table[a, b] for b in range(4)] for a in range(4)]).pvalue > 0.001


@pytest.mark.parametrize("shares", [[256] * 12, [256, 128, 0, 64, 256], [1, 255]])
def test_each_replica_is_home_to_its_share_of_sessions(shares: list[int]) -> None:
    cell = replica_rows(range(len(shares)), 1000)
    cell[R_SHARE::REPLICA_FIELDS] = shares
    found = Counter(homes(cell))
    assert set(found) == {i for i, share in enumerate(shares) if share}
    expected = [len(SESSIONS) * share / sum(shares) for share in shares if share]
    assert chisquare([found[i] for i in sorted(found)], expected).pvalue > 0.001


@pytest.mark.parametrize("how", ["gone", "ejected"])
def test_when_a_replica_goes_only_its_own_sessions_move_over_all_others_and_they_come_back(how: str) -> None:
    cell = replica_rows(range(10), 1000)
    cell[3 * REPLICA_FIELDS + R_SHARE] = 128
    before = homes(cell)
    without = list(cell)
    if how == "gone":
        without[7 * REPLICA_FIELDS + R_SHARE] = 0
    else:
        without[7 * REPLICA_FIELDS + R_OUT_UNTIL_MS] = NOW_MS + 1
    after = homes(without)
    assert all(b == a for b, a in zip(before, after, strict=True) if b != 7)
    moved = Counter(a for b, a in zip(before, after, strict=True) if b == 7)
    assert sum(moved.values()) == before.count(7)
    shares = [128 if i == 3 else 256 for i in range(10) if i != 7]
    expected = [sum(moved.values()) * share / sum(shares) for share in shares]
    assert chisquare([moved[i] for i in range(10) if i != 7], expected).pvalue > 0.001
    # back again: each session asks only whether the replica that returned is nearer than its present home
    row = 7 * REPLICA_FIELDS
    back = [
        7 if nearer(cell, row, a * REPLICA_FIELDS, session) else a for a, session in zip(after, SESSIONS, strict=True)
    ]
    assert back == before


def test_homes_do_not_depend_on_where_rows_lie() -> None:
    cell = replica_rows(range(10), 1000)
    for i in range(10):
        cell[i * REPLICA_FIELDS + R_SHARE] = 25 * (i + 1)
    rows = [cell[i * REPLICA_FIELDS : (i + 1) * REPLICA_FIELDS] for i in range(10)]
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
    turned = [n for i in order for n in rows[i]]
    assert [order[h] for h in homes(turned, SESSIONS[:1500])] == homes(cell, SESSIONS[:1500])


LOADS = st.lists(
    st.tuples(st.sampled_from([0, 1, 128, 256]), st.one_of(st.integers(0, 5), st.integers(0, 2**32))),
    min_size=1,
    max_size=12,
)


@given(
    LOADS,
    st.sampled_from(SESSIONS),
    st.sampled_from([100, 125, 200, 1024]),
    st.integers(1, 2**32),
    st.sampled_from([R_REQUESTS, R_BACKLOG]),
)
def test_a_session_goes_to_its_highest_score_among_replicas_within_the_bound(
    loads: list[tuple[int, int]], session: int, percent: int, adding: int, by: int
) -> None:
    cell = replica_rows(range(len(loads)), 1000)
    for i, (share, load) in enumerate(loads):
        cell[i * REPLICA_FIELDS + R_SHARE], cell[i * REPLICA_FIELDS + by] = share, load
    open_ones = [i for i, (share, _) in enumerate(loads) if share]
    total, shares = sum(loads[i][1] for i in open_ones) + adding, sum(loads[i][0] for i in open_ones)
    within = list(cell)
    for i in open_ones:
        if Fraction(loads[i][1], loads[i][0]) >= Fraction(percent, 100) * Fraction(total, shares):
            within[i * REPLICA_FIELDS + R_SHARE] = 0
    chosen = home_within(cell, 0, len(loads), session, by, adding, percent, NOW_MS)
    assert chosen == home_of(within, 0, len(loads), session, NOW_MS)
    assert (chosen == NOBODY) == (not open_ones)


def test_who_carries_the_mean_with_the_request_or_more_is_passed_over() -> None:
    cell = replica_rows(range(2), 1000)
    session = next(s for s in SESSIONS if home_of(cell, 0, 2, s, NOW_MS) == 0)
    cell[R_REQUESTS], cell[REPLICA_FIELDS + R_REQUESTS] = 4, 3
    assert home_within(cell, 0, 2, session, R_REQUESTS, 1, 100, NOW_MS) == 1  # 4 is the mean of 4 + 3 + 1
    assert home_within(cell, 0, 2, session, R_REQUESTS, 2, 100, NOW_MS) == 0
    assert home_within(cell, 0, 2, session, R_REQUESTS, 1, 101, NOW_MS) == 0


def test_under_the_bound_nobody_moves_and_above_it_no_replica_carries_more_than_it() -> None:
    cell = replica_rows(range(16), 1000)
    sessions = SESSIONS[:400]
    at_home = 0
    for session in sessions:
        chosen = home_within(cell, 0, 16, session, R_REQUESTS, 1, 125, NOW_MS)
        at_home += chosen == home_of(cell, 0, 16, session, NOW_MS)
        cell[chosen * REPLICA_FIELDS + R_REQUESTS] += 1
    assert max(cell[R_REQUESTS::REPLICA_FIELDS]) <= -(-400 * 125 // (100 * 16))
    assert at_home > 0.75 * len(sessions)


@given(st.integers(0, HALF_MASK))
def test_a_rarity_is_a_logarithm(drawn: int) -> None:
    assert _rarity(drawn) / 2**LOG_BITS == pytest.approx(31 - log2(drawn + 1), abs=2**-LOG_BITS * 1.01)


@given(st.integers(0, HALF_MASK), st.integers(0, HALF_MASK))
def test_a_higher_score_is_never_rarer_in_the_wrong_direction(one: int, other: int) -> None:
    assume(one != other)
    assert (_rarity(max(one, other))) <= _rarity(min(one, other))


def test_names_that_were_counted_are_mixed_when_rows_are_made() -> None:
    assert replica_rows([5], 1)[R_NAME] == mixed(5)
