"""Refusals for want of capacity (529), and requests that a replica hands back when it stops.

A window that refuses is the subscriber's limit (429, `admission.py`); here it is the cell that cannot: its door is
closed, no replica gets requests, its queue is full, or a request has waited in it too long; its tier may also have had
what its capacity curve gives it (`cell_caps.py`). What the request had
reserved in its windows is released. Then its client tries again as after any refusal, without being told when; and then
the person, who cannot know either: who waits asks again after eight seconds, who would buy comes back later, as buying
does not help; the others are as at a window.
"""

from __future__ import annotations

from typing import Any

from ampacity.policy.book import HELD_FIELDS
from ampacity.policy.limits import release
from ampacity.policy.stores import FOREVER
from ampacity.simulator.admission import BACKOFF_MOST_MS, PS_PER_MS, client_retries, react
from ampacity.simulator.cell_caps import correct_taken
from ampacity.simulator.cell_rows import (
    AGENT_FIELDS,
    ASK_FIELDS,
    ASK_REUSABLE,
    BROKEN_OFF,
    BY_AGENT,
    COUNT_FIELDS,
    DROPPED,
    EPOCH_MS,
    FREE_ROW,
    HANDED_BACK,
    IN_HAND,
    LOSE,
    NOTE_FIELDS,
    ON_KILL,
    RECOMPUTE,
    RECOMPUTED,
    RESUMED,
    STEP,
    T_LIMIT,
    TERM_FIELDS,
    TIER,
    TOKENS_WASTED,
    WAITS_PS,
    Desk,
    Found,
    People,
    Windows,
)
from ampacity.simulator.rows import CACHEABLE, DONE, FIRST_PS, HITS, NEXT, REQUEST_FIELDS

TAKEN_IN = 0
"""No reason to refuse; a reason is where it is counted: SHUT_OUT, NO_CAPACITY, QUEUE_FULL or OVERDUE."""


def refuse(cell: Any, people: People, windows: Windows, found: Found, agent: int, reason: int, now_ps: int) -> None:
    """Count an attempt that is refused for a reason, and let client and person do what they do then."""
    a = agent * AGENT_FIELDS
    now_ms = cell[EPOCH_MS] + now_ps // PS_PER_MS
    found.counts[people.agents[a + TIER] * COUNT_FIELDS + reason] += 1
    if people.agents[a + WAITS_PS] == 0:
        people.agents[a + WAITS_PS] = now_ps + 1
    if not client_retries(cell, people, windows, found, agent, FOREVER, now_ms, now_ps):
        react(cell, people, windows, found, agent, now_ms + BACKOFF_MOST_MS, now_ms, now_ps, False)


def turn_away(
    requests: Any, desk: Desk, people: People, windows: Windows, found: Found, place: int, reason: int, now_ps: int
) -> None:
    """Refuse a request that has a row: what it reserved is released, and its row is free."""
    agent = desk.notes[place * NOTE_FIELDS + BY_AGENT]
    t = people.agents[agent * AGENT_FIELDS + TIER] * TERM_FIELDS
    if windows.tiers[t + T_LIMIT] > 0:
        now_ms = desk.cell[EPOCH_MS] + now_ps // PS_PER_MS
        release(windows.states, windows.book, windows.held, place * HELD_FIELDS, now_ms)
    correct_taken(requests, desk, people, windows, place, agent, False)
    requests[place * REQUEST_FIELDS + NEXT] = desk.cell[FREE_ROW]
    desk.cell[FREE_ROW] = place
    refuse(desk.cell, people, windows, found, agent, reason, now_ps)


def drop(
    requests: Any, desk: Desk, people: People, windows: Windows, found: Found, place: int, reason: int, now_ps: int
) -> None:
    """Refuse a request that had been sent or was waiting."""
    note_dropped(requests, desk, people, found, place)
    turn_away(requests, desk, people, windows, found, place, reason, now_ps)


def note_dropped(requests: Any, desk: Desk, people: People, found: Found, place: int) -> None:
    """Count a request that had been sent and gets no answer; what had come out of it is wasted."""
    c = people.agents[desk.notes[place * NOTE_FIELDS + BY_AGENT] * AGENT_FIELDS + TIER] * COUNT_FIELDS
    found.counts[c + DROPPED] += 1
    found.counts[c + TOKENS_WASTED] += requests[place * REQUEST_FIELDS + DONE]


def begins_again(
    requests: Any, desk: Desk, people: People, windows: Windows, found: Found, place: int, now_ps: int
) -> bool:
    """Make a request that was handed back ready to be sent again; False if it is lost by the rule of the cell.

    What it had found in memory is gone with the replica. It may bring its tokens along, or begin anew.
    """
    r = place * REQUEST_FIELDS
    a = desk.notes[place * NOTE_FIELDS + BY_AGENT] * AGENT_FIELDS
    c = people.agents[a + TIER] * COUNT_FIELDS
    found.counts[c + HANDED_BACK] += 1
    if desk.cell[ON_KILL] == LOSE:
        people.agents[a + IN_HAND] = 0
        drop(requests, desk, people, windows, found, place, BROKEN_OFF, now_ps)
        return False
    if desk.cell[ON_KILL] == RECOMPUTE:
        found.counts[c + TOKENS_WASTED] += requests[r + DONE]
        requests[r + DONE] = 0
        requests[r + FIRST_PS] = 0
    found.counts[c + (RECOMPUTED if desk.cell[ON_KILL] == RECOMPUTE else RESUMED)] += 1
    requests[r + HITS] = 0
    requests[r + CACHEABLE] = people.steps[people.agents[a + STEP] * ASK_FIELDS + ASK_REUSABLE]
    return True
