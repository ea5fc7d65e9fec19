"""Rows that do not fit are counted and told by line, never dropped in silence; whatever the file holds."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.demand.traces import azure, litellm, mooncake, weka
from ampacity.demand.traces.read import READERS, read
from ampacity.demand.traces.trace import SHOWN_FAULTS
from ampacity.scenario.mistakes import Mistakes

Sample = Callable[..., Path]


def test_each_bad_row_of_a_csv_is_told_by_its_line(sample: Sample) -> None:
    good = "2023-11-16 18:17:03.9799600,4808,10\n"
    text = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n" + good  # line 2
        + "2023-11-16 18:17:04.0,3180\n"  # 3: too short
        + "\n"  # 4: blank, no row
        + "2023-11-16 18:17:05.0,-3,8\n"  # 5: below zero
        + "soon,5,8\n"  # 6: no instant
        + "2023-11-16 18:17:05.0,5.5,8\n"  # 7: no whole number
        + "2023-11-16 18:17:05.0, 6 ,8.0\n"  # 8: as a spreadsheet writes it
    )  # fmt: skip
    trace = azure.read(sample("azure", text))
    assert trace.frame["input_tokens"].to_list() == [4808, 6]
    assert [(m.line, m.key, m.found) for m in trace.malformed.first] == [
        (3, "GeneratedTokens", "nothing"), (5, "ContextTokens", "-3"),
        (6, "TIMESTAMP", "soon"), (7, "ContextTokens", "5.5"),
    ]  # fmt: skip
    assert (trace.rows_read, trace.malformed.count) == (6, 4)


def test_a_row_with_too_many_values_does_not_hide_the_others(sample: Sample) -> None:
    at = "2023-11-16 18:17:03"
    text = f"TIMESTAMP,ContextTokens,GeneratedTokens\n{at},1,2\n{at},1,2,3\n{at},x,2\n"
    trace = azure.read(sample("azure", text))
    assert [(m.line, m.found) for m in trace.malformed.first] == [(3, "4 values"), (4, "x")]
    assert trace.frame.height == 1


def test_lines_are_right_behind_quoted_line_breaks(sample: Sample) -> None:
    head = "request_id,call_type,startTime,endTime,prompt_tokens,completion_tokens,model,metadata\n"
    row = 'r,acompletion,2026-05-06 09:00:00+00,2026-05-06 09:00:01+00,{},3,m,"{{""a"":\n\n1}}"\n'
    trace = litellm.read(sample("litellm", head + row.format(5) + row.format("many") + row.format(6)))
    assert trace.frame["input_tokens"].to_list() == [5, 6]
    assert [(m.line, m.key) for m in trace.malformed.first] == [(5, "prompt_tokens")]


def test_each_bad_line_of_a_json_file_is_told_by_its_line(sample: Sample) -> None:
    good = json.dumps({"timestamp": 1, "input_length": 5, "output_length": 2, "hash_ids": [1]})
    bad = [
        '{"timestamp": 1, "input_length": 5', "[1, 2]", '{"timestamp": 2, "input_length": "five", "output_length": 1}',
        '{"timestamp": 2, "output_length": 1}',
        '{"timestamp": 2, "input_length": 5, "output_length": 1, "hash_ids": [1, "a"]}',
        '{"timestamp": 2, "input_length": -5, "output_length": 1}',
        '{"timestamp": NaN, "input_length": true, "output_length": 1}',
    ]  # fmt: skip
    text = "\n".join([good, bad[0], "", *bad[1:], good.replace("5", "5.0")])
    trace = mooncake.read(sample("mooncake", text))
    assert trace.frame.height == 2
    assert [(m.line, m.key) for m in sorted(trace.malformed.first)] == [
        (2, "line"), (4, "line"), (5, "input_length"), (6, "input_length"), (7, "hash_ids[1]"), (8, "input_length"),
        (9, "timestamp"),
    ]  # fmt: skip
    assert trace.rows_read == 9


def test_lines_and_rows_are_the_same_however_small_the_stretches_that_are_read(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [json.dumps({"timestamp": i, "input_length": i, "output_length": 1}) for i in range(40)]
    rows[7], rows[20], rows[39] = "{", "", '{"timestamp": 39}'
    path = sample("mooncake", "\n".join(rows))
    whole = mooncake.read(path)
    monkeypatch.setattr("ampacity.demand.traces.rows.CHUNK_BYTES", 150)
    pieces = mooncake.read(path)
    assert pieces.frame.equals(whole.frame)
    assert sorted(m.line for m in pieces.malformed.first) == sorted(m.line for m in whole.malformed.first) == [8, 40]
    assert (whole.frame.height, whole.rows_read) == (37, 39)


def test_a_bad_request_of_a_session_leaves_the_others(sample: Sample) -> None:
    tree = json.loads(sample("weka").read_text())
    tree["requests"][0]["in"] = None
    tree["requests"][1]["requests"][1]["out"] = "2"
    trace = weka.read(sample("weka", json.dumps(tree)))
    assert [m.key for m in trace.malformed.first] == ["requests[0].in", "requests[1].requests[1].out"]
    assert (trace.frame.height, trace.rows_read) == (2, 4)


def test_sub_agents_without_a_start_and_sessions_of_other_blocks_are_told(sample: Sample, tmp_path: Path) -> None:
    tree = json.loads(sample("weka").read_text())
    tree["requests"][1]["t"] = "late"
    tree["requests"][2]["t"] = float("nan")
    sample("weka", json.dumps(tree))
    (tmp_path / "x.json").write_text(json.dumps({**tree, "block_size": 16}))
    trace = weka.read(tmp_path)
    assert [(m.key, m.found) for m in trace.malformed.first] == [
        ("requests[1].t", "late"), ("requests[2].t", "nan"), ("block_size", "16"),
    ]  # fmt: skip
    assert trace.frame.height == 1


def test_counts_that_would_overflow_a_sum_are_refused(sample: Sample) -> None:
    huge = {"timestamp": 1, "input_length": 2**62, "output_length": 1}
    trace = mooncake.read(sample("mooncake", json.dumps(huge)))
    assert trace.malformed.first[0].key == "input_length"


def test_strict_refuses_the_file_and_lists_what_is_wrong(sample: Sample) -> None:
    rows = "".join(f"2023-11-16 18:17:03,{i},{'x' if i % 2 else 1}\n" for i in range(100))
    path = sample("azure", "TIMESTAMP,ContextTokens,GeneratedTokens\n" + rows)
    with pytest.raises(Mistakes) as caught:
        read(path, strict=True)
    said = str(caught.value)
    assert f"50 rows\n  the first {SHOWN_FAULTS} of them" in said
    assert "line 3  GeneratedTokens: x\n          a whole number, 0 or more" in said
    assert len(caught.value.mistakes) == SHOWN_FAULTS + 1
    assert read(path).malformed.count == 50


def test_a_damaged_package_and_a_damaged_parquet_are_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "t.gz").write_bytes(b"\x1f\x8b\x08\x00broken")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 but no more")
    for name, format in (("t.gz", None), ("t.gz", "azure"), ("t.parquet", None), ("t.parquet", "ampacity")):
        with pytest.raises(Mistakes, match="damaged or cut off"):
            read(tmp_path / name, format=format)


@pytest.mark.parametrize("name", sorted(set(READERS) - {"ampacity", "journal"}))
def test_no_damage_to_a_file_gets_past_the_count_or_ends_in_a_traceback(name: str, sample: Sample) -> None:
    right = sample(name).read_bytes()
    rng = random.Random(name)
    for _ in range(60):
        data = bytearray(right)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data) + 1)
            how = rng.randrange(4)
            if how == 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            elif how == 1:
                del data[at : at + rng.randint(1, 30)]
            elif how == 2:
                data[at:at] = rng.choice([b'"', b"\n", b",", b"{", b"\x00", b"-", b"1e400", b"null", b"\xff"])
            else:
                data = data[: max(at, 1)]
        path = sample(name, "")
        path.write_bytes(bytes(data))
        if not data.strip():  # nothing is left to count
            with pytest.raises(Mistakes, match="empty"):
                read(path, format=name)
            continue
        trace = read(path, format=name)
        assert trace.rows_read == trace.frame.height + trace.malformed.count + sum(trace.aside.values())
        assert (trace.frame["input_tokens"] >= 0).all()
        assert trace.frame["output_tokens"].null_count() == 0


@given(st.lists(st.sampled_from(["good", "short", "text", "below", "long", "blank"]), max_size=40))
def test_good_and_bad_rows_are_each_counted_once(kinds: list[str]) -> None:
    from tempfile import TemporaryDirectory

    row = {"good": "2023-11-16 18:17:03,1,2", "short": "2023-11-16 18:17:03,1", "text": "x,1,2",
           "below": "2023-11-16 18:17:03,1,-2", "long": "2023-11-16 18:17:03,1,2,3", "blank": ""}  # fmt: skip
    with TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(row[k] + "\n" for k in kinds))
        trace = azure.read(path)
    assert trace.frame.height == kinds.count("good")
    assert trace.malformed.count == sum(k not in ("good", "blank") for k in kinds)
    first_bad = [i + 2 for i, k in enumerate(kinds) if k not in ("good", "blank")]
    assert sorted(m.line for m in trace.malformed.first)[:1] == first_bad[:1] or trace.malformed.count > SHOWN_FAULTS
