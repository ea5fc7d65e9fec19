"""The errors of the serving model that the documentation quotes are those of the catalog, to the digits shown."""

from __future__ import annotations

import csv
import re
from importlib.resources import files
from pathlib import Path

import pytest

from ampacity.reporting.serving_errors_page import serving_errors_page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "serving-errors.md"
SPLITS = ("in sample", "configuration left out", "model left out", "accelerator left out", "later months")
TITLES = {"Time per output token": "tpot", "Time to first token": "ttft", "Throughput": "throughput"}


def errors() -> dict[tuple[str, str, str], dict[str, str]]:
    text = (files("ampacity.catalog") / "serving_errors.csv").read_text(encoding="utf-8")
    return {(row["split"], row["by"], row["level"]): row for row in csv.DictReader(text.splitlines())}


def table_rows(text: str) -> list[list[str]]:
    """Cells of the body of the first table in a text."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_page_of_errors_is_what_the_command_writes() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == serving_errors_page(), "ampacity show serving --errors --out docs/serving-errors.md"


def test_every_error_of_the_catalog_stands_on_that_page_once() -> None:
    shown: dict[tuple[str, str, str, str], str] = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        figure = TITLES[section.partition("\n")[0]]
        for by, level, _, *cells in table_rows(section):
            assert len(cells) == len(SPLITS)
            for split, cell in zip(SPLITS, cells, strict=True):
                assert (split, by, level, figure) not in shown
                shown[split, by, level, figure] = cell
    expected = {
        (*key, figure): f"{float(row[f'{figure}_median']):.1%} / {float(row[f'{figure}_p90']):.1%}"
        for key, row in errors().items()
        for figure in TITLES.values()
        if row[f"{figure}_median"]
    }
    found = {key: re.sub(r"(\d) / (\S+) %.*", r"\1% / \2%", cell) for key, cell in shown.items() if cell}
    assert found == expected
    assert len(expected) > 300


def test_so_many_points_as_the_page_says_are_behind_an_error() -> None:
    known = errors()
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        for by, level, points, *cells in table_rows(section):
            for split in SPLITS[:4]:
                assert known[split, by, level]["points"] == points.replace(",", "")
            later = re.search(r"\(([\d,]+)\)", cells[4])
            row = known.get((SPLITS[4], by, level))
            assert (later and later[1].replace(",", "")) == (row and row["points"])


def test_the_table_of_the_room_has_the_errors_of_all_points() -> None:
    text = (ROOT / "docs" / "rooms" / "inference.md").read_text(encoding="utf-8")
    rows = table_rows(text[text.index("| left out | points |") :].partition("\n\n")[0])
    columns = ("tpot_median", "tpot_p90", "ttft_median", "throughput_median")
    known = errors()
    expected = [
        [
            s,
            f"{int(known[s, 'all', '']['points']):,}",
            *(f"{100 * float(known[s, 'all', ''][c]):.1f} %" for c in columns),
        ]
        for s in SPLITS
    ]
    assert rows == expected


ALL, LATER = ("configuration left out", "all", ""), ("later months", "all", "")
MODELS = ("model left out", "all", "")


def offline(split: str, suite: str) -> tuple[str, str, str]:
    return split, "offline", suite


@pytest.mark.parametrize(
    ("page", "words", "quoted"),
    [
        (
            "README.md",
            r"(2,727) published measurements \(([\d.]+) % median error",
            ((ALL, "points"), (ALL, "tpot_median")),
        ),
        ("docs/limits.md", r"\(([\d.]+) % median error of TPOT for unseen configurations", ((ALL, "tpot_median"),)),
        (
            "docs/validation.md",
            r"([\d,]+) measurements, configurations left out .* \| ([\d.]+) % \(p90 ([\d.]+) %\) \|",
            ((ALL, "points"), (ALL, "tpot_median"), (ALL, "tpot_p90")),
        ),
        (
            "docs/validation.md",
            r"the same, models left out .* \| ([\d.]+) % \(p90 ([\d.]+) %\) \|",
            ((MODELS, "tpot_median"), (MODELS, "tpot_p90")),
        ),
        (
            "docs/validation.md",
            r"from March 2026 on, .* \| ([\d.]+) % \(p90 ([\d.]+) %\) \|",
            ((LATER, "tpot_median"), (LATER, "tpot_p90")),
        ),
        (
            "docs/validation.md",
            r"MLPerf inference v5.1: 49 to .* \| ([\d.]+) %; in the fit ([\d.]+) %; Mixtral",
            (
                (offline("configuration left out", "mlperf-v5.1"), "throughput_median"),
                (offline("in sample", "mlperf-v5.1"), "throughput_median"),
            ),
        ),
        (
            "docs/validation.md",
            r"perf-overview .* \| ([\d.]+) %; in the fit ([\d.]+) %; models left out ([\d.]+) %",
            (
                (offline("configuration left out", "tensorrt-llm"), "throughput_median"),
                (offline("in sample", "tensorrt-llm"), "throughput_median"),
                (offline("model left out", "tensorrt-llm"), "throughput_median"),
            ),
        ),
        (
            "docs/rooms/inference.md",
            r"Llama 3.1 70B by 33 %, now (\d+) %; GLM-5 by 27 %, now (\d+) %; gpt-oss-120b by\s25 %, now (\d+) %",
            tuple(
                (("model left out", "model", name), "tpot_median")
                for name in ("llama-3.1-70b", "glm-5", "gpt-oss-120b")
            ),
        ),
        (
            "docs/rooms/inference.md",
            r"Kimi-K2.5, ([\d.]+) % when left out",
            ((("model left out", "model", "kimi-k2.5"), "tpot_median"),),
        ),
        ("docs/rooms/inference.md", r"hangs on queues: ([\d.]+) % median", ((ALL, "ttft_median"),)),
    ],
)
def test_an_error_in_words_is_the_catalogs_to_the_digits_shown(
    page: str, words: str, quoted: tuple[tuple[tuple[str, str, str], str], ...]
) -> None:
    (found,) = re.finditer(words, (ROOT / page).read_text(encoding="utf-8"))
    known = errors()
    for text, (key, column) in zip(found.groups(), quoted, strict=True):
        if column == "points":
            assert text == f"{int(known[key][column]):,}"
        else:
            digits = len(text.partition(".")[2])
            assert text == f"{100 * float(known[key][column]):.{digits}f}"


def test_the_worst_model_left_out_is_the_one_that_is_named() -> None:
    left_out = {k[2]: float(row["tpot_median"]) for k, row in errors().items() if k[:2] == ("model left out", "model")}
    assert max(left_out, key=left_out.__getitem__) == "kimi-k2.5"


@pytest.mark.parametrize(
    ("split", "words"),
    [("model left out", "with the model left out"), ("accelerator left out", "accelerator left out")],
)
def test_the_range_of_speed_in_the_last_refit_is_that_of_its_throughputs(split: str, words: str) -> None:
    """Errors are of predicted over measured throughput, less one; speed is measured over predicted."""
    text = (ROOT / "docs" / "rooms" / "inference.md").read_text(encoding="utf-8")
    (found,) = re.finditer(words + r"; ([\d.]+) to ([\d.]+) in the last refit", text)
    row = errors()[split, "all", ""]
    low, high = 1 / (1 + float(row["throughput_high"])), 1 / (1 + float(row["throughput_low"]))
    assert found.groups() == (f"{low:.2f}", f"{high:.2f}")
