"""A cell from event to event: a few dozen replicas, their router and queue, and the agents who ask them.

Order at one instant: iterations end, on replicas in their order; whoever waits in the queue gets the room; requests
come, agents in their order; iterations begin. So nothing that decides sees an iteration in flight, and a request that
ties with an iteration's end meets the iteration that begins then. Whatever reads or writes a replica advances it first
and gives it another key afterwards.
"""

from __future__ import annotations

from typing import Any

from ampacity.policy.routing import NOBODY, REPLICA_FIELDS
from ampacity.simulator.admission import admit_by_limits, charge_answer
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
    CELL_FIELDS,
    CELL_PS,
    CHILD,
    CHUNKING,
    CONTEXT,
    COUNT_FIELDS,
    EVENTS,
    FREE_ROW,
    FREED,
    HELD_BACK,
    HERE_STEP,
    HIT,
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
    MOVES,
    NOTE_FIELDS,
    OUTPUT_TOKENS,
    PLACED_FIELDS,
    QUEUE,
    QUEUE_LAST,
    QUEUED,
    REPLICAS,
    ROOM,
    ROUTE,
    SEEN_AT,
    SENT,
    SHARES,
    SIBLING,
    STEP,
    SUBSCRIBER,
    T_CLASS,
    T_LIMIT,
    TERM_FIELDS,
    TIER,
    TIMES_PREEMPTED,
    TPOT,
    TRIES,
    TTFT,
    UNTAKEN,
    WAITS_PS,
    Desk,
    Engines,
    Found,
    People,
    Windows,
)
from ampacity.simulator.engine import PREFIX_CACHE
from ampacity.simulator.histograms import BUCKETS, count
from ampacity.simulator.lists import append
from ampacity.simulator.replica import advance, collect, next_visible_ps, push
from ampacity.simulator.route import BY_SOONEST, choose, is_stale, note_load, reads_backlog
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
    SESSION_FIELDS,
)
from ampacity.simulator.visible import first_visible, first_visible_ps, set_visible
from ampacity.simulator.wakes import PAIRS_AT, next_wake_ps, take_wake, wake_at

DONE_UNTIL, NEEDS_ROWS = range(2)


def run_cell(e: Engines, desk: Desk, people: People, windows: Windows, found: Found, until_ps: int) -> int:
    """Let happen all that happens before `until_ps`. Returns DONE_UNTIL, or NEEDS_ROWS before a request has no row.

    Going on with more rows, or up to a later instant, gives what one call would have given.
    """
    cell = desk.cell
    while True:
        seen_ps = first_visible_ps(desk.tree)
        if cell[FREED] > 0 and seen_ps > cell[CELL_PS]:
            cell[FREED] = 0
            let_in(e, desk, people, cell[CELL_PS])
            continue
        asked_ps = next_ask_ps(cell, people)
        if min(seen_ps, asked_ps) >= until_ps:
            return DONE_UNTIL
        if seen_ps <= asked_ps:
            cell[CELL_PS] = seen_ps
            cell[EVENTS] += 1
            replica = first_visible(desk.tree)
            row = e.rows[replica]
            pool = pool_of(cell, replica)
            advance(row, e.rules[pool], e.tables[pool], e.requests, e.sessions[replica], seen_ps)
            if row[ENDED] > 0:
                hand_out(e, desk, people, windows, found, replica, seen_ps)
            note_load(cell, row, replica)
            set_visible(desk.tree, replica, next_visible_ps(row, e.requests))
        else:
            if cell[FREE_ROW] == 0:
                return NEEDS_ROWS
            cell[CELL_PS] = asked_ps
            ask(e, desk, people, windows, found, next_asker(cell, people, asked_ps), asked_ps)


def hand_out(e: Engines, desk: Desk, people: People, windows: Windows, found: Found, replica: int, now_ps: int) -> None:
    """Answer all requests that have ended on a replica, in the order in which they did."""
    row = e.rows[replica]
    place = collect(row, e.requests)
    while place > 0:
        answer(e, desk, people, windows, found, place, now_ps)
        if desk.cell[ROOM] > 0:
            desk.cell[FREED] = 1
        place = collect(row, e.requests)


def pool_of(cell: Any, replica: int) -> int:
    """The pool to which a replica belongs."""
    pool: int = cell[CELL_FIELDS + cell[REPLICAS] * REPLICA_FIELDS + replica * PLACED_FIELDS]
    return pool


def advance_one(e: Engines, cell: Any, replica: int, now_ps: int) -> None:
    """Bring a replica to now: what ends by now has ended, what begins before now has begun."""
    pool = pool_of(cell, replica)
    advance(e.rows[replica], e.rules[pool], e.tables[pool], e.requests, e.sessions[replica], now_ps)


def rekey(e: Engines, desk: Desk, replica: int) -> None:
    """Note when a replica that was touched can be seen next, and what it has to do."""
    row = e.rows[replica]
    note_load(desk.cell, row, replica)
    set_visible(desk.tree, replica, next_visible_ps(row, e.requests))


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


