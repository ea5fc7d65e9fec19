"""A change of limits: before and after on the same people, and what became known between two days."""

from __future__ import annotations

from datetime import date

import pytest

from ampacity.planner.answer import answer
from ampacity.planner.plan import Plan, plan
from ampacity.planner.verdict import judge, largest_supplier
from ampacity.scenario.announced import after, came_with_it
from ampacity.scenario.load import load, load_as_of
from ampacity.scenario.news import news
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.worlds import draw


@pytest.fixture(scope="module")
def announced() -> Scenario:
    return load("colossus-1", as_of=date(2026, 5, 6))


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan(load("colossus-1", sets=["worlds=12"], as_of=date(2026, 5, 6)))


@pytest.mark.parametrize("world", range(6))
def test_the_five_hour_windows_double_exactly_and_the_weekly_ones_stay_in_every_world(
    announced: Scenario, world: int
) -> None:
    before = draw(announced, 1, world)
    now = after(before)
    for tier in ("pro", "max-5x", "max-20x"):
        old, new = (
            {w.name: w.tokens.value for w in s.limit(str(s.tier(tier).limit)).windows if w.tokens}
            for s in (before, now)
        )
        assert new["five-hour"] == pytest.approx(2 * old["five-hour"])
        assert new["weekly"] == pytest.approx(old["weekly"])


@pytest.mark.parametrize("world", range(6))
def test_raised_limits_on_less_compute_carry_fewer_people(announced: Scenario, world: int) -> None:
    s = draw(announced, 1, world)
    a = answer(after(s), guarantee=False, world=world)
    found = judge(s, a.models[0], largest_supplier(s), a.met, 1, world)
    assert found.reclaimed <= found.carried
    assert found.without_largest <= found.carried
    assert found.reclaimed <= found.before  # the same compute, higher limits
    hit = {tier: (found.hit_before[tier]["five-hour"], found.hit_after[tier]["five-hour"]) for tier in found.hit_after}
    assert all(new <= old for old, new in hit.values())
    assert hit["pro"][1] < hit["pro"][0]


def test_growth_reaches_what_is_carried_on_the_day_that_is_told(announced: Scenario) -> None:
    s = draw(announced, 1, 0)
    a = answer(after(s), guarantee=False)
    found = judge(s, a.models[0], "", a.met)
    growth = s.tier("pro").growth
    assert growth is not None
    assert found.people * (1 + growth.value) ** found.holds_months == pytest.approx(found.carried)


def test_what_came_with_the_change_is_the_lease_alone(announced: Scenario) -> None:
    assert came_with_it(announced) == {"colossus-1"}


def test_shares_of_worlds_add_up_for_every_tier(planned: Plan) -> None:
    assert planned.verdict is not None
    for found in (planned.verdict.binds_before, planned.verdict.binds_after):
        assert all(sum(worlds.values()) == pytest.approx(1.0) for worlds in found.values())


def test_what_became_known_later_is_the_fee_the_exit_and_the_second_site(announced: Scenario) -> None:
    found = {n.path for n in news(announced, load_as_of(announced, date(2026, 11, 20)))}
    assert {
        "contracts.colossus-1.fee.monthly_usd",
        "contracts.colossus-1.termination.0",
        "contracts.colossus-2-part",
    } <= found
    assert not news(announced, announced)
