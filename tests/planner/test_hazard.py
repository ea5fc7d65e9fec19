"""A stated rate of reclaim strikes in its share of the worlds, and only a stated one."""

from __future__ import annotations

import math

import pytest

from ampacity.planner.hazard import has_hazards, struck
from ampacity.planner.plan import plan
from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario


def with_hazard(rate: str | None) -> Scenario:
    clause = {"party": "lessor", "trigger": "a change of mind", **({"hazard": rate} if rate else {})}
    return load("laptop").replace({"contracts.server.reclaim": [clause]})


def test_the_share_of_worlds_struck_is_what_the_rate_gives() -> None:
    s = with_hazard("0.02/d")  # over 28 days
    worlds = [struck(s, 1, world) for world in range(1, 4001)]
    assert sum(len(w.events) for w in worlds) / 4000 == pytest.approx(1 - math.exp(-0.56), abs=0.025)
    assert all(s.start <= e.date for w in worlds for e in w.events)


def test_no_rate_and_the_stated_world_are_never_struck() -> None:
    assert not has_hazards(with_hazard(None))
    assert struck(with_hazard(None), 1, 7) == with_hazard(None)
    assert struck(with_hazard("100/d"), 1, 0).events == ()


def test_a_hazard_pulls_the_low_end_of_the_limits_down_and_leaves_the_stated_value() -> None:
    safe, risky = (
        plan(s.replace({"worlds": 40})).windows[0].tokens for s in (with_hazard(None), with_hazard("0.02/d"))
    )
    assert risky.value == safe.value
    assert risky.low < safe.low
