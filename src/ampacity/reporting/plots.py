"""The figures of an answer, as plotly figures: readable in light and dark, by colour-blind eyes, on a phone.

Every figure is drawn in the light palette; the page swaps each colour for its dark partner (`DARK`).
"""

from __future__ import annotations

import re
from html import escape
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ampacity.base.calendar import WEEK_H, day_of, hours_of_week
from ampacity.planner.interval import Interval
from ampacity.planner.limits import ModelLoad
from ampacity.planner.plan import Plan
from ampacity.reporting.sources import claims
from ampacity.reporting.words import count, digits, share, tokens, usd
from ampacity.supply.waterfall import STAGES

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from ampacity.reporting.simulated import Simulated

Array = NDArray[np.float64]

BLUE, VERMILLION, GREEN, GREY, LOST = "#0072b2", "#d55e00", "#007a5a", "#6b7280", "#d8d3c8"
WASH = "rgba(0,114,178,0.3)"
TEXT, GRID, PAPER = "#24272c", "#dedbd3", "#fbfaf7"
DARK = {
    BLUE: "#56b4e9",
    VERMILLION: "#f0a35e",
    GREEN: "#3fc79b",
    GREY: "#9aa3af",
    LOST: "#45484d",
    WASH: "rgba(86,180,233,0.35)",
    TEXT: "#e6e4df",
    GRID: "#3a3d42",
    PAPER: "#16181b",
}
"""Okabe and Ito's palette, darkened on paper and lightened on black until marks stand out 3 : 1."""

KIND_WORDS = {"uncached_input": "uncached input", "output": "output", "all": "all kinds together"}
WEEKDAY_WORDS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def waterfall(p: Plan | Simulated) -> Figure:
    """Accelerator-hours at every stage, with what was lost in reaching it: as planned, or as requests made it."""
    import plotly.graph_objects as go

    hours = stage_hours(p)
    kept = [hours[stage] for stage in STAGES]
    lost = [0.0, *(a - b for a, b in pairwise(kept))]
    ratios = [share(b / a) if a else "none" for a, b in pairwise(kept)]
    labels = [STAGES[0], *(f"{stage} {r}" for stage, r in zip(STAGES[1:], ratios, strict=True))]
    told = [f"{stage}: {count(h)} accelerator-hours" for stage, h in zip(STAGES, kept, strict=True)]
    gone = [f"lost before {stage}: {count(h)} accelerator-hours" for stage, h in zip(STAGES, lost, strict=True)]
    figure = go.Figure(
        [
            bar("left", labels, kept, BLUE, told),
            bar("lost in reaching it", labels, lost, LOST, gone),
        ]
    )
    figure.update_traces(marker_line={"color": GREY, "width": 1}, selector={"name": "lost in reaching it"})
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_layout(legend={"traceorder": "normal"})
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="accelerator-hours", rangemode="tozero", tickformat=",")
    return styled(figure, 380)


def supply_and_demand(p: Plan) -> Figure:
    """Accelerators running, wanted without limits and served under them, hour by hour; one week in view at first."""
    times = local_times(p)
    figure = _lines(p, lambda series: (times, series), "hour, local time of the first site")
    figure.update_xaxes(type="date", range=[times[0], times[min(WEEK_H, len(times) - 1)]])
    return figure


def mean_week(p: Plan) -> Figure:
    """The same three lines, each hour of the local week averaged over all weeks."""
    which = week_hours(p)
    seen = np.unique(which)

    def mean(series: Array) -> tuple[list[int], Array]:
        total = np.bincount(which, weights=series, minlength=WEEK_H)
        return seen.tolist(), (total / np.maximum(np.bincount(which, minlength=WEEK_H), 1))[seen]

    figure = _lines(p, mean, "hour of the week, local time of the first site")
    figure.update_xaxes(
        tickvals=[24 * d + 12 for d in range(7)],
        ticktext=[d[:3] for d in WEEKDAY_WORDS],
        range=[0, WEEK_H],
        showgrid=False,
        zeroline=False,
    )
    for day in range(1, 7):
        figure.add_vline(x=24 * day, line={"color": GRID, "width": 1}, layer="below", row="all", col="all")
    return figure


def limits(p: Plan) -> Figure:
    """Every window on a log axis: what it holds, its 90 % interval, what is guaranteed. One at zero is left out."""
    rows = [w for w in p.windows if w.tokens.value > 0]
    names = [f"{escape(w.tier)}<br>{escape(w.window)}" for w in rows]
    figure = intervals(
        names,
        [w.tokens for w in rows],
        [VERMILLION if w.binding else BLUE for w in rows],
        [f"{tokens(w.tokens.value)} tokens, {tokens(w.tokens.low)} to {tokens(w.tokens.high)}" for w in rows],
        "at the stated values (orange: the window binds)" if any(w.binding for w in rows) else "at the stated values",
    )
    sure = [(n, w.guaranteed) for n, w in zip(names, rows, strict=True) if w.guaranteed > 0 and not w.stated]
    if sure:
        figure.add_scatter(
            x=[g for _, g in sure],
            y=[n for n, _ in sure],
            mode="markers",
            name="guaranteed, if every active person used it up",
            marker={"symbol": "diamond-open", "size": 11, "color": GREY, "line": {"width": 2}},
            hovertext=[f"guaranteed: {tokens(g)} tokens" for _, g in sure],
            hoverinfo="text",
        )
    every = [x for w in rows for x in (w.tokens.low, w.tokens.high, w.guaranteed, w.tokens.value) if x > 0]
    figure.update_xaxes(title="weighted tokens in a window (log scale)", **log_ticks(every, tokens))
    return styled(figure, 190 + 62 * len(rows))


