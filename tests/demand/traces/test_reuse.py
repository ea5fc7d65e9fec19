"""Prefix reuse against a cache that is spelled out: a list of blocks, newest last."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.demand.traces.reuse import Cache, blocks_held, held, hit_share, with_cache
from ampacity.demand.traces.trace import Trace, canonical

Request = tuple[float, list[int]]


@st.composite
def requests(draw: st.DrawFn) -> list[Request]:
    """Requests in order of arrival whose blocks are paths in a tree: an id is reached in one way only."""
    found, t = [], 0.0
    for _ in range(draw(st.integers(1, 25))):
        t += draw(st.sampled_from([0.0, 1.0, 10.0, 100.0]))
        branch, length = draw(st.integers(0, 3)), draw(st.integers(0, 6))
        found.append((t, [0, 1][: min(length, 2)] + [100 * (branch + 1) + i for i in range(max(length - 2, 0))]))
    return found


def spelled_out(asked: list[Request], room: int | None, lifetime_s: float | None) -> list[int]:
    kept: list[tuple[int, float]] = []
    counts = []
    for now, ids in asked:
        if lifetime_s is not None:
            kept = [(i, at) for i, at in kept if now - at <= lifetime_s]
        alive = [i for i, _ in kept]
        run = next((n for n, i in enumerate(ids) if i not in alive), len(ids))
        counts.append(run)
        kept = [(i, at) for i, at in kept if i not in ids] + [(i, now) for i in reversed(ids)]
        if room is not None:
            kept = kept[-room:] if room else []
    return counts


def series(asked: list[Request]) -> tuple[pl.Series, pl.Series]:
    return pl.Series([ids for _, ids in asked], dtype=pl.List(pl.Int64)), pl.Series(
        [t for t, _ in asked], dtype=pl.Float64
    )


@given(requests(), st.one_of(st.none(), st.integers(0, 20)), st.one_of(st.none(), st.sampled_from([0.0, 5.0, 50.0])))
def test_every_cache_finds_what_a_spelled_out_one_finds(
    asked: list[Request], room: int | None, lifetime_s: float | None
) -> None:
    blocks, t = series(asked)
    cache = Cache(tokens=None if room is None else room * 512 + 100, lifetime_s=lifetime_s)
    assert blocks_held(blocks, t, 512, cache).to_list() == spelled_out(asked, room, lifetime_s)


@given(requests(), st.integers(0, 12), st.sampled_from([1.0, 20.0]))
def test_a_larger_cache_or_a_longer_life_never_holds_less(asked: list[Request], room: int, lifetime_s: float) -> None:
    blocks, t = series(asked)

    def total(cache: Cache) -> int:
        return int(blocks_held(blocks, t, 1, cache).sum())

    assert total(Cache(tokens=room)) <= total(Cache(tokens=room + 3)) <= total(Cache())
    assert total(Cache(lifetime_s=lifetime_s)) <= total(Cache(lifetime_s=2 * lifetime_s)) <= total(Cache())


def test_the_last_block_counts_only_the_tokens_in_it() -> None:
    blocks = pl.Series([[1, 2], [1, 2], None], dtype=pl.List(pl.Int64))
    found = held(blocks, pl.Series([700, 700, 5]), pl.Series([0.0, 1.0, 2.0]), 512, Cache())
    assert found.to_list() == [0, 700, None]


def trace(**columns: list[Any]) -> Trace:
    frame = canonical(pl.DataFrame(columns))
    return Trace(
        frame,
        "test",
        "test",
        "session",
        frame.height,
        block_tokens=64 if "blocks" in columns else None,
        blocks_local=True,
    )


def test_ids_of_one_session_mean_nothing_in_another() -> None:
    both = trace(session=[0, 1, 0], t_s=[0.0, 0.0, 1.0], input_tokens=[64] * 3, output_tokens=[1] * 3, blocks=[[1]] * 3)
    assert with_cache(both, Cache()).frame["cached_tokens"].to_list() == [0, 0, 64]
    assert with_cache(both, Cache(tokens=64)).frame["cached_tokens"].to_list() == [0, 0, 0]


def test_without_blocks_a_lifetime_empties_the_cache_of_an_idle_session() -> None:
    told = trace(session=[0, 0, 0, 1], agent=[0] * 4, t_s=[0.0, 10.0, 400.0, 0.0], input_tokens=[10] * 4,
                 output_tokens=[1] * 4, cached_tokens=[0, 8, 9, 4])  # fmt: skip
    assert with_cache(told, Cache(lifetime_s=300.0)).frame["cached_tokens"].to_list() == [0, 8, 0, 4]
    assert hit_share(with_cache(told, Cache(lifetime_s=300.0)).frame) == 12 / 40
    assert hit_share(told.frame) == 21 / 40


def test_a_cache_of_another_size_cannot_be_told_without_blocks() -> None:
    told = trace(session=[0], agent=[0], t_s=[0.0], input_tokens=[10], output_tokens=[1], cached_tokens=[5])
    with pytest.raises(ValueError, match="no prefix blocks"):
        with_cache(told, Cache(tokens=1000))
    assert hit_share(trace(input_tokens=[10], output_tokens=[1]).frame) is None
