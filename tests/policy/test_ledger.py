"""When somebody who was refused may come again: what is reserved for others in flight may be all that is in the way."""

from __future__ import annotations

import random
from copy import deepcopy

from ampacity.policy import rows
from ampacity.policy.book import COSTS
from ampacity.policy.ledger import LONG_MS, LOOKED_AT, SETTLES_MS, Ledger
from ampacity.policy.limits import reserve
from ampacity.policy.rows import ONE_IN_FLIGHT, ONE_REQUEST, SCALE, Price, WindowRule
from ampacity.policy.terms import ServiceTerms, Terms, TierTerms
from ampacity.policy.ticket import NO_CAP, Kind, Ticket

NOW = 1_795_000_000_000
HOUR_MS = 3_600_000
TOKENS = Price()


def windows(size: int, week: int) -> tuple[WindowRule, ...]:
    return (
        WindowRule("five-hour", size * SCALE, rows.AT_FIRST_USE, 5 * HOUR_MS, TOKENS),
        WindowRule("weekly", week * SCALE, rows.AT_FIRST_USE, 168 * HOUR_MS, TOKENS),
        WindowRule("minute", size * SCALE, rows.EVENLY, 60_000, TOKENS),
        WindowRule("parallel", 12 * SCALE, rows.IN_FLIGHT, 0, ONE_IN_FLIGHT),
    )


class Desk:
    """A ledger and what it is asked, without pools."""

    def __init__(self, own: tuple[WindowRule, ...], firm: tuple[WindowRule, ...] | None = None) -> None:
        limits = {"own": own} | ({} if firm is None else {"firm": firm})
        self.ledger = Ledger(Terms("desk", limits, (TierTerms("team", "own"),), (ServiceTerms("m", ()),)))
        book = self.ledger.book
        theirs = (book.limit("firm"), book.plan("firm", "m")) if firm is not None else (0, 0)
        names = ("team", "own", "firm" if firm is not None else "", "m", "")
        self.kind = Kind(*names, book.limit("own"), book.plan("own", "m"), *theirs, 0, 0, NO_CAP, 0)

    def ask(self, who: int, now: int, tokens: int = 50) -> tuple[Ticket, int]:
        ticket = Ticket(self.kind, who, 9 if self.kind.organization_limit else 0, 0, tokens, 50, now, 0, now + HOUR_MS)
        return ticket, self.ledger.reserve(ticket, now)


def test_what_is_reserved_for_others_in_flight_returns_soon_and_what_is_used_up_does_not() -> None:
    desk = Desk(windows(size=400, week=4000)[:1])
    flying = [desk.ask(1, NOW)[0] for _ in range(4)]
    refused, window = desk.ask(1, NOW + 1)
    assert window and desk.ledger.retry_ms(refused, window, NOW + 1) == NOW + 1 + SETTLES_MS
    for ticket in flying:
        assert desk.ledger.settle(ticket, NOW + 2, 60, 0, 0, 40)
    refused, window = desk.ask(1, NOW + 3)
    assert window and desk.ledger.retry_ms(refused, window, NOW + 3) == NOW + 5 * HOUR_MS
    assert desk.ledger._in_flight == ({}, {})


def test_of_very_many_in_flight_the_first_are_looked_at() -> None:
    desk = Desk(windows(size=400, week=4000)[:1])
    for _ in range(50):  # so that little is expected of each
        desk.ledger.settle(desk.ask(1, NOW, 5)[0], NOW, 1, 0, 0, 1)
    now = NOW + 6 * HOUR_MS
    flying = []
    while not (asked := desk.ask(1, now, 5))[1]:
        flying.append(asked[0])
    refused, window = asked
    assert len(flying) > LOOKED_AT + 2
    assert desk.ledger.retry_ms(refused, window, now) == now + SETTLES_MS
    refused.held[COSTS] = sum(t.held[COSTS] for t in flying[: LOOKED_AT + 1])  # as if it needed more than theirs
    assert desk.ledger.retry_ms(refused, window, now) == now + 5 * HOUR_MS


