"""What other terms change, in words: what comes and goes, which window held how much, and holds how much now."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ampacity.console.views import duration, number
from ampacity.policy.rows import SCALE, UNLIMITED, WindowRule
from ampacity.policy.terms import Terms

SHOWN = 6


def changed(before: Terms, after: Terms) -> str:
    """What comes and goes; of each window whose size or length is another one what it held and holds; or none does."""
    found = [*_come_and_gone(before, after), *_changed(before, after)]
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "; ".join([*found[:SHOWN], *more]) or "no window holds more or less"


def _come_and_gone(before: Terms, after: Terms) -> Iterator[str]:
    named: tuple[tuple[str, Callable[[Terms], list[str]]], ...] = (
        ("model", lambda terms: list(terms.aliases())),
        ("tier", lambda terms: [t.name for t in terms.tiers]),
        ("pool", lambda terms: [p.name for s in terms.services for p in s.pools]),
    )
    for what, of in named:
        old, new = of(before), of(after)
        yield from (f"{what} {name} comes" for name in new if name not in old)
        yield from (f"{what} {name} goes" for name in old if name not in new)


def _changed(before: Terms, after: Terms) -> Iterator[str]:
    for name in dict.fromkeys([*before.limits, *after.limits]):
        old = {rule.name: rule for rule in before.limits.get(name, ())}
        new = {rule.name: rule for rule in after.limits.get(name, ())}
        for window in dict.fromkeys([*old, *new]):
            was, is_ = old.get(window), new.get(window)
            longer = was is not None and is_ is not None and was.length_ms != is_.length_ms
            sizes = [_holds(rule, longer) for rule in (was, is_)]
            if sizes[0] != sizes[1]:
                yield f"{name} {window} {sizes[0]} to {sizes[1]}"


def _holds(rule: WindowRule | None, length: bool) -> str:
    """What a window holds; length: and in how long."""
    if rule is None:
        return "nothing"
    size = "without bound" if rule.size == UNLIMITED else number(rule.size / SCALE)
    return f"{size} in {duration(rule.length_ms / 1000)}" if length else size
