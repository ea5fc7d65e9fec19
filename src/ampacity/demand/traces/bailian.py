"""Qwen-Bailian traces: chats with turns, lengths and ids of prefix blocks of 16 tokens, one JSON object a line.

A chat names the chat before it; the first of the chain is the session.
Source: github.com/alibaba-edu/qwen-bailian-usagetraces-anon (Apache-2.0); Wang et al., USENIX ATC 2025.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ampacity.demand.traces.rows import Field, content, json_rows, take
from ampacity.demand.traces.trace import Trace, arrivals_from_zero, canonical, ordinals, steps

BLOCK_TOKENS = 16
SCHEMA: dict[str, pl.DataType] = {
    "chat_id": pl.Int64(),
    "parent_chat_id": pl.Int64(),
    "timestamp": pl.Float64(),
    "input_length": pl.Int64(),
    "output_length": pl.Int64(),
    "type": pl.String(),
    "hash_ids": pl.List(pl.Int64()),
}
FIELDS = [
    Field("chat_id", "chat", "count"),
    Field("parent_chat_id", "parent", "number", always=False),
    Field("timestamp", "t_s", "number"),
    Field("input_length", "input_tokens", "count"),
    Field("output_length", "output_tokens", "count"),
    Field("type", "tier", "text", always=False),
    Field("hash_ids", "blocks", "as-is", always=False),
]


def read(path: Path) -> Trace:
    """A Bailian trace; `tier` is its request type, and every request of it was started by a person. Raises OSError."""
    rows = json_rows(content(path), str(path), SCHEMA)
    frame, malformed = take(rows, FIELDS, str(path))
    first = pl.Series(roots(frame["chat"].to_list(), frame["parent"].cast(pl.Int64).to_list()), dtype=pl.Int64)
    ordered, start_s = arrivals_from_zero(frame.with_columns(root=first))
    named = ordered.with_columns(
        session=ordinals(ordered["root"]), agent=pl.lit(0, pl.Int64), user_started=pl.lit(True)
    )
    placed = canonical(named.with_columns(step=steps()))
    return Trace(placed, "bailian", str(path), "trace", rows.read, start_s, malformed, block_tokens=BLOCK_TOKENS)


def roots(chats: list[int], parents: list[int | None]) -> list[int]:
    """The first chat of each chat's chain; a parent that the trace does not hold ends it, and so does a ring."""
    parent = dict(zip(chats, parents, strict=True))
    root: dict[int, int] = {}
    for chat in chats:
        way = [chat]
        while way[-1] not in root:
            above = parent.get(way[-1])
            if above is None or above not in parent or above in way[-1:] or len(way) > len(parent):
                root[way[-1]] = way[-1]
                break
            way.append(above)
        root.update(dict.fromkeys(way, root[way[-1]]))
    return [root[chat] for chat in chats]
