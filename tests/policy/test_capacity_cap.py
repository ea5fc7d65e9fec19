"""Hourly caps against a log of what was taken when; and all or none together with a subscriber's limits."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.compiled import compiled
from ampacity.policy.book import HELD_FIELDS, STATE_FIELDS, compile_book
from ampacity.policy.capacity_cap import (
    CAP_MOST,
    CAPPED,
    CURVE_FIELDS,
    IN_HOUR,
    TAKEN_FIELDS,
    TOKENS_TAKEN,
    cap_in,
    cap_left,
    compile_caps,
    correct_cap,
    fits_cap_from_ms,
    hour_of,
    reserve_capped,
)
from ampacity.policy.limits import hold
from ampacity.policy.rows import AT_FIRST_USE, ONE_REQUEST, WindowRule
from ampacity.policy.stores import FOREVER
from ampacity.scenario.capacity_curve import CapacityCurve

HOUR_MS = 3_600_000
START_S = 1_795_424_400
START_MS = START_S * 1000


def curve(sizes: tuple[int, ...], pool: str = "here") -> CapacityCurve:
    return CapacityCurve("pro", pool, START_S, sizes, tuple(0 for _ in sizes), tuple(0 for _ in sizes))


class Capped:
    """One subscriber under one limit of requests, and one cap, the second in its table."""

    def __init__(self, sizes: tuple[int, ...], requests: int = 10**6, number: Any = int) -> None:
        self.caps = [number(n) for n in compile_caps([curve((5,), "elsewhere"), curve(sizes)])]
        self.taken = [number(0)] * (2 * TAKEN_FIELDS)
        book = compile_book({"l": [WindowRule("requests", requests * 1000, AT_FIRST_USE, HOUR_MS, ONE_REQUEST)]})
        self.book, self.limit, self.plan = book.flat, book.limit("l"), book.plan("l")
        self.state, self.held = [0] * STATE_FIELDS, [0] * HELD_FIELDS
        self.number = number

    def ask(self, tokens: int, now_ms: int) -> int:
        now = self.number(now_ms)
        hold(self.state, 0, self.book, self.limit, self.plan, self.held, 0, now_ms, FOREVER, 0, 0)
        where = self.state, self.book, self.held, 0, 1, self.caps, CURVE_FIELDS, self.taken, TAKEN_FIELDS
        return reserve_capped(*where, self.number(tokens), now, 0)

    def left(self, now_ms: int) -> int:
        return cap_left(self.caps, CURVE_FIELDS, self.taken, TAKEN_FIELDS, now_ms)

    def fits_from(self, tokens: int, now_ms: int) -> int:
        return fits_cap_from_ms(self.caps, CURVE_FIELDS, self.taken, TAKEN_FIELDS, tokens, now_ms)


@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, HOUR_MS), st.integers(-40, 40), st.booleans()), min_size=9),
)
def test_what_passes_in_an_hour_is_what_a_log_of_it_lets_pass(
    sizes: list[int], told: list[tuple[int, int, int, bool]]
) -> None:
    c = Capped(tuple(sizes))
    log: dict[int, int] = defaultdict(int)
    open_requests: list[tuple[int, int]] = []
    now = START_MS
    for tokens, ms, change, settles in told:
        now += ms
        hour = (now - START_MS) // HOUR_MS
        size = sizes[min(hour, len(sizes) - 1)]
        assert c.left(now) == size - log[hour]
        found = c.ask(tokens, now)
        assert found == (0 if tokens <= size - log[hour] else CAPPED)
        if found == 0:
            log[hour] += tokens
            open_requests.append((hour, tokens))
        if settles and open_requests:
            in_hour, reserved = open_requests.pop(0)
            correct_cap(c.taken, TAKEN_FIELDS, in_hour + 1, reserved, max(0, reserved + change))
            log[in_hour] += max(0, reserved + change) - reserved
    assert c.taken[:TAKEN_FIELDS] == [0, 0]  # the other cap's row


def test_a_refusal_of_either_writes_nothing() -> None:
    c = Capped((100, 100), requests=2)
    assert c.ask(80, START_MS) == 0
    before = list(c.state), list(c.taken)
    assert c.ask(21, START_MS + 1) == CAPPED
    assert (c.state, c.taken) == before
    assert c.ask(20, START_MS + 2) == 0
    before = list(c.state), list(c.taken)
    assert c.ask(0, START_MS + 3) > 0  # the window of requests
    assert (c.state, c.taken) == before


def test_where_both_refuse_it_is_the_subscribers_own_limit_that_is_told() -> None:
    c = Capped((10,), requests=1)
    assert c.ask(10, START_MS) == 0
    assert c.ask(10, START_MS + 1) > 0


def test_more_than_was_reserved_is_debt_until_the_hour_is_over() -> None:
    c = Capped((100, 70))
    c.ask(50, START_MS)
    correct_cap(c.taken, TAKEN_FIELDS, c.taken[TAKEN_FIELDS + IN_HOUR], 50, 130)
    assert c.left(START_MS + 5) == -30
    assert c.left(START_MS + HOUR_MS) == 70


def test_it_is_told_when_enough_returns() -> None:
    c = Capped((100, 30, 60, 90))
    c.ask(100, START_MS + 5)
    assert c.fits_from(0, START_MS + 7) == START_MS + 7
    assert c.fits_from(30, START_MS + 7) == START_MS + HOUR_MS
    assert c.fits_from(80, START_MS + 7) == START_MS + 3 * HOUR_MS
    assert c.fits_from(91, START_MS + 7) == FOREVER


def test_a_clock_that_steps_back_opens_no_new_hour() -> None:
    c = Capped((100, 100))
    assert c.ask(100, START_MS + HOUR_MS) == 0
    assert c.ask(1, START_MS + HOUR_MS - 1) == CAPPED
    assert c.fits_from(1, START_MS + HOUR_MS - 1) == START_MS + 2 * HOUR_MS
    c = Capped((100, 100))
    assert c.ask(60, START_MS + HOUR_MS) == c.ask(10, START_MS + HOUR_MS - 1) == 0
    assert c.left(START_MS + HOUR_MS) == 30


def test_what_is_settled_after_its_hour_leaves_the_new_one_alone() -> None:
    c = Capped((100, 100))
    c.ask(60, START_MS)
    hour = c.taken[TAKEN_FIELDS + IN_HOUR]
    c.ask(20, START_MS + HOUR_MS)
    correct_cap(c.taken, TAKEN_FIELDS, hour, 60, 90)
    assert c.left(START_MS + HOUR_MS) == 80


def test_after_the_last_hour_the_last_week_returns_or_the_last_hour_of_a_shorter_curve() -> None:
    caps = compile_caps([curve(tuple(range(200))), curve((7, 8))])
    assert [cap_in(caps, 0, hour) for hour in (1, 200, 201, 200 + 168, 201 + 168)] == [0, 199, 32, 199, 32]
    assert cap_in(caps, CURVE_FIELDS, 1000) == 8
    assert hour_of(caps, 0, START_MS - 10**9) == 1


def test_no_number_passes_63_bits_at_the_largest_caps(watched: Any) -> None:
    c = Capped((CAP_MOST,), number=watched)
    for tokens in (2**62, 2**36 - 1, -5):
        assert c.ask(tokens, START_MS) == 0
    for _ in range(100):
        correct_cap(c.taken, TAKEN_FIELDS, watched(1), watched(0), watched(2**62))
    c.taken[TAKEN_FIELDS + TOKENS_TAKEN] = watched(2**62)
    correct_cap(c.taken, TAKEN_FIELDS, watched(1), watched(0), watched(2**62))
    assert c.taken[TAKEN_FIELDS + TOKENS_TAKEN] == 2**62
    assert c.left(2**43) >= 0


def test_curves_that_cannot_be_are_told_all_at_once() -> None:
    with pytest.raises(ValueError) as told:
        compile_caps([curve(()), curve((1, -1), "there")])
    assert str(told.value).splitlines() == [
        "curve of pro on here: no hours, expected at least one",
        f"curve of pro on there, hour 1: -1 tokens, expected 0 to {CAP_MOST}",
    ]


def test_a_cap_of_nothing_lets_nothing_pass() -> None:
    assert Capped((0,)).ask(1, START_MS) == CAPPED


def drive(ops, caps, taken, state, book, limit, plan, held, out):
    """Ask and correct; `out` gets what is answered, and when enough returns."""
    now = ops[0]
    for n in range(len(out) // 2):
        now += ops[3 * n + 1]
        hold(state, 0, book, limit, plan, held, 0, now, now, 0, 0)
        out[2 * n] = reserve_capped(state, book, held, 0, 1, caps, 3, taken, 2, ops[3 * n + 2], now, 0)
        if out[2 * n] == 0:
            correct_cap(taken, 2, taken[2], ops[3 * n + 2], ops[3 * n + 3])
        out[2 * n + 1] = fits_cap_from_ms(caps, 3, taken, 2, ops[3 * n + 2], now)


@pytest.mark.slow
def test_caps_decide_alike_interpreted_and_compiled() -> None:
    rng = np.random.default_rng(1)
    asked = np.stack([rng.integers(-500, 60_000, 20_000), *rng.integers(0, 2000, (2, 20_000))], axis=1)
    sizes = tuple(int(n) for n in rng.integers(0, 120_000, 50))
    results = []
    for function, make in ((drive, list), (compiled(drive).drive, lambda row: np.array(row, np.int64))):
        c = Capped(sizes, requests=40)
        rows = [make(row) for row in (c.caps, c.taken, c.state, c.book)]
        out = make([0] * 40_000)
        function(make([START_MS, *asked.ravel().tolist()]), *rows, c.limit, c.plan, make(c.held), out)
        results.append(list(out))
    assert results[0] == results[1]
    answers = results[0][::2]
    assert min(answers.count(0), answers.count(CAPPED), sum(a > 0 for a in answers)) > 1000
