"""What sessions leave in memory: laws of the tables, and a memory that drops what was idle longest, step by step."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache

import numpy as np
import pytest

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.resting import Resting, resting, works_with_agents
from ampacity.demand.service import Service
from ampacity.demand.session_hour import session_hour
from ampacity.demand.sessions import Steps, generate, served
from ampacity.scenario import lookup
from ampacity.scenario.tier import Behaviour

WINDOW = 131_072
AT_ONCE = 600
"""Sessions active at once: memory holds a hundred contexts and more, so that the room of one does not matter."""
INSTANT = Service(0.0, 0.0, 0.0, 0.0)
"""Answers that take no time: all memory is at rest."""


def behaviour(name: str = "coding-agent", window: float = WINDOW) -> Behaviour:
    return Behaviour.model_validate(lookup.behaviour(name, window))


@cache
def left(window: float = WINDOW) -> Resting:
    found = resting(behaviour(window=window), window)
    assert found is not None
    return found


@pytest.mark.parametrize("window", [32_768, 131_072, 1_000_000])
def test_the_longer_contexts_are_kept_the_more_is_found_and_the_more_memory_they_take(window: float) -> None:
    r = left(window)
    assert (r.keep_s[0], r.found[0], r.tokens[0]) == (0.0, 0.0, 0.0)
    assert np.all(np.diff(r.found) >= 0)
    assert np.all(np.diff(r.tokens) > 0)
    assert 0.98 < r.found[-1] <= 1.0


def test_longer_contexts_of_a_behaviour_rest_in_as_much_more_memory() -> None:
    b = behaviour()
    doubled = b.model_copy(
        update={"context_tokens": b.context_tokens.model_copy(update={"value": 2 * b.context_tokens.value})}
    )
    more = resting(doubled, WINDOW)
    assert more is not None
    assert more.tokens == pytest.approx(2 * left().tokens)
    assert np.array_equal(more.found, left().found)


def test_who_asks_singly_leaves_nothing_to_come_back_to() -> None:
    assert works_with_agents(behaviour())
    assert not works_with_agents(behaviour("api-client"))
    assert resting(behaviour("api-client"), WINDOW) is None


@cache
def workload() -> tuple[Steps, np.ndarray, float, float]:
    """Other sessions than those of the tables, when each step is asked on a circle of time, its length, and the mean
    context of a decoding sequence, by which tables are scaled."""
    steps = generate(packaged_model(), 9, np.arange(3000, dtype=np.int64), WINDOW)
    asked_s = served(steps, INSTANT).t_s
    hour = session_hour(served(steps, Service()))
    around_s = hour.hours * 3600.0 / AT_ONCE
    begin_s = np.random.default_rng(4).random(3000) * around_s
    return steps, (begin_s[steps.session] + asked_s) % around_s, around_s, hour.context_tokens


def found_by_lru(memory_tokens: float) -> float:
    """Of what a cache without bound finds, what a memory finds that drops whole contexts, idle longest first.

    Time runs round the circle twice; the first time fills the memory. A step takes up what the step before it left.
    """
    steps, at_s, around_s, _ = workload()
    begins = steps.step == 0
    size = (steps.input_tokens + steps.output_tokens).tolist()
    # what is asked again, and whether within one round of time
    again = np.where(begins | (steps.gap_s > around_s / 2), 0, steps.reusable_tokens).tolist()
    first = begins.tolist()
    order = np.argsort(at_s, kind="stable").tolist()
    kept: OrderedDict[int, int] = OrderedDict()
    held, found, asked = 0, 0, int(np.where(begins, 0, steps.reusable_tokens).sum())
    for lap in (0, 1):
        for i in order:
            before = None if first[i] else kept.pop(i - 1, None)
            if before is not None:
                held -= before
                found += again[i] * lap
            stale = kept.pop(i, None)  # of the lap before, if nobody came for it
            held += size[i] - (stale or 0)
            kept[i] = size[i]
            while held > memory_tokens:
                held -= kept.popitem(last=False)[1]
    return found / asked


@pytest.mark.parametrize("keep_s", [10.0, 30.0, 90.0, 300.0, 1200.0])
def test_a_memory_that_drops_what_was_idle_longest_finds_what_the_characteristic_time_says(keep_s: float) -> None:
    """At the memory that 600 sessions at once fill in that time; tables come from other sessions of the same law."""
    r = left()
    scale = workload()[3] / behaviour().context_tokens.value
    memory = AT_ONCE * scale * float(np.interp(keep_s, r.keep_s, r.tokens))
    assert found_by_lru(memory) == pytest.approx(float(np.interp(keep_s, r.keep_s, r.found)), abs=0.02)
