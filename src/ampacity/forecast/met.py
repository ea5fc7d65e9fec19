"""What requests met, forecast or measured alike: one row a request, and the figures that are made of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean, median

import msgspec

SERVED, REFUSED, TURNED_AWAY = "served", "refused", "turned away"
NOT_SEEN = -1
QUANTILES = (0.5, 0.9, 0.99)
MINUTE_MS = 60_000


class Met(msgspec.Struct, frozen=True, array_like=True):
    """One request, and each retry of one.

    at_ms: when it came, from the begin of the run. outcome: SERVED, its first token came; REFUSED by its window;
    TURNED_AWAY, no pool took it or those that did failed. window: that refused it. first_ms, whole_ms: from its arrival
    to its first token and its end, or NOT_SEEN. output: tokens of its answer.
    """

    at_ms: int
    subscriber: int
    tier: str
    outcome: str
    window: str = ""
    first_ms: float = NOT_SEEN
    whole_ms: float = NOT_SEEN
    output: int = 0

    @property
    def per_token_ms(self) -> float | None:
        """Between two tokens of the answer; None of a short or a broken one."""
        if self.outcome != SERVED or self.whole_ms < 0 or self.output < 10:
            return None
        return (self.whole_ms - self.first_ms) / (self.output - 1)


class Figures(msgspec.Struct, frozen=True):
    """What rows come to.

    refused_share: of all requests those that were refused by a window or turned away. by_window: refused by it, by tier
    and window, over the tier's requests; "turned away" beside the windows. ttft_ms: at the quantiles 0.5, 0.9, 0.99.
    per_token_ms: median. hit: subscribers that a window refused, least first. minutes: of each (requests, served,
    refused, turned away).
    """

    requests: int
    served: int
    refused_share: float
    by_window: dict[str, dict[str, float]]
    ttft_ms: tuple[float, float, float]
    per_token_ms: float
    hit: tuple[int, ...]
    minutes: tuple[tuple[int, int, int, int], ...]


def figures(rows: Sequence[Met]) -> Figures:
    """The figures of rows; of none, zeros."""
    served = [r for r in rows if r.outcome == SERVED]
    firsts = sorted(r.first_ms for r in served)
    paces = [p for r in rows if (p := r.per_token_ms) is not None]
    p50, p90, p99 = (quantile(firsts, q) for q in QUANTILES)
    return Figures(
        requests=len(rows),
        served=len(served),
        refused_share=1 - len(served) / len(rows) if rows else 0.0,
        by_window=_by_window(rows),
        ttft_ms=(p50, p90, p99),
        per_token_ms=median(paces) if paces else 0.0,
        hit=tuple(sorted({r.subscriber for r in rows if r.outcome == REFUSED})),
        minutes=tuple(_minutes(rows)),
    )


def figures_of_draws(draws: Sequence[Sequence[Met]]) -> Figures:
    """The figures of several draws: shares and counts on the mean, times of all together, hit in most of them."""
    each = [figures(rows) for rows in draws]
    pooled = figures([r for rows in draws for r in rows])
    hit = Counter(who for f in each for who in f.hit)
    return Figures(
        requests=round(fmean(f.requests for f in each)),
        served=round(fmean(f.served for f in each)),
        refused_share=fmean(f.refused_share for f in each),
        by_window=pooled.by_window,
        ttft_ms=pooled.ttft_ms,
        per_token_ms=pooled.per_token_ms,
        hit=tuple(sorted(who for who, times in hit.items() if 2 * times > len(each))),
        minutes=tuple(_rounded(n / len(each) for n in minute) for minute in pooled.minutes),
    )


def _rounded(numbers: Iterable[float]) -> tuple[int, int, int, int]:
    a, b, c, d = map(round, numbers)
    return a, b, c, d


def quantile(rising: Sequence[float], q: float) -> float:
    """Of sorted numbers, between neighbours in proportion; 0 of none."""
    if not rising:
        return 0.0
    at = q * (len(rising) - 1)
    i = int(at)
    return rising[i] + (at - i) * (rising[min(i + 1, len(rising) - 1)] - rising[i])


def _by_window(rows: Iterable[Met]) -> dict[str, dict[str, float]]:
    asked: Counter[str] = Counter()
    lost: dict[str, Counter[str]] = {}
    for r in rows:
        asked[r.tier] += 1
        of = lost.setdefault(r.tier, Counter())
        if r.outcome != SERVED:
            of[r.window or TURNED_AWAY] += 1
    return {tier: {w: n / asked[tier] for w, n in sorted(of.items())} for tier, of in sorted(lost.items())}


def _minutes(rows: Iterable[Met]) -> list[tuple[int, int, int, int]]:
    counts: dict[int, Counter[str]] = {}
    for r in rows:
        counts.setdefault(r.at_ms // MINUTE_MS, Counter())[r.outcome] += 1
    last = max(counts, default=-1)
    of = [counts.get(i, Counter()) for i in range(last + 1)]
    return [(c.total(), c[SERVED], c[REFUSED], c[TURNED_AWAY]) for c in of]
