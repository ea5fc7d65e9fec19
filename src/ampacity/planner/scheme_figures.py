"""What two schemes do in one world: the same people with the same wishes under each, counted for all of a scenario."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import hours_of_week, utc_s
from ampacity.base.streams import uniform
from ampacity.demand.at_limit import Met, Scheme, active_at_once, kinds_of, under_each, working_day
from ampacity.demand.hourly import clock_of
from ampacity.demand.people import HOURS, habits_of, people_seed, zone_of
from ampacity.demand.population import stated as stated_of_people
from ampacity.demand.reactions import Reactions, stated
from ampacity.demand.stretches import Habits
from ampacity.planner.needed import needed
from ampacity.planner.schemes import Comparison
from ampacity.policy.rows import compile_limit
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.scenario.value import Value
from ampacity.scenario.worlds import at, draw

HOUR_MS = 3_600_000.0
KINDS = ("uncached_input", "cached_input", "output")

CALIBRATED_BY, HIT_AT_MOST = "2025-08", 0.05
PREDICTED, NEWLY_HIT = "2026-03-26", 0.07
Figures = dict[str, float]
"""Figures of one scheme in one world by name; `figure/part` where a figure has parts."""


RATIOS = (
    "share_hit_per_week",
    "hours_lost_per_week",
    "weekly_tokens/all",
    "peak_hour_tokens/all",
    "accelerators",
)


TokensFound = Mapping[str, dict[str, float]]
"""Tokens of windows that state none, by limit and window."""


@dataclass(frozen=True)
class World:
    """What one world says: figures by scheme, the change from the first to the second, and what calibration asks."""

    schemes: dict[str, Figures]
    change: Figures
    accelerator: str | None
    hit_2025: float
    newly_hit: float
    newly_hit_in_four: float


def world_of(c: Comparison, drawn: dict[str, int], found: TokensFound, seed: int, world: int) -> World:
    """One world of a comparison: the same people under every scheme."""
    s = draw(c.scenario, seed, world)
    reactions = stated(seed, world)
    results: dict[str, dict[str, Met]] = {scheme.label: {} for scheme in c.schemes}
    for name in c.tiers:
        (by_label,) = tier_under(s, c, name, drawn[name], (reactions,), found, seed, world)
        for label, m in by_label.items():
            results[label][name] = m
    machines = needed(s, c.tiers)
    figures = {
        label: _figures(s, by_tier, machines.per_session if machines else None) for label, by_tier in results.items()
    }
    first, second = (results[s.label] for s in c.schemes[:2])
    change = {
        key: ratio(figures[c.schemes[1].label][key], v)
        for key, v in figures[c.schemes[0].label].items()
        if key in RATIOS
    }
    change["newly_hit"], change["no_longer_hit"] = _newly(s, first, second), _newly(s, second, first)
    known = CALIBRATED_BY in results and PREDICTED in results
    return World(
        schemes=figures,
        change=change,
        accelerator=machines.accelerator if machines else None,
        hit_2025=_hit(s, results[CALIBRATED_BY], "weekly") if known else 0.0,
        newly_hit=_newly(s, results[CALIBRATED_BY], results[PREDICTED]) if known else 0.0,
        newly_hit_in_four=_newly_ever(s, results[CALIBRATED_BY], results[PREDICTED]) if known else 0.0,
    )


def people_drawn(c: Comparison, people: int) -> dict[str, int]:
    """Drawn subscribers of each tier, as the root of their number: small tiers are the ones that limits hit."""
    roots = {name: math.sqrt(max(c.scenario.tier(name).people.value, 1.0)) for name in c.tiers}
    return {name: max(round(people * r / sum(roots.values())), 50) for name, r in roots.items()}


def tier_under(
    s: Scenario,
    c: Comparison,
    name: str,
    people: int,
    reactions: Sequence[Reactions],
    found: TokensFound,
    seed: int,
    world: int,
) -> list[dict[str, Met]]:
    """One tier's people, their wishes drawn once, under every scheme by label; one entry for each of `reactions`."""
    tier, own = s.tier(name), people_seed(seed, world)
    h = habits_of(s, tier, people, own)
    limits = tuple(dict.fromkeys(scheme.limits[name] for scheme in c.schemes))
    schemes = [_scheme(s, limit, h, found, seed, world) for limit in limits]
    cases = [(scheme, r) for r in reactions for scheme in schemes]
    results = iter(
        under_each(h, kinds_of(tier.behaviour), cases, own, name, parallel=round(tier.behaviour.parallel.value))
    )
    by_limit = [{limit: next(results) for limit in limits} for _ in reactions]
    return [{scheme.label: known[scheme.limits[name]] for scheme in c.schemes} for known in by_limit]


