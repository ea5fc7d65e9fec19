"""`ampacity simulate` as people and programs use it: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

SMALL = ("simulate", "laptop", "--set", "tiers.developers.people=10", "--hours", "12")
Said = Callable[..., tuple[int, str, str]]


def chats(path: Path, many: int = 60) -> Path:
    """Requests ten a second, in our own Parquet."""
    rows = range(many)
    frame = pl.DataFrame(
        {
            "t_s": [0.1 * n for n in rows],
            "input_tokens": [100 + 37 * n for n in rows],
            "output_tokens": [1 + n for n in rows],
            "server_s": [0.5 + 0.02 * n for n in rows],
            "ttft_s": [0.25 for _ in rows],
        }
    )
    frame.write_parquet(path)
    return path


def test_simulate_says_sentences_then_tables_and_writes_all_three_files(said: Said, tmp_path: Path) -> None:
    names = ("out.json", "rows.parquet", "span.json")
    out, rows, span = (tmp_path / name for name in names)
    code, printed, err = said(
        *SMALL, "--json", str(out), "--requests", str(rows), "--perfetto", str(span), "--span", "20 s"
    )
    assert code == 0, err
    data, frame, trace = json.loads(out.read_text()), pl.read_parquet(rows), json.loads(span.read_text())
    for sentence in data["answer"]:
        assert sentence in printed
    assert printed.index(data["answer"][0]) < printed.index("TTFT p50") < printed.index("refused attempts")
    assert frame.height == sum(row["asked"] for row in data["slo"])
    assert {"asked_ps", "first_token_ps", "finished_ps", "input_tokens", "found_tokens", "replica"} <= set(
        frame.columns
    )
    assert json.loads(pl.read_parquet_metadata(rows)["ampacity"])["seed"] == 1
    assert trace["otherData"]["span_s"] == 20.0
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)  # nothing half written is left
    assert all(str(path) in printed for path in (rows, span))


def test_a_trace_is_told_beside_what_it_measured_itself(said: Said, tmp_path: Path) -> None:
    path, out = chats(tmp_path / "chats.parquet"), tmp_path / "out.json"
    code, printed, err = said("simulate", "laptop", "--trace", str(path), "--speed", "2", "--json", str(out))
    assert code == 0, err
    data = json.loads(out.read_text())["replayed"]
    assert data["speed"] == 2.0
    assert data["closed_loop"] is False
    assert data["times"]["ttft_s_measured"] == {"mean": 0.25, "p50": 0.25, "p90": 0.25, "p99": 0.25}
    assert data["times"]["latency_s_measured"]["p50"] == pytest.approx(0.5 + 0.02 * 29.5)
    assert 0 < data["times"]["ttft_s_simulated"]["p50"] < 1
    assert "as measured" in printed
    assert "2.00 times as fast" in printed


def test_requests_of_a_trace_that_do_not_fit_are_told(said: Said, tmp_path: Path) -> None:
    path = chats(tmp_path / "chats.parquet")
    small = ("--set", "placements.code.kv_blocks=100")
    code, printed, _ = said("simulate", "laptop", *small, "--trace", str(path))
    assert code == 0
    assert "Left out: 21 of more context than a replica holds." in printed


def test_a_fleet_that_is_too_large_for_a_trace_is_told_in_one_sentence(said: Said, tmp_path: Path) -> None:
    code, _, err = said("simulate", "colossus-1", "--quiet", "--trace", str(chats(tmp_path / "chats.parquet")))
    assert code == 2
    assert "not every request can be looked at: " in err
    assert "replicas of frontier-moe-hypothetical, more than 128" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--speed", "2"), "only with --trace"),
        (("--trace", "x.csv", "--hours", "3"), "a trace is replayed whole"),
        (("--trace", "x.csv", "--speed", "0"), "above 0"),
        (("--replica", "1"), "only with --perfetto"),
        (("--perfetto", "x.json", "--span", "60"), "without a unit"),
        (("--hours", "700"), "from 1 to 672"),
        (("--hours", "2", "--perfetto", "x.json", "--replica", "5"), "from 0 to 0"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(options: tuple[str, ...], words: str, said: Said) -> None:
    code, _, err = said("simulate", "laptop", "--quiet", *options)
    assert code == 2
    assert words in " ".join(err.replace("│", " ").split())


def test_a_trace_that_is_not_there_or_is_none_is_a_mistake(said: Said, tmp_path: Path) -> None:
    code, _, err = said("simulate", "laptop", "--quiet", "--trace", str(tmp_path / "absent.csv"))
    assert code == 1
    assert "absent.csv" in err
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    code, _, err = said("simulate", "laptop", "--quiet", "--trace", str(tmp_path / "odd.csv"))
    assert code == 1
    assert "no known trace" in err


def test_a_model_that_is_not_served_is_named_with_those_that_are(said: Said, tmp_path: Path) -> None:
    path = chats(tmp_path / "chats.parquet")
    code, _, err = said("simulate", "laptop", "--quiet", "--trace", str(path), "--model", "qwen3-32b")
    assert code == 2
    assert "llama-3.1-70b" in err
