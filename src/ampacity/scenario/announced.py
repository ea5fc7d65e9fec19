"""Changes of limits that were announced for a day: the scenario as it was before, as it is after, and day by day."""

from __future__ import annotations

from datetime import date, timedelta

from ampacity.scenario.event import Event
from ampacity.scenario.scenario import Scenario


def changes(s: Scenario) -> tuple[Event, ...]:
    """The limit changes of a scenario that have happened by the end of its hours."""
    end = s.start + timedelta(days=s.horizon_days)
    return tuple(e for e in s.events if e.kind == "limit-change" and e.date < end)


def after(s: Scenario) -> Scenario:
    """The scenario with every tier at the limit that it was changed to."""
    return _changed(s, changes(s))


def in_force(s: Scenario, day: date) -> Scenario:
    """The scenario with every tier at its limit of that day; of two changes of a tier on one day the last counts."""
    return _changed(s, tuple(e for e in changes(s) if e.date <= day))


def days_of_change(s: Scenario) -> tuple[date, ...]:
    """The days after the first on which limits change, in order."""
    return tuple(sorted({e.date for e in changes(s) if e.date > s.start}))


def came_with_it(s: Scenario) -> frozenset[str]:
    """Contracts that were announced together with a change of limits."""
    return frozenset(e.contract for e in changes(s) if e.contract is not None)


def _changed(s: Scenario, events: tuple[Event, ...]) -> Scenario:
    limits = {e.tier: e.limit for e in sorted(events, key=lambda e: e.date)}
    tiers = tuple(t.model_copy(update={"limit": limits[t.name]}) if t.name in limits else t for t in s.tiers)
    return s.model_copy(update={"tiers": tiers})
