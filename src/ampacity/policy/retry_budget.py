"""How many tries beyond the first a service allows itself, so that a pool that fails is not hit by its own retries too.

If every request were tried three times, a pool that fails for being overloaded would get three times the load. So first
tries earn a share of a retry each, and time a few more, that a service with little to do can retry too; what is not
needed piles up to a reserve. In any span there are at most share x first tries + the few + the reserve. The idea is
Finagle's ("Retry Budgets", 2016: 20 % and a minimum) and Linkerd's, whose earnings expire after a while; here the
reserve bounds them. Envoy's budget is a share of the requests under way instead.

    rules    BUDGET_RULES of a service, see `budget_rules`
    budget   BUDGET_FIELDS of the same; fresh rows are zeros, a whole reserve

    B_MISSING   what is missing from the reserve, in parts of a retry: 100 x span_ms are one, so nothing is rounded
    B_MARK_MS   until when time has been counted [ms]

A clock that steps back earns nothing until it has caught up.
"""

from __future__ import annotations

from ampacity.policy.book import Flat, Row

Y_PERCENT, Y_LEAST, Y_SPAN_MS, Y_RESERVE, BUDGET_RULES = range(5)
B_MISSING, B_MARK_MS, BUDGET_FIELDS = range(3)

PERCENT_EARNED_MOST = 1000
LEAST_MOST = 1 << 14
SPAN_MOST_MS = 1 << 20
RESERVE_MOST = 1 << 20
IDLE_MOST_MS = 1 << 40  # fills any reserve at one retry a span; times 100 x LEAST_MOST it stays below 2^61


def budget_rules(percent: int = 20, least: int = 10, span_ms: int = 10_000, reserve: int = 100) -> list[int]:
    """Rules as a row.

    percent: of a retry that each first try earns, 0 to 1,000. least: retries that each span_ms earns. reserve: retries
    that may pile up, at least 1. Raises ValueError with every mistake.
    """
    mistakes = [
        f"{what} is {found}, expected {low} to {high}"
        for what, found, low, high in (
            ("percent", percent, 0, PERCENT_EARNED_MOST),
            ("least", least, 0, LEAST_MOST),
            ("span_ms", span_ms, 1, SPAN_MOST_MS),
            ("reserve", reserve, 1, RESERVE_MOST),
        )
        if not low <= found <= high
    ]
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return [percent, least, span_ms, reserve]


def note_try(budget: Row, b: int, rules: Flat, g: int) -> None:
    """A request is tried for the first time; retries earn nothing."""
    _earn(budget, b, rules[g + Y_PERCENT] * rules[g + Y_SPAN_MS])


def may_retry(budget: Row, b: int, rules: Flat, g: int, now_ms: int) -> bool:
    """Whether a request may be tried once more; if so, that is taken from the budget: ask when it has where to go."""
    if retries_left(budget, b, rules, g, now_ms) < 1:
        return False
    budget[b + B_MISSING] += 100 * rules[g + Y_SPAN_MS]
    return True


def retries_left(budget: Row, b: int, rules: Flat, g: int, now_ms: int) -> int:
    """How many more tries there may be now."""
    _count_time(budget, b, rules, g, now_ms)
    one = 100 * rules[g + Y_SPAN_MS]
    return (rules[g + Y_RESERVE] * one - budget[b + B_MISSING]) // one


def _count_time(budget: Row, b: int, rules: Flat, g: int, now_ms: int) -> None:
    passed_ms = now_ms - budget[b + B_MARK_MS]
    if passed_ms > 0:
        budget[b + B_MARK_MS] = now_ms
        _earn(budget, b, min(passed_ms, IDLE_MOST_MS) * 100 * rules[g + Y_LEAST])


def _earn(budget: Row, b: int, parts: int) -> None:
    missing = budget[b + B_MISSING] - parts
    budget[b + B_MISSING] = missing if missing > 0 else 0
