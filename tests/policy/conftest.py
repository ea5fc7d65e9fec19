"""What the tests of deciding share: an oracle that keeps a log of everything, and a service as small as one can be.

The oracle recomputes every window from its whole log, in whole numbers and fractions, at every question. It shares with
the program the rules of the windows as data, and no code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, time
from fractions import Fraction
from math import ceil
from types import SimpleNamespace
from typing import Any

import pytest

from ampacity.base.calendar import local_intervals_ms, utc_s, weekly_instants_ms
from ampacity.policy import limits
from ampacity.policy.book import COSTS, HELD_FIELDS, STATE_FIELDS, Book, compile_book
from ampacity.policy.rows import (
    AT_FIRST_USE,
    AT_INSTANTS,
    EVENLY,
    IN_FLIGHT,
    NEVER,
    ONE_IN_FLIGHT,
    ONE_REQUEST,
    Price,
    WindowRule,
)

HOUR_MS = 3_600_000
ZONE = "America/Chicago"
BEGIN = utc_s(date(2026, 2, 16), ZONE)  # the clocks change on 8 March and on 1 November
END = utc_s(date(2027, 2, 16), ZONE)
MONDAYS = tuple(weekly_instants_ms(BEGIN, END, "mon", time(9), ZONE))
WORKDAYS = ("mon", "tue", "wed", "thu", "fri")
PEAKS = tuple(t for pair in local_intervals_ms(BEGIN, END, WORKDAYS, time(8), time(12), ZONE) for t in pair)
FAMILIES, PRODUCTS = ("opus", "sonnet"), ("code",)
TOKENS = Price(1000, 1250, 100, 5000)
AT_PEAK = Price(1000, 1250, 100, 5000, peak_times=1580, peaks_ms=PEAKS)


def member_rules(scale: int = 1) -> list[WindowRule]:
    """A subscriber's windows: each refill rule, a filter of families, one of products, a soft edge."""
    return [
        WindowRule("five-hour", 1300_000_000 * scale, AT_FIRST_USE, 5 * HOUR_MS, AT_PEAK),
        WindowRule("weekly", 900_000_000 * scale, AT_INSTANTS, 168 * HOUR_MS, TOKENS, instants_ms=MONDAYS),
        WindowRule("weekly-opus", 300_000_000 * scale, AT_FIRST_USE, 168 * HOUR_MS, TOKENS, families=("opus",)),
        WindowRule("per-minute", 4000 * scale, EVENLY, 60_000, ONE_REQUEST),
        WindowRule("credit", 3_000_000_000, NEVER, 0, TOKENS, products=("code",), overflow=300, passing=500),
        WindowRule("parallel", 4000, IN_FLIGHT, 0, ONE_IN_FLIGHT),
    ]


def organization_rules(scale: int = 1) -> list[WindowRule]:
    """An organization's windows: an even stream of tokens with a soft edge, and a week of them."""
    return [
        WindowRule("stream", 76_543_211 * scale, EVENLY, HOUR_MS, TOKENS, overflow=250, passing=300),
        WindowRule("weekly", 2_000_000_000 * scale, AT_INSTANTS, 168 * HOUR_MS, TOKENS, instants_ms=MONDAYS),
    ]


