"""M2: all of the capacity, within the month, earmarked for subscribers, at a price as known on a date."""

from __future__ import annotations

from typing import Any


def test_the_lease_ramps_within_the_month_and_its_tokens_land_on_subscribers_first(announced: Any) -> None:
    lease = announced["contracts"]["colossus-1"]
    ramp = [(step["from"][:10], step["accelerators"]) for step in lease["quantity"]]
    earmark = lease["earmark"]
    assert (ramp[-1], lease["exclusive"], earmark["share_of_its_tokens"] > earmark["share_without_earmark"]) == (
        ("2026-06-01", 220_000),
        True,
        True,
    )
