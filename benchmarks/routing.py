"""What one choice of a replica and one pass through the queue cost: interpreted and compiled, by size."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from ampacity.base.compiled import compiled
from ampacity.policy.homes import home_of, home_within
from ampacity.policy.line import E_CHARGE, PERSON_FIELDS, fresh_queue
from ampacity.policy.mixing import mixed
from ampacity.policy.queueing import correct, dequeue, enqueue, pass_through
from ampacity.policy.routing import (
    R_BACKLOG,
    REPLICA_FIELDS,
    at_random,
    better_of_two,
    in_turn,
    late_bound,
    least,
    replica_rows,
    soonest,
)
from ampacity.policy.stores import FOREVER
from measure import arguments, cpu_s, publish

RULES = (
    "random",
    "round robin",
    "two choices",
    "least backlog",
    "home, bounded load",
    "home",
    "prefix-aware",
    "late binding, leaves home",
    "late binding, stays",
)


def choices(cell, count, cached, draws, rule):  # type: ignore[no-untyped-def]
    """Choose a replica for each draw by one rule; what is chosen becomes busier, so that choices differ."""
    chosen = 0
    for n in range(len(draws)):
        draw = draws[n]
        if rule == 0:
            chosen = at_random(cell, 0, count, 1, draw)
        elif rule == 1:
            chosen = in_turn(cell, 0, count, 1, n) % count
        elif rule == 2:
            chosen = better_of_two(cell, 0, count, R_BACKLOG, 1, draw)
        elif rule == 3:
            chosen = least(cell, 0, count, R_BACKLOG, 1, n)
        elif rule == 4:
            chosen = home_within(cell, 0, count, draw, R_BACKLOG, 1000, 125, 1)
        elif rule == 5:
            chosen = home_of(cell, 0, count, draw, 1)
        elif rule == 6:
            chosen = soonest(cell, 0, count, cached, 0, 2, 60_000, 1, n)
        elif rule == 7:
            chosen = late_bound(cell, 0, count, n % count, 57_000, 0, 1, 1, 60_000, 1, n)
        else:
            chosen = late_bound(cell, 0, count, n % count, 57_000, 0, 1 << 56, 16, 60_000, 1, n)
        cell[chosen * REPLICA_FIELDS + R_BACKLOG] = (cell[chosen * REPLICA_FIELDS + R_BACKLOG] + draw % 4096) % 50_000
    return chosen


def rounds(queue, people, who, draws, waits):  # type: ignore[no-untyped-def]
    """One asks and the next is taken and settled, for each of `who`, while so many wait as were there before."""
    done = 0
    for n in range(len(who)):
        p = who[n] * PERSON_FIELDS
        if waits == 0:
            pass_through(queue, people, p, who[n] % 3, 1 + draws[n] % 8192, n)
        else:
            enqueue(queue, people, p, who[n] % 3, 1 + draws[n] % 8192, n, FOREVER)
            e = dequeue(queue, people)
            correct(queue, people, p, queue[e + E_CHARGE], 1 + draws[n] % 4096)
            done += 1
    return done


def decision_s(
    make: Callable[[list[int]], Any], function: Any, count: int, rule: int, times: int, repeats: int
) -> float:
    """Least seconds of one choice among `count` replicas."""
    cell = make(replica_rows(range(count), 100_000))
    draws = make([mixed(n) for n in range(times)])
    cached = make([n % 60_000 for n in range(count)])
    function(cell, count, cached, draws, rule)
    return cpu_s(lambda: function(cell, count, cached, draws, rule), repeats) / times


def queue_s(make: Callable[[list[int]], Any], function: Any, waiting: int, times: int, repeats: int) -> float:
    """Least seconds of joining, being taken and being settled, while `waiting` others wait."""
    persons = max(2 * waiting, 100)
    plain, people = fresh_queue([1000, 2000, 4000], waiting + 1, 2), [0] * (persons * PERSON_FIELDS)
    for n in range(waiting):
        enqueue(plain, people, n * PERSON_FIELDS, n % 3, 1 + mixed(n) % 8192, 0, FOREVER)
    queue, rows = make(plain), make(people)
    who, draws = make([mixed(n) % persons for n in range(times)]), make([mixed(n + times) for n in range(times)])
    function(queue, rows, who, draws, waiting)
    return cpu_s(lambda: function(queue, rows, who, draws, waiting), repeats) / times


def int64(values: list[int]) -> Any:
    """An array as compiled code takes it."""
    return np.array(values, np.int64)


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "")
    repeats, fast, slow = (2, 20_000, 200) if options.smoke else (15, 200_000, 1000)
    sizes = (8, 64) if options.smoke else (8, 64, 128)
    kernel = compiled(choices, rounds)
    figures: dict[str, Any] = {}
    for rule, name in enumerate(RULES):
        for count in sizes:
            seconds = decision_s(int64, kernel.choices, count, rule, fast, repeats)
            figures[f"compiled, {count} replicas: {name}, CPU ns"] = seconds * 1e9
    for rule, name in enumerate(RULES):
        for count in sizes:
            seconds = decision_s(list, choices, count, rule, slow, repeats)
            figures[f"interpreted, {count} replicas: {name}, CPU us"] = seconds * 1e6
    for waiting in (0, 10, 1000) if options.smoke else (0, 10, 1000, 100_000):
        words = f"{waiting:,} wait" if waiting else "nobody waits"
        figures[f"compiled, queue, {words}, CPU ns"] = queue_s(int64, kernel.rounds, waiting, fast, repeats) * 1e9
        if waiting <= 1000:
            figures[f"interpreted, queue, {words}, CPU us"] = queue_s(list, rounds, waiting, 5 * slow, repeats) * 1e6
    figures["numba"] = version("numba")
    publish("routing and queueing: one decision", figures, options.json)


if __name__ == "__main__":
    main()
