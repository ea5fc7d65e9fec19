"""Which replica can be seen to do something next: a tournament over the replicas of a cell, keyed by an instant each.

A key is a lower bound (`replica.next_visible_ps`): whoever reads or writes a replica first advances it, and sets its key
again afterwards. Of several at one instant the replica with the least number wins. One flat array that is given: the
number of leaves (a power of two), the winner of every pair (by where its key stands), and the keys.
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
    tree = np.full(2 * leaves, FOREVER_PS, np.int64)
    tree[LEAVES] = leaves
    for pair in range(leaves - 1, 0, -1):
        tree[pair] = 2 * pair if 2 * pair >= leaves else tree[2 * pair]
    return tree


def first_visible(tree: Any) -> int:
    """The replica with the least key."""
    replica: int = tree[1] - tree[LEAVES]
    return replica


def first_visible_ps(tree: Any) -> int:
    """The least key."""
    at_ps: int = tree[tree[1]]
    return at_ps


def set_visible(tree: Any, replica: int, at_ps: int) -> None:
    """Give a replica another key."""
    leaf = tree[LEAVES] + replica
    tree[leaf] = at_ps
    left = leaf & ~1
    winner = left + 1 if tree[left + 1] < tree[left] else left
    pair = leaf >> 1
    while tree[pair] != winner or winner == leaf:  # where another had won and still does, nothing changes above
        tree[pair] = winner
        if pair == 1:
            return
        left = tree[pair & ~1]
        right = tree[pair | 1]
        winner = right if tree[right] < tree[left] else left
        pair >>= 1
