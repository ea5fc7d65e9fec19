"""Which replica of a cell gets a request, by the rule of the cell; the rules themselves are `policy/`'s.

What a router knows of a replica is what came out of it by now: nothing of the iteration in flight. A replica that has
as many requests as it may take is none to choose from, nor one that drains or is down.
"""

from __future__ import annotations

from typing import Any

from ampacity.inference.replica import KV_BLOCK_TOKENS
from ampacity.policy.homes import home_within
from ampacity.policy.mixing import mixed
from ampacity.policy.routing import (
    MOVE_MOST_NS,
    NOBODY,
    R_BACKLOG,
    R_FULL,
    R_REQUESTS,
    R_SHARE,
    REPLICA_FIELDS,
    at_random,
    better_of_two,
    in_turn,
    late_bound,
)
from ampacity.simulator.cell_rows import (
    AGENT_FIELDS,
    ASK_FIELDS,
    ASK_INPUT,
    ASK_REUSABLE,
    ASTRAY,
    CELL_FIELDS,
    CHUNKING,
    CONTEXT,
    PERCENT,
    PLACED_FIELDS,
    REPLICAS,
    ROOM,
    ROUTE,
    ROUTE_BY,
    SEED,
    SEEN_AT,
    SERVING,
    SHARES,
    STEP,
    TIMES,
    TURNS,
)
from ampacity.simulator.engine import IDLE_PS, TIERS
from ampacity.simulator.kv_tiers import blocks_below
from ampacity.simulator.rows import (
    EQUALS,
    FLIGHT_P,
    HOLDERS,
    LENGTH,
    OUTSTANDING,
    OUTSTANDING_TOKENS,
    SEGMENT,
    SESSION_FIELDS,
    SINCE_PS,
)

BY_CHANCE, BY_TURN, BY_TWO, BY_LEAST, BY_HOME, BY_SOONEST = range(6)
TAKES_NOTHING = 1 << 62
EVERYTHING = 1 << 10  # of what goes astray


def note_load(cell: Any, row: Any, replica: int) -> None:
    """Let the router know what a replica has to do."""
    r = CELL_FIELDS + replica * REPLICA_FIELDS
    cell[r + R_REQUESTS] = row[OUTSTANDING]
    cell[r + R_BACKLOG] = row[OUTSTANDING_TOKENS]
    column = CELL_FIELDS + cell[REPLICAS] * (REPLICA_FIELDS + PLACED_FIELDS)
    cell[column + replica] = cell[r + cell[ROUTE_BY]]
    chunking = 1 if row[FLIGHT_P] > 0 and row[EQUALS] > 0 else 0
    cell[CHUNKING] += chunking - cell[column + cell[REPLICAS] + replica]
    cell[column + cell[REPLICAS] + replica] = chunking
    if cell[ROOM] > 0:
        cell[r + R_FULL] = 1 if row[OUTSTANDING] >= cell[ROOM] else 0
    if cell[r + R_SHARE] == 0 or cell[r + R_FULL] > 0:
        cell[column + replica] = TAKES_NOTHING


def set_share(cell: Any, replica: int, share: int) -> None:
    """Let a replica get requests, or none if its share is 0; whoever calls notes its load afterwards."""
    r = CELL_FIELDS + replica * REPLICA_FIELDS + R_SHARE
    cell[SERVING] += (1 if share > 0 else 0) - (1 if cell[r] > 0 else 0)
    cell[r] = share


def someone_takes(cell: Any) -> bool:
    """Whether some replica would take a request now."""
    column = CELL_FIELDS + cell[REPLICAS] * (REPLICA_FIELDS + PLACED_FIELDS)
    least = TAKES_NOTHING
    for place in range(column, column + cell[REPLICAS]):
        least = min(least, cell[place])
    return bool(least < TAKES_NOTHING)


def is_stale(cell: Any, replica: int) -> bool:
    """Whether the backlog of a replica shrinks while nothing can be seen, so that it must be advanced to be read."""
    column = CELL_FIELDS + cell[REPLICAS] * (REPLICA_FIELDS + PLACED_FIELDS + 1)
    return bool(cell[column + replica] > 0)


def reads_backlog(cell: Any) -> bool:
    """Whether the rule of the cell looks at the replicas' uncached tokens."""
    rule = cell[ROUTE]
    return bool(rule == BY_SOONEST or (BY_TWO <= rule <= BY_HOME and cell[ROUTE_BY] == R_BACKLOG))


def least_loaded(cell: Any, start: int) -> int:
    """As `policy.routing.least` chooses, from a column of loads: replicas that take requests have equal shares here.

    A column is eight lines of memory where rows are 64, and its least number is found without a branch.
    """
    count = cell[REPLICAS]
    loads = CELL_FIELDS + count * (REPLICA_FIELDS + PLACED_FIELDS)
    load = TAKES_NOTHING
    for place in range(loads, loads + count):
        load = min(load, cell[place])
    if load == TAKES_NOTHING:
        return NOBODY
    i: int = start % count
    while cell[loads + i] != load:
        i = i + 1 if i + 1 < count else 0
    return i