@dataclass
class LogLimiter:
    """Keeps every event of every subscriber; answers by walking through all of them."""

    rules: dict[str, list[WindowRule]]
    logs: dict[tuple[str, int], list[tuple[Any, ...]]] = field(default_factory=dict)

    def log(self, scope: tuple[str, int], *event: Any) -> None:
        self.logs.setdefault(scope, []).append(event)

    def change(self, rules: dict[str, list[WindowRule]], now: int) -> None:
        for scope, log in self.logs.items():
            log.append(("change", now, self.rules[scope[0]], rules[scope[0]]))
        self.rules = rules

    @staticmethod
    def counts(rule: WindowRule, family: str, product: str) -> bool:
        return (rule.families is None or family in rule.families) and (
            rule.products is None or product in rule.products
        )

    @staticmethod
    def cost(price: Price, tokens: Sequence[int], began: int) -> int:
        kinds = (price.uncached, price.write, price.read, price.output)
        plain = sum(w * n for w, n in zip(kinds, tokens, strict=True)) + price.request
        pairs = zip(price.peaks_ms[::2], price.peaks_ms[1::2], strict=True)
        times = price.peak_times if any(a <= began < b for a, b in pairs) else 1000
        return ceil(Fraction(plain * times, 1000))

    def opening(self, scope: tuple[str, int], name: str, now: int) -> int:
        """What is used of a window that gives all of it back at once."""
        rule = self.rule(scope, name)
        openings: list[tuple[int | None, dict[int, int]]] = []
        for kind, t, *rest in self.logs.get(scope, []):
            if kind == "change":
                was = next(r for r in rest[0] if r.name == name)
                assert (was.refill, was.instants_ms) == (rule.refill, rule.instants_ms)
                continue
            request, costs = rest
            if kind == "reserve" and name in costs:
                if not openings or (openings[-1][0] is not None and t >= openings[-1][0]):
                    openings.append((self.end(rule, t), {}))
                openings[-1][1][request] = costs[name]
            elif kind == "settle":
                for _, amounts in openings:
                    if request in amounts:
                        amounts[request] = costs.get(name, 0)
        if not openings or (openings[-1][0] is not None and now >= openings[-1][0]):
            return 0
        return sum(openings[-1][1].values())

    @staticmethod
    def end(rule: WindowRule, t: int) -> int | None:
        if rule.refill == AT_FIRST_USE:
            return t + rule.length_ms
        return min(i for i in rule.instants_ms if i > t) if rule.refill == AT_INSTANTS else None

    def rule(self, scope: tuple[str, int], name: str) -> WindowRule:
        return next(r for r in self.rules[scope[0]] if r.name == name)

    def arrival(self, scope: tuple[str, int], name: str) -> Fraction:
        """When a store that refills evenly would be full again."""
        tat = Fraction(0)
        held: dict[int, tuple[int, int]] = {}
        log = self.logs.get(scope, [])
        change = next((e for e in log if e[0] == "change"), None)
        rule = next(r for r in (change[2] if change else self.rules[scope[0]]) if r.name == name)
        for kind, t, *rest in log:
            if kind == "change":
                before, rule = rule, next(r for r in rest[1] if r.name == name)
                if tat >= t:
                    used = ceil((tat - t) * before.size / before.length_ms)
                    tat = t + min(Fraction(min(used, 1024 * before.size), rule.size), Fraction(1024)) * rule.length_ms
                else:  # it was full: when, is kept in whole milliseconds
                    tat = Fraction(ceil(tat))
                continue
            request, costs = rest
            if kind == "reserve" and name in costs:
                tat = max(tat, Fraction(t)) + Fraction(costs[name] * rule.length_ms, rule.size)
                held[request] = (costs[name], ceil(tat))
            elif kind == "settle" and request in held:
                reserved, full = held[request]
                more = Fraction((costs.get(name, 0) - reserved) * rule.length_ms, rule.size)
                tat += more if more > 0 else -min(-more, max(full - t, 0))
                held[request] = (costs.get(name, 0), full)
        return tat

    def used(self, scope: tuple[str, int], name: str, now: int) -> int:
        rule = self.rule(scope, name)
        if rule.refill != EVENLY:
            return self.opening(scope, name, now)
        tat = self.arrival(scope, name)
        used = ceil((tat - now) * rule.size / rule.length_ms) if tat >= now else 0
        return min(used, 1024 * rule.size)  # the program's own bound: such a store owes at most 1024 times its size

    def admits(self, scope: tuple[str, int], costs: dict[str, int], now: int, draw: int) -> bool:
        for name, cost in costs.items():
            rule = self.rule(scope, name)
            if rule.refill == EVENLY:
                ahead = max(self.arrival(scope, name) - now, Fraction(0)) + Fraction(cost * rule.length_ms, rule.size)
                share = ahead / rule.length_ms
                soft = Fraction(rule.length_ms + rule.length_ms * rule.overflow // 1000, rule.length_ms)
            else:
                if self.opening(scope, name, now) + cost <= rule.size:
                    continue
                share = Fraction(self.opening(scope, name, now) + cost, max(rule.size, 1))
                soft = Fraction(rule.size + rule.size * rule.overflow // 1000, max(rule.size, 1))
            if share > 1 and not (share <= soft and draw < rule.passing):
                return False
        return True


class Service:
    """A live service in miniature, asked beside the oracle: members of one organization, requests held in a dict."""

    def __init__(self, members: int = 2) -> None:
        self.book: Book = self.compile(1, None)
        self.flat: Any = list(self.book.flat)
        self.oracle = LogLimiter({"member": member_rules(), "organization": organization_rules()})
        self.members = members
        self.state = [0] * ((members + 1) * STATE_FIELDS)
        self.rows: dict[int, tuple[list[int], int, str, str, int]] = {}
        self.now = MONDAYS[0] - HOUR_MS
        self.serial = 0

    @staticmethod
    def compile(scale: int, like: Book | None) -> Book:
        rules = {"member": member_rules(scale), "organization": organization_rules(scale)}
        return compile_book(rules, FAMILIES, PRODUCTS, like=like)

    def scopes(self, member: int) -> list[tuple[str, int]]:
        return [("member", member), ("organization", self.members)]

    def ask(self, member: int, family: str, product: str, tokens: int, most: int, draw: int) -> int | None:
        """Ask for a request; the program and the oracle agree. Returns its number if it was admitted."""
        held = [0] * (2 * HELD_FIELDS)
        costs = []
        for i, (limit, who) in enumerate(self.scopes(member)):
            at, plan, h = who * STATE_FIELDS, self.book.plan(limit, family, product), i * HELD_FIELDS
            args = (held, h, self.now, self.now + HOUR_MS, tokens, most)
            limits.hold(self.state, at, self.flat, self.book.limit(limit), plan, *args)
            slots = dict(zip((r.name for r in self.book.places[limit]), self.book.slots[limit], strict=True))
            counting = [r for r in self.oracle.rules[limit] if self.oracle.counts(r, family, product)]
            costs.append({r.name: held[h + COSTS + slots[r.name]] for r in counting})
        before = list(self.state)
        refused = limits.reserve(self.state, self.flat, held, 0, 2, self.now, draw)
        allowed = all(self.oracle.admits(s, c, self.now, draw) for s, c in zip(self.scopes(member), costs, strict=True))
        assert (refused == 0) == allowed
        if refused:
            assert self.state == before
            return None
        self.serial += 1
        for scope, c in zip(self.scopes(member), costs, strict=True):
            self.oracle.log(scope, "reserve", self.now, self.serial, c)
        self.rows[self.serial] = (held, member, family, product, self.now)
        return self.serial

    def settle(self, request: int, tokens: tuple[int, int, int, int]) -> None:
        held, member, family, product, began = self.rows.pop(request)
        for i, scope in enumerate(self.scopes(member)):
            assert limits.settle(self.state, self.flat, held, i * HELD_FIELDS, self.now, *tokens)
            assert not limits.settle(self.state, self.flat, held, i * HELD_FIELDS, self.now, *tokens)
            counting = [r for r in self.oracle.rules[scope[0]] if self.oracle.counts(r, family, product)]
            self.oracle.log(
                scope, "settle", self.now, request, {r.name: self.oracle.cost(r.price, tokens, began) for r in counting}
            )

    def release(self, request: int) -> None:
        held, member, *_ = self.rows.pop(request)
        for i, scope in enumerate(self.scopes(member)):
            assert limits.release(self.state, self.flat, held, i * HELD_FIELDS, self.now)
            self.oracle.log(scope, "settle", self.now, request, {})

    def expire(self) -> None:
        """Sweep: what nobody has settled in an hour gives back what it holds, and may still be settled."""
        for request, (held, member, *_, began) in self.rows.items():
            for i, scope in enumerate(self.scopes(member)):
                if limits.expire(self.state, self.flat, held, i * HELD_FIELDS, self.now):
                    assert self.now >= began + HOUR_MS
                    self.oracle.log(scope, "settle", self.now, request, {})

    def change(self, scale: int) -> None:
        new = self.compile(scale, self.book)
        flat = list(new.flat)
        for member in range(self.members + 1):
            limit = "member" if member < self.members else "organization"
            limits.rebase(self.state, member * STATE_FIELDS, self.flat, flat, new.limit(limit), self.now)
        self.book, self.flat = new, flat
        self.oracle.change({"member": member_rules(scale), "organization": organization_rules(scale)}, self.now)


@pytest.fixture
def policy() -> SimpleNamespace:
    """The oracle, the service beside it, and the windows they use."""
    return SimpleNamespace(**globals())
