"""Worlds: a scenario with one number drawn from every range, so that unknown inputs become an interval of answers.

A positive range is drawn evenly in its logarithm, one that touches zero evenly; the stated value is its median, so
half of the draws lie on either side of it. Each draw depends on (seed, path of the number, world) alone; ranges that
share an unknown (`together`) are drawn by its name instead, and so move as one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel

from ampacity.base.streams import uniform
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.value import Value

NounType = TypeVar("NounType", bound=BaseModel)


def draw(s: Scenario, seed: int, world: int) -> Scenario:
    """World number `world` of a scenario; world 0 has every number at its stated value."""
    return _drawn(s, "", seed, world)


def draws(s: Scenario, seed: int) -> Iterator[Scenario]:
    """All worlds of a scenario: as many as it says, or one where nothing is a range."""
    count = s.worlds if any(True for _ in ranges(s)) else 1
    for world in range(count):
        yield draw(s, seed, world)


def ranges(s: Scenario) -> Iterator[tuple[str, Value]]:
    """Every range of a scenario with its path, in the order of the nouns."""
    return ((path, value) for path, value in values(s) if value.is_range)


def values(s: Scenario) -> Iterator[tuple[str, Value]]:
    """Every number of a scenario with its path, in the order of the nouns."""
    return _values(s, "")


def at(value: Value, share: float) -> float:
    """The number below which `share` of the draws from a range lie. share in [0, 1]."""
    if value.low is None or value.high is None:
        return value.value
    low, high = (value.low, value.value) if share < 0.5 else (value.value, value.high)
    part = 2 * share if share < 0.5 else 2 * share - 1
    log = low > 0
    between = (1 - part) * (math.log(low) if log else low) + part * (math.log(high) if log else high)
    return min(max(math.exp(between) if log else between, low), high)


def _drawn(noun: NounType, path: str, seed: int, world: int) -> NounType:
    changes: dict[str, Any] = {}
    for name, found in noun:
        below = f"{path}.{name}" if path else name
        new = _drawn_part(found, below, seed, world)
        if new is not found:
            changes[name] = new
    return noun.model_copy(update=changes) if changes else noun


def _drawn_part(found: Any, path: str, seed: int, world: int) -> Any:
    if isinstance(found, Value):
        if not found.is_range:
            return found
        number = found.value if world == 0 else at(found, uniform(seed, found.together or path, world, "world"))
        return found.model_copy(update={"value": number, "low": None, "high": None})
    if isinstance(found, BaseModel):
        return _drawn(found, path, seed, world)
    if isinstance(found, tuple) and found and isinstance(found[0], BaseModel):
        parts = tuple(_drawn_part(f, _step(path, f, i), seed, world) for i, f in enumerate(found))
        return parts if any(a is not b for a, b in zip(parts, found, strict=True)) else found
    return found


def _values(noun: BaseModel, path: str) -> Iterator[tuple[str, Value]]:
    for name, found in noun:
        below = f"{path}.{name}" if path else name
        if isinstance(found, Value):
            yield below, found
        elif isinstance(found, BaseModel):
            yield from _values(found, below)
        elif isinstance(found, tuple) and found and isinstance(found[0], BaseModel):
            for i, part in enumerate(found):
                yield from _values(part, _step(below, part, i))


def _step(path: str, noun: BaseModel, position: int) -> str:
    return f"{path}.{getattr(noun, 'name', '') or position}"
