"""`ampacity compare A B --log`: a person's own last month under both schemes, in words, as data and as a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ampacity.demand.own_month import Month, Stop
from ampacity.demand.traces.trace import Trace
from ampacity.planner.own_limits import ENDS, OwnLimit, OwnMonth, own_month
from ampacity.reporting.catalog_views import View
from ampacity.reporting.chapter import Chapter, Table
from ampacity.reporting.compare_view import as_text
from ampacity.reporting.compare_words import rough
from ampacity.reporting.page import FOOTER, Report, rendered
from ampacity.reporting.verdict_words import DISCLAIMER
from ampacity.reporting.words import count, digits, tokens

PRIVATE = "Only counts and times were read, no text; nothing has left this machine."
PAST = (
    "The log does not react: after a refusal it asks on as it did on the day, so stops are told by when they began, "
    "not by what they would have led to."
)
SHOWN_STOPS = 8
DAY_MS = 86_400_000
Clock = Callable[[int], str]


@dataclass(frozen=True)
class OwnMonthView(View):
    """The same as text, data, and for the page: sentences, tables, footer."""

    title: str
    said: tuple[str, ...]
    tables: tuple[Table, ...]
    footer: str
    version: str


def own_month_view(a: str, b: str, trace: Trace, *, on: str | None = None, plan: str | None = None) -> OwnMonthView:
    """A month under both schemes. Raises Mistakes as `own_month` does."""
    from importlib.metadata import version

    m = own_month(a, b, trace, on=on, plan=plan)
    first, second = (s.label for s in m.comparison.schemes)
    said = tuple(_sentences(m, trace))
    tables = (_overview(m), *(_stops(x, _clock(m)) for x in m.limits if x.value.stops))
    title = f"{first} against {second}: your own last month"
    lines = [title, "", *(f"  {s}" for s in said)]
    for t in tables:
        lines += ["", *as_text(t)]
    footer = f"{PRIVATE} {DISCLAIMER if m.comparison.public else FOOTER}"
    return OwnMonthView("\n".join(lines), _data(m, said), title, said, tables, footer, version("ampacity"))


def own_month_page(v: OwnMonthView) -> Report:
    """The page of a month."""
    chapters = [
        Chapter("answer", "Your month", list(v.said)),
        Chapter("windows", "Window by window", [], tables=v.tables),
    ]
    return rendered(v.title, chapters, footer=v.footer, version=v.version)


def _sentences(m: OwnMonth, trace: Trace) -> list[str]:
    n = len(m.requests)
    first_ms, last_ms = m.requests[0].at_ms, m.requests[-1].at_ms
    whole = sum(r.uncached + r.cached + r.output for r in m.requests)
    when = (
        f"from {_day(first_ms)} to {_day(last_ms)}" if m.dated else f"over {digits((last_ms - first_ms) / DAY_MS)} days"
    )
    said = [f"{count(n)} requests {when}, {tokens(whole)} tokens in all."]
    for plan in dict.fromkeys(x.plan for x in m.limits):
        said += [_sentence(x, _clock(m)) for x in m.limits if x.plan == plan]
    if not m.dated:
        said.append(
            "The trace has no date: days are counted, and weeks run as if it began on the scenario's first day."
        )
    if trace.malformed.count:
        said.append(f"{count(trace.malformed.count)} lines could not be read and are left out.")
    said.append(PAST)
    if any(x.is_range for x in m.limits):
        said.append(
            "What a window holds in tokens is not published: the counts in brackets are for the least and the most."
        )
    return [*said, PRIVATE, *([DISCLAIMER] if m.comparison.public else [])]


def _sentence(x: OwnLimit, clock: Clock) -> str:
    """One plan under one scheme: "pro under 2026-05-06: ..."."""
    who = f"{x.plan} under {x.scheme}"
    stops, least = x.value.stops, len(x.high.stops)
    span = f" ({least} to {len(x.low.stops)})" if x.is_range else ""
    if not stops:
        fullest = max(x.value.fullest.items(), key=lambda kv: kv[1], default=("", 0.0))
        near = f"; the {fullest[0]} window was at most {rough(fullest[1])} full" if fullest[0] else ""
        return f"{who}: no window would have refused anything{' at the stated values' + span if span else ''}{near}."
    by = {w: sum(s.window == w for s in stops) for w in dict.fromkeys(s.window for s in stops)}
    named = " and ".join(f"the {w} window {_times(k)}" for w, k in by.items())
    return (
        f"{who}: {count(x.value.refused)} of {count(x.value.requests)} requests refused in {len(stops)} "
        f"{'stop' if len(stops) == 1 else 'stops'}{span}, {named}; first {_when(stops[0], clock)}."
    )


def _times(k: int) -> str:
    return {1: "once", 2: "twice"}.get(k, f"{k} times")


def _when(s: Stop, clock: Clock) -> str:
    until = "which does not return" if s.returns_ms is None else f"until {clock(s.returns_ms)}"
    return f"on {clock(s.from_ms)}, by the {s.window} window, {until}"


def _clock(m: OwnMonth) -> Clock:
    """How instants of a month are told."""
    return lambda ms: _instant(ms, None if m.dated else m.requests[0].at_ms // DAY_MS)


def _instant(ms: int, day_one: int | None) -> str:
    """An instant as its date, or as a day counted from `day_one` [days since 1970] where the trace has no dates."""
    day = _day(ms) if day_one is None else f"day {ms // DAY_MS - day_one + 1}"
    return f"{day}, {datetime.fromtimestamp(ms / 1000, UTC):%H:%M}{' UTC' if day_one is None else ''}"


def _day(ms: int) -> str:
    t = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{t:%A} {t.day} {t:%B}"


def _overview(m: OwnMonth) -> Table:
    rows = [
        (
            x.plan,
            x.scheme,
            *(f"{len(getattr(x, side).stops)} ({count(getattr(x, side).refused)})" for side in ENDS),
            ", ".join(f"{w} {rough(v)}" for w, v in x.value.fullest.items()) or "no window",
        )
        for x in m.limits
    ]
    columns = ("plan", "scheme", "stops (requests), least", "stated", "most tokens a window", "fullest, stated")
    return Table("Stops of the month, by what a window holds", columns, rows, text_columns=2)


def _stops(x: OwnLimit, clock: Clock) -> Table:
    rows = [
        (
            clock(s.from_ms),
            s.window,
            count(s.requests),
            "never" if s.returns_ms is None else clock(s.returns_ms),
        )
        for s in x.value.stops[:SHOWN_STOPS]
    ]
    more = len(x.value.stops) - SHOWN_STOPS
    rest = f"; {more} more" if more > 0 else ""
    return Table(
        f"{x.plan} under {x.scheme}{rest}", ("from", "window", "requests refused", "would have returned"), rows, 2
    )


def _data(m: OwnMonth, said: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for x in m.limits:
        found.setdefault(x.scheme, {})[x.plan] = {
            "stops": {side: len(getattr(x, side).stops) for side in ENDS},
            "refused": {side: getattr(x, side).refused for side in ENDS},
            "requests": x.value.requests,
            "fullest": x.value.fullest,
            "by_window": _by_window(x.value),
            "first": asdict(x.value.first) if x.value.first else None,
            "all": [asdict(s) for s in x.value.stops],
        }
    return {
        "from_ms": m.requests[0].at_ms,
        "to_ms": m.requests[-1].at_ms,
        "dated": m.dated,
        "schemes": found,
        "answer": list(said),
    }


def _by_window(month: Month) -> dict[str, int]:
    return {w: sum(s.window == w for s in month.stops) for w in month.fullest}
