"""What one decision costs: interpreted, compiled, over a million subscribers, and beside two libraries.

The libraries are `limits` and `throttled-py`, with their storage in memory; install them to see them. They know single
windows of requests; each is asked on those that both sides have.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ampacity.base.compiled import compiled
from ampacity.policy.book import HELD_FIELDS, STATE_FIELDS, Book, compile_book
from ampacity.policy.limits import hold, reserve, settle
from ampacity.policy.rows import (
    AT_FIRST_USE,
    AT_INSTANTS,
    EVENLY,
    IN_FLIGHT,
    ONE_IN_FLIGHT,
    ONE_REQUEST,
    Price,
    WindowRule,
)
from measure import arguments, cpu_s, publish

HOUR_MS, NOW = 3_600_000, 1_795_000_000_000
TOKENS = Price(1000, 1250, 100, 5000)
FOUR = [
    WindowRule("five-hour", 10**17, AT_FIRST_USE, 5 * HOUR_MS, TOKENS),
    WindowRule("weekly", 10**17, AT_INSTANTS, 168 * HOUR_MS, TOKENS, instants_ms=(NOW - 1, NOW + 50 * HOUR_MS)),
    WindowRule("per-minute", 10**13, EVENLY, 60_000, ONE_REQUEST),
    WindowRule("parallel", 10**13, IN_FLIGHT, 0, ONE_IN_FLIGHT),
]
EVEN = [WindowRule(name, 10**13, EVENLY, 60_000, ONE_REQUEST) for name in ("a", "b", "c", "d")]
FIXED = [WindowRule("hour", 10**13, AT_FIRST_USE, HOUR_MS, ONE_REQUEST)]
BATCH = 200


def many(state, book, limit, plan, held, who, now_ms, steps):  # type: ignore[no-untyped-def]
    """Hold (1 step), reserve (2), settle (3) a request of each subscriber in `who`; returns how many were refused."""
    refused = 0
    for i in range(len(who)):
        hold(state, who[i], book, limit, plan, held, 0, now_ms + i, now_ms + i, 100_000, 32_000)
        if steps >= 2 and reserve(state, book, held, 0, 1, now_ms + i, 0) > 0:
            refused += 1
        if steps >= 3:
            settle(state, book, held, 0, now_ms + i, 700, 0, 100_000, 220)
    return refused


def interpreted_us(rules: list[WindowRule], repeats: int) -> list[float]:
    """Least microseconds of hold, reserve, settle, each over a batch of requests in flight at once."""
    book = compile_book({"l": rules})
    limit, plan, flat = book.limit("l"), book.plan("l"), book.flat
    state, held = [0] * STATE_FIELDS, [0] * (BATCH * HELD_FIELDS)
    rows = range(0, BATCH * HELD_FIELDS, HELD_FIELDS)
    now = NOW

    def hold_all() -> None:
        for h in rows:
            hold(state, 0, flat, limit, plan, held, h, now, now, 100_000, 32_000)

    def reserve_all() -> None:
        for h in rows:
            if reserve(state, flat, held, h, 1, now, 0):
                raise AssertionError("the benchmark's windows are meant to admit all")

    def settle_all() -> None:
        for h in rows:
            settle(state, flat, held, h, now, 700, 0, 100_000, 220)

    best = [float("inf")] * 3
    for _ in range(repeats):
        now += 1000
        for i, part in enumerate((hold_all, reserve_all, settle_all)):
            best[i] = min(best[i], cpu_s(part, 1) / BATCH * 1e6)
    return best


def refused_us(repeats: int) -> float:
    """Least microseconds of `reserve` where three windows admit and the last refuses, so that all is put back."""
    book = compile_book({"l": [*FOUR[:3], WindowRule("nothing", 0, EVENLY, 60_000, ONE_REQUEST)]})
    state, held = [0] * STATE_FIELDS, [0] * HELD_FIELDS
    hold(state, 0, book.flat, book.limit("l"), book.plan("l"), held, 0, NOW, NOW, 100_000, 32_000)

    def reserve_all() -> None:
        for _ in range(BATCH):
            if not reserve(state, book.flat, held, 0, 1, NOW, 0):
                raise AssertionError("the last window is meant to refuse")

    return cpu_s(reserve_all, repeats) / BATCH * 1e6


def compiled_ns(book: Book, subscribers: int, count: int, repeats: int) -> list[float]:
    """Least nanoseconds of hold, reserve, settle, one request at a time, of subscribers drawn at random."""
    fast = compiled(many).many
    who = np.random.default_rng(1).integers(0, subscribers, count) * STATE_FIELDS
    flat = np.array(book.flat)
    state, held = np.zeros(subscribers * STATE_FIELDS, np.int64), np.zeros(HELD_FIELDS, np.int64)
    args = state, flat, book.limit("l"), book.plan("l"), held, who, NOW
    fast(*args, 3)
    whole = [float("inf")] * 3
    for _ in range(repeats):
        for steps in (1, 2, 3):
            whole[steps - 1] = min(whole[steps - 1], cpu_s(lambda n=steps: fast(*args, n), 1) / count * 1e9)  # type: ignore[misc]
    return [whole[0], whole[1] - whole[0], whole[2] - whole[1]]


def call_us(repeats: int) -> float:
    """Least microseconds of a loop that calls a function that does nothing: how fast the machine is just now."""

    def nothing(a: object, b: object, c: int, d: int, e: int, f: int, g: int) -> int:
        return c

    def loop() -> None:
        for h in range(BATCH):
            nothing(FOUR, FOUR, h, h, h, h, h)

    return cpu_s(loop, repeats * 5) / BATCH * 1e6


def one_window(rules: list[WindowRule]) -> Callable[[], bool]:
    """Ask ours for one request, exact cost."""
    book = compile_book({"l": rules})
    limit, plan, flat = book.limit("l"), book.plan("l"), book.flat
    state, held = [0] * STATE_FIELDS, [0] * HELD_FIELDS

    def ask() -> bool:
        hold(state, 0, flat, limit, plan, held, 0, NOW, NOW, 0, 0)
        return reserve(state, flat, held, 0, 1, NOW, 0) == 0  # `hold` overwrites the row: what it took stays taken

    return ask


def library(*modules: str) -> Any:
    """An installed package; a script beside this one has the name of one of them."""
    here, sys.path[:] = sys.path[:], [p for p in sys.path if Path(p).resolve() != Path(__file__).resolve().parent]
    try:
        for module in modules:
            importlib.import_module(module)
        return sys.modules[modules[0].partition(".")[0]]
    finally:
        sys.path[:] = here


def peers(requests: int) -> dict[str, Callable[[], bool]]:
    """What the libraries offer of windows that ours has too, each a function that asks for one request."""
    found: dict[str, Callable[[], bool]] = {}
    try:
        limits = library("limits.strategies", "limits.storage")
        limiter = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())
        item = limits.RateLimitItemPerHour(requests)
        found["limits, fixed window"] = lambda: limiter.hit(item, "a")
    except ImportError:
        print("limits is not installed: pip install limits")
    try:
        throttled = library("throttled")
        for using in ("fixed_window", "token_bucket", "gcra"):
            quota = throttled.per_hour(requests, burst=requests)
            ask = throttled.Throttled(key="a", using=using, quota=quota, store=throttled.MemoryStore())
            found[f"throttled-py, {using.replace('_', ' ')}"] = lambda ask=ask: not ask.limit().limited  # type: ignore[misc]
    except ImportError:
        print("throttled-py is not installed: pip install throttled-py")
    return found


def asked_us(ask: Callable[[], bool], count: int, repeats: int) -> float:
    """Least microseconds of one question."""
    return cpu_s(lambda: [ask() for _ in range(count)], repeats) / count * 1e6


def installed(package: str) -> str:
    """Its version, or that there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "")
    repeats, count = (3, 20_000) if options.smoke else (200, 1_000_000)
    figures: dict[str, Any] = {"interpreted, a call that does nothing, CPU us": call_us(repeats)}
    for name, rules in (("five-hour, weekly, per minute, in flight", FOUR), ("four that refill evenly", EVEN)):
        for part, us in zip(("hold", "reserve", "settle"), interpreted_us(rules, repeats), strict=True):
            figures[f"interpreted, {name}: {part}, CPU us"] = us
    figures["interpreted, refused by the last of four: reserve, CPU us"] = refused_us(repeats)
    book = compile_book({"l": FOUR})
    for subscribers, words in ((1, "one subscriber"), (count, f"{count:,} subscribers")):
        for part, ns in zip(
            ("hold", "reserve", "settle"), compiled_ns(book, subscribers, count, min(repeats, 15)), strict=True
        ):
            figures[f"compiled, {words}: {part}, CPU ns"] = ns
    if not options.smoke:
        asks = 5000
        ours = {"fixed window": one_window(FIXED), "refills evenly": one_window([EVEN[0]])}
        us = {name: asked_us(ask, asks, 40) for name, ask in ours.items()}
        figures |= {f"ours, one window, {name}, CPU us": value for name, value in us.items()}
        for name, ask in peers(10**9).items():
            same = "fixed window" if "fixed" in name else "refills evenly"
            figures[f"{name}, CPU us"] = value = asked_us(ask, asks, 40)
            figures[f"{name}, over ours"] = value / us[same]
        for name, ask in peers(1000).items():
            figures[f"{name}: admits of 1,500 asked of 1,000 an hour"] = sum(ask() for _ in range(1500))
        for name, rule in (("fixed window", FIXED[0]), ("refills evenly", EVEN[0])):
            thousand = WindowRule(rule.name, 1_000_000, rule.refill, HOUR_MS, ONE_REQUEST)
            ask = one_window([thousand])
            figures[f"ours, {name}: admits of 1,500 asked of 1,000 an hour"] = sum(ask() for _ in range(1500))
    figures |= {package: installed(package) for package in ("numba", "limits", "throttled-py")}
    publish("stores: one decision", figures, options.json)


if __name__ == "__main__":
    main()
