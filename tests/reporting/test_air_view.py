"""What the air's page data says: every allegation with its author and the answer, nothing that is not finite."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ampacity.planner.answer import answer
from ampacity.reporting.air_view import air_view, emissions, statements
from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario

MEMPHIS = str(Path(__file__).parents[1] / "supply" / "scenarios" / "memphis.yaml")


def memphis(changes: dict[str, Any]) -> Scenario:
    return load(MEMPHIS).replace({"horizon": "2 d", **changes})


def test_every_statement_has_author_source_and_day_and_every_allegation_its_answer() -> None:
    found = statements(load(MEMPHIS).site("memphis"), None)
    assert {s["status"] for s in found} >= {"alleged", "filing"}
    for statement in found:
        assert statement["who"] and statement["source"] and statement["answer"]
        assert date.fromisoformat(statement["known_since"])
        assert statement["status"] != "alleged" or statement["who_answers"]


def test_what_was_not_yet_said_is_not_shown() -> None:
    site = load(MEMPHIS).site("memphis")
    assert {s["status"] for s in statements(site, date(2025, 6, 30))} == {"alleged"}
    assert statements(load("laptop").site("here"), None) == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sites.memphis.turbines.0.power": "0 MW"},
        {"sites.memphis.turbines.0.permit.nox": "0 t"},
        {"sites.memphis.turbines.0.permit": None},
        {"contracts.lease.start": "2025-09-01"},
        {"sites.memphis.carbon": None, "sites.memphis.water": None},
    ],
)
def test_the_data_is_finite_json_and_the_text_says_modelled_whatever_the_site_says(changes: dict[str, Any]) -> None:
    s = memphis(changes)
    a = answer(s)
    data = emissions(s, a)
    json.dumps(data, allow_nan=False)
    assert data["modelled"]
    assert "modelled" in air_view(s, a).text


def test_turbines_without_a_permit_are_shown_apart() -> None:
    s = memphis({"sites.memphis.turbines.0.permit": None})
    energy = emissions(s, answer(s))["sites"]["memphis"]["nameplate"]["with_turbines"]["energy_mwh"]
    assert energy["turbine"] == 0
    assert energy["turbine-without-permit"] == pytest.approx(247 * 48)


def test_side_by_side_the_site_without_turbines_is_short_by_what_they_gave() -> None:
    s = memphis({})
    found = emissions(s, answer(s))["sites"]["memphis"]["nameplate"]
    with_them, without = found["with_turbines"]["energy_mwh"], found["without_turbines"]["energy_mwh"]
    assert without["short"] - with_them["short"] == pytest.approx(with_them["turbine"])
    assert found["without_turbines"]["hours_on_gas"] == 0
