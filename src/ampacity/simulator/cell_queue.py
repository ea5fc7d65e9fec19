"""Requests of a cell that wait for a replica with room: first come first served, or fairly; and who waits too long.

In a fair queue tiers take turns by estimated uncached tokens and the people of a tier share, as `policy/queueing.py`
has it: charged when a request goes to a replica, corrected when it has ended. Everybody who is outside all windows
counts as one person of their tier. A request goes past the queue only if nobody waits.
"""

from __future__ import annotations

from typing import Any

from ampacity.policy.index_heap import KEY
from ampacity.policy.line import (
    E_CHARGE,
    E_DUE,
    ENTRY_FIELDS,
    PERSON_FIELDS,
    Q_DUE,
    Q_TIERS,
    TIERS_MOST,
    tier_at,
)
from ampacity.policy.queueing import (
    NOTHING,
    correct,
    dequeue,
    enqueue,
    overdue,
    pass_through,
    whom_to_refuse,
    withdraw,
)
from ampacity.policy.stores import FOREVER
from ampacity.simulator.admission import PS_PER_MS, instant_ps
from ampacity.simulator.cell_rows import (
    AGENT_FIELDS,
    ASK_FIELDS,
    ASK_REUSABLE,
    BY_AGENT,
    BY_PERSON,
    CHARGED,
    CONTROL_PS,
    DUE_MS,
    EPOCH_MS,
    FAIR,
    IN_QUEUE,
    LINE_PEOPLE,
    LINE_PLACES,
    NO_CAPACITY,
    NOTE_FIELDS,
    OVERDUE,
    QUEUE,
    QUEUE_FULL,
    QUEUE_MOST,
    QUEUE_PS,
    SEEN_AT,
    SERVING,
    STEP,
    SUBSCRIBER,
    TAB_FIELDS,
    TIER,
    Control,
    Desk,
    Found,
    People,
    Windows,
)
from ampacity.simulator.engine import FOREVER_PS
from ampacity.simulator.lists import append, take_first
from ampacity.simulator.overload import TAKEN_IN, drop
from ampacity.simulator.rows import DONE, HITS, INPUT, REQUEST_FIELDS


def wait_in_line(
    requests: Any,
    desk: Desk,
    rare: Control,
    people: People,
    windows: Windows,
    found: Found,
    place: int,
    now_ps: int,
) -> int:
    """Let a request wait that no replica has taken; else the reason for which it must be refused."""
    cell = desk.cell
    if cell[SERVING] == 0:
        return NO_CAPACITY
    due_ms = FOREVER
    if cell[QUEUE_PS] > 0:
        due_ms = cell[EPOCH_MS] + (now_ps + cell[QUEUE_PS] + PS_PER_MS - 1) // PS_PER_MS
    if cell[FAIR] > 0:
        if not join_fairly(requests, desk, rare, people, windows, found, place, due_ms, now_ps):
            return QUEUE_FULL
    elif cell[IN_QUEUE] == cell[QUEUE_MOST]:
        return QUEUE_FULL
    else:
        append(cell, requests, QUEUE, place)
        rare.tabs[place * TAB_FIELDS + DUE_MS] = due_ms
    cell[IN_QUEUE] += 1
    if due_ms < FOREVER:
        cell[CONTROL_PS] = min(cell[CONTROL_PS], instant_ps(cell, due_ms))
    return TAKEN_IN


def take_next(requests: Any, desk: Desk, rare: Control) -> int:
    """Take the request out of the queue that is next; somebody must wait."""
    cell = desk.cell
    cell[IN_QUEUE] -= 1
    if cell[FAIR] == 0:
        return take_first(cell, requests, QUEUE)
    entry = dequeue(rare.line, rare.line)
    place: int = rare.line[place_at(desk, rare, entry)]
    rare.tabs[place * TAB_FIELDS + CHARGED] = rare.line[entry + E_CHARGE]
    return place


def refuse_overdue(
    requests: Any,
    desk: Desk,
    rare: Control,
    people: People,
    windows: Windows,
    found: Found,
    now_ps: int,
) -> None:
    """Refuse who has waited too long, or all if no replica gets requests any more; as they came."""
    cell = desk.cell
    reason = NO_CAPACITY if cell[SERVING] == 0 else OVERDUE
    by_ms = FOREVER if cell[SERVING] == 0 else cell[EPOCH_MS] + now_ps // PS_PER_MS
    while cell[IN_QUEUE] > 0 and first_due_ms(desk, rare) <= by_ms:
        if cell[FAIR] > 0:
            entry = overdue(rare.line, by_ms)
            place = rare.line[place_at(desk, rare, entry)]
            withdraw(rare.line, rare.line, entry)
        else:
            place = take_first(cell, requests, QUEUE)
        cell[IN_QUEUE] -= 1
        drop(requests, desk, people, windows, found, place, reason, now_ps)


