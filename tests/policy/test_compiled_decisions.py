"""The same source, interpreted and compiled, decides a million operations alike; and no number of it passes 63 bits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.compiled import compiled
from ampacity.policy.book import (
    HELD_FIELDS,
    LIMIT,
    MARKS,
    PLACE,
    STATE_FIELDS,
    STORE_FIELDS,
    WINDOW_COUNT,
    WINDOW_FIELDS,
    WINDOWS,
    compile_book,
    plan_of,
)
from ampacity.policy.limits import expire, hold, rebase, release, reserve, retry_at_ms, settle
from ampacity.policy.rows import (
    AT_FIRST_USE,
    COST_MOST,
    EVENLY,
    EVENLY_MOST,
    EVENLY_MS_MOST,
    NEVER,
    PEAK_MOST,
    SCALE,
    UNLIMITED,
    WEIGHT_MOST,
    Price,
    WindowRule,
)
from ampacity.policy.stores import used_now

MEMBERS, ORGANIZATIONS, SLOTS = 60, 6, 512
ASK, SETTLE, RELEASE, EXPIRE, CHANGE = range(5)
FIELDS = (
    12  # of one operation: kind, clock step, member, family, product, input, output at most, draw, four kinds of token
)


def drive(ops, fields, members, per_organization, slots, one, two, limit_m, limit_o, state, held, out, start_ms):
    """Run operations one after the other; `out` gets each one's decision, and what it left in use or when to retry."""
    now = start_ms
    book = one
    slot = 0
    for n in range(len(out) // 2):
        o = n * fields
        now += ops[o + 1]
        slot = (slot + 1) % slots
        h = slot * 2 * HELD_FIELDS
        who = ops[o + 2]
        company = (members + who // per_organization) * STATE_FIELDS
        found = 0
        more = 0
        if ops[o] == ASK:
            if held[h + LIMIT] != 0:  # its answer never came
                release(state, book, held, h, now)
                release(state, book, held, h + HELD_FIELDS, now)
            p = plan_of(book, limit_m, ops[o + 3], ops[o + 4])
            q = plan_of(book, limit_o, ops[o + 3], ops[o + 4])
            hold(state, who * STATE_FIELDS, book, limit_m, p, held, h, now, now + 600000, ops[o + 5], ops[o + 6])
            scopes = 1 + who % 2  # every other one belongs to an organization
            if scopes == 2:
                hold(state, company, book, limit_o, q, held, h + HELD_FIELDS, now, now + 600000, ops[o + 5], ops[o + 6])
            found = reserve(state, book, held, h, scopes, now, ops[o + 7])
            if found > 0:
                more = retry_at_ms(state, book, held, h, scopes, now)
                release(state, book, held, h, now)
                release(state, book, held, h + HELD_FIELDS, now)
        elif ops[o] == SETTLE:
            for i in range(2):
                if settle(
                    state, book, held, h + i * HELD_FIELDS, now, ops[o + 8], ops[o + 9], ops[o + 10], ops[o + 11]
                ):
                    found += 1
        elif ops[o] == RELEASE:
            for i in range(2):
                if release(state, book, held, h + i * HELD_FIELDS, now):
                    found += 1
        elif ops[o] == EXPIRE:
            for i in range(2 * slots):
                if expire(state, book, held, i * HELD_FIELDS, now):
                    found += 1
        else:
            new = two if ops[o + 3] == 0 else one
            for i in range(members):
                rebase(state, i * STATE_FIELDS, book, new, limit_m, now)
            for i in range(members, len(state) // STATE_FIELDS):
                rebase(state, i * STATE_FIELDS, book, new, limit_o, now)
            book = new
        if found == 0:
            w = limit_m + WINDOWS + n % book[limit_m + WINDOW_COUNT] * WINDOW_FIELDS
            more = used_now(state, who * STATE_FIELDS + book[w + PLACE], book, w, now)
        out[2 * n] = found
        out[2 * n + 1] = more


def operations(count: int, seed: int) -> np.ndarray:
    """Random operations over about a year: bursts, idle months, clocks that step back, changes of the limits."""
    rng = np.random.default_rng(seed)
    ops = np.zeros((count, FIELDS), np.int64)
    ops[:, 0] = rng.choice(5, count, p=[0.55, 0.4, 0.0494, 0.0003, 0.0003])
    pace_ms = 340 * 24 * 3_600_000 // count
    ops[:, 1] = rng.exponential(pace_ms * 0.7, count)
    ops[rng.random(count) < 3e-3, 1] *= -20
    ops[rng.choice(count, 4, replace=False), 1] += 23 * 24 * 3_600_000
    ops[:, 2] = (MEMBERS * rng.random(count) ** 3).astype(np.int64)
    ops[:, 3] = rng.integers(0, 3, count)
    ops[:, 4] = rng.integers(0, 2, count)
    ops[:, 5] = rng.lognormal(10, 1, count)
    ops[:, 6] = 8000
    ops[:, 7] = rng.integers(0, 1000, count)
    ops[:, 8:] = rng.lognormal((7.5, 5, 10, 5.5), 1.2, (count, 4))
    return ops


def run(policy: SimpleNamespace, function: Any, make: Any, ops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decisions and the state that they leave."""
    one, two = policy.Service.compile(3, None), policy.Service.compile(1, policy.Service.compile(3, None))
    state = make([0] * ((MEMBERS + ORGANIZATIONS) * STATE_FIELDS))
    held, out = make([0] * (SLOTS * 2 * HELD_FIELDS)), make([0] * (2 * len(ops)))
    places = one.limit("member"), one.limit("organization")
    sizes = FIELDS, MEMBERS, MEMBERS // ORGANIZATIONS, SLOTS
    books = make(list(one.flat)), make(list(two.flat))
    function(make(ops.ravel().tolist()), *sizes, *books, *places, state, held, out, policy.MONDAYS[0])
    return np.array(out, np.int64).reshape(-1, 2), np.array(state, np.int64)


def int64(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.slow
def test_a_million_operations_are_decided_alike_interpreted_and_compiled(policy: SimpleNamespace) -> None:
    ops = operations(1_000_000, seed=2)
    plain, left = run(policy, drive, list, ops)
    fast, left_fast = run(policy, compiled(drive).drive, int64, ops)
    np.testing.assert_array_equal(plain, fast)
    np.testing.assert_array_equal(left, left_fast)
    asked = plain[ops[:, 0] == ASK, 0]
    assert 0.2 < np.mean(asked == 0) < 0.95
    assert len(set(asked)) >= 7  # admitted, and refused by windows of each kind
    assert (plain[ops[:, 0] == SETTLE, 0] > 0).sum() > 50_000
    assert plain[ops[:, 0] == EXPIRE, 0].sum() > 1000


def test_the_watched_integer_sees_an_overflow(watched: Any) -> None:
    with pytest.raises(AssertionError, match="mul"):
        3 * (watched(2**62) - 1)


LARGEST_PRICE = Price(*[WEIGHT_MOST] * 4, request=WEIGHT_MOST, peak_times=PEAK_MOST, peaks_ms=(1, 2**44))
EXTREMES = st.sampled_from([0, 1, 2**30, 2**31, 2**36 - 1, 2**36, 2**40, 2**62])
INSTANTS = st.sampled_from([1, 10**12, 1_800_000_000_000, 2**43])


@given(
    st.sampled_from([1, SCALE, 2**31, EVENLY_MOST - 1, EVENLY_MOST]),
    st.sampled_from([1, 60_000, 2**31, EVENLY_MS_MOST]),
    st.sampled_from([0, SCALE]),
    st.lists(st.tuples(EXTREMES, EXTREMES, EXTREMES, INSTANTS, INSTANTS), min_size=1, max_size=12),
)
def test_no_product_passes_63_bits_at_the_largest_weights_sizes_and_times(
    watched: Any, size: int, length: int, overflow: int, requests: list[tuple[int, ...]]
) -> None:
    price = LARGEST_PRICE
    rules = [
        WindowRule("a", UNLIMITED, AT_FIRST_USE, 2**40, price, overflow=overflow),
        WindowRule("b", UNLIMITED, NEVER, 0, price),
        WindowRule("c", size, EVENLY, length, price, overflow=overflow),
        WindowRule("d", size, EVENLY, length, Price(), overflow=overflow),
    ]
    book = compile_book({"l": rules})
    smaller = compile_book({"l": [*rules[:2], WindowRule("c", 7, EVENLY, 2**32, price), rules[3]]}, like=book)
    flat, other = [watched(n) for n in book.flat], [watched(n) for n in smaller.flat]
    state, held = [watched(0)] * STATE_FIELDS, [watched(0)] * HELD_FIELDS
    limit, plan = watched(book.limit("l")), watched(book.plan("l"))
    for uncached, read, output, begin, end in requests:
        began, ended = watched(begin), watched(end)
        tokens = (watched(uncached), watched(uncached), watched(read), watched(output))
        hold(state, watched(0), flat, limit, plan, held, watched(0), began, ended, tokens[0], tokens[3])
        reserve(state, flat, held, watched(0), 1, began, 0)
        retry_at_ms(state, flat, held, watched(0), 1, began)
        settle(state, flat, held, watched(0), ended, *tokens)
        rebase(state, watched(0), flat, other, limit, ended)
        flat, other = other, flat
        assert all(0 <= n < 2**63 for n in state)


def test_an_overdrawn_store_keeps_its_debt_below_its_bounds_for_ever() -> None:
    rules = [WindowRule("a", 1, NEVER, 0, Price()), WindowRule("b", 1, EVENLY, EVENLY_MS_MOST, Price())]
    book = compile_book({"l": rules})
    state, held = [0] * STATE_FIELDS, [0] * HELD_FIELDS
    for _ in range(200):  # taken without asking, which no service does
        hold(state, 0, book.flat, book.limit("l"), book.plan("l"), held, 0, 1, 2, 0, 0)
        held[MARKS], held[MARKS + STORE_FIELDS] = state[0] or 2**62, max(state[STORE_FIELDS], 1)
        settle(state, book.flat, held, 0, 1, *[2**36] * 4)
    assert all(0 <= n <= 2**62 for n in state)
    assert COST_MOST < 2**62
