"""The chapters on a change of limits: whom it carries and under which assumptions, and what it changes for people."""

from __future__ import annotations

import math
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING

from ampacity.planner.interval import Interval
from ampacity.planner.plan import Plan
from ampacity.planner.verdict import Spread, Verdict
from ampacity.reporting import plots
from ampacity.reporting.chapter import Chapter, Exhibit, Table, day_in_words, view_chapter
from ampacity.reporting.sources import SUBJECTS, claims
from ampacity.reporting.words import digits, share, tokens
from ampacity.scenario.announced import after, changes
from ampacity.scenario.limit import Window
from ampacity.scenario.load import load_as_of
from ampacity.scenario.news import news
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.worlds import values

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_MOVERS = 6


def people_exhibit(p: Plan) -> Exhibit | None:
    """People carried as intervals; None where no limit changes."""
    if p.verdict is None:
        return None
    rows = [(name, tokens(x.median), f"{tokens(x.low)} to {tokens(x.high)}") for name, x in _headcounts(p.verdict)]
    says = "; ".join(f"{name}: {median}, 90 % of worlds {ends}" for name, median, ends in rows) + "."
    table = Table("People active in a week, in all worlds", ("What", "Median of worlds", "90 % of worlds"), rows)
    caption = (
        "Dot: median of the worlds. Bar: 90 % of them; one that reaches the left edge goes on to nobody at all. "
        "The change holds in those worlds where it carries at least as many as are active."
    )
    return Exhibit("people", says, caption, people(p.verdict), table)


def assumptions(p: Plan) -> list[Table]:
    """The ranges that move the verdict most, with their claims; none where there is no verdict."""
    if p.verdict is None:
        return []
    known, together = {c.path: c for c in claims(p.scenario)}, {path: v.together for path, v in values(p.scenario)}
    rows = []
    for m in p.movers[:MOST_MOVERS]:
        c = known[m.path]
        name = together.get(m.path) or c.words
        claim = f"{c.status}{' by ' + c.who if c.who else ''}, {c.confidence} confidence"
        rows.append((name, c.reason or c.source, claim, c.shown, c.interval, f"× {digits(m.factor, 2)}"))
    columns = ("Assumption", "Why this range", "Claim", "Stated", "Range", "People carried, upper over lower half")
    return [Table("The assumptions that matter most", columns, rows, text_columns=3)] if rows else []


def became_known(p: Plan) -> list[Table]:
    """What became known after the change, in words, with who says so; none on the day of the change itself."""
    s, v = p.scenario, p.verdict
    if v is None or (s.as_of is not None and s.as_of <= v.changed_on):
        return []
    earlier = load_as_of(s, v.changed_on)
    old, now = ({c.path: c for c in claims(x)} for x in (earlier, s))
    rows = []
    for n in news(earlier, s):
        if n.path.startswith(("as_of", "name")):
            continue
        what = now[n.path].words if n.path in now else _noun(n.path)
        was = old[n.path].interval or old[n.path].shown if n.path in old else "not known"
        new = now[n.path].interval or now[n.path].shown if n.path in now else "new"
        rows.append((what, n.who, day_in_words(n.known_since) if n.known_since else "", was, new))
    columns = ("What", "Who says so", "Known since", "Known before", "Known now")
    day = day_in_words(v.changed_on)
    return (
        [Table(f"What became known after {day} and is in this answer", columns, rows, text_columns=5)] if rows else []
    )


def change(p: Plan) -> Chapter | None:
    """Limits before and after: tokens, people hit, which window binds; None where no limit changes."""
    v, s = p.verdict, p.scenario
    if v is None:
        return None
    tiers = [str(e.tier) for e in changes(s)]
    with_it = f"; with it came {_and(v.with_contracts)}" if v.with_contracts else ""
    said = [f"On {day_in_words(v.changed_on)} the limits of {_and(tiers)} changed{with_it}."]
    said += [_told(v, tier) for tier in v.hit_after if v.hit_before.get(tier)]
    said += _peak(s)
    said.append("People are the same before and after, and want the same; shares are medians over the worlds.")
    table = Table("Every tier and window before and after", _COLUMNS, _rows(p, v), text_columns=2)
    hit = [(t, w, v.hit_before.get(t, {}).get(w, 0.0), x) for t, own in v.hit_after.items() for w, x in own.items()]
    says = "; ".join(f"{t} {w}: {share(a)} before, {share(b)} after" for t, w, a, b in hit) + "."
    caption = "Share of a tier's people who run into the window in a week: open circle before, full one after."
    exhibits = [Exhibit("change", says, caption, people_hit(hit), table)]
    return view_chapter("change", "The limits before and after", said, exhibits=exhibits)


def people(v: Verdict) -> Figure:
    """People active and carried on a log axis, with 90 % intervals; what reaches zero is cut off at the left edge."""
    rows = _headcounts(v)
    positive = [x for _, s in rows for x in (s.median, s.low, s.high) if x > 0]
    # a bar that ends at nobody would set the axis, or vanish: it ends at a thousandth of the largest instead
    floor = max(positive, default=1.0) / 1e3
    shown = [Interval(max(s.median, floor), max(s.low, floor), max(s.high, floor)) for _, s in rows]
    names = ["<br>".join(wrap(escape(name), 22)) for name, _ in rows]
    told = [f"{tokens(s.median)}, 90 % of worlds {tokens(s.low)} to {tokens(s.high)}" for _, s in rows]
    colours = [plots.GREEN, plots.VERMILLION, *[plots.BLUE] * (len(rows) - 2)]
    figure = plots.intervals(names, shown, colours, told, "median of worlds")
    every = [x for i in shown for x in (i.low, i.high, i.value)]
    ticks = plots.log_ticks(every, tokens)
    if floor in every:
        ticks["range"][0] = math.log10(floor)
    figure.update_xaxes(title="people active in a week (log scale)", **ticks)
    styled = plots.styled(figure, 210 + 58 * len(rows))
    title = {
        "text": "How many active people the limits carry",
        "x": 0.01,
        "xref": "container",
        "y": 0.98,
        "yanchor": "top",
    }
    return styled.update_layout(title={**title, "font": {"size": 15}}, margin={"t": 84})


