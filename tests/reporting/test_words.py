"""The first sentence of an answer says what is so: carried or not, needed or not, and why nothing is carried."""

from __future__ import annotations

from ampacity.planner.answer import answer
from ampacity.reporting.words import first_sentence
from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario


def said(s: Scenario) -> str:
    return first_sentence(answer(s), s.service_level.hours.value)


def test_a_stated_limit_that_is_not_carried_is_said_not_to_be() -> None:
    crowd = ["tiers.developers.people=2000", "limits.team.windows.five-hour.tokens=50000000"]
    sentence = said(load("laptop", sets=[*crowd, "limits.team.windows.weekly=null"]))
    assert "is given 50.0 M tokens" in sentence
    assert sentence.endswith("not in the 99.5 % promised.")


def test_a_stated_limit_that_is_carried_is_said_to_be() -> None:
    sets = ["limits.team.windows.five-hour.tokens=1000000", "limits.team.windows.weekly=null"]
    assert said(load("laptop", sets=sets)).endswith("as promised.")


def test_a_replica_larger_than_the_fleet_is_named_as_the_reason() -> None:
    model = dict.fromkeys(("placements.code.model", "tiers.developers.model", "tiers.tools.model"), "deepseek-v3")
    s = load("laptop").replace({**model, "placements.code.accelerators_per_replica": None})
    assert said(s) == "No limit is carried: a replica of deepseek-v3 takes 16 accelerators, more than there are."


def test_where_people_cannot_draw_more_no_limit_is_needed() -> None:
    few = {"like": "coding-agent", "parallel": 2}
    s = load("laptop").replace({"tiers.developers.people": 1, "tiers.developers.behaviour": few})
    assert said(s).startswith("No limit is needed: each person can have ")


def test_what_is_guaranteed_is_never_more_than_the_limit() -> None:
    for people in (1, 5, 50, 500, 2000):
        (load_,) = answer(load("laptop", sets=[f"tiers.developers.people={people}"])).models
        assert all(w.guaranteed <= w.tokens for w in load_.limits)
