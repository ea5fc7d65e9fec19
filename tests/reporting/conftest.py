"""Plans to report on, and a page read back as a reader's program sees it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ampacity.planner.plan import Plan, plan
from ampacity.reporting.page import report
from ampacity.scenario.load import load
from ampacity.scenario.worlds import draw

HOSTILE = "</script><script>document.title='broken'</script><img src=x onerror=alert(1)>"

TWO_MODELS = f"""extends: laptop
title: "{HOSTILE}"
worlds: 20
sites: {{here: {{power: {{value: 40 kW, basis: server}}}}}}
contracts:
  more:
    supplier: another cloud
    start: 2026-12-01
    deliveries:
      - {{site: here, accelerator: h200-sxm, quantity: 16, ramp: [{{date: 2026-12-01, quantity: 8}}]}}
    fee: {{monthly: {{value: 20000 USD/month, source: "{HOSTILE}"}}}}
    take_or_pay: 80 %
placements:
  second: {{model: llama-3.1-8b, contract: more}}
limits:
  counted:
    windows:
      "{HOSTILE}": {{length: 5 h, tokens: 3 Mtoken, weights: {{cache_read: 0.1}}}}
      weekly: {{length: 7 d}}
tiers:
  students: {{people: 300, model: llama-3.1-8b, limit: counted, behaviour: {{context_tokens: 20000}}}}
"""


class Page(HTMLParser):
    """A page taken apart.

    elements: (tag, attributes) in order. sections: visible text by section id. tables: rows of cell texts by caption.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self.footer = self.style = self.title = ""
        self._open: list[str] = []
        self._section = self._caption = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag in ("meta", "input", "img", "link", "br"):
            return
        self._open.append(tag)
        if tag == "section":
            self._section = str(found["id"])
            self.sections[self._section] = ""
        if tag == "caption":
            self._caption = ""
        if tag == "tr":
            self.tables.setdefault(self._caption, []).append([])
        if tag in ("td", "th"):
            self.tables[self._caption][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes nothing"
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            return
        if self._section:
            self.sections[self._section] += data
        if "caption" in self._open:
            self._caption += data
        if "td" in self._open or ("th" in self._open and "tr" in self._open):
            self.tables[self._caption][-1][-1] += data
        for name in ("footer", "style", "title"):
            if name in self._open:
                setattr(self, name, getattr(self, name) + data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every element of a tag."""
        return [attrs for t, attrs in self.elements if t == tag]


@pytest.fixture(scope="session")
def laptop() -> Plan:
    """The packaged scenario over fewer worlds, so that tests are quick."""
    return plan(load("laptop", sets=["worlds=120"]))


@pytest.fixture(scope="session")
def colossus() -> Plan:
    """The packaged scenario about public facts over few worlds: enough for movers, quick enough for tests."""
    return plan(load("colossus-1", sets=["worlds=100", "horizon=7 d"]))


@pytest.fixture(scope="session")
def one_world() -> Plan:
    """The same with nothing left as a range."""
    return plan(draw(load("laptop"), 1, 0))


@pytest.fixture(scope="session")
def nothing() -> Plan:
    """A contract that begins after the planned days: no capacity at all."""
    return plan(load("laptop", sets=["contracts.server.start=2027-06-01", "worlds=5"]))


@pytest.fixture(scope="session")
def unpriced() -> Plan:
    """No fee, no price of electricity, no carbon intensity."""
    without = ("sites.here.electricity", "sites.here.carbon", "contracts.server.fee")
    return plan(load("laptop", sets=[*(f"{key}=null" for key in without), "worlds=5"]))


@pytest.fixture(scope="session")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Two contracts, two models, a stated window with weights, and text that would like to be markup."""
    path = tmp_path_factory.mktemp("scenario") / "two.yaml"
    path.write_text(TWO_MODELS, encoding="utf-8")
    return plan(load(path))


@pytest.fixture(scope="session")
def read() -> Callable[[Plan], Page]:
    """A plan's page, taken apart; it is written once of each plan that tests share."""
    pages: dict[int, tuple[Plan, Page]] = {}

    def page(p: Plan) -> Page:
        if id(p) not in pages:
            pages[id(p)] = p, Page(report(p, on=date(2026, 11, 22)).html)
        return pages[id(p)][1]

    return page


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Plan, str], Path]:
    """A plan's page as a file."""
    folder = tmp_path_factory.mktemp("pages")
    return lambda p, name: report(p, on=date(2026, 11, 22)).save(folder / f"{name}.html")


@pytest.fixture(scope="session")
def hostile() -> str:
    """Text that would like to be markup."""
    return HOSTILE


@pytest.fixture(scope="session")
def contrast() -> Callable[[str, str], float]:
    """Contrast of two colours as WCAG 2.2 defines it, 1 to 21."""

    def luminance(colour: str) -> float:
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def ratio(a: str, b: str) -> float:
        low, high = sorted((luminance(a), luminance(b)))
        return (high + 0.05) / (low + 0.05)

    return ratio