def _scheme(s: Scenario, limit: str | None, h: Habits, found: TokensFound, seed: int, world: int) -> Scheme:
    """A limit of the scenario in whole numbers, with the share of stretches that ask each family it names."""
    if limit is None:
        return Scheme(())
    rules = compile_limit(s.limit(limit), h.start_ms // 1000, h.end_ms // 1000, found.get(limit))
    named = dict.fromkeys(family for rule in rules for family in rule.families or ())
    return Scheme(rules, tuple((family, asks(family, seed, world)) for family in named))


def asks(family: str, seed: int, world: int) -> float:
    """Share of stretches that ask a model family by name; families of which nothing is assumed are never asked."""
    try:
        low, value, high = stated_of_people(f"asks_{family}")
    except KeyError:
        return 0.0
    return value if world == 0 else at(Value(value=value, low=low, high=high), uniform(seed, "asks", family, world))


def _figures(s: Scenario, by_tier: dict[str, Met], per_session: Mapping[str, float] | None) -> Figures:
    """What a scheme does in one world, all tiers together and by tier, for all of the scenario's people."""
    people = {name: s.tier(name).people.value for name in by_tier}
    everyone = sum(people.values())
    f: Figures = {}
    day, machines, weekly = np.zeros((24, 3)), np.zeros(24), np.zeros(3)
    lost_h, delayed_h, stops, bound = 0.0, 0.0, 0.0, dict[str, float]()
    for name, m in by_tier.items():
        tier, scale = s.tier(name), people[name] / m.people
        b = tier.behaviour
        kinds = np.array([b.uncached_per_s.value, b.cached_per_s.value, b.output_per_s.value]) * scale / 1000.0
        own_day = own_working_day(s, tier, m)
        day += own_day[:, None] * kinds
        weekly += m.served / m.weeks * kinds
        if per_session is not None:
            machines += active_at_once(own_day) * scale * per_session[name]
        lost_h += m.lost_ms / m.weeks / HOUR_MS * scale
        delayed_h += m.delayed_ms / m.weeks / HOUR_MS * scale
        stops += float(m.refused.sum()) * scale
        f[f"share_hit_per_week/{name}"] = m.hit_share
        for window, n in zip(m.windows, m.refused, strict=True):
            bound[window] = bound.get(window, 0.0) + float(n) * scale
            f[f"hit_by/{name}/{window}"] = m.hit_by(window)
        for window, part in m.binding.items():
            f[f"binding_window_share/{name}/{window}"] = part
    f["share_hit_per_week"] = sum(f[f"share_hit_per_week/{name}"] * people[name] for name in by_tier) / everyone
    for window, n in bound.items():
        f[f"binding_window_share/{window}"] = n / stops if stops else 0.0
    for what, of in (("peak_hour_tokens", day[day.sum(axis=1).argmax()]), ("weekly_tokens", weekly)):
        f |= {f"{what}/{kind}": float(v) for kind, v in zip(KINDS, of, strict=True)}
        f[f"{what}/all"] = float(of.sum())
    if per_session is not None:
        f["accelerators"] = float(machines.max())
    f["hours_lost_per_week"] = lost_h
    f["hours_delayed_per_week"] = delayed_h
    f["hours_lost_per_person_hit"] = lost_h / (everyone * f["share_hit_per_week"]) if f["share_hit_per_week"] else 0.0
    return f


def own_working_day(s: Scenario, tier: Tier, m: Met) -> NDArray[np.float64]:
    """Work of a tier's drawn people in each UTC hour of a mean day on which they work. [ms at the mean pace]"""
    zone = zone_of(s, tier)
    start_s = utc_s(s.start, zone)
    return working_day(m, hours_of_week(start_s, HOURS, clock_of(tier.behaviour.shape, zone)), start_s)


def _hit(s: Scenario, by_tier: dict[str, Met], word: str) -> float:
    """Share of all people whom some window with this word in its name stops in a week."""
    total = 0.0
    for name, m in by_tier.items():
        mask = sum(1 << i for i, window in enumerate(m.windows) if word in window)
        total += float(((m.stopped & mask) > 0).mean()) * s.tier(name).people.value
    return total / sum(s.tier(name).people.value for name in by_tier)


def _newly(s: Scenario, before: dict[str, Met], after: dict[str, Met]) -> float:
    """Share of people whom the later scheme stops in a week in which the earlier one does not."""
    total = sum(
        float(((after[n].stopped > 0) & (before[n].stopped == 0)).mean()) * s.tier(n).people.value for n in before
    )
    return total / sum(s.tier(n).people.value for n in before)


def _newly_ever(s: Scenario, before: dict[str, Met], after: dict[str, Met]) -> float:
    """Share of people whom the later scheme stops in some week, and the earlier one in none."""
    total = 0.0
    for name, m in after.items():
        newly = (m.stopped > 0).any(axis=1) & ~(before[name].stopped > 0).any(axis=1)
        total += float(newly.mean()) * s.tier(name).people.value
    return total / sum(s.tier(name).people.value for name in after)


def ratio(b: float, a: float) -> float:
    return float(b / a) if a else (1.0 if b == a else math.inf)
