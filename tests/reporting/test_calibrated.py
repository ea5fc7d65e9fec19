"""An answer names the calibration it rests on; one in which nothing runs says what would, and states no speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampacity.planner.plan import Plan, plan
from ampacity.reporting.words import rows, sentences
from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario


@pytest.fixture
def calibrated(tmp_path: Path, calibration_text: Callable[..., str]) -> Callable[[str], Plan]:
    """The laptop's plan with a calibration that was measured in this layout."""

    def planned(layout: str) -> Plan:
        tpot = {"before": 0.31, "after": 0.05, "left_out": 0.09}
        (tmp_path / "ours.yaml").write_text(calibration_text(kv_precision="fp8", layout=layout, tpot=tpot))
        (tmp_path / "lab.yaml").write_text(
            "scenario: lab\nextends: laptop\nworlds: 2\n"
            "placements: {code: {accelerators_per_replica: 4, calibration: ours.yaml}}\n"
        )
        return plan(load(tmp_path / "lab.yaml"))

    return planned


def test_the_screen_and_the_page_name_the_calibration(
    calibrated: Callable[[str], Plan], read: Callable[[Plan], Any]
) -> None:
    p = calibrated("TP4")
    clause = "llama-3.1-70b on h100-sxm: 4 loads of own.csv, measured in TP4; TPOT within 9.0 % (median)"
    assert dict(rows(p))["calibrated"] == clause
    assert clause in read(p).sections["supply"]


def test_a_calibration_of_another_layout_is_said_to_be_one(calibrated: Callable[[str], Plan]) -> None:
    said = dict(rows(calibrated("TP8")))["calibrated"]
    assert "measured in TP8" in said
    assert said.endswith("it runs in TP4 here, for which that error is not known")


def test_without_a_calibration_nothing_is_said_of_one(one_world: Plan) -> None:
    assert "calibrated" not in dict(rows(one_world))


@pytest.fixture(scope="module")
def too_small() -> Scenario:
    """One accelerator for a model whose weights take two."""
    one = {"contracts.server.deliveries": [{"site": "here", "accelerator": "h100-sxm", "quantity": 1}]}
    return load("laptop", sets=["worlds=2"]).replace(
        {**one, "placements.code.accelerators_per_replica": None, "placements.code.precision": "fp8"}
    )


def test_what_does_not_run_has_no_speed_and_the_answer_says_what_would_run(
    too_small: Scenario, read: Callable[[Plan], Any]
) -> None:
    p = plan(too_small)
    lines = dict(rows(p))
    assert "service" not in lines
    assert "MFU" not in lines["capacity"]
    assert "At full load" not in "".join(read(p).tables)
    hint = sentences(p)[1]
    assert hint.startswith("What would fit 1 accelerator: ")
    assert "placements.code.precision: int4" in hint


def test_what_is_said_to_fit_does_run(too_small: Scenario) -> None:
    hint = sentences(plan(too_small))[1]
    smaller = hint.rsplit("such as ", 1)[1].rstrip(".")
    model = dict.fromkeys(("placements.code.model", "tiers.developers.model", "tiers.tools.model"), smaller)
    for change in ({"placements.code.precision": "int4"}, model):
        assert "service" in dict(rows(plan(too_small.replace(change))))
