"""What people take of windows of given sizes, told by weeks of sessions under all windows at once.

Among those active some are *takers*: they draw at the pace that uses a window up in the time in which people are
usually active in it, at most as many sessions at once as they can steer. The others use what they use today. Both meet
the same windows and react to them (`demand/at_limit.py`): who is active more than others, or longer at a stretch, is
stopped, and comes back later. How fast a person draws, on average and squared, is what planning needs of them, for
every kind of hour.

A scenario's open windows grow together by one factor. What is drawn changes smoothly with it, so it is simulated at
steps of the factor and interpolated between them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ampacity.demand.at_limit import Met, Scheme, met
from ampacity.demand.crowd import Crowd, crowd
from ampacity.demand.hourly import HOUR_KINDS
from ampacity.demand.window_use import window_use
from ampacity.policy.rows import LimitError, compile_limit
from ampacity.scenario.limit import Limit, Window
from ampacity.scenario.mistakes import Mistake, Mistakes
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier

Array = NDArray[np.float64]

PEOPLE, PEOPLE_OF_A_WORLD = 4000, 400
"""People drawn of a tier at the stated values, and in each other world. Where one in twenty is hit, the share at the
stated values is known to a quarter of a percentage point (one standard error), and that of a world to 0.8 points, by
which its interval is wider."""
STEPS, STEPS_OF_A_WORLD = 8, 2
"""Simulated factors for every doubling, at the stated values and in each other world."""
LEAST = 2.0**-60
"""A factor at which no window holds a token."""
HOUR_MS = 3_600_000.0


@dataclass(frozen=True)
class Pace:
    """Sessions that an active person draws at once: mean, and mean square, in each of `hourly.hour_kinds`."""

    mean: Array
    square: Array


FOUND: dict[Hashable, tuple[Pace, Met | None]] = {}
KEPT = 5000
"""What was found of drawn people under some windows, at most so many, a few kilobytes each: a scenario that is planned
again with other numbers asks most of it again."""


@dataclass(frozen=True)
class Use:
    """How the people of a model's tiers draw, one world of a scenario.

    s: whose limits count. tiers: in order. known: what has been simulated; met: on today's use of stated windows.
    """

    s: Scenario
    tiers: tuple[Tier, ...]
    seed: int
    world: int
    known: dict[tuple[int, float, bool, bool], Pace] = field(default_factory=dict, repr=False)
    met: dict[int, Met] = field(default_factory=dict, repr=False)

    def pace(self, tier: int, factor: float, taking: bool, *, giving_way: bool = False) -> Pace:
        """How takers, or the others, of a tier draw if open windows hold `factor` of today's mean use.

        factor: at an infinite one only stated windows are there; at 0 open ones hold next to nothing. giving_way:
        whether stated windows hold no more than that either.
        """
        limit = limit_of(self.s, self.tiers[tier])
        if limit is None or not (giving_way or _is_open(limit)) or math.isinf(factor):
            return self._at(tier, math.inf, taking, giving_way=False)
        steps = STEPS_OF_A_WORLD if self.world else STEPS
        at = math.log2(max(factor, LEAST)) * steps
        part = at - math.floor(at)
        low = self._at(tier, 2.0 ** (math.floor(at) / steps), taking, giving_way)
        if part == 0.0:
            return low
        high = self._at(tier, 2.0 ** ((math.floor(at) + 1) / steps), taking, giving_way)
        return Pace(low.mean + part * (high.mean - low.mean), low.square + part * (high.square - low.square))

    def today(self, tier: Tier, tokens: Mapping[str, float]) -> Met | None:
        """What the people of a tier meet on today's use; None where it has no window that counts tokens.

        tokens: of windows that state none. Raises Mistakes for a limit that whole numbers cannot hold.
        """
        limit = limit_of(self.s, tier)
        if limit is None:
            return None
        i = self.tiers.index(tier)
        if not _is_open(limit):
            self._at(i, math.inf, taking=False, giving_way=False)
            return self.met[i]
        return under(self.s, tier, self._people(tier), tokens)

    def _at(self, tier: int, factor: float, taking: bool, giving_way: bool) -> Pace:
        key = (tier, factor, taking, giving_way)
        if key not in self.known:
            t = self.tiers[tier]
            people, sizes = self._people(t), sizes_at(self.s, t, factor, giving_way=giving_way)
            # the same people meet the same windows in the same way, whatever else a scenario says
            asked = (people.of, limit_of(self.s, t), *sizes.items(), taking)
            kept = FOUND.get(asked)
            if kept is None:
                met = under(self.s, t, people, sizes, taking=taking)
                kept = _pace(people, met), met if math.isinf(factor) and not taking else None
                if len(FOUND) >= KEPT:
                    FOUND.clear()
                FOUND[asked] = kept
            self.known[key], today = kept
            if today is not None:
                self.met[tier] = today
        return self.known[key]

    def _people(self, tier: Tier) -> Crowd:
        return crowd(self.s, tier, PEOPLE_OF_A_WORLD if self.world else PEOPLE, self.seed, self.world)


def _is_open(limit: Limit) -> bool:
    """Whether some window is to be found."""
    return any(w.tokens is None for w in limit.windows)


def limit_of(s: Scenario, tier: Tier) -> Limit | None:
    """A tier's limit with those windows that count tokens of its model or the model's family; None if there is none."""
    if tier.limit is None:
        return None
    model = s.model(tier.model)
    return s.limit(tier.limit).counting(model.name, model.family)


def sizes_at(s: Scenario, tier: Tier, factor: float, *, giving_way: bool = False) -> dict[str, float]:
    """Tokens of the windows that state none, and with `giving_way` of all: what a person collects in each, active as on
    average, at the factor and the tier's weight; none of an infinite factor."""
    limit = limit_of(s, tier)
    return {
        w.name: factor * tier.weight * window_use(tier.behaviour, w).mean
        for w in (limit.windows if limit else ())
        if giving_way or w.tokens is None
    }


