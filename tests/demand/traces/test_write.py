"""What is written reads back as it was, for us and for those who replay it."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ampacity.demand.traces import weka
from ampacity.demand.traces.read import READERS, read
from ampacity.demand.traces.reuse import Cache, hit_share, with_cache
from ampacity.demand.traces.trace import Trace, canonical
from ampacity.demand.traces.write import blocks_of, write
from ampacity.scenario.mistakes import Mistakes

Sample = Callable[..., Path]


@pytest.mark.parametrize("name", sorted(set(READERS) - {"ampacity"}))
def test_parquet_keeps_everything_that_a_trace_of_any_format_knows(name: str, sample: Sample, tmp_path: Path) -> None:
    trace = read(sample(name))
    write(trace, tmp_path / "t.parquet")
    back = read(tmp_path / "t.parquet")
    assert back.frame.equals(trace.frame)
    for field in ("format", "clock", "start_s", "block_tokens", "blocks_local", "notes"):
        assert getattr(back, field) == getattr(trace, field)


def test_a_parquet_of_counts_alone_is_a_trace_and_bad_rows_are_told(tmp_path: Path) -> None:
    pl.DataFrame({"input_tokens": [5, None, 7], "output_tokens": [1, 1, -1]}).write_parquet(tmp_path / "t.parquet")
    trace = read(tmp_path / "t.parquet")
    assert trace.frame["input_tokens"].to_list() == [5]
    assert [(m.line, m.key) for m in trace.malformed.first] == [(2, "input_tokens"), (3, "output_tokens")]
    assert trace.clock == "none"


def test_mooncake_lines_are_those_of_the_source(sample: Sample, tmp_path: Path) -> None:
    source = sample("mooncake")
    write(read(source), tmp_path / "t.jsonl")
    assert [json.loads(x) for x in (tmp_path / "t.jsonl").read_text().splitlines()] == [
        json.loads(x) for x in source.read_text().splitlines()
    ]


def test_mooncake_lines_carry_sessions_and_gaps_and_read_back(sample: Sample, tmp_path: Path) -> None:
    trace = read(sample("tracelab"))
    write(trace, tmp_path / "t.jsonl")
    rows = [json.loads(x) for x in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert rows[1] == {
        "timestamp": 11500,
        "input_length": 35740,
        "output_length": 1016,
        "session_id": "0",
        "delay": 2000.0,
    }
    back = read(tmp_path / "t.jsonl")
    for column in ("t_s", "session", "step", "input_tokens", "output_tokens", "gap_s"):
        assert back.frame[column].to_list() == trace.frame[column].to_list()


def test_a_replay_csv_reads_back_as_it_was(sample: Sample, tmp_path: Path) -> None:
    trace = read(sample("tracelab-replay"))
    write(trace, tmp_path / "t.csv")
    assert read(tmp_path / "t.csv").frame.equals(trace.frame)


def test_a_replay_csv_puts_each_wait_behind_the_answer_before_it(sample: Sample, tmp_path: Path) -> None:
    write(read(sample("weka")), tmp_path / "t.csv")
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert list(rows[0]) == [
        "session_id", "arrival_time", "round_idx", "prefix_len", "input_len", "output_len", "tool_wait_after_ms",
    ]  # fmt: skip
    brief = [
        (r["session_id"], r["round_idx"], r["prefix_len"], r["input_len"], float(r["tool_wait_after_ms"])) for r in rows
    ]
    assert brief == [
        ("0", "0", "0", "200", 11000.0), ("0", "1", "192", "108", 0.0),
        ("0.1", "0", "64", "6", 2000.0), ("0.1", "1", "64", "66", 0.0),
    ]  # fmt: skip


def test_requests_without_sessions_replay_each_alone_at_their_time(sample: Sample, tmp_path: Path) -> None:
    trace = read(sample("azure"))
    write(trace, tmp_path / "t.csv")
    back = read(tmp_path / "t.csv")
    assert back.frame["session"].to_list() == [0, 1, 2]
    assert back.frame["t_s"].to_list() == pytest.approx(trace.frame["t_s"].to_list(), abs=1e-9)
    assert back.frame["input_tokens"].sum() == trace.frame["input_tokens"].sum()


def test_a_cached_token_is_never_written_as_more_than_the_input(tmp_path: Path) -> None:
    frame = canonical(pl.DataFrame({"input_tokens": [100, 0], "cached_tokens": [100, 0], "output_tokens": [0, 3]}))
    write(Trace(frame, "test", "test", "none", 2), tmp_path / "t.csv")
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert [(r["prefix_len"], r["input_len"], r["output_len"]) for r in rows] == [("99", "1", "1"), ("0", "1", "3")]


def test_smaller_blocks_become_larger_ones_that_claim_no_more_reuse(shared: Callable[[str], Path]) -> None:
    trace = weka.read(shared("demand/claude_code/raw_weka_samples"))
    larger = blocks_of(trace, 512)
    assert larger is not None
    counts = -(-trace.frame["input_tokens"] // 512)
    assert larger.list.len().to_list() == counts.abs().to_list()
    written = Trace(trace.frame.with_columns(blocks=larger), "test", "test", "session", 131, block_tokens=512)
    fine, coarse = hit_share(with_cache(trace, Cache()).frame), hit_share(with_cache(written, Cache()).frame)
    assert fine is not None
    assert coarse is not None
    mean_input = trace.frame["input_tokens"].mean()
    assert isinstance(mean_input, float)
    assert fine - 512 / mean_input <= coarse <= fine  # at most one block of a request is lost
    assert blocks_of(trace, 100) is None


def test_a_block_that_is_not_whole_equals_no_other() -> None:
    ids = [[1, 2, 3], [1, 2, 3], [1, 2, 3, 4, 5]]
    frame = canonical(pl.DataFrame({"input_tokens": [48, 48, 85], "output_tokens": [1] * 3, "blocks": ids}))
    made = blocks_of(Trace(frame, "test", "test", "trace", 3, block_tokens=16), 32)
    assert made is not None
    (first, end), (again, other), (third, whole, rest) = made.to_list()
    assert first == again == third
    assert len({first, end, other, whole, rest}) == 5


def test_a_failure_leaves_the_old_file(sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = read(sample("azure"))

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    for name in ("t.parquet", "t.jsonl", "t.csv"):
        (tmp_path / name).write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    for name in ("t.parquet", "t.jsonl", "t.csv"):
        with pytest.raises(OSError, match="No space"):
            write(trace, tmp_path / name)
        assert (tmp_path / name).read_text() == "old"
    assert sorted(p.name for p in tmp_path.glob("*t.*")) == ["t.csv", "t.jsonl", "t.parquet"]


def test_an_ending_that_names_no_format_is_refused(sample: Sample, tmp_path: Path) -> None:
    with pytest.raises(Mistakes, match=r"\.xlsx\n.*\.parquet \(Parquet\)"):
        write(read(sample("azure")), tmp_path / "t.xlsx")
