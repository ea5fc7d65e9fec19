"""What a cell admits at once: its batch and as much again, of each tier by its part of the work."""

from __future__ import annotations

import pytest

from ampacity.policy.line import ROOM_MOST
from ampacity.scenario.load import load
from ampacity.scenario.scenario import Scenario
from ampacity.simulator.shedding import QUEUE_S, ROOM_TIMES, quanta, room_of, shedding
from ampacity.supply.capacity import PoolCapacity, capacities
from ampacity.supply.delivery import hours_of
from ampacity.supply.serving_point import serving_point


def pool(s: Scenario) -> PoolCapacity:
    return next(p for p in capacities(s, hours_of(s)) if p.replica is not None)


def test_a_tier_alone_has_room_for_its_batch_so_many_times() -> None:
    s = load("laptop")
    for tier in s.tiers:
        point = serving_point(s, tier.behaviour, pool(s))
        assert point is not None
        assert room_of(s, [tier], pool(s)) == pytest.approx(ROOM_TIMES * point.batch)


def test_tiers_together_have_room_between_those_that_each_would_have_nearer_to_that_of_most_work() -> None:
    s = load("laptop")
    agents, both, calls = (room_of(s, tiers, pool(s)) for tiers in ([s.tiers[0]], s.tiers, [s.tiers[1]]))
    assert agents < both < (agents + calls) / 2
    more_calls = s.replace({"tiers.tools.people": 50 * s.tier("tools").people.value})
    assert room_of(more_calls, more_calls.tiers, pool(s)) > both


def test_nothing_is_bounded_where_nobody_s_context_fits() -> None:
    s = load("laptop", sets=["placements.code.kv_blocks=100"])
    assert room_of(s, s.tiers[:1], pool(s)) == 0
    assert shedding([0.0], [4]).room is None


def test_replicas_of_two_pools_have_the_mean_room_of_those_that_serve() -> None:
    routing = shedding([10.0, 40.0, 0.0], [2, 1, 5])
    assert (routing.room, routing.queue, routing.queue_most, routing.queue_s) == (20, "fair", 120, QUEUE_S)
    assert shedding([1000.0], [1000]).queue_most == ROOM_MOST


def test_subscribers_share_by_heads_and_api_tiers_come_first() -> None:
    developers, tools = quanta(load("laptop").tiers)
    assert tools > 100 * developers > 0
