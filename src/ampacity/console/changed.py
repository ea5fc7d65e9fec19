"""What other terms change of the limits, in words: which window held how much, and holds how much now."""

from __future__ import annotations

from collections.abc import Iterator

from ampacity.console.views import number
from ampacity.policy.rows import SCALE, UNLIMITED, WindowRule
from ampacity.policy.terms import Terms

SHOWN = 6


def changed(before: Terms, after: Terms) -> str:
    """Of each window whose size is another one: limit, window, what it held and holds; or that none is."""
    found = [*_changed(before, after)]
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "; ".join([*found[:SHOWN], *more]) or "no window changed its size"


def _changed(before: Terms, after: Terms) -> Iterator[str]:
    for name in dict.fromkeys([*before.limits, *after.limits]):
        old = {rule.name: rule for rule in before.limits.get(name, ())}
        new = {rule.name: rule for rule in after.limits.get(name, ())}
        for window in dict.fromkeys([*old, *new]):
            sizes = [_size(rules.get(window)) for rules in (old, new)]
            if sizes[0] != sizes[1]:
                yield f"{name} {window} {sizes[0]} to {sizes[1]}"


def _size(rule: WindowRule | None) -> str:
    if rule is None:
        return "nothing"
    return "without bound" if rule.size == UNLIMITED else number(rule.size / SCALE)
