"""A person's own logs: each request once, its counts and times right, and nothing of what anybody wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ampacity.demand.traces import claude_code, read
from ampacity.demand.traces.write import write
from ampacity.reporting.trace_view import trace_view
from ampacity.scenario.mistakes import Mistakes

Sample = Callable[..., Path]
Column = Callable[[Any, str], list[Any]]
SECRET = "zebrafish"  # stands in everything that a person, a model or a tool might have written


def user(second: int, session: str = "S1", **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content": more.pop("content", f"{SECRET} please")}
    stamp = f"2026-05-06T10:{second // 60:02d}:{second % 60:02d}.000Z"
    return {"type": "user", "sessionId": session, "timestamp": stamp, "message": message, **more}


def answer(second: int, id: str | None, output: int = 10, session: str = "S1", **more: Any) -> dict[str, Any]:
    usage = {
        "input_tokens": 7,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 2000,
        "output_tokens": output,
    }
    usage |= more.pop("usage", {})
    message = {"id": id, "model": more.pop("model", "claude-opus-4-5-20251101"), "usage": usage}
    message["content"] = [{"type": "text", "text": f"{SECRET} it is"}, {"type": "thinking", "thinking": SECRET}]
    stamp = f"2026-05-06T10:{second // 60:02d}:{second % 60:02d}.500Z"
    return {"type": "assistant", "sessionId": session, "timestamp": stamp, "message": message, **more}


def log(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_lines_of_one_answer_are_one_request_with_its_last_count(sample: Sample, column: Column) -> None:
    trace = claude_code.read(sample("claude-code"))
    assert column(trace, "input_tokens") == [3210, 3300]
    assert column(trace, "cached_tokens") == [3000, 3200]
    assert column(trace, "output_tokens") == [90, 40]
    assert column(trace, "t_s") == [0.0, 9.0]
    assert column(trace, "server_s") == [5.0, 2.0]
    assert column(trace, "gap_s") == [None, 4.0]
    assert column(trace, "user_started") == [True, False]
    assert dict(trace.aside) == {"no request": 3, "continues a request": 1}
    assert trace.rows_read == 6


def test_a_request_copied_into_a_resumed_session_counts_once(tmp_path: Path, column: Column) -> None:
    log(tmp_path / "a.jsonl", user(0), answer(2, "m1"))
    log(
        tmp_path / "b.jsonl",
        user(0, "S2"),
        answer(2, "m1", session="S2"),
        user(60, "S2"),
        answer(65, "m2", session="S2"),
    )
    trace = read.read(tmp_path)
    assert column(trace, "session") == [0, 1]
    assert trace.aside["repeats a request of another log"] == 1


def test_answers_without_a_message_id_are_told_apart_by_their_request_id_or_counted_each(
    tmp_path: Path, column: Column
) -> None:
    rows = [answer(1, None, requestId="q1"), answer(2, None, requestId="q1"), answer(3, None), answer(4, None)]
    assert claude_code.read(log(tmp_path / "a.jsonl", *rows)).frame.height == 3


def test_sub_agents_of_a_session_are_numbered_and_start_on_nobodys_word(tmp_path: Path, column: Column) -> None:
    side = {"isSidechain": True}
    rows = [user(0), answer(1, "m1"), user(2, **side, agentId="x"), answer(3, "m2", **side, agentId="x"),
            user(2, **side, agentId="y"), answer(4, "m3", **side, agentId="y"), user(8), answer(9, "m4")]  # fmt: skip
    trace = claude_code.read(log(tmp_path / "a.jsonl", *rows))
    assert column(trace, "agent") == [0, 1, 2, 0]
    assert column(trace, "step") == [0, 0, 0, 1]
    assert column(trace, "user_started") == [True, False, False, True]
    assert column(trace, "gap_s") == [None, None, None, 6.5]


def test_what_the_client_wrote_itself_is_no_request(tmp_path: Path) -> None:
    rows = [answer(1, "m1", model="<synthetic>"), answer(2, "m2", isApiErrorMessage=True), answer(3, "m3")]
    trace = claude_code.read(log(tmp_path / "a.jsonl", *rows))
    assert trace.frame.height == 1
    assert trace.aside["written by the client itself"] == 2


def test_gateways_that_count_no_cache_are_read_and_their_models_stay_unnamed(tmp_path: Path, column: Column) -> None:
    row = answer(1, "chatcmpl-1", model="acme/secret-model")
    row["message"]["usage"] = {"input_tokens": 50, "output_tokens": 5}
    trace = claude_code.read(log(tmp_path / "a.jsonl", row))
    assert (column(trace, "input_tokens"), column(trace, "cached_tokens")) == ([50], [0])
    assert column(trace, "model") == ["another model"]


def test_bad_lines_are_told_by_log_and_line_without_what_they_say(tmp_path: Path) -> None:
    log(tmp_path / "a.jsonl", user(0), answer(1, "m1"))
    log(tmp_path / "b.jsonl", f'{{"type": "user", "text": "{SECRET}', f'"{SECRET}"',
        answer(1, "m2", usage={"input_tokens": SECRET}), answer(1, "m3", usage={"output_tokens": -1}),
        {**answer(1, "m4"), "timestamp": "9999-12-31T00:00:00Z"},
        {"type": "assistant", "message": {"usage": SECRET}})  # fmt: skip
    trace = claude_code.read(tmp_path)
    assert [(m.file, m.line, m.key) for m in trace.malformed.first] == [
        ("log 2 of 2", 1, "line"), ("log 2 of 2", 2, "line"), ("log 2 of 2", 3, "message.usage.input_tokens"),
        ("log 2 of 2", 4, "message.usage.output_tokens"), ("log 2 of 2", 5, "timestamp"),
        ("log 2 of 2", 6, "message.usage"),
    ]  # fmt: skip


def secretive_folder(root: Path) -> Path:
    """Logs in which the secret stands wherever text can stand: contents, names, ids, paths, and broken lines."""
    own = {"cwd": f"/x/{SECRET}", "gitBranch": SECRET, "slug": SECRET, "uuid": SECRET, "parentUuid": f"{SECRET}1"}
    folder = root / "projects" / f"-x-{SECRET}"
    folder.mkdir(parents=True)
    session, agent = f"{SECRET}-session", f"{SECRET}-agent"
    log(
        folder / f"{SECRET}.jsonl",
        {"type": "summary", "summary": SECRET, "leafUuid": "1"},
        {"type": SECRET, "content": SECRET, "sessionId": session},
        user(0, session, **own),
        answer(3, f"msg_{SECRET}", session=session, requestId=f"req_{SECRET}", **own),
        user(4, session, content=[{"type": "tool_result", "content": SECRET}], toolUseResult={"stdout": SECRET}, **own),
        answer(5, f"msg2_{SECRET}", session=session, model=f"claude {SECRET}", **own),
        answer(6, "m6", session=session, model=f"{SECRET}-2", isSidechain=True, agentId=agent, **own),
        answer(7, "m7", session=session, usage={"input_tokens": SECRET, "service_tier": SECRET}, **own),
        {**answer(8, "m8", session=session), "timestamp": SECRET},
        {**answer(9, "m9", session=session), "message": SECRET},
        f'{{"type": "user", "message": {{"content": "{SECRET}',
        f"{SECRET} and no JSON",
        f'["{SECRET}"]',
    )
    return root / "projects"


def test_no_text_of_the_logs_survives_anywhere(
    said: Callable[..., tuple[int, str, str]], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = secretive_folder(tmp_path_factory.mktemp("home"))
    assert SECRET in "".join(p.read_text() for p in folder.rglob("*.jsonl"))
    trace = read.read(folder)
    assert (trace.frame.height, trace.malformed.count) == (3, 6)
    view = trace_view(trace)
    found = [repr(trace), str(trace), view.text, json.dumps(view.data), trace.frame.write_ndjson(), trace.source]
    with pytest.raises(Mistakes) as caught:
        read.read(folder, strict=True)
    found += [str(caught.value), repr(caught.value), repr(caught.value.mistakes)]
    for name in ("t.parquet", "t.jsonl", "t.csv"):
        write(trace, tmp_path / name)
    found += [(tmp_path / name).read_text() for name in ("t.jsonl", "t.csv")]
    stored = pl.read_parquet(tmp_path / "t.parquet").write_ndjson() + str(
        pl.read_parquet_metadata(tmp_path / "t.parquet")
    )
    found += [stored, repr((tmp_path / "t.parquet").read_bytes())]
    for arguments in (
        [],
        ["--strict"],
        ["--json", "-"],
        ["--out", str(tmp_path / "u.csv")],
        ["--format", "claude-code"],
    ):
        code, *printed = said("show", "trace", str(folder), *arguments)
        assert code == (1 if "--strict" in arguments else 0)
        found += printed
    for text in found:
        assert SECRET not in text
    assert sum("malformed" in text for text in found) > 2  # the outputs above did say something


def test_a_log_that_cannot_be_read_is_named_by_the_folder_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / f"{SECRET}.jsonl").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError) as caught:
        claude_code.read(tmp_path)
    assert SECRET not in str(caught.value)
    assert caught.value.filename == str(tmp_path)


def test_the_logs_are_looked_for_where_the_agent_keeps_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    assert claude_code.own_logs() == tmp_path / "projects"
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert claude_code.own_logs() == tmp_path / "me" / ".claude" / "projects"


def test_nothing_in_the_room_of_traces_can_reach_a_network() -> None:
    import ampacity.demand.traces as room

    (folder,) = room.__path__
    for file in Path(folder).glob("*.py"):
        for word in ("socket", "http.client", "urllib", "requests.get", "httpx", "aiohttp"):
            assert f"import {word}" not in file.read_text()
            assert f"from {word}" not in file.read_text()
