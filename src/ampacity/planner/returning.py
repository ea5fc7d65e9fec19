"""What B does against A by the share of stopped work that returns: the week stays as it is only if all of it does."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ampacity.base.calendar import hours_of_week, utc_s
from ampacity.demand.at_limit import busiest_hour
from ampacity.demand.reactions import deferring
from ampacity.planner.scheme_figures import HOURS, TokensFound, ratio, tier_under, zone_of
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
        volume = {scheme.label: np.zeros(2) for scheme in c.schemes[:2]}
        for name in c.tiers:
            tier = s.tier(name)
            zone = "UTC" if tier.behaviour.shape == "global" else zone_of(s, tier)
            clock = hours_of_week(utc_s(s.start, zone_of(s, tier)), HOURS, zone)
            b = tier.behaviour
            each = b.uncached_per_s.value + b.cached_per_s.value + b.output_per_s.value
            (by_label,) = tier_under(s, two, name, drawn[name], (deferring(share),), found, seed, 0)
            for label, m in by_label.items():
                scale = tier.people.value / m.people * each
                volume[label] += np.array([m.served, busiest_hour(m, clock)]) * scale
        a, b_ = (volume[scheme.label] for scheme in two.schemes)
        rows.append(Deferral(share, ratio(b_[0], a[0]), ratio(b_[1], a[1])))
    return tuple(rows)
