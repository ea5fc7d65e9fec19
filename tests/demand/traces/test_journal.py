"""A journal of the live service, read as the requests that were written into it."""

from __future__ import annotations

import gzip
import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.sessions import generate, served
from ampacity.demand.traces.read import detect, read
from ampacity.journal.append import Journal
from ampacity.journal.records import ADMITTED, SETTLED
from ampacity.scenario.mistakes import Mistakes

Sample = Callable[..., Path]
Column = Callable[[Any, str], list[Any]]
Said = Callable[..., tuple[int, str, str]]
START_MS = 1_795_000_000_000


def test_requests_that_were_answered_are_the_trace_and_all_others_are_set_aside(sample: Sample, column: Column) -> None:
    trace = read(sample("journal"))
    assert (trace.format, trace.clock, trace.start_s) == ("journal", "unix", START_MS / 1000)
    assert column(trace, "t_s") == pytest.approx([0.0, 1.0, 12.0, 16.0, 30.0])
    assert column(trace, "input_tokens") == [61_000, 5, 61_010, 6, 61_017]
    assert column(trace, "cached_tokens") == [60_000, 0, 61_000, 3, 61_010]
    assert column(trace, "output_tokens") == [250, 1, 40, 4, 9]
    assert column(trace, "user") == [0] * 5
    assert column(trace, "session") == [0, 1, 0, None, 0]
    assert column(trace, "step") == [0, 0, 1, None, 2]
    assert column(trace, "server_s") == [9.0, 11.5, 8.0, None, 3.0]
    assert column(trace, "gap_s") == [None, None, 3.0, None, pytest.approx(10.0)]
    assert (column(trace, "tier"), column(trace, "model")) == (["pro"] * 5, ["opus"] * 5)
    assert trace.notes == ("cut short, with what had been counted by then: 1",)
    reasons = ("refused by a limit", "no capacity", "never began", "expired", "not ended yet")
    assert dict(trace.aside) == dict.fromkeys(reasons, 1)
    assert (trace.rows_read, trace.malformed.count) == (10, 0)


def written(path: Path, frame: pl.DataFrame) -> None:
    """Serve the requests of a frame into a journal, many a tick, in the order of what happens."""
    happens = [(round(r["t_s"] * 1000), 1, r) for r in frame.iter_rows(named=True)]
    happens += [(round(r["t_s"] * 1000) + round(r["server_s"] * 1000), 0, r) for _, _, r in happens]
    with Journal(path) as journal:
        kind = journal.kind("pro", "pro-limit", "", "opus", "code")
        numbers: dict[tuple[int, ...], int] = {}
        for at, begins, r in sorted(happens, key=lambda event: (event[0], event[1])):
            key, now = (r["session"], r["agent"], r["step"]), START_MS + at
            uncached = r["input_tokens"] - r["cached_tokens"]
            if begins:
                own = (r["input_tokens"], 32_000, 1, now + 900_000, ADMITTED, 0, 0, 1000 + r["session"])
                numbers[key] = journal.arrived(now, kind, r["session"] % 9 + 1, *own)
            else:
                half = uncached // 2
                journal.ended(numbers[key], now, SETTLED, half, uncached - half, r["cached_tokens"], r["output_tokens"])
            if journal.last % 64 == 0:
                journal.commit()


@pytest.fixture(scope="module")
def agents() -> pl.DataFrame:
    """Steps of sixty drawn sessions, on one clock, at whole milliseconds."""
    model = packaged_model()
    drawn = served(generate(model, seed=1, sessions=np.arange(60)), model.service).frame()
    begins = pl.col("session").cast(pl.Float64) * 61.0
    frame = drawn.filter(pl.col("agent") == 0).with_columns(t_s=(pl.col("t_s") + begins).round(3))
    return frame.with_columns(server_s=(pl.col("output_tokens") / 64.0 + 0.5).round(3))


def test_what_was_served_is_read_as_it_was(agents: pl.DataFrame, tmp_path: Path) -> None:
    written(tmp_path / "a.journal", agents)
    trace = read(tmp_path / "a.journal")
    assert trace.frame.height == agents.height > 1000
    assert (trace.malformed.count, dict(trace.aside)) == (0, {})
    counts = ["input_tokens", "cached_tokens", "output_tokens"]
    by_session = ["session", "step"]
    # sessions are numbered anew, in the order in which they begin: here the order of their numbers
    ours, theirs = (f.sort(by_session).select(*by_session, *counts) for f in (trace.frame, agents))
    assert ours.equals(theirs.with_columns(pl.col(c).cast(pl.Int64) for c in theirs.columns))
    times = [f.sort(by_session)["t_s"].to_numpy() for f in (trace.frame, agents)]
    np.testing.assert_allclose(times[0] - times[0][0], times[1] - times[1][0], atol=1e-9)
    took = [f.sort(by_session)["server_s"].to_numpy() for f in (trace.frame, agents)]
    np.testing.assert_allclose(*took, atol=1e-9)


