"""Requests that stand alone, laid into the stretches in which people chat and clients are active.

Inside a stretch they come by a Poisson law at its pace. Lengths are those of the public chat trace (`chat.py`), inputs
scaled so that their mean is the behaviour's; what of an input is cached is the behaviour's share of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ampacity.demand import draws
from ampacity.demand.asked import Asked
from ampacity.demand.chat import chat_law
from ampacity.demand.sessions import Steps
from ampacity.demand.stretches import Stretches, poisson_at
from ampacity.scenario.tier import Behaviour

Ints = NDArray[np.int64]

OUTPUT_MEAN = 211.0
"""Tokens of an answer where nothing else is known: the mean of the chat trace."""
STRETCHES_MOST, REQUESTS_MOST = 1 << 20, 1 << 20


def single_requests(b: Behaviour, wanted: Stretches, seed: int, name: str = "", begin: int = 0) -> Asked:
    """What the people of these stretches ask, each request a session of its own.

    b: their behaviour; its output per active second over the mean answer is their rate. begin: number of the first
    person, as in `stretches`. A portion of the people asks what it asks among all.
    """
    law = chat_law(0.0)
    per_s = b.output_per_s.value / OUTPUT_MEAN
    input_mean = (b.uncached_per_s.value + b.cached_per_s.value) / per_s
    owner = np.repeat(np.arange(len(wanted.first) - 1), np.diff(wanted.first))
    key = (owner + begin) * STRETCHES_MOST + np.arange(len(owner)) - wanted.first[owner]
    state = draws.then(draws.bits(seed, "single", name), key)
    mean = wanted.active_ms / 1000.0 * wanted.pace * per_s
    many = np.minimum(poisson_at(draws.as_uniform(draws.then(state, "how many")), mean), REQUESTS_MOST - 1)
    of = np.repeat(np.arange(len(owner)), many)
    place = np.arange(len(of)) - np.repeat(np.cumsum(many) - many, many)
    each = draws.then(state[of], place)
    inside = draws.as_uniform(draws.then(each, "when"))
    at_s = (wanted.begin_ms[of] + inside * wanted.active_ms[of]) / 1000.0
    which = (draws.then(each, "which") >> np.uint64(48)).astype(np.int64)
    inputs = np.maximum(np.rint(law.input_tokens[which] * (input_mean / law.input_tokens.mean())), 2).astype(np.int64)
    outputs = np.maximum(np.rint(law.output_tokens[which] * (OUTPUT_MEAN / law.output_tokens.mean())), 1)
    cached = b.cached_per_s.value / (b.uncached_per_s.value + b.cached_per_s.value)
    nothing = np.zeros(len(of), np.int64)
    steps = Steps(
        session=key[of] * REQUESTS_MOST + place,
        agent=nothing,
        step=nothing,
        start_step=nothing,
        user_started=np.ones(len(of), np.bool_),
        gap_s=np.zeros(len(of)),
        input_tokens=inputs,
        reusable_tokens=np.minimum(np.floor(inputs * cached), inputs - 1).astype(np.int64),
        output_tokens=outputs.astype(np.int64),
    )
    return Asked(steps, steps.session, at_s, owner[of] + begin, at_s)
