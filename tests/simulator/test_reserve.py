"""Output to come for which admission keeps memory free, and who gives way, as in SGLang: exact, and what they do."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from cells import by_cell, by_naive_cell, drawn_cell
from hypothesis import given, settings
from hypothesis import strategies as st
from workloads import MS, One, Workload, by_engine, by_naive, drawn

from ampacity.scenario.load import load
from ampacity.simulator import replica
from ampacity.simulator.engine import FOREVER_PS, PS_PER_S, UNIT_MOST, Engine, Reserve, sglang, vllm
from ampacity.simulator.open_loop import serve_open_loop
from ampacity.simulator.reserve import decodings_since, share_now
from ampacity.simulator.rows import (
    ARRIVAL_PS,
    INPUT,
    OUTPUT,
    REQUEST_FIELDS,
    ROUND,
    ROUND_PART,
    SHARE_AT,
    SHARE_PART,
    fresh_replicas,
    fresh_requests,
    fresh_sessions,
)
from ampacity.simulator.step_table import TICKS, StepTable
from ampacity.simulator.twin import model_cells

SEEDS = st.integers(0, 2**32)
TEN_MS = StepTable(per_iteration=10 * MS * TICKS)


@pytest.mark.parametrize("tiered", [False, True])
def test_six_hundred_workloads_that_reserve_end_at_the_same_picoseconds(tiered: bool) -> None:
    preempted = jumped = otherwise = 0
    for seed in range(300):
        w = drawn(seed, tiered=tiered, reserves=True)
        found = by_engine(w)
        assert found.times == by_naive(w), f"seed {seed}: {w.engine}"
        preempted, jumped = preempted + found.preempted, jumped + found.jumped
        otherwise += found.times != by_engine(replace(w, engine=replace(w.engine, reserve=None))).times
    assert preempted > 50
    assert jumped > 20_000
    assert otherwise > 60


@pytest.mark.parametrize("asked", [0, 50, 200])
def test_shares_that_fall_within_four_iterations_and_rise_after_a_rest(asked: int) -> None:
    """What a jump forgets of those who have gone shows here."""
    quickly = Reserve(first=Fraction(1), least=Fraction(0), fall=Fraction(1, 4), asked=asked)
    for seed in range(200):
        w = drawn(seed, lag=1, reserve=quickly)
        assert by_engine(w).times == by_naive(w), f"seed {seed}: {w.engine}"


def test_prompts_of_every_length_are_let_in_or_refused_alike_after_another_has_gone() -> None:
    falls = Reserve(first=Fraction(1), least=Fraction(0), fall=Fraction(1, 20))
    e = Engine(kv_blocks=20, lag=1, mixed=False, prefix_cache=False, reserve=falls)
    refused = 0
    for inputs in range(100, 280):
        chains = [[(0, 16, 0, 100)], [(0, 16, 0, 3)], [(85 * MS, inputs, 0, 5)]]
        w = Workload(e, TEN_MS, chains, (), (0,) * 3, (0,) * 3, (None,) * 3)
        found = by_engine(w)
        assert found.times == by_naive(w)
        refused += found.times[2][0] > found.times[0][1]
    assert 50 < refused < 150


@settings(max_examples=60)
@given(SEEDS)
def test_plain_source_and_compiled_source_agree_and_looking_changes_nothing(seed: int) -> None:
    w = drawn(seed, reserves=True)
    assert by_engine(w, plain=True) == by_engine(w)
    assert by_engine(w, pokes=200).times == by_engine(w).times


def test_cells_whose_replicas_reserve_agree_with_naive_cells() -> None:
    for seed in range(70):
        w = drawn_cell(seed, reserves=True)
        assert by_cell(w)[1] == by_naive_cell(w)[1], f"seed {seed}: {w.routing}"


def met(engine: Engine, *requests: tuple[int, int, int]) -> list[tuple[int, int]]:
    """First and last tokens [ms] of (arrival [ms], input, output), with iterations of 10 ms."""
    chains = [[(at * MS, inputs, 0, outputs)] for at, inputs, outputs in requests]
    none = (0,) * len(chains)
    found = by_engine(Workload(engine, TEN_MS, chains, (), none, none, (None,) * len(chains)))
    return [(first // MS, finish // MS) for first, finish in found.times]


TEN_BLOCKS = Engine(kv_blocks=10, lag=0, mixed=False, prefix_cache=False)


@pytest.mark.parametrize(
    ("share", "second_begins_ms"),
    # 32 + 33 + 16 tokens beside nothing, or beside the 38 that the first still has to come: 112 are free
    [(Fraction(0), 20), (Fraction(1), 400)],
)
def test_who_would_take_what_others_may_still_need_waits_until_they_have_ended(
    share: Fraction, second_begins_ms: int
) -> None:
    kept = Reserve(first=share, least=share, fall=Fraction(0))
    (_, finish), (first, _) = met(replace(TEN_BLOCKS, reserve=kept), (0, 32, 40), (15, 32, 33))
    assert first == second_begins_ms + 10
    assert finish == (400 if share else 410)


def test_a_share_that_falls_lets_nobody_in_before_somebody_has_gone() -> None:
    """It would after one iteration: SGLang does not look again while nobody has gone."""
    kept = Reserve(first=Fraction(1), least=Fraction(0), fall=Fraction(1))
    third = met(replace(TEN_BLOCKS, reserve=kept), (0, 32, 40), (0, 4, 5), (5, 32, 24))[2]
    assert third[0] == 70  # refused at 10; the short one ends at 50, counts as gone at 60, and the prompt takes ten


def test_whoever_has_least_output_gives_way_and_waits_behind_all() -> None:
    rules = replace(TEN_BLOCKS, kv_blocks=6, max_seqs=2)
    long, later, last = (0, 31, 40), (0, 31, 30), (100, 31, 1)
    (_, first_ends), (_, then), (one_token, _) = met(rules, later, long, last)
    assert first_ends < then < FOREVER_PS
    by_output = met(replace(rules, least_output_first=True), later, long, last)
    assert by_output[2][0] < one_token


@pytest.mark.parametrize("rate", [Fraction(1), Fraction(3), Fraction(27, 10), Fraction(7, 5)])
def test_decoding_iterations_are_counted_by_the_rounds_that_they_gave(rate: Fraction) -> None:
    rules = Engine(100, drafts=2, tokens_per_round=rate, reserve=Reserve()).rules()
    for start in range(10):
        row = fresh_replicas(Engine(100), 1)[0]
        for iteration in range(40):
            if iteration == start:
                row[SHARE_AT], row[SHARE_PART] = row[ROUND], row[ROUND_PART]
            if iteration >= start:
                assert decodings_since(row, rules) == iteration - start
            row[ROUND] += replica.gain(rules, row[ROUND_PART])
            row[ROUND_PART] = (row[ROUND_PART] + 1) % rate.denominator


def test_sglangs_share_falls_to_its_least_in_six_hundred_iterations() -> None:
    engine = sglang(1000)
    assert engine.reserve == Reserve()
    assert (Reserve().first, Reserve().least, Reserve().unit) == (Fraction(7, 10), Fraction(98, 1000), 300_000)
    row, rules = fresh_replicas(engine, 1)[0], engine.rules()
    shares = []
    for iterations in (0, 1, 599, 600, 10**9):
        row[ROUND] = iterations
        shares.append(Fraction(int(share_now(row, rules)), 300_000))
    fall = Fraction(602, 600_000)
    assert shares == [Fraction(7, 10), Fraction(7, 10) - fall, Fraction(98, 1000) + fall, *[Fraction(98, 1000)] * 2]


def test_what_is_kept_free_saves_most_from_giving_way() -> None:
    rng = np.random.default_rng(3)
    arrival_ps = np.cumsum(rng.exponential(PS_PER_S / 40, 600)).astype(np.int64)
    step = StepTable(per_iteration=10 * MS * TICKS, per_token=MS // 50 * TICKS)
    gave_way = [
        serve_open_loop(engine, step, arrival_ps, 200, 400).preemptions
        for engine in (replace(sglang(1500), reserve=None), sglang(1500))
    ]
    assert gave_way[0] > 4 * gave_way[1]


def test_the_largest_reserve_stays_within_63_bits(watched: type[int]) -> None:
    share = Fraction(UNIT_MOST - 1, UNIT_MOST)
    largest = Reserve(share, share / 3 * 3, Fraction(1, UNIT_MOST), UNIT_MOST, 1 << 20, 1 << 31)
    e = Engine(1 << 24, 1 << 17, 64, mixed=False, least_output_first=True, reserve=largest)
    step = StepTable(per_iteration=TICKS)
    row, rules, table = ([watched(n) for n in a.tolist()] for a in (fresh_replicas(e, 1)[0], e.rules(), step.flat()))
    requests = [watched(n) for n in fresh_requests(64).tolist()]
    sessions = [watched(n) for n in fresh_sessions(0).tolist()]
    for place in range(1, 65):
        at = place * REQUEST_FIELDS
        requests[at + ARRIVAL_PS], requests[at + INPUT], requests[at + OUTPUT] = map(watched, (0, 1 << 20, 5000))
        assert replica.push(row, rules, requests, watched(place)) == replica.TAKEN
    while (now := replica.next_visible_ps(row, requests)) < FOREVER_PS:
        replica.advance(row, rules, table, requests, sessions, watched(now))


def test_vllm_keeps_nothing_free_and_impossible_reserves_are_refused() -> None:
    assert vllm(1000).reserve is None
    with pytest.raises(ValueError, match=r"7/10 at first and 4/5 at least.*falls by 2.*0 tokens of output reserved"):
        Reserve(least=Fraction(8, 10), fall=Fraction(2), most=0)
    with pytest.raises(ValueError, match="common denominator"):
        Reserve(fall=Fraction(1, UNIT_MOST + 1))


def test_a_placement_that_names_sglang_is_simulated_with_its_rules() -> None:
    s = load("laptop", sets=["placements.code.engine=sglang", "worlds=1"])
    (cell,) = model_cells(s, {"developers": {"five-hour": 60e6, "weekly": 600e6}})
    assert {(pool.engine.reserve, pool.engine.least_output_first) for pool in cell.pools} == {(Reserve(), True)}


def test_nothing_is_left_of_a_reserve() -> None:
    """Every request is answered, and then no block, sequence or token is booked any more."""
    w = drawn(7, reserves=True)
    one = One(w)
    one.run()
    one.hold_that_nothing_is_left()
    assert w.engine.reserve is not None
    assert all(finish >= first > 0 for first, finish in one.met().times)
