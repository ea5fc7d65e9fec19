"""What a simulation in the state folder forecast, beside what came about since the data process began, by tier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ampacity.forecast.simulated import Simulated

REFUSED = ("refused", "refused_organization", "no_capacity")


def beside(forecast: Simulated, status: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each tier of a forecast: share of attempts refused, median and 99th percentile of first tokens, and both.

    Measured is what came since the data process began; None where nothing was asked yet.
    """
    rows = []
    for t in forecast.tiers():
        told = {"refused_share": t.refused_share, "ttft_p50_ms": t.ttft_p50_ms, "ttft_p99_ms": t.ttft_p99_ms}
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
