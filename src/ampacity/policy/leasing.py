"""A pool's slots shared by processes: what each is to have of them, from what all of them need.

Whoever knows what all hold and need computes the same targets. Nobody takes what another holds: who is to have less
sends nothing new beyond it and gives back as requests end; who is to have more takes what is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ampacity.policy.terms import Terms, TermsError

NEAR = 8  # where nobody lacks any, a difference of one slot in so many is let be


def share_of(terms: Terms, workers: int) -> Terms:
    """The terms as each of so many processes goes by them: of an hourly cap its even part, rounded down, at least 1.

    Raises TermsError if a pool has fewer slots than there are processes.
    """
    if workers == 1:
        return terms
    short = [p for s in terms.services for p in s.pools if p.slots < workers]
    if short:
        raise TermsError(
            [
                f"pool {p.name}: {p.slots} requests at once cannot be shared by {workers} processes; "
                f"give it {workers} or more, or start with {p.slots} or fewer"
                for p in short
            ]
        )
    parts = (tuple(min(n, max(n // workers, 1)) for n in c.uncached_input) for c in terms.caps)
    return replace(terms, caps=tuple(replace(c, uncached_input=own) for c, own in zip(terms.caps, parts, strict=True)))


def first_share(slots: int, workers: int, worker: int) -> int:
    """An even part of the slots; what is left over goes to the lowest."""
    return slots // workers + (worker < slots % workers)


def targets(needed: Sequence[int], slots: int) -> list[int]:
    """What each is to have, all together `slots`: at least 1 each, if there are as many.

    If all needs fit, each has what it needs and an even part of the rest; else parts go by what each needs beyond 1.
    """
    many = len(needed)
    wanted = [max(n, 1) for n in needed]
    spare = slots - sum(wanted)
    if spare >= 0:
        return [w + first_share(spare, many, i) for i, w in enumerate(wanted)]
    if slots <= many:
        return [int(i < slots) for i in range(many)]
    beyond, left = [w - 1 for w in wanted], slots - many
    whole = sum(beyond)
    parts = [b * left // whole for b in beyond]
    for i in sorted(range(many), key=lambda i: (-(beyond[i] * left % whole), i))[: left - sum(parts)]:
        parts[i] += 1
    return [1 + p for p in parts]


def next_lease(held: Sequence[int], needed: Sequence[int], me: int, in_flight: int, slots: int) -> tuple[int, int]:
    """What process `me` may run from now on, and what it holds, which is more while what it runs is more.

    held, needed: of all processes that live, `me` among them. in_flight: what it runs now.
    """
    mine, target = held[me], targets(needed, slots)[me]
    free = slots - sum(held)
    lacking = any(h < max(n, 1) for h, n in zip(held, needed, strict=True))
    if free >= 0 and not lacking and abs(target - mine) * NEAR <= slots:
        return mine, mine
    if target <= mine:
        return target, max(target, min(in_flight, mine))
    own = mine + min(target - mine, max(free, 0))
    return own, own
