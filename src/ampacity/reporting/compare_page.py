"""The page of a comparison: the answer, whom it hits, what it takes to serve, what returns, what it rests on."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ampacity.planner.compare import Compared
from ampacity.reporting.chapter import Chapter, Exhibit
from ampacity.reporting.compare_view import tables
from ampacity.reporting.compare_words import rough, sentences
from ampacity.reporting.page import FOOTER, Report, rendered
from ampacity.reporting.plots import BLUE, VERMILLION, intervals, styled
from ampacity.reporting.verdict_words import DISCLAIMER

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ASSUMED = (
    "What each window holds in tokens: published hours of use a week, or prompts in five hours, times what an active "
    "hour was measured to take. A range; both schemes move with it together.",
    "How many hours people of a plan work, how unlike they are, how unlike one person's hours are, and when in the "
    "week they work. No public distribution exists.",
    "What a person does whom a window stops: waits, returns later, switches, buys more or leaves. No public figure "
    "exists; the table of returning work shows how much hangs on it.",
    "How many people each plan has. Shares of a plan's people do not depend on it; tokens and accelerators are in "
    "proportion to it.",
    "Work at session granularity: a session keeps one pace, and is stopped the moment a window is full. Requests one "
    "by one differ by what is reserved for a request under way.",
    "A session that is taken up again finds its context in the cache. After hours it would not, and would read it "
    "anew: tokens of work that returns are told too low by that.",
)


def compare_page(c: Compared) -> Report:
    """One self-contained HTML page."""
    a, b = c.labels
    hit, volume, returning = tables(c)
    said = sentences(c)
    chapters = [
        Chapter("answer", "The answer", said),
        Chapter("hit", "Whom it hits", [], [Exhibit("hit", _hit_says(c), _HIT_CAPTION, _hit_figure(c), hit)]),
        Chapter("volume", "What it takes to serve", [], tables=[volume]),
        Chapter(
            "returning",
            "What returns",
            [
                "A window that lets more through at once leaves the week as it is only if all that it stopped had "
                "come back."
            ],
            [Exhibit("returning", _returning_says(c), "At the stated values.", _returning_figure(c), returning)],
        ),
        Chapter("assumed", "What it rests on", [*ASSUMED, *(f"Note: {note}." for note in c.notes)]),
    ]
    return rendered(
        f"{a} against {b}: the same people under both limits",
        chapters,
        footer=DISCLAIMER if c.comparison.public else FOOTER,
        version=c.record.version,
    )


_HIT_CAPTION = "Share of people whom some window stops in a week. Dot: at the stated values. Bar: 90 % of worlds."


def _hit_says(c: Compared) -> str:
    a, b = (c.figures[s]["share_hit_per_week"].value for s in c.labels)
    return f"{rough(a)} of people are stopped in a week under {c.labels[0]}, {rough(b)} under {c.labels[1]}."


def _hit_figure(c: Compared) -> Figure:
    rows = [(words, s, key) for words, key in _groups(c) for s in c.labels]
    found = [c.figures[s][key] for _, s, key in rows]
    figure = intervals(
        [f"{escape(words)}<br>{escape(s)}" for words, s, _ in rows],
        found,
        [VERMILLION if s == c.labels[0] else BLUE for _, s, _ in rows],
        [f"{rough(i.value)}, {rough(i.low)} to {rough(i.high)}" for i in found],
        "at the stated values",
    )
    figure.update_xaxes(title="share of people stopped in a week", tickformat=".0%", rangemode="tozero")
    return styled(figure, 170 + 46 * len(rows))


def _groups(c: Compared) -> list[tuple[str, str]]:
    return [("all", "share_hit_per_week"), *((t, f"share_hit_per_week/{t}") for t in c.comparison.tiers)]


def _returning_says(c: Compared) -> str:
    first, last = c.deferrals[0], c.deferrals[-1]
    return (
        f"With nothing returning the week grows by a factor of {first.weekly_tokens:.3f}, with all by "
        f"{last.weekly_tokens:.3f}; the busiest hour by {first.peak_hour_tokens:.3f} and {last.peak_hour_tokens:.3f}."
    )


def _returning_figure(c: Compared) -> Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, colour, dash in (("weekly_tokens", BLUE, "solid"), ("peak_hour_tokens", VERMILLION, "dot")):
        figure.add_scatter(
            x=[d.share for d in c.deferrals],
            y=[getattr(d, name) for d in c.deferrals],
            mode="lines+markers",
            name="tokens a week" if name == "weekly_tokens" else "tokens in the busiest hour",
            line={"color": colour, "width": 2.5, "dash": dash},
        )
    figure.update_xaxes(title="share of stopped work that returns", tickformat=".0%")
    figure.update_yaxes(title=f"{escape(c.labels[1])} over {escape(c.labels[0])}")
    return styled(figure, 360)
