"""Logs that vLLM and SGLang servers write as text: counted over all their lines and versions, never a text kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampacity.demand.traces import sglang_text, vllm_text
from ampacity.demand.traces.read import detect, read
from ampacity.demand.traces.trace import Trace
from ampacity.reporting.trace_view import trace_view
from ampacity.scenario.mistakes import Mistakes

Sample = Callable[..., Path]
Column = Callable[[Any, str], list[Any]]
SECRET = "attackatdawn"
OLD = "prompt: 'hi', params: SamplingParams(n=1, max_tokens=16), prompt_token_ids: [33560, 318], lora_request: None."
NEW = "params: SamplingParams(n=1, max_tokens=16), lora_request: None."


def vllm(path: Path, *lines: str) -> Trace:
    path.write_text("".join(f"{line}\n" for line in lines))
    return vllm_text.read(path)


def test_a_vllm_request_is_counted_over_its_lines_and_over_new_year(sample: Sample, column: Column) -> None:
    trace = vllm_text.read(sample("vllm-text"))
    assert column(trace, "t_s") == [0.0, 6.0]
    assert column(trace, "input_tokens") == [3, 2]
    assert column(trace, "output_tokens") == [2, 3]
    assert column(trace, "server_s") == [5.0, 5.0]
    assert dict(trace.aside) == {"another line of the log": 3, "a later line of a request": 6}
    assert (trace.rows_read, trace.malformed.count, trace.clock) == (11, 0, "trace")


@pytest.mark.parametrize(
    "received",
    [
        "INFO 02-20 21:36:30 async_llm_engine.py:433] Received request r: prompt: None, prefix_pos: None,"
        "sampling_params: SamplingParams(max_tokens=128), prompt_token_ids: [5195, 407], lora_request: None.",
        f"INFO 10-22 12:13:24 logger.py:36] Received request r: {OLD}",
        f"(APIServer pid=1) INFO 09-03 03:00:37 [logger.py:43] Received request r: {OLD}",
        f"2026-05-20T08:02:44.496Z\t(APIServer pid=66) INFO 05-20 08:02:44 [entrypoints/logger.py:92] "
        f"Received request r: {OLD}",
        f"INFO 05-06 08:02:44.125 [request_logger.py:63] Received request r: {OLD}",
    ],
    ids=["0.3", "0.6", "0.10", "in a container", "with milliseconds"],
)
def test_requests_are_read_as_each_version_of_vllm_writes_them(received: str, tmp_path: Path) -> None:
    stamp = received[: received.index("Received request")]
    answer = "Generated response r: output: 'x', output_token_ids: (4), finish_reason: stop".replace("(4)", "[4]")
    trace = vllm(
        tmp_path / "a.log", received, stamp + "Added request r.", stamp + answer, stamp + "Finished request r."
    )
    assert trace.frame.select("input_tokens", "output_tokens").rows() == [(2, 1)]
    assert detect(tmp_path / "a.log") == "vllm-text"


def test_what_vllm_does_not_count_is_set_aside_and_how_to_have_it_counted_is_told(tmp_path: Path) -> None:
    at = "INFO 09-03 03:00:3{} [logger.py:43] "
    trace = vllm(
        tmp_path / "a.log",
        at.format(0) + f"Received request a: {OLD}",
        at.format(1) + f"Received request b: {NEW}",
        at.format(2) + "Finished request a.",
        at.format(3) + "Generated response b: output: 'x', finish_reason: stop",
    )
    assert trace.frame.height == 0
    counts = {"prompt not counted": 1, "answer not counted": 1, "a later line of a request": 2}
    assert dict(trace.aside) == counts
    view = trace_view(trace)
    assert "--enable-log-requests --enable-log-outputs and VLLM_LOGGING_LEVEL=DEBUG" in view.text
    everything = [at.format(4) + f"Received request a: {OLD}", at.format(5) + "Generated response a: output: 'x', "]
    everything[1] += "output_token_ids: [4], finish_reason: stop"
    assert "--enable-log-outputs" not in trace_view(vllm(tmp_path / "a.log", *everything)).text


def test_lists_that_the_server_cuts_off_are_not_counts(tmp_path: Path) -> None:
    at = "INFO 09-03 03:00:37 [logger.py:43] "
    answered = "Generated response {}: output: 'x', output_token_ids: [4], finish_reason: stop"
    trace = vllm(
        tmp_path / "a.log",
        "INFO 09-03 03:00:30 [utils.py:233] non-default args: {'max_log_len': 2, 'enable_log_requests': True}",
        at + f"Received request cut: {OLD}",
        at + f"Received request whole: {OLD.replace(', 318', '')}",
        at + answered.format("cut"),
        at + answered.format("whole"),
    )
    assert trace.frame.select("input_tokens", "output_tokens").rows() == [(1, 1)]
    assert trace.aside["prompt not counted"] == 1


def test_prompts_of_one_completion_whose_answers_are_not_told_apart_are_set_aside(tmp_path: Path) -> None:
    at = "INFO 09-03 03:00:37 [logger.py:43] "
    trace = vllm(
        tmp_path / "a.log",
        at + f"Received request cmpl-x-0: {OLD}",
        at + f"Received request cmpl-x-1: {OLD}",
        at + "Generated response cmpl-x: output: 'x', output_token_ids: [4], finish_reason: stop",
        at + "Generated response cmpl-x: output: 'y', output_token_ids: [4, 5], finish_reason: stop",
    )
    assert dict(trace.aside) == {
        "a later line of a request": 2,
        "prompts sent together, answers not told apart": 2,
    }


def test_lines_that_are_cut_off_or_have_no_date_are_malformed_and_told_by_number(tmp_path: Path) -> None:
    at = "INFO 09-03 03:00:37 [logger.py:43] "
    trace = vllm(
        tmp_path / "a.log",
        "INFO 13-40 03:00:37 [logger.py:43] " + f"Received request a: {OLD}",
        at + f"Received request b: {OLD}"[:-9],
        "",
        at + f"Received request c: {OLD}",
        at + "Generated response c: output: 'x', output_token_ids: [4",
    )
    assert [(m.line, m.key) for m in trace.malformed.first] == [
        (1, "time"),
        (2, "Received request"),
        (5, "Generated response"),
    ]
    assert trace.rows_read == 4
    with pytest.raises(Mistakes, match="line 5  Generated response"):
        read(tmp_path / "a.log", strict=True)


def test_february_has_as_many_days_as_the_log_shows(tmp_path: Path) -> None:
    answered = "Generated response {}: output: 'x', output_token_ids: [4], finish_reason: stop"
    for days, between in (((28, 1), 86_400.0), ((29, 1), 86_400.0)):
        first, second = f"INFO 02-{days[0]} 12:00:00 [logger.py:43] ", "INFO 03-01 12:00:00 [logger.py:43] "
        lines = [first + f"Received request a: {OLD}", first + answered.format("a")]
        lines += [second + f"Received request b: {OLD}", second + answered.format("b")]
        assert vllm(tmp_path / "a.log", *lines).frame["t_s"].to_list() == [0.0, between]


def test_an_sglang_request_is_the_line_in_which_it_finishes(sample: Sample, column: Column) -> None:
    trace = sglang_text.read(sample("sglang-text"))
    assert column(trace, "t_s") == [0.0, 2.5]
    assert column(trace, "input_tokens") == [12, 20]
    assert column(trace, "cached_tokens") == [8, 0]
    assert column(trace, "output_tokens") == [3, 1]
    assert column(trace, "server_s") == [4.0, 2.5]
    assert dict(trace.aside) == {"another line of the log": 3, "another event": 1, "health check": 1}


def test_sglangs_own_instants_are_taken_where_every_request_has_them(tmp_path: Path) -> None:
    line = (
        "{}Finish: obj=GenerateReqInput(rid='b', stream=True), out={{'meta_info': {{'id': 'b', 'finish_reason': "
        "{{'type': 'abort', 'message': 'timeout'}}, 'prompt_tokens': 32472, 'reasoning_tokens': 23297, "
        "'completion_tokens': 23297, 'cached_tokens': 32320, 'cached_tokens_details': {{'device': 32320, 'host': 0}}, "
        "'e2e_latency': 1201.92, 'request_received_ts': {}, 'inference_time': 2.5}}}}\n"
    )
    path = tmp_path / "a.log"
    path.write_text(line.format("", 1779262962.5) + line.format("2026-05-20T08:02:44.565Z\t", 1779262964.0))
    trace = read(path)
    assert (trace.format, trace.clock, trace.start_s) == ("sglang-text", "unix", 1779262962.5)
    assert trace.frame.select("t_s", "input_tokens", "cached_tokens", "output_tokens").rows() == [
        (0.0, 32472, 32320, 23297),
        (1.5, 32472, 32320, 23297),
    ]
    path.write_text(line.format("", None) + line.format("2026-05-20T08:02:44.565Z\t", 1779262964.0))
    trace = read(path)
    assert (trace.clock, trace.frame.height) == ("trace", 1)
    assert [(m.line, m.key) for m in trace.malformed.first] == [(1, "time")]


def test_what_sglang_does_not_log_is_told_with_how_to_log_it(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(
        "[2026-01-02 03:04:06 TP0] Prefill batch, #new-seq: 1, #new-token: 4, #cached-token: 8\n"
        "[2026-01-02 03:04:09] Finish: obj=EmbeddingReqInput(rid='e'), out={'meta_info': {'prompt_tokens': 4}}\n"
    )
    trace = read(path)
    assert dict(trace.aside) == {"another line of the log": 1, "no generation": 1}
    assert "--log-requests-level 0" in trace_view(trace).text


def test_sglang_lines_that_are_cut_off_or_miss_a_count_are_malformed(sample: Sample) -> None:
    right = "[2026-01-02 03:04:09] Finish: obj=GenerateReqInput(), out={'meta_info': {'prompt_tokens': 1, "
    rows = [right + "'completion_tokens': 2}}", right, right + "'e2e_latency': 2.0}}"]
    rows.append(rows[0].replace("01-02", "13-02"))
    trace = sglang_text.read(sample("sglang-text", "\n".join(rows)))
    assert [(m.line, m.key) for m in trace.malformed.first] == [
        (2, "Finish"),
        (3, "completion_tokens"),
        (4, "time"),
    ]
    assert trace.frame.height == 1


@pytest.mark.parametrize("name", ["vllm-text", "sglang-text"])
def test_no_text_of_a_servers_log_survives_anywhere(
    name: str, sample: Sample, said: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    lines = sample(name).read_text()
    for text in (
        "say it, please",
        "'no'",
        "'xy'",
        "output: 'x'",
        "chatcmpl-a",
        "'prompt_tokens': 7}",
        "rid='b'",
        "\\n",
    ):
        lines = lines.replace(text, text[:-1] + SECRET + text[-1:])
    torn = [line[: line.index(SECRET) + 20] for line in lines.splitlines() if SECRET in line]
    torn += [f"{SECRET} | {line}" for line in torn]  # as a tool writes that gathers logs of several servers
    path = sample(name, "\n".join([lines, *torn, SECRET]))
    trace = read(path)
    assert trace.frame.height == 2
    assert trace.malformed.count > 0
    view = trace_view(trace)
    found = [repr(trace), view.text, json.dumps(view.data), trace.frame.write_ndjson()]
    with pytest.raises(Mistakes) as caught:
        read(path, strict=True)
    found += [str(caught.value), repr(caught.value.mistakes)]
    for arguments in ([], ["--strict"], ["--json", "-"], ["--out", str(tmp_path / "u.csv")]):
        found += said("show", "trace", str(path), *arguments)[1:]
    found.append((tmp_path / "u.csv").read_text())
    assert path.read_text().count(SECRET) > 6
    for text in found:
        assert SECRET not in text
    assert sum("alformed" in text for text in found) > 2
