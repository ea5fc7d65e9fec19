"""What the requests of a cell have met: counts and histograms by tier, which add up exactly over cells."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

from ampacity.simulator import cell_rows as at
from ampacity.simulator.histograms import quantile_s
from ampacity.simulator.rows import Ints


class Scaled(NamedTuple):
    """How the replicas of a pool have come and gone: all 0 in a cell that does not scale.

    starts: of replicas. taken_back: from draining. drains: with starts that were broken off. here_ps: time that
    replicas were there (starting, serving or draining), all together; what they cost follows from it. [ps]
    """

    starts: int = 0
    taken_back: int = 0
    drains: int = 0
    here_ps: int = 0


NOT_SCALED = Scaled()


@dataclass(frozen=True)
class CellResult:
    """What the requests of a cell have met so far.

    counts: (tier, COUNT_FIELDS). histograms: (tier, METRICS, BUCKETS), which add up exactly over cells. met: of every
    step its arrival, first and last token [ps], replica and found tokens, if they were kept; a row of zeros was not
    answered. stepped, jumped: iterations. busy_ps: time of all replicas in which one ran. prompt_tokens, hit_tokens:
    computed and found, preempted ones again. loaded_tokens: of those found, loaded from each of two KV tiers below HBM.
    """

    tiers: tuple[str, ...]
    counts: Ints
    histograms: Ints
    met: Ints | None
    stepped: int
    jumped: int
    preemptions: int
    prompt_tokens: int
    hit_tokens: int
    in_flight: int
    events: int
    busy_ps: int
    loaded_tokens: tuple[int, int] = (0, 0)
    scaled: Scaled = NOT_SCALED

    def count(self, what: int, tier: str | None = None) -> int:
        """A count of `cell_rows`, of one tier or of all."""
        rows = self.counts if tier is None else self.counts[[self.tiers.index(tier)]]
        return int(rows[:, what].sum())

    def quantile_s(self, metric: int, share: float, tier: str | None = None) -> float:
        """A quantile of TTFT, TPOT, LATENCY, QUEUED or HELD_BACK, of one tier or of all. [s]"""
        rows = self.histograms if tier is None else self.histograms[[self.tiers.index(tier)]]
        return quantile_s(rows[:, metric].sum(axis=0), share)

    def overloaded(self, tier: str | None = None) -> int:
        """Attempts that were refused for want of capacity (529), for whatever reason, of one tier or of all."""
        return sum(self.count(what, tier) for what in at.OVER_CAPACITY)

    def __sub__(self, before: CellResult) -> CellResult:
        """What has been met since `before`, a result of the same cell; what is in flight is told of now."""
        kept = ("tiers", "met", "in_flight", "loaded_tokens", "scaled")
        since = {f.name: getattr(self, f.name) - getattr(before, f.name) for f in fields(self) if f.name not in kept}
        near, far = (a - b for a, b in zip(self.loaded_tokens, before.loaded_tokens, strict=True))
        scaled = Scaled(*(a - b for a, b in zip(self.scaled, before.scaled, strict=True)))
        return replace(self, met=None, loaded_tokens=(near, far), scaled=scaled, **since)

    @property
    def hit_share(self) -> float:
        """Share of the prompt tokens of answered requests that were found. [0 to 1]"""
        return self.count(at.HIT) / max(self.count(at.INPUT_TOKENS), 1)
