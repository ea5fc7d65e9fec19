"""`plan`: a scenario to limits, capacity curves, cost and energy, over all worlds that its ranges allow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from ampacity.base.record import Record
from ampacity.planner.answer import Answer, answer
from ampacity.planner.curves import curves
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.scenario.pool import counted
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.worlds import draw, ranges

if TYPE_CHECKING:
    import polars as pl

INTERVAL = (0.05, 0.95)


@dataclass(frozen=True)
class Interval:
    """A number at the stated values of all ranges, and the ends of its 90 % interval over all worlds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PlannedWindow:
    """One window of one tier, over all worlds.

    tokens: weighted tokens it can hold. guaranteed: the same if every active person used it up, at the stated values.
    binding: in most worlds; binding_share: in which share of them. stated: whether the scenario gave the tokens.
    refused_share, people_hit_share: medians over worlds, for use as it is today [0 to 1].
    """

    tier: str
    model: str
    window: str
    length_s: float
    tokens: Interval
    guaranteed: float
    stated: bool
    binding: bool
    binding_share: float
    refused_share: float
    people_hit_share: float


@dataclass(frozen=True)
class Mover:
    """A range that moves the answer: its path, and the answer in its upper half of worlds over that in the lower."""

    path: str
    factor: float


@dataclass(frozen=True)
class Plan:
    """The result of planning.

    windows: every window of every tier. curves: hourly caps. central: the answer at the stated values of all ranges.
    carried_share: hours that carry the limits, by model. unlimited_share: hours that would carry today's use with no
    limit at all. cost_usd_per_mtok: by kind. movers: ranges, the most moving first. notes: what has no effect here.
    """

    scenario: Scenario
    record: Record
    central: Answer
    windows: tuple[PlannedWindow, ...]
    curves: tuple[CapacityCurve, ...]
    carried_share: dict[str, float]
    unlimited_share: dict[str, Interval]
    cost_usd_per_mtok: dict[str, Interval | None]
    movers: tuple[Mover, ...]
    notes: tuple[str, ...]
    tokens_by_world: tuple[float, ...] = ()

    @property
    def limits(self) -> pl.DataFrame:
        """One row a tier and window; units in the column names."""
        from ampacity.planner.frames import limits_frame

        return limits_frame(self)

    @property
    def waterfall(self) -> pl.DataFrame:
        """Accelerator-milliseconds by pool, hour and stage, whole numbers."""
        from ampacity.planner.frames import waterfall_frame

        return waterfall_frame(self)

    @property
    def hours(self) -> pl.DataFrame:
        """Supply against demand by hour and model, in accelerators; tokens served by kind."""
        from ampacity.planner.frames import hours_frame

        return hours_frame(self)


def plan(s: Scenario, *, seed: int = 1, progress: Callable[[int, int], None] | None = None) -> Plan:
    """Find the largest limits of a scenario, with an interval over its worlds.

    seed: of the draws from ranges. progress: called with (worlds done, worlds in all).
    """
    began = time.process_time()
    central = answer(draw(s, seed, 0))
    paths = [path for path, _ in ranges(s)]
    count = s.worlds if paths else 1
    worlds, answers = [draw(s, seed, 0)], [central]
    for world in range(1, count):
        worlds.append(draw(s, seed, world))
        answers.append(answer(worlds[-1], guarantee=False))
        if progress is not None:
            progress(world + 1, count)
    record = Record(
        scenario=s.name,
        scenario_hash=s.digest(),
        seed=seed,
        worlds=count,
        version=version("ampacity"),
        as_of=s.as_of,
        cpu_s=time.process_time() - began,
    )
    costs = [a.cost_usd_per_mtok() for a in answers]
    return Plan(
        scenario=s,
        record=record,
        central=central,
        windows=_windows(s, answers),
        curves=curves(central),
        carried_share={m.model: m.carried_share for m in central.models},
        unlimited_share={
            m.model: _interval([a.models[i].unlimited_share for a in answers]) for i, m in enumerate(central.models)
        },
        cost_usd_per_mtok={kind: _interval_or_none([c[kind] for c in costs]) for kind in costs[0]},
        movers=_movers(paths, worlds, answers),
        notes=_notes(s),
        tokens_by_world=tuple(a.tokens()["all"] for a in answers),
    )


