"""Two schemes of limits on the same subscribers, over worlds: who is hit, which window binds, what it takes to serve.

A world draws one number from every range and every reaction. The same people with the same wishes then meet each
scheme. Where the schemes are those of the public presets, worlds in which 5 % of the people or more would have met the
weekly windows of August 2025 are dropped ("less than 5 % of users affected"): that is the whole calibration. What
March 2026 is said to have done ("about 7 % newly hit") is not used, but predicted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import hours_of_week, utc_s
from ampacity.base.record import Record
from ampacity.demand.at_limit import Met, Scheme, active_at_once, busiest_hour, kinds_of, met
from ampacity.demand.population import stated as stated_of_people
from ampacity.demand.reactions import Reactions, deferring, stated
from ampacity.demand.stretches import Habits, Stretches, habits, stretches, swings_of
from ampacity.planner.answer import answer
from ampacity.planner.needed import needed
from ampacity.planner.plan import Interval
from ampacity.planner.schemes import Comparison, LaidOver, comparison
from ampacity.policy.rows import compile_limit
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.scenario.value import Value
from ampacity.scenario.worlds import at, draw, ranges

Floats = NDArray[np.float64]

HOURS = 4 * 168
HOUR_MS = 3_600_000.0
KINDS = ("uncached_input", "cached_input", "output")

CALIBRATED_BY, HIT_AT_MOST = "2025-08", 0.05
PREDICTED, NEWLY_HIT = "2026-03-26", 0.07
DEFERRED = (0.0, 0.25, 0.5, 0.75, 1.0)

Figures = dict[str, float]
"""Figures of one scheme in one world by name; `figure/part` where a figure has parts."""


@dataclass(frozen=True)
class Deferral:
    """What B does against A if `share` of the stopped work returns and the rest is lost: ratios of B over A."""

    share: float
    weekly_tokens: float
    peak_hour_tokens: float


@dataclass(frozen=True)
class Calibration:
    """worlds, kept: how many were drawn, and in how many fewer than 5 % met the weekly windows of August 2025.
    hit_2025: share who met those in a week, over kept worlds. newly_hit: share whom March 2026 hits in a week in which
    August 2025 does not; newly_hit_in_four: whom it hits in any of four weeks, and August 2025 in none. What was told
    names no time, so both stand."""

    worlds: int
    kept: int
    hit_2025: Interval
    newly_hit: Interval
    newly_hit_in_four: Interval

    @property
    def holds(self) -> bool:
        """Whether the 7 % that were told lie in the interval of a week."""
        return self.newly_hit.low <= NEWLY_HIT <= self.newly_hit.high

    @property
    def holds_in_four(self) -> bool:
        """Whether they lie in the interval of four weeks."""
        return self.newly_hit_in_four.low <= NEWLY_HIT <= self.newly_hit_in_four.high


@dataclass(frozen=True)
class Compared:
    """A comparison's answer.

    figures: by scheme and name, over worlds. change: by name, B over A in each world (`newly_hit`, `no_longer_hit` are
    shares of people). windows: names by scheme. accelerator: which one `accelerators` counts. drawn: subscribers drawn
    of each tier. deferrals: at the stated values. notes: what does not count here.
    """

    comparison: Comparison
    record: Record
    figures: dict[str, dict[str, Interval]]
    change: dict[str, Interval]
    windows: dict[str, tuple[str, ...]]
    accelerator: str | None
    drawn: dict[str, int]
    deferrals: tuple[Deferral, ...]
    calibration: Calibration | None
    notes: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, str]:
        """Names of the two schemes."""
        return self.comparison.schemes[0].label, self.comparison.schemes[1].label


def compare(
    a: str,
    b: str,
    *,
    on: str | None = None,
    seed: int = 1,
    worlds: int = 100,
    people: int = 4000,
    progress: Callable[[int, int], None] | None = None,
) -> Compared:
    """Compare two schemes. people: drawn subscribers, all tiers together. worlds: draws from the ranges, at least 1.

    Raises Mistakes for schemes that are none, or that share no tier.
    """
    began = time.process_time()
    calibrates = _calibrates(a, b, on)
    both = comparison(a, b, on, (CALIBRATED_BY, PREDICTED) if calibrates else ())
    drawn = people_drawn(both, people)
    found = tokens_found(both)
    count = worlds if any(True for _ in ranges(both.scenario)) else 1
    outcomes = []
    for world in range(count):
        outcomes.append(world_of(both, drawn, found, seed, world))
        if progress is not None:
            progress(world + 1, count)
    kept = [o for o in outcomes if not calibrates or o.hit_2025 < HIT_AT_MOST] or outcomes
    central = outcomes[0]
    first, second = (s.label for s in both.schemes[:2])
    return Compared(
        comparison=both,
        record=Record(
            scenario=both.scenario.name,
            scenario_hash=both.scenario.digest(),
            seed=seed,
            worlds=count,
            version=version("ampacity"),
            as_of=both.scenario.as_of,
            cpu_s=time.process_time() - began,
        ),
        figures={
            s: _intervals(central.schemes[s], [o.schemes[s] for o in kept]) for s in dict.fromkeys((first, second))
        },
        change=_intervals(central.change, [o.change for o in kept]),
        windows=central.windows,
        accelerator=central.accelerator,
        drawn=drawn,
        deferrals=deferrals(both, drawn, found, seed),
        calibration=_calibration(outcomes, kept) if calibrates else None,
        notes=_notes(both, found),
    )


@dataclass(frozen=True)
class World:
    """What one world says: figures by scheme, the change from the first to the second, and what calibration asks."""

    schemes: dict[str, Figures]
    change: Figures
    windows: dict[str, tuple[str, ...]]
    accelerator: str | None
    hit_2025: float
    newly_hit: float
    newly_hit_in_four: float


def world_of(c: Comparison, drawn: dict[str, int], found: dict[str, dict[str, float]], seed: int, world: int) -> World:
    """One world of a comparison: the same people under every scheme."""
    s = draw(c.scenario, seed, world)
    reactions = stated(seed, world)
    results: dict[str, dict[str, Met]] = {scheme.label: {} for scheme in c.schemes}
    for name in c.tiers:
        for scheme, m in _tier_under(s, c, name, drawn[name], reactions, found, seed, world):
            results[scheme.label][name] = m
    machines = needed(s, c.tiers)
    figures = {
        label: _figures(s, by_tier, machines.per_session if machines else None) for label, by_tier in results.items()
    }
    first, second = (results[s.label] for s in c.schemes[:2])
    change = {
        key: _ratio(figures[c.schemes[1].label][key], v)
        for key, v in figures[c.schemes[0].label].items()
        if key in RATIOS
    }
    change["newly_hit"], change["no_longer_hit"] = _newly(s, first, second), _newly(s, second, first)
    known = CALIBRATED_BY in results and PREDICTED in results
    return World(
        schemes=figures,
        change=change,
        windows={
            label: tuple(dict.fromkeys(w for m in by.values() for w in m.windows)) for label, by in results.items()
        },
        accelerator=machines.accelerator if machines else None,
        hit_2025=_hit(s, results[CALIBRATED_BY], "weekly") if known else 0.0,
        newly_hit=_newly(s, results[CALIBRATED_BY], results[PREDICTED]) if known else 0.0,
        newly_hit_in_four=_newly_ever(s, results[CALIBRATED_BY], results[PREDICTED]) if known else 0.0,
    )


RATIOS = (
    "share_hit_per_week",
    "hours_lost_per_week",
    "weekly_tokens/all",
    "peak_hour_tokens/all",
    "accelerators",
)


def _calibrates(a: str, b: str, on: str | None) -> bool:
    """Whether both schemes are public presets over the announcement's subscribers."""
    from ampacity.scenario import lookup

    return on is None and {a, b} <= set(lookup.preset_names())


