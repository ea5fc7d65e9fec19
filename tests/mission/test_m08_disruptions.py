"""M8: what shared causes of failure do to every tier's requests, before the lease and with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LEASE = "contracts.colossus-1"
LATER = (
    f"{LEASE}.start=2028-01-01",
    *(f"{LEASE}.deliveries.{i}.ramp=null" for i in range(3)),
    *(f"events.may-6-{tier}.date=2028-01-01" for tier in ("pro", "max-5x", "max-20x")),
)
"""As if the lease, and the limits that were raised with it, began after the weeks that are looked at."""


def test_refusals_of_every_tier_are_told_before_and_after_with_what_failed(fleet_looked_at: Callable[..., Any]) -> None:
    before, after = fleet_looked_at(*LATER), fleet_looked_at()
    for found in (before, after):
        assert {"pro", "max-5x", "max-20x", "api"} <= set(found["tiers"])
        for tier in found["tiers"].values():
            assert 0 <= tier["overloaded_share"]["value"] < 0.5
            assert 0 <= tier["refused_share"]["value"] <= 1
        shared = [d for d in found["disruptions"] if d["shared"]]
        assert len(shared) >= 4
        assert all(d["minutes_per_month"] > 0 for d in shared)
    # the lease brings pools of its own, which fail in their own ways
    assert set(after["pools"]) > set(before["pools"])
