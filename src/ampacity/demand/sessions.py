"""Sessions of coding agents, drawn: session -> turn -> step, closed loop.

A step's gap counts from the answer to the step before, so a slower service stretches a session and nobody types
faster; when a request arrives is known only once something has served it (`served`). All draws are keyed by (seed,
purpose, session, step): any chunk of sessions gives the same rows as all at once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, logit

from ampacity.demand import draws
from ampacity.demand.agent_model import OPENING_STEPS, AgentModel, Context
from ampacity.demand.contexts import contexts, rows_of
from ampacity.demand.runs import running_sums
from ampacity.demand.service import Service

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

UNLIMITED = float("inf")
ORDINARY_WINDOW, LARGE_WINDOW = 200_000, 1_000_000
"""Context windows of the models in the traces that the packaged model was fitted to. [token]"""
FULL_AT_MOST = 0.95
"""A prompt takes at most this share of a window; the rest is left to the answer."""
TURNS_FIRST, STEPS_A_TURN = 8, 3
"""Turns that are drawn of a session at first: so many, and one for every so many of its steps."""


@dataclass(frozen=True)
class Steps:
    """Requests of sessions, one entry a request, ordered by session, agent, step.

    session: number. agent: 0 = main, from 1 = helpers. step: from 0 within the agent. start_step: step of the main
    agent whose answer starts this helper (0 for the main agent). user_started: the user began this step.
    gap_s: from the end of the agent's answer before to this request; 0 at step 0 [s].
    input_tokens, output_tokens: whole input and answer. reusable_tokens: what of the input an unlimited cache holds.
    """

    session: Ints
    agent: Ints
    step: Ints
    start_step: Ints
    user_started: Flags
    gap_s: Floats
    input_tokens: Ints
    reusable_tokens: Ints
    output_tokens: Ints

    def __len__(self) -> int:
        return len(self.session)


@dataclass(frozen=True)
class Served:
    """Steps once they were served. t_s: request, from the session's start [s]. cached_tokens: of the input, found in a
    cache of the lifetime asked for."""

    steps: Steps
    t_s: Floats
    cached_tokens: Ints

    def frame(self) -> pl.DataFrame:
        """One row a request: session, agent, step, t_s, gap_s, user_started, input, cached and output tokens."""
        s = self.steps
        return pl.DataFrame(
            {
                "session": s.session,
                "agent": s.agent,
                "step": s.step,
                "t_s": self.t_s,
                "gap_s": s.gap_s,
                "user_started": s.user_started,
                "input_tokens": s.input_tokens,
                "cached_tokens": self.cached_tokens,
                "output_tokens": s.output_tokens,
            }
        )


def generate(
    model: AgentModel,
    seed: int,
    sessions: Ints,
    window_tokens: float = UNLIMITED,
    steps_most: int | None = None,
) -> Steps:
    """All requests of the numbered sessions, helpers included, before anything is served. Numbers >= 0, any order.

    window_tokens: context that the model holds at most; agents compact before it is full, see `within`. steps_most: of
    a main agent, after which nothing more of it is drawn; what is drawn is the same.
    """
    if window_tokens < LARGE_WINDOW:
        model = replace(model, context=within(model.context, window_tokens))
    longest = FULL_AT_MOST * window_tokens if window_tokens < LARGE_WINDOW else UNLIMITED
    order = np.sort(np.asarray(sessions, dtype=np.int64))
    main, total = _main_agents(model, seed, order, longest, steps_most)
    helpers = _helpers(model, seed, order, total, longest)
    if helpers is None:
        return main
    both = Steps(*(np.concatenate([getattr(main, f.name), getattr(helpers, f.name)]) for f in fields(Steps)))
    rank = np.lexsort((both.step, both.agent, both.session))
    return Steps(*(getattr(both, f.name)[rank] for f in fields(Steps)))


def within(c: Context, window_tokens: float) -> Context:
    """How contexts end their growth on a model that holds no more than `window_tokens`.

    Agents compact at the same shares of their window as those in the traces did of theirs; nobody has a longer window
    than there.
    """
    ordinary = min(c.limit, c.limit / ORDINARY_WINDOW * window_tokens)
    large = max(min(c.large_limit, c.large_limit / LARGE_WINDOW * window_tokens), ordinary)
    return replace(c, limit=ordinary, large_limit=large)


def served(steps: Steps, service: Service, cache_lifetime_s: float = UNLIMITED) -> Served:
    """The steps served by a law of seconds per answer, with a cache that forgets what was idle too long.

    A context is dropped when more than `cache_lifetime_s` pass between two requests of an agent (a request renews the
    lifetime). Times ignore the milliseconds that a miss adds to its own answer when they decide on the next miss.
    """
    whole, output = steps.input_tokens.astype(np.float64), steps.output_tokens.astype(np.float64)
    answer = service.answer_s(whole - steps.reusable_tokens, whole, output)
    idle = np.where(steps.step == 0, 0.0, steps.gap_s + np.concatenate([[0.0], answer[:-1]]))
    cached = np.where(idle > cache_lifetime_s, 0, steps.reusable_tokens)
    answer = service.answer_s(whole - cached, whole, output)
    wait = np.where(steps.step == 0, 0.0, steps.gap_s + np.concatenate([[0.0], answer[:-1]]))
    t = running_sums(wait, steps.step == 0)
    return Served(steps, t + _helper_starts(steps, t + answer), cached)


def _main_agents(
    model: AgentModel, seed: int, order: Ints, longest: float, steps_most: int | None
) -> tuple[Steps, Ints]:
    """Requests of the main agents, and how many each session has."""
    fresh = draws.uniform(seed, "fresh", order) < model.fresh.share
    z_length = draws.normal(seed, "length", order)
    z_first = draws.normal(seed, "first input", order)
    length = np.where(fresh, model.fresh.steps.at(z_length), model.resumed.steps.at(z_length))
    total = np.maximum(np.rint(length), 1).astype(np.int64)
    first = np.where(fresh, model.fresh.first_input.at(z_first), model.resumed.first_input.at(z_first))
    drawn = total if steps_most is None else np.minimum(total, steps_most)
    session, step = rows_of(order, drawn)
    owner = np.repeat(np.arange(len(order)), drawn)

    z = _scores(model, seed, order, z_length, session, step, owner)
    output = np.maximum(np.rint(model.output.at(z[0])), 1).astype(np.int64)
    growth = _growth(model, fresh[owner], step, z[1])
    user = _turn_starts(model, seed, session, step)
    gap = model.tool_gap.at(z[2])
    gap[user] = model.user_gap.at(z[2][user])
    gap[step == 0] = 0.0

    limit = _limits(model, seed, order, fresh, first, z_length)
    whole, reusable = contexts(model.context, seed, order, drawn, first, limit, growth, user, longest)
    none = np.zeros_like(session)
    return Steps(session, none, step, none, user, gap, whole, reusable, output), total


def _helpers(model: AgentModel, seed: int, order: Ints, total: Ints, longest: float) -> Steps | None:
    """Requests of the sessions' helpers; None if there are none. A helper has its own context and its own laws."""
    law = model.sub_agents
    if law is None:
        return None
    begins = draws.uniform(seed, "helpers", order) < law.session_share
    more = 1.0 - 1.0 / max(law.per_session, 1.0)
    number = np.ones(len(order), dtype=np.int64)
    if more > 0:
        number += np.floor(np.log(draws.uniform(seed, "how many helpers", order)) / np.log(more)).astype(np.int64)
    number[~begins] = 0
    parent = np.repeat(np.arange(len(order)), number)
    if len(parent) == 0:
        return None
    agent = np.arange(len(parent)) - np.repeat(np.cumsum(number) - number, number) + 1
    key = draws.bits(seed, "helper", order[parent], agent).astype(np.int64)
    start = np.floor(draws.uniform(seed, "helper start", key) * total[parent]).astype(np.int64)
    length = np.maximum(np.rint(law.steps.at(draws.normal(seed, "length", key))), 1).astype(np.int64)
    first = law.first_input.at(draws.normal(seed, "first input", key))
    owner = np.repeat(np.arange(len(parent)), length)
    _, step = rows_of(key, length)
    z = [draws.normal(seed, name, key[owner], step) for name in ("output", "growth", "gap")]
    growth = np.maximum(np.rint(law.growth.at(z[1])), 1).astype(np.int64)
    nobody = np.zeros(len(owner), dtype=np.bool_)
    limits = np.full(len(parent), model.context.limit)
    whole, reusable = contexts(model.context, seed, key, length, first, limits, growth, nobody, longest)
    gap = law.gap.at(z[2])
    gap[step == 0] = 0.0
    return Steps(
        session=order[parent][owner],
        agent=agent[owner],
        step=step,
        start_step=start[owner],
        user_started=nobody,
        gap_s=gap,
        input_tokens=whole,
        reusable_tokens=reusable,
        output_tokens=np.maximum(np.rint(law.output.at(z[0])), 1).astype(np.int64),
    )


