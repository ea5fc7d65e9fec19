"""The chapter on sites: where they are, drawn without any network, how large they are, what their power says."""

from __future__ import annotations

import json
import math
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ampacity.planner.plan import Plan
from ampacity.reporting import plots
from ampacity.reporting.chapter import Chapter, Exhibit, Table, view_chapter
from ampacity.reporting.power_view import says
from ampacity.reporting.words import count, digits
from ampacity.scenario.site import Site
from ampacity.supply.fleet import Fleet, fleet

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

UNITED_STATES = (-126.0, -65.5, 24.0, 50.0)
WORLD = (-170.0, 180.0, -56.0, 84.0)
WIDTHS_PX = (350.0, 950.0)
"""Widths of the drawing on a phone and on a desk: names are placed so that they run into nothing on either."""

Box = tuple[float, float, float, float]
"""Middle, then half width and half height, in pixels."""

_SIDES = {
    "top center": (0.0, 1.0),
    "bottom center": (0.0, -1.0),
    "middle right": (1.0, 0.0),
    "middle left": (-1.0, 0.0),
    "top right": (1.0, 1.0),
    "top left": (-1.0, 1.0),
    "bottom right": (1.0, -1.0),
    "bottom left": (-1.0, -1.0),
}


def sites(p: Plan) -> Chapter | None:
    """Map and table of the sites on the ground, those in orbit beside it; None where no site has a place on either."""
    s = p.scenario
    fleets = [fleet(s, site.name) for site in s.sites]
    ground = [f for f in fleets if _on_map(f.site)]
    orbital = [f for f in fleets if f.site.kind == "orbital"]
    if not (ground or orbital):
        return None
    said = [_total(fleets)]
    said += [f"{f.site.name}: {sentence}" for f in fleets for sentence in says(f)]
    exhibits, tables = [], []
    table = Table("Sites, all power at nameplate", _COLUMNS, [_row(f) for f in fleets if f not in orbital], 3)
    if ground:
        told = "; ".join(f"{f.site.name} at {_where(f.site)}, {_mw(f)}" for f in ground)
        caption = (
            "Circles stand where the scenario places a site; area by facility power at nameplate. Outlines are coarse."
        )
        exhibits.append(Exhibit("map", told + ".", caption, site_map(ground), table))
    elif table.rows:
        tables.append(table)
    rows = [_orbit_row(f) for f in orbital]
    tables.append(Table("In orbit, on no map", ("Site", "Orbit", "Accelerators", "Facility power"), rows, 2))
    return view_chapter("sites", "The sites", said, tables, exhibits=exhibits)


def site_map(ground: list[Fleet]) -> Figure:
    """Sites as circles over a hand-made outline; equirectangular, true to shape in the middle of the map."""
    import plotly.graph_objects as go

    view, outline = _view([f.site for f in ground])
    west, east, south, north = view
    stretch = 1 / math.cos(math.radians((south + north) / 2))
    figure = go.Figure()
    xs: list[float | None] = []
    ys: list[float | None] = []
    for shape in outline.values():
        xs += [*(point[0] for point in shape), None]
        ys += [*(point[1] for point in shape), None]
    line = {"color": plots.LOST, "width": 1}
    figure.add_scatter(x=xs, y=ys, mode="lines", fill="toself", fillcolor=plots.GRID, line=line, hoverinfo="skip")
    ordered = sorted(ground, key=lambda f: -(_facility_w(f) or 0.0))
    most = max((_facility_w(f) or 0.0 for f in ordered), default=0.0) or 1.0
    sizes = [max(34 * math.sqrt((_facility_w(f) or 0.0) / most), 7) for f in ordered]
    figure.add_scatter(
        x=[f.site.longitude for f in ordered],
        y=[f.site.latitude for f in ordered],
        mode="markers+text",
        text=[escape(f.site.name) for f in ordered],
        textposition=_sides(ordered, sizes, [w / (east - west) for w in WIDTHS_PX], stretch),
        textfont={"color": plots.TEXT, "size": 12},
        marker={"size": sizes, "color": plots.BLUE, "opacity": 0.75, "line": {"width": 1.5, "color": plots.PAPER}},
        hovertext=[f"{escape(f.site.name)}, {escape(f.site.place)}: {_mw(f)}" for f in ordered],
        hoverinfo="text",
        cliponaxis=False,
    )
    height = 560
    plots.styled(figure, height)
    blank = {"showgrid": False, "zeroline": False, "showticklabels": False, "showline": False, "constrain": "domain"}
    figure.update_xaxes(range=[west, east], **blank)
    figure.update_yaxes(range=[south, north], scaleanchor="x", scaleratio=stretch, constraintoward="top", **blank)
    shape_of = stretch * (north - south) / (east - west)
    return figure.update_layout(showlegend=False, margin={"t": 8}, meta={"height_over_width": shape_of})


