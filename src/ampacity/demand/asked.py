"""What people ask, request by request: sessions of coding agents laid into the stretches in which people work.

`stretches.py` says when somebody works and at which pace, `sessions.py` what an agent asks; here one becomes the
other, so that weeks at session granularity and hours at request granularity are of the same people. Work side by side
is in lanes, each an endless tape of sessions that moves while its stretches last. A session that a stretch cuts off
goes on in the next one, with the context that it had. A pause beyond five minutes counts as five minutes of work, so
it takes longer on the clock than on the tape; what that delays is caught up at the next stretch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ampacity.demand import draws
from ampacity.demand.agent_model import packaged_model
from ampacity.demand.runs import running_most, running_sums
from ampacity.demand.service import Service
from ampacity.demand.session_hour import PAUSE_S, SessionHour, session_hour
from ampacity.demand.sessions import UNLIMITED, Steps, generate, served
from ampacity.demand.stretches import Stretches
from ampacity.scenario.tier import Behaviour

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LONGEST_PAUSE_S = 3600.0
"""Longer pauses of a session end a stretch, and stretches say when the next begins. [s]"""
SESSIONS = 4000
"""Drawn for the mean of an active hour."""
LANES_MOST, SESSIONS_MOST = 1 << 6, 1 << 20
"""Of one person; sessions are numbered by person, lane and place on its tape."""


@dataclass(frozen=True)
class Asked:
    """Requests before anything is served.

    steps: ordered by session, agent, step; their gaps count from the answer before. begin_s: of each session, from
    1970 [s]. subscriber: of each session, from 0. number: of each session, as in steps, rising. at_s: when each step of
    a main agent is asked if answers take as long as by themselves, from 1970 [s].
    """

    steps: Steps
    number: Ints
    begin_s: Floats
    subscriber: Ints
    at_s: Floats


@cache
def _hour(window_tokens: float) -> SessionHour:
    """An active hour of the packaged model's sessions, of which SESSIONS are drawn."""
    return session_hour(served(generate(packaged_model(), 1, np.arange(SESSIONS), window_tokens), Service()))


def input_per_output(window_tokens: float) -> float:
    """Tokens of input for each of output in what is asked of a coding agent on a model of so long a context."""
    hour = _hour(window_tokens)
    return hour.input_tokens / hour.output_tokens


def asked(
    b: Behaviour,
    wanted: Stretches,
    seed: int,
    name: str = "",
    begin: int = 0,
    window_tokens: float = UNLIMITED,
    steps_most: int | None = None,
) -> Asked:
    """What the people of these stretches ask of a coding agent.

    b: their behaviour; its output per active second sets how fast tapes move. begin: number of the first person, as in
    `stretches`. window_tokens: context that the model holds. steps_most: of one
    session that are drawn. A portion of the people asks what it asks among all.
    """
    rate = b.output_per_s.value / (_hour(window_tokens).output_tokens / 3600.0)
    lanes = _lanes(wanted, begin)
    moves_s = wanted.active_ms * wanted.pace * rate / 1000.0
    order = np.lexsort((wanted.begin_ms, lanes.of))
    edges = np.concatenate([[0.0], np.cumsum(moves_s[order])])
    base = edges[np.searchsorted(lanes.of[order], np.arange(len(lanes.tape)))]
    need_s = np.diff(np.append(base, edges[-1]))
    key = int(draws.bits(seed, "asked", name) >> np.uint64(1))
    steps, answer_s, on_tape_s, lane = _tapes(key, lanes.tape, need_s, window_tokens, steps_most)
    at = base[lane] + on_tape_s
    stretch = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, len(order) - 1)
    into_s = (at - edges[stretch]) / (wanted.pace[order[stretch]] * rate)
    return _with_gaps(steps, answer_s, wanted.begin_ms[order[stretch]] / 1000.0 + into_s, lanes.person[lane])


