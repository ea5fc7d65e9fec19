"""Memory below HBM: exact against the naive stepper, and what loading does and does not hold up."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from cells import by_cell, by_naive_cell, drawn_cell
from hypothesis import given, settings
from hypothesis import strategies as st
from workloads import MS, One, Workload, by_engine, by_naive, drawn

from ampacity.simulator.closed_loop import Steps, serve_closed_loop
from ampacity.simulator.engine import PS_PER_S, Engine, KvTier
from ampacity.simulator.rows import HIT_BELOW, HIT_FURTHER, HIT_TOKENS
from ampacity.simulator.step_table import TICKS, StepTable

SEEDS = st.integers(0, 2**32)
A_TOKEN_A_MS = StepTable(per_iteration=TICKS, per_token=MS * TICKS)
"""Iterations that take a millisecond a token, and 1 ps."""


def test_three_hundred_workloads_with_tiers_end_at_the_same_picoseconds() -> None:
    loaded = np.zeros(2, np.int64)
    workloads = jumped = preempted = 0
    for seed in range(300):
        w = drawn(seed, tiered=True)
        one = One(w)
        one.run()
        one.hold_that_nothing_is_left()
        found = one.met()
        assert found.times == by_naive(w), f"seed {seed}: {w.engine}"
        loaded += [one.row[HIT_BELOW], one.row[HIT_FURTHER]]
        workloads += bool(w.engine.tiers)
        jumped, preempted = jumped + found.jumped, preempted + found.preempted
    assert workloads > 120
    assert loaded.min() > 2_000
    assert jumped > 20_000
    assert preempted > 50


def tight(seed: int) -> Workload:
    """A workload that evicts and loads much: a crowd of sessions, some of them taken back while they load."""
    w = drawn(seed, prefix_cache=True, idle_s=None, kv_blocks=20)
    rng = np.random.default_rng([seed, 5])
    load_ps = int(rng.choice([MS, 3 * MS, 10 * MS]))
    w = replace(w, engine=replace(w.engine, tiers=(KvTier(15, load_ps), KvTier(200, 4 * load_ps))))
    count = len(w.abort_after_ps)
    after = (rng.integers(0, 400, count) * MS // 2).tolist()
    taken_back = rng.random(count) < 0.3
    return replace(w, abort_after_ps=tuple(a if t else None for a, t in zip(after, taken_back, strict=True)))


@settings(max_examples=150)
@given(SEEDS)
def test_loads_that_are_taken_back_leave_engine_and_stepper_alike(seed: int) -> None:
    w = tight(seed)
    assert by_engine(w).times == by_naive(w)


@settings(max_examples=60)
@given(SEEDS)
def test_plain_source_and_compiled_source_agree_and_looking_changes_nothing(seed: int) -> None:
    w = drawn(seed, tiered=True)
    assert by_engine(w, plain=True) == by_engine(w)
    assert by_engine(w, pokes=200).times == by_engine(w).times


def test_cells_whose_replicas_have_tiers_agree_with_naive_cells() -> None:
    loaded = 0
    for seed in range(70):
        w = drawn_cell(seed, tiered=True)
        found, met = by_cell(w)
        assert met == by_naive_cell(w)[1], f"seed {seed}: {w.routing}"
        loaded += found.loaded_tokens[0] > 0
    assert loaded > 3


@settings(max_examples=60)
@given(SEEDS, st.integers(1, 2))
def test_a_tier_that_loads_at_once_and_holds_all_is_as_good_as_found(seed: int, tiers: int) -> None:
    """With room for all and no time to load, what is computed is what an unbounded HBM would leave to compute."""
    w = drawn(seed, aborts=False, prefix_cache=True, idle_s=None, kv_blocks=60, tokens_per_round=Fraction(1), drafts=0)
    w = replace(w, shared=(), group_of=(0,) * len(w.chains))
    w = replace(w, engine=replace(w.engine, tiers=(KvTier(10**6, 0),) * tiers))
    one = One(w)
    one.run()
    naive = by_naive(w)
    assert one.met().times == naive
    assert one.row[HIT_TOKENS] >= sum(16 * (cached // 16) for chain in w.chains for _, _, cached, _ in chain if cached)


def two_sessions(*tiers: KvTier) -> Steps:
    """One session fills memory, another takes its place, the first comes back; a third only decodes meanwhile."""
    engine = Engine(kv_blocks=40, token_budget=1000, max_seqs=8, lag=0, tiers=tiers)
    first = [(0, 320, 0, 1), (10 * PS_PER_S, 336, 320, 1)]
    second = [(PS_PER_S, 480, 0, 1)]
    third = [(11 * PS_PER_S, 16, 0, 100)]
    return serve_closed_loop(engine, A_TOKEN_A_MS, [first, second, third])


def test_what_another_session_evicted_is_loaded_and_only_the_rest_computed() -> None:
    """The second session needs 30 of 40 blocks, so 10 of the first one's 20 go down, from its end, and come back."""
    met = two_sessions(KvTier(100, 5 * MS))
    assert met.hit_tokens[1] == 320
    assert met.loaded_tokens == (160, 0)
    waited = int(met.first_ps[1] - met.arrival_ps[1])
    assert waited == 10 * 5 * MS + 16 * MS + 1