def test_a_journal_is_read_while_it_is_written(sample: Sample, tmp_path: Path) -> None:
    path = tmp_path / "live.journal"
    with Journal(path) as journal:
        kind = journal.kind("pro", "l")
        for number in range(30):
            request = journal.arrived(START_MS + number, kind, 1, 1, 1, 1, START_MS, ADMITTED)
            journal.commit()
            trace = read(path)
            assert (trace.rows_read, trace.frame.height, trace.aside["not ended yet"]) == (number + 1, number, 1)
            journal.ended(request, START_MS + number + 1, SETTLED, 1)
            journal.commit()
            assert read(path).frame.height == number + 1


def test_rows_that_no_journal_writes_are_counted_and_told_by_their_ordinal(sample: Sample) -> None:
    path = sample("journal")
    db = sqlite3.connect(path)
    first, other = db.execute("SELECT ordinal FROM settlement ORDER BY ordinal LIMIT 2").fetchall()
    db.execute("UPDATE settlement SET read = -5 WHERE ordinal = ?", first)
    db.execute("UPDATE settlement SET output = 'many' WHERE ordinal = ?", other)
    db.execute("UPDATE arrival SET now_ms = 99999999999999 WHERE input_tokens = 90000 AND session = 0")
    db.execute("INSERT INTO settlement VALUES (900, 800, 5, 0, 1, 1, 1, 1, 1, 0)")
    db.commit()
    db.close()
    trace = read(path)
    assert trace.frame.height == 2
    assert trace.malformed.count == 4
    assert [(m.key, m.found) for m in trace.malformed.first] == [
        ("read", "-5"), ("output", "many"), ("now_ms of its arrival", "99999999999999"), ("settlement", ""),
    ]  # fmt: skip
    assert [m.line for m in trace.malformed.first][3] == 900
    assert trace.rows_read == trace.frame.height + trace.malformed.count + sum(trace.aside.values()) == 11
    with pytest.raises(Mistakes, match="read: -5"):
        read(path, strict=True)


def test_another_database_a_cut_off_journal_and_another_format_are_told_in_words(
    sample: Sample, tmp_path: Path
) -> None:
    other, cut = tmp_path / "other.db", tmp_path / "cut.journal"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE t (a)")
    db.commit()
    db.close()
    with pytest.raises(Mistakes, match=r"an SQLite database\n.*no journal"):
        read(other)
    with pytest.raises(Mistakes, match="another program"):
        read(other, format="journal")
    right = sample("journal").read_bytes()
    cut.write_bytes(right[: len(right) // 2])
    assert detect(cut) == "journal"
    with pytest.raises(Mistakes, match="damaged"):
        read(cut)
    (tmp_path / "t.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n")
    with pytest.raises(Mistakes, match="another kind of file"):
        read(tmp_path / "t.csv", format="journal")


def test_no_damage_to_a_journal_gets_past_the_count_or_ends_in_a_traceback(sample: Sample) -> None:
    path, rng = sample("journal"), random.Random(5)
    right, counted = path.read_bytes(), 0
    for _ in range(150):
        data = bytearray(right)
        for _ in range(rng.choice([1, 5, 40])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(bytes(data))
        try:
            trace = read(path, format="journal")
        except (Mistakes, OSError):
            continue
        counted += 1
        assert trace.rows_read == trace.frame.height + trace.malformed.count + sum(trace.aside.values())
        assert (trace.frame["input_tokens"] >= 0).all()
    assert counted > 20


def test_show_trace_and_calibrate_demand_take_a_journal(
    agents: pl.DataFrame, tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "kept.journal", agents)
    code, out, wrong = said("show", "trace", "kept.journal", "--json", "shown.json")
    assert (code, wrong) == (0, "")
    assert "journal" in out and f"{agents.height:,}" in out
    assert json.loads((tmp_path / "shown.json").read_text())
    (tmp_path / "kept.journal.gz").write_bytes(gzip.compress((tmp_path / "kept.journal").read_bytes()))
    code, packed, _ = said("show", "trace", "kept.journal.gz")
    assert code == 0 and f"{agents.height:,}" in packed
    overlapping = read("kept.journal").frame.filter((pl.col("step") > 0) & pl.col("gap_s").is_null())
    assert len(overlapping) >= 1  # nothing tells who began it
    code, out, wrong = said("calibrate", "demand", "kept.journal", "--output", "own.yaml", "--repetitions", "0")
    assert (code, wrong) == (0, "")
    assert "kept.journal" in (tmp_path / "own.yaml").read_text()
