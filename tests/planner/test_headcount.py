"""How many people limits carry, against a search that tries one headcount after another."""

from __future__ import annotations

import numpy as np
import pytest

from ampacity.planner.answer import answer
from ampacity.planner.headcount import people_carried, people_of
from ampacity.planner.plan import plan
from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario


@pytest.fixture(scope="module")
def stated() -> Scenario:
    """The packaged laptop with a five-hour window of stated size."""
    return load("laptop", sets=["limits.team.windows.five-hour.tokens=40000000", "limits.team.windows.weekly=null"])


def test_the_headcount_is_the_last_one_that_is_carried_when_each_is_planned_anew(stated: Scenario) -> None:
    (model,) = answer(stated).models
    found = people_carried(model, precision=1e-4)
    tried = np.arange(int(found * 0.9), int(found * 1.1) + 2)
    carried = [
        answer(stated.replace({"tiers.developers.people": int(n)}), guarantee=False).models[0].carried_share
        for n in tried
    ]
    last = max(n for n, share in zip(tried, carried, strict=True) if share >= 0.995)
    assert found == pytest.approx(last, abs=1.5)


def test_more_compute_carries_more_people_and_none_carries_none(stated: Scenario) -> None:
    one, two = (
        people_carried(answer(s).models[0])
        for s in (stated, stated.replace({"contracts.server.deliveries.0.quantity": 16, "sites.here.power": None}))
    )
    (model,) = answer(stated).models
    assert two > one > people_of(model) > people_carried(model, lambda _: False) == 0.0


def test_without_a_change_of_limits_there_is_no_verdict(stated: Scenario) -> None:
    assert plan(stated.replace({"worlds": 1})).verdict is None
