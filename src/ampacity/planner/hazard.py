"""A reclaim by chance: in worlds where a rate that the user states strikes within the hours, the reclaim happens.

Only a stated `hazard` counts; nothing that anybody said becomes a rate.
"""

from __future__ import annotations

import math
from datetime import timedelta

from ampacity.base.calendar import DAY_S
from ampacity.base.streams import uniform
from ampacity.scenario.event import Event
from ampacity.scenario.scenario import Scenario


def has_hazards(s: Scenario) -> bool:
    """Whether any reclaim clause states a rate."""
    return any(clause.hazard_per_s for c in s.contracts for clause in c.reclaim)


def struck(s: Scenario, seed: int, world: int) -> Scenario:
    """A world with a reclaim event wherever the waiting time, exponential at the stated rate, ends within its hours.

    World 0, the one at the stated values, is never struck. Notice and cure follow the clause.
    """
    if world == 0:
        return s
    events = []
    for contract in s.contracts:
        for i, clause in enumerate(contract.reclaim):
            if clause.hazard_per_s is None or clause.hazard_per_s.value <= 0:
                continue
            wait_s = -math.log(uniform(seed, "reclaim", contract.name, i, world)) / clause.hazard_per_s.value
            begin = max(contract.start, s.start)
            left_s = (s.start + timedelta(days=s.horizon_days) - begin).days * DAY_S
            if wait_s < left_s:
                said = begin + timedelta(days=int(wait_s // DAY_S))
                events.append(
                    Event(name=f"by-chance-{contract.name}-{i}", kind="reclaim", contract=contract.name, date=said)
                )
    return s.model_copy(update={"events": (*s.events, *events)}) if events else s
