"""The log that an SGLang server writes as text with --log-requests, read for counts and times only.

A request is the line in which it finishes; its counts are the last of their names in that line, behind all texts
(python/sglang/srt/utils/request_logger.py and, before, managers/tokenizer_manager.py at github.com/sgl-project/sglang;
a whole line of 0.5.10 stands in its issue 25887):

    [2026-05-20 08:02:44] Finish: obj=GenerateReqInput(...), out={'text': ..., 'meta_info': {'prompt_tokens': 9, ...}}

All four --log-requests-level have them; only levels 2 and 3 write texts. With --log-requests-target the line stands
without a time, but recent versions name `request_received_ts`. The same log as JSON is `server_log.py`'s.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import polars as pl

from ampacity.demand.traces.rows import LATEST_S, MOST, Misfit, content
from ampacity.demand.traces.trace import SHOWN_FAULTS, Malformed, Trace, arrivals_from_zero, canonical
from ampacity.scenario.mistakes import Mistake

HEAD_BYTES = 256
_TIME = rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?"
_EVENT = re.compile(rb"(?:^|[\s\]])(Receive|Finish)(?: OpenAI)?: obj=")
_STAMP = re.compile(rb"(?:^|\s|\[)(" + _TIME + rb")")
_SERVER = re.compile(rb"^.{0,80}?\[" + _TIME + rb"[^\]\n]{0,60}\] (?:server_args=|Prefill batch|Decode batch|INFO: )")
_NUMBER = re.compile(rb"'\w+': (\d+(?:\.\d+)?(?:e-?\d+)?)[,}]")
OTHER, EVENT, HEALTH, NO_ANSWER = "another line of the log", "another event", "health check", "no generation"
HOW = (
    "the log has no finished request; SGLang writes them if it is started with --log-requests "
    "(--log-requests-level 0 keeps texts out of it)"
)


@dataclass(frozen=True)
class Finished:
    """One finished request: where and when it is told, its tokens, and if told when it was received."""

    line: int
    told_s: float | None
    prompt: int
    answer: int
    cached: int | None
    took_s: float | None
    received_s: float | None


def is_sglang(head: bytes) -> bool:
    """Whether the beginning of a file has a line as SGLang's server writes it."""
    return any(_EVENT.search(line, 0, HEAD_BYTES) or _SERVER.match(line) for line in head.split(b"\n"))


def read(path: Path) -> Trace:
    """The finished requests of a server's log, which arrived their latency before. Raises OSError, Mistakes."""
    finished: list[Finished] = []
    aside: Counter[str] = Counter()
    faults: list[Mistake] = []
    wrong, lines = 0, 0
    for number, line in enumerate(content(path).split(b"\n"), 1):
        if not line or line.isspace():
            continue
        lines += 1
        event = _EVENT.search(line, 0, HEAD_BYTES)
        reason = OTHER if event is None else _no_request(line, event)
        if event is None or reason is not None:
            aside[reason or OTHER] += 1
            continue
        try:
            finished.append(_finished(line, event, number))
        except Misfit as misfit:
            wrong += 1
            faults += [misfit.at(str(path), number, private=True)] if len(faults) < SHOWN_FAULTS else []
    by_server = bool(finished) and all(f.received_s is not None for f in finished)
    timed = [f for f in finished if by_server or f.told_s is not None]
    for f in finished:
        if not by_server and f.told_s is None:
            wrong += 1
            faults += [Misfit("time", None, "a time before the line").at(str(path), f.line, private=True)]
    frame, start_s = arrivals_from_zero(_frame(timed, by_server))
    notes = () if by_server else ("the log's clock shows whole seconds and names no time zone",)
    return Trace(
        canonical(frame),
        "sglang-text",
        str(path),
        "unix" if by_server else "trace",
        lines,
        start_s,
        Malformed(wrong, tuple(sorted(faults)[:SHOWN_FAULTS])),
        dict(aside),
        notes=notes if finished or wrong else (HOW,),
    )


def _no_request(line: bytes, event: re.Match[bytes]) -> str | None:
    """Why an event is no finished request; None if it is one."""
    if event[1] == b"Receive":
        return EVENT
    if line.startswith(b"EmbeddingReqInput", event.end()):
        return NO_ANSWER
    return HEALTH if b"'meta_info': {'id': 'HEALTH_CHECK" in line else None


def _finished(line: bytes, event: re.Match[bytes], number: int) -> Finished:
    """A finished request. Raises Misfit."""
    if not line.rstrip().endswith(b"}"):
        raise Misfit("Finish", line, "a line that ends in its meta_info: this one is cut off")
    stamp = _STAMP.search(line, 0, event.end())
    prompt, answer = _number(line, b"'prompt_tokens': "), _number(line, b"'completion_tokens': ")
    cached, received_s = _number(line, b"'cached_tokens': "), _number(line, b"'request_received_ts': ")
    counts = {"prompt_tokens": prompt, "completion_tokens": answer, "cached_tokens": cached or 0.0}
    for name, count in counts.items():
        if count is None or count != int(count) or count >= MOST:
            raise Misfit(name, count, "a whole number, 0 or more")
    return Finished(
        number,
        _instant_s(stamp[1]) if stamp else None,
        int(prompt or 0),
        int(answer or 0),
        None if cached is None else int(cached),
        _number(line, b"'e2e_latency': "),
        received_s if received_s is not None and 0 < received_s < LATEST_S else None,
    )


def _number(line: bytes, key: bytes) -> float | None:
    """The number of the last key of that name; what people wrote stands before it."""
    at = line.rfind(key)
    found = _NUMBER.match(line, at) if at >= 0 else None
    return float(found[1]) if found else None


@lru_cache(maxsize=1024)
def _instant_s(stamp: bytes) -> float:
    """A time as seconds of its own clock. Raises Misfit for a date that does not exist."""
    try:
        return datetime.fromisoformat(stamp.decode()).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Misfit("time", stamp, "a date and time") from None


def _frame(finished: list[Finished], by_server: bool) -> pl.DataFrame:
    arrived = [f.received_s if by_server else (f.told_s or 0.0) - (f.took_s or 0.0) for f in finished]
    columns = {
        "t_s": pl.Series(arrived, dtype=pl.Float64),
        "input_tokens": pl.Series([f.prompt for f in finished], dtype=pl.Int64),
        "cached_tokens": pl.Series([f.cached for f in finished], dtype=pl.Int64),
        "output_tokens": pl.Series([f.answer for f in finished], dtype=pl.Int64),
        "server_s": pl.Series([f.took_s for f in finished], dtype=pl.Float64),
    }
    return pl.DataFrame(columns)
