"""The ladder from a low utilization to a high one: levers with published factors that multiply, in closed form.

A lever acts on `utilization` (more of the contracted accelerator-seconds are useful) or on `work` (the same seconds
give more tokens). Only the first kind moves a percentage. A lever of scope `part` was measured on a part of a fleet
or on one job; it is shown, and never multiplied into a fleet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from math import prod
from typing import Any, Literal

from ampacity.scenario import lookup
from ampacity.scenario.value import Noun, Ratio, Value

End = Literal["value", "low", "high"]
ENDS: tuple[End, ...] = ("low", "value", "high")


class Lever(Noun):
    """One lever. stage: of the waterfall that it acts on. factor: published gain with its range and claim."""

    name: str
    stage: str
    acts_on: Literal["utilization", "work"]
    scope: Literal["fleet", "part"]
    words: str
    factor: Ratio

    def at(self, end: End) -> float:
        """The factor at its value or at an end of its range."""
        found = getattr(self.factor, end)
        return float(self.factor.value if found is None else found)


class Line(Noun):
    """A reference line: a published ratio that calls itself utilization, with its numerator and denominator."""

    name: str
    words: str
    numerator: str
    denominator: str
    value: Value


def levers(as_of: date | None = None) -> tuple[Lever, ...]:
    """The levers of the catalog that were known on a day, in its order."""
    words = ("stage", "acts_on", "scope", "words")
    return tuple(
        Lever.model_validate({"name": row["lever"], **{k: row[k] for k in words}, "factor": lookup.claim(row)})
        for row in lookup.table("levers")
        if _known(row, as_of)
    )


def lines(as_of: date | None = None) -> tuple[Line, ...]:
    """The reference lines of the catalog that were known on a day; shares are between 0 and 1."""
    found = []
    for row in lookup.table("utilization_lines"):
        if _known(row, as_of):
            claim: dict[str, Any] = lookup.claim(row)
            claim = {**claim, "value": claim["value"] / 100, "unit": "1"}
            words = {k: row[k] for k in ("words", "numerator", "denominator")}
            found.append(Line.model_validate({"name": row["line"], **words, "value": claim}))
    return tuple(found)


@dataclass(frozen=True)
class Rung:
    """A set of levers pulled together. factor: product of theirs. reached: start times factor, at most 1."""

    levers: tuple[str, ...]
    factor: float
    reached: float


def multiply(start: float, pulled: Sequence[Lever], end: End = "value") -> Rung:
    """What a share becomes when levers are pulled together: the product, at most all of it.

    start: 0 to 1. Raises ValueError outside.
    """
    if not 0 <= start <= 1:
        raise ValueError("a share is between 0 and 1")
    factor = prod(lever.at(end) for lever in pulled)
    return Rung(tuple(lever.name for lever in pulled), factor, min(1.0, start * factor))


def fleet_levers(known: Sequence[Lever]) -> tuple[Lever, ...]:
    """Those that move a percentage of a whole fleet, the strongest first."""
    own = [lever for lever in known if lever.acts_on == "utilization" and lever.scope == "fleet"]
    return tuple(sorted(own, key=lambda lever: -lever.at("value")))


def singles(start: float, known: Sequence[Lever], end: End = "value") -> tuple[Rung, ...]:
    """Every lever alone."""
    return tuple(multiply(start, (lever,), end) for lever in fleet_levers(known))


def steps(start: float, known: Sequence[Lever], end: End = "value") -> tuple[Rung, ...]:
    """The ladder: the strongest lever, then it and the next, and so on."""
    own = fleet_levers(known)
    return tuple(multiply(start, own[: i + 1], end) for i in range(len(own)))


def smallest_that_reach(start: float, goal: float, known: Sequence[Lever], end: End = "value") -> tuple[Rung, ...]:
    """Every combination that takes a share from `start` to `goal` and of which no lever can be left out."""
    own = fleet_levers(known)
    found: list[Rung] = []
    for size in range(1, len(own) + 1):
        for some in combinations(own, size):
            rung = multiply(start, some, end)
            smaller = any(set(f.levers) <= set(rung.levers) for f in found)
            if not smaller and start * rung.factor >= goal:
                found.append(rung)
    return tuple(found)


@dataclass(frozen=True)
class Lifted:
    """A scenario's waterfall with levers pulled. stages: each ratio after, at most 1. useful: their product."""

    before: dict[str, float]
    stages: dict[str, float]
    useful: float


def lift(stages: Mapping[str, float], pulled: Sequence[Lever], end: End = "value") -> Lifted:
    """Pull levers on the stages that they act on: no stage passes 1, so what is whole already cannot be raised."""
    after = dict(stages)
    for lever in pulled:
        if lever.acts_on == "utilization" and lever.stage in after:
            after[lever.stage] = min(1.0, after[lever.stage] * lever.at(end))
    return Lifted(dict(stages), after, prod(after.values()))


def cache_lifetime_factor(prefill_share: float, uncached_ratio: float) -> float:
    """Tokens from the same accelerator-seconds when uncached prefill shrinks by `uncached_ratio`.

    prefill_share: of the busy time before [0 to 1]; uncached_ratio: uncached tokens before over after, >= 1.
    Amdahl's form: 1 / (1 - p + p / ratio).
    """
    if not 0 <= prefill_share <= 1 or uncached_ratio < 1:
        raise ValueError("prefill_share is between 0 and 1, uncached_ratio at least 1")
    return 1.0 / (1.0 - prefill_share + prefill_share / uncached_ratio)


def _known(row: Mapping[str, str], as_of: date | None) -> bool:
    return as_of is None or date.fromisoformat(row["known_since"]) <= as_of
