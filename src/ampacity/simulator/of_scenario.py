"""What a cell holds of a scenario: the windows of its tiers, and how their clients and people go about requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ampacity.demand.asked import input_per_output
from ampacity.demand.reactions import stated
from ampacity.demand.resting import works_with_agents
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.scenario.placement import FollowsLoad
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.simulator.cell_terms import CellTier
from ampacity.simulator.limits_in_time import LimitsInTime
from ampacity.simulator.scaling import Scaling

MIX_APART = 0.15
"""Of a mix, relative: as far as means of the sessions that were fitted may lie from those of the trace."""


@dataclass(frozen=True)
class OtherMix:
    """Tokens of input for each of output in what a tier is sent, and in what a plan counts for it."""

    tier: str
    sent: float
    planned: float


def other_mixes(s: Scenario) -> tuple[OtherMix, ...]:
    """Tiers of agents whose behaviour has another mix than the sessions they are sent, by more than MIX_APART.

    Sessions are drawn by the packaged model within the model's window, at the behaviour's pace of output.
    """
    found = []
    for t in s.tiers:
        b = t.behaviour
        if works_with_agents(b) and b.output_per_s.value > 0:
            planned = (b.cached_per_s.value + b.uncached_per_s.value) / b.output_per_s.value
            sent = input_per_output(s.model(t.model).context_tokens)
            if abs(sent / planned - 1.0) > MIX_APART:
                found.append(OtherMix(t.name, sent, planned))
    return tuple(found)


def cap_of(
    tier: Tier, curves: Sequence[CapacityCurve], pools: Sequence[str], first: int = 0, part: int = 1, whole: int = 1
) -> CapacityCurve | None:
    """What a capped tier may take in each hour from some pools together; None where nothing caps it.

    curves: of a plan. first: hour of them with which it begins. part, whole: of so many replicas those that it is for.
    """
    own = [c for c in curves if c.tier == tier.name and c.pool in pools]
    if not tier.capped or not own:
        return None
    sizes = tuple(sum(hour) * part // whole for hour in zip(*(c.uncached_input[first:] for c in own), strict=True))
    return CapacityCurve(tier.name, " and ".join(c.pool for c in own), own[0].start_s + 3600 * first, sizes, (), ())


def scaling_of(follows: FollowsLoad | None, pool: int, part: int, whole: int) -> Scaling | None:
    """How a cell's pool follows the load that has `part` of `whole` replicas; None if all of them stay."""
    if follows is None or part < 1:
        return None
    least = max(min(round(follows.least * part / whole), part), 1)
    return Scaling(follows.target, least=least, start_s=follows.start_s, calm_s=follows.calm_s, pool=pool)


def cell_tier(tier: Tier, limits: LimitsInTime, seed: int, world: int = 0) -> CellTier:
    """How a tier's clients and people go about their requests. limits: of its cell."""
    name = tier.name if limits.windows(tier.name) else None
    return CellTier(tier.name, name, writes=works_with_agents(tier.behaviour), reactions=stated(seed, world))
