"""A forecast in the state folder beside what came about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ampacity.console.forecast import NAME, forecast_in, measured, quantile

TOLD = {"refused_share": 0.25, "ttft_p99_ms": 900.0, "hit": ["ada"]}


def kind(admitted: int, refused: int, ttft_ms: list[int]) -> dict[str, Any]:
    outcomes = {"admitted": admitted, "queued": 0, "refused": refused, "refused_organization": 0, "no_capacity": 0}
    return {"outcomes": outcomes, "ttft_ms": ttft_ms}


def test_it_is_read_if_it_is_there_and_whole(tmp_path: Path) -> None:
    assert forecast_in(tmp_path) is None
    (tmp_path / NAME).write_text("{", encoding="utf-8")
    assert forecast_in(tmp_path) is None
    (tmp_path / NAME).write_text(json.dumps(TOLD), encoding="utf-8")
    assert forecast_in(tmp_path) == TOLD


def test_measured_are_the_same_three_figures_over_all_tiers() -> None:
    status = {"metrics": {"kinds": [kind(6, 1, [0, 0, 6]), kind(2, 1, [0, 2, 0])]}}
    use = [
        {"subscriber": "bob", "refused": 1},
        {"subscriber": "ada", "refused": 1},
        {"subscriber": "eve", "refused": 0},
    ]
    assert measured(status, use) == {"refused_share": 0.2, "ttft_p99_ms": 2.0, "hit": ["ada", "bob"]}
    nothing: dict[str, Any] = {"metrics": {"kinds": []}}
    assert measured(nothing, []) == {"refused_share": None, "ttft_p99_ms": None, "hit": []}


@pytest.mark.parametrize(("q", "expected"), [(0.5, 2.0), (0.75, 3.0), (1.0, 4.0)])
def test_a_quantile_is_read_evenly_within_its_bucket(q: float, expected: float) -> None:
    assert quantile([0, 2, 0, 0, 0], 1.0) == 2.0
    assert quantile([0, 4, 4, 0, 0], q) == expected
