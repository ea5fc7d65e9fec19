"""Whom the windows of a tier hit on today's use, and which of them binds.

Four weeks of drawn people meet all windows at once and react to them (`demand/at_limit.py`), where the sizes of the
windows are those that a plan found or the scenario states. A tier uses one model in a plan, so every window of its
limit counts all that it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ampacity.demand.at_limit import Met, Scheme, kinds_of, under_each
from ampacity.demand.people import habits_of, people_seed
from ampacity.demand.reactions import stated
from ampacity.planner.question import limit_of
from ampacity.policy.rows import LimitError, compile_limit
from ampacity.scenario.mistakes import Mistake, Mistakes
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier

PEOPLE, PEOPLE_OF_A_WORLD = 4000, 400
"""People drawn of a tier at the stated values, and in each other world. Where one in twenty is hit, the share at the
stated values is known to a quarter of a percentage point (one standard error), and that of a world to 0.8 points, by
which its interval is wider."""
BINDS_ABOVE = 1e-3
"""A window binds if it stops more than this share of people in a week."""


def whom(s: Scenario, tier: Tier, tokens: Mapping[str, float], seed: int = 1, world: int = 0) -> Met | None:
    """What the people of a tier meet on today's use; None where it has no window that counts tokens.

    tokens: weighted tokens of windows that state none. Raises Mistakes for a limit that whole numbers cannot hold.
    """
    limit = limit_of(s, tier)
    if limit is None:
        return None
    own = people_seed(seed, world)
    h = habits_of(s, tier, PEOPLE_OF_A_WORLD if world else PEOPLE, own)
    try:
        rules = compile_limit(limit, h.start_ms // 1000, h.end_ms // 1000, dict(tokens))
    except LimitError as err:
        raise Mistakes([Mistake(s.name, 0, f"limits.{limit.name}", "", text) for text in err.mistakes]) from err
    scheme = Scheme(tuple(replace(rule, families=None) for rule in rules))
    parallel = round(tier.behaviour.parallel.value)
    (met,) = under_each(h, kinds_of(tier.behaviour), [(scheme, stated(seed, world))], own, tier.name, parallel)
    return met


def served_share(met: Met | None) -> float:
    """Share of the tokens wanted that people get from this model in the end, some of them bought. [0 to 1]"""
    return 1.0 - (met.lost + met.switched) / met.wanted if met is not None and met.wanted else 1.0


def binding_window(met: Met | None) -> str:
    """The window that stops most people in a week, if it stops a share of them worth telling; else ""."""
    if met is None or not met.windows:
        return ""
    window = max(met.windows, key=met.hit_by)
    return window if met.hit_by(window) > BINDS_ABOVE else ""