def people_drawn(c: Comparison, people: int) -> dict[str, int]:
    """Drawn subscribers of each tier, as the root of their number: small tiers are the ones that limits hit."""
    roots = {name: math.sqrt(max(c.scenario.tier(name).people.value, 1.0)) for name in c.tiers}
    return {name: max(round(people * r / sum(roots.values())), 50) for name, r in roots.items()}


def _zone(s: Scenario, tier: Tier) -> str:
    return tier.time_zone or s.sites[0].time_zone


def _tier_under(
    s: Scenario,
    c: Comparison,
    name: str,
    people: int,
    reactions: Reactions,
    found: dict[str, dict[str, float]],
    seed: int,
    world: int,
) -> list[tuple[LaidOver, Met]]:
    """One tier's people under every scheme, each scheme once."""
    h, wanted = _wanted(s, s.tier(name), people, seed)
    parallel = round(s.tier(name).behaviour.parallel.value)
    known: dict[str | None, Met] = {}
    for scheme in c.schemes:
        limit = scheme.limits[name]
        if limit not in known:
            known[limit] = met(
                h,
                wanted,
                kinds_of(s.tier(name).behaviour),
                _scheme(s, limit, h, found, seed, world),
                reactions,
                parallel,
            )
    return [(scheme, known[scheme.limits[name]]) for scheme in c.schemes]