@cache
def outlines() -> dict[str, Any]:
    """The packaged outlines: "made" says how, "united states" and "world" are closed lines of [longitude, latitude]."""
    found: dict[str, Any] = json.loads((files("ampacity.reporting") / "outlines.json").read_text(encoding="utf-8"))
    return found


_COLUMNS = ("Site", "Place", "Accelerators by kind", "Accelerators", "Servers", "Facility")


def _on_map(site: Site) -> bool:
    return site.kind == "ground" and site.latitude is not None and site.longitude is not None


def _view(found: list[Site]) -> tuple[Box, dict[str, list[list[float]]]]:
    """What part of the Earth to show, and its outline."""
    west, east, south, north = UNITED_STATES
    inside = all(west < (s.longitude or 0) < east and south < (s.latitude or 0) < north for s in found)
    return (UNITED_STATES, outlines()["united states"]) if inside else (WORLD, outlines()["world"])


def _sides(ordered: list[Fleet], sizes: list[float], px_per_degree: list[float], stretch: float) -> list[str]:
    """For each name the first side of its circle where it meets neither a name that is placed nor another circle."""
    taken: list[list[Box]] = [[] for _ in px_per_degree]
    found = []
    for i, f in enumerate(ordered):
        meets = dict.fromkeys(_SIDES, 0.0)
        boxes = []
        for scale, names in zip(px_per_degree, taken, strict=True):
            spots = [((g.site.longitude or 0) * scale, (g.site.latitude or 0) * stretch * scale) for g in ordered]
            own = _boxes(spots[i], sizes[i] / 2, 3.6 * len(f.site.name))
            others = [(x, y, r / 2, r / 2) for j, ((x, y), r) in enumerate(zip(spots, sizes, strict=True)) if j != i]
            for side, box in own.items():
                meets[side] += sum(_meet(box, other) for other in [*names, *others])
            boxes.append(own)
        best = min(meets, key=lambda side: meets[side])
        for own, names in zip(boxes, taken, strict=True):
            names.append(own[best])
        found.append(best)
    return found


def _boxes(spot: tuple[float, float], r: float, wide: float) -> dict[str, Box]:
    """Where a name of half width `wide` stands on each side of a circle of radius `r`, as plotly puts it."""
    x, y = spot
    return {
        side: (x + dx * ((r if dy == 0 else r / 2) + wide), y + dy * ((r if dx == 0 else r / 2) + 9), wide, 9.0)
        for side, (dx, dy) in _SIDES.items()
    }


def _meet(a: Box, b: Box) -> float:
    """How much of two boxes overlaps."""
    wide = a[2] + b[2] - abs(a[0] - b[0])
    high = a[3] + b[3] - abs(a[1] - b[1])
    return max(wide, 0.0) * max(high, 0.0)


def _facility_w(f: Fleet) -> float | None:
    return f.power_w["site_chain"]


def _mw(f: Fleet) -> str:
    return _power(_facility_w(f)) + (" of facility power at nameplate" if _facility_w(f) is not None else "")


def _power(watts: float | None) -> str:
    if watts is None:
        return "not known"
    size, unit = plots.power_unit(watts)
    return f"{digits(watts / size)} {unit}"


def _where(site: Site) -> str:
    return site.place or f"{site.latitude:g}°, {site.longitude:g}°"


def _total(fleets: list[Fleet]) -> str:
    known = [w for f in fleets if (w := _facility_w(f)) is not None]
    every = sum(f.accelerators for f in fleets)
    whole = "" if len(known) == len(fleets) else f" at the {len(known)} of {len(fleets)} where it is known"
    many = f"{len(fleets)} site{'s' * (len(fleets) > 1)}"
    return (
        f"{many} with {count(every)} accelerators under contract at their full number, "
        f"{_power(sum(known))} of facility power at nameplate{whole}."
    )


def _row(f: Fleet) -> tuple[str, ...]:
    kinds = ", ".join(f"{count(n)} {kind}" for kind, n in f.counts.items()) or "none"
    place = f.site.place or ("" if _on_map(f.site) else "no place stated")
    return (f.site.name, place, kinds, count(f.accelerators), _power(f.power_w["server"]), _power(_facility_w(f)))


def _orbit_row(f: Fleet) -> tuple[str, ...]:
    orbit = f.site.orbit
    words = ""
    if orbit is not None:
        words = (
            f"{digits(orbit.altitude_m.value / 1e3)} km, ascending node at {digits(orbit.ltan_h.value)} h local time"
        )
    return (f.site.name, words, count(f.accelerators), _power(_facility_w(f)))