def cost(p: Plan) -> Figure:
    """Cost per million tokens by kind on a log axis, with 90 % intervals."""
    rows = [(KIND_WORDS[k], c) for k, c in p.cost_usd_per_mtok.items() if c is not None and c.value > 0]
    told = [f"{name}: {usd(c.value)}, {usd(c.low)} to {usd(c.high)}" for name, c in rows]
    names = ["<br>".join(wrap(name, 14)) for name, _ in rows]
    figure = intervals(names, [c for _, c in rows], [BLUE] * len(rows), told, "at the stated values")
    every = [x for _, c in rows for x in (c.low, c.high, c.value) if x > 0]
    figure.update_xaxes(title="USD per million tokens (log scale)", **log_ticks(every, lambda x: digits(x, 2)))
    return styled(figure, 190 + 56 * len(rows))


def power(p: Plan) -> Figure:
    """Mean power on the three bases."""
    import plotly.graph_objects as go

    watts = mean_power_w(p)
    size, unit = power_unit(watts["facility"])
    labels = ["server", "IT", "facility"]
    kept = [w / size for w in watts.values()]
    told = [f"{name}: {digits(w)} {unit} on average, modelled" for name, w in zip(labels, kept, strict=True)]
    figure = go.Figure([bar("mean power", labels, kept, GREEN, told)])
    figure.update_layout(showlegend=False, bargap=0.45)
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title=f"mean power, modelled [{unit}]", rangemode="tozero")
    return styled(figure, 210)


def movers(p: Plan) -> Figure:
    """What moves the answer most: worlds with a number in its upper half over those in its lower half."""
    import plotly.graph_objects as go

    said = {c.path: c for c in claims(p.scenario)}
    figure = go.Figure()
    what = moved(p)
    for m in p.movers:
        name = "<br>".join(wrap(escape(said[m.path].what), 24)) + f"<br>({escape(said[m.path].subject)})"
        colour = BLUE if m.factor > 1 else VERMILLION
        figure.add_scatter(
            x=[1.0, m.factor],
            y=[name, name],
            mode="lines+markers",
            line={"color": colour, "width": 4},
            marker={"color": colour, "size": [0, 13], "opacity": 1},
            hovertext=f"{what} × {digits(m.factor, 2)}",
            hoverinfo="text",
            showlegend=False,
        )
    every = [1.0, *(m.factor for m in p.movers)]
    ticks = log_ticks([min(every), max(every)], lambda x: f"×{digits(x, 2)}", steps=(1, 1.5, 2, 3, 5, 7))
    figure.update_xaxes(title=f"factor on the {what} (log scale)", **ticks)
    figure.update_yaxes(range=[len(p.movers) - 0.5, -0.5])
    figure.update_layout(showlegend=False)
    figure.add_vline(x=1, line={"color": GREY, "width": 1})
    return styled(figure, 90 + 64 * len(p.movers))


def moved(p: Plan) -> str:
    """What the ranges are ranked by."""
    return "people carried" if p.verdict is not None else "limits"


def stage_hours(p: Plan | Simulated) -> dict[str, float]:
    """Accelerator-hours of every stage, all pools together."""
    bookings = p.central.bookings if isinstance(p, Plan) else p.measured.bookings
    return {stage: sum(b.totals[stage] for b in bookings) / 3.6e6 for stage in STAGES}


def series(p: Plan, load: ModelLoad) -> dict[str, Array]:
    """Accelerators of one model by hour: running, wanted without limits, served under them."""
    names = {tier.name for tier in load.tiers}
    own = [t for t in p.central.tiers if t.tier in names]
    none = np.zeros(p.central.hours.count)
    return {
        "running": load.capacity,
        "served under limits": sum((t.served_s for t in own), none) / 3600.0,
        "wanted without limits": sum((t.wanted_s for t in own), none) / 3600.0,
    }


def week_hours(p: Plan) -> NDArray[np.int64]:
    """Hour of the first site's week of every hour, from Monday 00:00."""
    hours = p.central.hours
    return np.array(hours_of_week(hours.start_s, hours.count, p.scenario.sites[0].time_zone), dtype=np.int64)


def local_times(p: Plan) -> list[str]:
    """Local time of every hour at the first site, as text that plotly reads as a date."""
    zone = p.scenario.sites[0].time_zone
    days = (day_of(int(begin), zone) for begin in p.central.hours.begins_s)
    return [f"{day} {which % 24:02d}:00" for day, which in zip(days, week_hours(p), strict=True)]


