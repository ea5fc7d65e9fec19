"""What the engine finds of prompts in its memory, against a list of single blocks, on traces of coding agents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ampacity.demand.traces.reuse import Cache, blocks_held
from ampacity.simulator.closed_loop import serve_closed_loop
from ampacity.simulator.engine import PS_PER_S, Engine
from ampacity.simulator.step_table import TICKS, StepTable

BLOCK = 64
QUICK = StepTable(per_iteration=TICKS * PS_PER_S // 10_000)
"""Answers take next to no time, as in the list."""
Ask = tuple[float, int, int, list[int]]
"""Instant [s], input, tokens shared with the request before, blocks."""


@pytest.fixture(scope="module")
def sessions(shared: Callable[[str], Path]) -> list[list[Ask]]:
    """Main agents of 24 sessions, begun at random within two hours; blocks from what a request shares with the last."""
    frame = pl.read_parquet(shared("demand/claude_code/claude_code_requests.parquet")).filter(agent=0)
    frame = frame.filter(pl.col("in_tokens").max().over("session") <= 200_000, pl.len().over("session") >= 20)
    begin = np.random.default_rng(1).uniform(0, 2 * 3600, 24)
    found, fresh = [], 0
    for start, (_, own) in zip(
        begin, frame.sort("session", "turn").group_by("session", maintain_order=True), strict=False
    ):
        asks: list[Ask] = []
        blocks: list[int] = []
        for t, inputs, shared_tokens in own.select("t", "in_tokens", "cached_prev").iter_rows():
            same = min((shared_tokens or 0) // BLOCK, len(blocks), inputs // BLOCK)
            blocks = blocks[:same] + list(range(fresh, fresh + inputs // BLOCK - same))
            fresh += inputs // BLOCK - same
            asks.append((start + t, max(inputs, 1), same * BLOCK, blocks))
        found.append(asks)
    return found


def on_the_engine(sessions: list[list[Ask]], tokens: int) -> float:
    chains = []
    for asks in sessions:
        at = np.diff([round(t * PS_PER_S) for t, *_ in asks], prepend=0)
        chains.append([(int(gap), n, min(shared, n - 1), 1) for gap, (_, n, shared, _) in zip(at, asks, strict=True)])
    found = serve_closed_loop(Engine(tokens // 16, 1 << 20, lag=0), QUICK, chains)
    assert found.preemptions == 0
    return float(found.hit_tokens.sum() / sum(n for asks in sessions for _, n, *_ in asks))


def in_the_list(sessions: list[list[Ask]], tokens: int) -> float:
    asks = sorted((a for own in sessions for a in own), key=lambda a: a[0])
    held = blocks_held(pl.Series([a[3] for a in asks]), pl.Series([a[0] for a in asks]), BLOCK, Cache(tokens=tokens))
    inputs = np.array([a[1] for a in asks])
    return float(np.minimum(held.to_numpy() * BLOCK, inputs - 1).sum() / inputs.sum())


@pytest.mark.published("kv-cache-tester, 24 Claude Code sessions: prompts found under eviction, by a list of blocks")
@pytest.mark.parametrize(("tokens", "least", "most"), [(3e5, 0.5, 0.8), (8e5, 0.8, 0.95), (8e6, 0.93, 0.98)])
def test_the_engine_finds_as_much_as_a_list_of_blocks_whatever_the_memory(
    tokens: float, least: float, most: float, sessions: list[list[Ask]]
) -> None:
    listed = in_the_list(sessions, int(tokens))
    assert least < listed < most
    assert on_the_engine(sessions, int(tokens)) == pytest.approx(listed, abs=0.005)


def test_more_memory_never_finds_less_of_the_agents_prompts(sessions: list[list[Ask]]) -> None:
    found = [on_the_engine(sessions, n * 100_000) for n in (3, 5, 8, 12, 20, 80)]
    assert found == sorted(found)
    assert found[0] < found[-1] - 0.1
