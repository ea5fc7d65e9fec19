"""The chapter of the page on what was forecast of a service and what its journal says came about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ampacity.forecast.beside import held, rows_of, sentences
from ampacity.forecast.forecast_file import read_forecast
from ampacity.forecast.met import SERVED, TURNED_AWAY, Figures, Met, figures, quantile
from ampacity.forecast.simulated import OfTier, Simulated, simulated_in
from ampacity.reporting.chapter import Chapter, Table, view_chapter
from ampacity.reporting.words import share

KEY, TITLE = "measured", "Forecast and measured"
FORECAST = "forecast.json"
HOUR_MS = 3_600_000
OTHER = "That was said of another scenario, or of this one before it was edited."
NOTE = (
    "Measured is all that the journal holds. Refused: by a window, or for want of capacity; retries count as requests. "
    "First tokens are those of streams; of an answer that comes whole nobody sees the first."
)


def measured_chapter(folder: Path, scenario_hash: str) -> Chapter | None:
    """What was forecast of the service of a state folder, and measured; None without a journal, or a forecast of it.

    A forecast is `simulated.json`, which `ampacity simulate --json` writes, or `forecast.json`, which
    `forecast_of(...).write` does. Raises OSError, and Mistakes for no journal.
    """
    simulated, foretold = simulated_in(folder), folder / FORECAST
    if not any(folder.glob("*.journal")) or (simulated is None and not foretold.exists()):
        return None
    rows = rows_of(folder)
    if not rows:
        return None
    said = [f"The journal of {folder.name} holds {len(rows):,} requests of {_lasted(rows)}."]
    if foretold.exists():
        said += _held(foretold, rows)
    tables: list[Table] = []
    if simulated is not None:
        said += [_of_all(simulated, rows)]
        if simulated.record.scenario_hash != scenario_hash:
            said.append(OTHER)
        tables = [_by_tier(simulated.tiers(), rows), _by_window(simulated.tiers(), figures(rows))]
    return view_chapter(KEY, TITLE, said, tables, notes=(NOTE,))


def _lasted(rows: Sequence[Met]) -> str:
    hours = max(r.at_ms for r in rows) / HOUR_MS
    if hours < 1 / 60:
        return "less than a minute"
    return (
        f"{60 * hours:.0f} minutes" if hours < 2 else f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"
    )


def _held(foretold: Path, rows: Sequence[Met]) -> list[str]:
    """How a forecast of a known load did."""
    try:
        f = read_forecast(foretold)
    except ValueError as err:
        return [f"{foretold.name} lies beside it and is no forecast: {err}."]
    return sentences(f.figures, *held(f.figures, f.load, rows))


def _of_all(simulated: Simulated, rows: Sequence[Met]) -> str:
    """Which tiers were refused more or less than simulated."""
    told = []
    for t in simulated.tiers():
        own = [r for r in rows if r.tier == t.tier]
        if own and t.refused_share is not None:
            refused = share(figures(own).refused_share)
            told.append(f"of the requests of {t.tier} {share(t.refused_share)} were to be refused, {refused} were")
    return f"Simulated and measured: {'; '.join(told) or 'no tier that was simulated has asked'}."


def _by_tier(tiers: Iterable[OfTier], rows: Sequence[Met]) -> Table:
    lines = []
    for t in tiers:
        own = [r for r in rows if r.tier == t.tier]
        firsts = sorted(r.first_ms for r in own if _streamed(r))
        p50, p99 = (quantile(firsts, q) if firsts else None for q in (0.5, 0.99))
        refused = figures(own).refused_share if own else None
        times = (t.ttft_p50_ms, p50, t.ttft_p99_ms, p99)
        lines.append((t.tier, f"{len(own):,}", _share(t.refused_share), _share(refused), *map(_time, times)))
    heads = ("Tier", "Requests", "Refused, simulated", "measured", "First token, half within", "measured")
    return Table("By tier", (*heads, "99 in 100 within", "measured"), lines)


def _by_window(tiers: Iterable[OfTier], found: Figures) -> Table:
    lines = []
    for t in tiers:
        came = {w: part for w, part in found.by_window.get(t.tier, {}).items() if w != TURNED_AWAY}
        for window in sorted({*t.by_window, *came}):
            lines.append((t.tier, window, _share(t.by_window.get(window, 0.0)), _share(came.get(window, 0.0))))
    return Table("What windows refuse, of a tier's requests", ("Tier", "Window", "Simulated", "Measured"), lines, 2)


def _streamed(r: Met) -> bool:
    """Whether an answer came token by token: of one that comes whole the first byte comes with the last."""
    return r.outcome == SERVED and r.first_ms >= 0 and (r.whole_ms < 0 or r.whole_ms > r.first_ms)


def _share(x: float | None) -> str:
    return "" if x is None else share(x)


def _time(ms: float | None) -> str:
    return "" if ms is None else f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"
