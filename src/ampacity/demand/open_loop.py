"""Single requests at a given rate, millions a second: time, user, whole input, cached input, output.

For what needs volume and no sessions. A law is 65,536 exemplary requests, so input, misses and output keep their
dependence; times are those of a Poisson process of piecewise-constant rate. Every window of time is drawn by its number
alone: any cut gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ampacity.demand import draws
from ampacity.demand.population import share_of_top

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TABLE = 65_536
_SPACING = -np.log1p(-(np.arange(TABLE) + 0.5) / TABLE)
"""Gaps between neighbours of a Poisson process, in units of their mean, at 65,536 equal shares."""


@dataclass(frozen=True)
class RowLaw:
    """65,536 requests that are equally likely: whole input, what of it is cached, and output. [token]"""

    input_tokens: NDArray[np.int32]
    cached_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]


@dataclass(frozen=True)
class Rows:
    """Requests, ordered by time. t_s: from the start of window 0 [s]. user: rank, the highest most active."""

    t_s: Floats
    user: NDArray[np.int32]
    input_tokens: NDArray[np.int32]
    cached_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.t_s)

    def frame(self) -> pl.DataFrame:
        """One row a request."""
        return pl.DataFrame(vars(self))


def law_of(frame: pl.DataFrame) -> RowLaw:
    """The law of the requests in a frame: of those sorted by input, cached and output tokens, 65,536 evenly spaced."""
    names = ("input_tokens", "cached_tokens", "output_tokens")
    ordered = frame.select(names).sort(names)
    at = ((np.arange(TABLE) + 0.5) / TABLE * len(ordered)).astype(np.int64)
    return RowLaw(*(ordered[name].to_numpy()[at].astype(np.int32) for name in names))


def window_rows(
    law: RowLaw, seed: int, window: int, rate_per_s: float, length_s: float, people: int, sigma: float
) -> Rows:
    """Requests in the window [window · length_s, (window + 1) · length_s) of `people` < 2^31 with spread `sigma`.

    Given their number, times are the order statistics of a uniform law, made from exponential gaps without sorting.
    """
    from scipy.stats import poisson  # 0.4 s, which planning does without

    n = int(poisson.ppf(draws.uniform(seed, "rows", window), rate_per_s * length_s))
    rows = Rows(np.empty(n), *(np.empty(n, dtype=np.int32) for _ in range(4)))
    state = draws.bits(seed, "row", window)
    base, width = _users(people, sigma)
    for begin in range(0, n, draws.BLOCK):
        end = min(begin + draws.BLOCK, n)
        _fill(law, rows, slice(begin, end), draws.then(state, np.arange(begin, end)), base, width)
    if n:
        last = float(_SPACING[int(draws.bits(seed, "last", window)) >> 48])
        t = np.cumsum(rows.t_s, out=rows.t_s)
        t *= length_s / (t[-1] + last)
        t += window * length_s
    return rows


def all_rows(
    law: RowLaw, seed: int, rates_per_s: Floats, length_s: float, people: int, sigma: float, first: int = 0
) -> Iterator[Rows]:
    """The windows from number `first`, one after another, each with its rate."""
    for i, rate in enumerate(rates_per_s.tolist()):
        yield window_rows(law, seed, first + i, rate, length_s, people, sigma)


def _fill(law: RowLaw, rows: Rows, at: slice, drawn: draws.Words, base: Ints, width: Ints) -> None:
    """One block: 64 bits give the gap and which request it is, the next 64 the user."""
    parts = drawn.astype("<u8", copy=False).view("<u2").reshape(-1, 4)
    # bounds need no check: 16 bits cannot leave a table of 65,536
    _SPACING.take(parts[:, 0], out=rows.t_s[at], mode="wrap")
    which = parts[:, 1].astype(np.int64)
    law.input_tokens.take(which, out=rows.input_tokens[at], mode="wrap")
    law.cached_tokens.take(which, out=rows.cached_tokens[at], mode="wrap")
    law.output_tokens.take(which, out=rows.output_tokens[at], mode="wrap")
    who = draws.then(drawn, 1)
    cell = who >> np.uint64(48)
    inside = ((who >> np.uint64(16)) & np.uint64(0xFFFFFFFF)).astype(np.int64)
    rows.user[at] = base.take(cell, mode="wrap") + ((inside * width.take(cell, mode="wrap")) >> 32)


@lru_cache(maxsize=16)
def _users(people: int, sigma: float) -> tuple[Ints, Ints]:
    """Ranks that each of 65,536 equal shares of activity begins with, and how many it spans."""
    if not 0 < people < 1 << 31:
        raise ValueError(f"people is {people}; expected 1 to {(1 << 31) - 1}")
    edges = np.floor(share_of_top(np.arange(TABLE + 1) / TABLE, sigma) * people).astype(np.int64)
    edges[-1] = people
    base = np.minimum(edges[:-1], people - 1)
    return base, np.maximum(edges[1:] - base, 1)
