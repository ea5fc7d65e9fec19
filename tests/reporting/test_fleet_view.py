"""What is said of a sampled fleet: frames that add up, intervals in few words, a chapter with figures and tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ampacity.reporting.fleet_chapter import fleet_chapter
from ampacity.reporting.fleet_plots import busy_by_load
from ampacity.reporting.fleet_words import between_samples, big, hours_in_words, seconds, spread
from ampacity.reporting.simulate_view import simulate_data, simulate_view
from ampacity.reporting.simulated import Simulated, simulate
from ampacity.reporting.twin_told import told
from ampacity.reporting.words import share
from ampacity.scenario.load import load
from ampacity.simulator import cell_rows as at
from ampacity.simulator.estimate import Estimate
from ampacity.simulator.fleet_run import FleetRun
from ampacity.supply.waterfall import STAGES

NAN = float("nan")


@pytest.fixture(scope="module")
def r(small_fleet: Path) -> Simulated:
    return simulate(load(small_fleet), hours=12, cells=2)


@pytest.fixture(scope="module")
def fleet(r: Simulated) -> FleetRun:
    assert r.fleet is not None
    return r.fleet


def test_frames_have_the_estimates_of_the_sample_with_their_ends(r: Simulated, fleet: FleetRun) -> None:
    for row in r.slo().to_dicts():
        e = fleet.sample.quantile_s(at.TTFT, 0.9, row["tier"])
        assert (row["ttft_p90_s"], row["ttft_p90_s_low"], row["ttft_p90_s_high"]) == (e.value, e.low, e.high)
        assert row["answered"] == fleet.sample.total(at.ANSWERED, row["tier"]).value
        whole = row["uncached_input_tokens"] + row["cached_input_tokens"]
        assert whole == pytest.approx(fleet.sample.total(at.INPUT_TOKENS, row["tier"]).value, abs=2)


def test_pools_of_which_a_part_of_the_sample_sees_nobody_are_named(r: Simulated, fleet: FleetRun) -> None:
    """One of two cells of the third pool is not there on the first day."""
    (name,) = fleet.sample.scarce
    assert name == fleet.sample.pools[2]
    assert f"sees next to nobody in {name}: " in " ".join(between_samples(fleet))
    assert simulate_data(r)["fleet"]["scarce_pools"] == [name]


def test_what_another_swing_would_make_is_told_apart_from_intervals(r: Simulated, fleet: FleetRun) -> None:
    told_of = simulate_data(r)["fleet"]["between_seeds"]["answered"]
    assert told_of == {"value": fleet.swings.value, "low": fleet.swings.low, "high": fleet.swings.high}
    assert f"people share makes it {spread(fleet.swings, big)} requests" in between_samples(fleet)[-1]


def test_refusals_by_window_are_those_by_tier_of_a_sample_too(r: Simulated) -> None:
    by_tier, by_window = r.refusals(), r.refusals(by="window")
    assert by_window["refused_attempts"].sum() == pytest.approx(by_tier["refused_attempts"].sum())
    assert by_tier["refused_attempts"].sum() > 0
    with pytest.raises(ValueError, match='by "hour"'):
        r.refusals(by="hour")


def test_waterfall_cost_and_emissions_are_booked_once(r: Simulated) -> None:
    for row in r.waterfall().to_dicts():
        stages = [row[f"{stage}_accelerator_ms"] for stage in STAGES]
        assert stages == sorted(stages, reverse=True)
        assert row["busy_share_low"] <= row["busy_share"] <= row["busy_share_high"]
    cost = {row["kind"]: row for row in r.cost().to_dicts()}
    assert cost["all"]["usd"] == pytest.approx(r.measured.cost_usd)
    assert cost["uncached_input"]["usd"] + cost["output"]["usd"] == pytest.approx(cost["all"]["usd"])
    assert cost["all"]["usd_per_mtok_low"] <= cost["all"]["usd_per_mtok"] <= cost["all"]["usd_per_mtok_high"]
    emissions = r.emissions()
    assert emissions["facility_kwh"].sum() * 3.6e6 == pytest.approx(
        sum(e.facility_j for e in r.measured.energy.values())
    )
    assert emissions["site"].to_list() == ["east", "west"]


def test_rows_of_requests_are_not_kept_of_a_sample(r: Simulated) -> None:
    with pytest.raises(ValueError, match="not kept"):
        r.requests()


def test_the_screen_says_first_what_the_data_says(r: Simulated, fleet: FleetRun) -> None:
    view, data = simulate_view(r), simulate_data(r)
    lines = view.text.splitlines()
    assert [line.strip() for line in lines[: len(data["answer"])]] == data["answer"]
    assert f"{fleet.sample.requests:,} requests were looked at one by one" in data["answer"][0]
    assert data["fleet"]["requests_looked_at"] == fleet.sample.requests
    assert data["models"] == {}


def test_the_chapter_says_what_is_assumed_and_its_figures_have_tables(fleet: FleetRun) -> None:
    chapter = fleet_chapter(fleet)
    assert chapter.key == "requests"
    assert any("nothing is routed between them" in said for said in chapter.said)
    assert [e.name for e in chapter.exhibits] == ["first-tokens", "busy-by-load"]
    for exhibit in chapter.exhibits:
        assert exhibit.table.rows
        assert all(len(row) == len(exhibit.table.columns) for row in exhibit.table.rows)
    points = [x for trace in chapter.exhibits[0].figure.data if trace.mode == "markers" for x in trace.x]
    assert sorted(points) == sorted(
        fleet.sample.quantile_s(at.TTFT, q, tier).value for q in (0.5, 0.99) for tier in ("developers", "chat")
    )


def test_busy_by_load_rises_from_stratum_to_stratum_and_averages_to_busy(fleet: FleetRun) -> None:
    load_of, found = busy_by_load(fleet)
    assert (load_of[1:] >= load_of[:-1]).all()
    assert found.shape == (3, 12)
    assert np.isnan(found[1:]).all(axis=0).sum() == 3  # the quietest three hours: pools in the west are not there yet
    assert np.nanmean(found[1]) == pytest.approx(fleet.sample.busy()[fleet.sample.pools[1]].value, rel=0.01)


def test_what_run_tells_has_either_requests_or_a_fleet(fleet: FleetRun) -> None:
    both = (told(fleet), told([]))
    assert [bool(t.data["fleet"]) for t in both] == [True, False]
    assert [t.chapter is not None for t in both] == [True, False]
    assert [word for word, _ in both[0].rows] == ["requests"] * 3


@pytest.mark.parametrize(
    ("e", "written"),
    [
        (Estimate(0.45, 0.39, 0.51), "450 ms (390 to 510 ms)"),
        (Estimate(1.2, 0.9, 1.5), "1.2 s (900 ms to 1.5 s)"),
        (Estimate(1.2, 1.2, 1.2), "1.2 s"),
        (Estimate(1.2, NAN, NAN), "1.2 s"),
        (Estimate(NAN, NAN, NAN), ""),
    ],
)
def test_an_estimate_is_a_value_and_where_ninety_per_cent_lie(e: Estimate, written: str) -> None:
    assert spread(e, seconds) == written


def test_shares_and_counts_have_their_unit_once() -> None:
    assert spread(Estimate(0.94, 0.93, 0.95), share) == "94 % (93 to 95 %)"
    assert spread(Estimate(7.5e9, 6.9e9, 8.04e9), big) == "7.5 billion (6.9 to 8.0 billion)"
    assert spread(Estimate(9.9e8, 9e8, 1.1e9), big) == "990 million (900 million to 1.1 billion)"
    assert [hours_in_words(h) for h in (1, 12, 672)] == ["an hour", "12 hours", "four weeks"]
