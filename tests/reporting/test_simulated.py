"""What a simulation says adds up: requests, refusals, accelerator-seconds, money and energy, each counted once."""

from __future__ import annotations

from functools import cache

import polars as pl
import pytest

import ampacity as amp
from ampacity.planner.plan import plan
from ampacity.reporting.simulate_view import simulate_data, simulate_view
from ampacity.reporting.simulated import Simulated, simulate
from ampacity.scenario.load import load
from ampacity.simulator import cell_rows as at
from ampacity.supply.waterfall import STAGES

DAY = 24


@cache
def day(*sets: str, seed: int = 1) -> Simulated:
    return simulate(load("laptop", sets=list(sets)), seed=seed, hours=DAY, windows=100)


def tight() -> Simulated:
    return day("limits.team.windows.five-hour.tokens=3 Mtoken", "limits.team.windows.weekly.tokens=30 Mtoken")


def test_every_request_that_was_asked_is_one_row() -> None:
    for r in (day(), tight()):
        rows, result = r.requests(), r.runs[0].result
        for tier in result.tiers:
            own = rows.filter(pl.col("tier") == tier)
            assert own.height == result.count(at.ASKED, tier)
            answered = own.filter(pl.col("outcome") == "answered")
            assert answered.height == result.count(at.ANSWERED, tier)
            assert answered["output_tokens"].sum() == result.count(at.OUTPUT_TOKENS, tier)
            assert answered["input_tokens"].sum() == result.count(at.INPUT_TOKENS, tier)
            assert answered["found_tokens"].sum() == result.count(at.HIT, tier)
        assert (rows["outcome"] == "in flight").sum() == result.in_flight
        assert rows["asked_ps"].is_sorted()
        known = rows.filter(pl.col("finished_ps").is_not_null())
        assert (known["asked_ps"] < known["first_token_ps"]).all()
        assert (known["first_token_ps"] <= known["finished_ps"]).all()


def test_quantiles_of_tiers_are_those_of_their_rows() -> None:
    r = day()
    for row in r.slo().to_dicts():
        own = r.requests().filter((pl.col("tier") == row["tier"]) & (pl.col("outcome") == "answered"))
        ttft_s = (own["first_token_ps"] - own["asked_ps"]) / 1e12
        for q in (0.5, 0.9, 0.99):
            assert row[f"ttft_p{100 * q:g}_s"] == pytest.approx(ttft_s.quantile(q, "higher"), rel=0.01)


def test_refusals_by_window_are_those_by_tier() -> None:
    r = tight()
    by_tier, by_window = r.refusals(), r.refusals(by="window")
    assert by_tier["refused_attempts"].sum() > 100
    summed = by_window.group_by("tier").agg(pl.col("refused_attempts").sum())
    for tier, attempts in summed.iter_rows():
        assert by_tier.filter(pl.col("tier") == tier)["refused_attempts"].item() == attempts
    assert by_window["window"].to_list() == ["five-hour", "weekly"]
    assert (r.requests()["refused"]).sum() > 0
    with pytest.raises(ValueError, match='by "hour"'):
        r.refusals(by="hour")


def test_every_accelerator_second_of_the_waterfall_is_booked_once() -> None:
    r = day()
    (row,) = r.waterfall().to_dicts()
    amounts = [row[f"{stage}_accelerator_ms"] for stage in STAGES]
    assert amounts == sorted(amounts, reverse=True)
    assert amounts[0] == 8 * DAY * 3_600_000
    busy, running = amounts[STAGES.index("busy")], amounts[STAGES.index("running")]
    assert busy / running == pytest.approx(r.runs[0].busy_share, abs=1e-6)
    assert amounts[-1] / busy == pytest.approx(row["useful_share"], abs=1e-6)


def test_what_tokens_cost_is_fees_and_electricity() -> None:
    r = day()
    by_kind = {row["kind"]: row for row in r.cost().to_dicts()}
    fees = 8 * 2.35 * DAY
    power = r.emissions()["facility_kwh"].sum() * 90 / 1000
    assert by_kind["all"]["usd"] == pytest.approx(fees + power, rel=1e-9)
    assert by_kind["uncached_input"]["usd"] + by_kind["output"]["usd"] == pytest.approx(fees + power, rel=1e-9)
    answered = r.requests().filter(pl.col("outcome") == "answered")
    assert by_kind["output"]["tokens"] == answered["output_tokens"].sum()
    assert by_kind["cached_input"]["tokens"] == answered["found_tokens"].sum()


def test_a_busier_day_draws_more_power_and_puts_out_more_carbon() -> None:
    idle, busy = day().emissions(), day("tiers.developers.people=100").emissions()
    for column in ("facility_kwh", "co2_location_based_kg"):
        assert busy[column].sum() > 1.02 * idle[column].sum()
    (row,) = busy.to_dicts()
    assert row["facility_kwh"] > row["it_kwh"] > row["server_kwh"] > 0


def test_the_limits_of_a_plan_are_those_that_are_found_anew() -> None:
    s = load("laptop", sets=["worlds=1"])
    given = amp.simulate(s, plan=plan(s), hours=DAY, windows=0)
    assert (given.runs[0].result.counts == day().runs[0].result.counts).all()


def test_a_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    one, again = simulate_data(day()), simulate_data(simulate(load("laptop"), hours=DAY, windows=100))
    for found in (one, again):
        found["record"].pop("cpu_s")
    assert one == again
    assert day(seed=2).requests().height != day().requests().height


def test_the_screen_says_sentences_first_and_then_the_same_figures() -> None:
    view = simulate_view(tight())
    said = view.text.splitlines()
    assert said[0].endswith(f"An iteration runs in {view.data['answer'][0].split()[-5]} % of the time.")
    for sentence in view.data["answer"]:
        assert f"  {sentence}" in said
    assert any(line.split()[:2] == ["developers", "five-hour"] for line in said)
    for row in view.data["slo"]:
        assert any(line.split()[0] == row["tier"] for line in said if line.strip())


def test_the_figure_of_the_waterfall_shows_the_stages_of_the_run() -> None:
    r = day()
    left, lost = amp.plots.waterfall(r).data
    rows = r.waterfall()
    assert left.x[0] == pytest.approx(rows["contracted_accelerator_ms"].sum() / 3.6e6)
    assert left.x[-1] == pytest.approx(rows["useful_accelerator_ms"].sum() / 3.6e6)
    assert sum(lost.x) == pytest.approx(left.x[0] - left.x[-1])


def test_what_is_good_is_counted_request_by_request() -> None:
    """Against the rows themselves, one after the other; where the service level is strict, hardly anything is good."""
    r = day("service_level.tpot=9 ms")
    for row in r.slo().to_dicts():
        good = 0
        for one in r.requests().filter(pl.col("tier") == row["tier"]).to_dicts():
            if one["outcome"] == "answered":
                soon = one["first_token_ps"] - one["asked_ps"] <= 10 * 10**12
                pace_ps = (one["finished_ps"] - one["first_token_ps"]) // max(one["output_tokens"] - 1, 1)
                good += soon and pace_ps <= 9 * 10**9
        assert row["good_share"] == good / row["answered"]
        usual = day().slo().row(by_predicate=pl.col("tier") == row["tier"], named=True)
        assert row["good_share"] < 0.97 < usual["good_share"]
