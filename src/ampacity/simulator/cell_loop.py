"""A cell from event to event: a few dozen replicas, their router and queue, and the agents who ask them.

Order at one instant: iterations end, on replicas in their order; ticks (`cell_ticks.py`); replicas come and go with the
load (`cell_scaling.py`); whoever waits in the queue gets the room; requests come, agents in their order; iterations
begin. So nothing that decides sees an iteration in flight, and a request that ties with an iteration's end meets the
iteration that begins then. Whatever reads or writes a replica advances it first and gives it another key afterwards.
"""

from __future__ import annotations

from typing import Any

from ampacity.simulator.admission import admit_by_limits, charge_answer
from ampacity.simulator.cell_caps import correct_taken, refuse_by_cap, within_cap
from ampacity.simulator.cell_queue import first_due_ps, pass_by, refuse_overdue, settle_charge, take_next, wait_in_line
from ampacity.simulator.cell_rows import (
    AFTER,
    AGENT_FIELDS,
    ALIVE,
    ANSWERED,
    ASK_FIELDS,
    ASK_GAP_PS,
    ASK_INPUT,
    ASK_OUTPUT,
    ASK_REUSABLE,
    ASKED,
    ASKED_PS,
    AT_REPLICA,
    BEGUN,
    BY_AGENT,
    CHILD,
    CONTEXT,
    CONTROL_PS,
    COUNT_FIELDS,
    EVENTS,
    FAIR,
    FREE_ROW,
    HELD_BACK,
    HIT,
    IN_HAND,
    IN_QUEUE,
    INPUT_TOKENS,
    KEEPS,
    LAST,
    LATENCY,
    MET_ARRIVAL_PS,
    MET_FIELDS,
    MET_FINISH_PS,
    MET_FIRST_PS,
    MET_HITS,
    MET_REPLICA,
    METRICS,
    MISROUTED,
    MOVES,
    NEXT_TICK,
    NOTE_FIELDS,
    OUTPUT_TOKENS,
    QUEUED,
    ROOM,
    SEEN_AT,
    SENT,
    SHARES,
    SHUT,
    SHUT_OUT,
    SIBLING,
    STEP,
    SUBSCRIBER,
    T_CAP,
    T_CLASS,
    T_LIMIT,
    TERM_FIELDS,
    TICK_FIELDS,
    TICK_REPLICA,
    TIER,
    TIMES_PREEMPTED,
    TPOT,
    TRIES,
    TTFT,
    WAITS_PS,
    Control,
    Desk,
    Engines,
    Found,
    People,
    Windows,
)
from ampacity.simulator.cell_scaling import carry_out_scaling, next_scaling_ps
from ampacity.simulator.cell_ticks import carry_out_tick, next_tick_ps
from ampacity.simulator.dispatch import NOT_SENT, SENT_ASTRAY, SENT_RIGHT, advance_one, pool_of, send
from ampacity.simulator.engine import FOREVER_PS
from ampacity.simulator.histograms import BUCKETS, count
from ampacity.simulator.overload import TAKEN_IN, begins_again, note_dropped, refuse, turn_away
from ampacity.simulator.replica import advance, collect, next_visible_ps
from ampacity.simulator.route import note_load, someone_takes
from ampacity.simulator.rows import (
    ARRIVAL_PS,
    CACHEABLE,
    CLASS,
    ENDED,
    FINISH_PS,
    FIRST_PS,
    GROUP,
    HITS,
    INPUT,
    NEXT,
    OUTPUT,
    PREEMPTED,
    REQUEST_FIELDS,
    SESSION,
)
from ampacity.simulator.visible import first_visible, first_visible_ps, set_visible
from ampacity.simulator.wakes import PAIRS_AT, next_wake_ps, take_wake, wake_at

DONE_UNTIL, NEEDS_ROWS = range(2)