def people_hit(hit: list[tuple[str, str, float, float]]) -> Figure:
    """Shares of people hit, before and after, a row a window. hit: (tier, window, before, after)."""
    import plotly.graph_objects as go

    names = [f"{escape(tier)}<br>{escape(window)}" for tier, window, _, _ in hit]
    figure = go.Figure()
    for name, (_, _, before, now) in zip(names, hit, strict=True):
        line = {"color": plots.GREY, "width": 2}
        figure.add_scatter(
            x=[100 * before, 100 * now], y=[name] * 2, mode="lines", line=line, showlegend=False, hoverinfo="skip"
        )
    shares = {"before": [row[2] for row in hit], "after": [row[3] for row in hit]}
    for (when, found), symbol in zip(shares.items(), ("circle-open", "circle"), strict=True):
        figure.add_scatter(
            x=[100 * x for x in found],
            y=names,
            mode="markers",
            name=when,
            marker={"symbol": symbol, "size": 13, "color": plots.BLUE, "line": {"width": 2.5, "color": plots.BLUE}},
            hovertext=[f"{when}: {share(x)} of people" for x in found],
            hoverinfo="text",
            cliponaxis=False,
        )
    figure.update_yaxes(range=[len(names) - 0.5, -0.5], type="category")
    figure.update_xaxes(title="people hit in a week [% of the tier]", rangemode="tozero")
    return plots.styled(figure, 150 + 50 * len(names))


_COLUMNS = (
    "Tier",
    "Window",
    "Tokens before",
    "Tokens after",
    "After, 90 % of worlds",
    "People hit in a week, before",
    "People hit, after",
    "Binds before, of worlds",
    "Binds after, of worlds",
)


def _headcounts(v: Verdict) -> list[tuple[str, Spread]]:
    rows = [
        ("assumed to be active", v.people),
        ("carried after the change", v.carried),
        ("carried before it", v.before),
    ]
    if v.with_contracts:
        rows.append(("carried by the new contracts alone", v.alone))
    if v.supplier:
        rows.append((f"carried without the largest supplier, {v.supplier}", v.without_largest))
    return rows


def _rows(p: Plan, v: Verdict) -> list[tuple[str, ...]]:
    found = []
    for tier in v.hit_after:
        old = {w.name: w for w in _windows(p.scenario, tier)}
        planned = {w.window: w for w in p.windows if w.tier == tier}
        for name in dict.fromkeys([*old, *planned]):
            now, was = planned.get(name), old.get(name)
            before, binds = v.hit_before.get(tier, {}), (v.binds_before.get(tier, {}), v.binds_after.get(tier, {}))
            found.append(
                (
                    tier,
                    name,
                    (tokens(was.tokens.value) if was.tokens else "not stated") if was else "no such window",
                    tokens(now.tokens.value) if now else "no such window",
                    f"{tokens(now.tokens.low)} to {tokens(now.tokens.high)}" if now else "",
                    share(before[name]) if name in before else "",
                    share(v.hit_after[tier][name]) if name in v.hit_after[tier] else "",
                    *(share(b.get(name, 0.0)) for b in binds),
                )
            )
        none = [b.get("none", 0.0) for b in (v.binds_before.get(tier, {}), v.binds_after.get(tier, {}))]
        if any(none):
            found.append((tier, "none of them", "", "", "", "", "", *(share(x) for x in none)))
    return found


def _windows(s: Scenario, tier: str) -> tuple[Window, ...]:
    limit = s.tier(tier).limit
    return s.limit(limit).windows if limit else ()


def _told(v: Verdict, tier: str) -> str:
    window, before = max(v.hit_before[tier].items(), key=lambda item: item[1])
    now = v.hit_after[tier].get(window, 0.0)
    return (
        f"Of {tier}, {share(before)} run into the {window} window in a week before the change, {share(now)} after it."
    )


def _peak(s: Scenario) -> list[str]:
    """Peak hours that were dropped or are still there, said once for windows that share them."""
    found = []
    for state, verb in ((s, "Before the change"), (after(s), "After it")):
        peaks: dict[str, list[str]] = {}
        for tier in dict.fromkeys(str(e.tier) for e in changes(s)):
            for w in _windows(state, tier):
                if w.peak is not None:
                    times = f"{w.peak.begin:%H:%M} to {w.peak.end:%H:%M} {w.peak.time_zone}, {', '.join(w.peak.days)}"
                    value = w.peak.multiplier
                    ends = f", {digits(value.low)} to {digits(value.high)}" if value.low and value.high else ""
                    counts = f"use in the {w.name} window counted × {digits(value.value)} ({value.status}{ends})"
                    peaks.setdefault(f"{counts} in the peak hours, {times}", []).append(tier)
        found += [f"{verb}, {words}: {_and(tiers)}." for words, tiers in peaks.items()]
    return found


def _noun(path: str) -> str:
    """A path to a noun in words: "contract colossus-1, termination"."""
    parts = [SUBJECTS.get(part, part.replace("_", " ")) for part in path.split(".") if not part.isdigit()]
    return " ".join(parts[:2]) + "".join(f", {part}" for part in parts[2:])


def _and(names: tuple[str, ...] | list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
