"""The report says what the plan found, whole and in order, and needs nothing but itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ampacity.planner.plan import Plan, plan
from ampacity.reporting import words
from ampacity.reporting.page import FOOTER, report
from ampacity.scenario.load import load
from ampacity.supply.waterfall import MEANING, STAGES

Read = Callable[[Plan], Any]

CHAPTERS = ["answer", "waterfall", "supply", "limits", "cost", "energy", "movers", "sources"]


def test_all_chapters_are_there_in_their_order(laptop: Plan, read: Read) -> None:
    page = read(laptop)
    assert list(page.sections) == CHAPTERS
    assert [a["href"] for a in page.of("a") if a.get("class") != "skip"] == [f"#{key}" for key in CHAPTERS]
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for a in page.of("a")} <= set(ids)


def test_the_answer_is_the_plan_s_own_with_its_birth_certificate(laptop: Plan, read: Read) -> None:
    said = read(laptop).sections["answer"]
    for sentence in words.sentences(laptop):
        assert sentence in said
    for fact in ("laptop", "23 November 2026 to 20 December 2026 (28 days)", "22 November 2026", "120, drawn from"):
        assert fact in said
    for fact in (laptop.record.scenario_hash, laptop.record.version, "99.5 % of hours; at most 50 ms"):
        assert fact in said


def test_a_dated_plan_says_its_day(read: Read) -> None:
    p = plan(load("laptop", sets=["worlds=1"], as_of=date(2026, 10, 1)))
    assert "1 October 2026" in read(p).sections["answer"]


def test_the_waterfall_s_numbers_are_the_plan_s(laptop: Plan, read: Read) -> None:
    rows = read(laptop).tables["Accelerator-hours over the planned days, stage by stage"][1:]
    totals = laptop.central.bookings[0].totals
    assert [row[0] for row in rows] == list(STAGES)
    for stage, what, hours, _ in rows:
        assert what == MEANING[stage]
        assert float(hours.replace(",", "")) == pytest.approx(totals[stage] / 3.6e6, rel=5e-3)  # three digits
    for (before, stage), row in zip(pairwise(STAGES), rows[1:], strict=True):
        assert row[3] == f"{words.share(totals[stage] / totals[before])} of {before}"


def test_mfu_and_mbu_stand_beside_useful_and_say_that_they_are_of_serving(laptop: Plan, read: Read) -> None:
    page = read(laptop)
    assert re.search(r"\(MFU\) and \d+ % of their peak memory bandwidth \(MBU\)", page.sections["waterfall"])
    point = laptop.central.models[0].points["developers", "server/here/h100-sxm"]
    rows = page.tables["At full load, for each tier's mix of tokens, on each replica of the pool"]
    assert rows[1][-3:] == [words.share(x) for x in (point.useful, point.mfu, point.mbu)]


def test_every_window_is_told_whole(laptop: Plan, read: Read) -> None:
    page = read(laptop)
    caption = next(c for c in page.tables if c.startswith("Every tier and window"))
    for w, row in zip(laptop.windows, page.tables[caption][1:], strict=True):
        assert w.people_hit_share is not None
        people = f"{words.digits(50 * w.people_hit_share.value, 2)} of 50 ({words.hit(w)})"
        binds = f"{'yes' if w.binding else 'no'} ({words.share(w.binding_share)} of worlds)"
        interval = f"{words.tokens(w.tokens.low)} to {words.tokens(w.tokens.high)}"
        assert row == [
            w.tier,
            w.window,
            words.duration(w.length_s),
            words.tokens(w.tokens.value),
            interval,
            words.tokens(w.guaranteed),
            binds,
            people,
            words.share(w.unserved_share.value),
        ]
    assert "Without a window, and served as they ask: tools." in page.sections["limits"]


def test_cost_by_kind_and_what_it_is_made_of(laptop: Plan, read: Read) -> None:
    tables = read(laptop).tables
    for (_, c), row in zip(laptop.cost_usd_per_mtok.items(), tables["USD per million tokens served"][1:], strict=True):
        assert c is not None
        assert row[1:3] == [words.digits(c.value), f"{words.digits(c.low)} to {words.digits(c.high)}"]
    parts = {row[0]: row[1] for row in tables["What it is made of"][1:]}
    energy = laptop.central.energy[0].cost_usd
    assert energy is not None
    assert parts["fees of contracts"] == words.usd(laptop.central.fees_usd)
    assert parts["electricity"] == words.usd(energy)
    assert parts["together"] == words.usd(laptop.central.cost_usd)


def test_energy_is_told_on_three_bases_and_said_to_be_modelled(laptop: Plan, read: Read) -> None:
    page = read(laptop)
    rows = page.tables["Power and energy, modelled"][1:]
    e, output = laptop.central.energy[0], laptop.central.tokens()["output"]
    for joules, row in zip((e.server_j, e.it_j, e.facility_j), rows, strict=True):
        assert row[2] == f"{words.digits(joules / laptop.central.hours.count / 3.6e6)} kW"
        assert float(row[3].removesuffix(" kWh")) == pytest.approx(joules / 4 / 3.6e6, rel=5e-3)
        assert row[5] == words.digits(joules / output)
    assert "of CO2 a week" in page.sections["energy"]
    assert "modelled from the carbon intensity of the grid, not measured" in page.sections["energy"]


def test_movers_stand_in_the_plan_s_order_with_words_for_their_paths(laptop: Plan, read: Read) -> None:
    rows = read(laptop).tables["Ranges by how much they move the limits"][1:]
    assert [row[4] for row in rows] == [f"× {words.digits(m.factor)}" for m in laptop.movers]
    assert ["active hours of a person", "tier developers"] in [row[:2] for row in rows]
    assert not any("_" in cell for row in rows for cell in row)


def test_supply_and_demand_tables_hold_the_plan_s_lines(laptop: Plan, read: Read) -> None:
    tables = read(laptop).tables
    days = tables["Accelerators by local day"][1:]
    assert len(days) == 28
    assert days[0][1] == "2026-11-23"
    load_ = laptop.central.models[0]
    assert days[0][2] == words.digits(load_.capacity[:24].mean())
    week = tables["Accelerators by hour of the local week, means"][1:]
    assert len(week) == 168
    assert week[0][1] == "Monday 00:00"


def test_every_figure_has_words_a_caption_and_a_twin_in_numbers(laptop: Plan, read: Read) -> None:
    page = read(laptop)
    drawings = [attrs for attrs in page.of("div") if "data-figure" in attrs]
    assert len(drawings) == 7
    assert all(d["role"] == "img" and len(str(d["aria-label"])) > 30 for d in drawings)
    assert len(page.of("figure")) == len(page.of("figcaption")) == len(page.of("details")) == 7
    assert all(rows[1:] for rows in page.tables.values())


def test_the_page_asks_nothing_of_any_network(laptop: Plan, read: Read) -> None:
    page = read(laptop)
    for tag, attrs in page.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "source")
        for name in ("src", "srcset", "action", "formaction", "poster", "data", "ping"):
            assert name not in attrs, f"<{tag} {name}>"
        assert str(attrs.get("href", "#")).startswith("#")
        assert "url(" not in str(attrs.get("style", ""))
    assert "url(" not in page.style
    assert "@import" not in page.style
    policy = next(m["content"] for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'")


def test_plotly_is_inside_once(laptop: Plan) -> None:
    html = report(laptop).html
    assert html.count("* plotly.js v") == 1
    assert 4e6 < len(html) < 6e6


def test_text_of_a_scenario_stays_text(two_models: Plan, read: Read, hostile: str) -> None:
    page = read(two_models)
    assert len(page.of("script")) == len(page.of("figure")) + 3
    assert not page.of("img")
    assert page.title.startswith(hostile)
    assert hostile in page.sections["limits"]
    assert hostile in page.sections["sources"]
    assert hostile not in report(two_models).html


def test_the_footer_says_what_the_page_is_not(laptop: Plan, read: Read) -> None:
    assert FOOTER == "A model; not a finding, not advice. Emissions are modelled."
    assert FOOTER in read(laptop).footer


def test_without_ranges_there_is_one_world_and_no_interval(one_world: Plan, read: Read) -> None:
    page = read(one_world)
    assert "one: nothing in it is a range" in page.sections["answer"]
    assert "nothing moves the answer" in page.sections["movers"]
    assert "Bar: 90 %" not in page.sections["limits"]


def test_without_capacity_every_chapter_says_so(nothing: Plan, read: Read) -> None:
    said = read(nothing).sections
    assert list(said) == CHAPTERS
    assert "No limit is carried" in said["answer"]
    assert "No contract is in force in these days: zero accelerator-hours." in said["waterfall"]
    assert "Nothing runs for llama-3.1-70b in these days" in said["supply"]
    assert "No limit above zero is carried" in said["limits"]
    assert "No token is served" in said["cost"]
    assert "Nothing draws power in these days." in said["energy"]


def test_what_is_not_priced_is_not_called_free(unpriced: Plan, read: Read) -> None:
    said = read(unpriced).sections
    assert "what it costs is not known" in said["cost"]
    assert "0 USD" not in said["cost"]
    assert "CO2 is not known" in said["energy"]


@pytest.mark.parametrize(
    ("key", "sentence"),
    [("contracts.server.fee", "only electricity is in these figures"), ("sites.here.electricity", "only fees are in")],
)
def test_a_price_that_is_missing_is_named(key: str, sentence: str, read: Read) -> None:
    assert sentence in read(plan(load("laptop", sets=[f"{key}=null", "worlds=2"]))).sections["cost"]


def test_two_models_have_a_line_each(two_models: Plan, read: Read) -> None:
    page = read(two_models)
    assert {row[0] for row in page.tables["Accelerators by local day"][1:]} == {"llama-3.1-70b", "llama-3.1-8b"}
    assert len(page.tables["Accelerator-hours by pool"]) == 3
    assert "cache read × 0.1" in page.sections["limits"]
    assert "3.00 M, as stated" in page.sections["limits"]


@pytest.mark.parametrize("sets", [["horizon=1 d"], ["horizon=7 d"], ["tiers.developers.limit=null"]])
def test_short_plans_and_plans_without_windows_have_a_page(sets: list[str], read: Read) -> None:
    assert list(read(plan(load("laptop", sets=[*sets, "worlds=2"]))).sections) == CHAPTERS


def test_the_same_plan_on_the_same_day_is_the_same_page(laptop: Plan) -> None:
    day = date(2026, 11, 22)
    assert report(laptop, on=day).html == report(laptop, on=day).html


def test_saving_leaves_the_page_and_nothing_beside_it(laptop: Plan, tmp_path: Path) -> None:
    page = report(laptop)
    path = page.save(tmp_path / "laptop.html")
    assert path.read_text(encoding="utf-8") == page.html
    assert [p.name for p in tmp_path.iterdir()] == ["laptop.html"]


def test_text_stands_out_from_paper_in_light_in_dark_and_in_print(laptop: Plan, read: Read, contrast: Any) -> None:
    themes = re.findall(
        r"--paper: (#\w+); --raised: (#\w+); --text: (#\w+); --soft: (#\w+).*?--link: (#\w+); --mark: (#\w+)",
        read(laptop).style,
    )
    assert len(themes) == 4
    for paper, raised, *inks in themes:
        for ink in inks:
            assert contrast(ink, paper) >= 4.5
            assert contrast(ink, raised) >= 4.5
