"""Request logs of inference servers in JSON: vLLM's, as LLMServingSim records them, and SGLang's own.

Both are read for counts and times only; texts that SGLang logs at its higher levels are not looked at. What servers
write as text is read by `vllm_text.py` and `sglang_text.py`.
Sources of the keys: github.com/casys-kaist/LLMServingSim (MIT); github.com/sgl-project/sglang, request_logger.py.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ampacity.demand.traces.rows import Field, Rows, content, json_rows, take
from ampacity.demand.traces.trace import Trace, arrivals_from_zero, canonical

VLLM: dict[str, pl.DataType] = {
    "input_toks": pl.Int64(),
    "output_toks": pl.Int64(),
    "arrival_time": pl.Float64(),
    "queued_ts": pl.Float64(),
    "first_token_ts": pl.Float64(),
    "last_token_ts": pl.Float64(),
}
VLLM_FIELDS = [
    Field("input_toks", "input_tokens", "count"),
    Field("output_toks", "output_tokens", "count"),
    Field("arrival_time", "t_s", "number"),
    Field("queued_ts", "queued_s", "number", always=False),
    Field("first_token_ts", "first_s", "number", always=False),
    Field("last_token_ts", "last_s", "number", always=False),
]
_META = {
    "prompt_tokens": pl.Int64(),
    "completion_tokens": pl.Int64(),
    "cached_tokens": pl.Int64(),
    "e2e_latency": pl.Float64(),
}
SGLANG: dict[str, pl.DataType] = {
    "timestamp": pl.String(),
    "event": pl.String(),
    "out": pl.Struct({"meta_info": pl.Struct(_META)}),
}
SGLANG_FIELDS = [
    Field("timestamp", "finished_ns", "instant"),
    Field("prompt_tokens", "input_tokens", "count"),
    Field("completion_tokens", "output_tokens", "count"),
    Field("cached_tokens", "cached_tokens", "count", always=False),
    Field("e2e_latency", "server_s", "duration", always=False),
]


def read_vllm(path: Path) -> Trace:
    """A vLLM request log; its times run from the queue to the first and to the last token. Raises OSError."""
    rows = json_rows(content(path), str(path), VLLM, private=True)
    frame, malformed = take(rows, VLLM_FIELDS, str(path), private=True)
    first, took = (pl.col(name) - pl.col("queued_s") for name in ("first_s", "last_s"))
    timed = frame.with_columns(server_s=pl.when(took >= 0).then(took), ttft_s=pl.when(first >= 0).then(first))
    ordered, start_s = arrivals_from_zero(timed)
    return Trace(canonical(ordered), "vllm", str(path), "unix", rows.read, start_s, malformed)


def read_sglang(path: Path) -> Trace:
    """An SGLang request log: finished requests, which arrived their latency before. Raises OSError."""
    rows = json_rows(content(path), str(path), SGLANG, private=True)
    ended = rows.frame["event"].eq_missing("request.finished")
    finished = rows.frame.filter(ended).with_columns(pl.col("out").struct.field("meta_info").struct.unnest())
    frame, malformed = take(Rows(finished, rows.read, rows.malformed), SGLANG_FIELDS, str(path), private=True)
    latency_ns = (pl.col("server_s").fill_null(0.0) * 1e9).cast(pl.Int64)
    ordered, start_s = arrivals_from_zero(frame.with_columns(instant_ns=pl.col("finished_ns") - latency_ns))
    others = int((~ended).sum())
    return Trace(
        canonical(ordered),
        "sglang",
        str(path),
        "trace",
        rows.read,
        start_s,
        malformed,
        {"another event": others} if others else {},
        notes=("the log's clock names no time zone",),
    )
