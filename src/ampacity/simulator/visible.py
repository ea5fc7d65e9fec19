"""Which replica can be seen to do something next: a tournament over the replicas of a cell, keyed by an instant each.

A key is a lower bound (`replica.next_visible_ps`): whoever reads or writes a replica first advances it, and sets its
key again afterwards. Of several at one instant the replica with the least number wins. One flat array that is given:
the number of leaves (a power of two), the winner of every pair, the replicas themselves, and the keys.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ampacity.simulator.engine import FOREVER_PS
from ampacity.simulator.rows import Ints

LEAVES = 0


def fresh_visible(replicas: int) -> Ints:
    """A tournament in which nobody does anything."""
    leaves = 2
    while leaves < replicas:
        leaves *= 2
    tree = np.full(3 * leaves, FOREVER_PS, np.int64)
    tree[LEAVES] = leaves
    tree[leaves : 2 * leaves] = np.arange(leaves)
    for pair in range(leaves - 1, 0, -1):
        tree[pair] = tree[2 * pair]
    return tree


def first_visible(tree: Any) -> int:
    """The replica with the least key."""
    replica: int = tree[1]
    return replica


def first_visible_ps(tree: Any) -> int:
    """The least key."""
    at_ps: int = tree[2 * tree[LEAVES] + tree[1]]
    return at_ps


def set_visible(tree: Any, replica: int, at_ps: int) -> None:
    """Give a replica another key.

    The winner so far goes up in two local numbers: whom it meets on its way is known before, so that nothing waits for
    memory.
    """
    leaves = tree[LEAVES]
    keys = 2 * leaves
    tree[keys + replica] = at_ps
    winner = replica
    node = leaves + replica
    while node > 1:
        other = tree[node ^ 1]
        other_ps = tree[keys + other]
        before = other_ps < at_ps or (other_ps == at_ps and other < winner)
        winner = other if before else winner
        at_ps = other_ps if before else at_ps
        node >>= 1
        tree[node] = winner
