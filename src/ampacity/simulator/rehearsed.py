"""What a rehearsal of a reclaim or an outage shows: who is throttled in which order, what became of requests in flight,
and how many minutes pass until service is as before.

How it is found is `rehearsal.py`'s, when service suffers `recovery.py`'s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ampacity.simulator.estimate import Estimate
from ampacity.simulator.recovery import Met, Recovery, recovery

Floats = NDArray[np.float64]
OnKill = Literal["resume", "recompute", "lose"]

BEFORE_H, AFTER_H = 1, 2
EVENT_MIN = 60 * BEFORE_H
MINUTES = 60 * (BEFORE_H + AFTER_H)
"""What is looked at: an hour before the event, and two from it on."""
MOST_NOTICE_S = 3600 * AFTER_H


@dataclass(frozen=True)
class Going:
    """What is taken away. kind: `reclaim` of a contract, or `outage` of a site. notice_s: between saying so and the
    end, in which replicas finish what they have [s]. for_s: until capacity is back; infinite: for good [s]. on_kill:
    what becomes of requests that replicas still have at the end; None: with notice they bring their tokens elsewhere
    (`resume`), without they break off and clients ask again (`lose`). Raises ValueError with every mistake."""

    kind: Literal["reclaim", "outage"]
    subject: str
    notice_s: float = 0.0
    for_s: float = math.inf
    on_kill: OnKill | None = None

    def __post_init__(self) -> None:
        wrong = []
        if self.kind not in ("reclaim", "outage"):
            wrong.append(f"an event of kind {self.kind!r}: reclaim or outage")
        if not 0 <= self.notice_s <= MOST_NOTICE_S:
            wrong.append(f"a notice of {self.notice_s:g} s: from 0 to {MOST_NOTICE_S}, the two hours looked at")
        if not self.for_s > self.notice_s:
            wrong.append(f"capacity back after {self.for_s:g} s: later than the notice of {self.notice_s:g} s")
        if wrong:
            raise ValueError("; ".join(wrong))

    @property
    def kills(self) -> OnKill:
        """What becomes of requests that replicas still have at the end."""
        return self.on_kill or ("resume" if self.notice_s else "lose")


@dataclass(frozen=True)
class Rehearsal:
    """What everybody met.

    hour: at whose beginning it happens, from the scenario's start. gone, stay: pools. share_gone: of the work of each
    model's people that the pools served which go [0 to 1]. load_before, load_after: what people want in that hour at
    the mean over what the pools carry at the service level, closed form; infinite where nothing is left. counts:
    [replicate, minute, tier, KINDS], ttft: [replicate, minute, tier, TTFT_BUCKETS], of the fleet. counts_without,
    ttft_without: of the cells that stay, had nothing happened. fates: [replicate, tier, FATES]. cells: looked at, of
    those that go and stay. requests: looked at.
    """

    going: Going
    hour: int
    tiers: tuple[str, ...]
    gone: tuple[str, ...]
    stay: tuple[str, ...]
    unserved: tuple[str, ...]
    share_gone: dict[str, float]
    load_before: float
    load_after: float
    counts: Floats
    ttft: Floats
    counts_without: Floats
    ttft_without: Floats
    fates: Floats
    cells: tuple[int, int]
    requests: int

    @cached_property
    def all(self) -> Recovery:
        """All tiers together."""
        return recovery(self._met(None), self._without(None), EVENT_MIN)

    @cached_property
    def by_tier(self) -> dict[str, Recovery]:
        """Each tier."""
        return {t: recovery(self._met(i), self._without(i), EVENT_MIN) for i, t in enumerate(self.tiers)}

    def _met(self, tier: int | None) -> Met:
        own = [tier] if tier is not None else list(range(len(self.tiers)))
        return Met(self.counts[:, :, own].sum(axis=2), self.ttft[:, :, own].sum(axis=2))

    def _without(self, tier: int | None) -> Met:
        own = [tier] if tier is not None else list(range(len(self.tiers)))
        return Met(self.counts_without[:, :, own].sum(axis=2), self.ttft_without[:, :, own].sum(axis=2))

    @property
    def recovers(self) -> bool:
        """Whether service is as before for good within the hours looked at, of every tier."""
        return not self.unserved and self.all.recovered_min is not None

    @property
    def order(self) -> tuple[str, ...]:
        """Tiers in the order in which they are throttled; those that never are are left out."""
        at = {t: 0 if t in self.unserved else r.throttled_min for t, r in self.by_tier.items()}
        worst = {t: math.inf if t in self.unserved else r.worst_refused for t, r in self.by_tier.items()}
        throttled = [(m, -worst[t], t) for t, m in at.items() if m is not None]
        return tuple(t for _, _, t in sorted(throttled))

    def minutes_to_recover(self) -> tuple[int | None, int | None, int | None]:
        """Of all together, and the least and most if any one replicate is left out; None: not by the end.

        How far they lie apart tells how much the answer hangs on single cells; it is no interval.
        """
        if self.unserved:
            return None, None, None
        met, without = self._met(None), self._without(None)
        each = [
            recovery(met.leaving_out(r), without.leaving_out(r), EVENT_MIN).recovered_min
            for r in range(len(self.counts) if len(self.counts) > 1 else 0)
        ]
        known = [m for m in [*each, self.all.recovered_min] if m is not None]
        never = None in [*each, self.all.recovered_min]
        return self.all.recovered_min, min(known, default=None), None if never else max(known)

    def fate(self, what: int, tier: str | None = None) -> Estimate:
        """Requests, or tokens, of `leaving.FATES`, of one tier or of all."""
        own = slice(None) if tier is None else [self.tiers.index(tier)]
        return estimate(self.fates[:, own, what].sum(axis=1))

    def total(self, kind: int, tier: str | None = None, since_min: int = EVENT_MIN) -> Estimate:
        """A kind of `minutes.KINDS` from a minute on, by default that of the event."""
        own = slice(None) if tier is None else [self.tiers.index(tier)]
        return estimate(self.counts[:, since_min:, own, kind].sum(axis=(1, 2)))


def estimate(each: Floats) -> Estimate:
    """The mean of replicates with its 90 % interval; NaN where one replicate is all."""
    value, many = float(each.mean()), len(each)
    if many < 2:
        return Estimate(value, math.nan, math.nan)
    either_way = float(np.std(each, ddof=1) / np.sqrt(many) * stdtrit(many - 1, 0.95))
    return Estimate(value, max(value - either_way, 0.0), value + either_way)