def run_cell(
    e: Engines, desk: Desk, people: People, windows: Windows, found: Found, rare: Control, until_ps: int
) -> int:
    """Let happen all that happens before `until_ps`. Returns DONE_UNTIL, or NEEDS_ROWS before a request has no row.

    Going on with more rows, or up to a later instant, gives what one call would have given.
    """
    cell = desk.cell
    while True:
        seen_ps = first_visible_ps(desk.tree)
        asked_ps = min(next_ask_ps(cell, people), cell[CONTROL_PS])
        if min(seen_ps, asked_ps) >= until_ps:
            return DONE_UNTIL
        if seen_ps <= asked_ps:
            cell[EVENTS] += 1
            replica = first_visible(desk.tree)
            row = e.rows[replica]
            pool = pool_of(cell, replica)
            advance(row, e.rules[pool], e.tables[pool], e.requests, e.sessions[replica], seen_ps)
            if row[ENDED] > 0:
                if cell[FAIR] > 0:
                    settle_charges(e.requests, desk, rare, people, row[ENDED])
                hand_out(e, desk, people, windows, found, replica, seen_ps)
            note_load(cell, row, replica)
            set_visible(desk.tree, replica, next_visible_ps(row, e.requests))
        elif asked_ps == cell[CONTROL_PS]:
            control(e, desk, people, windows, found, rare, asked_ps)
        else:
            if cell[FREE_ROW] == 0:
                return NEEDS_ROWS
            agent = next_asker(cell, people, asked_ps)
            place = ask(e.requests, desk, people, windows, found, agent, asked_ps)
            if place > 0:
                sent = send(e, desk, people, place, asked_ps) if cell[IN_QUEUE] == 0 else NOT_SENT
                if sent == SENT_RIGHT and cell[FAIR] == 0 and people.agents[agent * AGENT_FIELDS + IN_HAND] >= 0:
                    note_sent(people, found, agent, asked_ps)
                else:
                    come_in(e.requests, desk, people, windows, found, rare, agent, place, sent, asked_ps)


def control(e: Engines, desk: Desk, people: People, windows: Windows, found: Found, rare: Control, now_ps: int) -> None:
    """Between the iterations that end now and the agents who ask: ticks, replicas that come and go, then whoever waits.

    Who can be sent is; who has waited too long is refused, as are all if no replica gets requests any more.
    """
    cell = desk.cell
    while next_tick_ps(desk, rare) == now_ps:
        t = cell[NEXT_TICK] * TICK_FIELDS
        replica = rare.ticks[t + TICK_REPLICA]
        if replica >= 0:
            advance_one(e, cell, replica, now_ps)
        carry_out_tick(e, desk, rare, people, t, now_ps)
        cell[NEXT_TICK] += 1
    if next_scaling_ps(cell) == now_ps:
        asks_on = min(next_ask_ps(cell, people), first_visible_ps(desk.tree)) < FOREVER_PS
        carry_out_scaling(e, desk, rare, people, now_ps, asks_on or cell[IN_QUEUE] > 0)
    while cell[IN_QUEUE] > 0 and someone_takes(cell):
        place = take_next(e.requests, desk, rare)
        if send(e, desk, people, place, now_ps) == SENT_ASTRAY:
            note_astray(desk, people, found, place)
    refuse_overdue(e.requests, desk, rare, people, windows, found, now_ps)
    cell[CONTROL_PS] = min(next_tick_ps(desk, rare), first_due_ps(desk, rare), next_scaling_ps(cell))


def hand_out(e: Engines, desk: Desk, people: People, windows: Windows, found: Found, replica: int, now_ps: int) -> None:
    """Answer all requests that have ended on a replica, in the order in which they did."""
    row = e.rows[replica]
    place = collect(row, e.requests)
    while place > 0:
        answer(e, desk, people, windows, found, place, now_ps)
        if desk.cell[IN_QUEUE] > 0:
            desk.cell[CONTROL_PS] = now_ps
        place = collect(row, e.requests)


def next_ask_ps(cell: Any, people: People) -> int:
    """When an agent asks next; FOREVER_PS if none does."""
    at_ps = next_wake_ps(people.wakes)
    if cell[BEGUN] < len(people.starts) // 2:
        at_ps = min(at_ps, people.starts[2 * cell[BEGUN]])
    return at_ps


def next_asker(cell: Any, people: People, now_ps: int) -> int:
    """The agent with the least number of those who ask now; it is taken out of the list or heap where it is."""
    begun = 2 * cell[BEGUN]
    if begun < len(people.starts) and people.starts[begun] == now_ps:
        agent: int = people.starts[begun + 1]
        if next_wake_ps(people.wakes) > now_ps or agent < people.wakes[PAIRS_AT + 1]:
            cell[BEGUN] += 1
            cell[ALIVE] += 1
            return agent
    return take_wake(people.wakes)


