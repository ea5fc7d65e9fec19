"""The layout of what a cell's loop reads and writes: its own row, agents, steps, requests in flight, tiers, counts.

Rows are int64 and lie in one piece. An agent is named by its place from 1 on; place 0 is nobody. A step is named by its
position among the steps of all agents, whose steps lie side by side.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ampacity.policy.autoscaling import SCALING_FIELDS, WATCH_FIELDS

# of a cell
(
    REPLICAS,
    ROUTE,
    ROUTE_BY,  # field of a replica by which it is chosen: R_REQUESTS or R_BACKLOG
    PERCENT,  # of the mean that a home may carry under bounded load
    TIMES,  # how often a prompt that is computed counts against waiting, if the rule is the soonest
    TURNS,
    BEGUN,  # agents of the starting list that have begun
    FREE_ROW,  # first of a list: rows of requests that are free
    QUEUE,  # first of a list: requests that wait for a replica with room
    QUEUE_LAST,
    ROOM,  # requests that a replica takes under late binding; 0: any number, as soon as they come
    EPOCH_MS,  # instant 0 of the cell by the clock of limits
    SEED,
    ALIVE,  # agents that have begun and not ended
    CHUNKING,  # replicas whose backlog shrinks while nothing can be seen
    UNTAKEN,  # requests that a replica did not take, which must not be
    EVENTS,  # times that a replica was looked at because something could be seen
    KEEPS,  # whether what every step met is kept
    CONTROL_PS,  # when ticks or the queue are next to be looked at: a tick, a replica that got room, a wait too long
    NEXT_TICK,
    SERVING,  # replicas that get requests
    SHUT,  # whether the door is closed
    ASTRAY,  # of 1,024 requests that are sent, those that go to the wrong place
    ON_KILL,
    IN_QUEUE,  # requests that wait
    QUEUE_MOST,  # how many may; below 0: any number
    QUEUE_PS,  # how long a request waits before it is refused; 0: for ever
    FAIR,  # whether tiers take turns and people of a tier share, in `Control.line`; else first come, first served
    LINE_PLACES,  # where in it the request of every entry stands
    LINE_PEOPLE,  # where in it people begin: one for all who are nobody, of every tier, then subscribers
    SCALED,  # where in this row it says what scales; 0: nothing does
    CELL_FIELDS,
) = range(32)
"""Behind them: of every replica a row of `policy.routing`, then of every replica a row of PLACED_FIELDS; then columns:
the load of every replica, whether its backlog shrinks while nothing can be seen, and of the pool next to its own the
first replica and how many there are. If a pool scales, a row of SCALED_HEADER, then of each of its replicas one of
SCALED_FIELDS."""
COLUMNS = 4

# of a pool that scales
(
    S_FIRST,  # its first replica
    S_COUNT,  # how many there are in all
    S_BY,  # what its load is told by: R_REQUESTS or R_BACKLOG
    S_EVERY_PS,  # between looks
    S_LOOK_PS,  # the next; FOREVER_PS: none
    S_LOOKED_PS,  # the last
    S_NEXT_PS,  # the next look, or when a replica has started
    S_HERE,  # replicas that are there: starting, serving or draining
    S_HERE_PS,  # time that replicas were there, all together, until the last look
    S_STARTS,
    S_TAKEN_BACK,  # from draining
    S_DRAINS,  # and starts that were broken off
    S_RULES,  # as `policy.autoscaling` has them; behind them what it keeps
) = range(13)
S_WATCH = S_RULES + SCALING_FIELDS
SCALED_HEADER = S_WATCH + WATCH_FIELDS
# of each of its replicas; out: by a tick
STAGE, FROM_PS, IS_OUT, SCALED_FIELDS = range(4)
ABSENT, STARTING, IN_SERVICE, LEAVING = range(4)

# of a replica, as placed
POOL, PLACED_FIELDS = range(2)

# of an agent
(
    STEP,  # the step it asks next, or waits for
    LAST,  # the one behind its last
    TIER,
    SUBSCRIBER,  # 0: of nobody, or outside all windows
    CONTEXT,  # session, as replicas know it; 0: nothing of it is kept
    SHARES,  # group of sessions that share a beginning; 0: none
    SEEN_AT,  # replica that had its last request, from 1; 0: none yet
    CHILD,  # the first agent that it starts and has not started
    SIBLING,  # the next agent that its parent starts
    AFTER,  # step of its parent whose answer starts it
    TRIES,  # how often its client has tried this step again
    WAITS_PS,  # since when a window, or want of capacity, keeps it from this step; 0: nothing does
    AGENT_FIELDS,
) = range(13)
IN_HAND = WAITS_PS
"""While a request that a replica has handed back has not been sent again: its place, less than 0."""

# of a step
ASK_GAP_PS, ASK_INPUT, ASK_REUSABLE, ASK_OUTPUT, ASK_FIELDS = range(5)

# of a request in flight, beside the engine's row
# of cap: what it took of its tier's cap, and in which hour
BY_AGENT, AT_REPLICA, ASKED_PS, OF_CAP, NOTE_FIELDS = range(5)
# of the same where a queue is fair or ends: when it has waited too long [ms by the clock of limits], by the row of its
# person, and the virtual tokens that its person has been charged
DUE_MS, BY_PERSON, CHARGED, TAB_FIELDS = range(4)

# of a tick, in rising order of instants
TICK_AT_PS, TICK_REPLICA, TICK_WHAT, TICK_VALUE, TICK_FIELDS = range(5)
# what it does: a replica gets nothing new; stops at once; is there; takes longer; the door; requests go astray
DRAIN, KILL, UP, SLOW, CLOSE, OPEN, MISROUTE = range(7)

# what becomes of a request that a replica hands back
RESUME, RECOMPUTE, LOSE = range(3)

# of a session on a replica, in the one field of the engine's row that the engine leaves free
HERE_STEP = 7
"""The step behind the last one that the session had on this replica; 0: it had none."""

# of a tier
(
    T_LIMIT,  # where its limit stands in the book; 0: none
    T_PLAN,
    T_OUTPUT_MOST,  # output tokens that its requests allow themselves
    T_WRITES,  # whether what is computed of a prompt is written to a cache that is paid for
    T_RETRIES,
    T_TOLD_MS,  # the longest wait that its clients obey when they are told; 0: they are not told
    T_WAIT,  # of 1,000 who are stopped, those who wait for the window; those who come back later; ...
    T_LATER,
    T_SWITCH,
    T_BUY,
    T_PATIENCE_MS,
    T_DELAY_MS,
    T_CLASS,  # of priority in the engine
    T_CAP,  # where behind the rows of tiers its capacity curve stands; 0: it has none
    T_TAKEN,  # where what is taken of it stands
    T_HIT,  # where behind it all stands of everybody which windows have refused them, a bit each, by place
    TERM_FIELDS,
) = range(17)

# counted by tier
(
    ASKED,  # steps that were asked, however often
    SENT,  # requests that went to a replica or into the queue, each once
    ANSWERED,
    REFUSALS,  # attempts that a window refused
    RETRIES_MADE,
    WAITED,  # people who waited for the window; who came back later; ...
    CAME_LATER,
    SWITCHED_AWAY,
    BOUGHT,
    LEFT,
    STEPS_LOST,  # of those who switched, left, or could never ask
    INPUT_TOKENS,
    HIT,  # prompt tokens that were found
    OUTPUT_TOKENS,
    TIMES_PREEMPTED,
    MOVES,  # requests that went elsewhere than the one before of their agent
    MISROUTED,  # requests that were sent to the wrong place, each as often as it was
    SHUT_OUT,  # attempts refused for want of capacity (529): the door was closed; ...
    NO_CAPACITY,  # no replica got requests
    QUEUE_FULL,
    OVERDUE,  # waited too long
    PAST_CAP,  # the tier has had what its capacity curve gives it in this hour
    HANDED_BACK,  # by replicas that stopped
    RESUMED,  # of those: went on from the tokens that they had
    RECOMPUTED,  # began anew
    BROKEN_OFF,  # lost, by the rule of the cell
    DROPPED,  # requests that were sent and then refused or lost
    TOKENS_WASTED,  # that had come out, of requests that began anew or were dropped
    BY_WINDOW,  # refused attempts, by the place of the first window that refused
) = range(29)
OVER_CAPACITY = (SHUT_OUT, NO_CAPACITY, QUEUE_FULL, OVERDUE, PAST_CAP)
WINDOWS_COUNTED = 8
COUNT_FIELDS = BY_WINDOW + WINDOWS_COUNTED

# measured by tier: a histogram each
TTFT, TPOT, LATENCY, QUEUED, HELD_BACK, METRICS = range(6)

# of a step, if all are kept
MET_ARRIVAL_PS, MET_FIRST_PS, MET_FINISH_PS, MET_REPLICA, MET_HITS, MET_FIELDS = range(6)


class Engines(NamedTuple):
    """The replicas: a row each, rules and step table of pools, requests, sessions as each replica knows them."""

    rows: Any
    rules: Any
    tables: Any
    requests: Any
    sessions: Any


class Desk(NamedTuple):
    """The cell's own row with what the router knows, the tournament of replicas, notes beside requests."""

    cell: Any
    tree: Any
    notes: Any


class People(NamedTuple):
    """Who asks: pairs of instant and agent in rising order, agents, their steps, and a heap of who goes on when."""

    starts: Any
    agents: Any
    steps: Any
    wakes: Any


class Windows(NamedTuple):
    """Tiers, the book of their limits, a row of each subscriber, and a row of each request in flight."""

    tiers: Any
    book: Any
    states: Any
    held: Any


class Found(NamedTuple):
    """What comes out: counts and histograms by tier, and what every step met if all are kept."""

    counts: Any
    histograms: Any
    met: Any


class Control(NamedTuple):
    """What is rarely read: ticks; a fair queue as `policy/line.py` has it, with places of requests and people; tabs."""

    ticks: Any
    line: Any
    tabs: Any
