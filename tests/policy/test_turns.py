"""Tiers get their weighted shares of service whatever their requests cost, and no round is worked through in vain."""

from __future__ import annotations

import random
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.policy.line import (
    E_COST,
    E_PERSON,
    PERSON_FIELDS,
    Q_WAITING,
    QUANTUM_MOST,
    T_DEFICIT,
    TOKENS_ASKED_MOST,
    fresh_queue,
    tier_at,
)
from ampacity.policy.queueing import dequeue, enqueue
from ampacity.policy.stores import FOREVER
from ampacity.policy.turns import NO_TURN, next_turn

QUANTA = st.lists(st.integers(1, 2000), min_size=1, max_size=5)


class Tiers:
    """One person a tier, each with a largest cost."""

    def __init__(self, quanta: list[int], largest: list[int], rng: random.Random) -> None:
        self.quanta, self.largest, self.rng = quanta, largest, rng
        self.queue, self.people = fresh_queue(quanta, 200), [0] * (len(quanta) * PERSON_FIELDS)
        self.waiting: list[list[int]] = [[] for _ in quanta]
        self.served = [0] * len(quanta)

    def ask(self, tier: int) -> None:
        cost = self.rng.choice([1, self.largest[tier], self.rng.randint(1, self.largest[tier])])
        self.waiting[tier].append(cost)
        enqueue(self.queue, self.people, tier * PERSON_FIELDS, tier, cost, 1, FOREVER)

    def serve(self) -> int:
        e = dequeue(self.queue, self.people)
        tier = self.queue[e + E_PERSON] // PERSON_FIELDS
        assert self.queue[e + E_COST] == self.waiting[tier].pop(0)
        self.served[tier] += self.queue[e + E_COST]
        return tier


@settings(max_examples=25)
@given(QUANTA, st.data(), st.randoms(use_true_random=False))
def test_service_of_tiers_that_always_wait_is_within_a_round_and_a_request_of_the_fluid_ideal(
    quanta: list[int], data: st.DataObject, rng: random.Random
) -> None:
    """In rounds of their quantum, any two differ by at most 1 + one request each: a fluid that is shared by weight."""
    largest = [data.draw(st.sampled_from([1, 50, 3000])) for _ in quanta]
    tiers = Tiers(quanta, largest, rng)
    sometimes = data.draw(st.integers(0, len(quanta) - 1)) if len(quanta) > 2 else None  # comes and goes
    for _ in range(200):
        for tier in range(len(quanta)):
            if (tier != sometimes and len(tiers.waiting[tier]) < 2) or (tier == sometimes and rng.random() < 0.2):
                tiers.ask(tier)
        tiers.serve()
        rounds = {t: Fraction(tiers.served[t], quanta[t]) for t in range(len(quanta)) if t != sometimes}
        for a in rounds:
            for b in rounds:
                bound = 1 + Fraction(largest[a], quanta[a]) + Fraction(largest[b], quanta[b])
                assert abs(rounds[a] - rounds[b]) <= bound


@given(QUANTA, st.data(), st.randoms(use_true_random=False))
def test_rounds_that_are_skipped_are_those_that_serve_nobody(
    quanta: list[int], data: st.DataObject, rng: random.Random
) -> None:
    """Against rounds that are worked through one by one, with requests of thousands of quanta."""
    tiers = Tiers(quanta, [data.draw(st.sampled_from([1, 30, 5000])) for _ in quanta], rng)
    deficits, turn, fresh = [0] * len(quanta), 0, True
    for _ in range(data.draw(st.integers(1, 120))):
        for tier in range(len(quanta)):
            if rng.random() < 0.5 and len(tiers.waiting[tier]) < 30:
                tiers.ask(tier)
        if not any(tiers.waiting):
            assert next_turn(tiers.queue, tiers.people) == NO_TURN
            continue
        while True:
            if tiers.waiting[turn]:
                deficits[turn] += quanta[turn] if fresh else 0
                fresh = False
                if tiers.waiting[turn][0] <= deficits[turn]:
                    break
            turn, fresh = (turn + 1) % len(quanta), True
        deficits[turn] -= tiers.waiting[turn][0]
        assert tiers.serve() == turn
        if not tiers.waiting[turn]:
            deficits[turn] = 0
        assert [tiers.queue[tier_at(t) + T_DEFICIT] for t in range(len(quanta))] == deficits


def test_the_largest_request_of_the_smallest_quantum_is_reached_at_once() -> None:
    tiers = Tiers([1, QUANTUM_MOST], [TOKENS_ASKED_MOST] * 2, random.Random(1))
    for tier in (0, 1, 0, 1):
        enqueue(tiers.queue, tiers.people, tier * PERSON_FIELDS, tier, TOKENS_ASKED_MOST, 1, FOREVER)
    order = []
    while tiers.queue[Q_WAITING] > 0:
        e = dequeue(tiers.queue, tiers.people)
        order.append(tiers.queue[e + E_PERSON] // PERSON_FIELDS)
    assert order == [1, 1, 0, 0]


def test_a_tier_that_empties_keeps_no_credit() -> None:
    tiers = Tiers([1000, 1000], [1, 1], random.Random(1))
    tiers.ask(0)
    tiers.ask(1)
    tiers.serve()
    assert tiers.queue[tier_at(0) + T_DEFICIT] == 0
