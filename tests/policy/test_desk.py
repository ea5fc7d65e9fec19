"""The desk where rules meet: moves between limits, ranks that displace, caps whose curve begins anew."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ampacity.journal.records import ADMITTED, NO_CAPACITY, QUEUED, REFUSED
from ampacity.policy import rows
from ampacity.policy.desk import Desk
from ampacity.policy.rows import ONE_IN_FLIGHT, Price, WindowRule
from ampacity.policy.terms import PoolTerms, ServiceTerms, Terms, TermsError, TierTerms, terms_of
from ampacity.policy.ticket import Ticket
from ampacity.scenario.capacity_curve import CapacityCurve

NOW = 1_795_000_000_000
HOUR_MS = 3_600_000
FIVE_HOUR = WindowRule("five-hour", 10**12, rows.AT_FIRST_USE, 5 * HOUR_MS)
PARALLEL = WindowRule("parallel", 2000, rows.IN_FLIGHT, 0, ONE_IN_FLIGHT)


def terms(slots: int = 1, pools: int = 1, **more: object) -> Terms:
    """Two tiers, of which `api` outranks `team`; both may have two requests in flight."""
    limits = {"a": (FIVE_HOUR, PARALLEL), "b": (PARALLEL,), "free": ()}
    tiers = (TierTerms("team", "a"), TierTerms("light", "b"), TierTerms("api", "free", rank=1))
    own = tuple(PoolTerms(f"pool-{i}", "http://127.0.0.1:9", "m", slots) for i in range(pools))
    return Terms("desk", limits, tiers, (ServiceTerms("m", own),), **more)  # type: ignore[arg-type]


def ask(desk: Desk, who: int, tier: str, now: int, tokens: int = 100) -> Ticket:
    ticket = Ticket(desk.kind(tier, "m"), who, 0, 0, tokens, 100, now, 0, now + HOUR_MS)
    desk.arrive(ticket, now)
    return ticket


def test_who_comes_under_another_limit_with_requests_in_flight_gets_all_places_back() -> None:
    desk = Desk(terms(slots=9))
    flying = [ask(desk, 1, "team", NOW) for _ in range(2)]
    moved = ask(desk, 1, "light", NOW + 1)
    assert moved.outcome == ADMITTED
    for ticket in (*flying, moved):
        desk.ended(ticket, NOW + 2, output=5)
    again = [ask(desk, 1, "light", NOW + HOUR_MS) for _ in range(3)]
    assert [t.outcome for t in again] == [ADMITTED, ADMITTED, REFUSED]


def test_somebody_whose_earlier_request_waits_may_displace_another_and_the_queue_stands() -> None:
    desk = Desk(terms())
    sent, waits = ask(desk, 2, "team", NOW), ask(desk, 9, "team", NOW + 1)
    assert (sent.outcome, waits.outcome) == (ADMITTED, QUEUED)
    urgent = ask(desk, 9, "api", NOW + 2)
    assert urgent.outcome == ADMITTED
    desk.ended(urgent, NOW + 3, output=1)
    told = [(t, outcome) for t, outcome, _ in desk.take_told()]
    placed = [t for t, outcome in told if outcome == ADMITTED]
    assert len(placed) == 1
    desk.ended(placed[0], NOW + 4, output=1)
    (last,) = [t for t, outcome, _ in desk.take_told() if outcome == ADMITTED]
    assert {placed[0], last} == {sent, waits}
    desk.ended(last, NOW + 5, output=1)
    desk.due(NOW + 10 * HOUR_MS)
    assert desk.services["m"].waiting == 0 and desk.take_told() == []


def test_nobody_is_displaced_from_a_pool_that_is_held_to_put_another_there() -> None:
    desk = Desk(terms(pools=2))
    first, second = ask(desk, 1, "team", NOW), ask(desk, 2, "team", NOW + 1)
    desk.hold_pool(f"pool-{second.pool}")
    urgent = ask(desk, 3, "api", NOW + 2)
    assert urgent.outcome == ADMITTED and urgent.pool != second.pool and first.pool < 0


def test_a_curve_that_begins_on_another_day_counts_the_same_hour() -> None:
    def curve(start_ms: int) -> CapacityCurve:
        return CapacityCurve("team", "m", start_ms // 1000, (1000,) * 400, (0,) * 400, (0,) * 400)

    whole_hour = NOW // HOUR_MS * HOUR_MS
    desk = Desk(terms(slots=9, caps=(curve(whole_hour - 300 * HOUR_MS),)))
    desk.ended(ask(desk, 1, "team", NOW, 800), NOW + 1, uncached=800, output=1)
    desk.change(terms(slots=9, caps=(curve(whole_hour - 10 * HOUR_MS),)), NOW + 2)
    assert ask(desk, 2, "team", NOW + 3, 800).outcome == NO_CAPACITY  # of this hour 200 are left
    assert ask(desk, 2, "team", NOW + HOUR_MS, 800).outcome == ADMITTED


def test_terms_are_the_same_after_they_were_written_and_hold_no_password() -> None:
    own = terms(pools=2)
    assert terms_of(own.text()) == own
    (service,) = own.services
    leaking = replace(service.pools[0], url="http://user:secret@host:1")
    with pytest.raises(TermsError, match="holds a name or password") as told:
        terms_of(replace(own, services=(replace(service, pools=(leaking,)),)).text())
    assert "secret" not in str(told.value)


WEIGHTS = Price(1000, 1250, 100, 5000)


def growing(whole: bool) -> Terms:
    """Terms of two aliases and a product; not whole: of one alias, without product, fewer limits, tiers and pools."""
    a = (
        WindowRule("five-hour", 400_000_000, rows.AT_FIRST_USE, 5 * HOUR_MS, WEIGHTS),
        WindowRule("of n", 90_000_000, rows.AT_FIRST_USE, HOUR_MS, WEIGHTS, families=("n",)),
        WindowRule("of m", 300_000_000, rows.EVENLY, HOUR_MS, WEIGHTS, families=("m",)),
        WindowRule("chats", 200_000_000, rows.EVENLY, HOUR_MS, WEIGHTS, products=("chat",)),
        PARALLEL,
    )
    m = tuple(PoolTerms(f"m-{i}", "http://127.0.0.1:9", "m", 3) for i in range(1 + whole))
    n = ServiceTerms("n", (PoolTerms("n-0", "http://127.0.0.1:9", "n", 2),))
    limits = {"a": a, "free": ()} | ({"b": a[2:], "0": a[:1]} if whole else {})
    tiers = (TierTerms("team", "a"), TierTerms("api", "free", rank=1), *([TierTerms("light", "b")] if whole else []))
    services = (ServiceTerms("m", m), *([n] if whole else []))
    return Terms("growing", limits, tiers, services, products=("chat",) if whole else (), room=2)


def without_n() -> Terms:
    """All that counts, and an alias less."""
    return replace(growing(True), services=growing(True).services[:1])


def test_a_desk_that_gains_limits_aliases_tiers_and_products_decides_as_one_that_had_them() -> None:
    met = set[object]().union(*(outcomes_of_two(seed) for seed in range(20)))
    assert met >= {ADMITTED, QUEUED, REFUSED, NO_CAPACITY, (0, "of n"), (0, "of m"), (0, "chats")}


def outcomes_of_two(seed: int) -> set[object]:
    """One of two has all from its first day, the other gains it in the midst; later both lose an alias for a while."""
    rng = random.Random(seed)
    desks, flying, met, now = [Desk(growing(False)), Desk(growing(True))], [], set(), NOW
    desks[1].hold_pool("m-1")
    for step in range(600):
        now += rng.randrange(4000)
        if step in (200, 300, 400):
            for desk in desks:
                desk.change(without_n() if step == 300 else growing(True), now)
                desk.reopen_pool("m-1", now)
        tiers, products = (("team", "api", "light"), ("", "chat")) if step >= 200 else (("team", "api"), ("",))
        alias = rng.choice(("m", "n")) if 200 <= step < 300 or step >= 400 else "m"
        tier, product, who = rng.choice(tiers), rng.choice(products), rng.randrange(6)
        asked = who + 10 * tiers.index(tier), 0, who, rng.choice([100, 3000, 12_000]), 500, now, rng.randrange(1000)
        pair = [Ticket(d.kind(tier, alias, product), *asked, now + HOUR_MS) for d in desks]
        for desk, ticket in zip(desks, pair, strict=True):
            desk.arrive(ticket, now)
        flying.append(pair)
        if rng.random() < 0.8:
            ended, tokens = flying.pop(rng.randrange(len(flying))), [rng.randrange(20_000) for _ in range(4)]
            for desk, ticket in zip(desks, ended, strict=True):
                desk.ended(ticket, now, 0, *tokens)
        for desk in desks:
            desk.due(now)
            desk.take_told()
        stands = [[(t.outcome, t.over, t.pool) for t in of_both] for of_both in [*flying, pair]]
        assert all(mine == theirs for mine, theirs in stands)
        said = [d.ledger.window_of(t, t.window) if t.window else None for d, t in zip(desks, pair, strict=True)]
        assert said[0] == said[1]
        met |= {pair[0].outcome, said[0]}
    use = [{who: d.ledger.state[at : at + 8] for who, at in d.ledger._rows[0].items()} for d in desks]
    assert use[0] == use[1] and len(use[0]) > 12
    return met


def test_an_alias_that_goes_lets_its_requests_end_and_may_come_back() -> None:
    desk = Desk(growing(True))
    ticket = Ticket(desk.kind("team", "n"), 1, 0, 0, 100, 100, NOW, 0, NOW + HOUR_MS)
    assert desk.arrive(ticket, NOW) == ADMITTED
    desk.change(without_n(), NOW)
    with pytest.raises(KeyError):
        desk.kind("team", "n")
    assert desk.ended(ticket, NOW + 1, output=7)
    desk.change(growing(True), NOW + 2)
    again = Ticket(desk.kind("team", "n"), 1, 0, 0, 100, 100, NOW + 3, 0, NOW + HOUR_MS)
    assert desk.arrive(again, NOW + 3) == ADMITTED


def test_who_comes_while_a_pool_says_that_it_is_full_waits_for_it_if_that_ends_in_time() -> None:
    for asks_ms, outcome in (
        (0, QUEUED),
        (2_000, QUEUED),
        (4_999, QUEUED),
        (5_000, NO_CAPACITY),
        (30_000, NO_CAPACITY),
    ):
        desk = Desk(terms(slots=9, wait_most_ms=5_000))
        turned_away = ask(desk, 1, "team", NOW)
        assert desk.failed(turned_away, NOW, 529, asks_ms) == QUEUED
        came = ask(desk, 2, "team", NOW)
        assert came.outcome == outcome
        desk.due(NOW + max(asks_ms, 1_000) - 1)
        assert all(t.outcome != ADMITTED for t, _, _ in desk.take_told())
        if outcome == QUEUED:
            desk.due(NOW + max(asks_ms, 1_000))
            assert [(t, told) for t, told, _ in desk.take_told()] == [(turned_away, ADMITTED), (came, ADMITTED)]


def test_nobody_waits_for_a_lone_pool_that_keeps_failing() -> None:
    desk = Desk(terms(slots=9))
    for i in range(5):
        ticket = ask(desk, 10 + i, "team", NOW)
        assert desk.failed(ticket, NOW, 500) == NO_CAPACITY
    assert ask(desk, 1, "team", NOW).outcome == NO_CAPACITY
    assert ask(desk, 1, "team", NOW + 1_000).outcome == ADMITTED  # on trial
    assert ask(desk, 2, "team", NOW + 1_000).outcome == NO_CAPACITY
