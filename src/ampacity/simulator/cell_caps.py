"""Hourly caps in a cell: what a tier may take in an hour by its capacity curve, as `policy/capacity_cap.py` has it.

A curve and what is taken of it lie behind the rows of the tiers. A request that would take more than is left is refused
for want of capacity, after all windows have admitted it, and nothing of it counts there; unlike other refusals of that
kind it can say when asking again helps. Uncached input is counted as
it is expected, and corrected when the request has ended, if its hour is not over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ampacity.policy.book import HELD_FIELDS, LIMIT
from ampacity.policy.capacity_cap import (
    C_SIZES,
    CURVE_FIELDS,
    IN_HOUR,
    TAKEN_FIELDS,
    compile_caps,
    correct_cap,
    fits_cap_from_ms,
    take_of_cap,
)
from ampacity.policy.limits import unreserve
from ampacity.policy.prices import TOKEN_BITS
from ampacity.scenario.capacity_curve import CapacityCurve
from ampacity.simulator.admission import PS_PER_MS, client_retries, react
from ampacity.simulator.cell_rows import (
    AGENT_FIELDS,
    ASK_FIELDS,
    ASK_INPUT,
    ASK_REUSABLE,
    COUNT_FIELDS,
    EPOCH_MS,
    NOTE_FIELDS,
    OF_CAP,
    PAST_CAP,
    SEEN_AT,
    STEP,
    T_CAP,
    T_TAKEN,
    TERM_FIELDS,
    TIER,
    WAITS_PS,
    Desk,
    Found,
    People,
    Windows,
)
from ampacity.simulator.rows import HITS, INPUT, REQUEST_FIELDS

TOKENS_MASK = (1 << TOKEN_BITS) - 1


def with_caps(rows: Sequence[list[int]], curves: Sequence[CapacityCurve | None]) -> list[int]:
    """Rows of tiers one after the other, behind them the curves of those that have one, and rows of what is taken.

    Raises ValueError as `compile_caps`.
    """
    own = [(tier, curve) for tier, curve in enumerate(curves) if curve is not None]
    begins = len(rows) * TERM_FIELDS
    caps = compile_caps([curve for _, curve in own])
    for number, (tier, _) in enumerate(own):
        caps[number * CURVE_FIELDS + C_SIZES] += begins
        rows[tier][T_CAP] = begins + number * CURVE_FIELDS
        rows[tier][T_TAKEN] = begins + len(caps) + number * TAKEN_FIELDS
    return [n for row in rows for n in row] + caps + [0] * (len(own) * TAKEN_FIELDS)


def within_cap(desk: Desk, people: People, windows: Windows, agent: int, place: int, now_ps: int) -> bool:
    """Take what the next step of an agent is expected to compute from its tier's cap; if too little is left, give back
    what its windows have reserved in the row of `place`."""
    a, tiers = agent * AGENT_FIELDS, windows.tiers
    t = people.agents[a + TIER] * TERM_FIELDS
    uncached = expected_of(people, agent)
    now_ms = desk.cell[EPOCH_MS] + now_ps // PS_PER_MS
    if take_of_cap(tiers, tiers[t + T_CAP], tiers, tiers[t + T_TAKEN], uncached, now_ms):
        desk.notes[place * NOTE_FIELDS + OF_CAP] = (tiers[tiers[t + T_TAKEN] + IN_HOUR] << TOKEN_BITS) + uncached
        return True
    h = place * HELD_FIELDS
    if len(windows.held) > h and windows.held[h + LIMIT] > 0:
        unreserve(windows.states, windows.book, windows.held, h, h + HELD_FIELDS)
        windows.held[h + LIMIT] = 0
    return False


def expected_of(people: People, agent: int) -> int:
    """Tokens that the next step of an agent is expected to compute; a session that was answered finds what it can."""
    a = agent * AGENT_FIELDS
    s = people.agents[a + STEP] * ASK_FIELDS
    found = people.steps[s + ASK_REUSABLE] if people.agents[a + SEEN_AT] > 0 else 0
    uncached: int = people.steps[s + ASK_INPUT] - found
    return uncached


def refuse_by_cap(cell: Any, people: People, windows: Windows, found: Found, agent: int, now_ps: int) -> None:
    """Count an attempt that its tier's cap refuses; client and person learn when the cap would let it pass."""
    a, tiers = agent * AGENT_FIELDS, windows.tiers
    t = people.agents[a + TIER] * TERM_FIELDS
    now_ms = cell[EPOCH_MS] + now_ps // PS_PER_MS
    found.counts[people.agents[a + TIER] * COUNT_FIELDS + PAST_CAP] += 1
    if people.agents[a + WAITS_PS] == 0:
        people.agents[a + WAITS_PS] = now_ps + 1
    uncached = expected_of(people, agent)
    back_ms = fits_cap_from_ms(tiers, tiers[t + T_CAP], tiers, tiers[t + T_TAKEN], uncached, now_ms)
    if not client_retries(cell, people, windows, found, agent, back_ms, now_ms, now_ps):
        react(cell, people, windows, found, agent, back_ms, now_ms, now_ps, False)


def correct_taken(
    requests: Any, desk: Desk, people: People, windows: Windows, place: int, agent: int, ran: bool
) -> None:
    """Replace what a request took of its tier's cap by what it computed; by nothing if it did not run to its end."""
    a, tiers = agent * AGENT_FIELDS, windows.tiers
    t = people.agents[a + TIER] * TERM_FIELDS
    if tiers[t + T_CAP] == 0:
        return
    noted = desk.notes[place * NOTE_FIELDS + OF_CAP]
    uncached = 0
    if ran:
        r = place * REQUEST_FIELDS
        reusable = people.steps[people.agents[a + STEP] * ASK_FIELDS + ASK_REUSABLE]
        uncached = requests[r + INPUT] - min(requests[r + HITS], reusable)
    correct_cap(tiers, tiers[t + T_TAKEN], noted >> TOKEN_BITS, noted & TOKENS_MASK, uncached)
