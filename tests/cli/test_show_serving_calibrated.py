"""`ampacity show serving --calibration FILE`: the same answer with one's own calibration, or what is wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampacity.inference.best_layout import best_layout
from ampacity.inference.coefficients import catalog_digest
from ampacity.inference.layout import Layout
from ampacity.inference.replica import replica
from ampacity.scenario.calibration_file import read_calibration
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model
from ampacity.scenario.mistakes import Mistakes

OURS = f"""kind: serving
date: 2026-11-22
sources: ["own.csv"]
points: 4
model: llama-3.1-70b
accelerator: h100-sxm
engine: vllm
catalog: "{catalog_digest()}"
precision: fp8
kv_precision: fp8
layout: "TP4"
tpot: {{before: 0.31, after: 0.05, left_out: 0.09}}
ttft: {{before: 0.31, after: 0.12}}
shifts: {{all: 0.2}}
"""
ASKED = ("show", "serving", "llama-3.1-70b", "h100-sxm")
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_calibration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.yaml").write_text(OURS)


@pytest.fixture
def found(said: Said) -> Callable[..., Any]:
    """The JSON of `ampacity ARGS`."""

    def run(*args: str) -> Any:
        code, out, err = said(*args, "--json", "-")
        assert code == 0, err
        return json.loads(out)

    return run


def test_every_token_takes_as_much_longer_as_the_calibration_says(found: Callable[..., Any]) -> None:
    """The shift of all paths multiplies every cost of an iteration by e^0.2, so every TPOT too, whatever the layout."""
    own = found(*ASKED, "--calibration", "ours.yaml", "--slo", "TTFT 9 s")
    catalog = found(*ASKED, "--precision", "fp8", "--slo", "TTFT 9 s")
    by_batch = [{(x["layout"], x["requests"]): x["tpot_s"] for x in data["frontier"]} for data in (own, catalog)]
    both = by_batch[0].keys() & by_batch[1].keys()
    assert len(both) > 20
    for key in both:
        assert by_batch[0][key] == pytest.approx(math.exp(0.2) * by_batch[1][key])


def test_the_answer_names_the_calibration_its_error_and_where_it_was_measured(
    said: Said, found: Callable[..., Any]
) -> None:
    data = found(*ASKED, "--calibration", "ours.yaml", "--slo", "TPOT 60 ms")
    assert data["label"] == "calibrated on 4 points of your own"
    assert data["calibration"]["shifts"]["all"] == 0.2
    error = data["expected_error"]
    assert (error["split"], error["tpot_median"], error["tpot_p90"]) == ("own load left out", 0.09, None)
    assert error["ttft_median"] == 0.12
    assert data["best"]["layout"] != "TP4"
    code, out, _ = said(*ASKED, "--calibration", "ours.yaml", "--slo", "TPOT 60 ms", "--out", "f.html")
    assert code == 0
    assert "4 loads of own.csv, measured in TP4; TPOT within 9.0 % (median)" in out
    assert f"it runs in {data['best']['layout']} here, for which that error is not known" in out
    assert "h100-sxm (calibrated on 4 points of your own)" in Path("f.html").read_text().replace("\\u002f", "/")


def test_without_a_calibration_none_is_named(found: Callable[..., Any]) -> None:
    assert found(*ASKED)["calibration"] is None


def test_engine_and_precisions_are_those_that_were_measured(found: Callable[..., Any], tmp_path: Path) -> None:
    content = OURS.replace("vllm", "sglang").replace(
        "precision: fp8\nkv_precision: fp8", "precision: fp8\nkv_precision: bf16"
    )
    (tmp_path / "ours.yaml").write_text(content)
    data = found(*ASKED, "--calibration", "ours.yaml")
    assert data["engine"] == "sglang"
    assert data["load"]["mixed"] is False
    shape = catalog_model("llama-3.1-70b")
    chip = catalog_accelerator("h100-sxm")
    for x in data["layouts"]:
        layout = Layout(x["tensor"], x["data"], x["pipeline"], x["expert"])
        assert x["precision"] == "fp8"
        assert x["kv_blocks"] == replica(shape, chip, "fp8", "bf16", layout).kv_blocks


def test_other_accelerators_are_as_the_catalog_has_them(found: Callable[..., Any]) -> None:
    both = found(*ASKED, "b200-sxm", "--calibration", "ours.yaml")["accelerators"]
    catalog = found(*ASKED, "b200-sxm", "--precision", "fp8")["accelerators"]
    assert [x["label"] for x in both] == ["calibrated on 4 points of your own", "measured fit"]
    assert both[1] == catalog[1]
    assert both[0]["best"] != catalog[0]["best"]


@pytest.mark.parametrize(
    ("asked", "line", "key", "measured", "wanted"),
    [
        (("llama-3.1-8b", "h100-sxm"), 5, "model", "llama-3.1-70b", "llama-3.1-8b"),
        (("llama-3.1-70b", "h200-sxm"), 6, "accelerator", "h100-sxm", "h200-sxm"),
        (("llama-3.1-70b", "b200-sxm", "h200-sxm"), 6, "accelerator", "h100-sxm", "b200-sxm, h200-sxm"),
        (("llama-3.1-70b", "h100-sxm", "--engine", "SGLang"), 7, "engine", "vllm", "sglang"),
        (("llama-3.1-70b", "h100-sxm", "--precision", "bf16"), 9, "precision", "fp8", "bf16"),
    ],
)
def test_a_calibration_of_something_else_is_told_at_its_line_with_what_was_asked_for(
    said: Said, asked: tuple[str, ...], line: int, key: str, measured: str, wanted: str
) -> None:
    code, _, err = said("show", "serving", *asked, "--calibration", "ours.yaml")
    assert code == 1
    assert err.startswith("ours.yaml: 1 mistake\n")
    assert f"line {line}  {key}: {measured}\n" in err
    assert f"what was measured; asked for is {wanted}\n" in err


def test_everything_that_differs_is_told_at_once(said: Said) -> None:
    code, _, err = said(
        "show", "serving", "llama-3.1-8b", "h200-sxm", "--engine", "trtllm", "--calibration", "ours.yaml"
    )
    assert code == 1
    assert err.startswith("ours.yaml: 3 mistakes")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ("--calibration: 1 mistake", "file: ours.yaml", "no such file; `ampacity calibrate serving` writes")),
        ("", ("--calibration: 1 mistake", "empty; a calibration begins with `kind: serving`")),
        (
            "scenario: lab\nextends: laptop\n",
            ("ours.yaml: 1 mistake", "line 1  keys: scenario, extends", "a calibration begins"),
        ),
        ("- a\n", ("ours.yaml: 1 mistake", "line 1  file", "a calibration is a mapping")),
        (OURS.replace("all:", "al:"), ("line 14  shifts.al", 'the nearest is "all"')),
        (OURS.replace("0.2", "9"), ("line 14  shifts.all: 9", "expected at most 5")),
        (
            OURS.replace("points: 4", "points: x").replace("2026-11-22", "soon"),
            ("ours.yaml: 2 mistakes", "line 2  date: soon", "line 4  points: x"),
        ),
    ],
    ids=["missing", "empty", "a-scenario", "a-list", "unknown-shift", "huge-shift", "two"],
)
def test_a_file_that_is_no_calibration_says_why(
    said: Said, tmp_path: Path, content: str | None, words: tuple[str, ...]
) -> None:
    path = tmp_path / "ours.yaml"
    path.unlink() if content is None else path.write_text(content)
    code, out, err = said(*ASKED, "--calibration", "ours.yaml")
    assert (code, out) == (1, "")
    for part in words:
        assert part in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--calibration", "."), "file: .\n  a folder; `ampacity calibrate serving` writes such a file"),
        (("--calibration", ""), "a folder"),
        (("--engine", ""), "missing; known are sglang, trtllm, vllm"),
    ],
)
def test_an_empty_word_and_a_folder_are_no_answer(said: Said, options: tuple[str, str], words: str) -> None:
    code, out, err = said(*ASKED, *options)
    assert (code, out) == (1, "")
    assert words in err


def test_an_accelerator_named_twice_is_shown_once(found: Callable[..., Any]) -> None:
    assert found(*ASKED, "H100-SXM") == found(*ASKED)


def test_a_search_in_python_refuses_a_calibration_of_something_else() -> None:
    own = read_calibration("ours.yaml").calibration
    shape = catalog_model("llama-3.1-8b")
    chip = catalog_accelerator("h100-sxm")
    with pytest.raises(Mistakes, match="what was measured; asked for is llama") as told:
        best_layout(shape, chip, engine="sglang", calibration=own)
    assert [m.key for m in told.value.mistakes] == ["engine", "model"]


def test_the_command_that_calibrates_says_how_to_look(said: Said, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(
        "isl,osl,concurrency,ttft_ms,tpot_ms\n1024,1024,1,95,14.1\n1024,1024,16,310,18.9\n"
    )
    of = ("--model", "llama-3.1-70b", "--accelerator", "h100-sxm", "--layout", "TP4")
    code, out, err = said("calibrate", "serving", "own.csv", *of)
    assert code == 0, err
    (said_next,) = (line for line in out.splitlines() if "or: ampacity show" in line)
    code, out, err = said(*said_next.split("or: ampacity ")[1].split())
    assert code == 0, err
    assert "calibrated on 2 points of your own" in out
