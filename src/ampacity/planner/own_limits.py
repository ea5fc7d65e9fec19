"""One person's month under two schemes, plan by plan, at both ends of what a window may hold in tokens."""

from __future__ import annotations

from dataclasses import dataclass

from ampacity.base.calendar import utc_s
from ampacity.demand.own_month import Month, Request, last_month, month_under
from ampacity.demand.traces.trace import Trace
from ampacity.planner.compare import tokens_found
from ampacity.planner.schemes import Comparison, comparison
from ampacity.policy.rows import compile_limit
from ampacity.scenario.limit import Limit, Window
from ampacity.scenario.mistakes import Mistake, Mistakes, nearest

ENDS = ("low", "value", "high")


@dataclass(frozen=True)
class OwnLimit:
    """A month under one scheme's limit for one plan, if its windows hold the least, the stated and the most tokens."""

    scheme: str
    plan: str
    low: Month
    value: Month
    high: Month
    is_range: bool


@dataclass(frozen=True)
class OwnMonth:
    """requests: those looked at; dated: whether their instants are real. limits: a scheme and plan each."""

    comparison: Comparison
    requests: tuple[Request, ...]
    dated: bool
    limits: tuple[OwnLimit, ...]


def own_month(a: str, b: str, trace: Trace, *, on: str | None = None, plan: str | None = None) -> OwnMonth:
    """Send the last month of a person's trace through both schemes.

    plan: only this tier. Raises Mistakes for schemes that are none, an unknown plan, or a trace without a clock.
    """
    c = comparison(a, b, on)
    if plan is not None and plan not in c.tiers:
        message = f"no plan of that name under both; {nearest(plan, c.tiers)}"
        raise Mistakes([Mistake("compare", 0, "--plan", plan, message)])
    limits = {name: c.scenario.limit(name) for s in c.schemes for name in s.limits.values() if name is not None}
    families = tuple(
        dict.fromkeys(f for limit in limits.values() for w in limit.windows if w.models != "all" for f in w.models)
    )
    requests = last_month(trace, families, utc_s(c.scenario.start))
    begin, end = requests[0].at_ms // 1000 - 8 * 86_400, requests[-1].at_ms // 1000 + 86_400
    tokens = tokens_found(c)
    known: dict[tuple[str, str], Month] = {}
    rows = []
    for tier in (plan,) if plan else c.tiers:
        for s in c.schemes:
            name = s.limits[tier]
            limit = limits[name] if name is not None else Limit(name="none")
            for side in ENDS:
                if (limit.name, side) not in known:
                    rules = compile_limit(at_end(limit, side), begin, end, tokens.get(limit.name))
                    known[limit.name, side] = month_under(requests, rules)
            low, value, high = (known[limit.name, side] for side in ENDS)
            rows.append(OwnLimit(s.label, tier, low, value, high, any(_is_range(w) for w in limit.windows)))
    return OwnMonth(c, tuple(requests), trace.clock == "unix", tuple(rows))


def at_end(limit: Limit, side: str) -> Limit:
    """The limit with every range at one end: `low` holds least (and counts peak hours most), `high` holds most."""
    return limit.model_copy(update={"windows": tuple(_at_end(w, side) for w in limit.windows)})


def _at_end(w: Window, side: str) -> Window:
    other = {"low": "high", "value": "value", "high": "low"}[side]
    changes: dict[str, object] = {}
    if w.tokens is not None and getattr(w.tokens, side) is not None:
        changes["tokens"] = w.tokens.model_copy(update={"value": getattr(w.tokens, side), "low": None, "high": None})
    if w.peak is not None and getattr(w.peak.multiplier, other) is not None:
        times = w.peak.multiplier.model_copy(
            update={"value": getattr(w.peak.multiplier, other), "low": None, "high": None}
        )
        changes["peak"] = w.peak.model_copy(update={"multiplier": times})
    return w.model_copy(update=changes)


def _is_range(w: Window) -> bool:
    return (w.tokens is not None and w.tokens.is_range) or (w.peak is not None and w.peak.multiplier.is_range)
