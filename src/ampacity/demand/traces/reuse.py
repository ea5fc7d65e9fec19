"""Prefix reuse: how much of the input a prefix cache of some size and idle lifetime would have held.

A request finds the longest run of its first blocks in the cache and leaves all of its blocks there. Answers take no
time here: a block can be found by the very next request. What is evicted first is what was touched longest ago; of
one request's blocks the last goes first, since without the first the rest is of no use.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import polars as pl

from ampacity.demand.traces.trace import Trace


@dataclass(frozen=True)
class Cache:
    """A prefix cache. tokens: its size, None for unlimited [token]. lifetime_s: idle time after which a block is gone,
    None for never [s]; each touch starts it again."""

    tokens: int | None = None
    lifetime_s: float | None = None


def with_cache(trace: Trace, cache: Cache) -> Trace:
    """The trace as such a cache would have served it: `cached_tokens` filled in from its blocks.

    Without blocks only a lifetime can be put over what the source says was cached: a session that was idle for longer
    finds nothing. Raises ValueError if the trace has neither, or if a size is asked of one that has no blocks.
    """
    frame = trace.frame
    if trace.block_tokens is not None:
        scope = frame["session"] if trace.blocks_local else None
        found = held(frame["blocks"], frame["input_tokens"], frame["t_s"], trace.block_tokens, cache, scope)
        return replace(trace, frame=frame.with_columns(cached_tokens=found))
    if frame["cached_tokens"].null_count() == frame.height or cache.tokens is not None:
        raise ValueError(f"{trace.source}: no prefix blocks, so nothing is known of a cache of another size")
    if cache.lifetime_s is None:
        return trace
    idle = idle_s()
    kept = pl.when(idle > cache.lifetime_s).then(pl.lit(0, pl.Int64)).otherwise("cached_tokens")
    return replace(trace, frame=frame.with_columns(cached_tokens=kept))


def idle_s() -> pl.Expr:
    """Time since the session last arrived, by its clock, or since its former answer where there is no clock. [s]"""
    by_clock = pl.col("t_s") - pl.col("t_s").shift(1).over("session", "agent")
    return pl.coalesce(by_clock, "gap_s")


def hit_share(frame: pl.DataFrame) -> float | None:
    """Cached over all input tokens of the requests whose cached part is known; None if none is. [0 to 1]"""
    known = frame.filter(pl.col("cached_tokens").is_not_null()).select("input_tokens", "cached_tokens").sum()
    total, cached = known.row(0)
    return cached / total if total else None


def held(
    blocks: pl.Series,
    input_tokens: pl.Series,
    t_s: pl.Series,
    block_tokens: int,
    cache: Cache,
    scope: pl.Series | None = None,
) -> pl.Series:
    """Tokens of each request that the cache holds when it arrives; null without blocks. Requests in order of arrival.

    scope: equal ids in different scopes are different blocks.
    """
    found = blocks_held(blocks, t_s, block_tokens, cache, scope)
    matched = pl.DataFrame({"n": found, "whole": input_tokens, "blocks": blocks})
    tokens = pl.min_horizontal(pl.col("n") * block_tokens, "whole")
    return matched.select(pl.when(pl.col("blocks").is_not_null()).then(tokens).alias("cached_tokens")).to_series()


def blocks_held(
    blocks: pl.Series, t_s: pl.Series, block_tokens: int, cache: Cache, scope: pl.Series | None = None
) -> pl.Series:
    """Leading blocks of each request that the cache holds when it arrives; 0 without blocks."""
    if cache.tokens is None and cache.lifetime_s is None:
        return _seen_before(blocks, scope)
    return _in_lru(blocks, t_s, cache, block_tokens, scope)


def _seen_before(blocks: pl.Series, scope: pl.Series | None) -> pl.Series:
    """Blocks found in an unlimited cache: the first of a request's blocks that are older than it, without a break."""
    rows = pl.DataFrame({"id": blocks}).with_row_index("row")
    rows = rows.with_columns(scope=scope if scope is not None else pl.lit(0, pl.Int64))
    each = rows.explode("id").filter(pl.col("id").is_not_null())
    older = each.with_columns(old=pl.col("row").min().over("id", "scope") < pl.col("row"))
    run = older.with_columns(run=pl.col("old").cast(pl.Int64).cum_min().over("row"))
    found = run.group_by("row").agg(pl.col("run").sum())
    return rows.select("row").join(found, on="row", how="left", maintain_order="left")["run"].fill_null(0)


def _in_lru(blocks: pl.Series, t_s: pl.Series, cache: Cache, block_tokens: int, scope: pl.Series | None) -> pl.Series:
    """Blocks found in a cache that evicts what was touched longest ago, or forgets what idled too long."""
    room = cache.tokens // block_tokens if cache.tokens is not None else None
    lifetime = cache.lifetime_s
    touched: OrderedDict[tuple[int | None, int], float] = OrderedDict()
    found = []
    scopes = scope.to_list() if scope is not None else [None] * len(blocks)
    for ids, now, own in zip(blocks, t_s.fill_null(0.0).to_list(), scopes, strict=True):
        keys = [(own, i) for i in ids] if ids is not None else []
        run = 0
        for key in keys:
            if key not in touched or (lifetime is not None and now - touched[key] > lifetime):
                break
            run += 1
        found.append(run)
        for key in reversed(keys):
            touched[key] = now
            touched.move_to_end(key)
        while room is not None and len(touched) > room:
            touched.popitem(last=False)
    return pl.Series(found, dtype=pl.Int64)
