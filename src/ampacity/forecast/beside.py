"""A journal's rows as a forecast's, and the two held against each other."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from ampacity.forecast.load import Load
from ampacity.forecast.met import NOT_SEEN, REFUSED, SERVED, TURNED_AWAY, Figures, Met, figures
from ampacity.journal import opening, read
from ampacity.journal.records import ABORTED, NO_CAPACITY, REFUSED_ORGANIZATION, SETTLED
from ampacity.journal.records import REFUSED as REFUSED_BY_WINDOW

REFUSALS_WITHIN, TTFT_WITHIN, HIT_AT_LEAST = 0.10, 0.15, 0.90


class Marks(msgspec.Struct, frozen=True):
    """How far apart two runs are.

    refusals, ttft_p99: measured over forecast, less 1. hit: of those that a window refused in either, the share that
    it refused in both (Jaccard). same_people: of all who asked, the share of whom both say the same.
    """

    refusals: float
    ttft_p99: float
    hit: float
    same_people: float

    @property
    def met(self) -> bool:
        """Whether all are within what is promised."""
        return abs(self.refusals) <= REFUSALS_WITHIN and abs(self.ttft_p99) <= TTFT_WITHIN and self.hit >= HIT_AT_LEAST


def rows_of(journal: Path) -> tuple[Met, ...]:
    """What every request of a journal, or of all in a folder, met, counted from the first.

    Raises OSError, and Mistakes for no journal.
    """
    found: list[Met] = []
    with ExitStack() as stack:
        begin_ms = 0
        open_ones = [stack.enter_context(opening.for_reading(path)) for path in opening.journals_at(journal)]
        for request in heapq.merge(*map(read.requests, open_ones), key=lambda r: r.arrival.now_ms):
            a, end = request.arrival, request.end
            begin_ms = begin_ms or a.now_ms
            first_ms, whole_ms, output = NOT_SEEN, NOT_SEEN, 0
            if a.outcome in (REFUSED_BY_WINDOW, REFUSED_ORGANIZATION):
                outcome, window = REFUSED, a.place
            elif a.outcome == NO_CAPACITY or (end is not None and end.status not in (SETTLED, ABORTED)):
                outcome, window = TURNED_AWAY, a.place if a.outcome == NO_CAPACITY else ""
            elif end is None:
                continue
            else:
                outcome, window, first_ms, output = SERVED, "", end.first_token_ms, end.output
                whole_ms = end.now_ms - a.now_ms if end.status == SETTLED else NOT_SEEN
            at_ms = a.now_ms - begin_ms
            found.append(Met(at_ms, a.subscriber, a.tier, outcome, window, first_ms, whole_ms, output))
    return tuple(found)


def marks(forecast: Figures, measured: Figures, people: int) -> Marks:
    """How far what was measured is from what was forecast. people: who asked, in either."""
    ours, theirs = set(forecast.hit), set(measured.hit)
    either = ours | theirs
    return Marks(
        refusals=_over(measured.refused_share, forecast.refused_share),
        ttft_p99=_over(measured.ttft_ms[2], forecast.ttft_ms[2]),
        hit=len(ours & theirs) / len(either) if either else 1.0,
        same_people=1 - len(ours ^ theirs) / people if people else 1.0,
    )


def held(forecast: Figures, load: Load, rows: Sequence[Met]) -> tuple[Figures, Marks]:
    """The figures of what was measured of a load, and how far they are from its forecast."""
    measured = figures(rows)
    return measured, marks(forecast, measured, len({*load.tier_of, *(r.subscriber for r in rows)}))


def _over(measured: float, forecast: float) -> float:
    if forecast == 0:
        return 0.0 if measured == 0 else float("inf")
    return measured / forecast - 1


def sentences(f: Figures, m: Figures, k: Marks) -> list[str]:
    """How a forecast did, in words."""
    missed = [
        words
        for words, kept in (
            ("refusals", abs(k.refusals) <= REFUSALS_WITHIN),
            ("the time to the first token", abs(k.ttft_p99) <= TTFT_WITHIN),
            ("who is hit", k.hit >= HIT_AT_LEAST),
        )
        if not kept
    ]
    both = len(set(f.hit) & set(m.hit))
    verdict = "The forecast held." if not missed else f"The forecast missed {' and '.join(missed)}."
    return [
        verdict,
        f"It said that {f.refused_share:.1%} of the requests would be refused; {m.refused_share:.1%} were "
        f"({k.refusals:+.0%}; the mark is {REFUSALS_WITHIN:.0%}).",
        f"Of 100 first tokens 99 were to come within {f.ttft_ms[2] / 1000:.2f} s; it was {m.ttft_ms[2] / 1000:.2f} s "
        f"({k.ttft_p99:+.0%}; the mark is {TTFT_WITHIN:.0%}).",
        f"It named {len(f.hit)} subscribers whose windows would refuse them, {len(m.hit)} met that, {both} of them "
        f"named ({k.hit:.0%} of either; the mark is {HIT_AT_LEAST:.0%}).",
    ]
