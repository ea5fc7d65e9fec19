"""A person's own requests under a limit: which window would have refused what, and when. Nothing leaves the machine.

Requests go one by one through `policy/limits.py`, the source that a live service runs: what each is expected to cost is
reserved, what it did cost is settled at its end. The past does not react: who is refused here asked again in the log
as they did, so a stretch of refusals is one stop that would have looked different on the day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from ampacity.demand.traces.trace import Trace
from ampacity.policy.book import HELD_FIELDS, PLACE, STATE_FIELDS, WINDOW_FIELDS, WINDOWS, Book, compile_book
from ampacity.policy.explain import Explanation, Scope, explain
from ampacity.policy.limits import hold, reserve, settle
from ampacity.policy.rows import WindowRule
from ampacity.policy.stores import used_now
from ampacity.scenario.mistakes import Mistake, Mistakes

DAY_MS = 86_400_000
MONTH_DAYS = 30
OUTPUT_MOST = 32_000
"""What an agent's request allows itself to write; only a bound on what is reserved for it. [token]"""
APART_MS = 1_800_000
"""Refusals of one window with less than this between them are one stop. [ms]"""


@dataclass(frozen=True)
class Request:
    """One request: when it came and ended [ms since 1970 UTC], its model family, its tokens."""

    at_ms: int
    end_ms: int
    family: str
    uncached: int
    cached: int
    output: int


@dataclass(frozen=True)
class Stop:
    """A window that refused a person: from when, until when it would have returned, and how many requests it refused.

    returns_ms: None is never. said: what they would have been told at the first of them.
    """

    window: str
    from_ms: int
    last_ms: int
    returns_ms: int | None
    requests: int
    said: str


@dataclass(frozen=True)
class Month:
    """What a person met under one limit. fullest: the largest share that was in use of each window at any request."""

    requests: int
    refused: int
    stops: tuple[Stop, ...]
    fullest: dict[str, float]

    @property
    def first(self) -> Stop | None:
        """The first stop, if there is any."""
        return self.stops[0] if self.stops else None


def last_month(trace: Trace, families: Sequence[str], start_s: int | None = None) -> list[Request]:
    """The requests of a trace's last 30 days, in order. start_s: where a trace without a date is put. [s]

    Raises Mistakes if its requests have no clock in common, or none of them has a time.
    """
    if not trace.shared_clock:
        message = (
            "its sessions have no clock in common, so no window can be laid over them; expected a trace with dates"
        )
        raise Mistakes([Mistake(trace.source, 0, "clock", trace.clock, message)])
    begin_s = trace.start_s if trace.clock == "unix" and trace.start_s is not None else float(start_s or 0)
    rows = trace.frame.filter(pl.col("t_s").is_not_null())
    if rows.is_empty():
        raise Mistakes([Mistake(trace.source, 0, "requests", "", "none that has a time; expected at least one")])
    latest = float(rows["t_s"].to_numpy().max())
    rows = rows.filter(pl.col("t_s") > latest - MONTH_DAYS * 86_400).sort("t_s", maintain_order=True)
    found = []
    names = ("t_s", "server_s", "model", "input_tokens", "cached_tokens", "output_tokens")
    for t_s, server_s, model, whole, cached, output in rows.select(names).iter_rows():
        at = int((begin_s + t_s) * 1000)
        held = min(cached or 0, whole or 0)
        found.append(
            Request(
                at_ms=max(at, 1),
                end_ms=max(at, 1) + int(1000 * (server_s or 0.0)),
                family=next((f for f in families if f in (model or "").lower()), ""),
                uncached=(whole or 0) - held,
                cached=held,
                output=output or 0,
            )
        )
    return found


def month_under(requests: Sequence[Request], rules: Sequence[WindowRule]) -> Month:
    """Send requests through a limit, in the order in which they came and ended.

    A log knows what was read anew, not what of it was written to the cache: it counts by `Price.of_agents`.
    """
    rules = [replace(rule, price=rule.price.of_agents) for rule in rules]
    families = tuple(dict.fromkeys(f for rule in rules for f in rule.families or ()))
    book = compile_book({"limit": rules}, families)
    state = [0] * STATE_FIELDS
    under_way: list[tuple[int, list[int], Request]] = []
    stops: list[Stop] = []
    fullest = dict.fromkeys((rule.name for rule in rules), 0.0)
    refused = 0
    for r in requests:
        under_way = _settled(under_way, state, book, r.at_ms)
        held = [0] * HELD_FIELDS
        plan = book.plan("limit", r.family)
        whole = r.uncached + r.cached
        hold(state, 0, book.flat, book.limit("limit"), plan, held, 0, r.at_ms, r.at_ms + DAY_MS, whole, OUTPUT_MOST)
        w = reserve(state, book.flat, held, 0, 1, r.at_ms, 999)
        if w:
            refused += 1
            told = explain(book, state, [Scope("limit")], r.at_ms, r.family, "", held)
            _stop(stops, told, r.at_ms)
        else:
            under_way.append((r.end_ms, held, r))
        _look(book, state, r.at_ms, fullest)
    return Month(len(requests), refused, tuple(stops), fullest)


def _settled(
    under_way: list[tuple[int, list[int], Request]], state: list[int], book: Book, now_ms: int
) -> list[tuple[int, list[int], Request]]:
    """Settle what has ended, in the order of the ends; what is still under way."""
    ended = sorted((x for x in under_way if x[0] <= now_ms), key=lambda x: x[0])
    for end_ms, held, r in ended:
        settle(state, book.flat, held, 0, end_ms, r.uncached, 0, r.cached, r.output)
    return [x for x in under_way if x[0] > now_ms] if ended else under_way


def _stop(stops: list[Stop], told: Explanation, now_ms: int) -> None:
    """Count a refusal to the stop that it belongs to, or begin one."""
    window = told.binding.window if told.binding is not None else ""
    if stops and stops[-1].window == window:
        last = stops[-1]
        if last.returns_ms is None or now_ms < last.returns_ms or now_ms - last.last_ms < APART_MS:
            stops[-1] = Stop(window, last.from_ms, now_ms, told.retry_ms, last.requests + 1, last.said)
            return
    stops.append(Stop(window, now_ms, now_ms, told.retry_ms, 1, told.sentence))


def _look(book: Book, state: list[int], now_ms: int, fullest: dict[str, float]) -> None:
    at = book.limit("limit") + WINDOWS
    for i, rule in enumerate(book.places["limit"]):
        w = at + i * WINDOW_FIELDS
        if rule.size > 0:
            share = used_now(state, book.flat[w + PLACE], book.flat, w, now_ms) / rule.size
            fullest[rule.name] = max(fullest[rule.name], share)
