"""What a refused person reads, and what a program reads beside it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ampacity.policy import rows
from ampacity.policy.book import HELD_FIELDS, STATE_FIELDS, compile_book
from ampacity.policy.explain import Scope, explain
from ampacity.policy.limits import hold, reserve, settle
from ampacity.policy.rows import LimitError, WindowRule

HOUR_MS = 3_600_000
NOW = int(datetime(2026, 11, 23, 9, 5, tzinfo=UTC).timestamp()) * 1000  # a Monday
NEXT_MONDAY = NOW + 7 * 24 * HOUR_MS - 9 * HOUR_MS - 5 * 60_000
BOOK = compile_book(
    {
        "pro": [
            WindowRule("five-hour", 9_400_000_000, rows.AT_FIRST_USE, 5 * HOUR_MS),
            WindowRule("weekly", 50_000_000_000, rows.AT_INSTANTS, 168 * HOUR_MS, instants_ms=(NEXT_MONDAY,)),
            WindowRule("parallel", 2000, rows.IN_FLIGHT, 0, rows.ONE_IN_FLIGHT),
        ],
        "api": [WindowRule("per-minute", 2000, rows.EVENLY, 60_000, rows.ONE_REQUEST)],
        "credit": [WindowRule("credit", 1_000_000, rows.NEVER)],
        "free": [],
    }
)


class Person:
    def __init__(self, limit: str) -> None:
        self.limit, self.state, self.now = limit, [0] * STATE_FIELDS, NOW

    def asks(self, least_tokens: int = 1000) -> list[int] | None:
        held = [0] * HELD_FIELDS
        where = self.state, 0, BOOK.flat, BOOK.limit(self.limit), BOOK.plan(self.limit)
        hold(*where, held, 0, self.now, self.now + HOUR_MS, least_tokens, 0)
        return None if reserve(self.state, BOOK.flat, held, 0, 1, self.now, 0) else held

    def uses(self, tokens: int) -> None:
        held = self.asks()
        assert held is not None
        settle(self.state, BOOK.flat, held, 0, self.now, tokens, 0, 0, 0)

    def reads(self) -> str:
        return explain(BOOK, self.state, [Scope(self.limit)], self.now).sentence


def test_a_window_that_is_used_up_says_how_far_and_when_it_returns_and_what_else_is_left() -> None:
    person = Person("pro")
    person.uses(9_682_000)
    person.now += 4 * HOUR_MS + 19 * 60_000
    told = explain(BOOK, person.state, [Scope("pro")], person.now)
    assert told.sentence == (
        "The five-hour window is used up (103 % of 9.4 M); it returns at 14:05 UTC, in 41 minutes; "
        "the weekly one has 81 % left."
    )
    assert not told.admits
    assert told.binding is not None
    assert (told.binding.window, told.binding.used, told.binding.left) == ("five-hour", 9_682_000.0, -282_000.0)
    assert told.retry_ms == told.binding.all_back_ms == NOW + 5 * HOUR_MS


def test_of_two_windows_that_refuse_the_one_that_returns_last_binds() -> None:
    person = Person("pro")
    person.uses(51_000_000)
    told = explain(BOOK, person.state, [Scope("pro")], person.now)
    assert told.retry_ms == NEXT_MONDAY
    assert told.sentence == (
        "The weekly window is used up (102 % of 50 M); it returns on Monday 30 November at 00:00 UTC, in 7 days; "
        "the five-hour one is used up (543 % of 9.4 M); it returns at 14:05 UTC, in 5 hours."
    )


def test_while_all_admit_the_fullest_window_is_named() -> None:
    person = Person("pro")
    assert person.reads() == "The five-hour window has 100 % left of 9.4 M; the weekly one has 100 % left."
    person.uses(5_828_000)
    assert person.reads() == (
        "The five-hour window has 38 % left of 9.4 M; all of it is back at 14:05 UTC, in 5 hours; "
        "the weekly one has 88 % left."
    )


def test_requests_in_flight_are_told_as_such() -> None:
    person = Person("pro")
    assert person.asks()
    assert person.asks()
    assert person.asks() is None
    assert person.reads().startswith("The parallel window is full: 2 of 2 requests are in flight, one of them must end")


def test_a_store_that_refills_evenly_returns_in_seconds() -> None:
    person = Person("api")
    person.uses(1)
    person.uses(1)
    assert "(100 % of 2 requests); there is room for it in 1 s" in person.reads()
    held = [0] * HELD_FIELDS
    hold(person.state, 0, BOOK.flat, BOOK.limit("api"), BOOK.plan("api"), held, 0, NOW, NOW, 0, 0)
    told = explain(BOOK, person.state, [Scope("api")], NOW, held=held)
    assert told.retry_ms == NOW + 30_000


def test_a_credit_does_not_return() -> None:
    person = Person("credit")
    person.uses(2000)
    told = explain(BOOK, person.state, [Scope("credit")], NOW)
    assert told.sentence == "The credit window is used up (200 % of 1 k); it does not return."
    assert told.retry_ms is None


def test_a_request_larger_than_what_is_left_is_told_so_and_one_larger_than_the_window_never_fits() -> None:
    person = Person("credit")
    person.uses(900)
    for tokens, words in ((500, "it does not return"), (5000, "it does not return")):
        held = [0] * HELD_FIELDS
        hold(person.state, 0, BOOK.flat, BOOK.limit("credit"), BOOK.plan("credit"), held, 0, NOW, NOW, tokens, 0)
        told = explain(BOOK, person.state, [Scope("credit")], NOW, held=held)
        assert told.sentence == (
            f"The credit window has 10 % left of 1 k, less than this request is expected to take; {words}."
        )
    person = Person("pro")
    held = [0] * HELD_FIELDS
    hold(person.state, 0, BOOK.flat, BOOK.limit("pro"), BOOK.plan("pro"), held, 0, NOW, NOW, 10_000_000, 0)
    told = explain(BOOK, person.state, [Scope("pro")], NOW, held=held)
    assert told.retry_ms is None
    assert "never holds a request of this size" in told.sentence


def test_an_organization_is_named() -> None:
    person = Person("pro")
    person.uses(51_000_000)
    scopes = [Scope("pro"), Scope("pro", owner="the organization")]
    assert "; the organization's weekly one is used up" in explain(BOOK, person.state, scopes, NOW).sentence
    told = explain(BOOK, person.state, scopes[1:], NOW)
    assert told.sentence.startswith("The organization's weekly window is used up (102 % of 50 M)")


def test_no_window_at_all_is_said() -> None:
    told = explain(BOOK, [0] * STATE_FIELDS, [Scope("free")], NOW)
    assert (told.admits, told.binding, told.retry_ms) == (True, None, NOW)
    assert told.sentence == "No window counts this request."


def test_an_unknown_limit_is_named_with_those_that_there_are() -> None:
    with pytest.raises(LimitError, match="no limit 'gold'; there are 'pro', 'api'"):
        explain(BOOK, [0] * STATE_FIELDS, [Scope("gold")], NOW)
