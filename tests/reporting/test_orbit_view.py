"""A site in orbit in words and as data: conditions, intervals, what is firm, what is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ampacity.planner.plan import plan
from ampacity.reporting.catalog_views import View
from ampacity.reporting.orbit_view import orbit_view
from ampacity.reporting.sources import claims
from ampacity.scenario.load import load
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.scenario import Scenario

ORBIT = "sites.dawn-dusk.orbit."


def gigawatt(changes: dict[str, object] | None = None) -> Scenario:
    return load("orbital-gigawatt", sets=["worlds=20", "horizon=2 d"]).replace(changes or {})


def only_site(data: dict[str, Any]) -> dict[str, Any]:
    (site,) = data["sites"].values()
    return dict(site)


@pytest.fixture(scope="module")
def planned() -> View:
    return orbit_view(plan(gigawatt()))


def intervals(found: Any) -> list[dict[str, float]]:
    if isinstance(found, dict) and set(found) == {"value", "low", "high"}:
        return [found]
    return [i for part in found.values() for i in intervals(part)] if isinstance(found, dict) else []


def test_every_figure_lies_in_its_interval_and_the_data_is_plain(planned: View) -> None:
    site = only_site(planned.data)
    found = intervals({k: site[k] for k in ("sizing", "upsets", "cost", "air", "delivered_usd_per_mtok")})
    assert len(found) > 30
    assert all(i["low"] <= i["high"] for i in found)
    assert json.loads(json.dumps(planned.data, allow_nan=False)) == planned.data


def test_the_words_begin_with_a_condition_and_fit_a_screen(planned: View) -> None:
    text = planned.text
    assert planned.data["sentences"][0].startswith("If ")
    assert "no contract promises it" in text
    assert all(word in text for word in ("debris", "re-entry", "soot", "not CO2e", "left out"))
    assert text.count("\n") < 30


def test_without_a_plan_there_is_no_cost_per_token(planned: View) -> None:
    data = orbit_view(gigawatt()).data
    assert only_site(data)["delivered_usd_per_mtok"] is None
    assert only_site(data)["cost"] == only_site(planned.data)["cost"]


def test_a_firm_contract_counts() -> None:
    site = only_site(orbit_view(gigawatt({"contracts.interest.firm": True})).data)
    assert site["firm_accelerators"] == 300_000


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        ("cluster", "all of it at once (79.8 % for a ring, 89.9 % for two opposite rings)"),
        ("ring", "never less than 79.8 % of the ring"),
        ("two-ltan-ring", "and 7 May to 5 Aug"),
    ],
)
def test_geometry_decides_what_shadow_leaves(geometry: str, words: str) -> None:
    sentences = orbit_view(gigawatt({ORBIT + "geometry": geometry})).data["sentences"]
    assert any(words in sentence for sentence in sentences), sentences


def test_high_enough_there_is_no_shadow_at_all() -> None:
    assert "it would never be in shadow;" in orbit_view(gigawatt({ORBIT + "altitude": "1450 km"})).data["sentences"]


def test_without_a_relay_mesh_nothing_interactive_is_served_and_no_hour_is_priced() -> None:
    data = orbit_view(gigawatt({ORBIT + "contact": "direct"})).data
    assert not only_site(data)["contact"]["interactive"]
    assert only_site(data)["cost"]["delivered_usd_per_accelerator_hour"] is None
    assert "nothing interactive" in data["sentences"][-2]


def test_an_interest_beside_a_firm_lease_is_shown_but_not_counted() -> None:
    lease = {"start": "2028-01-03", "deliveries": [{"site": "here", "accelerator": "orbital-vr200", "quantity": 80}]}
    s = gigawatt({"sites.here": {"place": "on the ground"}, "contracts.lease": lease})
    p = plan(s)
    assert sum(float(c.contracted[0]) for c in p.central.supply) == 80
    site = only_site(orbit_view(p).data)
    assert (site["firm_accelerators"], site["what_if_accelerators"]) == (0, 300_000)
    assert site["delivered_usd_per_mtok"] is None
    assert any("counts nothing" in note for note in p.notes)


def test_a_scenario_on_the_ground_has_no_orbit_to_show() -> None:
    with pytest.raises(Mistakes, match="orbit"):
        orbit_view(load("laptop"))


def test_the_page_of_an_orbital_scenario_lists_its_numbers_in_units_that_people_read() -> None:
    listed = {c.path: c for c in claims(gigawatt())}
    assert listed["sites.dawn-dusk.orbit.launch_usd_per_kg"].interval == "200 to 3,600 USD/kg"
    assert listed["sites.dawn-dusk.orbit.compute_kg_per_w"].shown == "8 kg/kW"
    assert listed["sites.dawn-dusk.orbit.pv_degradation"].shown == "1.5 % per year"