def test_without_a_tier_the_same_is_computed_again() -> None:
    met = two_sessions()
    assert met.hit_tokens[1] == 160
    assert int(met.first_ps[1] - met.arrival_ps[1]) == 176 * MS + 1


def test_what_the_first_tier_has_no_room_for_comes_from_the_second_at_its_pace() -> None:
    met = two_sessions(KvTier(4, 5 * MS), KvTier(100, 50 * MS))
    assert met.loaded_tokens == (4 * 16, 6 * 16)
    assert int(met.first_ps[1] - met.arrival_ps[1]) == 4 * 5 * MS + 6 * 50 * MS + 16 * MS + 1


def test_the_last_tier_forgets_from_the_end() -> None:
    met = two_sessions(KvTier(4, 5 * MS))
    assert met.hit_tokens[1] == 160 + 64
    assert met.loaded_tokens == (64, 0)


def test_others_run_while_one_loads() -> None:
    """A load of 10 s: who comes meanwhile has its first token at once and is not slowed down."""
    met = two_sessions(KvTier(100, PS_PER_S))
    assert int(met.first_ps[3] - met.arrival_ps[3]) == 16 * MS + 1
    assert int(met.finish_ps[3] - met.first_ps[3]) == 99 * (MS + 1)
    assert int(met.first_ps[1] - met.arrival_ps[1]) == 10 * PS_PER_S + 16 * MS + 1


def test_loads_of_one_replica_queue_behind_each_other() -> None:
    engine = Engine(kv_blocks=60, token_budget=1000, max_seqs=8, lag=0, tiers=(KvTier(100, 100 * MS),))
    early = [[(0, 320, 0, 1), (10 * PS_PER_S, 336, 320, 1)] for _ in range(2)]
    filler = [(5 * PS_PER_S, 959, 0, 1)]
    met = serve_closed_loop(engine, A_TOKEN_A_MS, [*early, filler])
    first, second = (int(met.first_ps[i] - met.arrival_ps[i]) for i in (1, 3))
    assert met.loaded_tokens == (640, 0)
    assert {first, second} == {2_000 * MS + 16 * MS + 1, 4_000 * MS + 16 * MS + 1}


def test_impossible_tiers_are_all_told_at_once() -> None:
    every = r"3 KV tiers below HBM: at most 2; .*without a prefix cache.*; KV tier 1 of 0 blocks"
    with pytest.raises(ValueError, match=every):
        Engine(10, prefix_cache=False, tiers=(KvTier(0, 1), KvTier(1, 1), KvTier(1, 1)))
    with pytest.raises(ValueError, match="a day for all blocks"):
        Engine(10, tiers=(KvTier(1, 86_400 * PS_PER_S),))
