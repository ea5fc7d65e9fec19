"""The behaviour that a fit gives a scenario: the catalog's is the packaged model's, ranges hold what was measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.behaviour import UNITS, Fitted, behaviour_section, figures
from ampacity.demand.goodness import DRAWN_SESSIONS
from ampacity.demand.population import intensity
from ampacity.demand.session_hour import SessionHour, measured_session_hour, session_hour
from ampacity.demand.sessions import Served, generate, served
from ampacity.scenario import lookup

MEASURED = {"uncached_tokens": 359_000, "cached_tokens": 9_381_000, "output_tokens": 34_600, "context_tokens": 122_380}
"""kv-cache-tester (Apache-2.0), 710 sessions; context: mean input of a request."""


@pytest.fixture(scope="module")
def done() -> Served:
    model = packaged_model()
    return served(generate(model, packaged_model().about["seed"], np.arange(DRAWN_SESSIONS)), model.service)


@pytest.fixture(scope="module")
def hour(done: Served) -> SessionHour:
    return session_hour(done)


def catalog(quantity: str) -> dict[str, Any]:
    (claim,) = lookup.behaviour("coding-agent")[quantity]
    return dict(claim)


def fitted(hour: SessionHour, measured: SessionHour | None = None, good: bool = True) -> Fitted:
    return Fitted(hour, measured, "ours.jsonl", date(2026, 11, 22), good)


@pytest.mark.parametrize("key", UNITS)
def test_the_catalogs_coding_agent_is_the_packaged_models_active_hour(hour: SessionHour, key: str) -> None:
    claim = catalog(key)
    assert claim["value"] == pytest.approx(figures(hour)[key], rel=0.01)
    assert (claim["unit"], claim["status"]) == (UNITS[key], "derived")
    assert "coding_agent.yaml" in claim["source"] and "Apache-2.0" in claim["source"]
    assert packaged_model().about["fitted_on"] in claim["source"]


@pytest.mark.parametrize("key", UNITS)
def test_the_catalogs_range_holds_fit_and_measurement_with_15_percent_to_both_sides(
    hour: SessionHour, key: str
) -> None:
    claim, ends = catalog(key), (MEASURED[key], figures(hour)[key])
    assert claim["low"] == pytest.approx(0.85 * min(ends), rel=0.01)
    assert claim["high"] == pytest.approx(1.15 * max(ends), rel=0.01)


def test_the_catalogs_hours_per_week_hold_both_measures_of_hours() -> None:
    claim, found = catalog("active_hours"), intensity()
    assert claim["low"] <= found.active_hours[0] and found.running_hours[1] <= claim["high"]
    assert found.active_hours[0] <= claim["value"] <= found.active_hours[2]


def test_a_claim_has_unit_source_day_and_the_cache_it_counts_on(hour: SessionHour) -> None:
    section = behaviour_section("ours", fitted(hour))
    assert list(section) == ["name", *UNITS]
    for key, unit in UNITS.items():
        claim = section[key]
        assert (claim["unit"], claim["source"], claim["known_since"]) == (unit, "ours.jsonl", "2026-11-22")
        assert ("unlimited" in claim["reason"]) == (key in ("uncached_tokens", "cached_tokens"))
        assert "no times" in claim["reason"]
        assert claim["low"] == pytest.approx(0.85 * claim["value"], rel=1e-3)
        assert claim["high"] == pytest.approx(1.15 * claim["value"], rel=1e-3)


def test_a_range_holds_the_measured_hour_too(hour: SessionHour) -> None:
    twice = replace(hour, output_tokens=2 * hour.output_tokens)
    claim = behaviour_section("ours", fitted(hour, twice))["output_tokens"]
    assert claim["value"] == pytest.approx(hour.output_tokens, rel=1e-3)
    assert claim["low"] == pytest.approx(0.85 * hour.output_tokens, rel=1e-3)
    assert claim["high"] == pytest.approx(1.15 * 2 * hour.output_tokens, rel=1e-3)
    assert f"{2 * hour.output_tokens:,.0f}" in claim["reason"]


def test_a_fit_that_misses_its_targets_has_low_confidence(hour: SessionHour) -> None:
    found = [
        behaviour_section("ours", fitted(hour, good=good))["output_tokens"]["confidence"] for good in (True, False)
    ]
    assert found == ["medium", "low"]


def test_the_hour_of_drawn_sessions_is_the_same_measured_from_their_frame(done: Served, hour: SessionHour) -> None:
    found = measured_session_hour(done.frame())
    assert found is not None
    assert vars(found) == pytest.approx(vars(hour))


def test_a_measured_hour_by_hand() -> None:
    """Two sessions: 0, 100 s, then a pause that counts as 300 s; and 0, 320 s, likewise: 700 active seconds."""
    frame = pl.DataFrame(
        {
            "session": ["b", "b", "b", "c", "c", "c"],
            "agent": [0, 0, 0, 0, 0, 1],
            "t_s": [0.0, 100.0, 9000.0, 0.0, 320.0, 5.0],
            "input_tokens": [10, 20, 30, 40, 50, 999],
            "cached_tokens": [0, 10, 20, 0, 40, 0],
            "output_tokens": [1, 1, 2, 1, 1, 999],
        }
    )
    found = measured_session_hour(frame)
    assert found is not None
    hours = 700 / 3600
    assert (found.hours, found.requests) == pytest.approx((hours, 5 / hours))
    assert (found.input_tokens, found.uncached_tokens) == pytest.approx((150 / hours, 80 / hours))
    assert found.output_tokens == pytest.approx(6 / hours)
    assert found.context_tokens == pytest.approx((10.5 + 20.5 + 2 * 31 + 40.5 + 50.5) / 6)


@pytest.mark.parametrize("t_s", [[0.0, None], [0.0, 0.0]], ids=["a-time-missing", "no-time-passes"])
def test_a_trace_without_times_has_no_measured_hour(t_s: list[float | None]) -> None:
    frame = pl.DataFrame({"session": [1, 1], "agent": [0, 0], "t_s": t_s}).with_columns(
        input_tokens=10, cached_tokens=0, output_tokens=1
    )
    assert measured_session_hour(frame) is None
    assert measured_session_hour(frame.drop("t_s")) is None
