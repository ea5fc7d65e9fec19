"""What became known between two days: why an answer as of a later day differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import BaseModel

from ampacity.scenario.scenario import Scenario
from ampacity.scenario.value import Value


@dataclass(frozen=True)
class News:
    """One thing that became known: its path, on which day, who says so; before and now are None for a new thing."""

    path: str
    known_since: date | None
    who: str
    before: Value | None
    now: Value | None


def news(earlier: Scenario, later: Scenario) -> tuple[News, ...]:
    """Contracts, clauses and figures that the later scenario has and the earlier had not, or had otherwise."""
    return tuple(_compared("", earlier, later))


def _compared(path: str, before: Any, now: Any) -> Iterator[News]:
    if isinstance(now, Value):
        old = before if isinstance(before, Value) else None
        if old is None or (old.value, old.low, old.high) != (now.value, now.low, now.high):
            yield News(path, now.known_since, now.who, old, now)
    elif isinstance(now, BaseModel):
        if not isinstance(before, BaseModel):
            yield News(path, getattr(now, "known_since", None), getattr(now, "supplier", ""), None, None)
            return
        for name, found in now:
            yield from _compared(f"{path}.{name}" if path else name, getattr(before, name, None), found)
    elif isinstance(now, tuple):
        old_by_name = {_key(i, b): b for i, b in enumerate(before or ())}
        for i, found in enumerate(now):
            if isinstance(found, BaseModel):
                key = _key(i, found)
                yield from _compared(f"{path}.{key}", old_by_name.get(key), found)


def _key(position: int, noun: Any) -> str:
    return str(getattr(noun, "name", "") or position)
