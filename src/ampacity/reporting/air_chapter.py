"""The chapter on air and water: energy by source, caps, CO2 by two methods, what is said of a place."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ampacity.planner.plan import Plan
from ampacity.reporting import plots
from ampacity.reporting.air_view import NAMES, emissions
from ampacity.reporting.chapter import Chapter, Exhibit, Table, view_chapter
from ampacity.reporting.words import digits, share

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

KINDS = {
    "grid": "grid",
    "turbine": "turbines with a permit",
    "turbine-without-permit": "turbines that state no permit",
    "short": "short",
}
CASE_WORDS = {"drawn": "as the work draws", "nameplate": "if all drew nameplate"}
TURBINE_WORDS = {"with_turbines": "with turbines", "without_turbines": "without turbines"}
_INKS = {"grid": plots.BLUE, "turbine": plots.VERMILLION, "turbine-without-permit": plots.GREY, "short": plots.LOST}

Row = tuple[str, str, dict[str, float]]


def air(p: Plan) -> Chapter | None:
    """For public facts, and for one's own sites that burn gas or of which something is said; None elsewhere."""
    data = emissions(p.scenario, p.central)
    gas = [name for name in data["sites"] if p.scenario.site(name).turbines]
    if not data["sites"] or (p.scenario.about != "public" and not gas and not data["claims"]):
        return None
    said = [data["note"], *_said(data, gas or list(data["sites"]))]
    rows = _energy(data, gas)
    columns = ("Site", "Power", *(f"{words.capitalize()}, GWh" for words in KINDS.values()))
    table = Table(
        f"Energy by source over {data['hours']} hours, modelled",
        columns,
        [(site, case, *(digits(mwh[kind] / 1e3) for kind in KINDS)) for site, case, mwh in rows],
        text_columns=2,
    )
    told = "; ".join(f"{site} {case}: {_parts(mwh)}" for site, case, mwh in rows)
    rest = ", for sites with turbines" if gas and len(gas) < len(data["sites"]) else ""
    caption = (
        f"Energy over {data['hours']} hours by where it comes from{rest}; short is what would be missing. Modelled."
    )
    exhibits = [Exhibit("air", told + ".", caption, energy_by_source(rows), table)]
    tables = [_elsewhere(data, gas), _carbon(data), _gas(data), _caps(data), _claims(data)]
    return view_chapter("air", "Air and water: sources, caps, claims", said, tables, exhibits=exhibits)


def energy_by_source(rows: list[Row]) -> Figure:
    """Stacked bars: a row a site, case and fleet of turbines. rows: (site, case in words, MWh by kind)."""
    import plotly.graph_objects as go

    labels = [f"{escape(site)}<br>" + "<br>".join(case.split(", ")) for site, case, _ in rows]
    figure = go.Figure()
    for kind, words in KINDS.items():
        if not any(mwh[kind] for _, _, mwh in rows):
            continue
        told = [f"{words}: {digits(mwh[kind] / 1e3)} GWh, modelled" for _, _, mwh in rows]
        figure.add_trace(plots.bar(words, labels, [mwh[kind] / 1e3 for _, _, mwh in rows], _INKS[kind], told))
    figure.update_traces(marker_line={"color": plots.GREY, "width": 1}, selector={"name": "short"})
    figure.update_layout(barmode="stack", bargap=0.4, legend={"traceorder": "normal"}, showlegend=True)
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="energy, modelled [GWh]", rangemode="tozero")
    return plots.styled(figure, 150 + 72 * len(rows))


def _said(data: dict[str, Any], names: list[str]) -> list[str]:
    """The sentences of the sites, each with its site's name where there are several."""
    if len(names) == 1 and len(data["sites"]) > 1:
        return [f"What follows is of {names[0]}, the one site here with turbines.", *data["sites"][names[0]]["says"]]
    several = len(names) > 1
    return [f"{name}: {said}" if several else said for name in names for said in data["sites"][name]["says"]]


def _energy(data: dict[str, Any], wanted: list[str]) -> list[Row]:
    """Rows of the figure: both cases; with and without turbines where there are some."""
    return [
        (name, f"{words}, {TURBINE_WORDS[which]}" if wanted else words, _mwh(data["sites"][name][case][which]))
        for name in wanted or data["sites"]
        for case, words in CASE_WORDS.items()
        for which in (TURBINE_WORDS if wanted else ("with_turbines",))
    ]