def fitting(found: Asked, most_tokens: int) -> tuple[Asked, int]:
    """What is left where no request may have more context than `most_tokens`, and how many requests are left out.

    An agent ends before its first request that does not fit, and with it the helpers that it would have started then.
    """
    s = found.steps
    begins = s.step == 0
    over = (s.input_tokens + s.output_tokens > most_tokens).astype(np.float64)
    kept = running_most(over, begins) == 0
    first = np.flatnonzero(begins & (s.agent == 0))
    session = np.cumsum(begins & (s.agent == 0)) - 1
    ends_at = np.bincount(session[kept & (s.agent == 0)], minlength=len(first))
    kept &= (s.agent == 0) | (s.start_step < ends_at[session])
    kept &= ends_at[session] > 0
    left = ends_at > 0
    cut = Steps(*(getattr(s, f.name)[kept] for f in fields(Steps)))
    fits = Asked(cut, found.number[left], found.begin_s[left], found.subscriber[left], found.at_s[kept])
    return fits, int((~kept).sum())


def since(found: Asked, from_s: float) -> Asked:
    """What is asked from an instant on, as if what came before had been asked and forgotten. [s, from 1970]

    A session that is under way begins with its next step; helpers that it has started by then are left out.
    """
    s = found.steps
    begins = s.step == 0
    session = np.cumsum(begins & (s.agent == 0)) - 1
    gone = np.bincount(session[(s.agent == 0) & (found.at_s < from_s)], minlength=len(found.number))
    kept = np.where(s.agent == 0, s.step >= gone[session], s.start_step >= gone[session])
    left = np.bincount(session[kept & (s.agent == 0)], minlength=len(found.number)) > 0
    kept &= left[session]
    cut = Steps(*(getattr(s, f.name)[kept] for f in fields(Steps)))
    before = gone[session[kept]]
    main = cut.agent == 0
    cut = replace(
        cut, step=np.where(main, cut.step - before, cut.step), start_step=np.where(main, 0, cut.start_step - before)
    )
    cut = replace(cut, gap_s=np.where(main & (cut.step == 0), 0.0, cut.gap_s))
    at_s = found.at_s[kept]
    return Asked(cut, found.number[left], at_s[main & (cut.step == 0)], found.subscriber[left], at_s)


@dataclass(frozen=True)
class _Lanes:
    """tape: number of each lane's tape. person: whose it is. of: lane of each stretch."""

    tape: Ints
    person: Ints
    of: Ints


def _lanes(wanted: Stretches, begin: int) -> _Lanes:
    """Stretches of a person that overlap go side by side: each into the first lane that is free when it begins."""
    tape, person, of = [], [], np.zeros(len(wanted.begin_ms), np.int64)
    starts, ends = wanted.begin_ms.tolist(), (wanted.begin_ms + wanted.active_ms).tolist()
    for p in range(len(wanted.first) - 1):
        free: list[int] = []
        for i in range(int(wanted.first[p]), int(wanted.first[p + 1])):
            lane = next((k for k, end in enumerate(free) if end <= starts[i]), len(free))
            lane = min(lane, LANES_MOST - 1)
            if lane == len(free):
                free.append(0)
                tape.append((begin + p) * LANES_MOST + lane)
                person.append(begin + p)
            free[lane] = max(free[lane], ends[i])
            of[i] = len(tape) - len(free) + lane
    return _Lanes(np.array(tape, np.int64), np.array(person, np.int64), of)


