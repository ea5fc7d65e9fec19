"""What `ampacity simulate --json` forecast, if it lies in the state folder, beside what came about, by tier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

NAME = "simulated.json"
REFUSED = ("refused", "refused_organization", "no_capacity")


class _Record(msgspec.Struct):
    scenario_hash: str


class _Times(msgspec.Struct):
    """Of a tier, over its requests that were answered."""

    tier: str
    answered: int
    ttft_p50_s: float | None
    ttft_p99_s: float | None


class _Refused(msgspec.Struct):
    tier: str
    refused_attempts: int
    overloaded_attempts: int


class _Refusals(msgspec.Struct):
    tier: list[_Refused]


class Simulated(msgspec.Struct):
    """Of the JSON of a simulation what is compared."""

    record: _Record
    slo: list[_Times]
    refusals: _Refusals


def forecast_in(folder: Path) -> Simulated | None:
    """The forecast in a folder; None if there is none, or none that can be read."""
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=Simulated)
    except (OSError, msgspec.MsgspecError):
        return None


def beside(forecast: Simulated, status: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each tier of a forecast: share of attempts refused, median and 99th percentile of first tokens, and both.

    Measured is what came since the data process began; None where nothing was asked yet.
    """
    refused = {r.tier: r.refused_attempts + r.overloaded_attempts for r in forecast.refusals.tier}
    rows = []
    for t in forecast.slo:
        tried = t.answered + refused.get(t.tier, 0)
        told = {
            "refused_share": refused.get(t.tier, 0) / tried if tried else None,
            "ttft_p50_ms": None if t.ttft_p50_s is None else 1000 * t.ttft_p50_s,
            "ttft_p99_ms": None if t.ttft_p99_s is None else 1000 * t.ttft_p99_s,
        }
        rows.append({"tier": t.tier, "forecast": told, "measured": measured(status, t.tier)})
    return rows


def measured(status: dict[str, Any], tier: str) -> dict[str, Any]:
    """The same figures of a tier as they came about, and of how many requests."""
    kinds = [kind for kind in status["metrics"]["kinds"] if kind["tier"] == tier]
    refused = sum(kind["outcomes"][name] for kind in kinds for name in REFUSED)
    decided = refused + sum(kind["outcomes"]["admitted"] for kind in kinds)
    first_ms = [sum(column) for column in zip(*(kind["ttft_ms"] for kind in kinds), strict=True)]
    return {
        "requests": decided,
        "refused_share": refused / decided if decided else None,
        "ttft_p50_ms": quantile(first_ms, 0.5),
        "ttft_p99_ms": quantile(first_ms, 0.99),
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
