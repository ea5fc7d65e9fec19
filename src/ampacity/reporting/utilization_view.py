"""Utilization, never bare: every ratio with its numerator and denominator, the waterfall, and the ladder of levers."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from datetime import date
from itertools import pairwise
from typing import Any

from ampacity.planner.answer import Answer, prefill_share
from ampacity.reporting.catalog_views import View
from ampacity.reporting.words import digits, points, share
from ampacity.scenario.scenario import Scenario
from ampacity.supply import ladder
from ampacity.supply.ladder import ENDS, Lever, Line, Rung
from ampacity.supply.waterfall import MEANING, STAGES, ratios_of

GOAL = 0.40
CAVEAT = (
    "Levers multiply here as if the starting line were useful over contracted FLOPs of a fleet; the report of 11 % "
    "does not say, and 43 and 46 % are MFU of single runs. Gains come from different fleets and baselines."
)


def utilization_data(s: Scenario, a: Answer) -> dict[str, Any]:
    """Ratios, waterfall, reference lines and ladder as plain data; shares are between 0 and 1."""
    levers, lines = ladder.levers(s.as_of), ladder.lines(s.as_of)
    return {
        "ratios": _ratios(a),
        "useful_over_contracted": _useful(a),
        "lines": [_line(line) for line in lines],
        "levers": [_lever(lever) for lever in levers],
        "ladders": [_ladder(line, levers) for line in lines if line.name == "xai-11"],
        "lifted": _lifted(a, levers),
        "tokens_factor_of_cache_lifetime": _cache_lifetime(a, levers),
        "goal": GOAL,
        "caveat": CAVEAT,
        "says": says(a, s.as_of),
    }


def utilization_view(s: Scenario, a: Answer) -> View:
    """The waterfall of a scenario at its stated values, then lines and levers, in words."""
    data = utilization_data(s, a)
    lines = [f"{s.name} · utilization: each ratio with its numerator over its denominator, at the stated values", ""]
    for r in data["ratios"]:
        lines.append(f"  {r['name']:<12} {share(r['value']):>9}  {r['numerator']} / {r['denominator']}")
    lines += ["", "  The same word elsewhere, for comparison; none of these is a stage above:"]
    for line in data["lines"]:
        percent = f"{digits(100 * line['value'])} %"
        lines.append(f"  {line['words']:<12} {percent:>9}  {line['numerator']} / {line['denominator']}")
        lines.append(f"  {'':<12} {'':>9}  {line['status']} by {line['who']}, known since {line['known_since']}")
    lines += ["", "  Levers (published factor, low to high):"]
    for lever in data["levers"]:
        span = f"x{digits(lever['value'])} ({digits(lever['low'])} to {digits(lever['high'])})"
        notes = [lever["acts_on"], *(["a part of a fleet: shown, not multiplied"] if lever["scope"] == "part" else [])]
        lines.append(f"  {lever['name']:<18} {span:<22} {lever['words']} [{', '.join(notes)}]")
    lines += [""]
    for sentence in data["says"]:
        lines += textwrap.wrap(sentence, 116, initial_indent="  ", subsequent_indent="    ")
    return View("\n".join(lines), {"scenario": s.name, **data})


def says(a: Answer, as_of: date | None) -> list[str]:
    """What the ladder shows: no lever alone, what together does, and what the scenario itself could gain."""
    known = ladder.levers(as_of)
    found = []
    start = next((line for line in ladder.lines(as_of) if line.name == "xai-11"), None)
    if start is not None:
        found += _from_line(start, known)
    found.append(_scenario_sentence(a, known))
    return [f for f in found if f]


def _from_line(start: Line, known: tuple[Lever, ...]) -> list[str]:
    """The sentences about the way from a reported line to the goal."""
    v = start.value
    ratio = f"{start.numerator} over {start.denominator}"
    said = f"{share(v.value)} is {start.words}, {v.status} by {v.who} on {v.known_since}: {ratio}."
    alone = ladder.singles(v.value, known, "high")
    best = max(alone, key=lambda rung: rung.factor, default=None)
    if best is None:
        return [said]
    verdict = "no single lever reaches" if best.reached < GOAL else f"{best.levers[0]} alone reaches"
    one = (
        f"From {share(v.value)} {verdict} {share(GOAL)} (x{digits(GOAL / v.value)}), each at its highest published "
        f"gain: the best, {best.levers[0]}, gives {share(best.reached)}."
    )
    return [said, one, *_together(v.value, known), CAVEAT]


def _together(start: float, known: tuple[Lever, ...]) -> list[str]:
    own = ladder.fleet_levers(known)
    all_of_them = [ladder.multiply(start, own, end) for end in ENDS]
    low, value, high = (share(rung.reached) for rung in all_of_them)
    ends = f"every one at its low end {low}, at its high end {high}"
    every = f"All {len(own)} fleet-wide levers together give {value} ({ends})."
    least = ladder.smallest_that_reach(start, GOAL, known, "high")
    combinations = "; ".join(_rung_words(rung) for rung in least)
    which = f"At their high ends these reach {share(GOAL)}, and none of their levers can be left out: {combinations}."
    middle = ladder.smallest_that_reach(start, GOAL, known, "value")
    plain = "At middle values " + ("no combination does." if not middle else "; ".join(map(_rung_words, middle)) + ".")
    return [every, which if least else f"No combination reaches {share(GOAL)}.", plain]


def _rung_words(rung: Rung) -> str:
    return f"{' + '.join(rung.levers)} ({share(rung.reached)})"


def _scenario_sentence(a: Answer, known: tuple[Lever, ...]) -> str:
    useful = _useful(a)
    lifted = ladder.lift(_stages(a), ladder.fleet_levers(known))
    return (
        f"This scenario: {share(useful)} of contracted accelerator-seconds are useful (against the roofline, not MFU); "
        f"with all fleet-wide levers at middle values {share(lifted.useful)}, no stage passing 100 %."
    )


def _stages(a: Answer) -> dict[str, float]:
    return ratios_of({stage: sum(b.totals[stage] for b in a.bookings) for stage in STAGES})


def _useful(a: Answer) -> float:
    totals = {stage: sum(b.totals[stage] for b in a.bookings) for stage in STAGES}
    return totals["useful"] / totals["contracted"] if totals["contracted"] else 0.0


def _ratios(a: Answer) -> list[dict[str, Any]]:
    """Every stage over the one before it; then MFU and MBU of the busy time."""
    stages = _stages(a)
    found = [
        {"name": stage, "value": stages[stage], "numerator": f"accelerator-seconds {stage}", "denominator": before}
        | {"means": MEANING[stage]}
        for before, stage in pairwise(STAGES)
    ]
    for point in points(a)[:1]:
        found.append(_face("MFU", point.mfu, "model FLOPs of the tokens served", "peak FLOPs of the busy time"))
        found.append(_face("MBU", point.mbu, "bytes that the steps must move", "peak bytes of the busy time"))
    return found


def _face(name: str, value: float, numerator: str, denominator: str) -> dict[str, Any]:
    means = "of the first tier of the first model, on its first pool"
    return {"name": name, "value": value, "numerator": numerator, "denominator": denominator, "means": means}


def _line(line: Line) -> dict[str, Any]:
    v = line.value
    claim = {"status": v.status, "who": v.who, "source": v.source, "known_since": str(v.known_since)}
    about = {"name": line.name, "words": line.words, "numerator": line.numerator, "denominator": line.denominator}
    return {**about, "value": v.value, **claim, "confidence": v.confidence, "note": v.reason}


def _lever(lever: Lever) -> dict[str, Any]:
    f = lever.factor
    claim = {"status": f.status, "who": f.who, "source": f.source, "basis": f.basis, "note": f.reason}
    about = {k: getattr(lever, k) for k in ("name", "stage", "acts_on", "scope", "words")}
    return {**about, **{end: lever.at(end) for end in ENDS}, **claim, "known_since": str(f.known_since)}


def _ladder(line: Line, known: tuple[Lever, ...]) -> dict[str, Any]:
    start = line.value.value
    return {
        "from": {"line": line.name, "value": start},
        "factor_needed": GOAL / start,
        "steps": {end: [asdict(r) for r in ladder.steps(start, known, end)] for end in ENDS},
        "singles": {end: [asdict(r) for r in ladder.singles(start, known, end)] for end in ENDS},
        "reach_goal": {end: [asdict(r) for r in ladder.smallest_that_reach(start, GOAL, known, end)] for end in ENDS},
        "one_lever_is_enough": any(r.reached >= GOAL for r in ladder.singles(start, known, "high")),
    }


def _lifted(a: Answer, known: tuple[Lever, ...]) -> dict[str, Any]:
    return {end: asdict(ladder.lift(_stages(a), ladder.fleet_levers(known), end)) for end in ENDS}


def _cache_lifetime(a: Answer, known: tuple[Lever, ...]) -> float | None:
    """More tokens from the same busy seconds if uncached prefill halves, at the scenario's own share of prefill."""
    lever = next((x for x in known if x.name == "cache-lifetime"), None)
    if lever is None:
        return None
    return ladder.cache_lifetime_factor(min(prefill_share(a.models, a.tiers), 1.0), lever.at("high"))