def ask(requests: Any, desk: Desk, people: People, windows: Windows, found: Found, agent: int, now_ps: int) -> int:
    """An agent asks its next step, or again what a replica has handed back; the request, or 0 if it is stopped."""
    cell = desk.cell
    a = agent * AGENT_FIELDS
    if people.agents[a + IN_HAND] < 0:
        place: int = -people.agents[a + IN_HAND]
        return place if begins_again(requests, desk, people, windows, found, place, now_ps) else 0
    place = cell[FREE_ROW]
    if people.agents[a + TRIES] == 0 and people.agents[a + WAITS_PS] == 0:
        found.counts[people.agents[a + TIER] * COUNT_FIELDS + ASKED] += 1
    if cell[SHUT] > 0:
        refuse(cell, people, windows, found, agent, SHUT_OUT, now_ps)
        return 0
    counted = people.agents[a + SUBSCRIBER] > 0 and windows.tiers[people.agents[a + TIER] * TERM_FIELDS + T_LIMIT] > 0
    if counted and not admit_by_limits(cell, people, windows, found, agent, place, now_ps):
        return 0
    is_capped = windows.tiers[people.agents[a + TIER] * TERM_FIELDS + T_CAP] > 0
    if is_capped and not within_cap(desk, people, windows, agent, place, now_ps):
        refuse_by_cap(cell, people, windows, found, agent, now_ps)
        return 0
    cell[FREE_ROW] = requests[place * REQUEST_FIELDS + NEXT]
    write_request(requests, desk, people, windows, agent, place, now_ps)
    return place


def note_sent(people: People, found: Found, agent: int, now_ps: int) -> None:
    """Count a request that was sent or waits for the first time, and how long its agent has been kept from it."""
    a = agent * AGENT_FIELDS
    tier = people.agents[a + TIER]
    found.counts[tier * COUNT_FIELDS + SENT] += 1
    if people.agents[a + WAITS_PS] > 0:
        h = (tier * METRICS + HELD_BACK) * BUCKETS
        count(found.histograms, h, now_ps - people.agents[a + WAITS_PS] + 1)
        people.agents[a + WAITS_PS] = 0


def note_astray(desk: Desk, people: People, found: Found, place: int) -> None:
    """Count a request that was sent to the wrong place."""
    agent = desk.notes[place * NOTE_FIELDS + BY_AGENT]
    found.counts[people.agents[agent * AGENT_FIELDS + TIER] * COUNT_FIELDS + MISROUTED] += 1


def come_in(
    requests: Any,
    desk: Desk,
    people: People,
    windows: Windows,
    found: Found,
    rare: Control,
    agent: int,
    place: int,
    sent: int,
    now_ps: int,
) -> None:
    """What follows where `note_sent` is not all: a request is charged, it waits, or it is refused."""
    a = agent * AGENT_FIELDS
    again = people.agents[a + IN_HAND] < 0
    if again:
        people.agents[a + IN_HAND] = 0
    reason = TAKEN_IN
    if sent == SENT_ASTRAY:
        note_astray(desk, people, found, place)
    if sent == NOT_SENT:
        reason = wait_in_line(requests, desk, rare, people, windows, found, place, now_ps)
    elif desk.cell[FAIR] > 0:
        pass_by(requests, desk, rare, people, place, now_ps)
    if reason == TAKEN_IN:
        if not again:
            note_sent(people, found, agent, now_ps)
        return
    if again:
        note_dropped(requests, desk, people, found, place)
    turn_away(requests, desk, people, windows, found, place, reason, now_ps)


def settle_charges(requests: Any, desk: Desk, rare: Control, people: People, place: int) -> None:
    """Correct what people were charged for requests that have ended: this one and those behind it in its list."""
    while place > 0:
        settle_charge(requests, desk, rare, people, place, True)
        place = requests[place * REQUEST_FIELDS + NEXT]


def write_request(
    requests: Any, desk: Desk, people: People, windows: Windows, agent: int, place: int, now_ps: int
) -> None:
    """Make a row of requests the next step of an agent."""
    r = place * REQUEST_FIELDS
    for field in range(REQUEST_FIELDS):
        requests[r + field] = 0
    a = agent * AGENT_FIELDS
    s = people.agents[a + STEP] * ASK_FIELDS
    requests[r + INPUT] = people.steps[s + ASK_INPUT]
    requests[r + CACHEABLE] = people.steps[s + ASK_REUSABLE]
    requests[r + OUTPUT] = people.steps[s + ASK_OUTPUT]
    requests[r + SESSION] = people.agents[a + CONTEXT]
    requests[r + GROUP] = people.agents[a + SHARES]
    requests[r + CLASS] = windows.tiers[people.agents[a + TIER] * TERM_FIELDS + T_CLASS]
    n = place * NOTE_FIELDS
    desk.notes[n + BY_AGENT] = agent
    desk.notes[n + ASKED_PS] = now_ps


