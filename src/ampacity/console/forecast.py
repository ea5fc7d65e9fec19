"""A forecast that lies in the state folder, beside what was measured since the data process began."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

NAME = "forecast.json"
REFUSED = ("refused", "refused_organization", "no_capacity")
QUANTILE = 0.99


class Forecast(msgspec.Struct):
    """What was forecast. hit: subscribers who will be refused at least once, by name."""

    refused_share: float
    ttft_p99_ms: float
    hit: list[str]


def forecast_in(folder: Path) -> dict[str, Any] | None:
    """The forecast in a folder; None if there is none, or none that can be read."""
    try:
        found = msgspec.json.decode((folder / NAME).read_bytes(), type=Forecast)
    except (OSError, msgspec.MsgspecError):
        return None
    return msgspec.structs.asdict(found)


def measured(status: dict[str, Any], use: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The same figures as they came about: None where nothing was asked yet. use: a row each subscriber."""
    kinds = status["metrics"]["kinds"]
    refused = sum(kind["outcomes"][name] for kind in kinds for name in REFUSED)
    decided = refused + sum(kind["outcomes"]["admitted"] for kind in kinds)
    first_ms = [sum(column) for column in zip(*(kind["ttft_ms"] for kind in kinds), strict=True)]
    return {
        "refused_share": refused / decided if decided else None,
        "ttft_p99_ms": quantile(first_ms, QUANTILE),
        "hit": sorted({row["subscriber"] for row in use if row["refused"]}),
    }


def quantile(counts: Sequence[int], q: float) -> float | None:
    """A quantile of counts in buckets that double, read evenly within a bucket, as Prometheus reads it."""
    rank, below = q * sum(counts), 0
    for i, count in enumerate(counts):
        if count and below + count >= rank:
            low = 2.0 ** (i - 1) if i else 0.0
            return low if i == len(counts) - 1 else low + (2.0**i - low) * (rank - below) / count
        below += count
    return None