def ask(e: Engines, desk: Desk, people: People, windows: Windows, found: Found, agent: int, now_ps: int) -> None:
    """An agent asks its next step: windows admit it or stop it, then it goes to a replica or waits for one."""
    cell, requests = desk.cell, e.requests
    a = agent * AGENT_FIELDS
    c = people.agents[a + TIER] * COUNT_FIELDS
    place = cell[FREE_ROW]
    if people.agents[a + TRIES] == 0 and people.agents[a + WAITS_PS] == 0:
        found.counts[c + ASKED] += 1
    counted = people.agents[a + SUBSCRIBER] > 0 and windows.tiers[people.agents[a + TIER] * TERM_FIELDS + T_LIMIT] > 0
    if counted and not admit_by_limits(cell, people, windows, found, agent, place, now_ps):
        return
    if people.agents[a + WAITS_PS] > 0:
        h = (people.agents[a + TIER] * METRICS + HELD_BACK) * BUCKETS
        count(found.histograms, h, now_ps - people.agents[a + WAITS_PS] + 1)
        people.agents[a + WAITS_PS] = 0
    people.agents[a + TRIES] = 0
    found.counts[c + SENT] += 1
    cell[FREE_ROW] = requests[place * REQUEST_FIELDS + NEXT]
    write_request(e, desk, people, windows, agent, place, now_ps)
    if cell[QUEUE] > 0 or not send(e, desk, people, place, now_ps):
        append(cell, requests, QUEUE, place)


def write_request(
    e: Engines, desk: Desk, people: People, windows: Windows, agent: int, place: int, now_ps: int
) -> None:
    """Make a row of requests the next step of an agent."""
    requests = e.requests
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


def send(e: Engines, desk: Desk, people: People, place: int, now_ps: int) -> bool:
    """Send a request to the replica that the router chooses; False if none has room."""
    cell = desk.cell
    n = place * NOTE_FIELDS
    agent = desk.notes[n + BY_AGENT]
    a = agent * AGENT_FIELDS
    if cell[ROUTE] == BY_SOONEST and people.agents[a + SEEN_AT] > 0:
        advance_one(e, cell, people.agents[a + SEEN_AT] - 1, now_ps)
        rekey(e, desk, people.agents[a + SEEN_AT] - 1)
    if cell[CHUNKING] > 0 and reads_backlog(cell):
        for stale in range(cell[REPLICAS]):
            if is_stale(cell, stale):
                advance_one(e, cell, stale, now_ps)
                rekey(e, desk, stale)
    replica = choose(cell, e.rules, e.sessions, people.agents, agent, people.steps, now_ps)
    if replica == NOBODY:
        return False
    advance_one(e, cell, replica, now_ps)
    desk.notes[n + AT_REPLICA] = replica
    if people.agents[a + CONTEXT] > 0 and e.rules[pool_of(cell, replica)][PREFIX_CACHE] > 0:
        limit_to_visits(e, people, place, replica, people.agents[a + STEP])
    e.requests[place * REQUEST_FIELDS + ARRIVAL_PS] = now_ps
    cell[UNTAKEN] += push(e.rows[replica], e.rules[pool_of(cell, replica)], e.requests, place)
    rekey(e, desk, replica)
    return True


def limit_to_visits(e: Engines, people: People, place: int, replica: int, step: int) -> None:
    """Let a request find no more than what its context still has in common with what it left on the replica.

    What was cut off since its last step there is not the same any more, if it has grown again or not.
    """
    r = place * REQUEST_FIELDS
    there = e.requests[r + SESSION] * SESSION_FIELDS + HERE_STEP
    seen = e.sessions[replica][there]
    e.sessions[replica][there] = step + 1
    if seen == 0:
        e.requests[r + CACHEABLE] = 0
        return
    for since in range(seen, step):
        e.requests[r + CACHEABLE] = min(e.requests[r + CACHEABLE], people.steps[since * ASK_FIELDS + ASK_REUSABLE])


def let_in(e: Engines, desk: Desk, people: People, now_ps: int) -> None:
    """Send who waits in the queue, first come first served, while some replica has room."""
    while desk.cell[QUEUE] > 0:
        place = desk.cell[QUEUE]
        behind = e.requests[place * REQUEST_FIELDS + NEXT]
        if not send(e, desk, people, place, now_ps):
            return
        desk.cell[QUEUE] = behind
        if behind == 0:
            desk.cell[QUEUE_LAST] = 0


def answer(e: Engines, desk: Desk, people: People, windows: Windows, found: Found, place: int, now_ps: int) -> None:
    """A request has ended: measure it, settle it, and let the agent and those whom it starts go on."""
    agent = desk.notes[place * NOTE_FIELDS + BY_AGENT]
    a = agent * AGENT_FIELDS
    agents = people.agents
    measure(e.requests, desk, people, found, agent, place)
    if windows.tiers[agents[a + TIER] * TERM_FIELDS + T_LIMIT] > 0:
        charge_answer(desk.cell, e.requests, people, windows, agent, place, now_ps)
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
