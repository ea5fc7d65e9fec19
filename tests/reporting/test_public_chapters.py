"""Chapters of a scenario about public facts: all there, their numbers the plan's, allegations with their answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from ampacity.planner.plan import Plan, plan
from ampacity.reporting import plots, words
from ampacity.reporting.air_view import emissions
from ampacity.reporting.chapter import Table, view_chapter
from ampacity.reporting.chapters import chapters
from ampacity.reporting.page import FOOTER
from ampacity.reporting.site_chapter import outlines
from ampacity.reporting.utilization_view import utilization_data
from ampacity.reporting.verdict_words import DISCLAIMER, conditions
from ampacity.scenario.load import load
from ampacity.supply.fleet import fleet

Read = Callable[[Plan], Any]

PUBLIC = [
    "answer",
    "change",
    "sites",
    "waterfall",
    "utilization",
    "supply",
    "limits",
    "cost",
    "contracts",
    "risk",
    "energy",
    "air",
    "orbit",
]


def test_a_public_scenario_has_its_chapters_in_order(colossus: Plan, read: Read) -> None:
    page = read(colossus)
    assert list(page.sections) == [*PUBLIC, "movers", "sources"]
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert all(rows[1:] for rows in page.tables.values())
    assert len(page.of("figure")) == len(page.of("figcaption")) == len(page.of("details")) == 12


def test_an_own_scenario_keeps_its_chapters_and_its_footer(laptop: Plan, read: Read) -> None:
    page = read(laptop)
    assert not {"change", "sites", "utilization", "air"} & page.sections.keys()
    assert FOOTER in page.footer
    assert DISCLAIMER not in page.footer


def test_conditions_come_first_and_the_disclaimer_is_there_twice(colossus: Plan, read: Read) -> None:
    page = read(colossus)
    said = page.sections["answer"]
    for sentence in conditions(colossus):
        assert sentence in said
    assert said.index(conditions(colossus)[0]) < said.index("Scenario hash")
    assert DISCLAIMER in page.footer
    assert FOOTER not in page.footer


def test_people_carried_are_the_verdict_s(colossus: Plan, read: Read) -> None:
    v = colossus.verdict
    assert v is not None
    rows = read(colossus).tables["People active in a week, in all worlds"][1:]
    spreads = [v.people, v.carried, v.before, v.alone, v.without_largest]
    assert [row[1] for row in rows] == [words.tokens(s.median) for s in spreads]
    assert [row[2] for row in rows] == [f"{words.tokens(s.low)} to {words.tokens(s.high)}" for s in spreads]
    assert v.supplier in rows[-1][0]


def test_the_assumptions_that_matter_most_are_the_movers_with_their_claims(colossus: Plan, read: Read) -> None:
    rows = read(colossus).tables["The assumptions that matter most"][1:]
    assert [row[-1] for row in rows] == [f"× {words.digits(m.factor, 2)}" for m in colossus.movers[: len(rows)]]
    assert all("confidence" in row[2] and row[4] for row in rows)


def test_what_became_known_since_stands_with_who_says_so(colossus: Plan, read: Read) -> None:
    rows = {
        row[0]: row[1:] for row in read(colossus).tables["What became known after 6 May 2026 and is in this answer"]
    }
    assert rows["contract colossus-1: monthly fee"] == [
        "SpaceX",
        "21 May 2026",
        "250 to 500 million USD/month",
        "1.25 billion USD/month",
    ]
    assert rows["contract colossus-2-part"][-1] == "new"


def test_on_the_day_of_the_change_nothing_is_known_since(read: Read) -> None:
    p = plan(load("colossus-1", sets=["worlds=2", "horizon=7 d"], as_of=date(2026, 5, 6)))
    assert not any("became known" in caption for caption in read(p).tables)


def test_tokens_and_people_before_and_after_are_the_plan_s(colossus: Plan, read: Read) -> None:
    v, s = colossus.verdict, colossus.scenario
    assert v is not None
    page = read(colossus)
    rows = {(row[0], row[1]): row[2:] for row in page.tables["Every tier and window before and after"][1:]}
    for w in colossus.windows:
        before = next(x for x in s.limit(str(s.tier(w.tier).limit)).windows if x.name == w.window)
        assert before.tokens is not None
        assert rows[w.tier, w.window] == [
            words.tokens(before.tokens.value),
            words.tokens(w.tokens.value),
            f"{words.tokens(w.tokens.low)} to {words.tokens(w.tokens.high)}",
            words.share(v.hit_before[w.tier][w.window]),
            words.share(v.hit_after[w.tier][w.window]),
            words.share(v.binds_before[w.tier].get(w.window, 0.0)),
            words.share(v.binds_after[w.tier].get(w.window, 0.0)),
        ]
    assert "counted × 1.58 (assumed, 1.25 to 2.00) in the peak hours" in page.sections["change"]


def test_sites_stand_on_the_map_at_their_place_and_size(colossus: Plan, read: Read) -> None:
    figure = _figure(colossus, "sites", "map")
    circles = figure.data[1]
    s = colossus.scenario
    for name, x, y in zip(circles.text, circles.x, circles.y, strict=True):
        assert (x, y) == (s.site(name).longitude, s.site(name).latitude)
    size = dict(zip(circles.text, circles.marker.size, strict=True))
    watts = {name: fleet(s, name).power_w["site_chain"] or 0.0 for name in size}
    big = max(watts, key=lambda name: watts[name])
    assert (size["google-cloud"] / size[big]) ** 2 == pytest.approx(watts["google-cloud"] / watts[big])
    assert {"geo", "mapbox", "map"}.isdisjoint(figure.layout.to_plotly_json())
    rows = read(colossus).tables["Sites, all power at nameplate"][1:]
    assert [row[0] for row in rows] == [site.name for site in s.sites if site.orbit is None]


def test_the_outline_is_small_and_says_how_it_was_made() -> None:
    found = outlines()
    assert "by hand" in found["made"]
    assert len(json.dumps(found, separators=(",", ":"))) < 15_000
    for group in ("united states", "world"):
        for line in found[group].values():
            assert line[0] == line[-1]
            assert all(-180 <= x <= 180 and -90 <= y <= 90 for x, y in line)


def test_a_site_across_the_sea_shows_the_world_and_one_in_orbit_stands_beside_the_map(read: Read) -> None:
    place = ["sites.here.latitude=48.1", "sites.here.longitude=11.6"]
    sky = {"kind": "orbital", "orbit": {"altitude": "600 km", "ltan": 6}}
    p = plan(load("laptop", sets=["worlds=1", "horizon=1 d", *place]).replace({"sites.sky": sky}))
    figure = _figure(p, "sites", "map")
    assert tuple(figure.layout.xaxis.range) == (-170, 180)
    assert list(figure.data[1].text) == ["here"]
    rows = read(p).tables["In orbit, on no map"][1:]
    assert rows == [["sky", "600 km, ascending node at 6.00 h local time", "0", "0 W"]]


def test_the_ladder_s_rungs_and_lines_are_the_view_s(colossus: Plan, read: Read) -> None:
    data = utilization_data(colossus.scenario, colossus.central)
    page = read(colossus)
    rows = page.tables["The ladder: what a reported share would become"][1:]
    steps = data["ladders"][0]["steps"]
    assert [row[1] for row in rows[1:]] == [words.share(rung["reached"]) for rung in steps["value"]]
    notes = [a.text for a in _figure(colossus, "utilization", "ladder").layout.annotations]
    assert notes == ["11 %: training MFU, reported", "40 %: training MFU, reported"]
    caption = "The same word elsewhere, for comparison; none of these is a stage of the waterfall"
    assert [row[0] for row in page.tables[caption][1:3]] == ["training MFU, reported"] * 2
    for sentence in data["says"]:
        assert sentence in page.sections["utilization"]


def test_air_is_modelled_and_every_allegation_has_its_author_and_answer(colossus: Plan, read: Read) -> None:
    data, page = emissions(colossus.scenario, colossus.central), read(colossus)
    memphis = data["sites"]["memphis"]
    rows = page.tables["Energy by source over 168 hours, modelled"][1:]
    drawn = memphis["drawn"]["with_turbines"]["energy_mwh"]
    assert rows[0][2] == words.digits(drawn["grid"] / 1e3)
    assert rows[-1][-1] == words.digits(memphis["nameplate"]["without_turbines"]["energy_mwh"]["short"] / 1e3)
    for sentence in memphis["says"]:
        assert sentence in page.sections["air"]
    claims = page.tables["What is said of the place, by whom, and the answer given"][1:]
    assert len(claims) == len(data["claims"])
    alleged = [row for row in claims if row[2].startswith("alleged")]
    assert alleged
    assert all(row[3].startswith("xAI: ") for row in alleged)
    modelled = [c for c in page.tables if c.startswith(("Energy by source", "CO2 by", "Permits", "What turbines"))]
    assert len(modelled) == 4
    assert all("modelled" in caption for caption in modelled)


def test_movers_of_a_verdict_move_people_not_limits(colossus: Plan, read: Read) -> None:
    assert "compares the people carried" in read(colossus).sections["movers"]


def test_every_colour_has_a_partner_in_the_dark(colossus: Plan) -> None:
    for chapter in chapters(colossus, date(2026, 11, 22)):
        for exhibit in chapter.exhibits:
            used = set(re.findall(r'"(#[0-9a-fA-F]{3,8}|rgba?\([^"]*\))"', exhibit.figure.to_json()))
            assert used - {"rgba(0,0,0,0)"} <= plots.DARK.keys(), exhibit.name


def test_a_view_becomes_a_chapter_and_one_without_data_none() -> None:
    empty, full = Table("nothing", ("a",), []), Table("something", ("a", "b"), [("x", "1")])
    assert view_chapter("risk", "Risk", [], [empty]) is None
    made = view_chapter("risk", "Risk", ["A sentence."], [empty, full])
    assert made is not None
    assert (made.key, made.title, list(made.said), list(made.tables)) == ("risk", "Risk", ["A sentence."], [full])


def _figure(p: Plan, key: str, name: str) -> Any:
    chapter = next(c for c in chapters(p, date(2026, 11, 22)) if c.key == key)
    return next(e.figure for e in chapter.exhibits if e.name == name)