def _scores(
    model: AgentModel, seed: int, order: Ints, z_length: Floats, session: Ints, step: Ints, owner: Ints
) -> list[Floats]:
    """Normal scores of output, growth and gap for every step: alike within a session, growth following output."""
    f = model.factors
    own = np.stack([draws.normal(seed, "session's " + name, order) for name in ("output", "growth", "gap")])
    own = np.linalg.cholesky(np.array(f.correlation)) @ own
    step_own = [draws.normal(seed, name, session, step) for name in ("output", "growth", "gap")]
    before = np.concatenate([[0.0], step_own[0][:-1]])
    follows = np.where(step == 0, 0.0, f.follows)
    step_own[1] = follows * before + np.sqrt(1.0 - follows**2) * step_own[1]
    return [
        (f.offset[i] + f.slope[i] * z_length + f.spread[i] * own[i])[owner] + f.within[i] * step_own[i]
        for i in range(3)
    ]


def _growth(model: AgentModel, fresh: Flags, step: Ints, z: Floats) -> Ints:
    """Context growth of every step, by the law of openings in the first few. [token]"""
    growth = model.growth.at(z)
    for kind, own in ((model.fresh, fresh), (model.resumed, ~fresh)):
        opening = own & (step <= OPENING_STEPS)
        growth[opening] = kind.opening.at(z[opening])
    return np.maximum(np.rint(growth), 1).astype(np.int64)


