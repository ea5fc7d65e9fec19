"""A placement's calibration is part of the scenario: found from the file that names it, frozen, in the digest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ampacity.scenario.calibration import Calibration
from ampacity.scenario.load import load
from ampacity.scenario.schema import json_schema

Text = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path, calibration_text: Text) -> Path:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "ours.yaml").write_text(calibration_text())
    (tmp_path / "other.yaml").write_text(calibration_text(points=9))
    (tmp_path / "lab" / "lab.yaml").write_text(
        "scenario: lab\nextends: laptop\nplacements: {code: {calibration: ours.yaml}}\n"
    )
    (tmp_path / "above.yaml").write_text("scenario: above\nextends: lab/lab.yaml\n")
    return tmp_path


def own(path: Path, sets: Sequence[str] = ()) -> Calibration:
    found = load(path, sets=sets).placements[0].calibration
    assert found is not None
    return found


def test_a_path_counts_from_the_file_that_states_it_even_through_extends(folder: Path) -> None:
    assert own(folder / "lab" / "lab.yaml").shifts.all == 0.2
    assert own(folder / "above.yaml").shifts.all == 0.2


def test_a_path_of_set_counts_from_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert own(folder / "lab" / "lab.yaml", sets=["placements.code.calibration=other.yaml"]).points == 9


def test_a_calibration_over_another_replaces_it_whole(folder: Path, calibration_text: Text) -> None:
    (folder / "above.yaml").write_text(
        "scenario: above\nextends: lab/lab.yaml\nplacements: {code: {calibration: other.yaml}}\n"
    )
    (folder / "other.yaml").write_text(calibration_text(shifts={"link": 0.3}))
    found = own(folder / "above.yaml")
    assert (found.shifts.all, found.shifts.link) == (0.0, 0.3)


def test_null_takes_a_calibration_away(folder: Path) -> None:
    s = load(folder / "lab" / "lab.yaml", sets=["placements.code.calibration=null"])
    assert s.placements[0].calibration is None


def test_its_content_is_in_the_digest_and_survives_the_file(folder: Path, calibration_text: Text) -> None:
    with_it = load(folder / "lab" / "lab.yaml")
    (folder / "lab" / "ours.yaml").write_text(calibration_text(shifts={"all": 0.21}))
    assert load(folder / "lab" / "lab.yaml").digest() != with_it.digest()
    (folder / "lab" / "ours.yaml").unlink()
    changed = with_it.replace({"sites.here.pue": 1.2})
    assert changed.placements[0].calibration == with_it.placements[0].calibration


def test_the_schema_takes_a_file_or_its_content() -> None:
    stated = json_schema()["$defs"]["Placement"]["properties"]["calibration"]
    assert [list(way) for way in stated["anyOf"]] == [["type", "description"], ["$ref"]]
