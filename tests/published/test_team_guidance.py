"""Tokens per minute and person that a team needs, against published guidance by team size.

The guidance recommends rate limits per person that fall 20-fold from one person to 500: a published multiplexing
curve. Ours is the closed form of `active_load.py` turned round: the least capacity that carries the use of N people,
without any limit, in 99.5 % of the hours, in tokens of all kinds per minute and person. One person's hours vary by
`sigma_within`; people of a team are taken alike.
"""

from __future__ import annotations

from datetime import date
from math import inf, sqrt

import numpy as np
import pytest

from ampacity.base.calendar import utc_s
from ampacity.demand.hourly import hourly
from ampacity.planner.active_load import Capacity, Sources, Takes, carried_share
from ampacity.scenario import lookup
from ampacity.scenario.tier import Tier

GUIDANCE = {  # people: tokens per minute and person
    (1, 5): (200e3, 300e3),
    (5, 20): (100e3, 150e3),
    (20, 50): (50e3, 75e3),
    (50, 100): (25e3, 35e3),
    (100, 500): (15e3, 20e3),
    (500, 5000): (10e3, 15e3),
}
CITATION = "docs.anthropic.com, costs page (text of 2025): rate limit recommendations per user by team size"
FACTOR = 2.5


def needed_tpm(people: float, hours_per_week: float, window_tokens: float = inf) -> float:
    """Tokens per minute and person that so many coding agents need in 99.5 % of the hours.

    window_tokens: context of their model, in which they compact.
    """
    agent = {**lookup.behaviour("coding-agent", window_tokens), "active_hours": f"{hours_per_week} h/week"}
    tier = Tier.model_validate({"name": "t", "people": people, "model": "m", "behaviour": agent})
    b = tier.behaviour
    week = hourly(tier, utc_s(date(2026, 11, 23)), 168, "UTC").active_share
    kinds, counts = np.unique(week, return_counts=True)
    sources = Sources(np.array([people]), kinds[:, None], b.common_swing.value)
    takes = Takes(np.array([1.0]), np.array([np.exp(b.sigma_within.value**2)]))
    low, high = 0.0, 10.0 * people + 10.0
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        room = Capacity(np.full(len(kinds), middle), np.full(len(kinds), 1e9), 1.0, counts / counts.sum())
        low, high = (low, middle) if carried_share(sources, takes, room) >= 0.995 else (middle, high)
    per_active_minute = 60 * (b.uncached_per_s.value + b.cached_per_s.value + b.output_per_s.value)
    return high / people * per_active_minute


def off_by(band: tuple[int, int], hours_per_week: float, window_tokens: float = inf) -> float:
    """How far the team in the middle of a band is outside the guidance: 1 inside, else over its nearer end."""
    low, high = GUIDANCE[band]
    needed = needed_tpm(sqrt(band[0] * band[1]), hours_per_week, window_tokens)
    return max(needed / high, low / needed, 1.0)


@pytest.mark.published(CITATION)
@pytest.mark.parametrize("band", GUIDANCE, ids=lambda band: f"{band[0]}-{band[1]} people")
def test_at_seven_active_hours_a_week_every_team_needs_what_is_recommended_within_a_factor_of_2_5(
    band: tuple[int, int],
) -> None:
    """Seven hours are the lower end of the catalog's range for coding agents, not its stated 12 hours: see below."""
    assert off_by(band, 7.0) < FACTOR


@pytest.mark.published(CITATION)
def test_at_seven_active_hours_a_week_a_person_alone_needs_ten_times_as_much_as_one_of_five_hundred() -> None:
    assert 10 < needed_tpm(1, 7.0) / needed_tpm(500, 7.0) < 30


@pytest.mark.published(CITATION)
def test_at_the_stated_twelve_active_hours_teams_of_more_than_a_hundred_need_more_than_recommended() -> None:
    """A finding, not a fit: at the stated value the curve falls 6-fold, not 20-fold, since a large team needs its mean
    at the busiest hour, 49,000 tokens a minute and person, all cache reads counted. The guidance is of 2025
    and does not say which kinds of tokens it counts; the traces behind our rates are of 2026."""
    off = {band: off_by(band, 12.0) for band in GUIDANCE}
    assert [band for band in GUIDANCE if off[band] >= FACTOR] == [(100, 500), (500, 5000)]
    assert off[100, 500] == pytest.approx(2.6, abs=0.1)
    assert off[500, 5000] == pytest.approx(3.3, abs=0.1)
    assert needed_tpm(1, 12.0) / needed_tpm(500, 12.0) == pytest.approx(6.1, abs=0.2)


@pytest.mark.published(CITATION)
@pytest.mark.parametrize("band", GUIDANCE, ids=lambda band: f"{band[0]}-{band[1]} people")
def test_on_windows_of_200_000_tokens_twelve_hours_are_within_the_factor_for_every_team(band: tuple[int, int]) -> None:
    """Models of 2025 held 200,000 tokens of context, those behind our traces of 2026 up to a million."""
    assert off_by(band, 12.0, 200_000) < FACTOR
