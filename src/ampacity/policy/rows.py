"""The windows of a limit as whole numbers: the rows that deciding, simulated or live, works on.

One row a window, ROW_FIELDS int64 numbers. Time is in milliseconds since 1970 UTC. Weights are in thousandths, so use
is counted in thousandths of a weighted token; no product of a weight and a token count passes 63 bits below 9e12
tokens. What follows local clocks (weekly resets, peak hours) is a table of instants made here, once, ahead of time.
"""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.base.calendar import local_intervals_ms, weekly_instants_ms
from ampacity.scenario.limit import Anchor, Limit, Window

AT_FIRST_USE, AT_INSTANTS, EVENLY, NEVER = range(4)
REFILL = {"at-first-use": AT_FIRST_USE, "at-instants": AT_INSTANTS, "evenly": EVENLY, "never": NEVER}
SCALE = 1000

LENGTH_MS, REFILL_RULE, SIZE, W_UNCACHED, W_WRITE, W_READ, W_OUTPUT, PEAK_TIMES = range(8)
ROW_FIELDS = 8
UNLIMITED = (1 << 62) - 1


@dataclass(frozen=True)
class WindowRows:
    """A limit, compiled.

    names: of the windows, in order. rows: flat, ROW_FIELDS numbers a window: length [ms], refill rule, size [weighted
    token / SCALE], four weights [1 / SCALE], peak multiplier [1 / SCALE].
    instants_ms: of each window, when it refills. peaks_ms: of each window, half-open intervals of peak hours, flat.
    """

    names: tuple[str, ...]
    rows: tuple[int, ...]
    instants_ms: tuple[tuple[int, ...], ...]
    peaks_ms: tuple[tuple[int, ...], ...]


def compile_limit(limit: Limit, start_s: int, end_s: int, found: dict[str, float] | None = None) -> WindowRows:
    """Compile the windows of a limit for [start, end); `found` gives the tokens of windows that state none.

    A window with neither is without bound. Sizes are rounded down to whole thousandths.
    """
    rows: list[int] = []
    instants, peaks = [], []
    for w in limit.windows:
        tokens = w.tokens.value if w.tokens is not None else (found or {}).get(w.name)
        size = UNLIMITED if tokens is None else min(int(tokens * SCALE), UNLIMITED)
        weights = (w.weights.uncached_input, w.weights.cache_write, w.weights.cache_read, w.weights.output)
        peak = round(w.peak.multiplier.value * SCALE) if w.peak else SCALE
        rows += [round(w.length_s * 1000), REFILL[w.refill], size, *(round(x * SCALE) for x in weights), peak]
        instants.append(_instants(w, start_s, end_s))
        peaks.append(_peaks(w, start_s, end_s))
    return WindowRows(tuple(w.name for w in limit.windows), tuple(rows), tuple(instants), tuple(peaks))


def _instants(w: Window, start_s: int, end_s: int) -> tuple[int, ...]:
    if w.refill != "at-instants":
        return ()
    anchor = w.anchor or Anchor()
    return tuple(weekly_instants_ms(start_s, end_s, anchor.weekday, anchor.at, anchor.time_zone))


def _peaks(w: Window, start_s: int, end_s: int) -> tuple[int, ...]:
    if w.peak is None:
        return ()
    pairs = local_intervals_ms(start_s, end_s, w.peak.days, w.peak.begin, w.peak.end, w.peak.time_zone)
    return tuple(instant for pair in pairs for instant in pair)
