"""The report: one HTML file that opens offline, in light and dark, on paper and on a phone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ampacity.base.calendar import today
from ampacity.base.files import write_whole
from ampacity.planner.plan import Plan
from ampacity.reporting.chapter import Chapter, day_in_words
from ampacity.reporting.chapters import chapters
from ampacity.reporting.plots import DARK
from ampacity.reporting.verdict_words import DISCLAIMER

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FOOTER = "A model; not a finding, not advice. Emissions are modelled."


@dataclass(frozen=True)
class Report:
    """A page in one string, with everything it needs inside."""

    html: str

    def save(self, path: str | Path) -> Path:
        """Write the page whole or not at all."""
        target = Path(path)
        write_whole(target, self.html)
        return target


def report(
    p: Plan, *, on: date | None = None, requests: Chapter | None = None, measured: Chapter | None = None
) -> Report:
    """The report of a plan. on: the day it says it was written; absent: today.

    requests, measured: chapters of `twin_view` and of a service's journal, which stand behind the limits.
    """
    found = chapters(p, on or today())
    at = next((i + 1 for i, c in enumerate(found) if c.key == "limits"), len(found))
    found[at:at] = [chapter for chapter in (requests, measured) if chapter is not None]
    return rendered(
        p.scenario.title or p.scenario.name,
        found,
        footer=DISCLAIMER if p.scenario.about == "public" else FOOTER,
        version=p.record.version,
        weeks=p.scenario.horizon_days > 7,
    )


def rendered(title: str, found: Sequence[Chapter], *, footer: str, version: str, weeks: bool = False) -> Report:
    """A page of chapters. weeks: whether the figure of supply and demand has more than one week to look at."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    pages = Environment(
        loader=PackageLoader("ampacity.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["day"] = day_in_words
    html = pages.get_template("page.html.j2").render(
        title=title,
        chapters=found,
        footer=footer,
        version=version,
        weeks=weeks,
        drawn=lambda figure: Markup(in_script(drawn(figure))),
        dark=Markup(in_script(json.dumps(DARK))),
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),
    )
    return Report(html)


def drawn(figure: Figure) -> str:
    """What plotly needs to draw a figure, as JSON."""
    text: str = figure.to_json()
    return text


def in_script(text: str) -> str:
    """JSON that no HTML parser can take for the end of its script element."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
