"""Figures draw the plan's own numbers, say their units, and have colours that can be told apart."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ampacity.planner.frames import hours_frame
from ampacity.planner.plan import Plan
from ampacity.reporting import plots
from ampacity.supply.waterfall import STAGES

FIGURES: list[Callable[[Plan], Any]] = [
    plots.waterfall,
    plots.supply_and_demand,
    plots.mean_week,
    plots.limits,
    plots.cost,
    plots.power,
    plots.movers,
]


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("which", ["laptop", "one_world", "nothing", "unpriced", "two_models"])
def test_every_figure_can_be_drawn_of_every_plan(
    figure: Callable[[Plan], Any], which: str, request: pytest.FixtureRequest
) -> None:
    assert json.loads(figure(request.getfixturevalue(which)).to_json())["layout"]["height"] > 0


@pytest.mark.parametrize("figure", FIGURES)
def test_every_colour_has_a_partner_in_the_dark(figure: Callable[[Plan], Any], two_models: Plan, laptop: Plan) -> None:
    text = figure(laptop).to_json() + figure(two_models).to_json()
    used = set(re.findall(r'"(#[0-9a-fA-F]{3,8}|rgba?\([^"]*\))"', text))
    assert used - {"rgba(0,0,0,0)"} <= plots.DARK.keys()


@pytest.mark.parametrize("ink", [plots.BLUE, plots.VERMILLION, plots.GREEN, plots.GREY])
def test_marks_stand_out_three_to_one_on_paper_and_on_black(ink: str, contrast: Callable[[str, str], float]) -> None:
    assert contrast(ink, plots.PAPER) >= 3
    assert contrast(plots.DARK[ink], plots.DARK[plots.PAPER]) >= 3
    assert contrast(plots.TEXT, plots.PAPER) >= 7


def test_the_waterfall_s_bars_are_the_bookings(laptop: Plan) -> None:
    left, lost = plots.waterfall(laptop).data
    totals = laptop.central.bookings[0].totals
    assert np.allclose(left.x, [totals[stage] / 3.6e6 for stage in STAGES])
    assert np.isclose(left.x[-1] + sum(lost.x), left.x[0])


def test_the_lines_are_the_plan_s_hours(laptop: Plan) -> None:
    figure, frame = plots.supply_and_demand(laptop), hours_frame(laptop)
    lines = {trace.name: trace for trace in figure.data}
    assert np.allclose(lines["running"].y, frame["running_accelerators"])
    assert np.allclose(lines["wanted without limits"].y, frame["wanted_accelerators"])
    assert np.allclose(lines["served under limits"].y, frame["served_accelerators"])
    assert list(figure.layout.xaxis.range) == ["2026-11-23 00:00", "2026-11-30 00:00"]


def test_the_mean_week_keeps_the_mean(laptop: Plan) -> None:
    frame = hours_frame(laptop)
    wanted = next(t for t in plots.mean_week(laptop).data if t.name == "wanted without limits")
    assert len(wanted.y) == 168
    assert np.isclose(np.mean(wanted.y), frame["wanted_accelerators"].mean())


def test_limits_are_intervals_on_a_log_axis(laptop: Plan) -> None:
    figure = plots.limits(laptop)
    assert figure.layout.xaxis.type == "log"
    ends, dots, sure = figure.data
    assert list(dots.x) == [w.tokens.value for w in laptop.windows]
    assert list(sure.x) == [w.guaranteed for w in laptop.windows]
    assert [x for x in ends.x if x is not None] == [x for w in laptop.windows for x in (w.tokens.low, w.tokens.high)]
    assert [c == plots.VERMILLION for c in dots.marker.color] == [w.binding for w in laptop.windows]
    low, high = (10.0**x for x in figure.layout.xaxis.range)
    assert low < min(*sure.x, *dots.x)
    assert high > max(dots.x)


def test_a_limit_of_nothing_is_not_drawn_at_nothing_on_a_log_axis(nothing: Plan) -> None:
    assert all(len(trace.x) == 0 for trace in plots.limits(nothing).data)


@pytest.mark.parametrize("figure", FIGURES)
def test_an_axis_of_numbers_says_what_they_count(figure: Callable[[Plan], Any], laptop: Plan) -> None:
    layout = figure(laptop).layout
    assert layout.xaxis.title.text
    if figure in (plots.supply_and_demand, plots.mean_week):
        assert layout.yaxis.title.text == "accelerators"


def test_names_in_figures_are_not_markup(two_models: Plan) -> None:
    for figure in FIGURES:
        assert "<img" not in figure(two_models).to_json()
        assert "\\u003cimg" not in figure(two_models).to_json()
