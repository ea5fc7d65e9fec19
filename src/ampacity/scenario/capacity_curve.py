"""A capacity curve: for every hour, how many tokens a tier may take from a pool. `plan` writes it, others obey it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CapacityCurve:
    """Hourly caps of one tier on one pool.

    start_s: first hour, seconds since 1970 UTC. uncached_input, cached_input, output: tokens per hour and kind, whole
    numbers, one entry an hour; the kinds stand in the tier's own proportion, so any one of them is a cap on the others.
    """

    tier: str
    pool: str
    start_s: int
    uncached_input: tuple[int, ...]
    cached_input: tuple[int, ...]
    output: tuple[int, ...]
