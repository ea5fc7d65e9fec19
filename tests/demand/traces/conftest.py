"""One small, right file of every format, written as its source writes it: rows as long as those are."""

# ruff: noqa: E501

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ampacity.journal.append import Journal
from ampacity.journal.records import (
    ABORTED,
    ADMITTED,
    EXPIRED,
    NO_CAPACITY,
    QUEUED,
    REFUSED,
    RELEASED,
    SETTLED,
)

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
2023-11-16 18:17:03.0000000,110,27
"""
BURSTGPT = """Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
100.0,b-uuid,4,GPT-4,906,446,1352,Conversation log
101.0,a-uuid,2,ChatGPT,36,29,65,Conversation log
110.0,b-uuid,3,GPT-4,1400,10,1410,Conversation log
"""
MOONCAKE = [
    {"timestamp": 0, "input_length": 1200, "output_length": 6, "hash_ids": [0, 1, 2]},
    {"timestamp": 3000, "input_length": 1000, "output_length": 4, "hash_ids": [0, 1]},
    {"timestamp": 3000, "input_length": 600, "output_length": 1, "hash_ids": [0, 7]},
]
BAILIAN = [
    {"chat_id": 55, "parent_chat_id": -1, "timestamp": 1.5, "input_length": 40, "output_length": 9, "type": "text", "turn": 1, "hash_ids": [1, 2, 3]},
    {"chat_id": 9, "parent_chat_id": 3, "timestamp": 2.0, "input_length": 20, "output_length": 2, "type": "search", "turn": 4, "hash_ids": [8, 9]},
    {"chat_id": 159, "parent_chat_id": 55, "timestamp": 61.5, "input_length": 60, "output_length": 1, "type": "text", "turn": 2, "hash_ids": [1, 2, 4, 5]},
    {"chat_id": 160, "parent_chat_id": 159, "timestamp": 99.5, "input_length": 64, "output_length": 1, "type": "text", "turn": 3, "hash_ids": [1, 2, 4, 5]},
]  # fmt: skip
WEKA = {
    "id": "trace_0001", "models": ["m"], "block_size": 64, "hash_id_scope": "local", "tool_tokens": 9, "system_tokens": 9,
    "requests": [
        {"t": 0.0, "type": "n", "model": "m", "in": 200, "out": 5, "hash_ids": [1, 2, 3], "input_types": ["text"], "api_time": 2.0, "think_time": 0.0},
        {"t": 5.0, "type": "subagent", "agent_id": "agent_001", "requests": [
            {"t": 0.0, "type": "n", "model": "h", "in": 70, "out": 1, "hash_ids": [1], "input_types": ["text"], "api_time": 1.0, "think_time": 0.0},
            {"t": 3.0, "type": "n", "model": "h", "in": 130, "out": 2, "hash_ids": [1, 9], "input_types": ["tool_result"], "api_time": 1.0, "think_time": 2.0},
        ]},
        {"t": 20.0, "type": "s", "model": "m", "in": 300, "out": 7, "hash_ids": [1, 2, 3, 4], "input_types": ["tool_result"], "api_time": 3.0, "think_time": 11.0},
    ],
}  # fmt: skip
TRACELAB = [
    {"provider": "claude", "user": "u1", "session_id": "claude:x", "round_index": 0, "model": "claude-opus-4-8",
     "input_tokens_total": 32272, "prefix_tokens": 27217, "newly_append_tokens": 5055, "output_tokens": 931, "current_user_message_count": 1,
     "timing_events": [{"event_type": "user_message", "timestamp": "2026-06-01T05:40:20.000Z"}, {"event_type": "text", "timestamp": "2026-06-01T05:40:29.500Z"}], "tools": []},
    {"provider": "claude", "user": "u1", "session_id": "claude:x", "round_index": 1, "model": "claude-opus-4-8",
     "input_tokens_total": 35740, "prefix_tokens": 29380, "newly_append_tokens": 6360, "output_tokens": 1016, "current_user_message_count": 0,
     "timing_events": [{"event_type": "tool_result", "timestamp": "2026-06-01T05:40:31.500Z"}, {"event_type": "tool_call", "timestamp": "2026-06-01T05:40:41.500Z"}], "tools": []},
]  # fmt: skip
REPLAY = """session_id,arrival_time,round_idx,prefix_len,input_len,output_len,tool_wait_after_ms
s1,1000.0,0,0,500,40,250.0
s1,1000.0,1,540,60,10,0
s2,4000.0,0,100,20,5,0
"""
LITELLM = [
    {"request_id": "r1", "call_type": "acompletion", "api_key": "hash", "startTime": "2026-05-06T09:00:00.000Z", "endTime": "2026-05-06T09:00:04.000Z",
     "prompt_tokens": 1000, "completion_tokens": 50, "model": "claude-sonnet", "user": "ada@example.org", "session_id": "S", "cache_hit": "False", "status": "success",
     "metadata": {"usage_object": {"prompt_tokens_details": {"cached_tokens": 900}}}, "messages": {}},
    {"request_id": "r2", "call_type": "acompletion", "api_key": "hash", "startTime": "2026-05-06T09:00:10.000Z", "endTime": "2026-05-06T09:00:12.000Z",
     "prompt_tokens": 1100, "completion_tokens": 5, "model": "claude-sonnet", "user": "ada@example.org", "session_id": "S", "cache_hit": "False", "status": "success",
     "metadata": {"additional_usage_values": {"cache_read_input_tokens": 1000}}},
    {"request_id": "r3", "call_type": "aembedding", "startTime": "2026-05-06T09:00:10Z", "endTime": "2026-05-06T09:00:10Z", "prompt_tokens": 7, "completion_tokens": 0},
    {"request_id": "r4", "call_type": "acompletion", "startTime": "2026-05-06T09:00:11Z", "endTime": "2026-05-06T09:00:11Z", "prompt_tokens": 7, "completion_tokens": 3, "cache_hit": "True"},
    {"request_id": "r5", "call_type": "acompletion", "startTime": "2026-05-06T09:00:12Z", "endTime": "2026-05-06T09:00:12Z", "prompt_tokens": 0, "completion_tokens": 0, "status": "failure"},
]  # fmt: skip
VLLM = [
    {"request_id": "bench-0", "input_toks": 2358, "output_toks": 531, "arrival_time": 1787267980.25, "queued_ts": 27536.5, "scheduled_ts": 27536.5, "first_token_ts": 27537.0, "last_token_ts": 27554.0},
    {"request_id": "bench-1", "input_toks": 1034, "output_toks": 769, "arrival_time": 1787267980.75, "queued_ts": 27537.0, "scheduled_ts": 27537.0, "first_token_ts": 27537.5, "last_token_ts": 27562.0},
]  # fmt: skip
SGLANG = [
    {"timestamp": "2026-01-02T03:04:05.000000", "event": "request.received", "rid": "a", "obj": {"text": "hello"}},
    {"timestamp": "2026-01-02T03:04:09.000000", "event": "request.finished", "rid": "a", "obj": {"text": "hello"},
     "out": {"text": "bye", "meta_info": {"id": "a", "prompt_tokens": 12, "completion_tokens": 3, "cached_tokens": 8, "e2e_latency": 4.0}}},
    {"timestamp": "2026-01-02T03:04:10.000000", "event": "request.finished", "rid": "b", "obj": {},
     "out": {"meta_info": {"id": "b", "prompt_tokens": 20, "completion_tokens": 1, "cached_tokens": 0, "e2e_latency": 2.0}}},
]  # fmt: skip
PARAMS = "SamplingParams(n=1, temperature=0.7, seed=None, stop=['\\n'], max_tokens=512, guided_decoding=None)"
VLLM_TEXT = f"""INFO 12-31 23:59:50 [api_server.py:1839] vLLM API server version 0.10.1
(APIServer pid=1) INFO 12-31 23:59:58 [logger.py:43] Received request chatcmpl-a: prompt: 'say it, please', params: {PARAMS}, prompt_token_ids: [9906, 11, 1917], prompt_embeds shape: None, lora_request: None.
(APIServer pid=1) INFO 12-31 23:59:58 [async_llm.py:270] Added request chatcmpl-a.
INFO 01-01 00:00:01 [loggers.py:123] Engine 000: Avg prompt throughput: 0.3 tokens/s, Running: 1 reqs
(APIServer pid=1) INFO 01-01 00:00:03 [logger.py:71] Generated response chatcmpl-a: output: 'no', output_token_ids: [8, 13], finish_reason: stop
(APIServer pid=1) INFO:     127.0.0.1:34612 - "POST /v1/chat/completions HTTP/1.1" 200 OK
(APIServer pid=1) DEBUG 01-01 00:00:04 [entrypoints/logger.py:37] Request cmpl-b-0 details: prompt: 'output_token_ids: [1]', prompt_token_ids: [1, 2], prompt_embeds shape: None.
(APIServer pid=1) INFO 01-01 00:00:04 [entrypoints/logger.py:47] Received request cmpl-b-0: params: {PARAMS}, lora_request: None.
(APIServer pid=1) INFO 01-01 00:00:05 [entrypoints/logger.py:92] Generated response cmpl-b (streaming delta): output: 'x', output_token_ids: [4, 5], finish_reason: None
(APIServer pid=1) INFO 01-01 00:00:09 [entrypoints/logger.py:92] Generated response cmpl-b (streaming delta): output: 'y', output_token_ids: [6], finish_reason: length
(APIServer pid=1) INFO 01-01 00:00:09 [entrypoints/logger.py:92] Generated response cmpl-b (streaming complete): output: 'xy', output_token_ids: None, finish_reason: streaming_complete
"""
SGLANG_TEXT = """[2026-01-02 03:04:00] server_args=ServerArgs(model_path='m', log_requests=True, log_requests_level=2)
[2026-01-02 03:04:05] Receive: obj=GenerateReqInput(text="'prompt_tokens': 7}", sampling_params={}, rid='a')
[2026-01-02 03:04:06 TP0] Prefill batch, #new-seq: 1, #new-token: 4, #cached-token: 8
[2026-01-02 03:04:09] Finish: obj=GenerateReqInput(text="'prompt_tokens': 7}", sampling_params={}, rid='a'), out={'text': "{'completion_tokens': 9}", 'meta_info': {'id': 'a', 'finish_reason': {'type': 'stop', 'matched': 2}, 'prompt_tokens': 12, 'completion_tokens': 3, 'cached_tokens': 8, 'e2e_latency': 4.0}}
[2026-01-02 03:04:10] Finish: obj=GenerateReqInput(rid='b'), out={'meta_info': {'id': 'b', 'finish_reason': {'type': 'length', 'length': 1}, 'prompt_tokens': 20, 'completion_tokens': 1, 'cached_tokens': 0, 'e2e_latency': 2.5}}
[2026-01-02 03:04:11] Finish: obj=GenerateReqInput(rid='HEALTH_CHECK_1'), out={'meta_info': {'id': 'HEALTH_CHECK_1', 'prompt_tokens': 1, 'completion_tokens': 1, 'e2e_latency': 0.1}}
[2026-01-02 03:04:12] INFO:     10.42.0.190:54466 - "POST /generate HTTP/1.1" 200 OK
"""
REQUESTS = """session,agent,turn,t,model,type,in_tokens,out_tokens,cached_session,cached_prev,api_s,think_s,stop,input_types,output_types,tool_tokens,system_tokens
1,0,0,0.0,claude-opus-4-5-20251101,n,71175,169,0,0,7.34,0.0,tool_use,text,text,12974,4243
1,0,1,19.0,claude-opus-4-5-20251101,n,72762,296,71168,71168,9.19,12.0,tool_use,tool_result,text,12974,4243
1,1,0,0.0,claude-haiku-4-5-20251001,n,12000,90,0,0,,,,text,text,12974,4243
"""
CLAUDE_CODE = [
    {"type": "summary", "summary": "secret", "leafUuid": "x"},
    {"type": "user", "sessionId": "S1", "isSidechain": False, "timestamp": "2026-05-06T10:00:00.000Z", "message": {"role": "user", "content": "do it"}},
    {"type": "assistant", "sessionId": "S1", "isSidechain": False, "timestamp": "2026-05-06T10:00:03.000Z", "requestId": "q1",
     "message": {"id": "m1", "model": "claude-opus-4-5-20251101", "content": [{"type": "text", "text": "ok"}], "usage": {"input_tokens": 10, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 3000, "output_tokens": 1}}},
    {"type": "assistant", "sessionId": "S1", "isSidechain": False, "timestamp": "2026-05-06T10:00:05.000Z", "requestId": "q1",
     "message": {"id": "m1", "model": "claude-opus-4-5-20251101", "content": [{"type": "tool_use"}], "usage": {"input_tokens": 10, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 3000, "output_tokens": 90}}},
    {"type": "user", "sessionId": "S1", "isSidechain": False, "timestamp": "2026-05-06T10:00:09.000Z", "message": {"role": "user", "content": [{"type": "tool_result", "content": "files"}]}},
    {"type": "assistant", "sessionId": "S1", "isSidechain": False, "timestamp": "2026-05-06T10:00:11.000Z", "requestId": "q2",
     "message": {"id": "m2", "model": "claude-opus-4-5-20251101", "content": [], "usage": {"input_tokens": 5, "cache_creation_input_tokens": 95, "cache_read_input_tokens": 3200, "output_tokens": 40}}},
]  # fmt: skip


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


FILES: dict[str, tuple[str, str]] = {
    "azure": ("azure.csv", AZURE),
    "burstgpt": ("burst.csv", BURSTGPT),
    "mooncake": ("mooncake.jsonl", lines(MOONCAKE)),
    "bailian": ("bailian.jsonl", lines(BAILIAN)),
    "weka": ("weka.json", json.dumps(WEKA)),
    "tracelab": ("tracelab.jsonl", lines(TRACELAB)),
    "tracelab-replay": ("replay.csv", REPLAY),
    "litellm": ("spend.jsonl", lines(LITELLM)),
    "vllm": ("requests.jsonl", lines(VLLM)),
    "sglang": ("sglang.log", lines(SGLANG)),
    "vllm-text": ("server.log", VLLM_TEXT),
    "sglang-text": ("server.log", SGLANG_TEXT),
    "claude-requests": ("requests.csv", REQUESTS),
    "claude-code": ("session.jsonl", lines(CLAUDE_CODE)),
    "journal": ("kept.journal", ""),
}


def write_journal(path: Path) -> None:
    """A journal of two sessions: five requests answered, one of them cut short, and one of each other fate."""
    path.unlink(missing_ok=True)
    t = 1_795_000_000_000
    with Journal(path) as journal:
        journal.configure('{"pro": 1}', t)
        kind = journal.kind("pro", "pro-limit", "", "opus", "code")

        def asked(at: int, outcome: int = ADMITTED, session: int = -7) -> int:
            return journal.arrived(t + at, kind, 41, 90_000, 32_000, 3, t + at + 900_000, outcome, 0, 0, session)

        first, other = asked(0), asked(1000, session=99)
        journal.ended(first, t + 9000, SETTLED, 100, 900, 60_000, 250, 400)
        second = asked(12_000)
        journal.commit()
        journal.ended(other, t + 12_500, SETTLED, 5, 0, 0, 1)
        asked(13_000, REFUSED)
        asked(13_500, NO_CAPACITY)
        journal.ended(asked(14_000), t + 14_001, RELEASED)
        journal.ended(asked(14_500), t + 95_000, EXPIRED)
        asked(15_000, QUEUED)
        journal.ended(second, t + 20_000, ABORTED, 10, 0, 61_000, 40, 300)
        alone = asked(16_000, session=0)
        journal.ended(alone, t + 15_000, SETTLED, 1, 2, 3, 4)  # the clock stepped back
        late = asked(30_000)
        journal.ended(late, t + 31_000, EXPIRED)
        journal.ended(late, t + 33_000, SETTLED, 7, 0, 61_010, 9)


@pytest.fixture
def sample(tmp_path: Path) -> Callable[..., Path]:
    """`sample("azure")` is a right file of that format; `sample("azure", text)` the same name with other text."""

    def make(name: str, text: str | None = None) -> Path:
        file, right = FILES[name]
        path = tmp_path / file
        if name == "journal" and text is None:
            write_journal(path)
            return path
        path.write_text(right if text is None else text, encoding="utf-8")
        return path

    return make


@pytest.fixture
def column() -> Callable[[Any, str], list[Any]]:
    """`column(trace, "t_s")`: one column as a list."""

    def of(trace: Any, name: str) -> list[Any]:
        frame: pl.DataFrame = trace.frame
        return frame[name].to_list()

    return of
