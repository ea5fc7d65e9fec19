"""What requests of a trace have in common, told by their prefix blocks, as a replica knows it: sessions and groups.

A replica keeps of a session what its last request had, and of a group of sessions the beginning that all of them share.
An id names a block and all before it, so requests with an equal block are equal up to there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ampacity.simulator.rows import Ints

BRANCHES = 8
"""A block that so many different ones follow is a beginning that conversations share, not a conversation."""

Blocks = Sequence[Sequence[int] | None]


def shared_depth(blocks: Blocks) -> Ints:
    """How many leading blocks of each request belong to a beginning that conversations share."""
    followed: dict[int, set[int]] = {}
    for own in blocks:
        for block, after in zip(own or (), (own or ())[1:], strict=False):
            known = followed.setdefault(block, set())
            if len(known) < BRANCHES:
                known.add(after)
    depth = np.zeros(len(blocks), np.int64)
    for i, own in enumerate(blocks):
        for place, block in enumerate(own or ()):
            if len(followed.get(block, ())) >= BRANCHES:
                depth[i] = place + 1
    return depth


def continued(blocks: Blocks, depth: Ints) -> Ints:
    """Sessions, from 0: a request goes on with the last one that has its deepest known block beyond what many share.

    Requests in the order of arrival. One without blocks is a session of its own.
    """
    last_with: dict[int, int] = {}
    session = np.zeros(len(blocks), np.int64)
    many = 0
    for i, own in enumerate(blocks):
        deeper = list(own or ())[int(depth[i]) :]
        known = 0
        while known < len(deeper) and deeper[known] in last_with:
            known += 1
        if known:
            session[i] = last_with[deeper[known - 1]]
        else:
            session[i] = many
            many += 1
        for block in deeper:
            last_with[block] = int(session[i])
    return session


def alike(blocks: Blocks, session: Ints) -> Ints:
    """Leading blocks that each request has in common with the one before it of its session; requests in their order."""
    before: dict[int, Sequence[int]] = {}
    found = np.zeros(len(blocks), np.int64)
    for i, own in enumerate(blocks):
        then = before.get(int(session[i]), ())
        now = own or ()
        while found[i] < min(len(then), len(now)) and then[found[i]] == now[found[i]]:
            found[i] += 1
        before[int(session[i])] = now
    return found


def groups(blocks: Blocks, depth: Ints, input_tokens: Ints, block_tokens: int) -> tuple[Ints, tuple[int, ...]]:
    """Groups of requests that share a beginning, from 1 (0: none), and how many tokens each group shares.

    A prompt that is no longer than the beginning is of no group.
    """
    number: dict[int, int] = {}
    shared: list[int] = []
    group = np.zeros(len(blocks), np.int64)
    for i, own in enumerate(blocks):
        deep = int(depth[i])
        if own is None or deep == 0 or input_tokens[i] <= deep * block_tokens:
            continue
        key = own[deep - 1]
        if key not in number:
            number[key] = len(shared) + 1
            shared.append(deep * block_tokens)
        group[i] = number[key]
    return group, tuple(shared)
