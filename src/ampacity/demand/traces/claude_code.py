"""A person's own coding-agent logs (Claude Code's JSON lines), read on their machine for counts and times alone.

Nothing that anybody wrote leaves this file: no prompt, no answer, no name of a project, file, session or tool. Of each
line the kind, the instant and the usage are looked at; sessions and sub-agents become ordinals, logs become numbers,
and a model keeps its name only if it is written as one of Anthropic's. Faults are told without what was found.

One answer may be written as several lines, as it streams, and again into the log of a session that was resumed: its
message id says that it is the same request, and of its counts the largest is the last word.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from ampacity.demand.traces.rows import content
from ampacity.demand.traces.trace import (
    SHOWN_FAULTS,
    Malformed,
    Trace,
    arrivals_from_zero,
    canonical,
    gaps,
    ordinals,
    steps,
)
from ampacity.scenario.mistakes import Mistake

MODEL = re.compile(r"claude-[a-z0-9][a-z0-9.-]{0,60}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


@dataclass
class _Request:
    """One request while its lines come in: instants in ns of Unix time, counts in the order of `COUNTS`."""

    session: str
    agent: str
    model: str
    instant_ns: int
    last_ns: int
    counts: list[int]
    user_started: bool | None
    timed: bool


@dataclass
class _Log:
    """What was found so far, over all files."""

    requests: dict[str, _Request] = field(default_factory=dict)
    aside: Counter[str] = field(default_factory=Counter)
    faults: list[Mistake] = field(default_factory=list)
    malformed: int = 0
    lines: int = 0


class _Unfit(Exception):
    """A line that should hold a request and does not; says only which key, and what belongs there."""

    def __init__(self, key: str, expected: str) -> None:
        self.key, self.expected = key, expected


def own_logs() -> Path:
    """Where Claude Code keeps the logs of whoever runs this."""
    home = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(home) if home else Path.home() / ".claude") / "projects"


def read(path: Path) -> Trace:
    """One log, or all `*.jsonl` below a folder, as a trace of one user. Raises OSError that names `path` alone."""
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    log = _Log()
    for number, file in enumerate(files, 1):
        try:
            data = content(file)
        except OSError as err:
            raise OSError(err.errno, err.strerror, str(path)) from None
        _read_log(data, f"log {number} of {len(files)}", str(number), log)
    frame, start_s = arrivals_from_zero(_frame(list(log.requests.values())))
    named = frame.with_columns(session=ordinals(frame["session"]), agent=_agents(frame))
    placed = canonical(named.with_columns(step=steps(), gap_s=gaps(), user=pl.lit(0, pl.Int64)))
    return Trace(
        placed,
        "claude-code",
        "logs of a coding agent" if path.is_dir() else "log of a coding agent",
        "none" if start_s is None else "unix",
        log.lines,
        start_s,
        Malformed(log.malformed, tuple(log.faults)),
        dict(log.aside),
        notes=("logs are counted in the order of their names",) if path.is_dir() else (),
    )


def _read_log(data: bytes, name: str, number: str, log: _Log) -> None:
    """Add the lines of one file; who asked last is remembered per session and agent."""
    asked: dict[tuple[str, str], tuple[int, bool]] = {}
    for line, text in enumerate(data.split(b"\n"), 1):
        if not text.strip():
            continue
        log.lines += 1
        try:
            reason = _read_line(text, number, asked, log)
            if reason:
                log.aside[reason] += 1
        except _Unfit as err:
            log.malformed += 1
            if len(log.faults) < SHOWN_FAULTS:
                log.faults.append(Mistake(name, line, err.key, "", err.expected))


def _read_line(text: bytes, number: str, asked: dict[tuple[str, str], tuple[int, bool]], log: _Log) -> str | None:
    """Take one line in; the reason if it is no request of its own. Raises _Unfit."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        raise _Unfit("line", "one JSON object a line") from None
    if not isinstance(row, dict):
        raise _Unfit("line", "one JSON object a line")
    session = row["sessionId"] if isinstance(row.get("sessionId"), str) else f"log {number}"
    agent = ""
    if row.get("isSidechain") is True:
        agent = row["agentId"] if isinstance(row.get("agentId"), str) else "sub-agent"
    message = row.get("message")
    if row.get("type") == "user" and isinstance(message, dict):
        asked[session, agent] = (_instant_ns(row), not _holds_tool_result(message))
        return "no request"
    if row.get("type") != "assistant":
        return "no request"
    if not isinstance(message, dict):
        raise _Unfit("message", "an object")
    if message.get("model") == "<synthetic>" or row.get("isApiErrorMessage") is True:
        return "written by the client itself"
    counts, at_ns = _counts(message), _instant_ns(row)
    known = _identity(row, message)
    former = log.requests.get(known) if known else None
    if former is not None:
        if former.session != session:
            return "repeats a request of another log"
        former.last_ns = max(former.last_ns, at_ns)
        former.counts = [max(a, b) for a, b in zip(former.counts, counts, strict=True)]
        return "continues a request"
    began_ns, by_user = asked.get((session, agent), (at_ns, None))
    timed = (session, agent) in asked and began_ns <= at_ns
    log.requests[known or f"line {log.lines}"] = _Request(
        session=session,
        agent=agent,
        model=_model(message.get("model")),
        instant_ns=began_ns if timed else at_ns,
        last_ns=at_ns,
        counts=counts,
        user_started=by_user if not agent else False,
        timed=timed,
    )
    return None