def _wanted(s: Scenario, tier: Tier, people: int, seed: int) -> tuple[Habits, Stretches]:
    zone = _zone(s, tier)
    start = utc_s(s.start, zone)
    h = habits(tier, people, start, HOURS, zone, swings_of(seed, tier.behaviour.common_swing.value, HOURS))
    return h, stretches(h, seed, tier.name)


def _scheme(
    s: Scenario, limit: str | None, h: Habits, found: dict[str, dict[str, float]], seed: int, world: int
) -> Scheme:
    """A limit of the scenario in whole numbers, with the share of stretches that ask each family it names."""
    if limit is None:
        return Scheme(())
    rules = compile_limit(s.limit(limit), h.start_ms // 1000, h.end_ms // 1000, found.get(limit))
    named = dict.fromkeys(family for rule in rules for family in rule.families or ())
    return Scheme(rules, tuple((family, _asks(family, seed, world)) for family in named))


def _asks(family: str, seed: int, world: int) -> float:
    """Share of stretches that ask a model family by name; families of which nothing is assumed are never asked."""
    from ampacity.base.streams import uniform

    try:
        low, value, high = stated_of_people(f"asks_{family}")
    except KeyError:
        return 0.0
    return value if world == 0 else at(Value(value=value, low=low, high=high), uniform(seed, "asks", family, world))


def _figures(s: Scenario, by_tier: dict[str, Met], per_session: object) -> Figures:
    """What a scheme does in one world, all tiers together and by tier, for all of the scenario's people."""
    people = {name: s.tier(name).people.value for name in by_tier}
    everyone = sum(people.values())
    f: Figures = {}
    peak, weekly = np.zeros(3), np.zeros(3)
    machines, lost_h, delayed_h, stops, bound = 0.0, 0.0, 0.0, 0.0, dict[str, float]()
    for name, m in by_tier.items():
        tier, scale = s.tier(name), people[name] / m.people
        zone = "UTC" if tier.behaviour.shape == "global" else _zone(s, tier)
        clock = hours_of_week(utc_s(s.start, _zone(s, tier)), HOURS, zone)
        b = tier.behaviour
        kinds = np.array([b.uncached_per_s.value, b.cached_per_s.value, b.output_per_s.value]) * scale / 1000.0
        busiest = busiest_hour(m, clock)
        peak += busiest * kinds
        weekly += m.served / m.weeks * kinds
        if isinstance(per_session, dict):
            machines += active_at_once(busiest) * scale * per_session[name]
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
    for what, of in (("peak_hour_tokens", peak), ("weekly_tokens", weekly)):
        f |= {f"{what}/{kind}": float(v) for kind, v in zip(KINDS, of, strict=True)}
        f[f"{what}/all"] = float(of.sum())
    if isinstance(per_session, dict):
        f["accelerators"] = machines
    f["hours_lost_per_week"] = lost_h
    f["hours_delayed_per_week"] = delayed_h
    f["hours_lost_per_person_hit"] = lost_h / (everyone * f["share_hit_per_week"]) if f["share_hit_per_week"] else 0.0
    return f


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


def _ratio(b: float, a: float) -> float:
    return float(b / a) if a else (1.0 if b == a else math.inf)


def _intervals(central: Figures, kept: list[Figures]) -> dict[str, Interval]:
    """Stated value and 90 % interval of every figure; a ratio to nothing leaves its world out."""
    found = {}
    for key, value in central.items():
        numbers = [f[key] for f in kept if key in f and math.isfinite(f[key])]
        low, high = np.quantile(numbers, (0.05, 0.95)) if numbers else (value, value)
        found[key] = Interval(value, float(low), float(high))
    return {k: v for k, v in found.items() if math.isfinite(v.value)}


def _calibration(outcomes: list[World], kept: list[World]) -> Calibration:
    def over(figure: Callable[[World], float]) -> Interval:
        low, high = np.quantile([figure(o) for o in kept], (0.05, 0.95))
        return Interval(figure(outcomes[0]), float(low), float(high))

    figures: tuple[Callable[[World], float], ...] = (
        lambda o: o.hit_2025,
        lambda o: o.newly_hit,
        lambda o: o.newly_hit_in_four,
    )
    within = sum(o.hit_2025 < HIT_AT_MOST for o in outcomes)
    return Calibration(len(outcomes), within, *(over(f) for f in figures))


def deferrals(
    c: Comparison, drawn: dict[str, int], found: dict[str, dict[str, float]], seed: int
) -> tuple[Deferral, ...]:
    """B over A at the stated values, by the share of stopped work that returns."""
    s = draw(c.scenario, seed, 0)
    rows = []
    for share in DEFERRED:
        volume = {scheme.label: np.zeros(2) for scheme in c.schemes[:2]}
        for name in c.tiers:
            tier = s.tier(name)
            zone = "UTC" if tier.behaviour.shape == "global" else _zone(s, tier)
            clock = hours_of_week(utc_s(s.start, _zone(s, tier)), HOURS, zone)
            b = tier.behaviour
            each = b.uncached_per_s.value + b.cached_per_s.value + b.output_per_s.value
            for scheme, m in _tier_under(s, _two(c), name, drawn[name], deferring(share), found, seed, 0):
                scale = tier.people.value / m.people * each
                volume[scheme.label] += np.array([m.served, busiest_hour(m, clock)]) * scale
        a, b_ = (volume[scheme.label] for scheme in _two(c).schemes)
        rows.append(Deferral(share, _ratio(b_[0], a[0]), _ratio(b_[1], a[1])))
    return tuple(rows)


def _two(c: Comparison) -> Comparison:
    return Comparison(c.scenario, c.schemes[:2], c.tiers, c.public)


def tokens_found(c: Comparison) -> dict[str, dict[str, float]]:
    """Tokens of windows that state none: the largest that the scenario's compute carries, at the stated values."""
    names = {limit for scheme in c.schemes for tier, limit in scheme.limits.items() if limit and tier in c.tiers}
    if all(w.tokens is not None for name in names for w in c.scenario.limit(name).windows):
        return {}
    found: dict[str, dict[str, float]] = {}
    for scheme in c.schemes:
        tiers = tuple(
            t.model_copy(update={"limit": scheme.limits[t.name]}) if t.name in c.tiers else t for t in c.scenario.tiers
        )
        s = draw(c.scenario.model_copy(update={"tiers": tiers}), 1, 0)
        for load in answer(s, guarantee=False).models:
            for w in load.limits:
                if (limit := scheme.limits.get(w.tier)) is not None:
                    found.setdefault(limit, {})[w.window] = w.tokens
    return found


def _notes(c: Comparison, found: dict[str, dict[str, float]]) -> tuple[str, ...]:
    notes = []
    s = c.scenario
    names = {limit for scheme in c.schemes[:2] for tier, limit in scheme.limits.items() if limit and tier in c.tiers}
    for name in sorted(names):
        for w in s.limit(name).windows:
            if w.refill == "evenly":
                notes.append(f"{name}, {w.name}: refills evenly, shapes seconds and not weeks, and is left out")
            if w.models != "all" and not any(_asks(f, 1, 0) for f in w.models):
                notes.append(
                    f"{name}, {w.name}: counts {', '.join(w.models)}; who asks for it is not assumed, so nobody does"
                )
    if found:
        notes.append("windows that state no tokens hold the largest that the compute carries, at the stated values")
    return tuple(notes)