def under(s: Scenario, tier: Tier, people: Crowd, tokens: Mapping[str, float], *, taking: bool = False) -> Met:
    """What drawn people of a tier meet, all of them takers or none; a window of infinitely many tokens is none.

    tokens: of windows that state none; a stated one of which something is said holds the lesser of both. A tier uses
    one model in a plan, so every window of its limit counts all that it does. Raises Mistakes for a limit that whole
    numbers cannot hold.
    """
    limit = limit_of(s, tier)
    kept = tuple(w for w in limit.windows if _size(w, tokens) < math.inf) if limit is not None else ()
    scheme = Scheme(())
    if limit is not None and kept:
        h = people.habits
        lower = [w.tokens is not None and _size(w, tokens) < w.tokens.value for w in kept]
        windows = (w.model_copy(update={"tokens": None}) if less else w for w, less in zip(kept, lower, strict=True))
        limit = limit.model_copy(update={"windows": tuple(windows)})
        try:
            rules = compile_limit(limit, h.start_ms // 1000, h.end_ms // 1000, dict(tokens))
        except LimitError as err:
            raise Mistakes([Mistake(s.name, 0, f"limits.{limit.name}", "", text) for text in err.mistakes]) from err
        scheme = Scheme(tuple(replace(rule, families=None) for rule in rules))
    parallel = tier.behaviour.parallel.value
    wanted = people.wanted
    if taking:
        used_up = min((_size(w, tokens) / window_use(tier.behaviour, w).mean for w in kept), default=math.inf)
        wanted = replace(wanted, pace=np.full_like(wanted.pace, min(used_up, parallel)))
    return met(people.habits, wanted, people.kinds, scheme, people.reactions, round(parallel))


def _size(w: Window, tokens: Mapping[str, float]) -> float:
    return min(w.tokens.value if w.tokens is not None else math.inf, tokens.get(w.name, math.inf))


def _pace(people: Crowd, found: Met) -> Pace:
    """Work in each kind of hour over the active time in it."""
    h = people.habits
    active_ms = np.bincount(people.hour_kind, h.hour_weights, HOUR_KINDS) * h.active_share * h.people * HOUR_MS
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(people.hour_kind, found.served_ms, HOUR_KINDS) / active_ms
        square = np.bincount(people.hour_kind, found.squares_ms, HOUR_KINDS) / active_ms
    return Pace(np.nan_to_num(mean, posinf=0.0), np.nan_to_num(square, posinf=0.0))