def _mwh(found: dict[str, Any]) -> dict[str, float]:
    return {kind: float(found["energy_mwh"][kind]) for kind in KINDS}


def _parts(mwh: dict[str, float]) -> str:
    return ", ".join(f"{KINDS[kind]} {digits(x / 1e3)} GWh" for kind, x in mwh.items() if x) or "nothing"


def _elsewhere(data: dict[str, Any], gas: list[str]) -> Table:
    """Energy of the sites that the figure leaves out."""
    rows = [
        (name, words, digits(found[case]["with_turbines"]["energy_mwh"]["needed"] / 1e3))
        for name, found in data["sites"].items()
        if gas and name not in gas
        for case, words in CASE_WORDS.items()
    ]
    return Table("Sites that draw on the grid alone, modelled", ("Site", "Power", "GWh"), rows, text_columns=2)


def _carbon(data: dict[str, Any]) -> Table:
    """CO2 by two methods, and water where it is known."""
    rows = []
    for name, found in data["sites"].items():
        for case, words in CASE_WORDS.items():
            for which, turbines in TURBINE_WORDS.items() if _burns(found) else (("with_turbines", ""),):
                one = found[case][which]
                co2 = one["co2_t"]
                cells = (_span(co2["location_based"]), _span(co2["marginal"]), _span(one["water_m3"]))
                rows.append((name, f"{words}, {turbines}" if turbines else words, *cells))
    columns = ("Site", "Power", "CO2 location-based, t", "CO2 marginal, t", "Water, m³")
    return Table("CO2 by two methods that do not add, and water; all modelled", columns, rows, text_columns=2)


def _burns(found: dict[str, Any]) -> bool:
    return any(found[case]["with_turbines"]["turbines_t"] for case in CASE_WORDS)


def _gas(data: dict[str, Any]) -> Table:
    """What turbines give off, where they run."""
    rows = [
        (name, words, NAMES[species], _span(span))
        for name, found in data["sites"].items()
        for case, words in CASE_WORDS.items()
        if found[case]["with_turbines"]["hours_on_gas"]
        for species, span in found[case]["with_turbines"]["turbines_t"].items()
    ]
    columns = ("Site", "Power", "Of the turbines", "t, low to high factor")
    return Table(f"What turbines give off in {data['hours']} hours, modelled", columns, rows, text_columns=3)


def _caps(data: dict[str, Any]) -> Table:
    rows = []
    for name, found in data["sites"].items():
        for case, words in CASE_WORDS.items():
            for permit in found[case]["with_turbines"]["permits"]:
                who = f"{permit['turbines'] or 'turbines'}, until {permit['until'] or 'no stated day'}"
                for species, cap in permit["caps"].items():
                    used = share(cap["share_of_cap"]) if cap["share_of_cap"] is not None else ""
                    numbers = (_span(cap["most_in_twelve_months_t"]), used, _span(cap["if_kept_up_a_year_t"]))
                    rows.append((name, who, words, NAMES[species], digits(cap["cap_t"]), *numbers))
    columns = (
        "Site",
        "Permit",
        "Power",
        "Cap on",
        "Cap in twelve months, t",
        "Used in these days, t",
        "Of the cap",
        "If kept up a year, t",
    )
    return Table("Permits: caps, and how much of them these days use, modelled", columns, rows, text_columns=4)


def _claims(data: dict[str, Any]) -> Table:
    rows = []
    for c in data["claims"]:
        number = c["value"] or (f"{c['low']} to {c['high']}" if c["low"] else "")
        figure = f"{number} {c['unit'].replace('_', ' ')}".strip() if number else ""
        answer = f"{c['who_answers']}: {c['answer']}" if c["who_answers"] else c["answer"]
        rows.append((c["statement"], figure, f"{c['status']} by {c['who']}", answer, c["source"], c["known_since"]))
    columns = ("Statement", "Figure", "Who says or alleges it", "Who answers, and what", "Source", "Known since")
    return Table("What is said of the place, by whom, and the answer given", columns, rows, text_columns=6)


def _span(span: dict[str, float] | None) -> str:
    if span is None:
        return "not known"
    if span["low"] == span["high"]:
        return digits(span["value"])
    return f"{digits(span['value'])} ({digits(span['low'])} to {digits(span['high'])})"
