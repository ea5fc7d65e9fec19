"""The chapter on utilization: this scenario's ratios, what others call utilization, and the ladder of levers."""

from __future__ import annotations

from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ampacity.planner.interval import Interval
from ampacity.planner.plan import Plan
from ampacity.reporting import plots
from ampacity.reporting.chapter import Chapter, Exhibit, Table, view_chapter
from ampacity.reporting.utilization_view import utilization_data
from ampacity.reporting.words import digits, share
from ampacity.supply import ladder
from ampacity.supply.ladder import ENDS, Lever, Line

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

START, REACHES_FOR = "xai-11", "competitors-40"
"""The lines of the catalog from which the ladder starts, and for which it reaches."""


def utilization(p: Plan) -> Chapter | None:
    """Ratios, reference lines and levers of a scenario about public facts; None for one's own."""
    if p.scenario.about != "public":
        return None
    data = utilization_data(p.scenario, p.central)
    known, lines = ladder.levers(p.scenario.as_of), ladder.lines(p.scenario.as_of)
    start, goal = (next((line for line in lines if line.name == name), None) for name in (START, REACHES_FOR))
    exhibits = []
    rungs = _rungs(start, known) if start is not None else []
    if start is not None and len(rungs) > 1:
        rows = [(name, *(share(x) for x in (i.value, i.low, i.high))) for name, i in rungs]
        columns = ("With every lever down to this one", "At its middle value", "All at low ends", "All at high ends")
        told = "; ".join(f"{row[0]}: {row[1]}, {row[2]} to {row[3]}" for row in rows)
        caption = (
            "Each row adds one lever to those above it. Dot: middle of the published gains. Bar: all at their low and "
            f"all at their high ends. {data['caveat']}"
        )
        table = Table("The ladder: what a reported share would become", columns, rows)
        exhibits.append(Exhibit("ladder", told + ".", caption, ladder_figure(start, goal, rungs), table))
    tables = [_ratios(data), _lines(data), _levers(data)]
    said = [x for x in data["says"] if x != data["caveat"] or not exhibits]
    return view_chapter("utilization", "Utilization, and what would raise it", said, tables, exhibits=exhibits)


def ladder_figure(start: Line, goal: Line | None, rungs: list[tuple[str, Interval]]) -> Figure:
    """The ladder as intervals, with the reported start and goal as lines that say what they are."""
    names = ["<br>".join(wrap(escape(name), 20)) for name, _ in rungs]
    found = [Interval(100 * i.value, 100 * i.low, 100 * i.high) for _, i in rungs]
    told = [f"{share(i.value)}, {share(i.low)} to {share(i.high)}" for _, i in rungs]
    colours = [plots.VERMILLION, *[plots.BLUE] * (len(rungs) - 1)]
    figure = plots.intervals(names, found, colours, told, "at middle values", "low to high ends")
    figure.update_layout(showlegend=False)
    figure.update_xaxes(title="share, if gains multiply [%]", range=[0, max(i.high for i in found) * 1.08])
    plots.styled(figure, 150 + 62 * len(rungs))
    figure.update_layout(margin={"t": 62})
    for line, above, side in ((start, 24, "left"), (goal, 2, "center")):
        if line is None:
            continue
        at = 100 * line.value.value
        figure.add_vline(x=at, line={"color": plots.GREY, "width": 1.5, "dash": "dot"}, layer="below")
        figure.add_annotation(
            x=at,
            y=1,
            yref="paper",
            yshift=above,
            text=f"{share(line.value.value)}: {escape(line.words)}, {escape(line.value.status)}",
            showarrow=False,
            xanchor=side,
            yanchor="bottom",
        )
    return figure


def _rungs(start: Line, known: tuple[Lever, ...]) -> list[tuple[str, Interval]]:
    """The start, then one more lever at a time, the strongest first."""
    v, own = start.value.value, ladder.fleet_levers(known)
    found = [(f"{start.words}, {start.value.status}", Interval(v, v, v))]
    for i, lever in enumerate(own, 1):
        low, value, high = (ladder.multiply(v, own[:i], end).reached for end in ENDS)
        found.append((f"+ {lever.name}", Interval(value, low, high)))
    return found


def _ratios(data: dict[str, Any]) -> Table:
    rows = [(r["name"], r["numerator"], r["denominator"], r["means"], share(r["value"])) for r in data["ratios"]]
    columns = ("Ratio", "Numerator", "Denominator", "What it says", "Value")
    return Table("This scenario's ratios at the stated values, modelled", columns, rows, text_columns=4)


def _lines(data: dict[str, Any]) -> Table:
    rows = [
        (
            f"{r['words']}, {r['status']}",
            r["numerator"],
            r["denominator"],
            f"{r['who']}, known since {r['known_since']}: {r['source']}",
            share(r["value"]),
        )
        for r in data["lines"]
    ]
    columns = ("Called", "Numerator", "Denominator", "Who says so", "Value")
    caption = "The same word elsewhere, for comparison; none of these is a stage of the waterfall"
    return Table(caption, columns, rows, text_columns=4)


def _levers(data: dict[str, Any]) -> Table:
    rows = [
        (
            r["name"],
            r["words"],
            r["stage"],
            r["acts_on"] + (", of a part of a fleet: shown, not multiplied" if r["scope"] == "part" else ""),
            f"{r['status']}, {r['who']}: {r['source']}",
            f"× {digits(r['value'])}",
            f"{digits(r['low'])} to {digits(r['high'])}",
        )
        for r in data["levers"]
    ]
    columns = ("Lever", "What it is", "Stage", "Acts on", "Who says so", "Gain", "Low to high")
    return Table("Levers with their published gains", columns, rows, text_columns=5)