def _windows(s: Scenario, answers: list[Answer]) -> tuple[PlannedWindow, ...]:
    found = []
    for i, load in enumerate(answers[0].models):
        for j, central in enumerate(load.limits):
            rows = [a.models[i].limits[j] for a in answers]
            tier = s.tier(central.tier)
            window = next(w for w in s.limit(str(tier.limit)).windows if w.name == central.window)
            share = float(np.mean([r.binding for r in rows]))
            found.append(
                PlannedWindow(
                    tier=tier.name,
                    model=load.model,
                    window=window.name,
                    length_s=window.length_s,
                    tokens=_interval([r.tokens for r in rows]),
                    guaranteed=central.guaranteed,
                    stated=central.stated,
                    binding=share > 0.5,
                    binding_share=share,
                    refused_share=float(np.median([r.refused_share for r in rows])),
                    people_hit_share=float(np.median([r.people_hit_share for r in rows])),
                )
            )
    return tuple(found)


def _interval(numbers: list[float]) -> Interval:
    """The first world is the one at the stated values."""
    low, high = np.quantile(np.array(numbers), INTERVAL)
    return Interval(numbers[0], float(low), float(high))


def _interval_or_none(numbers: list[float | None]) -> Interval | None:
    known = [n for n in numbers if n is not None]
    return _interval(known) if len(known) == len(numbers) else None


def _movers(paths: list[str], worlds: list[Scenario], answers: list[Answer]) -> tuple[Mover, ...]:
    """How much each range moves the scale of the limits: geometric mean in its upper half over that in its lower.

    Ranges whose effect is within the noise of so few worlds are left out.
    """
    scales = np.array([np.mean([m.scale for m in a.models]) for a in answers])
    if len(answers) < 20 or np.any(scales <= 0):
        return ()
    log_scale = np.log(scales)
    noise = 3.0 * float(log_scale.std()) * 2.0 / math.sqrt(len(answers))
    found = []
    for path in paths:
        drawn = np.array([value_at(w, path) for w in worlds])
        upper = drawn > np.median(drawn)
        if not upper.any():  # more than half of the draws are the upper end itself
            continue
        effect = float(log_scale[upper].mean() - log_scale[~upper].mean())
        if abs(effect) > noise:
            found.append(Mover(path, math.exp(effect)))
    return tuple(sorted(found, key=lambda m: -abs(math.log(m.factor))))


def value_at(s: Scenario, path: str) -> float:
    """The number at a path such as `ranges` gives."""
    noun: Any = s
    for part in path.split("."):
        if isinstance(noun, tuple):
            noun = next((n for i, n in enumerate(noun) if part in (getattr(n, "name", ""), str(i))))
        else:
            noun = getattr(noun, part)
    return float(noun.value)


def _notes(s: Scenario) -> tuple[str, ...]:
    """What the scenario says that this plan does not use, so that nobody takes silence for effect."""
    notes = [
        f'event "{e.name}": a change of limits is not planned; the tier keeps its limit' for e in s.events if e.limit
    ]
    for c in s.contracts:
        if not c.firm:
            alone = "nothing here is, so this plan is a what-if" if c in counted(s) else "its capacity counts nothing"
            notes.append(f'contract "{c.name}" is not firm: {alone}')
        unused = [
            key
            for key in (
                "take_or_pay",
                "commitment",
                "prepayment",
                "delivery",
                "service_credits",
                "termination",
                "options",
            )
            if getattr(c, key)
        ]
        if c.reclaim and not any(e.kind == "reclaim" and e.contract == c.name for e in s.events):
            unused.append("reclaim (no event exercises it)")
        if c.earmark:
            unused.append("earmark")
        if unused:
            notes.append(
                f'contract "{c.name}": {", ".join(unused)} kept with the scenario, without effect on this plan'
            )
    return tuple(notes)
