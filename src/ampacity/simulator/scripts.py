"""What agents of a cell will ask, before anything is served: flat arrays of agents and of their steps.

The next step of an agent is asked a gap after the answer to the step before (closed loop); an agent of one step is a
request that comes when it comes (open loop). A helper is an agent that the answer to one of its parent's steps starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ampacity.demand.sessions import Steps
from ampacity.simulator.cell_rows import (
    AFTER,
    AGENT_FIELDS,
    ASK_FIELDS,
    ASK_GAP_PS,
    ASK_INPUT,
    ASK_OUTPUT,
    ASK_REUSABLE,
    CHILD,
    CONTEXT,
    LAST,
    SHARES,
    SIBLING,
    STEP,
    SUBSCRIBER,
    TIER,
)
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.rows import Ints


@dataclass(frozen=True)
class Scripts:
    """Agents, their steps, and when those begin who nobody starts.

    starts: (instant in ps, agent) in rising order. agents: rows of AGENT_FIELDS, the first nobody's. steps: rows of
    ASK_FIELDS. contexts: sessions that replicas tell apart. shared_tokens: of each group, what its prompts share.
    """

    starts: Ints
    agents: Ints
    steps: Ints
    contexts: int
    shared_tokens: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Steps of all agents."""
        return len(self.steps)


def scripts_of_trace(
    arrival_ps: ArrayLike,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    tier: ArrayLike = 0,
    subscriber: ArrayLike = 0,
) -> Scripts:
    """Requests that come when they come; arrays of one length. Agents are numbered as given, from 1.

    tier: its position. subscriber: from 1; 0 is outside all windows. Raises ValueError that lists every mistake.
    """
    arrival, inputs, outputs, tiers, people = _columns(arrival_ps, input_tokens, output_tokens, tier, subscriber)
    agents = np.zeros((len(arrival) + 1, AGENT_FIELDS), np.int64)
    steps = np.zeros((len(arrival), ASK_FIELDS), np.int64)
    steps[:, ASK_INPUT], steps[:, ASK_OUTPUT] = inputs, outputs
    agents[1:, STEP] = np.arange(len(arrival))
    agents[1:, LAST] = agents[1:, STEP] + 1
    agents[1:, TIER], agents[1:, SUBSCRIBER] = tiers, people
    return checked(Scripts(_starts(arrival, np.arange(1, len(arrival) + 1)), agents, steps, 0))


