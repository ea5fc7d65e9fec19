"""A heap of instants and whom to wake at them, in an array that is given: pairs of instant and number behind a count.

Of several at one instant the least number comes first, so the order does not depend on how they came in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ampacity.simulator.engine import FOREVER_PS
from ampacity.simulator.rows import Ints

COUNT = 0
PAIRS_AT = 1


def fresh_wakes(most: int) -> Ints:
    """Room for so many wakes at once."""
    return np.zeros(PAIRS_AT + 2 * most, np.int64)


def wake_at(wakes: Any, at_ps: int, who: int) -> None:
    """Add a wake. The caller has made the array large enough."""
    i = wakes[COUNT]
    wakes[COUNT] = i + 1
    while i > 0:
        above = (i - 1) >> 1
        a = PAIRS_AT + 2 * above
        if wakes[a] < at_ps or (wakes[a] == at_ps and wakes[a + 1] <= who):
            break
        wakes[PAIRS_AT + 2 * i] = wakes[a]
        wakes[PAIRS_AT + 2 * i + 1] = wakes[a + 1]
        i = above
    wakes[PAIRS_AT + 2 * i] = at_ps
    wakes[PAIRS_AT + 2 * i + 1] = who


def next_wake_ps(wakes: Any) -> int:
    """The instant of the first wake; FOREVER_PS if there is none."""
    at_ps: int = wakes[PAIRS_AT] if wakes[COUNT] > 0 else FOREVER_PS
    return at_ps


def take_wake(wakes: Any) -> int:
    """Take out the first wake, which must be there; returns whom it is for."""
    who: int = wakes[PAIRS_AT + 1]
    size = wakes[COUNT] - 1
    wakes[COUNT] = size
    last = PAIRS_AT + 2 * size
    at_ps, number = wakes[last], wakes[last + 1]
    i = 0
    while 2 * i + 1 < size:
        below = 2 * i + 1
        b = PAIRS_AT + 2 * below
        if below + 1 < size and (wakes[b + 2] < wakes[b] or (wakes[b + 2] == wakes[b] and wakes[b + 3] < wakes[b + 1])):
            below += 1
            b += 2
        if at_ps < wakes[b] or (at_ps == wakes[b] and number <= wakes[b + 1]):
            break
        wakes[PAIRS_AT + 2 * i] = wakes[b]
        wakes[PAIRS_AT + 2 * i + 1] = wakes[b + 1]
        i = below
    wakes[PAIRS_AT + 2 * i] = at_ps
    wakes[PAIRS_AT + 2 * i + 1] = number
    return who
