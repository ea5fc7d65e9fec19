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
    """B over A at the stated values, by the share of stopped work that returns; what people want is drawn once."""
    s = draw(c.scenario, seed, 0)
    two = replace(c, schemes=c.schemes[:2])
    reactions = [deferring(share) for share in DEFERRED]
    weekly = [dict.fromkeys((scheme.label for scheme in two.schemes), 0.0) for _ in DEFERRED]
    day = [{scheme.label: np.zeros(24) for scheme in two.schemes} for _ in DEFERRED]
    for name in c.tiers:
        tier = s.tier(name)
        b = tier.behaviour
        each = b.uncached_per_s.value + b.cached_per_s.value + b.output_per_s.value
        for i, by_label in enumerate(tier_under(s, two, name, drawn[name], reactions, found, seed, 0)):
            for label, m in by_label.items():
                scale = tier.people.value / m.people * each
                weekly[i][label] += m.served * scale
                day[i][label] += own_working_day(s, tier, m) * scale
    first, second = (scheme.label for scheme in two.schemes)
    return tuple(
        Deferral(share, ratio(of[second], of[first]), ratio(float(peak[second].max()), float(peak[first].max())))
        for share, of, peak in zip(DEFERRED, weekly, day, strict=True)
    )
