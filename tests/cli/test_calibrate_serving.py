"""`ampacity calibrate serving` from files to a scenario that names the calibration."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ampacity.inference.published import installed
from ampacity.scenario.load import load

SAMPLES = Path(__file__).parents[1] / "inference" / "results"
OF = ("--model", "llama-3.1-70b", "--accelerator", "h100-sxm", "--layout", "TP4")
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_results_of_five_tools_become_a_calibration_that_a_scenario_names(said: Said, tmp_path: Path) -> None:
    files = sorted(str(p) for p in SAMPLES.iterdir())
    code, out, err = said("calibrate", "serving", *files, *OF, "--out", "ours.yaml")
    assert code == 0, err
    assert "A load that was not measured is predicted within" in out
    assert "6 of 12 rows are copies and count once" in out
    assert "1 row of no use, left out:" in out
    assert "sglang-0.5.23.jsonl, row 3, accept_length (2.4): tokens come several at a time" in out
    (tmp_path / "lab.yaml").write_text(
        "scenario: lab\nextends: laptop\nplacements: {code: {accelerators_per_replica: 4, calibration: ours.yaml}}\n"
    )
    s = load(tmp_path / "lab.yaml")
    assert s.placements[0].calibration is not None
    assert s.placements[0].calibration.points == 5  # the samples are one load and a few more
    assert s.placements[0].calibration.layout == "TP4"
    code, out, err = said("check", "lab.yaml")
    assert code == 0, err


def test_programs_get_every_number_that_was_fitted(said: Said) -> None:
    code, out, err = said("calibrate", "serving", str(SAMPLES / "own.csv"), *OF, "--json", "-")
    assert code == 0, err
    found = json.loads(out)
    assert [(m["row"], m["quantity"]) for m in found["measured"]] == [
        (2, "tpot_s"),
        (2, "ttft_s"),
        (3, "all_requests_s"),
    ]
    first = found["measured"][0]
    assert first["measured"] == 0.01725
    assert abs(first["after"] / first["measured"] - 1) < abs(first["before"] / first["measured"] - 1)
    assert found["calibration"]["tpot"]["after"] < found["calibration"]["tpot"]["before"]


def test_everything_that_is_wrong_with_files_and_options_is_told_at_once(said: Said) -> None:
    code, _, err = said("calibrate", "serving", "nowhere.json", "--model", "llama-3.1-70", "--precision", "fp9")
    assert code == 1
    for words in ("nowhere.json", "No such file", '"llama-3.1-70b"', "--accelerator\n", "fp9"):
        assert words in err
    assert "Traceback" not in err


def test_names_are_read_as_show_serving_reads_them(said: Said, tmp_path: Path) -> None:
    of = ("--model", "LLaMA-3.1-70B", "--accelerator", "H100-SXM", "--engine", "vLLM", "--precision", "FP8")
    code, out, err = said(
        "calibrate", "serving", str(SAMPLES / "own.csv"), *of, "--kv-precision", "BF16", "--layout", "4"
    )
    assert code == 0, err
    assert out.startswith("llama-3.1-70b fp8 on h100-sxm (TP4, vllm)")
    text = (tmp_path / "my-serving.yaml").read_text()
    assert "engine: vllm\n" in text and "precision: fp8\nkv_precision: bf16\n" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "llama-70b"), 'like it are "llama-3.1-70b", "llama-2-70b"'),
        (("--model", "h100-sxm"), "that is an accelerator\n"),
        (("--accelerator", "h100"), 'the nearest is "h100-sxm"'),
        (("--accelerator", "zzz"), "(ampacity show accelerators lists all)"),
        (("--engine", "vlm"), 'the nearest is "vllm"'),
        (("--kv-precision", "int4"), "known are bf16, fp4, fp8"),
    ],
)
def test_a_wrong_name_is_answered_with_right_ones(said: Said, options: tuple[str, str], words: str) -> None:
    names = {"--model": "llama-3.1-70b", "--accelerator": "h100-sxm", options[0]: options[1]}
    code, _, err = said("calibrate", "serving", str(SAMPLES / "own.csv"), *(x for pair in names.items() for x in pair))
    assert code == 1
    assert err.startswith("options: 1 mistake\n")
    assert f"{options[0]}: {options[1]}\n" in err and words in err


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ("TP7", "64 heads"),
        ("XP4", "is no layout"),
        ("TP0", "at least 1"),
        ("TP4 TP2", "is no layout"),
        ("EP8", "no experts"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(said: Said, layout: str, words: str) -> None:
    options = [*OF[:-1], layout]
    code, _, err = said("calibrate", "serving", str(SAMPLES / "own.csv"), *options)
    assert code == 1
    assert words in err


def test_a_chip_without_the_precision_is_refused(said: Said) -> None:
    options = ("--model", "llama-3.1-8b", "--accelerator", "a100-sxm", "--layout", "1")
    code, _, err = said("calibrate", "serving", str(SAMPLES / "own.csv"), *options)
    assert code == 1
    assert "--precision: fp8" in err
    assert "no speed at fp8" in err


def test_a_failed_calibration_leaves_the_old_file(said: Said, tmp_path: Path) -> None:
    (tmp_path / "my-serving.yaml").write_text("old\n")
    (tmp_path / "fast.csv").write_text("isl,osl,concurrency,tpot_ms\n1000,500,1,0.5\n")
    code, _, err = said("calibrate", "serving", "fast.csv", *OF, "--force")
    assert code == 1
    assert "line 2  tpot: 0.50 ms" in err
    assert (tmp_path / "my-serving.yaml").read_text() == "old\n"


HEAD = "isl,osl,concurrency,throughput,ttft_ms,tpot_ms\n"
GOOD = "1024,1024,1,,95,14.1\n1024,1024,16,,310,18.9\n8192,512,32,,2600,31.0\n"


def test_a_file_that_is_there_is_replaced_only_by_force(said: Said, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(HEAD + GOOD)
    (tmp_path / "my-serving.yaml").write_text("old\n")
    code, _, err = said("calibrate", "serving", "own.csv", *OF)
    assert code == 1
    assert "my-serving.yaml: 1 mistake" in err and "--force replaces it, another --out keeps it" in err
    assert (tmp_path / "my-serving.yaml").read_text() == "old\n"
    code, _, err = said("calibrate", "serving", "own.csv", *OF, "--force")
    assert code == 0, err
    assert (tmp_path / "my-serving.yaml").read_text() != "old\n"


def test_a_row_that_contradicts_itself_is_named_and_left_out(said: Said, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(HEAD + GOOD + "1024,1024,128,9999,900,30.7\n")
    code, out, err = said("calibrate", "serving", "own.csv", *OF)
    assert code == 0, err
    # 128 in flight, each with a token every 30.7 ms after the first of 1,024: 128 / 0.0307 x 1024 / 1023 = 4,173
    assert "own.csv, row 5, throughput (9,999 token/s): the row contradicts itself" in out
    assert "make at most 4,173 token/s" in out
    assert out.startswith("llama-3.1-70b fp8 on h100-sxm (TP4, vllm): 3 loads measured")


def test_loads_ten_times_slower_than_the_catalog_are_doubted_first(said: Said, tmp_path: Path) -> None:
    slow = "1024,1024,1,,950,141\n1024,1024,16,,3100,189\n8192,512,32,,26000,310\n"
    (tmp_path / "own.csv").write_text(HEAD + slow)
    code, out, err = said("calibrate", "serving", "own.csv", *OF, "--precision", "fp8")
    assert code == 0, err
    assert "  Warning: Time per token is 12.3 x what the catalog says (median): another layout" in out.splitlines()[2]


def test_what_was_not_said_is_a_warning_before_anything_else(said: Said, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(HEAD + "1024,1024,1,,95,24\n1024,1024,16,,910,32\n")
    code, out, err = said("calibrate", "serving", "own.csv", "--model", "llama-3.1-70b", "--accelerator", "h200-sxm")
    assert code == 0, err
    assert out.splitlines()[2:4] == [
        "  Warning: no --layout given; taken to be one chip, the fewest chips that fit.",
        "  Warning: no --precision given; taken to be fp8, with the cache fp8.",
    ]
    code, out, err = said("calibrate", "serving", "own.csv", *OF, "--precision", "fp8", "--out", "other.yaml")
    assert code == 0, err
    assert "--layout" not in out and "--precision" not in out


def test_a_refusal_says_which_layout_nobody_named(said: Said, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(HEAD + GOOD)
    code, _, err = said("calibrate", "serving", "own.csv", *OF[:4])
    assert code == 1
    assert "faster than the chips can be" in err and "no --layout given; taken to be TP2" in err


def test_a_file_most_of_which_is_broken_says_so_before_its_figures(said: Said, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(HEAD + "1024,1024,1,,95,14.1\n" + 6 * "1024,,16,,310,18.9\n")
    code, out, err = said("calibrate", "serving", "own.csv", *OF, "--precision", "fp8")
    assert code == 0, err
    assert "6 of 7 rows are of no use; what follows rests on one row alone" in out.splitlines()[2]


def test_a_table_cut_by_semicolons_is_one_mistake(said: Said, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text((HEAD + GOOD).replace(",", ";"))
    code, _, err = said("calibrate", "serving", "own.csv", *OF)
    assert code == 1
    assert "own.csv: 1 mistake\n" in err and "separator: ;" in err


def test_a_file_given_twice_counts_once(said: Said, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(HEAD + GOOD)
    code, out, err = said("calibrate", "serving", "own.csv", "own.csv", *OF, "--json", "twice.json")
    assert code == 0, err
    assert "Warning: 3 of 6 rows are copies and count once (own.csv, row 2 says the same as own.csv, row 2" in out
    twice = json.loads(Path("twice.json").read_text())
    code, _, err = said("calibrate", "serving", "own.csv", *OF, "--force", "--json", "once.json")
    assert code == 0, err
    assert twice["calibration"] == json.loads(Path("once.json").read_text())["calibration"]
    assert twice["calibration"]["points"] == 3


def test_what_was_moved_is_said_in_words_and_none_of_the_programs_own_names(said: Said, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(HEAD + GOOD)
    code, out, err = said("calibrate", "serving", "own.csv", *OF)
    assert code == 0, err
    assert "With it, in these loads, a token takes" in out and "than the catalog says." in out
    for name in ("every path", "collective us", "kernel us", "request ms"):
        assert name not in out


def test_without_the_package_both_ways_say_how_to_get_it(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ampacity.inference.published.find_spec", lambda name: None)
    monkeypatch.setattr("ampacity.inference.kernel_database.find_spec", lambda name: None)
    monkeypatch.setattr("ampacity.inference.calibration.points", _points_without_cache)
    for way in (("--published",), ("--kernels", "llama-3.1-8b", "h100-sxm")):
        code, _, err = said("calibrate", "serving", *way)
        assert code == 1
        assert "pip install 'ampacity[calibrate]'" in err


def _points_without_cache() -> object:
    from ampacity.inference.published import raw

    return raw()


def test_a_refit_writes_both_tables_and_says_whether_they_are_the_catalogs(
    said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from ampacity.scenario import lookup

    names = ("serving_coefficients.csv", "serving_errors.csv")
    same = {n: (lookup.CATALOG / n).read_text(encoding="utf-8") for n in names}
    monkeypatch.setattr("ampacity.inference.calibration.published_calibration", lambda progress: same)
    code, out, err = said("calibrate", "serving", "--published", "--out", str(tmp_path))
    assert code == 0, err
    assert out.startswith("The refit is what the package has, to the last digit.")
    assert "configuration left out" in out
    assert {n: (tmp_path / n).read_text(encoding="utf-8") for n in names} == same
    assert f"written  {tmp_path / names[0]}, {tmp_path / names[1]}" in out

    shift = next(r for r in lookup.table(names[0].removesuffix(".csv")) if r["factor"] == "engine")["log_shift"]
    other = {
        names[0]: same[names[0]].replace(f",{shift},", f",{float(shift) + 0.25:.4f},", 1),
        names[1]: same[names[1]],
    }
    monkeypatch.setattr("ampacity.inference.calibration.published_calibration", lambda progress: other)
    code, out, err = said("calibrate", "serving", "--published", "--out", str(tmp_path))
    assert "The refit differs from what the package has: shifts by 0.2500 at most." in out


def test_a_refit_and_a_look_at_kernels_are_two_commands(said: Said) -> None:
    code, _, err = said("calibrate", "serving", "--published", "--kernels")
    assert code == 2
    assert "one at a time" in err


def test_a_refit_needs_a_folder(said: Said) -> None:
    code, _, err = said("calibrate", "serving", "--published", "--out", "nowhere")
    assert code == 1
    assert "no such folder" in err


@pytest.mark.skipif(not installed(), reason="kernel times come with aiconfigurator-core")
def test_measured_kernels_stand_beside_the_fit(said: Said) -> None:
    code, out, err = said(
        "calibrate", "serving", "--kernels", "llama-3.1-8b", "h100-sxm", "--layout", "1", "--json", "-"
    )
    assert code == 0, err
    found = json.loads(out)
    assert len(found["iterations"]) == 9
    for row in found["iterations"]:
        assert 0.3 < row["ratio"] < 3
    assert found["median_difference"] < 0.4


@pytest.mark.skipif(not installed(), reason="kernel times come with aiconfigurator-core")
def test_kernels_nobody_measured_are_said_to_be_so(said: Said) -> None:
    code, _, err = said("calibrate", "serving", "--kernels", "llama-2-7b", "mi300x", "--layout", "1")
    assert code == 1
    assert "brings no shape of llama-2-7b" in err
    assert "has measured no mi300x" in err


@pytest.mark.skipif(not installed(), reason="kernel times come with aiconfigurator-core")
def test_a_precision_without_kernels_is_told_without_the_path_of_the_package(said: Said) -> None:
    code, _, err = said("calibrate", "serving", "--kernels", "llama-3.1-8b", "h100-sxm", "--precision", "int4")
    assert code == 1
    assert "missing for quant 'int4_wo'; available" in err
    assert "site-packages" not in err
