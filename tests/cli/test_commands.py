"""The commands as people and programs use them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ampacity.cli.init import scenario_text
from ampacity.planner.answer import answer as answer_of
from ampacity.scenario import lookup
from ampacity.scenario.load import load

KINDS = ("uncached_input", "output", "all")


def test_run_gives_programs_everything_that_it_says(laptop_run: Any) -> None:
    found = laptop_run.found
    assert set(found["limits"]) == {"developers"}
    for window in found["limits"]["developers"].values():
        assert {"value", "low", "high", "binding"} <= set(window)
        assert isinstance(window["binding"], bool)
        assert window["low"] <= window["value"] <= window["high"]
    for kind in KINDS:
        assert found["tokens_per_day"][kind] > 0
        assert found["cost_usd_per_mtok"][kind] > 0
    assert (
        found["energy"]["mean_kw"]["facility"]
        > found["energy"]["mean_kw"]["it"]
        > found["energy"]["mean_kw"]["server"]
        > 0
    )
    assert found["answer"][0] in laptop_run.screen
    assert laptop_run.page.startswith("<!doctype html>")


def test_the_waterfall_in_json_adds_up_to_the_millisecond(answer: Callable[..., Any]) -> None:
    amounts = answer("plan", "laptop", "--set", "worlds=1")["waterfall"]["accelerator_ms"]
    stages = list(amounts)
    lost = [amounts[before] - amounts[after] for before, after in pairwise(stages)]
    assert all(isinstance(x, int) and x >= 0 for x in lost)
    assert sum(lost) + amounts["useful"] == amounts["contracted"] == 8 * 28 * 24 * 3_600_000


def test_cost_times_tokens_is_what_is_paid(answer: Callable[..., Any]) -> None:
    found = answer("plan", "laptop", "--set", "worlds=1")
    paid = found["cost_usd_per_day"]["all"]
    by_kind = sum(
        found["cost_usd_per_mtok"][k] * found["tokens_per_day"][k] / 1e6 for k in ("uncached_input", "output")
    )
    assert by_kind == pytest.approx(paid, rel=1e-9)
    assert found["cost_usd_per_mtok"]["all"] * found["tokens_per_day"]["all"] / 1e6 == pytest.approx(paid, rel=1e-9)


def test_init_writes_a_scenario_and_answers_it(ampacity: Callable[..., Any], tmp_path: Path) -> None:
    done = ampacity("init", "--gpus", "8xh100-sxm", "--people", "50", "--model", "llama-3.1-70b")
    assert done.returncode == 0, done.stderr
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"```\n(Each person can have.*?)```", readme, re.DOTALL)
    assert all(line in done.stdout for line in told.splitlines()), done.stdout
    text = (tmp_path / "our-lab.yaml").read_text()
    assert text.startswith("#")
    assert len(text.splitlines()) <= 24
    assert ampacity("check", "our-lab.yaml").returncode == 0


@pytest.mark.parametrize("model", lookup.model_names())
@pytest.mark.parametrize(
    "gpus", [(16, "h200-sxm"), (72, "gb200-nvl72"), (64, "a100-sxm"), (16, "mi300x"), (64, "tpu-v7")]
)
def test_init_answers_for_any_pair_of_the_catalog_that_fits(gpus: tuple[int, str], model: str, tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(scenario_text("lab", *gpus, people=20, model=model, zone="UTC"))
    first = answer_of(load(path)).models[0]
    # two trillion parameters leave some of these replicas too little room for a context, or for more than one
    assert model == "frontier-moe-hypothetical" or all(w.tokens > 0 for w in first.limits)
    assert all(w.tokens >= 0 for w in first.limits)


def test_init_does_not_replace_a_file(ampacity: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "our-lab.yaml").write_text("mine")
    done = ampacity("init")
    assert done.returncode == 1
    assert "--force" in done.stderr
    assert (tmp_path / "our-lab.yaml").read_text() == "mine"


@pytest.mark.parametrize("words", [("--gpus", "8xh10"), ("--model", "gpt-9"), ("--time-zone", "Mars/Base")])
def test_init_leaves_nothing_behind_for_a_wrong_word(
    ampacity: Callable[..., Any], tmp_path: Path, words: tuple[str, str]
) -> None:
    done = ampacity("init", *words)
    assert done.returncode == 1
    assert words[1].removeprefix("8x") in done.stderr
    assert not list(tmp_path.iterdir())


def test_check_reports_mistakes_as_text_and_as_json(ampacity: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("extends: laptop\nscenario: bad\nsites:\n  here: {pue: 0.5, powr: 3 W}\n")
    text = ampacity("check", "bad.yaml")
    assert text.returncode == 1
    assert "bad.yaml: 2 mistakes" in text.stderr
    program = ampacity("check", "bad.yaml", "--json", "-")
    assert program.returncode == 1
    assert [m["key"] for m in json.loads(program.stdout)["mistakes"]] == ["sites.here.powr", "sites.here.pue"]


def test_the_schema_describes_every_collection(answer: Callable[..., Any], ampacity: Callable[..., Any]) -> None:
    schema = json.loads(ampacity("check", "--schema").stdout)
    assert {"sites", "contracts", "tiers", "limits", "placements", "events", "jobs"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_plan_saves_tables_that_know_where_they_are_from(ampacity: Callable[..., Any], tmp_path: Path) -> None:
    import polars as pl

    done = ampacity("plan", "laptop", "--set", "worlds=1", "--output", "tables")
    assert done.returncode == 0, done.stderr
    limits = pl.read_parquet(tmp_path / "tables" / "limits.parquet")
    assert limits["window"].to_list() == ["five-hour", "weekly"]
    record = json.loads(pl.read_parquet_metadata(tmp_path / "tables" / "limits.parquet")["ampacity"])
    assert record["scenario"] == "laptop"
    assert len(record["scenario_hash"]) == 16
    assert pl.read_parquet(tmp_path / "tables" / "curves.parquet").height == 2 * 28 * 24


def test_quiet_prints_nothing(ampacity: Callable[..., Any]) -> None:
    done = ampacity("run", "laptop", "--set", "worlds=1", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(ampacity_process: Callable[..., Any]) -> None:
    def limits(seed: str) -> Any:
        done = ampacity_process("plan", "laptop", "--set", "worlds=20", "--json", "-", "--seed", seed)
        return json.loads(done.stdout)["limits"]

    first = limits("3")
    assert first == limits("3")
    assert first != limits("4")


def test_as_of_uses_the_price_known_that_day(answer: Callable[..., Any]) -> None:
    early = answer("show", "accelerators", "h100-sxm", "--as-of", "2025-12-01")["claims"]["rental_1yr_price"]
    late = answer("show", "accelerators", "h100-sxm")["claims"]["rental_1yr_price"]
    assert [c["value"] for c in early] == [1.7]
    assert [c["value"] for c in late] == [1.7, 2.35]


def test_show_says_not_known_for_announced_chips(ampacity: Callable[..., Any]) -> None:
    done = ampacity("show", "accelerators", "tpu-8t")
    assert done.returncode == 0
    assert "TDP (chip)             not known" in done.stdout


@pytest.mark.parametrize(
    "view",
    [
        ("accelerators",),
        ("models",),
        ("models", "deepseek-v3"),
        ("limits", "laptop", "--set", "worlds=20"),
        ("limits", "2026-11"),
    ],
)
def test_every_view_shows_text_and_data(ampacity: Callable[..., Any], tmp_path: Path, view: tuple[str, ...]) -> None:
    assert ampacity("show", *view, "--json", "shown.json").stdout.strip()
    assert json.loads((tmp_path / "shown.json").read_text())


def test_help_lists_only_what_works(ampacity: Callable[..., Any]) -> None:
    text = ampacity("--help").stdout
    commands = text.split("Commands:")[1].split()
    works = ("init", "run", "check", "plan", "simulate", "compare", "report", "serve", "calibrate", "show")
    assert all(command in commands for command in works)


def test_help_imports_nothing_heavy() -> None:
    heavy = ("numpy", "polars", "pint", "pydantic", "plotly", "scipy")
    code = f"import sys, ampacity.cli; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("check", "laptop"),
        ("show", "models"),
        ("plan", "laptop", "--set", "worlds=2"),
        ("compare", "2026-03-26", "2026-05-06", "--worlds", "2", "--people", "200"),
        ("simulate", "laptop", "--hours", "2"),
        ("calibrate", "serving", "own.csv"),
        ("report", "laptop", "--set", "worlds=2"),
        ("init", "--gpus", "8xh10"),
    ],
    ids=lambda words: words[0],
)
def test_a_process_of_its_own_prints_what_other_tests_read_in_theirs(
    ampacity: Callable[..., Any], ampacity_process: Callable[..., Any], words: tuple[str, ...]
) -> None:
    own, here = ampacity_process(*words), ampacity(*words)
    printed = [re.sub(r"[\d.,]+ CPU s", "", done.stdout) for done in (own, here)]
    assert printed[0] == printed[1]
    assert (own.returncode, own.stderr) == (here.returncode, here.stderr)
