"""What windows say to a request of the cell, and what client and person do when one of them refuses.

A request holds and reserves in all windows what it is expected to cost (`policy/limits.py`) and settles at its end with
what it did cost. After a refusal the client tries again as its SDK does: at the instant that it was told, or after half
a second, doubled each time up to eight, less up to a quarter. Then the person reacts (`demand/reactions.py`): waits for
the window if that is within patience, comes back later, goes on elsewhere, buys more, or leaves.

All chance is a hash of the cell's seed, the agent and the instant, so it does not depend on what else happens.
"""

from __future__ import annotations

from typing import Any

from ampacity.policy.book import HELD_FIELDS, LIMIT, PLACE, REFILL, STATE_FIELDS, STORE_FIELDS
from ampacity.policy.limits import hold, reserve, retry_at_ms, settle
from ampacity.policy.mixing import mixed
from ampacity.policy.rows import IN_FLIGHT, SCALE
from ampacity.policy.stores import FOREVER
from ampacity.simulator.cell_rows import (
    AGENT_FIELDS,
    ALIVE,
    ASK_FIELDS,
    ASK_INPUT,
    ASK_REUSABLE,
    BOUGHT,
    BY_WINDOW,
    CAME_LATER,
    CHILD,
    COUNT_FIELDS,
    EPOCH_MS,
    LAST,
    LEFT,
    REFUSALS,
    RETRIES_MADE,
    SEED,
    SIBLING,
    STEP,
    STEPS_LOST,
    SUBSCRIBER,
    SWITCHED_AWAY,
    T_BUY,
    T_DELAY_MS,
    T_HIT,
    T_LATER,
    T_LIMIT,
    T_OUTPUT_MOST,
    T_PATIENCE_MS,
    T_PLAN,
    T_RETRIES,
    T_SWITCH,
    T_TOLD_MS,
    T_WAIT,
    T_WRITES,
    TERM_FIELDS,
    TIER,
    TRIES,
    WAITED,
    WAITS_PS,
    Found,
    People,
    Windows,
)
from ampacity.simulator.engine import FOREVER_PS
from ampacity.simulator.rows import HITS, INPUT, OUTPUT, REQUEST_FIELDS
from ampacity.simulator.wakes import wake_at

PS_PER_MS = 1_000_000_000
BACKOFF_MS, BACKOFF_MOST_MS = 500, 8_000
# what a draw is for
LUCK, BACKOFF, REACTION, DELAY = range(4)


def drawn(cell: Any, agent: int, now_ms: int, purpose: int) -> int:
    """A number of 62 bits, by chance."""
    return mixed(mixed(cell[SEED] + agent) + 4 * now_ms + purpose)


def admit_by_limits(
    cell: Any, people: People, windows: Windows, found: Found, agent: int, place: int, now_ps: int
) -> bool:
    """Reserve the next step of an agent in all windows, in the row of `place`; or let client and person react."""
    now_ms = cell[EPOCH_MS] + now_ps // PS_PER_MS
    a, h = agent * AGENT_FIELDS, place * HELD_FIELDS
    tier = people.agents[a + TIER]
    t = tier * TERM_FIELDS
    hold(
        windows.states,
        people.agents[a + SUBSCRIBER] * STATE_FIELDS,
        windows.book,
        windows.tiers[t + T_LIMIT],
        windows.tiers[t + T_PLAN],
        windows.held,
        h,
        now_ms,
        FOREVER,
        people.steps[people.agents[a + STEP] * ASK_FIELDS + ASK_INPUT],
        windows.tiers[t + T_OUTPUT_MOST],
    )
    luck = drawn(cell, agent, now_ms, LUCK) % SCALE
    refusing = reserve(windows.states, windows.book, windows.held, h, 1, now_ms, luck)
    if refusing == 0:
        return True
    c = tier * COUNT_FIELDS
    found.counts[c + REFUSALS] += 1
    window = windows.book[refusing + PLACE] // STORE_FIELDS
    found.counts[c + BY_WINDOW + window] += 1
    windows.tiers[windows.tiers[t + T_HIT] + people.agents[a + SUBSCRIBER]] |= 1 << window
    back_ms = retry_at_ms(windows.states, windows.book, windows.held, h, 1, now_ms)
    windows.held[h + LIMIT] = 0
    if people.agents[a + WAITS_PS] == 0:
        people.agents[a + WAITS_PS] = now_ps + 1
    if not client_retries(cell, people, windows, found, agent, back_ms, now_ms, now_ps):
        if windows.book[refusing + REFILL] == IN_FLIGHT:  # nobody knows when an answer ends
            back_ms = now_ms + BACKOFF_MOST_MS
        react(cell, people, windows, found, agent, back_ms, now_ms, now_ps, True)
    return False


