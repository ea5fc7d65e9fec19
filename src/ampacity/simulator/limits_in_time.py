"""The windows of a cell's tiers from instant to instant: limits change on days that a scenario's events name.

What is used of a window stays used when its limit changes (`policy/limits.py`, `rebase`), so each book keeps the places
of the one before. Windows whose size a plan finds have it while the last limit of their tier is in force; a limit that
holds only before has the sizes that it states.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from ampacity.base.calendar import day_of, utc_s
from ampacity.demand.people import HOURS, zone_of
from ampacity.policy.book import Book, compile_book
from ampacity.policy.rows import WindowRule, compile_limit
from ampacity.scenario.announced import after, days_of_change, in_force
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier

TokensFound = Mapping[str, Mapping[str, float]]
"""Tokens of windows that state none, by tier and window."""
Rules = tuple[WindowRule, ...]


@dataclass(frozen=True)
class LimitsInTime:
    """since_ms: when each book begins to hold, the first from ever. books: each like the one before; no book where no
    tier ever has a limit. rules: the windows in force, [since, tier]."""

    since_ms: tuple[int, ...]
    books: tuple[Book, ...]
    rules: tuple[tuple[Rules, ...], ...]

    def book(self, now_ms: int) -> Book | None:
        """The book in force at an instant."""
        return self.books[self._number(now_ms)] if self.books else None

    def rules_at(self, now_ms: int) -> tuple[Rules, ...]:
        """The windows in force at an instant, by tier."""
        return self.rules[self._number(now_ms)]

    def changes(self, from_ms: int) -> tuple[tuple[int, Book], ...]:
        """When limits change after an instant, and the book from then on. [ms]"""
        return tuple((ms, book) for ms, book in zip(self.since_ms, self.books, strict=False) if ms > from_ms)

    def windows(self, tier: str) -> Rules:
        """All windows that a tier ever has, in the order of their places, by which refusals are counted."""
        return self.books[-1].places.get(tier, ()) if self.books else ()

    def _number(self, now_ms: int) -> int:
        return bisect_right(self.since_ms, now_ms) - 1


NO_LIMITS = LimitsInTime((0,), (), ())


def limits_in_time(s: Scenario, tiers: Sequence[Tier], found: TokensFound) -> LimitsInTime:
    """The windows of some tiers of a scenario, each counting all that its tier does. found: as a plan has them.

    Raises LimitError where changes give a tier more windows than a book holds.
    """
    since_ms, rules = [0], [tuple(_rules(s, t, s.start, found) for t in tiers)]
    for ms in sorted({1000 * utc_s(day, zone_of(s, t)) for day in days_of_change(s) for t in tiers}):
        now = tuple(_rules(s, t, day_of(ms // 1000, zone_of(s, t)), found) for t in tiers)
        if now != rules[-1]:
            since_ms.append(ms)
            rules.append(now)
    limited = [i for i in range(len(tiers)) if any(now[i] for now in rules)]
    books: list[Book] = []
    for now in rules if limited else []:
        books.append(compile_book({tiers[i].name: now[i] for i in limited}, like=books[-1] if books else None))
    return LimitsInTime(tuple(since_ms), tuple(books), tuple(rules))


def _rules(s: Scenario, tier: Tier, day: date, found: TokensFound) -> Rules:
    """The windows of a tier on a day."""
    name = in_force(s, day).tier(tier.name).limit
    model = s.model(tier.model)
    limit = s.limit(name).counting(model.name, model.family, requests=True) if name is not None else None
    if limit is None:
        return ()
    start_s = utc_s(s.start, zone_of(s, tier))
    is_last = after(s).tier(tier.name).limit == name
    rules = compile_limit(limit, start_s, start_s + HOURS * 3600, dict(found.get(tier.name, {})) if is_last else {})
    return tuple(replace(r, families=None, products=None) for r in rules)
