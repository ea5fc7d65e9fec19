"""Reading requests of sessions: one layout, gaps that can be, and mistakes that say what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ampacity.demand.requests import read_requests, requests
from ampacity.demand.traces import read
from ampacity.demand.traces.reuse import hit_share
from ampacity.scenario.mistakes import Mistakes

ROWS = {
    "session": [1, 1, 1],
    "agent": [0, 0, 0],
    "step": [0, 1, 2],
    "input_tokens": [100, 200, 300],
    "cached_tokens": [0, 90, 190],
    "output_tokens": [10, 10, 10],
    "gap_s": [None, 5.0, 6.0],
    "user_started": [True, False, None],
}


def frame(**otherwise: object) -> pl.DataFrame:
    return pl.DataFrame({**ROWS, **otherwise})


def test_rows_come_in_order_of_session_agent_and_step() -> None:
    assert requests(frame().reverse()).frame["step"].to_list() == [0, 1, 2]


def test_the_first_step_has_no_gap() -> None:
    assert requests(frame()).frame["gap_s"].to_list() == [0.0, 5.0, 6.0]


def test_sums_of_tokens_do_not_overflow() -> None:
    large = pl.Series([2_000_000_000] * 3, dtype=pl.Int32)
    assert requests(frame(input_tokens=large)).frame["input_tokens"].sum() == 6_000_000_000


def test_a_gap_after_an_answer_that_was_not_timed_is_no_longer_than_the_time_between_requests() -> None:
    found = requests(frame(t_s=[0.0, 10.0, 40.0], server_s=[2.0, None, 2.0], gap_s=[0.0, 8.0, 700.0])).frame
    assert found["gap_s"][1] == 8.0
    assert 25.0 <= found["gap_s"][2] < 30.0


def test_every_missing_column_is_named_at_once() -> None:
    with pytest.raises(Mistakes) as caught:
        requests(frame().drop("gap_s", "cached_tokens"), "mine.csv")
    assert "mine.csv: 2 mistakes" in str(caught.value)
    assert "gap_s" in str(caught.value) and "cached_tokens" in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"output_tokens": [10, -1, 10]}, {"cached_tokens": [0, 201, 0]}, {"gap_s": [0.0, -5.0, 6.0]}],
    ids=["negative output", "more cached than whole", "negative gap"],
)
def test_rows_that_cannot_be_are_refused_with_the_place_of_the_first(wrong: dict[str, list[float]]) -> None:
    with pytest.raises(Mistakes, match="1 of 3 rows, first session 1 step 1"):
        requests(frame(**wrong))


def test_a_trace_without_requests_or_without_caches_is_refused() -> None:
    with pytest.raises(Mistakes, match="has requests"):
        requests(frame().clear().with_columns(cached_tokens=pl.lit(0)))
    with pytest.raises(Mistakes, match="not known here"):
        requests(frame(cached_tokens=pl.Series([None] * 3, dtype=pl.Int64)))


def test_sessions_in_which_any_count_is_missing_are_left_out_and_counted() -> None:
    rows = pl.concat([frame(), frame(session=[2] * 3, cached_tokens=[0, None, 190]), frame(session=[3] * 3)])
    found = requests(rows)
    assert found.frame["session"].to_list() == [1] * 3 + [3] * 3
    assert found.left_out == 1
    assert hit_share(found.frame) == 280 / 600
    assert requests(rows.filter(pl.col("session") != 2)).left_out == 0
    with pytest.raises(Mistakes, match="not known here"):
        requests(rows.filter(pl.col("session") == 2))


def test_the_user_begins_a_step_if_the_one_before_ended_its_turn_and_nobody_knows_where_that_is_not_told(
    tmp_path: Path,
) -> None:
    table = {"session": [7] * 5, "agent": [0] * 5, "turn": range(5), "t": [0.0, 10.0, 30.0, 40.0, 50.0]}
    table |= {"in_tokens": [100] * 5, "out_tokens": [10] * 5, "cached_session": [0] * 5}
    told = {"stop": ["tool_use", "end_turn", "", "end_turn", ""], "think_s": [0.0, 4.0, None, 3.0, 2.0]}
    path = tmp_path / "flattened.parquet"
    pl.DataFrame({**table, **told}).write_parquet(path)
    for found in (read.read(path).frame, read_requests(path).frame):
        assert found["user_started"].to_list() == [True, False, True, None, True]
    assert read.read(path).frame["gap_s"].to_list() == [None, 4.0, 20.0, 3.0, 2.0]
    pl.DataFrame(table).write_parquet(path)
    assert read.read(path).frame["user_started"].to_list() == [True, None, None, None, None]


def test_what_is_no_table_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(Mistakes, match="damaged or cut off"):
        read_requests(path)
    with pytest.raises(OSError):
        read_requests(tmp_path / "nothing.csv")


def test_parquet_and_csv_of_the_public_traces_agree(shared: Callable[[str], Path]) -> None:
    whole = read_requests(shared("demand/claude_code/claude_code_requests.parquet")).frame
    head = read_requests(shared("demand/claude_code/claude_code_requests_head2000.csv")).frame
    names = ["session", "agent", "step", "input_tokens", "cached_tokens", "output_tokens", "user_started"]
    same = head.select(names).join(whole.select(names), on=names, how="semi", nulls_equal=True)
    assert len(same) == len(head) == 2000


def test_no_gap_of_the_public_traces_is_longer_than_the_time_between_its_requests(
    shared: Callable[[str], Path],
) -> None:
    found = read_requests(shared("demand/claude_code/claude_code_requests.parquet")).frame
    main = found.filter(pl.col("agent") == 0).with_columns(between=pl.col("t_s").diff().over("session"))
    later = main.filter(pl.col("step") > 0)
    assert (later["gap_s"] > later["between"] + 2.0).sum() <= 0.001 * len(later)
