"""How the contexts of agents grow from request to request: until they are compacted, or cut.

All sessions take step i together in numpy; where a compiler is loaded already, each goes on by itself, compiled, until
something is drawn for it. Both give the same bytes.
"""

from __future__ import annotations

import sys
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
    now = np.maximum(np.rint(began), 1).astype(np.int64)
    whole, reusable = np.zeros(len(growth), dtype=np.int64), np.zeros(len(growth), dtype=np.int64)
    base = np.cumsum(total) - total
    whole[base] = now
    of, step = rows_of(entity, total)
    cuts = np.array(c.cuts_per_token)[user.astype(np.int64)]
    cut_draw = draws.as_uniform(draws.then(draws.bits(seed, "cut", of), step))
    breaks = np.array(c.break_share)[user.astype(np.int64)]
    misses = draws.as_uniform(draws.then(draws.bits(seed, "break", of), step)) < breaks
    go_on = _each_by_itself if "numba" in sys.modules else _side_by_side
    to_key, log_key = (draws.bits(seed, name, entity) for name in ("cut to", "to"))
    go_on(c, to_key, log_key, total, base, now, limit, growth, cuts, cut_draw, misses, longest, whole, reusable)
    return whole, reusable


def _side_by_side(
    c: Context,
    to_key: draws.Words,
    log_key: draws.Words,
    total: Ints,
    base: Ints,
    now: Ints,
    limit: Floats,
    growth: Ints,
    cuts: Floats,
    cut_draw: Floats,
    misses: Flags,
    longest: float,
    whole: Ints,
    reusable: Ints,
) -> None:
    """Write the steps after the first, of all sessions together: the longest come first, so who goes on is a slice."""
    by_length = np.argsort(-total, kind="stable")
    lengths, base, limits, now = total[by_length], base[by_length], limit[by_length], now[by_length]
    to_key, log_key = to_key[by_length], log_key[by_length]
    for i in range(1, int(lengths.max(initial=0))):
        running = int(np.searchsorted(-lengths, -i, side="left"))
        row, before = base[:running] + i, now[:running]
        grown = np.minimum(before + growth[row], longest).astype(np.int64)
        cut = cut_draw[row] < cuts[row] * np.minimum(before, c.limit)
        miss = misses[row]
        full = before > limits[:running]
        after, kept = grown, c.block_tokens * ((before - c.tail_tokens) // c.block_tokens)
        if full.any():
            after[full] = _compacted(c, log_key[:running][full], i, before[full])
        cut &= ~full
        if cut.any():
            after[cut] = _cut(c, to_key[:running][cut], i, before[cut])
        after = np.maximum(after, 1)
        kept[full | cut | miss] = c.prefix_tokens
        whole[row] = now[:running] = after
        reusable[row] = np.maximum(np.minimum(kept, c.block_tokens * (after // c.block_tokens)), 0)


def _each_by_itself(
    c: Context,
    to_key: draws.Words,
    log_key: draws.Words,
    total: Ints,
    base: Ints,
    now: Ints,
    limit: Floats,
    growth: Ints,
    cuts: Floats,
    cut_draw: Floats,
    misses: Flags,
    longest: float,
    whole: Ints,
    reusable: Ints,
) -> None:
    """The same, each session by itself up to where something is drawn for it, of all that have come so far together."""
    at, now, why = np.ones(len(total), np.int64), now.copy(), np.zeros(len(total), np.int64)
    most, grid = float(longest), np.array([c.block_tokens, c.tail_tokens, c.prefix_tokens], dtype=np.int64)
    going = np.flatnonzero(total > 1)
    while len(going):
        _kernel().walk(
            going, total, base, at, now, limit, growth, cuts, cut_draw, misses, most, float(c.limit), grid, why, whole,
            reusable,
        )  # fmt: skip
        going = going[why[going] != ENDED]
        for reason, key, value in ((FULL, log_key, _compacted), (CUT, to_key, _cut)):
            who = going[why[going] == reason]
            row, before = base[who] + at[who], now[who]
            after = np.maximum(value(c, key[who], at[who], before), 1)
            kept = np.minimum(c.prefix_tokens, c.block_tokens * (after // c.block_tokens))
            whole[row], reusable[row], now[who] = after, np.maximum(kept, 0), after
        at[going] += 1
        going = going[at[going] < total[going]]


@cache
def _kernel() -> ModuleType:
    return compiled(walk)


def walk(
    going: Any,
    total: Any,
    base: Any,
    at: Any,
    now: Any,
    limit: Any,
    growth: Any,
    cuts: Any,
    cut_draw: Any,
    misses: Any,
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
            row = base[s] + i
            if before > limit[s]:
                reason = FULL
                break
            if cut_draw[row] < cuts[row] * min(float(before), ordinary):
                reason = CUT
                break
            after = before + growth[row]
            if after > longest:
                after = int(longest)
            after = max(after, 1)
            kept = grid[2] if misses[row] else block * ((before - grid[1]) // block)
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