def first_due_ps(desk: Desk, rare: Control) -> int:
    """When the first of those who wait will have waited too long; FOREVER_PS if nobody ever does."""
    if desk.cell[IN_QUEUE] == 0 or desk.cell[QUEUE_PS] == 0:
        return FOREVER_PS
    return instant_ps(desk.cell, first_due_ms(desk, rare))


def first_due_ms(desk: Desk, rare: Control) -> int:
    """The same of a queue in which somebody waits, by the clock of limits."""
    due_ms: int = 0
    if desk.cell[FAIR] > 0:
        due_ms = rare.line[rare.line[rare.line[Q_DUE]] + E_DUE + KEY]
    else:
        due_ms = rare.tabs[desk.cell[QUEUE] * TAB_FIELDS + DUE_MS]
    return due_ms


def place_at(desk: Desk, rare: Control, entry: int) -> int:
    """Where the place of a request stands that has an entry in the fair queue."""
    place: int = desk.cell[LINE_PLACES] + (entry - tier_at(rare.line[Q_TIERS])) // ENTRY_FIELDS
    return place


def person_of(cell: Any, people: People, agent: int) -> int:
    """The row of whoever asks, among those who may wait."""
    a = agent * AGENT_FIELDS
    tier, subscriber = people.agents[a + TIER], people.agents[a + SUBSCRIBER]
    row = subscriber + TIERS_MOST if subscriber > 0 else tier
    at: int = cell[LINE_PEOPLE] + row * PERSON_FIELDS
    return at


def expected_uncached(requests: Any, people: People, agent: int, place: int) -> int:
    """Tokens that a request is expected to compute: a session that was answered is taken to find what it can."""
    a = agent * AGENT_FIELDS
    tokens: int = requests[place * REQUEST_FIELDS + INPUT] + requests[place * REQUEST_FIELDS + DONE]
    if people.agents[a + SEEN_AT] > 0:
        tokens -= people.steps[people.agents[a + STEP] * ASK_FIELDS + ASK_REUSABLE]
    return tokens


def pass_by(requests: Any, desk: Desk, rare: Control, people: People, place: int, now_ps: int) -> None:
    """Charge a request that need not wait."""
    n = place * NOTE_FIELDS
    agent = desk.notes[n + BY_AGENT]
    p = person_of(desk.cell, people, agent)
    now_ms = desk.cell[EPOCH_MS] + now_ps // PS_PER_MS
    tier = people.agents[agent * AGENT_FIELDS + TIER]
    rare.tabs[place * TAB_FIELDS + BY_PERSON] = p
    rare.tabs[place * TAB_FIELDS + CHARGED] = pass_through(
        rare.line, rare.line, p, tier, expected_uncached(requests, people, agent, place), now_ms
    )


def join_fairly(
    requests: Any,
    desk: Desk,
    rare: Control,
    people: People,
    windows: Windows,
    found: Found,
    place: int,
    due_ms: int,
    now_ps: int,
) -> bool:
    """Let a request wait in the fair queue; if that is full, instead of the one that whoever floods it asked last.

    False if that is this one.
    """
    cell, line = desk.cell, rare.line
    n = place * NOTE_FIELDS
    agent = desk.notes[n + BY_AGENT]
    tier = people.agents[agent * AGENT_FIELDS + TIER]
    now_ms = cell[EPOCH_MS] + now_ps // PS_PER_MS
    p = person_of(cell, people, agent)
    if cell[IN_QUEUE] == cell[QUEUE_MOST]:
        entry = whom_to_refuse(line, line, p, tier, now_ms)
        if entry == NOTHING:
            return False
        other = line[place_at(desk, rare, entry)]
        withdraw(line, line, entry)
        cell[IN_QUEUE] -= 1
        drop(requests, desk, people, windows, found, other, QUEUE_FULL, now_ps)
    entry = enqueue(line, line, p, tier, expected_uncached(requests, people, agent, place), now_ms, due_ms)
    line[place_at(desk, rare, entry)] = place
    rare.tabs[place * TAB_FIELDS + BY_PERSON] = p
    return True


def settle_charge(requests: Any, desk: Desk, rare: Control, people: People, place: int, ran: bool) -> None:
    """Replace what the person was charged by what the request had to compute; nothing if its work was lost."""
    n = place * NOTE_FIELDS
    uncached = 0
    if ran:
        a = desk.notes[n + BY_AGENT] * AGENT_FIELDS
        r = place * REQUEST_FIELDS
        reusable = people.steps[people.agents[a + STEP] * ASK_FIELDS + ASK_REUSABLE]
        uncached = requests[r + INPUT] - min(requests[r + HITS], reusable)
    correct(
        rare.line,
        rare.line,
        rare.tabs[place * TAB_FIELDS + BY_PERSON],
        rare.tabs[place * TAB_FIELDS + CHARGED],
        uncached,
    )
