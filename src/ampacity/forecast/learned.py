"""What a forecast learns from a journal: a few factors in a file, which the next forecast takes up.

Only what stands out of chance is learned, and only from what a journal says: times between tokens, the quickest first
tokens, how often people ask while they do. Shares of refusals and slow first tokens follow from these; where they
differ by themselves, that is said and nothing is made of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median

import msgspec

from ampacity.base.files import write_whole
from ampacity.forecast.load import FASTER_MOST, Load
from ampacity.forecast.met import MINUTE_MS, SERVED, Met, quantile

LEAST_ROWS = 50
ERRORS = 3.0
"""A difference of less than so many standard errors is chance."""
PACE_LEAST, MORE_LEAST_MS = 0.02, 2.0
QUICK = 0.05
"""The share of first tokens that are quickest: they waited for nobody."""


class Learned(msgspec.Struct, frozen=True):
    """Factors. 1 and 0 say that nothing was learned.

    pace: how many times as long a pool's iterations take as the serving model says. more_ms: what a request takes
    beside the engine, more than was known [ms]. demand: how many times shorter people's pauses are. because: in
    sentences.
    """

    pace: float = 1.0
    more_ms: float = 0.0
    demand: float = 1.0
    because: tuple[str, ...] = ()


NOTHING_LEARNED = Learned()


def read_learned(path: Path) -> Learned:
    """From a file. Raises OSError, and ValueError if it is no such file."""
    return msgspec.json.decode(path.read_bytes(), type=Learned)


def write_learned(path: Path, learned: Learned) -> None:
    """To a file."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(learned), indent=1) + b"\n")


def learn(
    load: Load, draws: Sequence[Sequence[Met]], measured: Sequence[Met], before: Learned = NOTHING_LEARNED
) -> Learned:
    """What to know next time, given what the forecast of so many draws knew before."""
    forecast = [r for rows in draws for r in rows]
    if min(len(forecast), len(measured)) < LEAST_ROWS:
        words = f"Too few requests to learn from: {len(forecast)} forecast, {len(measured)} measured."
        return Learned(before.pace, before.more_ms, before.demand, (words,))
    pace, about_pace = _pace(forecast, measured)
    more_ms, about_more = _more_ms(forecast, measured, pace)
    demand, about_demand = _demand(load, draws, measured, before.demand)
    return Learned(
        pace=round(before.pace * pace, 4),
        more_ms=round(max(before.more_ms + more_ms, 0.0), 2),
        demand=round(min(max(before.demand * demand, 1 / FASTER_MOST), FASTER_MOST), 4),
        because=(about_pace, about_more, about_demand),
    )


def _pace(forecast: Sequence[Met], measured: Sequence[Met]) -> tuple[float, str]:
    ours, theirs = _paces(forecast), _paces(measured)
    if min(len(ours), len(theirs)) < LEAST_ROWS:
        return 1.0, "Pace: too few answers of ten tokens or more."
    ratio = median(theirs) / median(ours)
    error = math.hypot(_error_of_median(ours) / median(ours), _error_of_median(theirs) / median(theirs))
    told = f"{median(theirs):.1f} ms between tokens, {median(ours):.1f} forecast"
    if abs(ratio - 1) < max(PACE_LEAST, ERRORS * error):
        return 1.0, f"Pace: {told}; no more apart than chance, nothing learned."
    return ratio, f"Pace: {told}; iterations are taken to last {ratio:.2f} times as long."


def _paces(rows: Sequence[Met]) -> list[float]:
    return [p for r in rows if (p := r.per_token_ms) is not None]


def _error_of_median(values: Sequence[float]) -> float:
    """From the quartiles, as of numbers drawn normally: 1.253 standard deviations over the root of how many."""
    rising = sorted(values)
    return 1.253 * (quantile(rising, 0.75) - quantile(rising, 0.25)) / 1.349 / math.sqrt(len(rising))


def _more_ms(forecast: Sequence[Met], measured: Sequence[Met], pace: float) -> tuple[float, str]:
    ours, theirs = (sorted(r.first_ms for r in rows if r.outcome == SERVED) for rows in (forecast, measured))
    expected, met = quantile(ours, QUICK) * pace, quantile(theirs, QUICK)
    told = f"Beside the engine: the quickest first tokens came after {met:.0f} ms, {expected:.0f} forecast"
    if abs(met - expected) < max(MORE_LEAST_MS, PACE_LEAST * met, ERRORS * _error_of_quick(theirs)):
        return 0.0, f"{told}; no more apart than chance, nothing learned."
    return met - expected, f"{told}; {met - expected:+.0f} ms are put beside it."


def _error_of_quick(rising: Sequence[float]) -> float:
    """Half of what lies between the quantiles a standard error of their ranks apart."""
    ranks = math.sqrt(QUICK * (1 - QUICK) / max(len(rising), 1))
    return (quantile(rising, QUICK + ranks) - quantile(rising, max(QUICK - ranks, 0.0))) / 2


def _demand(load: Load, draws: Sequence[Sequence[Met]], measured: Sequence[Met], before: float) -> tuple[float, str]:
    ours, theirs = fmean(map(_per_active_minute, draws)), _per_active_minute(measured)
    ratio = theirs / ours
    told = f"Demand: {theirs:.2f} requests of a person in a minute in which they ask, {ours:.2f} forecast"
    if abs(ratio - 1) < ERRORS * math.sqrt(1 / len(measured)):
        return 1.0, f"{told}; no more apart than chance, nothing learned."
    pause_ms = fmean(s.pause_ms for line in load.lines for s in line.steps) / before
    answer_ms, answered_ms = fmean(map(_answer_ms, draws)), _answer_ms(measured)
    left_ms = max((pause_ms + answer_ms) / ratio - answered_ms, pause_ms / FASTER_MOST)
    demand = pause_ms / left_ms
    return demand, f"{told}; pauses are taken to be {1 / demand:.2f} times as long."


def _per_active_minute(rows: Sequence[Met]) -> float:
    return len(rows) / len({(r.subscriber, r.at_ms // MINUTE_MS) for r in rows})


def _answer_ms(rows: Sequence[Met]) -> float:
    return fmean(max(r.whole_ms, 0.0) for r in rows)