def client_retries(
    cell: Any, people: People, windows: Windows, found: Found, agent: int, back_ms: int, now_ms: int, now_ps: int
) -> bool:
    """Whether the client tries again by itself, as its SDK does; then it is on its way."""
    a = agent * AGENT_FIELDS
    t = people.agents[a + TIER] * TERM_FIELDS
    tries = people.agents[a + TRIES]
    if tries >= windows.tiers[t + T_RETRIES]:
        return False
    people.agents[a + TRIES] = tries + 1
    found.counts[people.agents[a + TIER] * COUNT_FIELDS + RETRIES_MADE] += 1
    if back_ms - now_ms <= windows.tiers[t + T_TOLD_MS]:
        wake_at(people.wakes, instant_ps(cell, back_ms), agent)
        return True
    longest = min(BACKOFF_MS << min(tries, 4), BACKOFF_MOST_MS)
    less = drawn(cell, agent, now_ms, BACKOFF) % (SCALE // 4 + 1)
    wake_at(people.wakes, now_ps + longest * (SCALE - less) * (PS_PER_MS // SCALE), agent)
    return True


def react(
    cell: Any,
    people: People,
    windows: Windows,
    found: Found,
    agent: int,
    back_ms: int,
    now_ms: int,
    now_ps: int,
    buying_helps: bool,
) -> None:
    """A person whose client has given up: one of five reactions, by chance; who cannot help it by buying comes later.

    back_ms: when asking again may help.
    """
    a = agent * AGENT_FIELDS
    t = people.agents[a + TIER] * TERM_FIELDS
    c = people.agents[a + TIER] * COUNT_FIELDS
    people.agents[a + TRIES] = 0
    tiers = windows.tiers
    draw = drawn(cell, agent, now_ms, REACTION) % SCALE
    if draw < tiers[t + T_WAIT] and back_ms - now_ms > tiers[t + T_PATIENCE_MS]:
        draw = tiers[t + T_WAIT] + draw * (SCALE - tiers[t + T_WAIT]) // tiers[t + T_WAIT]  # one of the other four
    if back_ms == FOREVER:
        draw = SCALE  # what no window can ever admit
    draw -= tiers[t + T_WAIT]
    if draw < 0:
        found.counts[c + WAITED] += 1
        wake_at(people.wakes, instant_ps(cell, back_ms), agent)
        return
    draw -= tiers[t + T_LATER] + (0 if buying_helps else tiers[t + T_BUY])
    if draw < 0:
        found.counts[c + CAME_LATER] += 1
        later_ms = drawn(cell, agent, now_ms, DELAY) % (2 * tiers[t + T_DELAY_MS] + 1)
        wake_at(people.wakes, instant_ps(cell, back_ms + later_ms), agent)
        return
    draw -= tiers[t + T_SWITCH]
    if draw < 0:
        found.counts[c + SWITCHED_AWAY] += 1
    elif buying_helps and draw < tiers[t + T_BUY]:
        found.counts[c + BOUGHT] += 1
        people.agents[a + SUBSCRIBER] = 0
        wake_at(people.wakes, now_ps, agent)
        return
    else:
        found.counts[c + LEFT] += 1
    lose(cell, people, found, agent)


def instant_ps(cell: Any, at_ms: int) -> int:
    """An instant of the limits' clock by the cell's; FOREVER_PS beyond its end."""
    after_ms = at_ms - cell[EPOCH_MS]
    return after_ms * PS_PER_MS if after_ms < FOREVER_PS // PS_PER_MS else FOREVER_PS


def lose(cell: Any, people: People, found: Found, agent: int) -> None:
    """An agent ends here, and with it all that it would have asked and started."""
    agents = people.agents
    a = agent * AGENT_FIELDS
    lost = agents[a + LAST] - agents[a + STEP]
    child = agents[a + CHILD]
    while child > 0:
        lost += agents[child * AGENT_FIELDS + LAST] - agents[child * AGENT_FIELDS + STEP]
        child = agents[child * AGENT_FIELDS + SIBLING]
    found.counts[agents[a + TIER] * COUNT_FIELDS + STEPS_LOST] += lost
    agents[a + LAST] = agents[a + STEP]
    agents[a + CHILD] = 0
    cell[ALIVE] -= 1


def charge_answer(
    cell: Any, requests: Any, people: People, windows: Windows, agent: int, place: int, now_ps: int
) -> None:
    """Settle a request that has ended with what it cost: found tokens are read, the others computed or written."""
    now_ms = cell[EPOCH_MS] + now_ps // PS_PER_MS
    r = place * REQUEST_FIELDS
    a = agent * AGENT_FIELDS
    reusable = people.steps[people.agents[a + STEP] * ASK_FIELDS + ASK_REUSABLE]
    read = min(requests[r + HITS], reusable)  # after a preemption its own tokens are found too
    rest = requests[r + INPUT] - read
    written = rest if windows.tiers[people.agents[a + TIER] * TERM_FIELDS + T_WRITES] > 0 else 0
    settle(
        windows.states,
        windows.book,
        windows.held,
        place * HELD_FIELDS,
        now_ms,
        rest - written,
        written,
        read,
        requests[r + OUTPUT],
    )
