"""A trace laid out for replicas: what is asked, when, what it can find, and what is left out and why."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ampacity.demand.traces.read import read
from ampacity.demand.traces.reuse import Cache, with_cache
from ampacity.demand.traces.trace import Clock, Trace, canonical
from ampacity.scenario.load import load
from ampacity.scenario.mistakes import Mistakes
from ampacity.simulator import cell_rows as at
from ampacity.simulator.model_cell import context_most, pool_of, serving
from ampacity.simulator.open_loop import serve_open_loop
from ampacity.simulator.prefix_blocks import alike, continued, groups, shared_depth
from ampacity.simulator.ran import ran
from ampacity.simulator.trace_replay import FOLLOWED, NO_ANSWER, TOO_LONG, Replay, replay
from ampacity.supply.capacity import PoolCapacity, capacities
from ampacity.supply.delivery import hours_of

MODEL = "llama-3.1-70b"


@cache
def supply(*sets: str) -> tuple[PoolCapacity, ...]:
    s = load("laptop", sets=list(sets))
    return serving(capacities(s, hours_of(s)), MODEL)


def trace(clock: Clock = "trace", block_tokens: int | None = None, **columns: Any) -> Trace:
    frame = canonical(pl.DataFrame(columns, strict=False))
    return Trace(frame, "parquet", "made", clock, frame.height, 0.0, block_tokens=block_tokens)


def singles(count: int, seed: int = 1) -> Trace:
    """Chats at 6 a second, without sessions."""
    rng = np.random.default_rng(seed)
    return trace(
        t_s=np.sort(rng.uniform(0, count / 6, count)),
        input_tokens=rng.integers(20, 3000, count),
        output_tokens=rng.integers(1, 300, count),
    )


def answered(r: Replay) -> pl.DataFrame:
    """Every request as it was met, with the row of the trace that it is."""
    rows = ran(r.cell, windows=0).requests
    return rows.with_columns(pl.Series("row", r.row).gather(rows["step"])).sort("row")


def test_single_requests_meet_what_the_replica_engine_gives_them_one_by_one() -> None:
    """The cell, its router and the layout in between change nothing: the same picoseconds as the engine alone."""
    given = singles(400)
    found = answered(replay(given, supply(), MODEL))
    pool = pool_of(supply()[0])
    at_ps = np.rint((given.frame["t_s"] - given.frame["t_s"].min()).to_numpy() * 1e6).astype(np.int64) * 1_000_000  # type: ignore[operator]
    alone = serve_open_loop(pool.engine, pool.step, at_ps, given.frame["input_tokens"], given.frame["output_tokens"])
    assert (found["asked_ps"].to_numpy() == at_ps).all()
    assert (found["first_token_ps"].to_numpy() == alone.first_ps).all()
    assert (found["finished_ps"].to_numpy() == alone.finish_ps).all()


def test_whoever_gives_way_for_want_of_memory_finds_what_is_left_of_it() -> None:
    """As each has a session of its own on the engine alone, whose sequences go as the scenario bounds them."""
    given = singles(300, seed=4)
    tight = supply(
        "placements.code.kv_blocks=700", "placements.code.max_sequences=48", "placements.code.token_budget=900"
    )
    found = answered(replay(given, tight, MODEL))
    pool = pool_of(tight[0])
    assert (pool.engine.kv_blocks, pool.engine.max_seqs, pool.engine.token_budget) == (699, 48, 900)
    at_ps = np.rint((given.frame["t_s"] - given.frame["t_s"].min()).to_numpy() * 1e6).astype(np.int64) * 1_000_000  # type: ignore[operator]
    tokens = given.frame["input_tokens"], given.frame["output_tokens"]
    alone, forgetful = (
        serve_open_loop(pool.engine, pool.step, at_ps, *tokens, session=s) for s in (np.arange(1, 301), 0)
    )
    assert alone.preemptions > 10
    assert (found["finished_ps"].to_numpy() == alone.finish_ps).all()
    assert (found["finished_ps"].to_numpy() != forgetful.finish_ps).any()


def test_twice_the_speed_halves_the_time_between_arrivals_and_nothing_of_the_requests() -> None:
    one, two = (replay(singles(100), supply(), MODEL, speed).cell.scripts for speed in (1.0, 2.0))
    assert np.abs(one.starts[:, 0] - 2 * two.starts[:, 0]).max() <= 2_000_000
    assert (one.steps == two.steps).all()


def test_the_next_request_of_a_session_comes_a_gap_after_the_answer() -> None:
    given = trace(
        t_s=[0.0, 5.0, 9.0, 1.0, 30.0],
        session=[7, 7, 7, 8, 8],
        input_tokens=[1000, 2200, 3500, 400, 900],
        cached_tokens=[0, 1000, 2200, 0, 400],
        output_tokens=[200, 300, 100, 50, 60],
        gap_s=[None, 2.5, 0.25, None, 20.0],
    )
    r = replay(given, supply(), MODEL)
    found = answered(r)
    assert r.closed
    assert r.cell.left_out == {}
    for before, row, gap_s in ((0, 1, 2.5), (1, 2, 0.25), (3, 4, 20.0)):
        assert found["asked_ps"][row] - found["finished_ps"][before] == gap_s * 1e12
    assert found["asked_ps"].gather([0, 3]).to_list() == [0, 10**12]
    blocks_of_16 = [n // 16 * 16 for n in (0, 1000, 2200, 0, 400)]
    assert found["found_tokens"].to_list() == blocks_of_16


def test_a_gap_that_is_not_known_is_what_the_clock_leaves_after_the_answer() -> None:
    given = trace(
        t_s=[0.0, 10.0, 20.0, 50.0],
        session=[1, 1, 1, 1],
        input_tokens=[100] * 4,
        output_tokens=[10] * 4,
        gap_s=[None, 4.0, None, 3.0],
        server_s=[6.0, 7.0, 20.0, 1.0],
    )
    gaps = replay(given, supply(), MODEL).cell.scripts.steps[:, at.ASK_GAP_PS]
    assert gaps.tolist() == [0, 4 * 10**12, 3 * 10**12, 3 * 10**12]


def test_what_does_not_fit_or_was_never_answered_is_left_out_and_counted() -> None:
    most = context_most(supply())
    given = trace(
        t_s=[0.0, 1.0, 2.0, 3.0, 4.0],
        input_tokens=[most - 10, most - 9, 50, 70, None],
        output_tokens=[10, 10, 0, 5, 5],
    )
    r = replay(given, supply(), MODEL)
    assert r.cell.left_out == {NO_ANSWER: 2, TOO_LONG: 1}
    assert r.row.tolist() == [0, 3]
    assert answered(r)["outcome"].to_list() == ["answered", "answered"]


def test_a_session_ends_before_its_first_request_that_does_not_fit() -> None:
    most = context_most(supply())
    given = trace(
        t_s=[0.0, 1.0, 2.0, 3.0, 4.0],
        session=[1, 1, 1, 1, 2],
        input_tokens=[100, most, 200, 300, 100],
        output_tokens=[10] * 5,
        gap_s=[None, 1.0, 1.0, 1.0, None],
    )
    r = replay(given, supply(), MODEL)
    assert r.cell.left_out == {TOO_LONG: 1, FOLLOWED: 2}
    assert r.row.tolist() == [0, 4]


def test_a_trace_with_neither_instants_nor_gaps_is_refused_in_words() -> None:
    given = trace(clock="none", input_tokens=[10, 20], output_tokens=[5, 5])
    with pytest.raises(Mistakes, match="arrivals on one clock, or sessions with the gaps"):
        replay(given, supply(), MODEL)


def test_tiers_that_a_trace_names_are_counted_apart() -> None:
    given = trace(t_s=[0.0, 1.0, 2.0], tier=["pro", "free", "pro"], input_tokens=[10, 20, 30], output_tokens=[5, 6, 7])
    result = ran(replay(given, supply(), MODEL).cell, windows=0).result
    assert [(t, result.count(at.OUTPUT_TOKENS, t)) for t in result.tiers] == [("free", 6), ("pro", 12)]


def test_blocks_that_many_share_are_a_beginning_and_the_others_sessions() -> None:
    """Ten people under one system prompt of two blocks; two of them go on, one of those from an earlier point."""
    blocks: list[list[int]] = [[1, 2, 100 + n] for n in range(10)]
    blocks += [[1, 2, 103, 200], [1, 2, 103, 200, 201], [1, 2, 107, 300], [1, 2, 103, 210]]
    depth = shared_depth(blocks)
    assert depth.tolist() == [2] * 14
    session = continued(blocks, depth)
    assert session.tolist() == [*range(10), 3, 3, 7, 3]
    assert alike(blocks, session)[10:].tolist() == [3, 4, 3, 3]
    group, shared = groups(blocks, depth, np.array([40] * 13 + [32]), 16)
    assert group.tolist() == [1] * 13 + [0]  # the last is no longer than what all share
    assert shared == (32,)


def test_a_replica_with_room_finds_what_an_unlimited_prefix_cache_would_hold(shared: Callable[[str], Path]) -> None:
    """Mooncake's conversations, slowly: sessions and shared beginnings keep nearly all that blocks have in common."""
    whole = read(shared("demand/mooncake/conversation_trace_first20min.jsonl"))
    first = whole.frame.head(800)
    given = Trace(first, whole.format, whole.source, whole.clock, 800, block_tokens=whole.block_tokens)
    held = with_cache(given, Cache()).frame
    most = int(held["cached_tokens"].sum()) / int(held["input_tokens"].sum())
    roomy = supply("placements.code.kv_blocks=4000000")
    result = ran(replay(given, roomy, MODEL, speed=0.02).cell, windows=0).result
    assert result.count(at.ANSWERED) == 800
    assert 0.97 * most < result.hit_share <= most


@pytest.mark.parametrize(
    ("name", "closed"),
    [
        ("demand/azure2023/AzureLLMInferenceTrace_code.csv", False),
        ("demand/claude_code/claude_code_requests_head2000.csv", True),
        ("demand/claude_code/raw_weka_samples", True),
        ("demand/tracelab/example_round_trace.jsonl", True),
        ("vllm_logs/rtxpro6000_qwen3-32b/requests.jsonl", False),
    ],
)
def test_every_request_of_a_real_trace_is_answered_or_left_out(
    name: str, closed: bool, shared: Callable[[str], Path]
) -> None:
    given = read(shared(name))
    r = replay(given, supply(), MODEL)
    found = answered(r)
    assert r.closed is closed
    assert (found["outcome"] == "answered").all()
    assert found.height + sum(r.cell.left_out.values()) == given.frame.height
    for column in ("input_tokens", "output_tokens"):
        assert (found[column] == given.frame[found["row"]][column]).all()
    assert (found["found_tokens"] < found["input_tokens"]).all()