def test_a_window_of_requests_gets_none_back_from_those_in_flight() -> None:
    desk = Desk((WindowRule("requests", 3 * SCALE, rows.AT_FIRST_USE, HOUR_MS, ONE_REQUEST),))
    assert [desk.ask(1, NOW)[1] for _ in range(3)] == [0, 0, 0]
    refused, window = desk.ask(1, NOW + 1)
    assert desk.ledger.retry_ms(refused, window, NOW + 1) == NOW + HOUR_MS


def test_a_refusal_waits_for_others_exactly_where_their_release_would_admit_it() -> None:
    """A thousand drawn steps each, of three people of one firm; the slow way releases all on a copy of everything."""
    waits = later = 0
    for seed in range(30):
        rng = random.Random(seed)
        firm = windows(rng.randrange(800, 4000), rng.randrange(3000, 30_000)) if rng.random() < 0.6 else None
        desk, now = Desk(windows(rng.randrange(300, 1500), rng.randrange(500, 9000)), firm), NOW
        flying: list[Ticket] = []
        for _ in range(300):
            now += rng.choice((0, 1, 700, 20_000, 600_000))
            if flying and rng.random() < 0.45:
                ticket = flying.pop(rng.randrange(len(flying)))
                end = rng.random()
                if end < 0.7:
                    desk.ledger.settle(ticket, now, rng.randrange(90), 0, 0, rng.randrange(60))
                elif end < 0.9 or not desk.ledger.expire(ticket, now):
                    desk.ledger.release(ticket, now)
                continue
            ticket, refusing = desk.ask(rng.randrange(1, 4), now, rng.randrange(20, 90))
            if not refusing:
                flying.append(ticket)
                continue
            window = desk.ledger.binding(ticket, now)
            found = desk.ledger.retry_ms(ticket, window, now)
            assert found is not None and found > now
            slow, asked = deepcopy((desk.ledger, ticket))
            theirs = [t for t in flying if t.who == ticket.who or t.scopes == 2]
            assert len(theirs) <= LOOKED_AT
            for other in deepcopy(theirs):
                slow.settle(other, now, 0, 0, 0, 0)
            alone = deepcopy(desk.ledger)
            alone._in_flight = ({}, {})
            plain = alone.retry_ms(ticket, window, now)
            assert plain is not None and found <= plain

            def admits(at: int, slow: Ledger = slow, asked: Ticket = asked) -> bool:
                state, held = slow.state[:], asked.held[:]  # with what it was expected to cost when it came
                return reserve(state, slow.book.flat, held, 0, asked.scopes, at, 0) == 0

            if admits(now):
                waits += plain > now + LONG_MS
                assert found == (now + SETTLES_MS if plain > now + LONG_MS else plain)
            elif found < plain:
                assert admits(found) and not admits(found - 1)
            else:
                later += 1
    assert waits > 50 and later > 50


def test_who_holds_nothing_is_in_nobodys_way() -> None:
    desk = Desk(windows(size=400, week=4000), windows(size=900, week=9000))
    flying = [desk.ask(who, NOW)[0] for who in (1, 1, 2, 3)]
    assert {who: len(held) for who, held in desk.ledger._in_flight[0].items()} == {1: 2, 2: 1, 3: 1}
    assert len(desk.ledger._in_flight[1][9]) == 4
    desk.ledger.unreserve(flying[0])
    desk.ledger.release(flying[1], NOW)
    assert desk.ledger.expire(flying[2], NOW + HOUR_MS)
    desk.ledger.settle(flying[2], NOW + HOUR_MS, 1, 0, 0, 1)
    desk.ledger.settle(flying[3], NOW + HOUR_MS, 1, 0, 0, 1)
    assert desk.ledger._in_flight == ({}, {})
