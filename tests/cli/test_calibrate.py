"""`ampacity calibrate demand TRACE` as people run it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from ampacity.cli import app
from ampacity.demand.agent_model import packaged_model, read_model
from ampacity.demand.goodness import TARGETS
from ampacity.demand.sessions import generate, served
from ampacity.scenario.mistakes import Mistakes


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = packaged_model()
    path = tmp_path_factory.mktemp("traces") / "ours.parquet"
    served(generate(model, 1, np.arange(400)), model.service).frame().write_parquet(path)
    return path


def test_a_model_is_written_and_the_goodness_is_said(ampacity: Callable[..., Any], trace: Path, tmp_path: Path) -> None:
    done = ampacity("calibrate", "demand", str(trace), "--repetitions", "1", "--json", "found.json")
    assert done.returncode == 0, done.stderr
    assert "400 sessions" in done.stdout
    assert "output per request" in done.stdout and "held out" in done.stdout
    assert "ours.demand.yaml" in done.stdout
    assert read_model(tmp_path / "ours.demand.yaml").about["source"] == "ours.parquet"
    found = json.loads((tmp_path / "found.json").read_text())
    assert [g["statistic"] for g in found["goodness"]] == list(TARGETS)
    assert found["hit_share"]["drawn"] == pytest.approx(found["hit_share"]["trace"], abs=0.01)


def test_the_same_seed_gives_the_same_file_and_quiet_says_nothing(trace: Path, tmp_path: Path) -> None:
    files = []
    for name in ("a.yaml", "b.yaml"):
        target = tmp_path / name
        done = CliRunner().invoke(
            app, ["calibrate", "demand", str(trace), "--repetitions", "0", "--quiet", "-o", str(target)]
        )
        assert (done.exit_code, done.output) == (0, "")
        files.append(target.read_bytes())
    assert files[0] == files[1]


def test_without_repetitions_no_floor_is_claimed(trace: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["calibrate", "demand", str(trace), "--repetitions", "0", "--json", "-", "-o", str(tmp_path / "m.yaml")]
    )
    assert {g["floor"] for g in json.loads(done.output)["goodness"]} == {None}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n", "no such column"),
        (
            "session,agent,step,input_tokens,cached_tokens,output_tokens,gap_s,user_started\n1,0,0,10,0,5,0,true\n",
            "found 1 sessions with 1 requests",
        ),
    ],
    ids=["other columns", "too few"],
)
def test_a_trace_that_cannot_be_fitted_is_refused_in_words(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(content)
    with pytest.raises(Mistakes, match=said):
        CliRunner().invoke(app, ["calibrate", "demand", str(tmp_path / "bad.csv")], catch_exceptions=False)
    assert not (tmp_path / "bad.demand.yaml").exists()


def test_a_file_that_is_not_there_is_named(ampacity: Callable[..., Any]) -> None:
    done = ampacity("calibrate", "demand", "nothing.parquet")
    assert done.returncode == 1
    assert "nothing.parquet: No such file" in done.stderr
