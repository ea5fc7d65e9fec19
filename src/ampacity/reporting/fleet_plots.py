"""Figures of a sampled fleet: first tokens with their intervals, and how busy pools are when more is asked of them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ampacity.planner.interval import Interval
from ampacity.reporting.fleet_frames import served
from ampacity.reporting.fleet_words import seconds, spread
from ampacity.reporting.plots import BLUE, GREEN, GREY, VERMILLION, intervals, log_ticks, styled
from ampacity.simulator import cell_rows as at
from ampacity.simulator.estimate import Estimate
from ampacity.simulator.fleet_run import FleetRun
from ampacity.simulator.strata import strata_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Array = NDArray[np.float64]
COLOURS = (BLUE, VERMILLION, GREEN, GREY)
SYMBOLS = ("circle", "diamond-open", "square", "x")
TOLD = {0.5: "half", 0.99: "99 in 100"}


def first_tokens(r: FleetRun) -> Figure:
    """A row for half of a tier's first tokens and one for 99 in 100, on a log axis, with 90 % of samples."""
    names, found, colours, told = [], [], [], []
    for tier in served(r):
        for (q, words), colour in zip(TOLD.items(), (BLUE, VERMILLION), strict=True):
            e = r.sample.quantile_s(at.TTFT, q, tier.name)
            if np.isfinite(e.value):
                names.append(f"{escape(tier.name)}<br>{words}")
                found.append(as_interval(e))
                colours.append(colour)
                told.append(f"{tier.name}, {words} within {spread(e, seconds)}")
    figure = intervals(names, found, colours, told, "half, and 99 in 100 (orange)", ends_are="90 % of samples")
    every = [x for i in found for x in (i.low, i.high, i.value) if x > 0]
    figure.update_xaxes(title="time from asking to the first token (log scale)", **log_ticks(every, seconds))
    return styled(figure, 120 + 44 * len(names))


def busy_by_load(r: FleetRun) -> tuple[Array, Array]:
    """Mean load of each stratum of hours, [stratum], and the busy share that looks had in it, [pool, stratum]; NaN
    where a pool was not there."""
    f = r.fleet
    parts = strata_of(f.load[list(r.hours)])
    stratum = {r.hours[i]: n for n, part in enumerate(parts) for i in part.tolist()}
    spent, there = (np.zeros((len(f.pools), len(parts))) for _ in range(2))
    for one, busy in zip(r.sample.seen, r.sample.busy_of, strict=True):
        spent[one.pool, stratum[one.hour]] += one.weight * one.replicas * busy
        there[one.pool, stratum[one.hour]] += one.weight * one.replicas
    share = np.divide(spent, there, out=np.full_like(spent, np.nan), where=there > 0)
    return np.array([f.load[list(r.hours)][part].mean() for part in parts]), share


def busy(r: FleetRun) -> Figure:
    """A line a pool: the share of its replicas' time in which an iteration runs, against the load of the fleet."""
    import plotly.graph_objects as go

    load, found = busy_by_load(r)
    figure = go.Figure()
    for n, (pool, own) in enumerate(zip(r.fleet.pools, found, strict=True)):
        seen = np.isfinite(own)
        look = {"color": COLOURS[n % 4], "symbol": SYMBOLS[n // 4 % 4], "size": 9}
        figure.add_scatter(
            x=100 * load[seen],
            y=100 * own[seen],
            name=escape(pool.pool.name),
            mode="lines+markers",
            marker=look,
            line={"color": COLOURS[n % 4], "width": 1.5, "dash": ("solid", "dot", "dash", "dashdot")[n // 4 % 4]},
            hovertemplate="load %{x:.0f} %, busy %{y:.0f} %<extra></extra>",
        )
    figure.update_xaxes(title="load: what demand takes at full batches, % of what runs", rangemode="tozero")
    figure.update_yaxes(title="busy, %", range=[0, 105])
    return styled(figure, 460)


def as_interval(e: Estimate) -> Interval:
    """An estimate as figures take it: where no end can be told, a dot alone."""
    return Interval(e.value, *(e.value if np.isnan(end) else end for end in (e.low, e.high)))
