"""How the contexts of agents grow from request to request: until they are compacted, or cut.

All sessions take step i together in numpy; where a compiler is loaded already, each goes on by itself, compiled, until
something is drawn for it. Both give the same bytes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ampacity.base.compiled import compiled
from ampacity.demand import draws
from ampacity.demand.agent_model import Context

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

ENDED, FULL, CUT = range(3)


@dataclass(frozen=True)
class _Growing:
    """Sessions before their second step.

    Of each session: total: its steps. first: where they begin. began: its first input. limit: context beyond which it
    is compacted. log_key, to_key: what compaction and cuts are drawn by. Of every step: growth; cut_share, by token of
    context, and cut_draw: it is cut if the draw is less; miss: whether its cache is lost. longest: of all contexts.
    """

    c: Context
    total: Ints
    first: Ints
    began: Ints
    limit: Floats
    longest: float
    growth: Ints
    cut_share: Floats
    cut_draw: Floats
    miss: Flags
    log_key: draws.Words
    to_key: draws.Words


def contexts(
    c: Context,
    seed: int,
    entity: Ints,
    total: Ints,
    first: Floats,
    limit: Floats,
    growth: Ints,
    user: Flags,
    longest: float,
) -> tuple[Ints, Ints]:
    """Whole input of every step, at most `longest`, and what of it is reusable, in the order of `rows_of`. [token]

    entity: sessions, total: how many steps each has. first: the first input. limit: that a context is compacted beyond.
    growth: of every step. user: whether the user begins it.
    """
    # a context that is taken up again was compacted before if it was longer than its window lets it be
    began = first if np.isinf(longest) else np.minimum(first, np.minimum(limit, longest))
    of, step = rows_of(entity, total)
    breaks = np.array(c.break_share)[user.astype(np.int64)]
    growing = _Growing(
        c,
        total,
        np.cumsum(total) - total,
        np.maximum(np.rint(began), 1).astype(np.int64),
        limit,
        longest,
        growth,
        np.array(c.cuts_per_token)[user.astype(np.int64)],
        draws.as_uniform(draws.then(draws.bits(seed, "cut", of), step)),
        draws.as_uniform(draws.then(draws.bits(seed, "break", of), step)) < breaks,
        draws.bits(seed, "to", entity),
        draws.bits(seed, "cut to", entity),
    )
    whole, reusable = np.zeros(len(growth), dtype=np.int64), np.zeros(len(growth), dtype=np.int64)
    whole[growing.first] = growing.began
    (_each_by_itself if "numba" in sys.modules else _side_by_side)(growing, whole, reusable)
    return whole, reusable


def _side_by_side(g: _Growing, whole: Ints, reusable: Ints) -> None:
    """Write the steps after the first, of all sessions together: the longest come first, so who goes on is a slice."""
    c, by_length = g.c, np.argsort(-g.total, kind="stable")
    lengths, first, now = (x[by_length] for x in (g.total, g.first, g.began))
    limits = g.limit[by_length]
    log_key, to_key = g.log_key[by_length], g.to_key[by_length]
    for i in range(1, int(lengths.max(initial=0))):
        running = int(np.searchsorted(-lengths, -i, side="left"))
        row, before = first[:running] + i, now[:running]
        after = np.minimum(before + g.growth[row], g.longest).astype(np.int64)
        kept = c.block_tokens * ((before - c.tail_tokens) // c.block_tokens)
        full = before > limits[:running]
        cut = (g.cut_draw[row] < g.cut_share[row] * np.minimum(before, c.limit)) & ~full
        if full.any():
            after[full] = _compacted(c, log_key[:running][full], i, before[full])
        if cut.any():
            after[cut] = _cut(c, to_key[:running][cut], i, before[cut])
        after = np.maximum(after, 1)
        kept[full | cut | g.miss[row]] = c.prefix_tokens
        whole[row] = now[:running] = after
        reusable[row] = np.maximum(np.minimum(kept, c.block_tokens * (after // c.block_tokens)), 0)


def _each_by_itself(g: _Growing, whole: Ints, reusable: Ints) -> None:
    """The same, each session by itself up to where something is drawn for it, of all that have come so far together."""
    c, at, now, why = g.c, np.ones(len(g.total), np.int64), g.began.copy(), np.zeros(len(g.total), np.int64)
    grid = np.array([c.block_tokens, c.tail_tokens, c.prefix_tokens], dtype=np.int64)
    going = np.flatnonzero(g.total > 1)
    while len(going):
        _kernel().walk(
            going, g.total, g.first, at, now, g.limit, g.growth, g.cut_share, g.cut_draw, g.miss, float(g.longest),
            float(c.limit), grid, why, whole, reusable,
        )  # fmt: skip
        going = going[why[going] != ENDED]
        for reason, key, value in ((FULL, g.log_key, _compacted), (CUT, g.to_key, _cut)):
            who = going[why[going] == reason]
            row, before = g.first[who] + at[who], now[who]
            after = np.maximum(value(c, key[who], at[who], before), 1)
            kept = np.minimum(c.prefix_tokens, c.block_tokens * (after // c.block_tokens))
            whole[row], reusable[row], now[who] = after, np.maximum(kept, 0), after
        at[going] += 1
        going = going[at[going] < g.total[going]]


@cache
def _kernel() -> ModuleType:
    return compiled(walk)


def walk(
    going: Any,
    total: Any,
    first: Any,
    at: Any,
    now: Any,
    limit: Any,
    growth: Any,
    cut_share: Any,
    cut_draw: Any,
    miss: Any,
    longest: float,
    ordinary: float,
    grid: Any,
    why: Any,
    whole: Any,
    reusable: Any,
) -> None:
    """Let each of some sessions go on to its end or to a step at which its context is full or cut, and say which.

    at: the next step of each. now: the context before it. grid: tokens of a block, of a tail that is computed anyway,
    of the prefix that all sessions begin with.
    """
    block = grid[0]
    for s in going:
        i = at[s]
        before = now[s]
        reason = ENDED
        while i < total[s]:
            row = first[s] + i
            if before > limit[s]:
                reason = FULL
                break
            if cut_draw[row] < cut_share[row] * min(float(before), ordinary):
                reason = CUT
                break
            after = before + growth[row]
            if after > longest:
                after = int(longest)
            after = max(after, 1)
            kept = grid[2] if miss[row] else block * ((before - grid[1]) // block)
            whole[row] = after
            reusable[row] = max(min(kept, block * (after // block)), 0)
            before = after
            i += 1
        at[s] = i
        now[s] = before
        why[s] = reason


def _compacted(c: Context, key: draws.Words, step: int | Ints, before: Ints) -> Ints:
    """Contexts after compaction. [token]"""
    to: Ints = np.minimum(np.rint(c.compacted_to.at(_normals(key, step))), 0.9 * before).astype(np.int64)
    return to


def _cut(c: Context, key: draws.Words, step: int | Ints, before: Ints) -> Ints:
    """What is left of contexts that are cut. [token]"""
    share = np.minimum(c.cut_to.at(_normals(key, step)), 1.0)
    left: Ints = np.rint(share * before).astype(np.int64)
    return left


def _normals(state: draws.Words, part: int | Ints) -> Floats:
    drawn: Floats = ndtri(draws.as_uniform(draws.then(state, part)))
    return drawn


def rows_of(entity: Ints, total: Ints) -> tuple[Ints, Ints]:
    """Entity and step, one entry a row, entities in their order."""
    first = np.cumsum(total) - total
    return np.repeat(entity, total), np.arange(int(total.sum())) - np.repeat(first, total)
