"""A change of limits that was announced on a day: the scenario as it was before, and as it is after."""

from __future__ import annotations

from ampacity.scenario.event import Event
from ampacity.scenario.scenario import Scenario


def changes(s: Scenario) -> tuple[Event, ...]:
    """The limit changes of a scenario that have happened by the end of its hours."""
    from datetime import timedelta

    end = s.start + timedelta(days=s.horizon_days)
    return tuple(e for e in s.events if e.kind == "limit-change" and e.date < end)


def after(s: Scenario) -> Scenario:
    """The scenario with every tier at the limit that it was changed to."""
    limits = {e.tier: e.limit for e in changes(s)}
    tiers = tuple(t.model_copy(update={"limit": limits[t.name]}) if t.name in limits else t for t in s.tiers)
    return s.model_copy(update={"tiers": tiers})


def came_with_it(s: Scenario) -> frozenset[str]:
    """Contracts that were announced together with a change of limits."""
    return frozenset(e.contract for e in changes(s) if e.contract is not None)
