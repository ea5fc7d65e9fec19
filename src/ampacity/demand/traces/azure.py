"""Azure LLM inference traces, 2023 to 2025: arrivals and lengths of single requests, `TIMESTAMP,ContextTokens,...`.

Source: github.com/Azure/AzurePublicDataset (CC BY 4.0); Patel et al., "Splitwise", ISCA 2024.
"""

from __future__ import annotations

from pathlib import Path

from ampacity.demand.traces.rows import Field, content, csv_rows, take
from ampacity.demand.traces.trace import Trace, arrivals_from_zero, canonical

FIELDS = [
    Field("TIMESTAMP", "instant_ns", "instant"),
    Field("ContextTokens", "input_tokens", "count"),
    Field("GeneratedTokens", "output_tokens", "count"),
]


def read(path: Path) -> Trace:
    """An Azure trace; nothing is known of users, sessions or caches. Raises OSError."""
    rows = csv_rows(content(path), str(path), [f.source for f in FIELDS])
    frame, malformed = take(rows, FIELDS, str(path))
    ordered, start_s = arrivals_from_zero(frame)
    return Trace(canonical(ordered), "azure", str(path), "unix", rows.read, start_s, malformed)
