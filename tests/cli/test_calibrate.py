"""`ampacity calibrate demand TRACE` as people run it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from ampacity.cli import app
from ampacity.demand.agent_model import packaged_model, read_model
from ampacity.demand.goodness import TARGETS
from ampacity.demand.sessions import generate, served
from ampacity.scenario.load import load
from ampacity.scenario.lookup import scenario_path
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


def test_sessions_whose_cache_is_not_told_are_left_out_and_the_user_is_told(trace: Path, tmp_path: Path) -> None:
    """Half of the sessions have one request of unknown cached part; what is left is as cached as the whole was."""
    partly, target = tmp_path / "partly.parquet", tmp_path / "partly.yaml"
    unknown = (pl.col("session") % 2 == 0) & (pl.col("step") == 1)
    rows = pl.read_parquet(trace).with_columns(
        cached_tokens=pl.when(unknown).then(None).otherwise(pl.col("cached_tokens"))
    )
    rows.write_parquet(partly)
    left_out = rows.filter(unknown)["session"].n_unique()
    arguments = ["calibrate", "demand", str(partly), "--repetitions", "0", "-o", str(target)]
    done = CliRunner().invoke(app, [*arguments, "--json", str(tmp_path / "found.json")])
    assert done.exit_code == 0, done.output
    assert f"{left_out} sessions are left out" in done.output and f"{400 - left_out} sessions" in done.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["model"]["about"]["sessions_left_out"] == left_out > 150
    assert found["hit_share"]["trace"] == pytest.approx(found["hit_share"]["drawn"], abs=0.02)
    assert all(math.isfinite(v) for v in found["means"]["trace"].values())


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


def test_a_scenario_takes_the_written_behaviour_up(trace: Path, tmp_path: Path) -> None:
    """The fit to sessions that the packaged model drew asks for what the catalog's coding agent does."""
    target = tmp_path / "office.demand.yaml"
    arguments = ["calibrate", "demand", str(trace), "--repetitions", "0", "--json", "-", "-o", str(target)]
    section = json.loads(CliRunner().invoke(app, arguments).output)["behaviour"]
    # on a model with a window of 131,072 tokens the catalog's agents would compact to fit it
    wide = "models:\n  llama-3.1-70b: {context_tokens: 1000000}\n"
    unbound = tmp_path / "unbound.yaml"
    unbound.write_text(Path(str(scenario_path("laptop"))).read_text() + wide)
    ours, catalog = (
        load(unbound, sets=[f"tiers.developers.behaviour={name}"]).tier("developers").behaviour
        for name in (str(target), "coding-agent")
    )
    assert ours.uncached_per_s.value * 3600 == pytest.approx(section["uncached_tokens"]["value"])
    assert (ours.name, ours.context_tokens.source, ours.context_tokens.status) == ("ours", "ours.parquet", "derived")
    for key in ("uncached_per_s", "cached_per_s", "output_per_s", "context_tokens"):
        assert getattr(ours, key).value == pytest.approx(getattr(catalog, key).value, rel=0.15)
    assert "unlimited lifetime" in ours.cached_per_s.reason


def test_without_repetitions_no_floor_is_claimed(trace: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["calibrate", "demand", str(trace), "--repetitions", "0", "--json", "-", "-o", str(tmp_path / "m.yaml")]
    )
    assert {g["floor"] for g in json.loads(done.output)["goodness"]} == {None}


def test_a_file_that_is_no_trace_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(Mistakes, match="no known trace"):
        CliRunner().invoke(app, ["calibrate", "demand", str(tmp_path / "bad.csv")], catch_exceptions=False)


def test_a_trace_of_one_request_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "short.jsonl").write_text('{"timestamp": 0, "input_length": 10, "output_length": 5, "hash_ids": [1]}\n')
    with pytest.raises(Mistakes) as raised:
        CliRunner().invoke(app, ["calibrate", "demand", str(tmp_path / "short.jsonl")], catch_exceptions=False)
    assert "cached_tokens" in str(raised.value) or "sessions" in str(raised.value)
    assert not (tmp_path / "short.demand.yaml").exists()


def test_a_file_that_is_not_there_is_named(ampacity: Callable[..., Any]) -> None:
    done = ampacity("calibrate", "demand", "nothing.parquet")
    assert done.returncode == 1
    assert "nothing.parquet: No such file" in done.stderr
