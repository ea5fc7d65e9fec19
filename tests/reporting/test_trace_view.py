"""What `show trace` says, as people and programs see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampacity.demand.traces.read import FORMATS, read
from ampacity.reporting.trace_view import trace_data, trace_view

Said = Callable[..., tuple[int, str, str]]
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:{i // 60:02d}:{i % 60:02d}.0,{100 + i},{i % 7}\n" for i in range(1200)
)


def test_a_trace_is_shown_in_sentences_and_written_as_json(ampacity: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(AZURE + "soon,1,1\n")
    done = ampacity("show", "trace", "t.csv", "--json", "t.json")
    assert done.returncode == 0, done.stderr
    assert "1,200 requests over 20 minutes from 2023-11-16 18:00 UTC." in done.stdout
    assert "Malformed, and not in these figures: 1 of 1,201 rows." in done.stdout
    assert "line 1202  TIMESTAMP: soon" in done.stdout
    data = json.loads((tmp_path / "t.json").read_text())
    assert data["requests"] == 1200
    assert data["malformed"]["rows"] == 1
    assert data["hit_share"]["recorded"] is None
    assert data["quantiles"]["input_tokens"]["p50"] == 699.5
    assert data["quantiles"]["gap_s"] is None
    assert data["arrivals"]["peak_to_mean_60_s"] > 0.99


def test_strict_is_exit_code_1_with_the_lines(said: Said, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(AZURE + "soon,1,1\n")
    code, _, wrong = said("show", "trace", str(tmp_path / "t.csv"), "--strict")
    assert code == 1
    assert "t.csv: 1 mistake" in wrong
    assert "line 1202  TIMESTAMP: soon" in wrong


def test_a_trace_is_written_out_and_shown_again(said: Said, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(AZURE)
    for name, format in (("u.parquet", "azure"), ("u.jsonl", "mooncake"), ("u.csv", "tracelab-replay")):
        out = str(tmp_path / name)
        code, printed, _ = said("show", "trace", str(tmp_path / "t.csv"), "--out", out)
        assert (code, out in printed) == (0, True)
        assert json.loads(said("show", "trace", out, "--json", "-")[1])["format"] == format


def test_a_missing_file_and_an_unknown_format_are_told_in_words(said: Said, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    assert "t.csv: No such file" in said("show", "trace", str(path))[2]
    path.write_text(AZURE)
    code, _, wrong = said("show", "trace", str(path), "--format", "azur")
    assert (code, 'nearest is "azure"' in wrong) == (1, True)


def test_windows_are_shown_as_windows_and_not_written_as_requests(said: Said, tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("".join(f"{600 * i},{1 + i % 3},1.2,Gamma,0.8,0.6\n" for i in range(6)))
    code, printed, _ = said("show", "trace", str(path))
    assert code == 0
    assert "1 client, 2.00 requests a second, peak 1.50 x the mean" in printed
    assert said("show", "trace", str(path), "--out", str(tmp_path / "w.jsonl"))[0] == 1
    assert not (tmp_path / "w.jsonl").exists()


def test_an_empty_trace_says_so(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n")
    view = trace_view(read(tmp_path / "t.csv"))
    assert "0 requests." in view.text
    json.dumps(view.data, allow_nan=False)


def test_all_requests_at_one_instant_have_no_rate(tmp_path: Path) -> None:
    row = "2023-11-16 18:17:03,5,1\n"
    (tmp_path / "t.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + 3 * row)
    assert trace_data(read(tmp_path / "t.csv"))["arrivals"] is None


def test_a_file_of_which_no_row_fits_is_an_error(said: Said, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + "soon,1,1\n" * 9)
    code, _, wrong = said("show", "trace", str(tmp_path / "t.csv"), "--format", "azure")
    assert code == 1
    assert "rows: 9\n" in wrong and "not one is a request in the format azure" in wrong
    assert "line 2  TIMESTAMP: soon" in wrong


@pytest.mark.parametrize("forced", [(), ("--format", "azure"), ("--format", "mooncake")])
@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_is_called_empty(said: Said, tmp_path: Path, content: str, forced: tuple[str, ...]) -> None:
    (tmp_path / "t.csv").write_text(content)
    code, _, wrong = said("show", "trace", str(tmp_path / "t.csv"), *forced)
    assert code == 1
    assert "empty; expected a trace" in wrong


def test_an_unknown_format_is_answered_with_all_that_are_known(said: Said, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(AZURE)
    code, _, wrong = said("show", "trace", str(tmp_path / "t.csv"), "--format", "banana")
    assert code == 1
    assert "--format: banana" in wrong
    assert all(name in wrong for name in FORMATS)


@pytest.mark.parametrize("forced", [(), ("--format", "azure")])
def test_semicolons_are_one_mistake(said: Said, tmp_path: Path, forced: tuple[str, ...]) -> None:
    (tmp_path / "t.csv").write_text(AZURE.replace(",", ";"))
    code, _, wrong = said("show", "trace", str(tmp_path / "t.csv"), *forced)
    assert code == 1
    assert "1 mistake\n" in wrong and "separator: ;" in wrong and "expected ','" in wrong


def test_broken_json_is_told_with_its_line(said: Said, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{\n  "a": 1,\n  "b" 2\n}\n')
    code, _, wrong = said("show", "trace", str(tmp_path / "t.json"))
    assert code == 1
    assert "line 3  JSON\n" in wrong and "not readable as JSON" in wrong


def test_a_fullest_minute_is_told_with_its_span_and_not_where_most_minutes_are_empty(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(AZURE)
    assert "x the requests of the mean minute over all 20 minutes." in trace_view(read(tmp_path / "t.csv")).text
    head = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    days = "".join(f"2023-11-{d:02d} 18:00:{s:02d}.0,1,1\n" for d in range(1, 29) for s in range(0, 60, 5))
    (tmp_path / "u.csv").write_text(head + days)
    text = trace_view(read(tmp_path / "u.csv")).text
    assert "fullest minute has" not in text and "Most minutes are empty" in text
