"""Calibration files that are missing, damaged or of something else: every mistake told where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from ampacity.scenario.load import load
from ampacity.scenario.mistakes import Mistake, Mistakes

GOOD = """kind: serving
date: 2026-11-22
sources: ["own.csv"]
points: 4
left_out: 1
model: llama-3.1-70b
accelerator: h100-sxm
engine: vllm
version: "0.19.0"
catalog: "12345678"
precision: fp8
kv_precision: fp8
layout: "TP4"
tpot: {before: 0.31, after: 0.05, left_out: 0.09}
ttft: {before: 0.31, after: 0.12}
shifts: {all: 0.2, dense_memory: -0.05}
"""


def scenario(folder: Path, content: str | bytes | None, more: str = "") -> Path:
    if content is not None:
        (folder / "ours.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    path = folder / "lab.yaml"
    path.write_text(
        f"scenario: lab\nextends: laptop\nplacements:\n  code:\n    calibration: ours.yaml\n{more}", encoding="utf-8"
    )
    return path


def mistakes(path: Path) -> tuple[Mistake, ...]:
    with pytest.raises(Mistakes) as told:
        load(path)
    return told.value.mistakes


def test_a_good_one_loads(tmp_path: Path) -> None:
    found = load(scenario(tmp_path, GOOD)).placements[0].calibration
    assert found is not None
    assert found.shifts.all == 0.2 and found.version == "0.19.0" and found.expected_error == 0.09


@pytest.mark.parametrize(
    ("content", "file", "line", "key", "words"),
    [
        pytest.param(None, "lab.yaml", 5, "calibration", "no such file; `ampacity calibrate serving`", id="missing"),
        pytest.param("", "lab.yaml", 5, "calibration", "empty; a calibration begins with", id="empty"),
        pytest.param(b"\xff\xfe", "lab.yaml", 5, "calibration", "not UTF-8", id="not-text"),
        pytest.param("- a\n", "ours.yaml", 1, "file", "a calibration is a mapping", id="a-list"),
        pytest.param("a: [1\n", "ours.yaml", 2, "YAML", "not readable", id="no-yaml"),
        pytest.param(GOOD.replace("all:", "al:"), "ours.yaml", 16, "shifts.al", 'nearest is "all"', id="unknown-shift"),
        pytest.param(GOOD.replace("0.2,", "lots,"), "ours.yaml", 16, "shifts.all", "expected a number", id="word"),
        pytest.param(GOOD.replace("0.2,", ".nan,"), "ours.yaml", 16, "shifts.all", "finite", id="nan"),
        pytest.param(GOOD.replace("0.2,", "9.0,"), "ours.yaml", 16, "shifts.all", "5", id="huge"),
        pytest.param(GOOD.replace("points: 4", "points: 0"), "ours.yaml", 4, "points", "1", id="no-points"),
        pytest.param(GOOD.replace("2026-11-22", "soon"), "ours.yaml", 2, "date", "expected a day", id="no-day"),
        pytest.param(
            GOOD.replace("70b", "8b"), "ours.yaml", 6, "model", "the placement has model llama-3.1-70b", id="model"
        ),
        pytest.param(
            GOOD.replace("h100", "h200"), "ours.yaml", 7, "accelerator", "the placement stands on h100-sxm", id="chip"
        ),
        pytest.param(
            GOOD.replace("vllm", "sglang"), "ours.yaml", 8, "engine", "the placement has engine vllm", id="engine"
        ),
        pytest.param(
            GOOD.replace("precision: fp8\nkv", "precision: bf16\nkv"),
            "ours.yaml",
            11,
            "precision",
            "fp8",
            id="precision",
        ),
    ],
)
def test_every_mistake_stands_in_its_own_file_and_line(
    tmp_path: Path, content: str | bytes | None, file: str, line: int, key: str, words: str
) -> None:
    (found,) = mistakes(scenario(tmp_path, content))
    assert (found.file, found.line) == (file, line)
    assert found.key.endswith(key)
    assert words in found.message


def test_mistakes_of_both_files_are_told_at_once(tmp_path: Path) -> None:
    found = mistakes(scenario(tmp_path, GOOD.replace("points: 4", "points: x"), "sites: {here: {power: 300 kg}}\n"))
    assert {(m.file, m.key) for m in found} == {
        ("lab.yaml", "sites.here.power"),
        ("ours.yaml", "placements.code.calibration.points"),
    }


def test_a_missing_file_hides_no_other_mistake(tmp_path: Path) -> None:
    found = mistakes(scenario(tmp_path, None, "sites: {here: {power: 300 kg}}\n"))
    assert len(found) == 2


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ("..", "a folder; expected a YAML file"),
        ("/", "a folder; expected a YAML file"),
        ("a\0b", "no such file; `ampacity calibrate serving` writes such a file"),
        ("x" * 5000, "no such file; `ampacity calibrate serving` writes such a file"),
        ("lab.yaml/ours.yaml", "no such file; `ampacity calibrate serving` writes such a file"),
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_a_path_that_leads_to_no_file_is_a_mistake_of_who_states_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab.yaml").write_text("scenario: lab\nextends: laptop\n")
    with pytest.raises(Mistakes) as told:
        load("lab.yaml", sets=[f"placements.code.calibration={stated}"])
    assert told.value.mistakes == (Mistake("--set", 0, "placements.code.calibration", stated[:60], message),)