def choose(cell: Any, rules: Any, sessions: Any, agents: Any, agent: int, steps: Any, now_ps: int) -> int:
    """The replica that the next request of an agent goes to; NOBODY if none has room, and nobody's turn has passed.

    If the rule is BY_SOONEST, the replica that the agent comes from must have been advanced to `now_ps`.
    """
    if cell[ROUTE] == BY_TURN:
        turn = in_turn(cell, CELL_FIELDS, cell[REPLICAS], 0, cell[TURNS])
        if turn == NOBODY:
            return NOBODY
        cell[TURNS] = turn + 1
        in_its_turn: int = turn % cell[REPLICAS]
        return in_its_turn
    replica = choose_by_load(cell, rules, sessions, agents, agent, steps, now_ps)
    if replica != NOBODY:
        cell[TURNS] += 1
    return replica


def choose_by_load(cell: Any, rules: Any, sessions: Any, agents: Any, agent: int, steps: Any, now_ps: int) -> int:
    """The same for the rules that look at replicas."""
    count = cell[REPLICAS]
    route = cell[ROUTE]
    if route == BY_HOME:
        return home_within(cell, CELL_FIELDS, count, mixed(cell[SEED] + agent), cell[ROUTE_BY], 1, cell[PERCENT], 0)
    if route == BY_SOONEST:
        return choose_soonest(cell, rules, sessions, agents, agent, steps, now_ps)
    if route == BY_LEAST:
        return least_loaded(cell, cell[TURNS])
    draw = mixed(cell[SEED] + cell[TURNS])
    if route == BY_TWO:
        return better_of_two(cell, CELL_FIELDS, count, cell[ROUTE_BY], 0, draw)
    return at_random(cell, CELL_FIELDS, count, 0, draw)


def wrong_place(cell: Any, replica: int, agent: int, now_ps: int) -> int:
    """Where a request goes that should go to a replica; NOBODY if there it goes.

    Of those that the cell misroutes: by chance to one of the pool next to the right one, which is that itself where
    there is no other. If no replica there takes requests it goes where it should.
    """
    draw = mixed(mixed(mixed(cell[SEED] + agent)) + now_ps)
    if draw % EVERYTHING >= cell[ASTRAY]:
        return NOBODY
    count = cell[REPLICAS]
    next_pool = CELL_FIELDS + count * (REPLICA_FIELDS + PLACED_FIELDS + 2) + replica
    first = cell[next_pool]
    i = at_random(cell, CELL_FIELDS + first * REPLICA_FIELDS, cell[next_pool + count], 0, mixed(draw))
    wrong: int = NOBODY if i == NOBODY else first + i
    return wrong


def choose_soonest(cell: Any, rules: Any, sessions: Any, agents: Any, agent: int, steps: Any, now_ps: int) -> int:
    """Where wait + uncached prefill is least; away from home only what everybody shares is expected in memory."""
    a = agent * AGENT_FIELDS
    s = agents[a + STEP] * ASK_FIELDS
    home = agents[a + SEEN_AT] - 1
    at_home = 0
    elsewhere = 0
    if home != NOBODY:
        there = sessions[home]
        own = rules[cell[CELL_FIELDS + cell[REPLICAS] * REPLICA_FIELDS + home * PLACED_FIELDS]]
        most = steps[s + ASK_REUSABLE] // KV_BLOCK_TOKENS
        at_home = blocks_at(there, own, agents[a + CONTEXT], agents[a + SHARES], most, now_ps) * KV_BLOCK_TOKENS
        elsewhere = min(there[agents[a + SHARES] * SESSION_FIELDS + LENGTH] * KV_BLOCK_TOKENS, at_home)
    return late_bound(
        cell,
        CELL_FIELDS,
        cell[REPLICAS],
        home,
        at_home,
        elsewhere,
        MOVE_MOST_NS,
        cell[TIMES],
        steps[s + ASK_INPUT],
        0,
        cell[TURNS],
    )


def blocks_at(there: Any, rules: Any, context: int, shares: int, most: int, now_ps: int) -> int:
    """Blocks of a prompt that a replica, advanced to now, has for a session of a group; `most` is what can be used."""
    own = blocks_left(there, rules, context, now_ps)
    if shares == 0:
        return min(own, most)
    s = shares * SESSION_FIELDS
    common = there[s + LENGTH]
    if there[s + HOLDERS] == 0 and blocks_left(there, rules, shares, now_ps) < common:
        return min(blocks_left(there, rules, shares, now_ps), most)
    blocks: int = min(common + own, most)
    return blocks


def blocks_left(there: Any, rules: Any, session: int, now_ps: int) -> int:
    """Blocks of a session or group that can be found now, in HBM and in the tiers below it alike."""
    s = session * SESSION_FIELDS
    if now_ps - there[s + SINCE_PS] > rules[IDLE_PS]:
        return 0
    blocks: int = there[s + SEGMENT]
    if rules[TIERS] > 0:
        blocks += blocks_below(there, session, rules[TIERS])
    return blocks
