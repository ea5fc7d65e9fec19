"""What sessions of agents leave in memory between their requests, by how long memory keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.service import Service
from ampacity.demand.session_hour import session_hour
from ampacity.demand.sessions import generate, served
from ampacity.scenario.tier import Behaviour

Floats = NDArray[np.float64]

AGENTS_FROM = 0.5
"""People of whose input at least this share is found in a cache work with agents, in sessions; others ask singly."""
SESSIONS = 2000
"""Drawn sessions that the tables are made from: their context is within 2 % of that of 4,000."""
KEEP_S: Floats = np.concatenate([[0.0], np.geomspace(0.5, 3600.0, 32)])


@dataclass(frozen=True)
class Resting:
    """keep_s: how long memory keeps a context [s]. found: what is then found of what a cache without bound finds
    [0 to 1]. tokens: of contexts at rest for less than that, for one active session, mean over active time."""

    keep_s: Floats
    found: Floats
    tokens: Floats


def works_with_agents(b: Behaviour) -> bool:
    """Whether most of the input is context that was read before: sessions of agents, not single requests."""
    return b.cached_per_s.value >= AGENTS_FROM * (b.cached_per_s.value + b.uncached_per_s.value)


def resting(b: Behaviour, window_tokens: float) -> Resting | None:
    """What a session of a tier leaves at rest, on a model of so long a context; None for those who ask singly.

    Pauses and what follows them are those of the packaged model; contexts are as long as the behaviour's.
    """
    if not works_with_agents(b):
        return None
    found, tokens, context = _tables(window_tokens)
    return Resting(KEEP_S, found, tokens * (b.context_tokens.value / context))


@cache
def _tables(window_tokens: float) -> tuple[Floats, Floats, float]:
    """found and tokens for each of KEEP_S, and the mean context of a decoding sequence, helpers' contexts counted."""
    steps = generate(packaged_model(), 1, np.arange(SESSIONS, dtype=np.int64), window_tokens)
    hour = session_hour(served(steps, Service()))
    begins = steps.step == 0
    # the context that an agent's last answer leaves behind is never asked for again
    rests_s = np.where(np.append(begins[1:], True), np.inf, np.append(steps.gap_s[1:], np.inf))
    context = (steps.input_tokens + steps.output_tokens).astype(np.float64)
    again = np.where(begins, 0, steps.reusable_tokens).astype(np.float64)
    found = np.array([again[steps.gap_s <= keep].sum() for keep in KEEP_S]) / again.sum()
    tokens = np.array([np.dot(context, np.minimum(rests_s, keep)) for keep in KEEP_S]) / (hour.hours * 3600.0)
    return found, tokens, hour.context_tokens
