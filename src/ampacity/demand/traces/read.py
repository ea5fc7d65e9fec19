"""Reading a trace whatever its format: told by what the file holds, or by whoever asks; strict on request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import polars as pl

from ampacity.demand.traces import (
    azure,
    bailian,
    burstgpt,
    claude_code,
    claude_requests,
    journal,
    litellm,
    mooncake,
    parquet,
    server_log,
    sglang_text,
    tracelab,
    vllm_text,
    weka,
)
from ampacity.demand.traces.trace import Trace
from ampacity.scenario.mistakes import Mistake, Mistakes

READERS: dict[str, Callable[[Path], Trace]] = {
    "ampacity": parquet.read,
    "azure": azure.read,
    "bailian": bailian.read,
    "burstgpt": burstgpt.read,
    "claude-code": claude_code.read,
    "claude-requests": claude_requests.read,
    "journal": journal.read,
    "litellm": litellm.read,
    "mooncake": mooncake.read,
    "sglang": server_log.read_sglang,
    "sglang-text": sglang_text.read,
    "tracelab": tracelab.read,
    "tracelab-replay": tracelab.read_replay,
    "vllm": server_log.read_vllm,
    "vllm-text": vllm_text.read,
    "weka": weka.read,
}
WINDOWS = "servegen"
FORMATS = (*sorted(READERS), WINDOWS)
# what tells a format: columns of a table, or keys of a JSON object; the first that fits
COLUMNS_OF: dict[str, set[str]] = {
    "azure": {"TIMESTAMP", "ContextTokens", "GeneratedTokens"},
    "burstgpt": {"Timestamp", "Request tokens", "Response tokens"},
    "tracelab-replay": {"round_idx", "prefix_len", "input_len", "output_len", "tool_wait_after_ms"},
    "litellm": {"startTime", "prompt_tokens", "completion_tokens"},
    "claude-requests": {"session", "agent", "in_tokens", "cached_session"},
    "servegen": {"client", "rate", "cv", "pattern"},
    "ampacity": {"input_tokens", "output_tokens"},
}
KEYS_OF: dict[str, set[str]] = {
    "bailian": {"chat_id", "parent_chat_id", "input_length"},
    "mooncake": {"input_length", "output_length"},
    "tracelab": {"prefix_tokens", "newly_append_tokens", "input_tokens_total"},
    "weka": {"block_size", "requests"},
    "vllm": {"input_toks", "output_toks", "arrival_time"},
    "sglang": {"timestamp", "event", "rid"},
    "litellm": {"startTime", "prompt_tokens", "completion_tokens"},
    "claude-code": {"sessionId", "type"},
}
SQLITE = b"SQLite format 3\x00"
SNIFFED_BYTES = 1 << 20
SHOWN_FAULTS = 5
_WINDOW = re.compile(r"^[\d.]+,[\d.eE+-]+,[^,]*,(Gamma|Weibull)?,")


def read(path: Path | str, format: str | None = None, strict: bool = False) -> Trace:
    """The requests of a trace. strict: any malformed row is an error that lists them.

    Raises OSError, and Mistakes for an unknown format, for an empty file or a table cut by semicolons, for ServeGen's
    windows (which hold no requests), and for malformed rows if strict.
    """
    source = Path(path)
    if format is not None and format not in FORMATS:
        near = get_close_matches(format, FORMATS, n=1)
        hint = f'the nearest is "{near[0]}"; ' if near else ""
        message = f"no format of that name; {hint}formats are {', '.join(FORMATS)}"
        raise Mistakes([Mistake(str(source), 0, "--format", format, message)])
    if format is not None and source.is_file():
        _head(source)
    name = format or detect(source)
    if name == WINDOWS:
        message = "windows of clients hold rates, no requests; `servegen.read_windows` reads them as windows"
        raise Mistakes([Mistake(str(source), 0, "servegen", "", message)])
    try:
        trace = READERS[name](source)
    except pl.exceptions.PolarsError as err:
        raise Mistakes([Mistake(str(source), 0, name, "", "not readable in this format")]) from err
    if strict and trace.malformed.count:
        raise trace.malformed.as_error(str(source) if name != "claude-code" else trace.source)
    return trace


def with_requests(trace: Trace) -> Trace:
    """The trace itself. Raises Mistakes with its first malformed rows if every row is malformed: of another format?"""
    if trace.malformed.count and not trace.frame.height and not trace.aside:
        message = f"not one is a request in the format {trace.format}; without --format the content tells it"
        none = Mistake(trace.source, 0, "rows", f"{trace.rows_read:,}", message)
        raise Mistakes([none, *trace.malformed.first[:SHOWN_FAULTS]])
    return trace


def _head(path: Path) -> bytes:
    """The first bytes of a file, unpacked. Raises OSError, and Mistakes if it is empty or a table cut by semicolons."""
    with path.open("rb") as file:
        head = file.read(SNIFFED_BYTES)
    if head.startswith(b"\x1f\x8b"):
        from ampacity.demand.traces.rows import content

        head = content(path)[:SNIFFED_BYTES]
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise Mistakes([Mistake(str(path), 0, "file", "", f"empty; expected a trace in one of {', '.join(FORMATS)}")])
    first = head.split(b"\n", 1)[0]
    table = not head.startswith((b"PAR1", b"{", b"[", SQLITE)) and _of_server(head) is None
    if table and b";" in first and b"," not in first:
        raise Mistakes([Mistake(str(path), 1, "separator", ";", "columns stand apart by commas; expected ','")])
    return head


def detect(path: Path) -> str:
    """The format of a file or folder, by what it holds. Raises OSError, and Mistakes that say what was found."""
    if path.is_dir():
        return _of_folder(path)
    head = _head(path)
    if head.startswith(b"PAR1"):
        try:
            columns = set(pl.read_parquet_schema(path))
        except pl.exceptions.PolarsError as err:
            raise Mistakes([Mistake(str(path), 0, "parquet", "", "the file is damaged or cut off")]) from err
        return _told(path, columns, COLUMNS_OF, "a Parquet file with columns")
    if head.startswith(SQLITE):
        if journal.is_journal(head):
            return "journal"
        raise Mistakes([Mistake(str(path), 0, "format", "an SQLite database", "no journal that `serve` has written")])
    if told := _of_server(head):
        return told
    text = head.decode("utf-8", "replace").lstrip("﻿")
    if text.lstrip()[:1] in ("{", "["):
        found = _keys(text)
        if not any(needed <= found for needed in KEYS_OF.values()):
            _refuse_broken(path, text, whole=len(head) < SNIFFED_BYTES)
        return _told(path, found, KEYS_OF, "JSON with keys")
    first = text.split("\n", 1)[0].strip()
    if _WINDOW.match(first):
        return WINDOWS
    tables = {name: needed for name, needed in COLUMNS_OF.items() if name != "ampacity"}  # ours is Parquet only
    return _told(path, {c.strip('"') for c in first.split(",")}, tables, "text whose first line names")


def _of_server(head: bytes) -> str | None:
    """Whose log in plain text it is, if any server's."""
    if head.startswith((b"{", b"PAR1", SQLITE)):
        return None
    if vllm_text.is_vllm(head):
        return "vllm-text"
    return "sglang-text" if sglang_text.is_sglang(head) else None