def _turn_starts(model: AgentModel, seed: int, session: Ints, step: Ints) -> Flags:
    """Which steps the user begins: turns of drawn lengths, one after another, from step 0.

    Turns are drawn until they are as long as the session, which as many as it has steps always are: a few first, for a
    turn has several steps, then twice as many for those that need more.
    """
    user: Flags = np.equal(step, 0)
    first = np.flatnonzero(user)
    steps = np.diff(np.append(first, len(step)))
    turns, need = np.minimum(steps, TURNS_FIRST + steps // STEPS_A_TURN), np.arange(len(first))
    while len(need):
        number, many = session[first[need]], turns[need]
        of, turn = rows_of(number, many)
        z = draws.normal(seed, "turn", of, turn)
        length = model.turn.at(z)
        length[turn == 0] = model.first_turn.at(z[turn == 0])
        ends = running_sums(np.maximum(np.rint(length), 1), turn == 0)
        inside = ends < np.repeat(steps[need], many)
        user[(np.repeat(first[need], many) + ends.astype(np.int64))[inside]] = True
        need = need[inside[np.cumsum(many) - 1] & (many < steps[need])]
        turns = np.minimum(steps, 2 * turns)
    return user


def _limits(model: AgentModel, seed: int, order: Ints, fresh: Flags, first: Floats, z_length: Floats) -> Floats:
    """The context at which each session compacts: of an ordinary window or, for some, of a large one. [token]"""
    c = model.context
    noise = np.exp(c.limit_sigma * draws.normal(seed, "limit", order))
    share = np.empty(len(order))
    for kind, own in ((model.fresh, fresh), (model.resumed, ~fresh)):
        share[own] = expit(logit(kind.large_share) + kind.large_slope * z_length[own])
    large = (draws.uniform(seed, "large window", order) < share) | (first > c.limit * noise)
    return np.where(large, c.large_limit, c.limit) * noise


def _helper_starts(steps: Steps, answered: Floats) -> Floats:
    """When the helper of each row was started: as the answer to its parent's step ended; 0 for main agents. [s]"""
    starts = np.zeros(len(steps))
    helper = np.flatnonzero(steps.agent > 0)
    if len(helper):
        main = np.flatnonzero((steps.agent == 0) & (steps.step == 0))
        parent = main[np.searchsorted(steps.session[main], steps.session[helper])]
        starts[helper] = answered[parent + steps.start_step[helper]]
    return starts
