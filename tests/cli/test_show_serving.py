"""`ampacity show serving` as people and programs use it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from ampacity.inference.best_layout import Slo
from ampacity.inference.steady import usual_load
from ampacity.reporting.serving_view import Served, served, serving_view
from ampacity.scenario import lookup

Ampacity, Answer = Callable[..., Any], Callable[..., Any]


def test_it_says_the_choice_first_then_money_error_layouts_and_the_frontier(ampacity: Ampacity) -> None:
    done = ampacity("show", "serving", "llama-3.1-70b", "h100-sxm", "--precision", "fp8")
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    assert lines[0].startswith("llama-3.1-70b on h100-sxm · 1,024 tokens in, 1,024 out · vLLM ")
    assert "serves most" in lines[1]
    heads = ["money", "energy", "useful", "label", "layout", "tokens/s per user"]
    places = [next(i for i, line in enumerate(lines) if line.startswith(head)) for head in heads]
    assert places == sorted(places)
    assert "USD per million tokens" in done.stdout
    assert "output tokens/s per MW of facility nameplate" in done.stdout


def test_programs_get_the_whole_choice(answer: Answer) -> None:
    found = answer("show", "serving", "deepseek-r1", "h200-sxm", "--isl", "8000", "--osl", "500", "--cached", "6000")
    best = found["best"]
    assert best["tpot_s"] <= found["slo"]["tpot_s"] == 0.05
    assert best["ttft_s"] <= found["slo"]["ttft_s"] == 2.0
    assert best["tokens_per_s_per_chip"] == max(x["tokens_per_s_per_chip"] for x in found["layouts"])
    assert best["tensor"] * best["data"] * best["pipeline"] == best["accelerators"]
    assert found["load"]["cached_tokens"] == 6000
    assert set(found["cost"]["usd_per_mtok"]) == {"uncached_input", "cached_input", "output"}
    users = [x["tokens_per_s_per_user"] for x in found["frontier"]]
    assert users == sorted(users, reverse=True)
    assert found["disaggregated"]["replicas"][0] >= 1


@pytest.mark.parametrize(
    ("model", "accelerator", "label", "split", "by"),
    [
        ("llama-3.1-70b", "h100-sxm", "measured fit", "configuration left out", "h100-sxm"),
        ("mixtral-8x7b", "h100-sxm", "measured fit", "model left out", "h100-sxm"),
        ("llama-3.1-70b", "gb300-nvl72", "scaled from family", "accelerator left out", ""),
        ("llama-3.1-70b", "tpu-v7", "datasheet only", "none", None),
    ],
)
def test_every_answer_carries_its_label_and_the_error_of_that_label(
    model: str, accelerator: str, label: str, split: str, by: str | None
) -> None:
    found = serving_view(served(model, [accelerator], usual_load("vllm"), Slo(2.0, 0.05))).data
    assert found["label"] == label
    text = (files("ampacity.catalog") / "serving_errors.csv").read_text()
    rows = {(row["split"], row["level"]): row for row in csv.DictReader(text.splitlines())}
    error = found["expected_error"]
    assert error["split"] == split
    if by is None:
        assert error["tpot_median"] is None
        assert "never held against measurements" in error["words"]
    else:
        assert error["tpot_median"] == float(rows[split, by]["tpot_median"])
        assert error["tpot_p90"] == float(rows[split, by]["tpot_p90"])
        assert error["ttft_p90"] == float(rows[split, by]["ttft_p90"])
        assert f"TTFT by {100 * error['ttft_median']:.0f} %, {100 * error['ttft_p90']:.0f} %" in error["words"]


@pytest.mark.parametrize("model", ["llama-3.1-70b", "deepseek-r1"])
def test_every_accelerator_of_the_catalog_gives_numbers_under_a_label_or_says_what_is_not_known(model: str) -> None:
    for name in lookup.accelerator_names():
        (found,) = served(model, [name], usual_load("vllm"), Slo(10.0, 0.1))
        data = serving_view([found]).data
        assert data["best"]["tokens_per_s_per_chip"] > 0
        assert data["label"] in ("measured fit", "scaled from family", "datasheet only")
        claims = lookup.accelerator(name)
        priced = any(key.endswith("_price") and key != "chip_price" for key in claims)
        assert (data["cost"]["usd_per_mtok"] is not None) == priced == ("price" not in data["not_known"])
        assert (data["cost"]["server_j_per_mtok"] is not None) == ("tdp" in claims) == ("TDP" not in data["not_known"])


def test_several_accelerators_stand_in_one_table_and_one_picture(ampacity: Ampacity, tmp_path: Path) -> None:
    chips = ("h100-sxm", "mi300x", "tpu-8i")
    done = ampacity(
        "show", "serving", "llama-3.1-70b", *chips, "--precision", "fp8", "--out", "f.html", "--json", "f.json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "f.json").read_text())
    assert [x["accelerator"] for x in found["accelerators"]] == ["h100-sxm", "mi300x"]
    assert "it has fp4" in found["cannot"][0]
    assert "tpu-8i" in done.stdout
    page = (tmp_path / "f.html").read_text().replace("\\u002f", "/")
    assert "output tokens/s per user" in page
    assert all(name in page for name in chips[:2])
    assert "hover: layout and requests in flight" in page
    assert "http" not in page.split("<script", 1)[0]


def test_money_in_one_table_stands_on_one_basis_or_names_each() -> None:
    """Of H100 a 1-year price is known too; MI300X has no such, TPU v7 none at all."""
    found = served("llama-3.1-70b", ["h100-sxm", "mi300x", "tpu-v7"], usual_load("vllm"), Slo(2.0, 0.05))
    view = serving_view(found)
    bases = [x["cost"]["price_basis"] for x in view.data["accelerators"]]
    assert bases == ["3-year rental", "3-year rental", "not known"]
    assert "USD/M output (3-year rental)" in view.text
    only_a_year = next(r for r in found if isinstance(r, Served))
    unlike = only_a_year.survey.chip.model_copy(
        update=dict.fromkeys(("rental_3yr_usd_per_s", "own_neocloud_usd_per_s", "own_hyperscaler_usd_per_s"))
    )
    mixed = replace(only_a_year, survey=replace(only_a_year.survey, chip=unlike))
    text = serving_view([mixed, *found[1:]]).text
    assert all(words in text for words in ("1-year contract", "3-year rental", "at full load, every chip busy"))


def test_words_say_what_shares_and_errors_are_of(ampacity: Ampacity) -> None:
    text = ampacity("show", "serving", "llama-3.1-70b", "h100-sxm").stdout
    assert "of the time of decoding is useful (MFU" in text
    assert "at full load, every chip busy" in text
    assert "Ruled out of 20 layouts tried: 2 at bf16 (" in text
    heads = ampacity("show", "serving", "--errors").stdout.splitlines()[3].split()
    assert heads[-6:] == ["median", "p90"] * 3


def test_the_errors_are_those_of_the_catalog(answer: Answer, ampacity: Ampacity) -> None:
    text = (files("ampacity.catalog") / "serving_errors.csv").read_text()
    rows = [row for row in csv.DictReader(text.splitlines()) if row["by"] == "engine"]
    found = answer("show", "serving", "--errors", "--by", "engine")["errors"]
    assert [(x["split"], x["level"], x["points"]) for x in found] == [
        (row["split"], row["level"], int(row["points"])) for row in rows
    ]
    assert "configuration left out" in ampacity("show", "serving", "--errors").stdout


def test_all_errors_are_written_as_the_page_of_the_documentation(ampacity: Ampacity, tmp_path: Path) -> None:
    done = ampacity("show", "serving", "--errors", "--by", "engine", "--out", "errors.md")
    assert done.returncode == 0, done.stderr
    page = Path(__file__).parents[2] / "docs" / "serving-errors.md"
    assert (tmp_path / "errors.md").read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("llama-3.1-70b", "h100"), 1, 'the nearest is "h100-sxm"'),
        (("llama-9", "h100-sxm", "--engine", "vlm"), 1, "2 mistakes"),
        (("llama-3.1-70b", "h100-sxm", "--precision", "fp4"), 1, "it has bf16, fp8"),
        (("llama-3.1-70b", "h100-sxm", "--slo", "TPOT 1 ms"), 1, "the fastest that can be had is"),
        (("llama-3.1-70b", "h100-sxm", "--slo", "TPOT 50"), 2, 'without a unit; did you mean "TPOT 50 ms"?'),
        (("llama-3.1-70b", "h100-sxm", "--slo", "TTFT 2"), 2, 'did you mean "TTFT 2 s"?'),
        (("llama-3.1-70b", "h100-sxm", "--slo", "p99 TTFT 2 s"), 2, "means only"),
        (("llama-3.1-70b", "h100-sxm", "--slo", "TTFT p99 2 s"), 2, "means only"),
        (("llama-3.1-70b", "h100-sxm", "--slo", "banana"), 2, 'for example "TTFT 2 s, TPOT 50 ms"'),
        (("llama-3.1-70b", "h100-sxm", "--slo", "TPOT 50 kg"), 2, 'for example "TTFT 2 s, TPOT 50 ms"'),
        (("llama-70b", "h100-sxm"), 1, 'like it are "llama-3.1-70b", "llama-2-70b"'),
        (("h100-sxm", "llama-3.1-70b"), 1, "that is an accelerator; the model comes first"),
        (("zzz", "h100-sxm"), 1, "(ampacity show models lists all)"),
        (("llama-3.1-70b", "zzz"), 1, "(ampacity show accelerators lists all)"),
        (("llama-3.1-70b", "h100-sxm", "--out", "pic.png"), 2, "ends in .html"),
        (("deepseek-v3", "h200-sxm", "--chips", "4"), 1, "the smallest layout that holds both has 8"),
        (("llama-3.1-70b", "h100-sxm", "--slo", "speed 2 s"), 2, "TTFT 2 s, TPOT 50 ms"),
        (("llama-3.1-70b", "h100-sxm", "--isl", "200000"), 1, "takes at most 131,072"),
        (("llama-3.1-70b", "h100-sxm", "--cached", "2000"), 2, "from 0 to 1023"),
        (("llama-3.1-70b",), 2, "needs a MODEL and an ACCELERATOR"),
        (("--errors", "--by", "month"), 1, "accelerator, engine, model, precision"),
        (("--errors", "--out", "errors.html"), 2, "ends in .md"),
    ],
)
def test_wrong_words_are_answered_with_right_ones(
    ampacity: Ampacity, words: tuple[str, ...], code: int, said: str
) -> None:
    done = ampacity("show", "serving", *words)
    assert done.returncode == code
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_names_mean_the_same_in_upper_case(answer: Answer) -> None:
    lower = answer("show", "serving", "llama-3.1-70b", "h100-sxm", "--precision", "fp8")
    assert answer("show", "serving", "Llama-3.1-70B", "H100-SXM", "--precision", "FP8", "--engine", "vLLM") == lower


def test_so_many_chips_are_filled_and_the_rest_is_said(answer: Answer) -> None:
    found = answer("show", "serving", "deepseek-v3", "h200-sxm", "--chips", "12")
    assert (found["chips"], found["replicas"], found["left_over"]) == (12, 1, 4)
    assert found["best"]["accelerators"] == 8
    assert "4 chips left over" in found["words"][0]
