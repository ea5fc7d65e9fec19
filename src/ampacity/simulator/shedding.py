"""What a cell admits at once, and how long the others wait before they are refused, where nothing else is said.

A replica that takes whatever comes drops contexts from memory as soon as too many sessions work at once; it computes
them anew, by which each session takes longer, by which still more work at once. It then serves a small part of what it
could, and stays so until hardly anybody asks (`inference/at_rest.py`). So replicas take what they do well at full load
and half as much again, and beyond that only who has a context there; the others wait in a fair queue, and who would
wait too long is refused (529).
"""

from __future__ import annotations

from collections.abc import Sequence

from ampacity.policy.line import ROOM_MOST
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier
from ampacity.simulator.cell_terms import Routing
from ampacity.supply.capacity import PoolCapacity
from ampacity.supply.serving_point import serving_point

ROOM_TIMES = 1.5
"""Requests that a replica takes, over those in its batch at full load: with one to three times as many a replica keeps
what its memory holds and hardly anybody is refused; with five it falls (docs/rooms/simulator.md)."""
QUEUE_TIMES = 2
"""Requests that may wait, over those that a cell's replicas take."""
QUEUE_S = 30.0
"""A request waits for so long before it is refused: half of what clients' own timeouts leave for a first token is gone
then, and asking again is better than waiting on. An assumption. [s]"""
API_FIRST = 256
"""What an API tier earns a round over the largest tier of subscribers: subscribers share what is left."""
QUANTUM = 1 << 16


def shedding(rooms: Sequence[float], replicas: Sequence[int]) -> Routing:
    """How a cell admits requests. rooms: of a replica of each pool, `room_of`; without bound where nothing is known."""
    whole = sum(room * many for room, many in zip(rooms, replicas, strict=True))
    there = sum(many for room, many in zip(rooms, replicas, strict=True) if room > 0)
    if whole <= 0:
        return Routing("soonest")
    room = max(round(whole / there), 1)
    waiting = min(QUEUE_TIMES * room * there, ROOM_MOST)
    return Routing("soonest", room=room, queue="fair", queue_most=waiting, queue_s=QUEUE_S)


def room_of(s: Scenario, tiers: Sequence[Tier], pool: PoolCapacity) -> float:
    """Requests that a replica takes: of each tier its part of the work, of the batch that it would have alone.

    0 where none of the tiers' contexts fits.
    """
    works = flies = 0.0
    for t in tiers:
        if point := serving_point(s, t.behaviour, pool):
            work = t.people.value * t.behaviour.active_share.value * point.seconds_per_active_s
            works, flies = works + work, flies + work * point.batch
    return ROOM_TIMES * flies / works if works else 0.0


def quanta(tiers: Sequence[Tier]) -> tuple[int, ...]:
    """What each tier earns a round in a fair queue [token]: subscribers alike by head and weight, API tiers first."""
    heads = [t.people.value * t.weight if t.kind == "subscribers" else 0.0 for t in tiers]
    most = max(heads, default=0.0) or 1.0
    return tuple(
        QUANTUM * API_FIRST if t.kind == "api" else max(round(QUANTUM * own / most), 1)
        for t, own in zip(tiers, heads, strict=True)
    )