def answer(e: Engines, desk: Desk, people: People, windows: Windows, found: Found, place: int, now_ps: int) -> None:
    """A request has ended: measure it, settle it, and let the agent and those whom it starts go on."""
    agent = desk.notes[place * NOTE_FIELDS + BY_AGENT]
    a = agent * AGENT_FIELDS
    agents = people.agents
    measure(e.requests, desk, people, found, agent, place)
    if windows.tiers[agents[a + TIER] * TERM_FIELDS + T_LIMIT] > 0:
        charge_answer(desk.cell, e.requests, people, windows, agent, place, now_ps)
    correct_taken(e.requests, desk, people, windows, place, agent, True)
    agents[a + TRIES] = 0
    step = agents[a + STEP]
    agents[a + STEP] = step + 1
    agents[a + SEEN_AT] = desk.notes[place * NOTE_FIELDS + AT_REPLICA] + 1
    child = agents[a + CHILD]
    while child > 0 and agents[child * AGENT_FIELDS + AFTER] == step:
        desk.cell[ALIVE] += 1
        wake_at(
            people.wakes, now_ps + people.steps[agents[child * AGENT_FIELDS + STEP] * ASK_FIELDS + ASK_GAP_PS], child
        )
        child = agents[child * AGENT_FIELDS + SIBLING]
    agents[a + CHILD] = child
    if step + 1 < agents[a + LAST]:
        wake_at(people.wakes, now_ps + people.steps[(step + 1) * ASK_FIELDS + ASK_GAP_PS], agent)
    else:
        desk.cell[ALIVE] -= 1
    e.requests[place * REQUEST_FIELDS + NEXT] = desk.cell[FREE_ROW]
    desk.cell[FREE_ROW] = place


def measure(requests: Any, desk: Desk, people: People, found: Found, agent: int, place: int) -> None:
    """Count a request that has ended, and keep what it met if all are kept."""
    r = place * REQUEST_FIELDS
    n = place * NOTE_FIELDS
    tier = people.agents[agent * AGENT_FIELDS + TIER]
    asked_ps, first_ps, finish_ps = desk.notes[n + ASKED_PS], requests[r + FIRST_PS], requests[r + FINISH_PS]
    h = tier * METRICS * BUCKETS
    count(found.histograms, h + TTFT * BUCKETS, first_ps - asked_ps)
    count(found.histograms, h + LATENCY * BUCKETS, finish_ps - asked_ps)
    if requests[r + OUTPUT] > 1:
        count(found.histograms, h + TPOT * BUCKETS, (finish_ps - first_ps) // (requests[r + OUTPUT] - 1))
    if desk.cell[ROOM] > 0:
        count(found.histograms, h + QUEUED * BUCKETS, requests[r + ARRIVAL_PS] - asked_ps)
    c = tier * COUNT_FIELDS
    found.counts[c + ANSWERED] += 1
    found.counts[c + INPUT_TOKENS] += requests[r + INPUT]
    found.counts[c + OUTPUT_TOKENS] += requests[r + OUTPUT]
    found.counts[c + HIT] += requests[r + HITS]
    found.counts[c + TIMES_PREEMPTED] += requests[r + PREEMPTED]
    before = people.agents[agent * AGENT_FIELDS + SEEN_AT]
    if before > 0 and before != desk.notes[n + AT_REPLICA] + 1:
        found.counts[c + MOVES] += 1
    if desk.cell[KEEPS] > 0:
        m = people.agents[agent * AGENT_FIELDS + STEP] * MET_FIELDS
        found.met[m + MET_ARRIVAL_PS] = asked_ps
        found.met[m + MET_FIRST_PS] = first_ps
        found.met[m + MET_FINISH_PS] = finish_ps
        found.met[m + MET_REPLICA] = desk.notes[n + AT_REPLICA]
        found.met[m + MET_HITS] = requests[r + HITS]
