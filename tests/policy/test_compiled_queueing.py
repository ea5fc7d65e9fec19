"""Routing and queueing, interpreted and compiled, choose alike; and no number of them passes 63 bits."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.compiled import compiled, kernel_text
from ampacity.policy import (
    capacity_cap,
    health,
    homes,
    index_heap,
    limits,
    mixing,
    prices,
    queueing,
    reclaim,
    retry_budget,
    routing,
    stores,
    turns,
)
from ampacity.policy.homes import PERCENT_MOST, home_of, home_within, nearer
from ampacity.policy.line import (
    AGEING_MOST,
    CAME_MOST_MS,
    COUNTER_MOST,
    E_CAME_MS,
    E_CHARGE,
    E_COST,
    E_PERSON,
    P_COUNTER,
    P_WEIGHT,
    PERSON_FIELDS,
    PERSON_WEIGHT_MOST,
    Q_WAITING,
    QUANTUM_MOST,
    TOKENS_ASKED_MOST,
    fresh_queue,
)
from ampacity.policy.mixing import MIXED_MASK, mixed
from ampacity.policy.queueing import (
    NOTHING,
    correct,
    dequeue,
    enqueue,
    overdue,
    pass_through,
    put_back,
    whom_to_refuse,
    withdraw,
)
from ampacity.policy.routing import (
    BACKLOG_MOST,
    MOVE_MOST_NS,
    NOBODY,
    PACE_MOST_NS,
    R_BACKLOG,
    R_OUT_UNTIL_MS,
    R_REQUESTS,
    R_SHARE,
    REPLICA_FIELDS,
    REPLICAS_MOST,
    REQUESTS_MOST,
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
)
from ampacity.policy.stores import FOREVER

PEOPLE, SESSIONS, REPLICAS = 40, 300, 12
FIELDS = 7  # of one operation: person, tier, tokens, milliseconds, draw, share of the prompt that home has, luck


def drive(ops, fields, queue, people, cell, count, house, cached, running, out):
    """People ask; what is next goes to a replica, by each rule in turn, and ends later; `out` gets the decisions."""
    now = 1000
    turns_passed = 0
    for n in range(len(out) // 2):
        o = n * fields
        now += ops[o + 3]
        p = ops[o] * PERSON_FIELDS
        tokens = ops[o + 2]
        draw = ops[o + 4]
        e = enqueue(queue, people, p, ops[o + 1], tokens, now, now + 400)
        if e == NOTHING:
            e = whom_to_refuse(queue, people, p, ops[o + 1], now)
            if e != NOTHING:
                withdraw(queue, people, e)
                enqueue(queue, people, p, ops[o + 1], tokens, now, FOREVER)
        late = overdue(queue, now)
        if late != NOTHING:
            withdraw(queue, people, late)
        out[2 * n] = e
        out[2 * n + 1] = late
        slot = 4 * (n % (len(running) // 4))
        if running[slot] > 0:  # what was there has ended
            r = (running[slot] - 1) * REPLICA_FIELDS
            note_computed(cell, r, running[slot + 2])
            note_ended(cell, r)
            correct(queue, people, running[slot + 1], running[slot + 3], running[slot + 2] // 2)
            running[slot] = 0
        if has_room(cell, 0, count, 50_000_000, now):
            e = dequeue(queue, people)
            if e == NOTHING:
                pass_through(queue, people, p, ops[o + 1], tokens, now)
            else:
                who = draw % len(house)
                prompt = queue[e + E_COST]
                kept = prompt * ops[o + 5] // 100
                rule = n % 8
                for i in range(count):
                    cached[i] = kept if i == house[who] else kept // 3
                if rule == 0:
                    chosen = at_random(cell, 0, count, now, draw)
                elif rule == 1:
                    turns_passed = in_turn(cell, 0, count, now, turns_passed)
                    chosen = turns_passed % count
                    turns_passed += 1
                elif rule == 2:
                    chosen = least(cell, 0, count, R_BACKLOG, now, n)
                elif rule == 3:
                    chosen = better_of_two(cell, 0, count, R_REQUESTS, now, draw)
                elif rule == 4:
                    chosen = soonest(cell, 0, count, cached, 0, 2, prompt, now, n)
                elif rule == 5:
                    chosen = home_within(cell, 0, count, mixed(who), R_REQUESTS, 1, 125, now)
                else:
                    chosen = late_bound(cell, 0, count, house[who], kept, kept // 3, 10**7, 2, prompt, now, n)
                if ops[o + 6] == 0:  # pre-empted before it began
                    put_back(
                        queue,
                        people,
                        queue[e + E_PERSON],
                        ops[o + 1],
                        prompt,
                        queue[e + E_CHARGE],
                        queue[e + E_CAME_MS],
                        now,
                    )
                else:
                    note_sent(cell, chosen * REPLICA_FIELDS, prompt)
                    running[slot] = chosen + 1
                    running[slot + 1] = queue[e + E_PERSON]
                    running[slot + 2] = prompt
                    running[slot + 3] = queue[e + E_CHARGE]
                    house[who] = chosen
                out[2 * n + 1] += chosen << 32
        if ops[o + 6] == 1:  # a replica is ejected for a while
            cell[draw % count * REPLICA_FIELDS + R_OUT_UNTIL_MS] = now + 300


def operations(count: int) -> np.ndarray:
    """Random people, tokens and draws; more is asked than the replicas carry."""
    rng = np.random.default_rng(3)
    ops = np.zeros((count, FIELDS), np.int64)
    ops[:, 0] = PEOPLE * rng.random(count) ** 2
    ops[:, 1] = ops[:, 0] % 3
    ops[:, 2] = rng.lognormal(8, 1.5, count) + 1
    ops[:, 3] = rng.integers(-2, 12, count)
    ops[:, 4] = rng.integers(0, MIXED_MASK, count)
    ops[:, 5] = rng.integers(0, 101, count)
    ops[:, 6] = rng.integers(0, 100, count)
    return ops


def run(function: Any, make: Any, ops: np.ndarray) -> tuple[np.ndarray, ...]:
    """Decisions, and the rows that they leave."""
    queue, people = fresh_queue([2000, 8000, 30_000], 24, ageing=3), [0] * (PEOPLE * PERSON_FIELDS)
    people[P_WEIGHT::PERSON_FIELDS] = [0, 128, 256, 999] * (PEOPLE // 4)
    cell = replica_rows(range(REPLICAS), 20_000)
    cell[R_SHARE::REPLICA_FIELDS] = [256, 256, 100] * (REPLICAS // 3)
    rows = [make(row) for row in (queue, people, cell, [NOBODY] * SESSIONS, [0] * REPLICAS, [0] * 4 * 60)]
    queue, people, cell, house, cached, running = rows
    out = make([0] * (2 * len(ops)))
    function(make(ops.ravel().tolist()), FIELDS, queue, people, cell, REPLICAS, house, cached, running, out)
    return tuple(np.array(row, np.int64) for row in (out, *rows))


def int64(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.slow
def test_a_hundred_thousand_requests_are_queued_and_routed_alike_interpreted_and_compiled() -> None:
    ops = operations(100_000)
    plain = run(drive, list, ops)
    for one, other in zip(plain, run(compiled(drive).drive, int64, ops), strict=True):
        np.testing.assert_array_equal(one, other)
    decisions = plain[0].reshape(-1, 2)
    assert len(np.unique(decisions[:, 1] >> 32)) == REPLICAS
    assert 1000 < (decisions[:, 0] == NOTHING).sum() < 50_000  # refused themselves
    assert (decisions[:, 1] & (2**32 - 1) > 0).sum() > 1000  # overdue
    assert plain[1][Q_WAITING] > 0


def test_all_of_the_room_can_be_compiled_as_one_kernel() -> None:
    """No two functions share a name, and no two constants of one name differ."""
    rooms: list[ModuleType] = [
        capacity_cap,
        health,
        homes,
        index_heap,
        limits,
        mixing,
        prices,
        queueing,
        reclaim,
        retry_budget,
        routing,
        stores,
        turns,
    ]
    plain_only = {replica_rows, capacity_cap.compile_caps, health.health_rules, retry_budget.budget_rules}
    functions = [f for room in rooms for f in vars(room).values() if callable(f) and not isinstance(f, type)]
    own = [f for f in functions if f.__module__ in {r.__name__ for r in rooms} and f not in plain_only]
    assert len(own) > 80
    assert "def late_bound" in kernel_text(tuple(dict.fromkeys(own)))


SHARES = st.sampled_from([0, 1, WHOLE_SHARE])
LOADS = st.sampled_from([0, 1, BACKLOG_MOST])
STALLS = st.sampled_from([0, STALL_MOST_NS])
PACES = st.sampled_from([1, PACE_MOST_NS])


@given(
    st.lists(st.tuples(SHARES, LOADS, STALLS, PACES), min_size=1, max_size=4),
    st.sampled_from([0, BACKLOG_MOST]),
    st.sampled_from([0, MOVE_MOST_NS]),
    st.integers(0, MIXED_MASK),
)
def test_no_number_of_routing_passes_63_bits_in_the_largest_cell(
    watched: Any, kinds: list[tuple[int, ...]], prompt: int, move: int, draw: int
) -> None:
    count = REPLICAS_MOST if draw % 8 == 0 else 9
    plain: list[int] = []
    for i in range(count):
        share, load, stall, pace = kinds[i % len(kinds)]
        plain += [share, 0, min(load, REQUESTS_MOST), load, stall, pace, mixed(i), 0]
    cell = [watched(n) for n in plain]
    zero, tokens, chance, now, times = watched(0), watched(prompt), watched(draw), watched(2**43), watched(TIMES_MOST)
    session = mixed(chance)
    chosen = [
        at_random(cell, zero, count, now, chance),
        least(cell, zero, count, R_BACKLOG, now, chance),
        better_of_two(cell, zero, count, R_REQUESTS, now, chance),
        soonest(cell, zero, count, [zero] * count, zero, times, tokens, now, chance),
        late_bound(cell, zero, count, 0, tokens, zero, watched(move), times, tokens, now, chance),
        home_of(cell, zero, count, session, now),
        home_within(cell, zero, count, session, R_BACKLOG, watched(BACKLOG_MOST), watched(PERCENT_MOST), now),
        in_turn(cell, zero, count, now, watched(2**60)),
    ]
    has_room(cell, zero, count, watched(2**62), now)
    if count > 1:
        nearer(cell, zero, watched(REPLICA_FIELDS), session)
    nobody = not any(cell[R_SHARE::REPLICA_FIELDS])
    assert all((c == NOBODY) == nobody for c in chosen)
    for r in range(0, count * REPLICA_FIELDS, REPLICA_FIELDS):
        note_sent(cell, r, watched(BACKLOG_MOST))
        assert 0 <= cell[r + R_BACKLOG] <= BACKLOG_MOST


COSTS = st.sampled_from([-1, 0, 1, TOKENS_ASKED_MOST, 2**62])
TIMES_MS = st.sampled_from([-1, 0, 1, CAME_MOST_MS, 2**62])


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), COSTS, TIMES_MS, st.integers(0, 5)), max_size=25),
    st.sampled_from([0, 1, PERSON_WEIGHT_MOST]),
    st.sampled_from([0, COUNTER_MOST]),
)
def test_no_number_of_queueing_passes_63_bits_at_the_largest_costs_counters_and_times(
    watched: Any, told: list[tuple[int, ...]], weight: int, counter: int
) -> None:
    queue = [watched(n) for n in fresh_queue([1, QUANTUM_MOST], 5, AGEING_MOST)]
    people = [watched(0)] * (4 * PERSON_FIELDS)
    people[P_WEIGHT::PERSON_FIELDS] = [watched(weight)] * 4
    people[P_COUNTER::PERSON_FIELDS] = [watched(counter), watched(0)] * 2
    for person, tier, cost, ms, what in told:
        p, now = watched(person * PERSON_FIELDS), watched(ms)
        if what <= 2 and enqueue(queue, people, p, tier, watched(cost), now, now) == NOTHING:
            e = whom_to_refuse(queue, people, p, tier, now)
            if e != NOTHING:
                withdraw(queue, people, e)
        elif what == 3:
            dequeue(queue, people)
        elif what == 4:
            correct(queue, people, p, watched(2**40), watched(cost))
        elif queue[Q_WAITING] == 0:
            pass_through(queue, people, p, tier, watched(cost), now)
        assert all(0 <= n <= COUNTER_MOST for n in people[P_COUNTER::PERSON_FIELDS])
