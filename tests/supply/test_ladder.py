"""The ladder of levers: factors multiply, none alone takes 11 % to 40 %, and the catalog says where each comes from."""

from __future__ import annotations

from datetime import date
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.supply.ladder import (
    ENDS,
    Lever,
    cache_lifetime_factor,
    fleet_levers,
    levers,
    lift,
    lines,
    multiply,
    singles,
    smallest_that_reach,
    steps,
)
from ampacity.supply.waterfall import STAGES

LEVERS = levers()
ILLUSTRATION = {"energized": 0.95, "healthy": 0.97, "allocated": 0.60, "busy": 0.70, "running": 0.85, "useful": 0.34}
some_levers = st.lists(st.sampled_from(fleet_levers(LEVERS)), unique=True)


@pytest.mark.parametrize("lever", LEVERS, ids=lambda lever: lever.name)
def test_every_lever_acts_on_a_stage_and_says_where_its_range_is_from(lever: Lever) -> None:
    assert lever.stage in STAGES
    assert lever.factor.source
    assert lever.factor.known_since
    assert 1 <= lever.at("low") <= lever.at("value") <= lever.at("high")


def test_no_single_fleet_wide_lever_takes_11_percent_to_40() -> None:
    for end in ENDS:
        assert all(rung.reached < 0.40 for rung in singles(0.11, LEVERS, end))


def test_all_together_reach_40_percent_only_beyond_the_middle_of_their_ranges() -> None:
    reached = {end: steps(0.11, LEVERS, end)[-1].reached for end in ENDS}
    assert reached["low"] < reached["value"] < 0.40 < reached["high"]
    assert reached["value"] == pytest.approx(0.38, abs=0.01)


@given(some_levers, st.floats(0.001, 1))
def test_levers_multiply_in_any_order_and_no_share_passes_one(pulled: list[Lever], start: float) -> None:
    rung = multiply(start, pulled)
    again = multiply(start, pulled[::-1])
    assert rung.factor == pytest.approx(again.factor)
    assert start <= rung.reached <= 1


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("goal", [0.15, 0.25, 0.40, 0.60])
def test_the_smallest_combinations_are_those_of_brute_force(end: str, goal: float) -> None:
    own = fleet_levers(LEVERS)
    every = [set(c) for n in range(1, len(own) + 1) for c in combinations([x.name for x in own], n)]
    by_name = {lever.name: lever for lever in own}
    enough = [c for c in every if 0.11 * multiply(1e-9, [by_name[n] for n in c], end).factor >= goal]  # type: ignore[arg-type]
    least = [c for c in enough if not any(other < c for other in enough)]
    found = [set(rung.levers) for rung in smallest_that_reach(0.11, goal, LEVERS, end)]  # type: ignore[arg-type]
    assert sorted(map(sorted, found)) == sorted(map(sorted, least))


@given(some_levers, st.dictionaries(st.sampled_from(STAGES[1:]), st.floats(0.01, 1), min_size=1))
def test_no_stage_of_a_waterfall_is_lifted_above_one_or_lowered(pulled: list[Lever], at: dict[str, float]) -> None:
    lifted = lift(at, pulled)
    assert all(at[stage] <= ratio <= 1 for stage, ratio in lifted.stages.items())
    assert lifted.useful <= 1


def test_the_illustration_of_11_percent_lifts_as_its_product_says() -> None:
    assert lift(ILLUSTRATION, ()).useful == pytest.approx(0.112, abs=0.001)
    lifted = lift(ILLUSTRATION, fleet_levers(LEVERS))
    assert lifted.stages["allocated"] == pytest.approx(0.75)
    assert lifted.stages["busy"] == 1.0
    assert 0.30 < lifted.useful < 0.40


def test_levers_of_a_part_of_a_fleet_and_levers_of_work_are_never_multiplied_in() -> None:
    names = {lever.name for lever in fleet_levers(LEVERS)}
    assert names == {"pooling", "off-peak-batch", "restart", "kernels", "larger-batch"}
    assert {lever.name for lever in LEVERS} - names >= {"cache-lifetime", "pool-cold-models"}


def test_halving_uncached_prefill_gives_at_most_twice_the_tokens() -> None:
    assert cache_lifetime_factor(0.0, 2.0) == 1.0
    assert cache_lifetime_factor(0.5, 2.0) == pytest.approx(4 / 3)
    assert cache_lifetime_factor(1.0, 2.0) == 2.0
    with pytest.raises(ValueError, match="between 0 and 1"):
        cache_lifetime_factor(1.1, 2.0)


def test_a_share_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        multiply(1.1, ())


def test_the_lines_name_numerator_and_denominator_and_obey_the_day() -> None:
    shares = {line.name: line.value.value for line in lines()}
    assert [shares[name] for name in ("xai-11", "competitors-40", "meta-43", "google-46")] == [0.11, 0.40, 0.43, 0.46]
    acme = [shares[f"acme-{name}"] for name in ("gpu-util", "sm-activity", "occupancy")]
    assert acme == pytest.approx([0.698, 0.385, 0.1175])
    assert all(line.numerator and line.denominator and line.value.who for line in lines())
    assert {line.name for line in lines(date(2025, 1, 1))} == {"acme-gpu-util", "acme-sm-activity", "acme-occupancy"}
