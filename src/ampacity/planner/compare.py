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

from ampacity.base.calendar import HOUR_S, utc_s
from ampacity.base.record import Record
from ampacity.demand.at_limit import Scheme
from ampacity.demand.people import HOURS
from ampacity.planner.answer import answer
from ampacity.planner.interval import Interval, interval
from ampacity.planner.returning import Deferral, deferrals
from ampacity.planner.scheme_figures import (
    CALIBRATED_BY,
    HIT_AT_MOST,
    NEWLY_HIT,
    PREDICTED,
    Figures,
    World,
    asks,
    people_drawn,
    world_of,
)
from ampacity.planner.schemes import Comparison, comparison
from ampacity.policy.rows import compile_limit
from ampacity.scenario import lookup
from ampacity.scenario.worlds import draw, ranges


@dataclass(frozen=True)
class Calibration:
    """worlds, kept: how many were drawn, and in how many fewer than 5 % met the weekly windows of August 2025.
    predicted: what follows in the worlds kept; None where none is, and then every interval is over all worlds."""

    worlds: int
    kept: int
    predicted: Predicted | None


@dataclass(frozen=True)
class Predicted:
    """Shares of people over the worlds kept. hit_2025: who met the weekly windows of August 2025 in a week. newly_hit:
    whom March 2026 hits in a week in which August 2025 does not; newly_hit_in_four: whom it hits in any of four weeks,
    and August 2025 in none. What was told names no time, so both stand."""

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

    figures: by scheme and name, over the worlds that agree with what calibrates, or over all if none does. change: by
    name, B over A in each world (`newly_hit`, `no_longer_hit` are shares of people).
    accelerator: which one `accelerators` counts. drawn: subscribers drawn of each tier. deferrals: at the stated
    values. notes: what does not count here.
    """

    comparison: Comparison
    record: Record
    figures: dict[str, dict[str, Interval]]
    change: dict[str, Interval]
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
    agreeing = [o for o in outcomes if o.hit_2025 < HIT_AT_MOST] if calibrates else []
    told = agreeing or outcomes
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
            s: _intervals(central.schemes[s], [o.schemes[s] for o in told]) for s in dict.fromkeys((first, second))
        },
        change=_intervals(central.change, [o.change for o in told]),
        accelerator=central.accelerator,
        drawn=drawn,
        deferrals=deferrals(both, drawn, found, seed),
        calibration=_calibration(outcomes, agreeing) if calibrates else None,
        notes=_notes(both, found),
    )


def _calibrates(a: str, b: str, on: str | None) -> bool:
    """Whether both schemes are public presets over the announcement's subscribers."""
    return on is None and {a, b} <= set(lookup.preset_names())


def _intervals(central: Figures, told: list[Figures]) -> dict[str, Interval]:
    """Stated value and 90 % interval of every figure; a ratio to nothing leaves its world out."""
    found = {}
    for key, value in central.items():
        numbers = [f[key] for f in told if key in f and math.isfinite(f[key])]
        found[key] = interval(numbers or [value], value)
    return {k: v for k, v in found.items() if math.isfinite(v.value)}


def _calibration(outcomes: list[World], kept: list[World]) -> Calibration:
    def over(figure: Callable[[World], float]) -> Interval:
        return interval([figure(o) for o in kept], figure(outcomes[0]))

    if not kept:
        return Calibration(len(outcomes), 0, None)
    predicted = Predicted(
        hit_2025=over(lambda o: o.hit_2025),
        newly_hit=over(lambda o: o.newly_hit),
        newly_hit_in_four=over(lambda o: o.newly_hit_in_four),
    )
    return Calibration(len(outcomes), len(kept), predicted)


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
    s, start_s = c.scenario, utc_s(c.scenario.start)
    a, b = ([s.limit(n).windows if (n := scheme.limits[t]) else () for t in c.tiers] for scheme in c.schemes[:2])
    if a == b:
        notes.append(
            "both schemes have the same windows, so nothing differs; a scheme is laid over the same subscribers, and "
            "what a scenario's own people could have, `ampacity plan` says"
        )
    names = {limit for scheme in c.schemes[:2] for tier, limit in scheme.limits.items() if limit and tier in c.tiers}
    for name in sorted(names):
        rules = compile_limit(s.limit(name), start_s, start_s + HOURS * HOUR_S, found.get(name))
        notes += [
            f"{name}, {window}: shapes seconds, or counts requests, and is left out"
            for window in Scheme(rules).left_out
        ]
        for w in s.limit(name).windows:
            if w.models != "all" and not any(asks(f, 1, 0) for f in w.models):
                notes.append(
                    f"{name}, {w.name}: counts {', '.join(w.models)}; who asks for it is not assumed, so nobody does"
                )
    if found:
        notes.append(
            "windows that state no tokens hold the largest that the compute carries for the subscribers here, at the "
            "stated values"
        )
    return tuple(notes)
