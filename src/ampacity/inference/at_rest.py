"""Contexts at rest: sessions whose contexts lie in memory between two requests, and what is found of them.

A session's next request finds its context if memory has kept it through the pause. Memory that drops what was idle
longest keeps contexts for some time T, the same for all: the T at which the contexts in flight and those at rest for
less than T fill it (the characteristic time of such a cache [1]_). More sessions shorten T, so fewer tokens are found,
so each session takes more time: the number of sessions that a replica carries has a largest value, and beyond it the
replica falls into a state in which it recomputes almost everything, from which it comes back only when far fewer ask.

References
----------
.. [1] H. Che, Y. Tung, Z. Wang, Hierarchical web caching systems, IEEE JSAC 20 (2002) 1305-1314.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ampacity.inference.drafts import Drafts
from ampacity.inference.step_time import StepTime
from ampacity.inference.work import Array

if TYPE_CHECKING:
    from ampacity.inference.operating_point import Mix

BATCHES = 48
"""Batches that are looked at, evenly spaced in their logarithm: sessions carried are flat near their largest value."""


@dataclass(frozen=True)
class AtRest:
    """What memory keeps of one active session, by how long it keeps it.

    keep_s: rising, from 0 [s]. found: of what a cache without bound would find [0 to 1]. tokens: of contexts at rest,
    mean over active time [token]. below_tokens: that memory below HBM holds; loading them from there is quick beside
    computing them and costs nothing here [token].
    """

    keep_s: Array
    found: Array
    tokens: Array
    below_tokens: float = 0.0


@dataclass(frozen=True)
class Fullest:
    """A replica that carries as many sessions as it can. batch: of them decoding. mix: with what is found in memory.
    keep_s: how long a context is kept [s]. meets_tpot: whether the time per token is kept."""

    batch: int
    mix: Mix
    keep_s: float
    meets_tpot: bool


def fullest(
    step: StepTime, mix: Mix, tpot_s: float, most: int, drafts: Drafts, rest: AtRest, memory_tokens: float
) -> Fullest:
    """The batch, up to `most`, at which a replica carries most sessions within its time per token.

    memory_tokens: that hold contexts in flight and at rest. Where no batch keeps the time per token, the least one.
    """
    from ampacity.inference.operating_point import iteration

    batch = np.unique(np.geomspace(1, most, BATCHES).astype(np.int64)).astype(np.float64)
    lost = mix.cached_per_s * (1.0 - rest.found)
    seconds = step.seconds(*iteration(mix, batch[None, :], drafts, lost[:, None])) / drafts.per_iteration
    sessions = batch / (seconds * mix.output_per_s)
    held = batch * mix.context_tokens + sessions * rest.tokens[:, None]
    # keeping nothing always fits: `most` sequences do
    longest = np.maximum((held <= memory_tokens).cumprod(axis=0).sum(axis=0) - 1, 0)
    at = (longest, np.arange(len(batch)))
    kept = seconds[at] <= tpot_s
    best = int(np.argmax(np.where(kept, sessions[at], -1.0))) if kept.any() else 0
    found = longest[best]
    return Fullest(int(batch[best]), with_lost(mix, lost[found]), float(rest.keep_s[found]), bool(kept[best]))


def with_lost(mix: Mix, lost_per_s: float) -> Mix:
    """The mix if so many of its cached tokens are computed again. [token/s]"""
    return replace(mix, uncached_per_s=mix.uncached_per_s + lost_per_s, cached_per_s=mix.cached_per_s - lost_per_s)
