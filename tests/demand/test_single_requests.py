"""Requests that stand alone: as many tokens of each kind as the behaviour asks, inside stretches, in any portion."""

from __future__ import annotations

import numpy as np
import pytest

from ampacity.demand.people import habits_of
from ampacity.demand.single_requests import single_requests
from ampacity.demand.stretches import stretches
from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario


@pytest.fixture(scope="module")
def clients() -> Scenario:
    return load("laptop", sets=["tiers.tools.people=20"])


def test_each_kind_of_token_is_asked_as_much_as_the_behaviour_says(clients: Scenario) -> None:
    """The law is 65,536 pairs; with more than 100,000 requests means are known to a percent or two."""
    tier = clients.tier("tools").model_copy(
        update={"behaviour": clients.tier("tools").behaviour.model_copy(update={"shape": "flat"})}
    )
    wanted = stretches(habits_of(clients, tier, 400, 2), 2, "tools")
    found = single_requests(tier.behaviour, wanted, 2, "tools")
    active_s = wanted.wanted_ms / 1000.0
    s = found.steps
    assert len(s) > 100_000
    assert s.output_tokens.sum() == pytest.approx(active_s * tier.behaviour.output_per_s.value, rel=0.02)
    uncached = (s.input_tokens - s.reusable_tokens).sum()
    assert uncached == pytest.approx(active_s * tier.behaviour.uncached_per_s.value, rel=0.02)


def test_requests_come_inside_stretches_and_a_portion_asks_the_same(clients: Scenario) -> None:
    tier = clients.tier("tools")
    h = habits_of(clients, tier, 20, 1)
    wanted, part = stretches(h, 1, "tools"), stretches(h, 1, "tools", 5, 9)
    whole, some = single_requests(tier.behaviour, wanted, 1), single_requests(tier.behaviour, part, 1, begin=5)
    chosen = (whole.subscriber >= 5) & (whole.subscriber < 9)
    assert np.array_equal(some.number, whole.number[chosen])
    assert np.array_equal(some.begin_s, whole.begin_s[chosen])
    assert len(np.unique(whole.number)) == len(whole.number)
    begin, end = wanted.begin_ms / 1000.0, (wanted.begin_ms + wanted.active_ms) / 1000.0
    for who in range(20):
        own = slice(wanted.first[who], wanted.first[who + 1])
        for at in whole.begin_s[whole.subscriber == who][:50]:
            assert np.any((begin[own] <= at) & (at <= end[own]))
