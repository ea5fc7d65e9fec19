"""A comparison of two schemes of limits in sentences: who is hit, which window binds, what it takes, how sure."""

from __future__ import annotations

from collections.abc import Callable

from ampacity.planner.compare import Compared
from ampacity.planner.interval import Interval
from ampacity.planner.scheme_figures import HIT_AT_MOST, NEWLY_HIT
from ampacity.reporting.verdict_words import DISCLAIMER
from ampacity.reporting.words import digits, share


def sentences(c: Compared) -> list[str]:
    """The answer, most important first."""
    said = [_hit(c), *_binding(c), _lost(c), *_volume(c), _deferred(c), *_calibrated(c)]
    if c.comparison.public:
        said += [
            "Conditional on what nobody outside has published: the token value of a window (published hours of use "
            "times the measured intensity of an hour, a range), how unlike people are, and what they do when a window "
            "stops them (all assumed).",
            DISCLAIMER,
        ]
    else:
        said.append("Conditional on how people of a tier work and what they do when a window stops them, both assumed.")
    return said


def interval(i: Interval, write: Callable[[float], str]) -> str:
    """A figure with its 90 % interval: "8 % (90 %: 2 to 19 %)"."""
    if i.low == i.high == i.value:
        return write(i.value)
    low = write(i.low)
    unit = " %"
    low = low.removesuffix(unit) if low.endswith(unit) and write(i.high).endswith(unit) else low
    return f"{write(i.value)} (90 %: {low} to {write(i.high)})"


def _hit(c: Compared) -> str:
    a, b = c.labels
    now, before = (c.figures[s]["share_hit_per_week"] for s in (b, a))
    gone, new = c.change["no_longer_hit"], c.change["newly_hit"]
    text = (
        f"Under {b} a limit stops {interval(now, rough)} of the people in a week; under {a}, "
        f"{interval(before, rough)}. Of all people {rough(gone.value)} are no longer stopped"
    )
    return text + (f", {interval(new, rough)} newly." if new.high >= 0.0005 else ", hardly anybody newly.")


def _binding(c: Compared) -> list[str]:
    a, b = c.labels
    parts, changed = [], []
    for s in (a, b):
        found = binding(c, s)
        if not found:
            parts.append(f"under {s} nothing binds")
            continue
        window = max(found, key=lambda w: found[w].value)
        parts.append(f"under {s} the {window} window makes {interval(found[window], rough)} of the stops")
    for tier in c.comparison.tiers:
        first, second = (binding(c, s, tier) for s in (a, b))
        was, now = (max(f, key=lambda w: f[w].value) if f else None for f in (first, second))
        if was and now and was != now and first[was].value > 0 and second[now].value > 0:
            makes = interval(second[now], rough)
            changed.append(f"of {tier} the {was} window bound; now, at the stated values, the {now} one makes {makes}")
    text = "; ".join(parts)
    said = [f"{text[0].upper()}{text[1:]}."]
    if changed:
        told = "; ".join(changed)
        said.append(f"{told[0].upper()}{told[1:]}.")
    return said


def binding(c: Compared, scheme: str, tier: str = "") -> dict[str, Interval]:
    """Share of stops by window, of all tiers or of one."""
    prefix = f"binding_window_share/{tier}/" if tier else "binding_window_share/"
    own = {k.removeprefix(prefix): v for k, v in c.figures[scheme].items() if k.startswith(prefix)}
    return {k: v for k, v in own.items() if "/" not in k}


def _lost(c: Compared) -> str:
    a, b = c.labels
    lost, waited = ({s: c.figures[s][f"hours_{what}_per_week"] for s in (a, b)} for what in ("lost", "delayed"))
    return (
        f"People give up {interval(lost[b], digits)} active hours a week for good, against "
        f"{interval(lost[a], digits)}; work that comes back waits {digits(waited[b].value)} hours a week, against "
        f"{digits(waited[a].value)}."
    )


def _volume(c: Compared) -> list[str]:
    weekly, peak = c.change.get("weekly_tokens/all"), c.change.get("peak_hour_tokens/all")
    said = []
    if weekly is not None and peak is not None:
        said.append(f"The week serves {more(weekly, 'tokens')}, its busiest hour {more(peak)}.")
    a, b = c.labels
    if c.accelerator is not None and "accelerators" in c.figures[a]:
        need = {s: c.figures[s]["accelerators"] for s in (a, b)}
        said.append(
            f"In the hour that needs most that takes {interval(need[b], digits)} {c.accelerator}, against "
            f"{interval(need[a], digits)}, at the operating point of the first pool that serves them."
        )
    return said


def more(ratio: Interval, what: str = "") -> str:
    """A ratio as more or fewer: "8 % more tokens (90 %: 3 to 15 %)"."""
    one_way = (ratio.low >= 1) == (ratio.high >= 1) == (ratio.value >= 1)
    ends = sorted(abs(end - 1) for end in (ratio.low, ratio.high))
    low, high = (rough(end) for end in ends) if one_way else (_by(ratio.low), _by(ratio.high))
    named = f"{_by(ratio.value)} {what}".rstrip()
    return f"{named} (90 %: {low.removesuffix(' %') if one_way else low} to {high})"


def _by(ratio: float) -> str:
    return f"{rough(abs(ratio - 1))} {'more' if ratio >= 1 else 'fewer'}"


def _deferred(c: Compared) -> str:
    none, everything = c.deferrals[0], c.deferrals[-1]
    return (
        f"If all stopped work were lost, the week would serve {_by(none.weekly_tokens)} tokens and the busiest hour "
        f"{_by(none.peak_hour_tokens)}; if all of it came back later, {_by(everything.weekly_tokens)} and "
        f"{_by(everything.peak_hour_tokens)}: what returns moves from the week's volume to its peaks."
    )


def _calibrated(c: Compared) -> list[str]:
    k = c.calibration
    if k is None:
        return []
    statement = f"that fewer than {share(HIT_AT_MOST)} met the weekly windows of August 2025"
    p = k.predicted
    if p is None:
        return [
            f"Not calibrated: none of {k.worlds} worlds agrees with the one statement that would do it, {statement}. "
            "The intervals here are those of all worlds, and nothing is predicted of March 2026."
        ]
    verdict = {
        (True, True): "it falls in both intervals",
        (True, False): "it falls in the interval of a week, not in that of four",
        (False, True): "it falls in the interval of four weeks, not in that of one",
        (False, False): "it falls in neither interval, so the model tells a part of that statement wrongly",
    }[p.holds, p.holds_in_four]
    agree = f"{k.kept} of {k.worlds} worlds agree"
    if k.kept == k.worlds:
        agree = f"all {k.worlds} worlds agree already, so it narrows nothing"
    return [
        f"Calibrated on one statement, {statement}: "
        f"{agree}; there they are {interval(p.hit_2025, rough)} of the people.",
        f"That March 2026 newly hit about {share(NEWLY_HIT)} was not used; predicted are "
        f"{interval(p.newly_hit, rough)} in a week and {interval(p.newly_hit_in_four, rough)} in four: {verdict}.",
    ]


def rough(x: float) -> str:
    """A share to two figures at most: "23 %", "0.8 %"."""
    return f"{digits(100 * x, 2 if x >= 0.01 else 1)} %" if x > 0 else "0 %"
