"""Whatever happens, in whatever order, the integers say what a log of everything says."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ampacity.policy.book import PLACE, STATE_FIELDS, WINDOW_FIELDS, WINDOWS
from ampacity.policy.stores import used_now

HOUR_MS = 3_600_000
TOKENS = st.tuples(st.integers(0, 9000), st.integers(0, 500), st.integers(0, 60_000), st.integers(0, 900))


def assert_all_used_agree(service: Any) -> None:
    """Every store of everybody holds what the log says."""
    for who in range(service.members + 1):
        limit = "member" if who < service.members else "organization"
        for i, window in enumerate(service.book.places[limit]):
            w = service.book.limit(limit) + WINDOWS + i * WINDOW_FIELDS
            s = who * STATE_FIELDS + service.flat[w + PLACE]
            found = used_now(service.state, s, service.flat, w, service.now)
            assert found == service.oracle.used((limit, who), window.name, service.now), (limit, who, window.name)


def test_any_sequence_of_requests_clocks_and_changes_agrees_with_the_log(policy: SimpleNamespace) -> None:
    class Life(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.service = policy.Service()

        @rule(
            ms=st.sampled_from([0, 1, 7, 999, 15_000, 61_000, HOUR_MS, 5 * HOUR_MS, 168 * HOUR_MS, 40 * 24 * HOUR_MS])
        )
        def time_passes(self, ms: int) -> None:
            if self.service.now + ms < policy.MONDAYS[-2]:
                self.service.now += ms

        @rule(ms=st.sampled_from([1, 500, 90_000, 6 * HOUR_MS]))
        def the_clock_steps_back(self, ms: int) -> None:
            self.service.now -= ms

        @rule(
            member=st.integers(0, 1),
            family=st.sampled_from(["opus", "sonnet", "haiku"]),
            product=st.sampled_from(["code", "chat"]),
            tokens=st.integers(0, 100_000),
            most=st.integers(1, 4000),
            draw=st.integers(0, 999),
        )
        def somebody_asks(self, **request: Any) -> None:
            self.service.ask(**request)

        @precondition(lambda self: self.service.rows)
        @rule(which=st.integers(0, 1000), tokens=TOKENS)
        def an_answer_ends(self, which: int, tokens: tuple[int, int, int, int]) -> None:
            rows = list(self.service.rows)
            self.service.settle(rows[which % len(rows)], tokens)

        @precondition(lambda self: self.service.rows)
        @rule(which=st.integers(0, 1000))
        def a_request_fails_before_it_began(self, which: int) -> None:
            rows = list(self.service.rows)
            self.service.release(rows[which % len(rows)])

        @rule()
        def abandoned_requests_are_swept(self) -> None:
            self.service.expire()

        @rule(scale=st.integers(1, 3))
        def limits_change(self, scale: int) -> None:
            self.service.change(scale)

        @invariant()
        def everything_agrees(self) -> None:
            assert_all_used_agree(self.service)

    run_state_machine_as_test(Life, settings=settings(max_examples=100, stateful_step_count=40, deadline=None))


def test_a_full_store_keeps_no_fraction_of_its_old_size_for_a_clock_that_steps_back(policy: SimpleNamespace) -> None:
    service = policy.Service()
    service.change(2)
    service.ask(member=0, family="opus", product="code", tokens=1, most=1, draw=0)
    service.now += 999
    service.change(1)
    service.now -= 90_000
    assert_all_used_agree(service)


def test_a_year_of_random_traffic_agrees_with_the_log(policy: SimpleNamespace) -> None:
    rng = random.Random(1)
    service = policy.Service(members=3)
    admitted = refused = idle = 0
    for step in range(1200):
        kind = rng.random()
        if kind < 0.02 and service.now < policy.MONDAYS[-8]:
            service.now += rng.choice([3, 9, 40]) * 24 * HOUR_MS
            idle += 1
        elif kind < 0.05:
            service.now -= rng.randrange(HOUR_MS // 6)
        elif kind < 0.06:
            service.change(rng.choice([1, 2, 5]))
        elif kind < 0.08:
            service.expire()
        service.now += rng.choice([0, 1, 1000, 20_000, 300_000])
        if rng.random() < 0.5:
            family, product = rng.choice(["opus", "sonnet", "haiku"]), rng.choice(["code", "chat"])
            given = service.ask(rng.randrange(3), family, product, rng.randrange(90_000), 4000, rng.randrange(1000))
            admitted, refused = admitted + (given is not None), refused + (given is None)
        elif service.rows:
            request = rng.choice(list(service.rows))
            if rng.random() < 0.1:
                service.release(request)
            else:
                weights = (9000, 500, 60_000, 900)
                service.settle(request, tuple(int(n * rng.expovariate(1)) for n in weights))
        if step % 10 == 0:
            assert_all_used_agree(service)
    assert admitted > 250
    assert refused > 200
    assert idle > 10