def mean_power_w(p: Plan) -> dict[str, float]:
    """Mean power of all pools over all hours on the three bases. [W]"""
    seconds = 3600.0 * p.central.hours.count
    return {basis: sum(getattr(e, f"{basis}_j") for e in p.central.energy) / seconds for basis in _BASES}


def power_unit(watts: float) -> tuple[float, str]:
    """Size and name of the unit that suits a power."""
    return next(((a, b) for a, b in ((1e9, "GW"), (1e6, "MW"), (1e3, "kW")) if watts >= a), (1.0, "W"))


_BASES = ("server", "it", "facility")
_INK: dict[str, dict[str, Any]] = {
    "running": {"line": {"color": GREEN, "width": 2.5, "shape": "hv"}},
    "served under limits": {"line": {"color": BLUE, "width": 1, "shape": "hv"}, "fill": "tozeroy", "fillcolor": WASH},
    "wanted without limits": {"line": {"color": VERMILLION, "width": 2, "shape": "hv", "dash": "dot"}},
}


def _lines(p: Plan, points: Any, x_title: str) -> Figure:
    """Three lines a model, one panel a model."""
    from plotly.subplots import make_subplots

    loads = p.central.models
    rows = max(len(loads), 1)
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.12 / rows)
    for row, load in enumerate(loads, 1):
        for name, line in series(p, load).items():
            x, y = points(line)
            how = {"name": name, "showlegend": row == 1, "hovertemplate": f"%{{y:.3g}} {name}<extra></extra>"}
            figure.add_scatter(x=x, y=y, mode="lines", **_INK[name], **how, row=row, col=1)
        title = f"accelerators<br>for {escape(load.model)}" if rows > 1 else "accelerators"
        figure.update_yaxes(title=title, row=row, col=1)
    figure.update_yaxes(rangemode="tozero")
    figure.update_xaxes(title=x_title, row=rows, col=1)
    figure.update_layout(hovermode="x unified")
    return styled(figure, 170 + (260 if rows == 1 else 190 * rows))


def bar(name: str, labels: list[str], lengths: list[float], colour: str, told: list[str]) -> Any:
    import plotly.graph_objects as go

    made: Any = go.Bar(
        name=name, y=labels, x=lengths, orientation="h", marker={"color": colour}, hovertext=told, hoverinfo="text"
    )
    return made


def intervals(
    names: list[str],
    found: list[Interval],
    colours: list[str],
    told: list[str],
    dot: str,
    ends_are: str = "90 % of worlds",
) -> Figure:
    """A row each: a bar from low to high, a dot at the value. dot, ends_are: what they are, for the legend."""
    import plotly.graph_objects as go

    figure = go.Figure()
    ends = [x for name, i in zip(names, found, strict=True) for x in ((name, i.low), (name, i.high), (name, None))]
    if any(i.high > i.low for i in found):
        figure.add_scatter(
            x=[x if x is None or x > 0 else None for _, x in ends],
            y=[name for name, _ in ends],
            mode="lines",
            name=ends_are,
            line={"color": GREY, "width": 7},
            opacity=0.55,
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=[i.value for i in found],
        y=names,
        mode="markers",
        name=dot,
        marker={"color": colours, "size": 14},
        hovertext=told,
        hoverinfo="text",
    )
    figure.update_yaxes(range=[len(names) - 0.5, -0.5], type="category")
    return figure


def log_ticks(every: list[float], write: Any, steps: tuple[float, ...] = (1, 2, 5)) -> dict[str, Any]:
    """A log axis from a little under the least to a little over the largest, with ticks in words."""
    low, high = (min(every) / 1.3, max(every) * 1.3) if every else (0.5, 2.0)
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    if high / low > 20:
        steps = (1, 3) if high / low < 300 else (1,)
    ticks = [s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high]
    return {
        "type": "log",
        "range": [float(np.log10(low)), float(np.log10(high))],
        "tickvals": ticks,
        "ticktext": [re.sub(r"\.0+(?!\d)|(?<=\.\d)0+(?!\d)", "", write(t)) for t in ticks],
    }


def styled(figure: Figure, height: int) -> Figure:
    """What all figures share: quiet axes, a legend above, nothing that a scrolling finger would grab."""
    clear = "rgba(0,0,0,0)"
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 10, "r": 16, "t": 56 if figure.layout.showlegend is not False else 12, "b": 10},
        paper_bgcolor=clear,
        plot_bgcolor=clear,
        font={"family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 13, "color": TEXT},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "xanchor": "left"},
        hoverlabel={"bgcolor": PAPER, "bordercolor": GREY, "font": {"color": TEXT}},
        dragmode=False,
    )
    figure.update_xaxes(
        gridcolor=GRID, linecolor=GRID, zerolinecolor=GRID, automargin=True, title_standoff=12, title_font_size=13
    )
    figure.update_yaxes(gridcolor=GRID, linecolor=GRID, zerolinecolor=GRID, automargin=True, title_font_size=13)
    return figure
