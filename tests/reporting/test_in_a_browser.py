"""The page in a real Chromium, offline: it draws, changes its colours, fits a phone, and asks nothing of anyone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ampacity.planner.plan import Plan

DARK_INK, LIGHT_INK = "rgb(36, 39, 44)", "rgb(230, 228, 223)"
LIGHT_PAPER, DARK_PAPER = "rgb(251, 250, 247)", "rgb(22, 24, 27)"
AXIS = "#figure-waterfall .xtick text"
FIGURES = ["waterfall", "supply-and-demand", "mean-week", "limits", "cost", "power", "movers"]
PUBLIC_FIGURES = ["people", "change", "map", "ladder", "air"]

pytestmark = pytest.mark.browser


class Visit:
    """An open page with all that it complained of and asked for."""

    def __init__(self, browser: Any, path: Path, scheme: str = "light", width: int = 1280) -> None:
        size = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, color_scheme=scheme, offline=True)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("dialog", lambda d: (self.complaints.append(d.message), d.dismiss()))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_function(
            "[...document.querySelectorAll('[data-figure]')].every(e => e.querySelector('svg'))"
        )

    def colour(self, selector: str, what: str) -> str:
        found: str = self.page.evaluate("([s, w]) => getComputedStyle(document.querySelector(s))[w]", [selector, what])
        return found

    def axis_ink(self) -> str:
        return self.colour(AXIS, "fill")

    def wait_for_ink(self, colour: str) -> None:
        """Media queries tell the page of a change a moment later."""
        expression = "([s, c]) => getComputedStyle(document.querySelector(s)).fill === c"
        self.page.wait_for_function(expression, arg=[AXIS, colour], timeout=5000)


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visit]]:
    visits: list[Visit] = []

    def open_(path: Path, **how: Any) -> Visit:
        visits.append(Visit(chromium, path, **how))
        return visits[-1]

    yield open_
    for v in visits:
        v.context.close()
        assert not v.complaints
        assert all(url.startswith(("file:", "data:", "blob:")) for url in v.requests)


@pytest.fixture(scope="module")
def laptop_page(laptop: Plan, saved: Callable[[Plan, str], Path]) -> Path:
    return saved(laptop, "laptop")


@pytest.fixture(scope="module")
def colossus_page(colossus: Plan, saved: Callable[[Plan, str], Path]) -> Path:
    return saved(colossus, "colossus")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", ["laptop", "colossus"])
def test_it_opens_offline_draws_every_figure_and_never_scrolls_sideways(
    which: str, scheme: str, width: int, request: pytest.FixtureRequest, visit: Callable[..., Visit]
) -> None:
    v = visit(request.getfixturevalue(f"{which}_page"), scheme=scheme, width=width)
    assert v.page.evaluate("document.documentElement.scrollWidth") <= width
    assert v.page.evaluate("document.body.scrollWidth") <= width
    for name in [*FIGURES, *(PUBLIC_FIGURES if which == "colossus" else [])]:
        marks = v.page.evaluate(
            """name => {
              const box = document.querySelector(`#figure-${name} .drawing`).getBoundingClientRect();
              const svg = document.querySelector(`#figure-${name} svg.main-svg`).getBoundingClientRect();
              const marks = [...document.querySelectorAll(`#figure-${name} .cartesianlayer .trace path`)];
              const seen = marks.filter(m => { const b = m.getBoundingClientRect(); return b.width + b.height > 0; });
              return [seen.length, svg.width - box.width, svg.width];
            }""",
            name,
        )
        assert marks[0] > 0, f"{name} has no marks"
        assert marks[1] <= 1, f"{name} is wider than its box"
        assert marks[2] > 200
    assert v.colour("body", "backgroundColor") == (DARK_PAPER if scheme == "dark" else LIGHT_PAPER)
    assert v.axis_ink() == (LIGHT_INK if scheme == "dark" else DARK_INK)


@pytest.mark.parametrize("width", [1280, 390])
def test_names_on_the_map_do_not_run_into_each_other(
    width: int, colossus_page: Path, visit: Callable[..., Visit]
) -> None:
    boxes = visit(colossus_page, width=width).page.evaluate(
        """() => [...document.querySelectorAll('#figure-map .textpoint text')].map(t => {
          const b = t.getBoundingClientRect();
          return [t.textContent, b.left, b.right, b.top, b.bottom];
        })"""
    )
    assert len(boxes) == 5
    for i, (one, left, right, top, bottom) in enumerate(boxes):
        assert left >= 0
        assert right <= width
        for other, left2, right2, top2, bottom2 in boxes[i + 1 :]:
            apart = right <= left2 + 1 or right2 <= left + 1 or bottom <= top2 + 4 or bottom2 <= top + 4
            assert apart, f"{one} runs into {other}"


def test_the_button_changes_page_and_figures_and_is_remembered(laptop_page: Path, visit: Callable[..., Visit]) -> None:
    v = visit(laptop_page)
    light = (v.colour("body", "backgroundColor"), v.axis_ink())
    v.page.click("#theme")
    dark = (v.colour("body", "backgroundColor"), v.axis_ink())
    assert dark == (DARK_PAPER, LIGHT_INK)
    v.page.reload()
    v.page.wait_for_selector("#figure-movers svg")
    assert (v.colour("body", "backgroundColor"), v.axis_ink()) == dark
    v.page.click("#theme")
    assert (v.colour("body", "backgroundColor"), v.axis_ink()) == light


def test_figures_follow_the_system_when_it_changes(laptop_page: Path, visit: Callable[..., Visit]) -> None:
    v = visit(laptop_page)
    assert (v.colour("body", "backgroundColor"), v.axis_ink()) == (LIGHT_PAPER, DARK_INK)
    v.page.emulate_media(color_scheme="dark")
    v.wait_for_ink(LIGHT_INK)
    assert (v.colour("body", "backgroundColor"), v.axis_ink()) == (DARK_PAPER, LIGHT_INK)
    v.page.emulate_media(color_scheme="light")
    v.wait_for_ink(DARK_INK)
    assert (v.colour("body", "backgroundColor"), v.axis_ink()) == (LIGHT_PAPER, DARK_INK)


def test_the_search_box_filters(laptop_page: Path, visit: Callable[..., Visit]) -> None:
    v = visit(laptop_page)
    rows = "document.querySelectorAll('#claims tbody tr:not([hidden])')"
    every = v.page.evaluate(f"{rows}.length")
    v.page.fill("#search", "PUE")
    assert v.page.evaluate(f"[...{rows}].map(r => r.dataset.path)") == ["sites.here.pue"]
    assert v.page.inner_text("#shown") == f"1 of {every} shown"
    assert v.page.locator("#claims tbody tr:visible").count() == 1
    v.page.fill("#search", "measured developers")
    assert 0 < v.page.evaluate(f"{rows}.length") < every
    v.page.fill("#search", "nothing is called this")
    assert v.page.inner_text("#shown") == f"0 of {every} shown"
    v.page.fill("#search", "")
    assert v.page.evaluate(f"{rows}.length") == every


def test_weeks_can_be_turned_and_stay_when_the_colours_change(laptop_page: Path, visit: Callable[..., Visit]) -> None:
    v = visit(laptop_page)
    shown = "document.querySelector('#figure-supply-and-demand .drawing')._fullLayout.xaxis.range.map(String)"
    v.page.click("text=Week after")
    second = v.page.evaluate(shown)
    assert [day[:10] for day in second] == ["2026-11-30", "2026-12-07"]
    v.page.click("#theme")
    assert v.page.evaluate(shown) == second
    v.page.click("text=All days")
    assert [day[:10] for day in v.page.evaluate(shown)] == ["2026-11-23", "2026-12-21"]
    for _ in range(6):
        v.page.click("text=Week before")
    assert v.page.evaluate(shown)[0][:10] == "2026-11-23"


def test_on_paper_it_is_light_and_fits(laptop_page: Path, visit: Callable[..., Visit]) -> None:
    v = visit(laptop_page, scheme="dark")
    v.page.emulate_media(media="print")
    v.wait_for_ink(DARK_INK)
    assert v.page.evaluate("document.querySelector('#figure-limits svg').getBoundingClientRect().width") <= 661
    assert v.page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("which", ["one_world", "nothing", "unpriced", "two_models"])
def test_unusual_plans_open_without_complaint(
    which: str, request: pytest.FixtureRequest, saved: Callable[[Plan, str], Path], visit: Callable[..., Visit]
) -> None:
    v = visit(saved(request.getfixturevalue(which), which), width=390)
    assert v.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert v.page.title() != "broken"
    assert v.page.locator("img").count() == 0


def test_the_page_of_a_comparison_draws_its_figures_and_complains_of_nothing(chromium: Any, tmp_path: Path) -> None:
    from ampacity.planner.compare import compare
    from ampacity.reporting.compare_page import compare_page

    page = compare_page(compare("2026-03-26", "2026-05-06", worlds=2, people=200)).save(tmp_path / "compared.html")
    visit = Visit(chromium, page, width=390)
    assert visit.complaints == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in visit.requests)
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 390
    visit.context.close()