def _of_folder(path: Path) -> str:
    """The format of the first file below that is of any."""
    tried = 0
    for pattern in ("*.jsonl", "*.json", "*.csv"):
        for file in sorted(path.rglob(pattern))[:20]:
            tried += 1
            try:
                found = detect(file)
            except Mistakes:
                continue
            if found in ("claude-code", "weka", WINDOWS):
                return found
    message = "a folder is read if it holds Claude Code's logs, Weka sessions or ServeGen clients; else name one file"
    raise Mistakes([Mistake(str(path), 0, "format", f"{tried} files, none of these", message)])


def _keys(text: str) -> set[str]:
    """Keys of the objects at the head of a JSON text: one a line, one over all lines, or a list of them."""
    found: set[str] = set()
    for line in text.split("\n")[:200]:
        try:
            tree = json.loads(line)
        except (ValueError, RecursionError):
            continue
        rows = tree if isinstance(tree, list) else [tree]
        for row in rows[:20]:
            found |= _own_keys(row)
    # one object over many lines, or a line that is cut off here: the names before its colons
    return found or set(re.findall(r'"([A-Za-z_]{1,40})"\s*:', text[:20_000]))


def _refuse_broken(path: Path, text: str, *, whole: bool) -> None:
    """Raises Mistakes with the line where a JSON text breaks, unless it is one object a line, or one that goes on."""
    try:
        json.loads(text.split("\n", 1)[0])
        return
    except (ValueError, RecursionError):
        pass
    try:
        json.loads(text)
    except json.JSONDecodeError as err:
        if whole:
            message = f"not readable as JSON: {err.msg} (column {err.colno})"
            raise Mistakes([Mistake(str(path), err.lineno, "JSON", "", message)]) from err
    except (ValueError, RecursionError):
        return


def _own_keys(row: Any) -> set[str]:
    if not isinstance(row, dict):
        return set()
    inner = row.get("data")
    return set(row) | (set(inner[0]) if isinstance(inner, list) and inner and isinstance(inner[0], dict) else set())


def _told(path: Path, found: set[str], known: dict[str, set[str]], words: str) -> str:
    for name, needed in known.items():
        if needed <= found:
            return name
    listed = ", ".join(sorted(k for k in found if re.fullmatch(r"[\w .-]{1,40}", k))[:8]) or "nothing that is a name"
    message = f"no known trace; formats are {', '.join(FORMATS)}; `--format` forces one"
    raise Mistakes([Mistake(str(path), 0, "format", f"{words} {listed}", message)])
