"""Worlds: draws from the ranges of a scenario, keyed by the path of each number and by nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import correlation, median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.value import Value, middle
from ampacity.scenario.worlds import at, draw, draws, ranges

POSITIVE = st.floats(1e-12, 1e12)
PUE = "sites.here.pue"


@pytest.fixture(scope="module")
def laptop() -> Scenario:
    return load("laptop")


@st.composite
def stated_ranges(edges: st.DrawFn) -> Value:
    low, value, high = sorted(edges(st.lists(POSITIVE | st.floats(-1e12, 1e12), min_size=3, max_size=3)))
    return Value(value=value, low=low, high=high)


def numbers(noun: BaseModel, path: str = "") -> Iterator[tuple[str, Value]]:
    """Every value of a noun with its path, written anew so that it can disagree with `ranges`."""
    for name in type(noun).model_fields:
        found, below = getattr(noun, name), f"{path}.{name}".removeprefix(".")
        if isinstance(found, Value):
            yield below, found
        elif isinstance(found, BaseModel):
            yield from numbers(found, below)
        elif isinstance(found, tuple):
            for i, part in enumerate(p for p in found if isinstance(p, BaseModel)):
                yield from numbers(part, f"{below}.{getattr(part, 'name', '') or i}")


def test_every_number_that_is_a_range_is_found_with_its_path(laptop: Scenario) -> None:
    found = dict(ranges(laptop))
    assert found == {path: value for path, value in numbers(laptop) if value.is_range}
    assert PUE in found
    assert "tiers.developers.behaviour.active_share" in found


@pytest.mark.parametrize("world", [1, 2, 199])
def test_a_draw_lies_inside_its_range_and_is_a_range_no_more(laptop: Scenario, world: int) -> None:
    drawn = dict(numbers(draw(laptop, 1, world)))
    for path, stated in ranges(laptop):
        assert stated.low is not None and stated.high is not None
        assert stated.low <= drawn[path].value <= stated.high
        assert not drawn[path].is_range
        assert (drawn[path].source, drawn[path].unit) == (stated.source, stated.unit)


def test_a_number_that_is_no_range_is_the_same_in_every_world(laptop: Scenario) -> None:
    drawn = dict(numbers(draw(laptop, 1, 7)))
    assert all(drawn[path] == value for path, value in numbers(laptop) if not value.is_range)


def test_world_zero_has_every_number_at_its_stated_value(laptop: Scenario) -> None:
    drawn = dict(numbers(draw(laptop, 1, 0)))
    assert {path: value.value for path, value in drawn.items()} == {p: v.value for p, v in numbers(laptop)}
    assert not list(ranges(draw(laptop, 1, 0)))


def test_the_stated_value_is_the_median_of_the_draws(laptop: Scenario) -> None:
    worlds = [draw(laptop, 1, world) for world in range(1, 801)]
    stated = dict(ranges(laptop))
    pue = [w.site("here").pue.value for w in worlds]
    price = [w.site("here").electricity_usd_per_j.value for w in worlds if w.site("here").electricity_usd_per_j]
    for found, path in ((pue, PUE), (price, "sites.here.electricity_usd_per_j")):
        below = sum(x < stated[path].value for x in found)
        assert abs(below - 400) < 5 * math.sqrt(800 / 4)
        assert median(found) == pytest.approx(stated[path].value, rel=0.05)


def test_there_are_as_many_worlds_as_the_scenario_says(laptop: Scenario) -> None:
    assert len(list(draws(laptop.replace({"worlds": 7}), 1))) == 7


def test_a_scenario_without_ranges_is_one_world(laptop: Scenario) -> None:
    only = draw(laptop, 1, 3)
    assert list(draws(only, 1)) == [only]
    assert draw(only, 1, 5) is only


def test_worlds_and_seeds_differ_and_repeat(laptop: Scenario) -> None:
    pues = {draw(laptop, seed, world).site("here").pue.value for seed in (1, 2) for world in range(1, 26)}
    assert len(pues) == 50
    assert draw(laptop, 1, 3) == draw(laptop, 1, 3)


def test_the_order_in_which_worlds_are_drawn_does_not_matter(laptop: Scenario) -> None:
    few = laptop.replace({"worlds": 4})
    assert list(draws(few, 1)) == [draw(few, 1, w) for w in reversed(range(4))][::-1]


def test_draws_do_not_depend_on_how_many_other_ranges_there_are(laptop: Scenario) -> None:
    more = laptop.replace(
        {"tiers.tools.people": {"low": 1, "high": 9}, "sites.away": {"pue": {"low": 1.1, "high": 1.2}}}
    )
    fewer = laptop.replace({"sites.here.electricity": "90 USD/MWh"})
    assert len(list(ranges(fewer))) < len(list(ranges(laptop))) < len(list(ranges(more)))
    for world in range(1, 20):
        drawn = [draw(s, 1, world) for s in (laptop, more, fewer)]
        assert len({s.site("here").pue.value for s in drawn}) == 1
        assert len({s.tier("developers").behaviour.output_per_s.value for s in drawn}) == 1


def test_the_draw_of_one_tier_says_nothing_of_another(laptop: Scenario) -> None:
    alike = laptop.replace({"tiers.tools.behaviour": {"like": "coding-agent"}})
    worlds = [draw(alike, 1, w) for w in range(1, 201)]
    ours, theirs = ([w.tier(t).behaviour.active_share.value for w in worlds] for t in ("developers", "tools"))
    assert abs(correlation(ours, theirs)) < 5 / math.sqrt(200)


@given(stated_ranges(), st.floats(0, 1))
def test_any_share_of_any_range_lies_inside_it(value: Value, share: float) -> None:
    assert value.low is not None and value.high is not None
    assert value.low <= at(value, share) <= value.high


@given(stated_ranges(), st.integers(0, 100), st.integers(0, 100))
def test_a_larger_share_is_never_a_smaller_number(value: Value, one: int, other: int) -> None:
    less, more = at(value, min(one, other) / 100), at(value, max(one, other) / 100)
    assert less <= more or less == pytest.approx(more, rel=1e-12)


@given(stated_ranges())
def test_the_ends_and_the_middle_of_a_range_are_the_numbers_stated(value: Value) -> None:
    assert (at(value, 0), at(value, 0.5), at(value, 1)) == pytest.approx((value.low, value.value, value.high))


@given(POSITIVE, POSITIVE)
def test_a_range_without_a_value_has_the_median_of_its_draws_for_one(one: float, other: float) -> None:
    low, high = sorted((one, other))
    value = Value(value=middle(low, high), low=low, high=high)
    assert at(value, 0.25) == pytest.approx(math.exp(math.log(low) * 0.75 + math.log(high) * 0.25))


def test_a_value_without_a_range_is_what_it_is() -> None:
    assert at(Value(value=3.5), 0.1) == 3.5
