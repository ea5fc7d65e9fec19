"""What B does against A by the share of stopped work that returns: the week stays as it is only if all of it does."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ampacity.demand.reactions import deferring
from ampacity.planner.scheme_figures import TokensFound, own_working_day, ratio, tier_under
from ampacity.planner.schemes import Comparison
from ampacity.scenario.worlds import draw

DEFERRED = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Deferral:
    """What B does against A if `share` of the stopped work returns and the rest is lost: ratios of B over A."""

    share: float
    weekly_tokens: float
    peak_hour_tokens: float


def deferrals(c: Comparison, drawn: dict[str, int], found: TokensFound, seed: int) -> tuple[Deferral, ...]:
    """B over A at the stated values, by the share of stopped work that returns."""
    s = draw(c.scenario, seed, 0)
    two, rows = replace(c, schemes=c.schemes[:2]), []
    for share in DEFERRED:
        weekly = {scheme.label: 0.0 for scheme in two.schemes}
        day = {scheme.label: np.zeros(24) for scheme in two.schemes}
        for name in c.tiers:
            tier = s.tier(name)
            b = tier.behaviour
            each = b.uncached_per_s.value + b.cached_per_s.value + b.output_per_s.value
            (by_label,) = tier_under(s, two, name, drawn[name], (deferring(share),), found, seed, 0)
            for label, m in by_label.items():
                scale = tier.people.value / m.people * each
                weekly[label] += m.served * scale
                day[label] += own_working_day(s, tier, m) * scale
        first, second = (scheme.label for scheme in two.schemes)
        peak = ratio(float(day[second].max()), float(day[first].max()))
        rows.append(Deferral(share, ratio(weekly[second], weekly[first]), peak))
    return tuple(rows)