def _tapes(
    seed: int, tape: Ints, need_s: Floats, window_tokens: float, steps_most: int | None
) -> tuple[Steps, Floats, Floats, Ints]:
    """Steps of all tapes until each has the active time that it needs, how long answers take by themselves [s], when on
    its tape a step is asked [s], and of which lane it is."""
    parts: list[tuple[Steps, Floats, Floats, Ints]] = []
    has_s, begun = np.zeros(len(tape)), np.zeros(len(tape), np.int64)
    lacking = np.arange(len(tape))
    session_s = _hour(window_tokens).hours * 3600.0 / SESSIONS
    while len(lacking) or not parts:
        # a tape that lacks much after this gets more of its sessions in the next round, the others are left alone
        many = np.ceil((need_s - has_s)[lacking] / session_s).astype(np.int64) + 1
        owner = np.repeat(lacking, many)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(many) - many, many)
        numbers = tape[owner] * SESSIONS_MOST + begun[owner] + place
        steps = generate(packaged_model(), seed, numbers, window_tokens, steps_most)
        active_s, answer_s = _active_s(steps)
        first = np.flatnonzero((steps.agent == 0) & (steps.step == 0))
        length = np.maximum.reduceat(active_s, first)
        before = has_s[owner] + running_sums(np.append(0.0, length[:-1]) * (place > 0), place == 0)
        session = np.cumsum((steps.agent == 0) & (steps.step == 0)) - 1
        on_tape_s, lane = before[session] + active_s, owner[session]
        kept = on_tape_s < need_s[lane]
        cut = Steps(*(getattr(steps, f.name)[kept] for f in fields(Steps)))
        parts.append((cut, answer_s[kept], on_tape_s[kept], lane[kept]))
        has_s += np.bincount(owner, length, minlength=len(tape))
        begun[lacking] += many
        lacking = np.flatnonzero(has_s < need_s)
    return _in_order(parts)


def _in_order(parts: list[tuple[Steps, Floats, Floats, Ints]]) -> tuple[Steps, Floats, Floats, Ints]:
    """The rows of all rounds, by session."""
    if len(parts) == 1:
        return parts[0]
    steps = Steps(*(np.concatenate([getattr(part[0], f.name) for part in parts]) for f in fields(Steps)))
    order = np.argsort(steps.session, kind="stable")
    rest = (np.concatenate([part[i] for part in parts])[order] for i in (1, 2, 3))
    answer_s, on_tape_s, lane = rest
    return (
        Steps(*(getattr(steps, f.name)[order] for f in fields(Steps))),
        answer_s,
        on_tape_s,
        np.asarray(lane, np.int64),
    )


def _active_s(steps: Steps) -> tuple[Floats, Floats]:
    """Active time of its session until each step is asked, of a helper's until it is started; time of its answer."""
    whole = steps.input_tokens.astype(np.float64)
    answer_s = Service().answer_s(whole - steps.reusable_tokens, whole, steps.output_tokens.astype(np.float64))
    between = np.where(steps.step == 0, 0.0, steps.gap_s + np.append(0.0, answer_s[:-1]))
    begins = steps.step == 0
    active_s = running_sums(np.minimum(between, PAUSE_S), begins)
    helper = steps.agent > 0
    session = np.maximum.accumulate(np.where(begins & ~helper, np.arange(len(steps)), 0))
    return np.where(helper, active_s[session + steps.start_step], active_s), answer_s


def _with_gaps(steps: Steps, answer_s: Floats, nominal_s: Floats, person: Ints) -> Asked:
    """Gaps such that no step of a main agent is asked before its instant, nor earlier after an answer than drawn."""
    begins = steps.step == 0
    gap_s = np.where(begins, 0.0, np.minimum(steps.gap_s, LONGEST_PAUSE_S))
    since_s = running_sums(gap_s + np.where(begins, 0.0, np.append(0.0, answer_s[:-1])), begins)
    wall_s = since_s + running_most(nominal_s - since_s, begins)
    later_s = np.append(0.0, np.diff(wall_s)) - np.append(0.0, answer_s[:-1])
    main = steps.agent == 0
    first = main & begins
    return Asked(
        replace(steps, gap_s=np.where(main & ~begins, np.maximum(later_s, gap_s), gap_s)),
        steps.session[first],
        wall_s[first],
        person[first],
        wall_s,
    )
