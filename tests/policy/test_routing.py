"""A replica is chosen as brute force with fractions would choose it, and nobody is the busiest for being the first."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from ampacity.policy.mixing import MIXED_MASK, mixed
from ampacity.policy.routing import (
    BACKLOG_MOST,
    MOVE_MOST_NS,
    NOBODY,
    PACE_MOST_NS,
    R_BACKLOG,
    R_FULL,
    R_OUT_UNTIL_MS,
    R_PACE_NS,
    R_REQUESTS,
    R_SHARE,
    R_STALL_NS,
    REPLICA_FIELDS,
    STALL_MOST_NS,
    TIMES_MOST,
    WHOLE_SHARE,
    at_random,
    better_of_two,
    has_room,
    in_turn,
    late_bound,
    least,
    note_computed,
    note_ended,
    note_sent,
    replica_rows,
    soonest,
    wait_ns,
)

NOW_MS = 1_795_424_700_000
DRAWS = st.integers(0, MIXED_MASK)
# few different values, so that many are equal; and the largest
FEW = st.sampled_from([0, 1, 2, 3, 1000])
REPLICAS = st.tuples(
    st.sampled_from([0, 1, 64, 128, WHOLE_SHARE]),
    st.sampled_from([0, 0, 0, NOW_MS, NOW_MS + 1]),
    st.one_of(FEW, st.integers(0, 10**6)),
    st.one_of(FEW, st.integers(0, BACKLOG_MOST)),
    st.one_of(FEW, st.integers(0, STALL_MOST_NS)),
    st.sampled_from([1, 2, 1000, PACE_MOST_NS]),
    st.sampled_from([0, 0, 0, 1]),
)
FULL = 6  # of the tuple
CELLS = st.lists(REPLICAS, min_size=1, max_size=9)
BEFORE = 3  # numbers that lie in the array before the cell


def laid_out(replicas: list[tuple[int, ...]]) -> list[int]:
    rows = [-7] * BEFORE
    for i, fields in enumerate(replicas):
        rows += [*fields[:FULL], mixed(i), fields[FULL]]
    return rows


def open_ones(replicas: list[tuple[int, ...]]) -> list[int]:
    return [i for i, r in enumerate(replicas) if serving(r) and not r[FULL]]


def serving(replica: tuple[int, ...]) -> bool:
    return replica[R_SHARE] > 0 and replica[R_OUT_UNTIL_MS] <= NOW_MS


def first_from(start: int, count: int, best: list[int]) -> int:
    """Of equals the first from `start` on, around the cell."""
    return min(best, key=lambda i: (i - start) % count, default=NOBODY)


def cheapest(candidates: list[int], price: Any) -> list[int]:
    return [i for i in candidates if price(i) == min(price(j) for j in candidates)]


@given(CELLS, st.sampled_from([R_REQUESTS, R_BACKLOG]), DRAWS)
def test_the_least_loaded_for_its_share_is_chosen_and_of_equals_the_first_from_the_start(
    replicas: list[tuple[int, ...]], by: int, start: int
) -> None:
    best = cheapest(open_ones(replicas), lambda i: Fraction(replicas[i][by], replicas[i][R_SHARE]))
    chosen = least(laid_out(replicas), BEFORE, len(replicas), by, NOW_MS, start)
    assert chosen == first_from(start, len(replicas), best)


def test_a_session_moves_with_its_cache_where_that_is_quicker_than_waiting_and_waiting_than_recomputing() -> None:
    cell = replica_rows(range(3), 100_000)
    cell[R_STALL_NS] = 5_000_000_000

    def chosen(move_ns: int, times: int) -> int:
        return late_bound(cell, 0, 3, 0, 57_000, 0, move_ns, times, 60_000, NOW_MS, 2)

    assert chosen(MOVE_MOST_NS, 1) == 0  # recomputing takes 5.7 s
    assert chosen(100_000_000, 1) == 2  # moving takes 0.1 s
    assert chosen(2_600_000_000, 1) == 2
    assert chosen(2_600_000_000, 2) == 0  # twice 2.6 s
    cell[R_STALL_NS] = 5_700_000_001
    assert chosen(MOVE_MOST_NS, 1) == 2
    assert chosen(MOVE_MOST_NS, 2) == 0


def test_a_full_home_takes_whoever_has_context_there_and_nobody_else() -> None:
    cell = replica_rows([0, 1], 1000)
    cell[R_FULL] = 1

    def chosen(at_home: int, elsewhere: int) -> int:
        return late_bound(cell, 0, 2, 0, at_home, elsewhere, MOVE_MOST_NS, 2, 100_000, NOW_MS, 0)

    assert chosen(90_000, 0) == 0
    assert chosen(90_000, 90_000) == 1  # what everybody shares is everywhere
    cell[R_SHARE] = 0  # drained
    assert chosen(90_000, 0) == 1


TIMES = st.sampled_from([1, 2, TIMES_MOST])


@given(CELLS, st.lists(st.integers(0, 10**6), min_size=9, max_size=9), st.integers(0, 10**6), TIMES, DRAWS)
def test_where_wait_and_uncached_prefill_are_least_is_soonest(
    replicas: list[tuple[int, ...]], cached: list[int], tokens: int, times: int, start: int
) -> None:
    def total(i: int) -> int:
        _, _, _, backlog, stall, pace, _ = replicas[i]
        return stall + backlog * pace + times * max(tokens - cached[i], 1) * pace

    best = cheapest(open_ones(replicas), total)
    cell = laid_out(replicas)
    chosen = soonest(cell, BEFORE, len(replicas), [99, *cached], 1, times, tokens, NOW_MS, start)
    assert chosen == first_from(start, len(replicas), best)


@given(CELLS, st.integers(-1, 8), st.data(), TIMES, DRAWS)
def test_a_session_leaves_home_only_for_a_wait_beyond_recomputing_or_moving_and_goes_where_it_is_served_soonest(
    replicas: list[tuple[int, ...]], home: int, data: st.DataObject, times: int, start: int
) -> None:
    home = min(home, len(replicas) - 1)
    tokens = data.draw(st.integers(0, 10**6))
    elsewhere = data.draw(st.integers(0, tokens))
    at_home = data.draw(st.integers(elsewhere, tokens)) if home != NOBODY else elsewhere
    move = data.draw(st.sampled_from([0, 1000, 10**9, MOVE_MOST_NS]))
    kept, fresh = max(tokens - at_home, 1), max(tokens - elsewhere, 1)

    def wait(i: int) -> int:
        return replicas[i][R_STALL_NS] + replicas[i][R_BACKLOG] * replicas[i][R_PACE_NS]

    def total(i: int) -> int:
        pace = replicas[i][R_PACE_NS]
        if i == home:
            return wait(i) + times * kept * pace
        return wait(i) + times * (min(fresh * pace, move + kept * pace) if home != NOBODY else fresh * pace)

    candidates = open_ones(replicas)
    if home != NOBODY and at_home > elsewhere and serving(replicas[home]) and home not in candidates:
        candidates = sorted([*candidates, home])  # full, but it has context there
    if home in candidates and wait(home) <= times * min((fresh - kept) * replicas[home][R_PACE_NS], move):
        expected = home
    else:
        best = cheapest(candidates, total)
        expected = home if home in best else first_from(start, len(replicas), best)
    cell = laid_out(replicas)
    chosen = late_bound(cell, BEFORE, len(replicas), home, at_home, elsewhere, move, times, tokens, NOW_MS, start)
    assert chosen == expected


@given(CELLS, DRAWS, st.sampled_from([R_REQUESTS, R_BACKLOG]))
def test_chance_turn_and_two_choices_give_only_replicas_that_take_requests(
    replicas: list[tuple[int, ...]], draw: int, by: int
) -> None:
    cell, count, can = laid_out(replicas), len(replicas), open_ones(replicas) or [NOBODY]
    one, other = at_random(cell, BEFORE, count, NOW_MS, draw), at_random(cell, BEFORE, count, NOW_MS, mixed(draw + 1))
    assert {one, other} <= set(can)
    turn = in_turn(cell, BEFORE, count, NOW_MS, draw % 10**6)
    assert (turn % count if turn != NOBODY else NOBODY) in can
    chosen = better_of_two(cell, BEFORE, count, by, NOW_MS, draw)
    if one != NOBODY:
        assert chosen in cheapest([one, other], lambda i: Fraction(replicas[i][by], replicas[i][R_SHARE]))
    else:
        assert chosen == NOBODY


@given(CELLS, st.integers(0, 2 * STALL_MOST_NS))
def test_there_is_room_where_some_replica_begins_in_time(replicas: list[tuple[int, ...]], most_ns: int) -> None:
    cell = laid_out(replicas)
    waits = [wait_ns(cell, BEFORE + i * REPLICA_FIELDS) for i in open_ones(replicas)]
    assert has_room(cell, BEFORE, len(replicas), most_ns, NOW_MS) == (min(waits, default=most_ns + 1) <= most_ns)


def chosen_by_chance(shares: list[int], draws: int) -> list[int]:
    cell = replica_rows(range(len(shares)), 1000)
    cell[R_SHARE::REPLICA_FIELDS] = shares
    chosen = Counter(at_random(cell, 0, len(shares), NOW_MS, mixed(n)) for n in range(draws))
    return [chosen[i] for i in range(len(shares))]


@pytest.mark.parametrize("shares", [[256] * 7, [256, 128, 0, 64, 256], [3, 0, 0, 0, 0, 0, 0, 1]])
def test_chance_gives_each_replica_its_share(shares: list[int]) -> None:
    counts = chosen_by_chance(shares, 30_000)
    assert [n for n, share in zip(counts, shares, strict=True) if share == 0] == [0] * shares.count(0)
    expected = [30_000 * share / sum(shares) for share in shares if share]
    assert chisquare([n for n in counts if n], expected).pvalue > 0.001


def turns_taken(cell: list[int], count: int, requests: int) -> list[int]:
    turns, chosen = 0, []
    for _ in range(requests):
        turn = in_turn(cell, 0, count, NOW_MS, turns)
        chosen.append(turn % count)
        turns = turn + 1
    return chosen


def test_whole_replicas_take_turns_and_a_half_one_takes_every_other() -> None:
    cell = replica_rows(range(3), 1000)
    assert turns_taken(cell, 3, 7) == [0, 1, 2, 0, 1, 2, 0]
    cell[REPLICA_FIELDS + R_SHARE] = WHOLE_SHARE // 2
    assert Counter(turns_taken(cell, 3, 1000)) == {0: 400, 1: 200, 2: 400}


def test_a_cell_of_small_shares_only_is_served_all_the_same() -> None:
    cell = replica_rows(range(3), 1000)
    cell[R_SHARE::REPLICA_FIELDS] = [1, 1, 1]
    assert set(turns_taken(cell, 3, 30)) == {0, 1, 2}


def test_replica_0_is_not_favoured_among_equals() -> None:
    cell = replica_rows(range(8), 1000)
    chosen = Counter(least(cell, 0, 8, R_BACKLOG, NOW_MS, start) for start in range(800))
    assert chosen == dict.fromkeys(range(8), 100)
    chosen = Counter(late_bound(cell, 0, 8, NOBODY, 0, 0, 0, 1, 100, NOW_MS, start) for start in range(800))
    assert chosen == dict.fromkeys(range(8), 100)


def test_two_choices_leave_far_less_on_the_fullest_replica_than_one() -> None:
    def fullest(choose: Any) -> int:
        cell = replica_rows(range(64), 1000)
        for n in range(64 * 20):
            note_sent(cell, choose(cell, mixed(n)) * REPLICA_FIELDS, 100)
        return max(cell[R_REQUESTS::REPLICA_FIELDS])

    assert fullest(lambda cell, draw: at_random(cell, 0, 64, NOW_MS, draw)) > 28
    assert fullest(lambda cell, draw: better_of_two(cell, 0, 64, R_REQUESTS, NOW_MS, draw)) <= 23


@given(st.lists(st.tuples(st.sampled_from(["sent", "computed", "ended"]), st.integers(0, BACKLOG_MOST)), max_size=30))
def test_what_is_outstanding_stays_within_its_bounds_whatever_is_told(told: list[tuple[str, int]]) -> None:
    cell = replica_rows([4], 1)
    for what, tokens in told:
        if what == "sent":
            note_sent(cell, 0, tokens)
        elif what == "computed":
            note_computed(cell, 0, tokens)
        else:
            note_ended(cell, 0)
        assert 0 <= cell[R_BACKLOG] <= BACKLOG_MOST
        assert 0 <= cell[R_REQUESTS] <= len(told)


def test_what_was_sent_is_outstanding_until_it_has_been_computed_and_has_ended() -> None:
    cell = replica_rows([4, 5], 250)
    note_sent(cell, REPLICA_FIELDS, 800)
    note_sent(cell, REPLICA_FIELDS, 300)
    assert wait_ns(cell, REPLICA_FIELDS) == 1100 * 250
    note_computed(cell, REPLICA_FIELDS, 800)
    note_ended(cell, REPLICA_FIELDS)
    assert (cell[REPLICA_FIELDS + R_BACKLOG], cell[REPLICA_FIELDS + R_REQUESTS]) == (300, 1)
    assert wait_ns(cell, 0) == 0


def test_replicas_that_cannot_be_are_told_all_at_once() -> None:
    with pytest.raises(ValueError) as told:
        replica_rows([1, 1], 0)
    assert "2 replicas have 1 names" in str(told.value)
    assert "pace 0 ns a token, expected 1 to" in str(told.value)
    with pytest.raises(ValueError, match="1025 replicas in a cell, at most 1024"):
        replica_rows(range(1025), 5)


def test_columns_of_a_row_are_where_the_layout_says() -> None:
    cell = replica_rows([4], 77)
    assert (cell[R_SHARE], cell[R_PACE_NS], len(cell)) == (WHOLE_SHARE, 77, REPLICA_FIELDS)
