"""A fleet of which every cell and hour can be looked at: two pools of small replicas with the people of `laptop`."""

from __future__ import annotations

from typing import Any

from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario
from ampacity.simulator.fleet import Fleet, Setting, fleet

LIMITS = {"developers": {"five-hour": 30e6, "weekly": 200e6}}
ROOMY = {"developers": {"five-hour": 1e12, "weekly": 1e12}}
TIGHT = {"developers": {"five-hour": 10e6, "weekly": 60e6}}


def two_pools(people: int, replicas: int, **changes: Any) -> Scenario:
    """H100 and H200, so many replicas of eight each."""
    deliveries = [{"site": "here", "accelerator": a, "quantity": 8 * replicas} for a in ("h100-sxm", "h200-sxm")]
    code = {"model": "llama-3.1-70b", "precision": "fp8", "accelerators_per_replica": 8, "usable": 1.0}
    return load("laptop").replace(
        {
            "sites.here.power": {"value": "50 MW", "basis": "server"},
            "contracts.server.deliveries": deliveries,
            "placements.code": code,
            "tiers.developers.people": people,
            **changes,
        }
    )


def small_fleet(people: int = 2400, replicas: int = 24, **setting: Any) -> Fleet:
    """In cells of two replicas with a hundred developers unless it is said otherwise; nothing fails."""
    return fleet(Setting(**{"s": two_pools(people, replicas), "found": LIMITS, "cell_replicas": 2, **setting}))
