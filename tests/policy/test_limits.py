"""Reserve, settle, release, expire: what a window does, told one behaviour at a time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.calendar import utc_s, weekly_instants_ms
from ampacity.policy import limits, rows
from ampacity.policy.book import (
    BEFORE,
    COSTS,
    HELD_FIELDS,
    MARKS,
    STATE_FIELDS,
    STORE_FIELDS,
    USED,
    WINDOW_FIELDS,
    WINDOWS,
    Book,
    compile_book,
)
from ampacity.policy.rows import LimitError, Price, WindowRule
from ampacity.policy.stores import FOREVER, used_now

HOUR_MS = 3_600_000
NOW = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()) * 1000
EACH = Price(1000, 1000, 1000, 1000)


def window(
    name: str, tokens: int, refill: int = rows.AT_FIRST_USE, length: int = 5 * HOUR_MS, **more: object
) -> WindowRule:
    return WindowRule(name, tokens * 1000, refill, length, **{"price": EACH, **more})  # type: ignore[arg-type]


class Desk:
    """One subscriber under one limit "l"; costs are exact, so that what is asked is what is reserved."""

    def __init__(self, *rules: WindowRule, families: tuple[str, ...] = (), products: tuple[str, ...] = ()) -> None:
        self.book: Book = compile_book({"l": rules}, families, products)
        self.state, self.now = [0] * STATE_FIELDS, NOW

    def hold(self, tokens: int, family: str = "", product: str = "") -> list[int]:
        held = [0] * HELD_FIELDS
        plan = self.book.plan("l", family, product)
        later = self.now + HOUR_MS
        limits.hold(self.state, 0, self.book.flat, self.book.limit("l"), plan, held, 0, self.now, later, tokens, 0)
        return held

    def ask(self, tokens: int, family: str = "", product: str = "", draw: int = 999) -> list[int] | None:
        held = self.hold(tokens, family, product)
        return None if limits.reserve(self.state, self.book.flat, held, 0, 1, self.now, draw) else held

    def settle(self, held: list[int] | None, tokens: int) -> None:
        assert held is not None
        limits.settle(self.state, self.book.flat, held, 0, self.now, tokens, 0, 0, 0)

    def spend(self, tokens: int, **where: str) -> bool:
        held = self.ask(tokens, **where)
        if held is not None:
            self.settle(held, tokens)
        return held is not None

    def used(self, place: int = 0) -> float:
        w = self.book.limit("l") + 2 + place * limits.WINDOW_FIELDS
        return used_now(self.state, place * STORE_FIELDS, self.book.flat, w, self.now) / 1000

    def change(self, *rules: WindowRule) -> None:
        new = compile_book({"l": rules}, self.book.families, self.book.products, like=self.book)
        limits.rebase(self.state, 0, self.book.flat, new.flat, new.limit("l"), self.now)
        self.book = new


def test_a_window_opens_with_its_first_use_and_returns_whole_one_length_later() -> None:
    desk = Desk(window("w", 100))
    desk.now += 17 * HOUR_MS
    assert desk.spend(60)
    desk.now += 5 * HOUR_MS - 1
    assert desk.used() == 60
    assert not desk.spend(41)
    desk.now += 1
    assert desk.used() == 0
    assert desk.spend(100)


@pytest.mark.parametrize(
    ("after", "hours"), [(date(2026, 2, 23), 168), (date(2026, 3, 2), 167), (date(2026, 10, 26), 169)]
)
def test_a_week_lasts_167_168_or_169_hours_by_the_local_clock(after: date, hours: int) -> None:
    zone = "America/Chicago"
    begin = utc_s(after, zone, time(9))
    instants = tuple(weekly_instants_ms(begin, begin + 3 * 7 * 86400, "mon", time(9), zone))
    desk = Desk(window("w", 100, rows.AT_INSTANTS, 168 * HOUR_MS, instants_ms=instants))
    desk.now = instants[0]
    assert desk.spend(100)
    desk.now = instants[0] + hours * HOUR_MS - 1
    assert desk.used() == 100
    assert not desk.spend(1)
    desk.now += 1
    assert desk.used() == 0


def test_after_the_last_instant_of_the_table_weeks_go_on_by_their_length() -> None:
    desk = Desk(window("w", 100, rows.AT_INSTANTS, 168 * HOUR_MS, instants_ms=(NOW - 1,)))
    for _ in range(3):
        assert desk.spend(100)
        desk.now = desk.state[0] - 1
        assert not desk.spend(1)
        desk.now += 1
    assert (desk.now - NOW + 1) % (168 * HOUR_MS) == 0


@given(st.lists(st.integers(1, 977), min_size=50, max_size=50), st.integers(3, 10**6))
def test_looking_often_loses_nothing_of_a_store_that_refills_evenly(steps_ms: list[int], tokens: int) -> None:
    looked, left = (Desk(window("w", tokens, rows.EVENLY, 60_000)) for _ in range(2))
    assert looked.spend(tokens)
    assert left.spend(tokens)
    for step in steps_ms:
        looked.now += step
        assert not looked.spend(10 * tokens)
    left.now += sum(steps_ms)
    assert looked.state == left.state
    exact = tokens * (1 - sum(steps_ms) / 60_000)
    assert looked.used() == pytest.approx(max(exact, 0), abs=0.0011)


def test_an_even_store_of_seven_a_minute_admits_seven_at_once_and_then_seven_a_minute() -> None:
    desk = Desk(window("w", 7, rows.EVENLY, 60_000, price=rows.ONE_REQUEST))
    given = []
    for ms in range(0, 600_000, 100):
        desk.now = NOW + ms
        if desk.spend(1):
            given.append(ms)
    assert given[:7] == [0, 100, 200, 300, 400, 500, 600]
    assert len(given) == 7 + 7 * 10 - 1  # the burst, then one each 60/7 s until just before the end of ten minutes


def test_a_credit_never_returns() -> None:
    desk = Desk(window("w", 100, rows.NEVER, 0))
    assert desk.spend(100)
    desk.now += 20 * 365 * 24 * HOUR_MS
    assert not desk.spend(1)


def test_requests_in_flight_are_counted_until_they_end_and_not_after() -> None:
    desk = Desk(WindowRule("w", 2000, rows.IN_FLIGHT, 0, rows.ONE_IN_FLIGHT))
    first, second = desk.ask(5), desk.ask(5)
    assert desk.ask(5) is None
    desk.settle(first, 5)
    assert desk.ask(5) is not None
    assert second is not None
    desk.now += 365 * 24 * HOUR_MS
    assert desk.used() == 2


def test_all_windows_admit_or_nothing_is_written() -> None:
    desk = Desk(window("large", 100), window("small", 10), window("even", 50, rows.EVENLY, 60_000))
    assert desk.spend(10)
    before = list(desk.state)
    assert desk.ask(5) is None
    assert desk.state == before


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(-HOUR_MS, 30 * HOUR_MS)), max_size=8),
    st.permutations(["first use", "instants", "even", "even, slow", "credit"]),
)
def test_what_the_last_window_refuses_leaves_all_before_it_as_they_stood(
    spent: list[tuple[int, int]], order: list[str]
) -> None:
    instants = tuple(NOW + i * 20 * HOUR_MS for i in range(-1, 20))
    kinds = {
        "first use": window("first use", 90),
        "instants": window("instants", 90, rows.AT_INSTANTS, 20 * HOUR_MS, instants_ms=instants),
        "even": window("even", 70, rows.EVENLY, 7 * HOUR_MS + 1),
        "even, slow": window("even, slow", 90, rows.EVENLY, 40 * 24 * HOUR_MS),
        "credit": window("credit", 600, rows.NEVER, 0),
    }
    desk = Desk(*(kinds[name] for name in order), window("nothing", 0, families=("none",)), families=("none",))
    for tokens, later_ms in spent:
        desk.spend(tokens)
        desk.now = max(NOW, desk.now + later_ms)
    before, held = list(desk.state), desk.hold(1, family="none")
    fresh = list(held)
    assert limits.reserve(desk.state, desk.book.flat, held, 0, 1, desk.now, 0) != 0
    assert desk.state == before
    assert held[COSTS:BEFORE] == fresh[COSTS:BEFORE]
    limits.release(desk.state, desk.book.flat, held, 0, desk.now)
    assert desk.state == before


def test_what_the_organization_refuses_leaves_the_member_as_it_stood() -> None:
    mixed = [window("w", 100), window("even", 100, rows.EVENLY, HOUR_MS), window("credit", 100, rows.NEVER, 0)]
    book = compile_book({"m": mixed, "o": [*mixed[1:], window("w", 50)]})
    state, held = [0] * (2 * STATE_FIELDS), [0] * (2 * HELD_FIELDS)

    def ask(tokens: int, now_ms: int) -> int:
        for h, at, limit in ((0, 0, "m"), (HELD_FIELDS, STATE_FIELDS, "o")):
            limits.hold(state, at, book.flat, book.limit(limit), book.plan(limit), held, h, now_ms, now_ms, tokens, 0)
        return limits.reserve(state, book.flat, held, 0, 2, now_ms, 0)

    assert ask(30, NOW) == 0
    for h in (0, HELD_FIELDS):
        limits.settle(state, book.flat, held, h, NOW, 30, 0, 0, 0)
    before = list(state)
    assert ask(21, NOW + 1000) == book.limit("o") + WINDOWS + 2 * WINDOW_FIELDS
    assert state == before
    assert not any(held[h + m] for h in (0, HELD_FIELDS) for m in range(MARKS, BEFORE))


def test_a_member_and_the_organization_must_both_admit() -> None:
    book = compile_book({"m": [window("w", 100)], "o": [window("w", 150)]})
    state = [0] * (3 * STATE_FIELDS)  # two members, then the organization

    def ask(member: int, tokens: int) -> int:
        held = [0] * (2 * HELD_FIELDS)
        for h, at, limit in ((0, member * STATE_FIELDS, "m"), (HELD_FIELDS, 2 * STATE_FIELDS, "o")):
            limits.hold(state, at, book.flat, book.limit(limit), book.plan(limit), held, h, NOW, NOW, tokens, 0)
        return limits.reserve(state, book.flat, held, 0, 2, NOW, 0)

    assert ask(0, 101) != 0
    assert state == [0] * len(state)
    assert ask(0, 90) == 0
    assert ask(1, 70) != 0  # the organization has 60 left
    assert ask(1, 60) == 0
    assert [state[i * STATE_FIELDS + USED] for i in range(3)] == [90_000, 60_000, 150_000]


def test_a_window_counts_its_families_and_products_only() -> None:
    opus, code = window("opus", 10, families=("opus",)), window("code", 20, products=("code",))
    desk = Desk(window("all", 100), opus, code, families=("opus", "sonnet"), products=("code",))
    assert desk.spend(10, family="opus", product="chat")
    assert desk.spend(20, family="sonnet", product="code")
    assert desk.spend(40, family="haiku", product="new")  # neither has been heard of
    assert [desk.used(i) for i in range(3)] == [70, 10, 20]
    assert not desk.spend(1, family="opus")
    assert not desk.spend(1, product="code")
    assert desk.spend(30, family="sonnet")


def test_debt_is_visible_and_refuses_until_it_has_returned() -> None:
    desk = Desk(window("w", 100))
    desk.settle(desk.ask(10), 108)
    assert desk.used() == 108
    assert not desk.spend(1)
    desk.now += 5 * HOUR_MS
    assert desk.spend(100)


def test_what_was_reserved_and_not_used_returns_at_once() -> None:
    for refill in (rows.AT_FIRST_USE, rows.NEVER, rows.EVENLY):
        desk = Desk(window("w", 101, refill, 60_001 if refill == rows.EVENLY else 0 if refill else HOUR_MS))
        held = desk.ask(100)
        assert not desk.spend(7)
        desk.settle(held, 1)
        assert desk.used() == 1
        assert desk.spend(100)


@pytest.mark.parametrize("more", [-90, 400])
def test_a_settlement_after_the_window_has_refilled_leaves_the_new_one_alone(more: int) -> None:
    desk = Desk(window("w", 100))
    late = desk.ask(90)
    desk.now += 5 * HOUR_MS
    assert desk.spend(50)
    desk.settle(late, 90 + more)
    assert desk.used() == 50


def test_an_even_store_gives_back_only_what_has_not_refilled_since() -> None:
    desk = Desk(window("w", 60, rows.EVENLY, 60_000))
    late = desk.ask(60)
    desk.now += 40_000
    assert desk.ask(30) is not None
    desk.settle(late, 0)  # had it never been, 30 would be in use; 20 of its 60 had not come back
    assert desk.used() == 30
    late = desk.ask(30)
    desk.now += 100_000
    assert desk.ask(60) is not None
    desk.settle(late, 0)
    assert desk.used() == 60


def test_an_abandoned_reservation_expires_once_and_is_charged_if_its_answer_comes_after_all() -> None:
    desk = Desk(window("w", 100), window("even", 100, rows.EVENLY, HOUR_MS))
    held = desk.ask(80)
    assert held is not None
    assert not limits.expire(desk.state, desk.book.flat, held, 0, desk.now + HOUR_MS - 1)
    desk.now += HOUR_MS
    assert limits.expire(desk.state, desk.book.flat, held, 0, desk.now)
    assert not limits.expire(desk.state, desk.book.flat, held, 0, desk.now + HOUR_MS)
    assert desk.used() == 0
    desk.settle(held, 30)
    assert desk.used() == 30
    desk.settle(held, 30)
    assert not limits.release(desk.state, desk.book.flat, held, 0, desk.now)
    assert desk.used() == 30


def test_a_refused_request_may_be_released_and_changes_nothing() -> None:
    desk = Desk(window("w", 100))
    assert desk.spend(100)
    held = desk.hold(50)
    assert limits.reserve(desk.state, desk.book.flat, held, 0, 1, desk.now, 0) != 0
    assert limits.release(desk.state, desk.book.flat, held, 0, desk.now)
    assert desk.used() == 100
    assert held[limits.LIMIT] == 0


def test_beyond_the_size_a_share_of_requests_passes_and_beyond_the_ceiling_none() -> None:
    desk = Desk(
        window("w", 100, overflow=200, passing=250),
        window("even", 100, rows.EVENLY, HOUR_MS, overflow=200, passing=250),
    )
    assert desk.spend(95)
    assert [desk.ask(10, draw=draw) is not None for draw in (999, 250)] == [False, False]
    assert desk.ask(10, draw=249) is not None
    assert desk.ask(10, draw=0) is not None
    assert desk.ask(10, draw=0) is None  # 125 of 120
    assert [desk.used(i) for i in range(2)] == [115, 115]


def test_a_changed_limit_keeps_what_is_used() -> None:
    even = rows.EVENLY, 60_000
    desk = Desk(window("w", 100), window("even", 100, *even), window("credit", 100, rows.NEVER, 0))
    held = desk.ask(80)
    desk.change(window("w", 200), window("even", 400, *even), window("credit", 80, rows.NEVER, 0))
    assert [desk.used(i) for i in range(3)] == [80, 80, 80]
    desk.now += 6_000
    assert desk.used(1) == 40  # at the new pace
    assert desk.ask(1) is None  # of the lowered credit nothing is left
    desk.settle(held, 20)
    assert [desk.used(i) for i in (0, 2)] == [20, 20]


def test_a_lowered_limit_is_debt_until_it_returns_and_a_raised_one_has_not_forgotten() -> None:
    desk = Desk(window("w", 100), window("even", 100, rows.EVENLY, HOUR_MS))
    assert desk.spend(80)
    desk.change(window("w", 10), window("even", 10, rows.EVENLY, HOUR_MS))
    assert [desk.used(i) for i in range(2)] == [80, 80]
    assert not desk.spend(1)
    desk.change(window("w", 100), window("even", 100, rows.EVENLY, HOUR_MS))
    assert [desk.used(i) for i in range(2)] == [80, 80]
    assert desk.spend(20)


def test_a_limit_closed_and_opened_again_has_not_forgotten() -> None:
    desk = Desk(window("w", 100), window("even", 100, rows.EVENLY, HOUR_MS))
    assert desk.spend(80)
    desk.change(window("w", 0), window("even", 0, rows.EVENLY, HOUR_MS))
    assert not desk.spend(1)
    desk.change(window("w", 100), window("even", 100, rows.EVENLY, HOUR_MS))
    assert [desk.used(i) for i in range(2)] == [80, 80]


def test_a_window_may_be_dropped_and_another_added_while_requests_are_in_flight() -> None:
    desk = Desk(window("five-hour", 100), window("weekly", 500, length=168 * HOUR_MS))
    held = desk.ask(60)
    desk.change(window("weekly", 500, length=168 * HOUR_MS), window("daily", 70, length=24 * HOUR_MS))
    assert [rule.name for rule in desk.book.places["l"]] == ["five-hour", "weekly", "daily"]
    assert desk.ask(70) is not None  # the five-hour window, with 40 left, asks nobody any more
    assert desk.ask(1) is None
    desk.settle(held, 10)
    assert [desk.used(i) for i in range(3)] == [10, 80, 70]


def test_a_clock_that_steps_back_gives_nothing_back() -> None:
    instants = (NOW + HOUR_MS, NOW + 169 * HOUR_MS, NOW + 337 * HOUR_MS)
    desk = Desk(
        window("w", 100),
        window("weekly", 100, rows.AT_INSTANTS, 168 * HOUR_MS, instants_ms=instants),
        window("even", 100, rows.EVENLY, 60_000),
    )
    desk.now += HOUR_MS
    assert desk.spend(100)
    for back_ms in (1, 30_000, HOUR_MS, 3 * HOUR_MS):
        desk.now = NOW + HOUR_MS - back_ms
        assert not desk.spend(1)
        assert all(desk.used(i) >= 100 for i in range(3))


def test_a_window_of_nothing_admits_nothing() -> None:
    for refill, length in ((rows.AT_FIRST_USE, 1), (rows.NEVER, 0), (rows.EVENLY, 1)):
        desk = Desk(window("w", 0, refill, length))
        assert not desk.spend(0)
        held = desk.hold(0)
        assert limits.retry_at_ms(desk.state, desk.book.flat, held, 0, 1, desk.now) == FOREVER


@given(st.integers(1, 120), st.integers(0, 130_000), st.sampled_from([rows.AT_FIRST_USE, rows.EVENLY]))
def test_the_promised_time_of_a_retry_is_the_first_that_admits(tokens: int, ms: int, refill: int) -> None:
    desk = Desk(window("w", 120, refill, 60_000), window("other", 150, rows.EVENLY, 100_000))
    assert desk.spend(120)
    desk.now += ms
    desk.spend(40)
    held = desk.hold(tokens)
    promised = limits.retry_at_ms(desk.state, desk.book.flat, held, 0, 1, desk.now)
    assert promised >= desk.now
    if promised > desk.now:
        assert limits.reserve(list(desk.state), desk.book.flat, list(held), 0, 1, promised - 1, 0) != 0
    assert limits.reserve(desk.state, desk.book.flat, held, 0, 1, promised, 0) == 0


def test_a_limit_of_no_window_admits_everything() -> None:
    desk = Desk()
    assert all(desk.spend(10**9) for _ in range(3))


def test_mistakes_in_a_book_are_told_all_at_once() -> None:
    many = [window(f"w{i}", 1) for i in range(9)]
    with pytest.raises(LimitError) as told:
        compile_book({"a": many, "b": [window("x", -1), window("y", 1, rows.AT_INSTANTS)]})
    assert [m.split(",")[0] for m in told.value.mistakes] == ["limit 'a'", "limit 'b'", "limit 'b'"]
    assert "9 windows, at most 8" in str(told.value)
    with pytest.raises(LimitError, match="two windows are named 'w'"):
        compile_book({"a": [window("w", 1), window("w", 2)]})
    with pytest.raises(LimitError, match="5 different weight tables, at most 4"):
        compile_book({"a": [window(f"w{i}", 1, price=Price(i)) for i in range(5)]})


def test_a_changed_book_must_keep_its_limits_and_families() -> None:
    book = compile_book({"a": [window("w", 1)]}, families=("opus",))
    with pytest.raises(LimitError) as told:
        compile_book({"b": [window("w", 1)]}, like=book)
    assert len(told.value.mistakes) == 2
    shared = compile_book({"a": [window("w", 1), window("v", 1)]})
    with pytest.raises(LimitError, match="window 'v': shared its weights"):
        compile_book({"a": [window("w", 1), window("v", 1, price=Price(7))]}, like=shared)


def test_costs_are_reserved_by_price_and_peak_hours_count_by_the_instant_of_reservation() -> None:
    peak = Price(1000, 1250, 100, 5000, peak_times=1500, peaks_ms=(NOW, NOW + HOUR_MS))
    desk = Desk(window("w", 10**6, price=peak), window("plain", 10**6, price=Price(1000, 1250, 100, 5000)))
    held = desk.hold(10**6)
    assert held[COSTS : COSTS + 2] == [150_000_000, 100_000_000]  # its input, if all of it were read from a cache
    held = desk.ask(0)
    assert held is not None
    desk.now += 2 * HOUR_MS
    limits.settle(desk.state, desk.book.flat, held, 0, desk.now, 100, 100, 100, 100)
    assert [desk.used(i) for i in range(2)] == [735 * 1.5, 735]