def _identity(row: dict[str, Any], message: dict[str, Any]) -> str | None:
    """What tells this request from others; gateways of other vendors leave the request id out."""
    for found in (message.get("id"), row.get("requestId")):
        if isinstance(found, str) and found:
            return f"id {found}"
    return None


def _counts(message: dict[str, Any]) -> list[int]:
    usage = message.get("usage")
    if not isinstance(usage, dict):
        raise _Unfit("message.usage", "an object with token counts")
    counts = []
    for key in COUNTS:
        # gateways that cache nothing leave the cache counts out
        value = usage.get(key, 0 if key.startswith("cache") else None)
        value = 0 if value is None and key.startswith("cache") else value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
            raise _Unfit(f"message.usage.{key}", "a whole number, 0 or more")
        counts.append(value)
    return counts


def _instant_ns(row: dict[str, Any]) -> int:
    stamp = row.get("timestamp")
    try:
        at = datetime.fromisoformat(stamp) if isinstance(stamp, str) else None
    except ValueError:
        at = None
    if at is None or not 1970 <= at.year < 2255:
        raise _Unfit("timestamp", "a date and time like 2026-05-06T09:30:00.000Z")
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def _holds_tool_result(message: dict[str, Any]) -> bool:
    return any(kind == "tool_result" for kind in _kinds(message.get("content")))


def _kinds(blocks: Any) -> Iterator[Any]:
    """The kinds of a message's blocks, never what they say."""
    if isinstance(blocks, list):
        yield from (block.get("type") for block in blocks if isinstance(block, dict))


def _model(name: Any) -> str:
    return name if isinstance(name, str) and MODEL.fullmatch(name) else "another model"


def _frame(requests: list[_Request]) -> pl.DataFrame:
    rows = [
        {
            "instant_ns": r.instant_ns,
            "session": r.session,
            "agent": r.agent,
            "model": r.model,
            "input_tokens": r.counts[0] + r.counts[1] + r.counts[2],
            "cached_tokens": r.counts[2],
            "output_tokens": r.counts[3],
            "server_s": (r.last_ns - r.instant_ns) / 1e9 if r.timed else None,
            "user_started": r.user_started,
        }
        for r in requests
    ]
    counts = dict.fromkeys(("instant_ns", "input_tokens", "cached_tokens", "output_tokens"), pl.Int64())
    names = dict.fromkeys(("session", "agent", "model"), pl.String())
    return pl.DataFrame(
        rows, schema={**counts, **names, "server_s": pl.Float64(), "user_started": pl.Boolean()}, orient="row"
    )


def _agents(frame: pl.DataFrame) -> pl.Series:
    """0 for the main agent, 1, 2, ... for the sub-agents of a session in order of appearance."""
    seen: dict[str, dict[str, int]] = {}
    return pl.Series(
        [
            0 if not agent else (own := seen.setdefault(session, {})).setdefault(agent, len(own) + 1)
            for session, agent in frame.select("session", "agent").iter_rows()
        ],
        dtype=pl.Int64,
    )
