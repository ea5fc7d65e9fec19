"""The frontier as a picture: what a chip serves against how fast each user is served, an accelerator a line."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from ampacity.base.files import write_whole
from ampacity.inference.best_layout import ms
from ampacity.inference.coefficients import DATASHEET, FAMILY, MEASURED
from ampacity.reporting.plots import BLUE, GREEN, GREY, PAPER, VERMILLION, styled
from ampacity.reporting.serving_errors_view import expected_error
from ampacity.reporting.serving_view import Served
from ampacity.reporting.words import digits

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS = (BLUE, VERMILLION, GREEN, GREY, "#cc79a7", "#56b4e9")
DASHES = {MEASURED: "solid", FAMILY: "dash", DATASHEET: "dot"}
"""What a line stands on: measurements, those of its family, or a datasheet alone."""
ROUND = [m * 10.0**e for e in range(-2, 7) for m in (1, 2, 5)]
FASTEST_SHARE = 0.004
"""Points below this share of the best rate per chip are left off: a lone user's last per cent of speed."""


def frontier_plot(results: list[Served]) -> Figure:
    """Output tokens/s per accelerator against tokens/s per user; a dot where the service level puts the choice."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for r, colour in zip(results, cycle(COLOURS), strict=False):
        most = max(o.tokens_per_s_per_chip for o in r.frontier)
        shown = [o for o in r.frontier if o.tokens_per_s_per_chip >= FASTEST_SHARE * most]
        told = [
            f"{r.survey.chip.name}: {o.replica.layout}, {o.replica.precision}, {o.requests:,} in flight<br>"
            f"{digits(o.tokens_per_s_per_chip)} tokens/s per chip, {digits(o.tokens_per_s_per_user)} per user, "
            f"TTFT {ms(o.ttft_s)}"
            for o in shown
        ]
        x = [o.tokens_per_s_per_user for o in shown]
        y = [o.tokens_per_s_per_chip for o in shown]
        label = r.choice.best.coefficients.label
        # what carries no label of the catalog is calibrated by one's own measurements
        line = {"color": colour, "dash": DASHES.get(label, "solid"), "width": 2.5}
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                name=f"{r.survey.chip.name} ({label})",
                mode="lines",
                line=line,
                hovertext=told,
                hoverinfo="text",
            )
        )
        best = r.choice.best
        figure.add_trace(
            go.Scatter(
                x=[best.tokens_per_s_per_user],
                y=[best.tokens_per_s_per_chip],
                mode="markers",
                marker={"color": colour, "size": 9},
                showlegend=False,
                hoverinfo="skip",
            )
        )
    ticks = {"type": "log", "tickvals": ROUND, "ticktext": [f"{x:,.10g}" for x in ROUND]}
    figure.update_xaxes(title="output tokens/s per user (1 / TPOT)", **ticks)
    figure.update_yaxes(title="output tokens/s per accelerator", **ticks)
    return styled(figure, 480)


def save_frontier(results: list[Served], to: Path) -> None:
    """Write the picture as one page that opens offline, whole or not at all."""
    from html import escape

    figure = frontier_plot(results)
    first = results[0]
    slo, load = first.choice.slo, first.survey.load
    precisions = ", ".join(dict.fromkeys(o.replica.precision for r in results for o in r.frontier))
    words = (
        f"{first.survey.model.name}, {load.input_tokens:,} tokens in and {load.output_tokens:,} out, "
        f"weights at {precisions}; dots: most per chip within TTFT {ms(slo.ttft_s)} and TPOT {ms(slo.tpot_s)}"
    )
    labels = "; ".join(f"{r.survey.chip.name}: {_error(r)}" for r in results)
    body = figure.to_html(full_html=False, include_plotlyjs=True, config={"displayModeBar": False})
    page = (
        f'<!doctype html><meta charset="utf-8"><title>{escape(words)}</title>'
        f'<body style="background:{PAPER};font:15px system-ui,sans-serif;max-width:920px;margin:20px auto">'
        f"<p>{escape(words)}</p>{body}"
        f"<p style='color:{GREY};font-size:13px'>hover: layout and requests in flight</p>"
        f"<p style='color:{GREY};font-size:13px'>{escape(labels)}</p>"
    )
    write_whole(to, page)


def _error(r: Served) -> str:
    return expected_error(r.choice.best, r.calibration).words
