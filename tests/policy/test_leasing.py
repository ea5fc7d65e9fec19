"""Slots of a pool that several processes share: never more than there are, all of them used, nobody forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.outcomes import ADMITTED, QUEUED
from ampacity.policy.desk import Desk
from ampacity.policy.leasing import first_share, next_lease, share_of, targets
from ampacity.policy.rows import WindowRule
from ampacity.policy.terms import PoolTerms, ServiceTerms, Terms, TermsError, TierTerms
from ampacity.policy.ticket import Ticket
from ampacity.scenario.capacity_curve import CapacityCurve

NOW = 1_795_000_000_000
needs = st.lists(st.integers(0, 300), min_size=1, max_size=8)


def terms(slots: int = 4, caps: tuple[CapacityCurve, ...] = ()) -> Terms:
    """One tier without windows before one pool."""
    pool = PoolTerms("pool", "http://127.0.0.1:9", "m", slots)
    none: tuple[WindowRule, ...] = ()
    return Terms("leases", {"all": none}, (TierTerms("all", "all"),), (ServiceTerms("m", (pool,)),), caps=caps)


@given(needs, st.integers(0, 400))
def test_parts_are_all_of_the_slots_and_one_at_least_if_there_are_as_many(needed: list[int], slots: int) -> None:
    parts = targets(needed, slots)
    assert sum(parts) == slots
    assert min(parts) >= (1 if slots >= len(needed) else 0)


@given(needs, st.integers(0, 400))
def test_who_needs_more_never_gets_less_than_who_needs_less_but_for_what_cannot_be_divided(
    needed: list[int], slots: int
) -> None:
    parts = targets(needed, slots)
    for n, p in zip(needed, parts, strict=True):
        for other, part in zip(needed, parts, strict=True):
            assert p + 1 >= part if n >= other else True


@given(needs, st.integers(0, 400))
def test_needs_that_fit_together_are_met(needed: list[int], slots: int) -> None:
    if sum(max(n, 1) for n in needed) <= slots:
        assert all(p >= n for p, n in zip(targets(needed, slots), needed, strict=True))


class Worker:
    """A process with a queue: it runs as much as it may, of what it is asked."""

    def __init__(self, held: int) -> None:
        self.held = self.may = held
        self.in_flight = self.waiting = 0

    @property
    def needed(self) -> int:
        return self.in_flight + self.waiting

    def fill(self) -> None:
        started = min(self.waiting, max(self.may - self.in_flight, 0))
        self.in_flight, self.waiting = self.in_flight + started, self.waiting - started


class Together:
    """Processes that share slots by a table, each at its own moments."""

    def __init__(self, many: int, slots: int) -> None:
        self.slots = slots
        self.workers = [Worker(first_share(slots, many, i)) for i in range(many)]

    def look(self, me: int) -> None:
        w = self.workers[me]
        held, needed = [o.held for o in self.workers], [o.needed for o in self.workers]
        before = w.held
        w.may, w.held = next_lease(held, needed, me, w.in_flight, self.slots)
        assert w.may <= w.held and (w.held >= w.in_flight or w.held >= before)
        w.fill()

    def check(self) -> None:
        assert sum(w.held for w in self.workers) <= self.slots
        assert all(w.in_flight <= w.held for w in self.workers)


@given(st.data())
def test_no_order_of_looks_arrivals_and_ends_runs_more_than_the_slots(data: st.DataObject) -> None:
    many = data.draw(st.integers(2, 5))
    together = Together(many, data.draw(st.integers(many, 40)))
    for _ in range(data.draw(st.integers(1, 60))):
        i = data.draw(st.integers(0, many - 1))
        w = together.workers[i]
        what = data.draw(st.sampled_from(("look", "come", "end")))
        if what == "come":
            w.waiting += data.draw(st.integers(1, 50))
            w.fill()
        elif what == "end":
            w.in_flight -= data.draw(st.integers(0, w.in_flight))
            w.fill()
        else:
            together.look(i)
        together.check()


@given(st.data())
def test_steady_needs_have_their_parts_after_two_looks_of_each_once_what_ran_has_ended(data: st.DataObject) -> None:
    many = data.draw(st.integers(2, 5))
    slots = data.draw(st.integers(many, 40))
    together = Together(many, slots)
    for w in together.workers:
        w.waiting = data.draw(st.integers(0, 60))
    for _ in range(data.draw(st.integers(0, 20))):
        together.look(data.draw(st.integers(0, many - 1)))
    needed = [w.needed for w in together.workers]
    for _ in range(3):  # all that runs ends, and as much waits again: the same is needed all the time
        for i, w in enumerate(together.workers):
            w.waiting, w.in_flight = w.needed, 0
            together.look(i)
    parts = targets(needed, slots)
    lacking = any(w.held < max(n, 1) for w, n in zip(together.workers, needed, strict=True))
    for w, part in zip(together.workers, parts, strict=True):
        assert w.held == w.may
        assert w.held == part or (not lacking and abs(w.held - part) * 8 <= slots)


def test_one_who_is_asked_gets_all_but_one_slot_of_each_who_is_not() -> None:
    together = Together(3, 24)
    together.workers[1].waiting = 100
    for _ in range(3):
        for i in range(3):
            together.look(i)
    assert [w.held for w in together.workers] == [1, 22, 1]
    assert together.workers[1].in_flight == 22


def test_needs_that_hardly_change_change_no_lease() -> None:
    assert next_lease([8, 8], [5, 6], 0, 5, 16) == (8, 8)
    assert next_lease([8, 8], [5, 9], 0, 5, 16) == (6, 6)


def test_a_pool_with_fewer_slots_than_processes_is_refused_in_words() -> None:
    assert share_of(terms(4), 4) == terms(4)
    with pytest.raises(TermsError, match=r"pool pool: 4 requests at once cannot be shared by 5 processes"):
        share_of(terms(4), 5)


def test_an_hourly_cap_is_divided_and_nobody_is_left_without() -> None:
    curve = CapacityCurve("all", "m", 0, (1000, 2, 0), (10, 10, 10), (1, 1, 1))
    assert share_of(terms(4, (curve,)), 3).caps == (replace(curve, uncached_input=(333, 1, 0)),)
    assert share_of(terms(4, (curve,)), 1) == terms(4, (curve,))


def ask(desk: Desk, who: int) -> Ticket:
    ticket = Ticket(desk.kind("all", "m"), who, 0, 0, 100, 100, NOW, 0, NOW + 3_600_000)
    desk.arrive(ticket, NOW)
    return ticket


def test_a_desk_whose_slots_are_leased_sends_as_many_as_its_lease_says() -> None:
    desk = Desk(terms(4), leased=True)
    first, second, third = (ask(desk, who) for who in (1, 2, 3))
    assert [t.outcome for t in (first, second, third)] == [QUEUED] * 3
    assert desk.lease("pool", 2, NOW)
    assert [(t, outcome) for t, outcome, _ in desk.take_told()] == [(first, ADMITTED), (second, ADMITTED)]
    assert not desk.lease("pool", 2, NOW)
    assert desk.lease("pool", 1, NOW) and desk.take_told() == []  # what runs goes on
    desk.ended(first, NOW, output=1)
    assert desk.take_told() == [] and desk.services["m"].waiting == 1
    desk.ended(second, NOW, output=1)
    assert [t for t, _, _ in desk.take_told()] == [third]
    assert desk.lease("pool", 9, NOW) and desk.services["m"].slots == [4]  # never more than the terms say
    with pytest.raises(KeyError):
        desk.lease("another", 1, NOW)


def test_other_terms_leave_a_lease_as_it_is_unless_it_is_more_than_they_say() -> None:
    desk = Desk(terms(8), leased=True)
    desk.lease("pool", 4, NOW)
    desk.change(terms(16), NOW)
    assert desk.services["m"].slots == [4]
    desk.change(terms(3), NOW)
    assert desk.services["m"].slots == [3]
