"""The conditional answer in words: if fewer than so many people, then; what moves it, what would break it."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

from ampacity.planner.headcount import people_carried
from ampacity.planner.limits import ModelLoad
from ampacity.planner.plan import Plan
from ampacity.planner.verdict import Spread, Verdict, factor, shortest_window
from ampacity.reporting.words import count, digits, path_in_words, share, tokens
from ampacity.scenario.announced import after, changes
from ampacity.scenario.contract import Contract
from ampacity.scenario.load import load_as_of
from ampacity.scenario.news import News, news
from ampacity.scenario.scenario import Scenario

DISCLAIMER = "A model built on public statements; not a finding, not affiliated, not advice."


def what_changed(s: Scenario, factor: float) -> str:
    """The change in words: "doubling the five-hour limits"."""
    shortest = shortest_window(after(s), str(changes(s)[0].tier))
    if shortest is None or math.isnan(factor):
        return "the new limits"
    if math.isclose(factor, 2.0):
        return f"doubling the {shortest.name} limits"
    return f"changing the {shortest.name} limits x{digits(factor, 2)}"


def first_condition(s: Scenario, load: ModelLoad) -> str:
    """The condition at the stated values of all ranges, before any other world is looked at."""
    carried = people_carried(load)
    limits = what_changed(s, factor(s))
    return f"At the stated values {limits} holds if fewer than {tokens(carried)} developers are active in a week."


def conditions(p: Plan) -> list[str]:
    """The whole conditional answer."""
    v = p.verdict
    assert v is not None
    limits = what_changed(p.scenario, v.factor)
    fewer = f"if fewer than {tokens(v.carried.median)} developers are active in a week ({_ninety(v.carried)})"
    said = [
        f"{limits[0].upper()}{limits[1:]} holds {fewer}.",
        f"With {tokens(v.people.median)} active ({_ninety(v.people)}, assumed) it holds in {share(v.holds_share)} of "
        f"{p.record.worlds} worlds.",
    ]
    if p.movers:
        moved = ", ".join(f"{path_in_words(m.path)} (x{digits(m.factor, 2)})" for m in p.movers[:3])
        said.append(f"What moves it most, upper half of a range over lower: {moved}.")
    said += [_binding(v), *_risks(p, v)]
    if p.scenario.as_of is not None and p.scenario.as_of > v.changed_on:
        said += why_it_differs(p.scenario, v.changed_on)
    return [*said, DISCLAIMER]


def why_it_differs(s: Scenario, day: date) -> list[str]:
    """What became known since a day, in words."""
    found = [n for n in news(load_as_of(s, day), s) if not n.path.startswith(("as_of", "name"))]
    if not found:
        return [f"Nothing in this scenario became known after {day}."]
    parts = [_news(n) for n in sorted(found, key=lambda n: n.known_since or day)[:6]]
    return [f"It differs from what was known on {day}: " + "; ".join(parts) + "."]


def as_data(p: Plan) -> dict[str, Any] | None:
    """The verdict for programs."""
    v = p.verdict
    if v is None:
        return None
    until = [_iso(d) if d and d >= p.scenario.start else None for d in v.holds_until]
    spreads = {k: vars(getattr(v, k)) for k in ("people", "carried", "before", "alone", "without_largest")}
    return {
        "statement": conditions(p)[0],
        "sentences": conditions(p),
        "changed_on": v.changed_on.isoformat(),
        "factor": None if math.isnan(v.factor) else v.factor,
        "with_contracts": list(v.with_contracts),
        "people_active_in_a_week": spreads["people"],
        "people_carried": spreads["carried"],
        "people_carried_before": spreads["before"],
        "people_carried_by_the_new_contracts_alone": spreads["alone"],
        "n_minus_1": {"without": v.supplier, "people_carried": spreads["without_largest"],
                      "holds_share_of_worlds": v.holds_without_largest_share},
        "reclaimed": {"people_carried": vars(v.reclaimed), "holds_share_of_worlds": v.holds_reclaimed_share},
        "people_per_mw": v.people_per_mw,
        "holds_share_of_worlds": v.holds_share,
        "holds_until": dict(zip(("median", "low", "high"), until, strict=True)),
        "growth_per_month": vars(v.growth) if v.growth else None,
        "binds_before": v.binds_before,
        "binds_after": v.binds_after,
        "people_hit_per_week_before": v.hit_before,
        "people_hit_per_week_after": v.hit_after,
        "disclaimer": DISCLAIMER,
    }  # fmt: skip


def _risks(p: Plan, v: Verdict) -> list[str]:
    names = " and ".join(v.with_contracts)
    said = []
    if v.with_contracts and v.alone.median > 0:
        said.append(
            f"{names} alone carries {tokens(v.alone.median)} of them ({_ninety(v.alone)}), all others elsewhere."
        )
        said += [sentence for name in v.with_contracts for sentence in _way_out(p.scenario.contract(name))]
        fewer = f"if fewer than {tokens(v.reclaimed.median)} are active ({_ninety(v.reclaimed)})"
        worlds = share(v.holds_reclaimed_share)
        said.append(f"If {names} is taken back, the new limits hold {fewer}: in {worlds} of worlds.")
    if v.people_per_mw:
        said.append(f"One more megawatt of servers of {names} carries {tokens(v.people_per_mw)} more developers.")
    if v.supplier:
        fewer = f"if fewer than {tokens(v.without_largest.median)} are active ({_ninety(v.without_largest)})"
        worlds = share(v.holds_without_largest_share)
        said.append(f"Without the largest supplier ({v.supplier}) it holds {fewer}: in {worlds} of worlds.")
    if v.growth:
        median, low, high = (_until(d, p.scenario.start) for d in v.holds_until)
        begins = v.holds_until[0] is None or v.holds_until[0] >= p.scenario.start
        when = f"until {median}" if begins else median
        said.append(f"At {share(v.growth.median)} growth a month it holds {when} (90 %: {low}, to {high}).")
    return said


def _way_out(c: Contract) -> list[str]:
    """How the lessor may take it back: with the contract's notice, and for cause."""
    said = []
    for clause in c.termination:
        if clause.party in ("lessor", "either"):
            since = f" given on {clause.earliest} or later" if clause.earliest else ""
            said.append(f"The lessor of {c.name} may end it with {count(clause.notice_days)} days' notice{since}.")
    for claim in c.reclaim:
        notice = f"with {count(claim.notice_days)} days' notice" if claim.notice_days else "without notice"
        claimed = f"The lessor has said that it may take {c.name} back {notice} if {claim.trigger}"
        said.append(f"{claimed}; the terms that are public name no such right.")
    return said


def _binding(v: Verdict) -> str:
    parts = []
    for tier, after_shares in v.binds_after.items():
        window, worlds = max(after_shares.items(), key=lambda item: item[1])
        old, _ = max(v.binds_before.get(tier, {"none": 1.0}).items(), key=lambda item: item[1])
        was = f"; before, the {old} one" if old != window else ""
        name = f"the {window} window" if window != "none" else "no window"
        parts.append(f"for {tier} {name} in {share(worlds)} of worlds{was}")
    return f"What binds now: {', '.join(parts) or 'no window'}."


def _ninety(s: Spread) -> str:
    return f"90 %: {tokens(s.low)} to {tokens(s.high)}"


def _news(n: News) -> str:
    said = f"{n.who}, " if n.who else ""
    when = f" ({said}{n.known_since})" if n.known_since else ""
    if n.now is None:
        return f"{n.path.replace('contracts.', 'contract ').replace('.', ' ')} is new{when}"
    return (
        f"{path_in_words(n.path)} is known otherwise{when}" if n.before else f"{path_in_words(n.path)} is known{when}"
    )


def _until(day: date | None, start: date) -> str:
    if day is None:
        return "beyond a century"
    return day.isoformat() if day >= start else "not even on the first day"


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
