"""What a cell holds of a scenario: the windows of its tiers, and how their clients and people go about requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ampacity.base.calendar import utc_s
from ampacity.demand.asked import input_per_output
from ampacity.demand.people import HOURS, zone_of
from ampacity.demand.reactions import stated
from ampacity.demand.resting import works_with_agents
from ampacity.policy.book import Book, compile_book
from ampacity.policy.rows import WindowRule, compile_limit
from ampacity.scenario.limit import Limit
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.simulator.cell import CellTier

MIX_APART = 0.15
"""Of a mix, relative: as far as means of the sessions that were fitted may lie from those of the trace."""
TokensFound = Mapping[str, Mapping[str, float]]
"""Tokens of windows that state none, by tier and window."""


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


def rules_of(s: Scenario, tier: Tier, found: TokensFound) -> tuple[WindowRule, ...]:
    """The windows of a tier, each counting all that it does, as a plan has them; none without a limit."""
    limit = _limit(s, tier)
    if limit is None:
        return ()
    start_s = utc_s(s.start, zone_of(s, tier))
    rules = compile_limit(limit, start_s, start_s + HOURS * 3600, dict(found.get(tier.name, {})))
    return tuple(replace(r, families=None, products=None) for r in rules)


def book_of(tiers: Sequence[Tier], rules: Sequence[tuple[WindowRule, ...]]) -> Book | None:
    """The limits of tiers that have one; None if none has."""
    limits = {tier.name: own for tier, own in zip(tiers, rules, strict=True) if own}
    return compile_book(limits) if limits else None


def cell_tier(s: Scenario, tier: Tier, seed: int, world: int = 0) -> CellTier:
    """How a tier's clients and people go about their requests."""
    name = tier.name if _limit(s, tier) is not None else None
    return CellTier(tier.name, name, writes=works_with_agents(tier.behaviour), reactions=stated(seed, world))


def _limit(s: Scenario, tier: Tier) -> Limit | None:
    model = s.model(tier.model)
    return s.limit(tier.limit).counting(model.name, model.family, requests=True) if tier.limit is not None else None
