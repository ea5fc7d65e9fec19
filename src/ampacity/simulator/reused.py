"""What each request of a trace can find in memory of the ones before it, from what the trace says of its sessions.

Three sources, the first that there is: what a cache is recorded to have held; equal prefix blocks; nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from ampacity.demand.traces.reuse import Cache, held
from ampacity.demand.traces.trace import Trace
from ampacity.simulator.prefix_blocks import alike, continued, groups, shared_depth
from ampacity.simulator.rows import Ints


@dataclass(frozen=True)
class Reused:
    """Of every request: reusable: tokens of its input that the one before it in its session had. session: from 1; 0: of
    none. group: of those that share a beginning, from 1; 0: of none. shared_tokens: of each group. notes: in words."""

    reusable: Ints
    session: Ints
    group: Ints
    shared_tokens: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def in_sessions(frame: pl.DataFrame, trace: Trace) -> pl.DataFrame:
    """Requests in the order of arrival, with sessions that follow from their prefix blocks where none are named."""
    if frame["session"].is_not_null().any() or trace.block_tokens is None or trace.blocks_local:
        return frame
    blocks = frame["blocks"].to_list()
    return frame.with_columns(session=pl.Series(continued(blocks, shared_depth(blocks))))


def reused(frame: pl.DataFrame, trace: Trace) -> Reused:
    """What can be found, of requests that lie session by session, agent by agent, in their order."""
    nothing = np.zeros(frame.height, np.int64)
    named = frame["session"].is_not_null().to_numpy()
    keys = frame.select(pl.struct("session", "agent").rank("dense")).to_series().to_numpy().astype(np.int64)
    session = np.where(named, keys, 0)
    recorded = bool(frame["cached_tokens"].is_not_null().any())
    if trace.block_tokens is None and not recorded:
        why = "nothing is said of what requests have in common: all of their input is computed"
        return Reused(nothing, nothing, nothing, notes=(why,))
    if not named.any():
        why = "what a cache held is recorded, but not of which earlier request: all of the input is computed"
        return Reused(nothing, nothing, nothing, notes=(why,))
    if trace.block_tokens is None:
        return Reused(frame["cached_tokens"].fill_null(0).to_numpy().astype(np.int64), session, nothing)
    blocks = frame["blocks"].to_list()
    inputs = frame["input_tokens"].to_numpy().astype(np.int64)
    common = alike(blocks, session) * trace.block_tokens
    if trace.blocks_local:
        return Reused(common, session, nothing)
    group, shared = groups(blocks, shared_depth(blocks), inputs, trace.block_tokens)
    group = _of_sessions(group, session)
    return Reused(common, session, group, shared, (_how_much(frame, trace, common, group, shared),))


def _of_sessions(group: Ints, session: Ints) -> Ints:
    """The group of every session: that of its requests if it is the same for all of them, else none."""
    order = np.argsort(session, kind="stable")
    first = np.flatnonzero(np.diff(session[order], prepend=-1))
    least, most = (f.reduceat(group[order], first) for f in (np.minimum, np.maximum))
    of = np.where(least == most, most, 0)
    found = np.zeros_like(group)
    found[order] = np.repeat(of, np.diff(np.append(first, len(order))))
    return found


def _how_much(frame: pl.DataFrame, trace: Trace, common: Ints, group: Ints, shared: tuple[int, ...]) -> str:
    """What share of the input can be found this way, beside what an unlimited prefix cache would hold."""
    assert trace.block_tokens is not None
    inputs = frame["input_tokens"].to_numpy()
    lengths = np.array([0, *shared], np.int64)[group]
    seen = np.zeros(len(shared) + 1, np.bool_)
    by_time = frame.select(pl.col("t_s").fill_null(0.0).arg_sort()).to_series().to_numpy()
    for i in by_time:  # the first of a group finds nothing of it
        if group[i] and not seen[group[i]]:
            seen[group[i]] = True
            lengths[i] = 0
    here = float(np.minimum(np.maximum(common, lengths), inputs).sum()) / float(inputs.sum())
    ordered = frame[by_time]
    every = held(ordered["blocks"], ordered["input_tokens"], ordered["t_s"], trace.block_tokens, Cache())
    most = float(every.fill_null(0).sum()) / float(inputs.sum())
    return (
        f"replicas keep sessions and shared beginnings: {100 * here:.0f} % of the input can be found that way, of "
        f"{100 * most:.0f} % that an unlimited prefix cache would hold"
    )
