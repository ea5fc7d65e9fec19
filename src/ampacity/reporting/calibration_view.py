"""A calibration of demand in words: how near drawn sessions come to real ones, beside the noise between real ones."""

from __future__ import annotations

from ampacity.demand.calibrate import Calibration
from ampacity.reporting.catalog_views import View
from ampacity.reporting.words import count, digits, share


def calibration_view(c: Calibration) -> View:
    """The verdict, the distances, the means, and what an active hour is."""
    about = c.model.about
    lines = [
        f"{about['source']} · {count(about['sessions'])} sessions · {count(about['requests'])} requests "
        f"· seed {about['seed']}",
        "",
        "  " + _verdict(c),
        "",
        "  Kolmogorov distance        drawn   target   held out   floor of noise (95 %)",
    ]
    for g in c.goodness:
        mark = " " if g.distance <= g.target else "!"
        lines.append(
            f"  {g.statistic:<24} {mark} {g.distance:5.3f}   {g.target:5.2f}      {_three(g.held_out)}"
            f"     {_three(g.floor)} ({_three(g.floor_p95)})"
        )
    lines += ["", "  per request                drawn     trace"]
    for name, real in c.means.items():
        lines.append(f"  {name.replace('_', ' '):<22} {c.drawn_means[name]:>9,.0f} {real:>9,.0f}")
    h = c.hour
    lines += [
        "",
        f"  cache      holds {share(c.drawn_hit)} of the input (trace {share(c.hit)}); it misses "
        + ", ".join(f"{share(v)} with a lifetime of {_minutes(k)}" for k, v in c.uncached_by_lifetime.items()),
        f"  hour       one active session-hour is {digits(h.requests)} requests, {count(h.input_tokens)} input tokens "
        f"({count(h.uncached_tokens)} uncached), {count(h.output_tokens)} output",
    ]
    if not about["repetitions"]:
        lines.append("  note       without repetitions there is neither a held-out distance nor a floor")
    if left_out := about["sessions_left_out"]:
        words = "session is" if left_out == 1 else "sessions are"
        lines.append(
            f"  note       {count(left_out)} {words} left out: some input, cached part or output in them is not known"
        )
    return View("\n".join(lines), c.as_dict())


def _verdict(c: Calibration) -> str:
    if not c.misses:
        return "The model meets every target on this trace."
    return "The model misses: " + "; ".join(c.misses) + "."


def _three(distance: float | None) -> str:
    return "  -  " if distance is None else f"{distance:5.3f}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.0f} h"
