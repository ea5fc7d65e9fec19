"""The engine in real time is the simulator's: looked at whenever somebody likes, it does what it does by itself."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from ampacity.emulation.replicas import Replicas, Sent
from ampacity.emulation.sessions import SESSIONS_MOST, Sessions
from ampacity.simulator.cell_terms import Pool
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S, sglang, vllm
from ampacity.simulator.open_loop import serve_all
from ampacity.simulator.rows import (
    ARRIVAL_PS,
    CACHEABLE,
    FINISH_PS,
    FIRST_PS,
    INPUT,
    OUTPUT,
    PREEMPTIONS,
    REQUEST_FIELDS,
    SESSION,
    fresh_replicas,
    fresh_requests,
    fresh_sessions,
)
from ampacity.simulator.step_table import TICKS, StepTable

MS = PS_PER_S // 1000
STEP = StepTable(
    per_iteration=4 * MS * TICKS,
    per_token=MS // 50 * TICKS,
    per_sequence=MS // 20 * TICKS,
    pieces=((0, 500 * TICKS, 0),),
)


@pytest.mark.parametrize("kind", [vllm, sglang])
@pytest.mark.parametrize("seed", range(6))
def test_tokens_come_at_the_instants_of_the_engine_itself(kind: object, seed: int) -> None:
    """Drawn conversations on a replica of little memory, looked at when an alarm goes off, late, and in between."""
    engine = (vllm if kind is vllm else sglang)(400, token_budget=512, max_seqs=8)
    draw = random.Random(seed)
    arrivals = sorted(draw.randrange(4000 * MS) for _ in range(60))
    replicas = Replicas(Pool(engine, STEP, 1))
    under_way: dict[int, Sent] = {}
    prompts = [draw.randrange(1, 600) for _ in range(10)]
    met: list[tuple[list[int], list[tuple[int, int]]]] = []
    seen: dict[int, list[tuple[int, int]]] = {}

    def look(now: int) -> None:
        replicas.advance(0, now)
        for place, tokens in replicas.decoding(0):
            seen[place].append((now, tokens))
        for place, whole in replicas.ended(0):
            assert whole
            replicas.close(under_way.pop(place))
            at = place * REQUEST_FIELDS
            met.append((replicas._requests[at : at + REQUEST_FIELDS], seen.pop(place)))

    for arrival in arrivals:
        while (alarm := replicas.next_ps(0)) < arrival:
            look(min(alarm + draw.choice([1, MS // 3, 9 * MS]), arrival))
        who = draw.randrange(10)
        prompts[who] += draw.randrange(200)  # a conversation grows, so none is cut
        sent = replicas.send(f"session {who}", prompts[who], draw.randrange(1, 120), arrival)
        assert sent is not None
        under_way[sent.place] = sent
        seen[sent.place] = []
    while (alarm := replicas.next_ps(0)) < FOREVER_PS:
        look(alarm + 1)
    assert not under_way
    assert len(met) == len(arrivals)

    alone = sorted((row for row, _ in met), key=lambda row: row[ARRIVAL_PS])
    requests = fresh_requests(len(alone)).tolist()
    for place, row in enumerate(alone, 1):
        for of in (ARRIVAL_PS, INPUT, CACHEABLE, OUTPUT, SESSION):
            requests[place * REQUEST_FIELDS + of] = row[of]
    one = fresh_replicas(engine, 1)[0].tolist()
    known = fresh_sessions(SESSIONS_MOST).tolist()
    serve_all(one, engine.rules().tolist(), STEP.flat().tolist(), requests, known, FOREVER_PS)
    for place, row in enumerate(alone, 1):
        at = place * REQUEST_FIELDS
        assert (row[FIRST_PS], row[FINISH_PS]) == (requests[at + FIRST_PS], requests[at + FINISH_PS])
    assert sum(row[CACHEABLE] > 0 for row in alone) > 3
    assert one[PREEMPTIONS] == replicas._rows[0][PREEMPTIONS]

    for row, looks in met:
        tokens = [n for _, n in looks]
        assert tokens == sorted(tokens)
        assert all(at >= row[FIRST_PS] for at, _ in looks)
        assert all(1 <= n < row[OUTPUT] for n in tokens)


def test_a_session_stays_at_home_and_two_sessions_part() -> None:
    replicas = Replicas(Pool(vllm(10_000), STEP, 2))
    now, homes = 0, []
    for turn in range(4):
        both = [replicas.send(key, 4000 + 100 * turn, 5, now + 1) for key in ("a", "b")]
        now += 10 * PS_PER_S
        for sent in both:
            assert sent is not None
            homes.append(sent.replica)
            replicas.advance(sent.replica, now)
            assert list(replicas.ended(sent.replica)) == [(sent.place, True)]
            had_before = 4000 + 100 * (turn - 1) if turn else 0
            assert replicas.found(sent.place) == had_before // 16 * 16
            replicas.close(sent)
    assert homes[:2] == homes[2:4] == homes[4:6] == homes[6:]
    assert homes[0] != homes[1]


def test_a_replica_that_was_killed_takes_nothing_until_it_is_back() -> None:
    replicas = Replicas(Pool(replace(vllm(1000), max_seqs=4), STEP, 1))
    sent = replicas.send("a", 100, 50, 0)
    assert sent is not None
    replicas.advance(0, PS_PER_S // 10)
    replicas.kill(0, PS_PER_S // 10)
    assert list(replicas.ended(0)) == [(sent.place, False)]
    assert replicas.send("b", 100, 50, PS_PER_S) is None
    replicas.bring_back(0)
    assert replicas.send("b", 100, 50, PS_PER_S) is not None
    assert replicas.waiting() + replicas.running() == 1


def test_the_conversation_that_asked_longest_ago_makes_room() -> None:
    sessions = Sessions(2)
    first, _ = sessions.turn("first", 10)
    first.context = 10
    second, _ = sessions.turn("second", 10)
    second.context, second.open = 12, True
    assert sessions.turn("third", 10)[0].place == first.place
    assert sessions.left == [first.place]
    assert sessions.turn("second", 20)[0].place == 0  # beside the one under way
    second.open = False
    assert sessions.turn("second", 20) == (second, 12)
    again, shared = sessions.turn("first", 20)
    assert (again.place, shared) == (first.place, 0)


def test_a_cut_conversation_begins_anew() -> None:
    sessions = Sessions()
    long, _ = sessions.turn("a", 1000)
    long.context = 1100
    assert sessions.turn("a", 50)[0].place == 0
    assert sessions.turn("a", 1200) == (long, 1100)
    assert sessions.turn("a", 50)[0].place == 0
    short, shared = sessions.turn("a", 60)
    assert (short.place != 0, shared) == (True, 0)
    assert np.array_equal(sessions.left, [long.place])
