"""M12: leasing to a competitor while keeping another site: what it earns against what, and what it covers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_what_a_lease_earns_names_what_it_is_set_against(answer: Callable[..., Any]) -> None:
    (lease,) = answer("plan", "lessor", "--set", "worlds=1")["lessor"]
    idle, own, market = (lease["earns_usd"][name] for name in sorted(lease["earns_usd"]))
    assert idle > own > market > 0 and lease["kept_accelerators"] > 0 and lease["covers"]["memphis-2"] > 0
