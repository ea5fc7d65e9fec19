"""Where what requests ask is not what a plan counts for the same people, it is told."""

from __future__ import annotations

import pytest

from ampacity.reporting.twin_view import mix_sentences
from ampacity.scenario.load import load
from ampacity.scenario.lookup import scenario_names
from ampacity.simulator import cell_rows as at
from ampacity.simulator.of_scenario import MIX_APART, other_mixes
from ampacity.simulator.twin import twin


@pytest.mark.parametrize("name", scenario_names())
def test_packaged_scenarios_plan_with_the_mix_that_their_requests_have(name: str) -> None:
    assert other_mixes(load(name)) == ()


def test_a_behaviour_of_twice_the_input_is_told_with_both_figures_and_the_first_is_what_requests_have() -> None:
    s = load("laptop")
    b = s.tier("developers").behaviour
    other = s.replace({"tiers.developers.behaviour.cached_tokens": f"{2 * b.cached_per_s.value * 3600} token/h"})
    (found,) = other_mixes(other)
    assert found.tier == "developers"
    assert found.planned == pytest.approx((2 * b.cached_per_s.value + b.uncached_per_s.value) / b.output_per_s.value)
    (weeks,) = twin(other, {"developers": {"five-hour": 1e12, "weekly": 1e12}}, 1, hours=168)
    sent = weeks.result.count(at.INPUT_TOKENS, "developers") / weeks.result.count(at.OUTPUT_TOKENS, "developers")
    assert found.sent == pytest.approx(sent, rel=MIX_APART)
    (said,) = mix_sentences(weeks.other_mixes)
    assert f"{found.sent:.0f} tokens of input" in said
    assert f"the plan counts {found.planned:.0f}" in said
