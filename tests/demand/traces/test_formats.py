"""Each format as its source writes it, read into the same columns."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ampacity.demand.traces import azure, bailian, burstgpt, litellm, mooncake, servegen, server_log, tracelab, weka
from ampacity.demand.traces import claude_requests as requests
from ampacity.demand.traces.bailian import roots
from ampacity.demand.traces.read import READERS, detect, read
from ampacity.demand.traces.rows import instant_ns
from ampacity.demand.traces.trace import COLUMNS
from ampacity.scenario.mistakes import Mistakes

Sample = Callable[..., Path]
Column = Callable[[Any, str], list[Any]]
SAMPLED = sorted(set(READERS) - {"ampacity"})


@pytest.mark.parametrize("name", SAMPLED)
def test_every_format_is_told_by_its_content_and_read_into_the_canonical_columns(name: str, sample: Sample) -> None:
    path = sample(name)
    assert detect(path) == name
    trace = read(path)
    assert dict(trace.frame.schema) == COLUMNS
    assert trace.malformed.count == 0
    assert trace.frame.height > 0
    assert trace.rows_read == trace.frame.height + sum(trace.aside.values())


@pytest.mark.parametrize("name", [n for n in SAMPLED if n not in ("weka",)])
def test_a_packed_file_reads_as_the_file_itself(name: str, sample: Sample, tmp_path: Path) -> None:
    path = sample(name)
    packed = tmp_path / f"{path.name}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert detect(packed) == name
    assert read(packed).frame.equals(read(path).frame)


def test_azure_arrivals_are_ordered_and_exact_to_the_last_decimal(sample: Sample, column: Column) -> None:
    trace = azure.read(sample("azure"))
    assert column(trace, "input_tokens") == [110, 4808, 3180]
    assert column(trace, "t_s") == [0.0, 0.97996, 1.03196]
    assert trace.start_s == 1700158623.0
    assert column(trace, "cached_tokens") == [None] * 3


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2023-11-16 18:17:03.9799600", 1700158623_979960000),
        ("2024-05-10T00:00:00.009930+00:00", 1715299200_009930000),
        ("2024-05-10 02:00:00+02", 1715299200_000000000),
        ("2024-05-09 20:30:00.5-03:30", 1715299200_500000000),
        ("2024-05-10T00:00:00Z", 1715299200_000000000),
        ("2024-05-10T00:00:00.123456789Z", 1715299200_123456789),
        ("9999-12-31 00:00:00", None),
        ("2024-05-10 25:00:00", None),
        ("2024-05-10 00:00:00 or so", None),
        ("", None),
    ],
)
def test_instants_are_read_to_the_nanosecond_with_their_offset(text: str, ns: int | None) -> None:
    assert pl.DataFrame({"at": [text]}).select(instant_ns(pl.col("at"))).item() == ns


def test_burstgpt_with_six_columns_has_no_sessions_and_keeps_failures(sample: Sample, column: Column) -> None:
    head = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    rows = "5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,1087,0,1087,API log\n"
    trace = burstgpt.read(sample("burstgpt", head + rows))
    assert column(trace, "session") == [None, None]
    assert column(trace, "t_s") == [0.0, 40.0]
    assert trace.start_s == 5.0
    assert column(trace, "output_tokens") == [18, 0]
    assert trace.notes == ("requests without output, failed or filtered: 1",)


def test_burstgpt_with_eight_columns_has_sessions_and_gaps_after_answers(sample: Sample, column: Column) -> None:
    trace = burstgpt.read(sample("burstgpt"))
    assert column(trace, "session") == [0, 1, 0]
    assert column(trace, "step") == [0, 0, 1]
    assert column(trace, "gap_s") == [None, None, 6.0]  # 110 - (100 + 4)


def test_a_request_that_came_before_the_former_answer_has_no_gap(sample: Sample, column: Column) -> None:
    rows = sample("burstgpt").read_text().replace("b-uuid,4,", "b-uuid,40,")
    assert column(burstgpt.read(sample("burstgpt", rows)), "gap_s") == [None, None, None]


def test_mooncake_keeps_arrivals_and_blocks(sample: Sample, column: Column) -> None:
    trace = mooncake.read(sample("mooncake"))
    assert column(trace, "t_s") == [0.0, 3.0, 3.0]
    assert column(trace, "blocks") == [[0, 1, 2], [0, 1], [0, 7]]
    assert trace.block_tokens == 512


def test_bailian_chats_of_one_chain_are_one_session(sample: Sample, column: Column) -> None:
    trace = bailian.read(sample("bailian"))
    assert column(trace, "session") == [0, 1, 0, 0]  # chat 9 names a parent that the trace does not hold
    assert column(trace, "step") == [0, 0, 1, 2]
    assert column(trace, "t_s") == [0.0, 0.5, 60.0, 98.0]
    assert trace.block_tokens == 16


def test_a_ring_of_chats_ends_and_a_long_chain_has_one_root() -> None:
    assert len(set(roots([1, 2, 3], [2, 3, 1]))) <= 3
    chats = list(range(50_000))
    assert set(roots(chats, [None, *chats[:-1]])) == {0}
    assert set(roots(chats[::-1], [*chats[::-1][1:], -1])) == {0}


def test_weka_sub_agents_are_placed_in_their_session_and_share_its_cache(sample: Sample, column: Column) -> None:
    trace = weka.read(sample("weka"))
    assert column(trace, "agent") == [0, 1, 1, 0]
    assert column(trace, "t_s") == [0.0, 5.0, 8.0, 20.0]
    assert column(trace, "cached_tokens") == [0, 64, 64, 192]
    assert column(trace, "gap_s") == [None, None, 2.0, 11.0]
    assert column(trace, "user_started") == [True, False, False, False]
    assert trace.clock == "session"


def test_weka_sub_agents_on_the_sessions_clock_are_left_where_they_are(sample: Sample, column: Column) -> None:
    tree = json.loads(sample("weka").read_text())
    for child in tree["requests"][1]["requests"]:
        child["t"] += 5.0
    assert column(weka.read(sample("weka", json.dumps(tree))), "t_s") == [0.0, 5.0, 8.0, 20.0]


def test_a_folder_of_weka_sessions_is_one_trace(sample: Sample, tmp_path: Path, column: Column) -> None:
    text = sample("weka").read_text()
    (tmp_path / "weka2.json").write_text(text)
    trace = read(tmp_path)
    assert column(trace, "session") == [0] * 4 + [1] * 4
    assert column(trace, "cached_tokens")[:4] == column(trace, "cached_tokens")[4:]


def test_tracelab_rounds_arrive_with_the_last_thing_that_went_in(sample: Sample, column: Column) -> None:
    trace = tracelab.read(sample("tracelab"))
    assert column(trace, "t_s") == [0.0, 11.5]
    assert column(trace, "server_s") == [9.5, 10.0]
    assert column(trace, "gap_s") == [None, 2.0]
    assert column(trace, "cached_tokens") == [27217, 29380]
    assert column(trace, "user_started") == [True, False]


def test_a_replay_has_arrivals_of_sessions_and_waits_between_rounds(sample: Sample, column: Column) -> None:
    trace = tracelab.read_replay(sample("tracelab-replay"))
    assert column(trace, "t_s") == [0.0, None, 3.0]
    assert column(trace, "gap_s") == [None, 0.25, None]
    assert column(trace, "input_tokens") == [500, 600, 120]
    renamed = tracelab.read_replay(
        sample("tracelab-replay", sample("tracelab-replay").read_text().replace("session_id", "id"))
    )
    assert renamed.frame.equals(trace.frame)


@pytest.mark.parametrize("export", ["lines", "list", "page", "csv"])
def test_litellm_logs_read_alike_however_they_were_exported(
    export: str, sample: Sample, column: Column, tmp_path: Path
) -> None:
    rows = [json.loads(line) for line in sample("litellm").read_text().splitlines()]
    path = tmp_path / "export"
    if export == "list":
        path.write_text(json.dumps(rows, indent=1))
    elif export == "page":
        path.write_text(json.dumps({"data": rows, "total": len(rows)}))
    elif export == "csv":
        flat = [{k: json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()} for row in rows]
        pl.DataFrame(flat, infer_schema_length=None).write_csv(path)
    else:
        path = sample("litellm")
    assert detect(path) == "litellm"
    trace = litellm.read(path)
    assert column(trace, "input_tokens") == [1000, 1100]
    assert column(trace, "cached_tokens") == [900, 1000]
    assert column(trace, "gap_s") == [None, 6.0]
    assert column(trace, "user") == [0, 0]
    assert dict(trace.aside) == {"answered from the response cache": 1, "failed": 1, "no generation": 1}
    assert "ada" not in repr(trace)


def test_a_vllm_request_is_served_from_the_queue_to_the_last_token(sample: Sample, column: Column) -> None:
    trace = server_log.read_vllm(sample("vllm"))
    assert column(trace, "t_s") == [0.0, 0.5]
    assert column(trace, "server_s") == [17.5, 25.0]


def test_an_sglang_request_arrived_its_latency_before_it_finished(sample: Sample, column: Column) -> None:
    trace = server_log.read_sglang(sample("sglang"))
    assert column(trace, "t_s") == [0.0, 3.0]
    assert column(trace, "cached_tokens") == [8, 0]
    assert dict(trace.aside) == {"another event": 1}


def test_requests_of_sub_agents_have_no_arrival_where_none_is_known(sample: Sample, column: Column) -> None:
    trace = requests.read(sample("claude-requests"))
    assert column(trace, "t_s") == [0.0, 19.0, None]
    assert column(trace, "gap_s") == [None, 12.0, None]
    assert column(trace, "user_started") == [True, False, False]


def test_tokens_of_narrow_columns_add_up_beyond_31_bits(tmp_path: Path) -> None:
    rows = 5000
    table = {"session": [1] * rows, "agent": [0] * rows, "turn": list(range(rows)), "t": [0.0] * rows}
    table |= {"model": ["m"] * rows, "in_tokens": [900_000] * rows, "out_tokens": [1] * rows}
    table |= {"cached_session": [0] * rows, "api_s": [1.0] * rows, "think_s": [1.0] * rows, "input_types": [""] * rows}
    narrow = pl.DataFrame(table).with_columns(pl.col("in_tokens", "out_tokens", "cached_session").cast(pl.Int32))
    narrow.write_parquet(tmp_path / "r.parquet")
    assert read(tmp_path / "r.parquet").frame["input_tokens"].sum() == 4_500_000_000


def test_windows_of_clients_stay_windows_and_are_refused_as_requests(tmp_path: Path) -> None:
    folder = tmp_path / "m-small"
    folder.mkdir()
    (folder / "chunk-0-trace.csv").write_text("0,2.5,1.1,Gamma,0.9,0.4\n600,0.5,1.0,Weibull,0.8,1.7\n")
    (folder / "chunk-10-trace.csv").write_text("600,1.5,3.0,Gamma,0.1,6.0\n")
    windows = servegen.read_windows(folder)
    assert windows.frame["client"].to_list() == [0, 0, 10]
    assert windows.totals()["rate_per_s"].to_list() == [2.5, 2.0]
    assert windows.totals()["model"].to_list() == ["m-small"] * 2
    assert detect(folder) == detect(folder / "chunk-0-trace.csv") == "servegen"
    with pytest.raises(Mistakes, match="rates, no requests"):
        read(folder)


def test_an_unknown_file_is_refused_with_what_was_found_and_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("when,what\n1,2\n")
    with pytest.raises(Mistakes, match=r"names what, when\n.*azure, bailian, .*--format"):
        read(tmp_path / "t.csv")
    with pytest.raises(Mistakes, match='nearest is "mooncake"'):
        read(tmp_path / "t.csv", format="moncake")
    with pytest.raises(Mistakes, match="none of these"):
        read(tmp_path)


def test_a_forced_format_is_taken_at_its_word(sample: Sample) -> None:
    trace = read(sample("azure"), format="mooncake")
    assert (trace.frame.height, trace.malformed.count, trace.rows_read) == (0, 4, 4)
