"""What a fit says of an active hour, as a scenario's `behaviour` writes it: four figures, each with its claim.

The other keys of a behaviour (hours per week, spread, parallel sessions) are not in a trace of sessions; where a
scenario names the file, the catalog's coding agent gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from ampacity.demand.session_hour import SessionHour

HALF_WIDTH = 0.15
"""Sessions of other weeks differ from those of a trace by about as much, early from late ones (relative)."""
UNITS = {
    "uncached_tokens": "token/h",
    "cached_tokens": "token/h",
    "output_tokens": "token/h",
    "context_tokens": "token",
}
"""The four figures under their keys in a scenario, with their units."""
_DIGITS = 4


@dataclass(frozen=True)
class Fitted:
    """What the claims rest on. hour: of drawn sessions. measured: of the trace's own, or nothing if it has no times.
    source: the trace. fitted_on: day. good: whether the fit meets every target."""

    hour: SessionHour
    measured: SessionHour | None
    source: str
    fitted_on: date
    good: bool


def figures(hour: SessionHour) -> dict[str, float]:
    """The four figures of an active session-hour, in the UNITS."""
    return {
        "uncached_tokens": hour.uncached_tokens,
        "cached_tokens": hour.input_tokens - hour.uncached_tokens,
        "output_tokens": hour.output_tokens,
        "context_tokens": hour.context_tokens,
    }


def behaviour_section(name: str, fitted: Fitted) -> dict[str, Any]:
    """The section `behaviour` of a calibration file, plain values.

    A range holds the fit and, where it was timed, the measurement, each with HALF_WIDTH to both sides. What is cached
    counts as the trace counts it: a cache of unlimited lifetime within a session.
    """
    drawn = figures(fitted.hour)
    measured = figures(fitted.measured) if fitted.measured else {}
    return {"name": name, **{key: _claim(key, drawn[key], measured.get(key), fitted) for key in UNITS}}


def _claim(key: str, drawn: float, measured: float | None, fitted: Fitted) -> dict[str, Any]:
    seen = [drawn] if measured is None else [drawn, measured]
    found = "the trace has no times to compare" if measured is None else f"the trace itself has {measured:,.0f}"
    cache = "; a cache of unlimited lifetime within a session" if key in ("uncached_tokens", "cached_tokens") else ""
    return {
        "value": _rounded(drawn),
        "low": _rounded(min(seen) * (1 - HALF_WIDTH)),
        "high": _rounded(max(seen) * (1 + HALF_WIDTH)),
        "unit": UNITS[key],
        "status": "derived",
        "source": fitted.source,
        "known_since": fitted.fitted_on.isoformat(),
        "confidence": "medium" if fitted.good else "low",
        "reason": f"an active session-hour as fitted, +-{HALF_WIDTH:.0%}; {found}{cache}",
    }


def _rounded(number: float) -> int | float:
    """Four digits, whole where nothing is behind the point."""
    short = float(f"{number:.{_DIGITS}g}")
    return int(short) if short.is_integer() else short
