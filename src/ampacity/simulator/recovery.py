"""When service suffers after an event, and when it is as before: judged minute by minute on refusals and first tokens.

A minute is judged with the four that follow it, so that the slowest in a hundred are not a matter of chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.simulator.minutes import ANSWERED, ASKED, OVERLOADED, SENT, ttft_s

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]
Mask = NDArray[np.bool_]

JUDGED_MIN = 5
THROTTLED_SHARE = 0.01
"""More than so many attempts refused for want of capacity are throttling, and no service as before. [0 to 1]"""
THROTTLED_TTFT_S = 30.0
"""First tokens of which one in a hundred takes longer are throttling too. [s]"""
AS_BEFORE = 2.0
"""Service is as before while refusals and slow first tokens are at most so many times what they were, or would be."""
QUIET_MIN = 10
"""For at least so long, to the end of what is looked at, else it is not for good."""


@dataclass(frozen=True)
class Met:
    """counts: [replicate, minute, KINDS]. ttft: [replicate, minute, TTFT_BUCKETS]. Of a tier, or of all."""

    counts: Floats
    ttft: Floats

    @property
    def mean(self) -> Pair:
        """Of all replicates."""
        return self.counts.mean(axis=0), self.ttft.mean(axis=0)

    @property
    def each(self) -> list[Pair]:
        """Each replicate."""
        return list(zip(self.counts, self.ttft, strict=True))

    def leaving_out(self, replicate: int) -> Met:
        """All replicates but one."""
        return Met(np.delete(self.counts, replicate, axis=0), np.delete(self.ttft, replicate, axis=0))


@dataclass(frozen=True)
class Recovery:
    """How service went, before and from an event on; minutes count from it.

    refused_before: share of attempts (529). ttft_p99_before_s: NaN if nothing was asked. throttled_min: the first
    minute in which more than THROTTLED_SHARE are refused or one first token in a hundred takes longer than
    THROTTLED_TTFT_S; None: never. recovered_min: from which on both are as before; None: not by the end.
    worst_refused, worst_ttft_p99_s: of the minutes after the event.
    """

    refused_before: float
    ttft_p99_before_s: float
    throttled_min: int | None
    recovered_min: int | None
    worst_refused: float
    worst_ttft_p99_s: float


def recovery(met: Met, without: Met, event_min: int) -> Recovery:
    """Judge what a tier, or all, met.

    without: what the cells that stay would have met had nothing happened; demand that swings up by itself is no fault
    of the event, so at every minute the larger of it and of what was before is what service is held against. event_min:
    which minute is the first from the event on. A few long sessions make the slowest in a hundred of one replicate
    jump, so minutes are worse only if they are in the mean and in most of the replicates.
    """
    mean = _Course(met.mean, without.mean, event_min)
    each = [_Course(m, w, event_min) for m, w in zip(met.each, without.each, strict=True)]
    slow = (mean.p99_s > THROTTLED_TTFT_S) & _most([c.p99_s > THROTTLED_TTFT_S for c in each])
    throttled = np.flatnonzero((mean.own[: len(slow)] > THROTTLED_SHARE) | slow)
    worse = np.flatnonzero(mean.worse & _most([c.worse for c in each]))
    back = int(worse[-1]) + 1 if len(worse) else 0
    return Recovery(
        mean.refused_before,
        mean.p99_before_s,
        int(throttled[0]) if len(throttled) else None,
        back if back <= len(mean.worse) - QUIET_MIN else None,
        float(mean.own.max(initial=0.0)),
        float(mean.p99_s.max(initial=0.0)),
    )


class _Course:
    """Refusals and slow first tokens of one replicate or of their mean, from the event on, and before."""

    def __init__(self, met: Pair, without: Pair, event_min: int) -> None:
        counts, ttft = met
        self.refused_before = refused(counts[:event_min].sum(axis=0))
        self.p99_before_s = ttft_s(ttft[:event_min].sum(axis=0), 0.99)
        shares, self.p99_s = _judged(met, event_min)
        usual, usual_s = _judged(without, event_min)
        self.own = np.array([refused(row) for row in counts[event_min:]])
        usual = np.maximum(usual, self.refused_before)
        usual_s = np.fmax(usual_s, self.p99_before_s)
        self.worse = (shares > np.maximum(AS_BEFORE * usual, THROTTLED_SHARE)) | (self.p99_s > AS_BEFORE * usual_s)


def _judged(met: Pair, event_min: int) -> Pair:
    """Refused share and slowest in a hundred of every minute from the event on, each with those that follow it."""
    counts, ttft = met
    spans = [slice(m, m + JUDGED_MIN) for m in range(event_min, len(counts) - JUDGED_MIN + 1)]
    shares = np.array([refused(counts[span].sum(axis=0)) for span in spans])
    return shares, np.array([_p99_s(counts[span].sum(axis=0), ttft[span].sum(axis=0)) for span in spans])


def _most(each: list[Mask]) -> Mask:
    """Where most are true."""
    return np.asarray(np.sum(each, axis=0) * 2 > len(each))


def refused(counts: Floats) -> float:
    """Share of attempts refused for want of capacity. [0 to 1]"""
    attempts = counts[SENT] + counts[OVERLOADED]
    return float(counts[OVERLOADED] / attempts) if attempts > 0 else 0.0


def _p99_s(counts: Floats, ttft: Floats) -> float:
    """Infinite where much is asked and nothing answered."""
    if counts[ANSWERED] == 0:
        return float("inf") if counts[ASKED] + counts[OVERLOADED] > 0 else 0.0
    return ttft_s(ttft, 0.99)
