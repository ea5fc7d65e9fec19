"""A forecast in the state folder beside what came about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ampacity.console.forecast import beside, quantile
from ampacity.console.terms import live_terms, serving_in
from ampacity.forecast.simulated import NAME, simulated_in
from ampacity.scenario.load import load

TOLD = {
    "record": {"scenario_hash": "abc", "seed": 1},
    "slo": [{"tier": "team", "model": "m", "answered": 30, "ttft_p50_s": 0.25, "ttft_p99_s": None}],
    "refusals": {"tier": [{"tier": "team", "refused_attempts": 9, "overloaded_attempts": 1}], "window": []},
}


def kind(tier: str, admitted: int, refused: int, ttft_ms: list[int]) -> dict[str, Any]:
    outcomes = {"admitted": admitted, "queued": 0, "refused": refused, "refused_organization": 0, "no_capacity": 0}
    return {"tier": tier, "outcomes": outcomes, "ttft_ms": ttft_ms}


def test_it_is_read_if_it_is_there_and_whole(tmp_path: Path) -> None:
    assert simulated_in(tmp_path) is None
    (tmp_path / NAME).write_text("{", encoding="utf-8")
    assert simulated_in(tmp_path) is None
    (tmp_path / NAME).write_text(json.dumps(TOLD), encoding="utf-8")
    told = simulated_in(tmp_path)
    assert told is not None and told.record.scenario_hash == "abc"


def test_a_tier_stands_beside_itself_over_all_that_it_asked_for(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(json.dumps(TOLD), encoding="utf-8")
    told = simulated_in(tmp_path)
    assert told is not None
    status = {
        "metrics": {
            "kinds": [kind("team", 6, 1, [0, 0, 6, 0]), kind("other", 9, 9, [9]), kind("team", 2, 1, [0, 2, 0, 0])]
        }
    }
    (row,) = beside(told, status)
    assert row["forecast"] == {"refused_share": 0.25, "ttft_p50_ms": 250.0, "ttft_p99_ms": None}
    expected = {
        "requests": 10,
        "refused_share": 0.2,
        "ttft_p50_ms": pytest.approx(2 + 2 * 2 / 6),
        "ttft_p99_ms": pytest.approx(2 + 2 * 5.92 / 6),
    }
    assert row["measured"] == expected
    nothing = {"requests": 0, "refused_share": None, "ttft_p50_ms": None, "ttft_p99_ms": None}
    assert beside(told, {"metrics": {"kinds": []}})[0]["measured"] == nothing


def test_what_simulate_writes_is_a_forecast_of_the_scenario_that_is_served(tmp_path: Path, ampacity: Any) -> None:
    done = ampacity("simulate", "laptop", "--hours", "24", "--json", NAME, "--quiet")
    assert done.returncode == 0, done.stderr
    told = simulated_in(tmp_path)
    assert told is not None
    s = load("laptop")
    terms = live_terms(s, emulated={(v.pool, v.placement.name): "http://127.0.0.1:9" for v in serving_in(s)})
    assert told.record.scenario_hash == terms.notes["scenario"]
    rows = beside(told, {"metrics": {"kinds": []}})
    assert [r["tier"] for r in rows] == ["developers", "tools"]
    assert all(10 < r["forecast"]["ttft_p50_ms"] < r["forecast"]["ttft_p99_ms"] for r in rows)


@pytest.mark.parametrize(("q", "expected"), [(0.5, 2.0), (0.75, 3.0), (1.0, 4.0)])
def test_a_quantile_is_read_evenly_within_its_bucket(q: float, expected: float) -> None:
    assert quantile([0, 2, 0, 0, 0], 1.0) == 2.0
    assert quantile([0, 4, 4, 0, 0], q) == expected