def scripts_of_sessions(
    steps: Steps,
    begin_s: ArrayLike,
    tier: ArrayLike = 0,
    subscriber: ArrayLike = 0,
    group: ArrayLike = 0,
    shared_tokens: tuple[int, ...] = (),
) -> Scripts:
    """Sessions that begin at given instants; of each session in `steps`, in their order, one entry or one for all.

    group: of sessions that share the beginning of their prompts, from 1; 0: of none. shared_tokens: of each group.
    Raises ValueError that lists every mistake.
    """
    first = np.flatnonzero(steps.step == 0)  # of each agent
    last = np.append(first[1:], len(steps))
    numbers, session = np.unique(steps.session[first], return_inverse=True)
    begin, tiers, people, groups = (
        np.broadcast_to(np.asarray(x, dtype), len(numbers))
        for x, dtype in ((begin_s, np.float64), (tier, np.int64), (subscriber, np.int64), (group, np.int64))
    )
    agents = np.zeros((len(first) + 1, AGENT_FIELDS), np.int64)
    agents[1:, STEP], agents[1:, LAST] = first, last
    agents[1:, TIER], agents[1:, SUBSCRIBER] = tiers[session], people[session]
    agents[1:, CONTEXT] = np.arange(1, len(first) + 1)
    agents[1:, SHARES] = np.where(groups[session] > 0, len(first) + groups[session], 0)
    _link_helpers(agents, steps, first)
    rows = np.zeros((len(steps), ASK_FIELDS), np.int64)
    rows[:, ASK_GAP_PS] = np.rint(steps.gap_s * 1e6).astype(np.int64) * (PS_PER_S // 1_000_000)
    rows[:, ASK_INPUT], rows[:, ASK_OUTPUT] = steps.input_tokens, steps.output_tokens
    rows[:, ASK_REUSABLE] = np.minimum(steps.reusable_tokens, steps.input_tokens - 1)
    main = np.flatnonzero(steps.agent[first] == 0)
    begin_ps = np.rint(begin[session[main]] * 1e6).astype(np.int64) * (PS_PER_S // 1_000_000)
    return checked(Scripts(_starts(begin_ps, main + 1), agents, rows, len(first), shared_tokens))


def joined(parts: list[Scripts]) -> Scripts:
    """The agents of all parts beside each other; sessions of different parts are different. Groups are not joined."""
    agents, steps, starts = [parts[0].agents[:1]], [], []
    step = agent = context = 0
    for p in parts:
        own = p.agents[1:].copy()
        own[:, [STEP, LAST, AFTER]] += step
        for field, shift in ((CONTEXT, context), (CHILD, agent), (SIBLING, agent)):
            own[:, field] += np.where(own[:, field] > 0, shift, 0)
        agents.append(own)
        steps.append(p.steps)
        starts.append(p.starts + np.array([0, agent]))
        step, agent, context = step + len(p.steps), agent + len(own), context + p.contexts
    every = np.concatenate(starts)
    return checked(Scripts(_starts(every[:, 0], every[:, 1]), np.concatenate(agents), np.concatenate(steps), context))


def checked(scripts: Scripts) -> Scripts:
    """The same scripts. Raises ValueError that lists everything in them that is impossible."""
    s, a = scripts.steps, scripts.agents[1:]
    wrong = {
        "step {} has a gap below 0": s[:, ASK_GAP_PS] < 0,
        "step {} has no input": s[:, ASK_INPUT] < 1,
        "step {} has no output": s[:, ASK_OUTPUT] < 1,
        "step {} reuses less than nothing or all of its input": (s[:, ASK_REUSABLE] < 0)
        | (s[:, ASK_REUSABLE] >= np.maximum(s[:, ASK_INPUT], 1)),
        "start {} is before 0": scripts.starts[:, 0] < 0,
        "agent {} has no tier": a[:, TIER] < 0,
        "agent {} has no subscriber": a[:, SUBSCRIBER] < 0,
        "agent {} is of a group that is not described": a[:, SHARES] > scripts.contexts + len(scripts.shared_tokens),
    }
    found = [f"{words.format(np.flatnonzero(at)[0])} ({at.sum()} such)" for words, at in wrong.items() if at.any()]
    if found:
        raise ValueError("; ".join(found))
    return scripts


def _columns(*given: ArrayLike) -> list[Ints]:
    return list(np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, np.int64)) for x in given)))


def _starts(begin_ps: Ints, agent: Ints) -> Ints:
    order = np.lexsort((agent, begin_ps))
    return np.column_stack([begin_ps[order], agent[order]])


def _link_helpers(agents: Ints, steps: Steps, first: Ints) -> None:
    """Let every main agent know the helpers it starts, by the step whose answer starts them."""
    kind = steps.agent[first]
    main = np.flatnonzero(kind == 0)
    helper = np.flatnonzero(kind > 0)
    if len(helper) == 0:
        return
    parent = main[np.searchsorted(steps.session[first][main], steps.session[first][helper])]
    after = agents[parent + 1, STEP] + steps.start_step[first][helper]
    order = np.lexsort((helper, after, parent))
    helper, parent, after = helper[order] + 1, parent[order] + 1, after[order]
    agents[helper, AFTER] = after
    same = parent[1:] == parent[:-1]
    agents[helper[:-1][same], SIBLING] = helper[1:][same]
    agents[parent[np.append(True, ~same)], CHILD] = helper[np.append(True, ~same)]
