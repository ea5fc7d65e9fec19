"""The catalog's causes: all there, dated, drawn within their ranges; and what they take in a month."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from fleets import ALL, DAY, OFTEN, cause, pool

from ampacity.scenario import lookup
from ampacity.scenario.load import load
from ampacity.simulator.disruption import (
    MONTH_MIN,
    counted_disruptions,
    expected_disruptions,
    expected_up,
    up_share,
)
from ampacity.simulator.failure_causes import OWN, Causes, stated_causes
from ampacity.simulator.failures import Outage, failures
from ampacity.simulator.fleet_layout import Layout, layout_of
from ampacity.simulator.timeline import timeline
from ampacity.supply.capacity import capacities
from ampacity.supply.delivery import hours_of

HOUR = 3600 * 10**12
ROWS = lookup.table("failure_causes")


@pytest.mark.parametrize("row", ROWS, ids=[f"{r['cause']} {r['quantity']}" for r in ROWS])
def test_every_claim_is_dated_sourced_and_inside_its_range(row: dict[str, str]) -> None:
    assert row["who"]
    assert row["source"]
    assert date.fromisoformat(row["known_since"]) <= date(2026, 11, 22)
    assert row["status"] in ("reported", "derived", "assumed", "measured")
    assert row["confidence"] in ("low", "medium")
    if row["low"]:
        assert float(row["low"]) <= float(row["value"]) <= float(row["high"])


def test_the_stated_causes_reach_from_the_service_down_to_racks() -> None:
    causes = stated_causes()
    assert {c.level for c in causes.shared} == {"service", "pool", "site", "feed", "rack"}
    assert {c.does for c in causes.shared} == {"down", "slow", "close", "misroute"}
    (rack,) = (c for c in causes.shared if c.name == "rack")
    assert rack.rate_per_s == pytest.approx(0.6 / 365.25 / 86400)
    assert rack.median_s == pytest.approx(2.4 * 3600)
    assert causes.lemons is not None and causes.lemons.share == 0.0133


def test_a_dated_view_has_only_the_causes_known_by_then() -> None:
    names = {c.name for c in stated_causes(as_of=date(2025, 9, 1)).shared}
    assert names == {"site", "feed", "rack", "release-errors", "release-slow", "authentication"}
    early = stated_causes(as_of=date(2020, 1, 1))
    assert {c.name for c in early.shared} == {"site", "feed", "rack"}
    assert early.lemons is None


def test_worlds_draw_every_range_and_half_lie_on_either_side() -> None:
    stated = {c.name: c.rate_per_s for c in stated_causes().shared}
    drawn = [{c.name: c.rate_per_s for c in stated_causes(3, world).shared} for world in range(1, 201)]
    for name, rate in stated.items():
        above = sum(d[name] > rate for d in drawn)
        assert abs(above - 100) < 4 * math.sqrt(50), name
        assert len({d[name] for d in drawn}) == 200
    assert stated_causes(3, 5) == stated_causes(3, 5)


@pytest.mark.parametrize("name", ["colossus-1", "orbital-gigawatt"])
def test_supply_and_its_layout_agree_on_replicas_and_on_how_often_they_are_up(name: str) -> None:
    s = load(name)
    supply = [p for p in capacities(s, hours_of(s)) if p.replica is not None]
    layout = layout_of(supply)
    own = expected_up(stated_causes(), layout).own
    for number, p in enumerate(supply):
        assert layout.pools[number].replicas == p.replicas.max()
        mine = own[layout.first[number] : layout.first[number + 1]]
        assert mine == pytest.approx(p.replica_availability, rel=1e-12)


def test_upsets_in_orbit_stop_replicas_as_often_as_supply_expects_and_racks_of_the_ground_do_not() -> None:
    sky = pool("sky", replicas=400, stop_rate_per_s=0.2 / 86400, restart_s=7200.0, orbital=True)
    layout = Layout((sky,))
    causes = Causes(tuple(c for c in OFTEN if c.level in ("site", "feed", "rack")))
    outages = failures(causes, layout, 1, 0, 25 * DAY)
    assert {o.cause.name for o in outages} == {"node", "upset"}
    up = up_share(timeline(outages, layout, 0, 25 * DAY), range(400), 0, 25 * DAY)
    expected = 1 / (1 + 0.1 / 4) / (1 + 0.2 / 12)
    assert expected_up(causes, layout).own == pytest.approx(expected)
    assert np.all(expected_up(causes, layout).shared == 1)
    assert abs(up.mean() - expected) < 3 * up.std(ddof=1) / 20


def test_minutes_by_cause_are_drawn_as_often_as_expected() -> None:
    layout = Layout((pool(replicas=16, accelerators=8), pool("b", "there", replicas=12, accelerators=24)))
    causes = Causes(OFTEN, accelerator_share=0.64)
    months = [
        counted_disruptions(failures(causes, layout, seed, 0, 25 * DAY), layout, 0, 25 * DAY) for seed in range(40)
    ]
    for d in expected_disruptions(causes, layout):
        rows = [next((m for m in month if m.cause == d.cause), None) for month in months]
        for column in ("active_min", "replica_min"):
            found = np.array([getattr(r, column) if r else 0.0 for r in rows])
            error = found.std(ddof=1) / math.sqrt(len(found))
            assert abs(found.mean() - getattr(d, column)) < 3.5 * error, (d.cause, column)
        assert d.shared == (d.cause not in OWN)


def test_a_door_that_is_shut_twice_at_once_is_shut_once() -> None:
    door = cause("authentication", "service", "close")
    both = [Outage(0, 2 * HOUR, door, "", 0, 1, -1, 1), Outage(HOUR, 3 * HOUR, door, "", 0, 2, -1, 2)]
    (row,) = counted_disruptions(both, Layout((pool(),)), 0, 10 * HOUR)
    assert row.active_min == pytest.approx(0.3 * MONTH_MIN)


def test_what_supply_expects_and_what_is_shared_are_told_apart() -> None:
    rows = expected_disruptions(ALL, Layout((pool(),)))
    assert [r.cause for r in rows if not r.shared] == ["accelerator", "node"]
    assert [r.cause for r in rows if r.shared] == [c.name for c in OFTEN]
    up = expected_up(ALL, Layout((pool(),)))
    assert np.all(up.serves < up.own)
    assert np.all(expected_up(Causes(), Layout((pool(),))).shared == 1)
