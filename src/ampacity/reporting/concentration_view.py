"""Concentration as data and in words: of the scenario's own contracts, and of the backlogs that are reported."""

from __future__ import annotations

from datetime import date
from typing import Any

from ampacity.reporting.words import count, digits, share
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.scenario import Scenario
from ampacity.supply.concentration import (
    REPORTED_SHARE,
    BacklogShare,
    Stated,
    backlog_share,
    backlogs,
    capacity_by,
    hhi,
    shares,
    top_share,
)

CUSTOMERS = ("OpenAI", "Anthropic")


def concentration_of(s: Scenario) -> dict[str, Any]:
    """Top-2 share and HHI of a scenario's accelerators by supplier, site, customer and chip maker; and the backlogs."""
    own = {
        by: {"top_2_share": top_share(amounts), "hhi": hhi(amounts), "accelerators": amounts, "shares": shares(amounts)}
        for by, amounts in capacity_by(s).items()
    }
    return {**own, "backlogs": backlogs_of(s.as_of) if s.about == "public" else None}


def backlogs_of(as_of: date | None) -> dict[str, Any] | None:
    """The reported share of two customers beside ours with its parts; None where nothing was known on the day."""
    b = backlogs(as_of)
    if not b.totals:
        return None
    ours = {}
    if b.parts:
        ours = {
            "parts_in_totals": _share(backlog_share(b, CUSTOMERS, outside="leave-out")),
            "parts_added": _share(backlog_share(b, CUSTOMERS, outside="add")),
            "parts_added_and_not_stated": _share(backlog_share(b, CUSTOMERS, outside="add", not_stated=True)),
        }
    reported = (
        REPORTED_SHARE if as_of is None or date.fromisoformat(str(REPORTED_SHARE["known_since"])) <= as_of else None
    )
    by_customer: dict[str, float] = {}
    for part in b.parts:
        if part.held == "in":
            by_customer[part.counterparty] = by_customer.get(part.counterparty, 0.0) + part.usd
    total = sum(t.usd for t in b.totals)
    return {
        "reported": reported,
        "ours": ours,
        "totals": [_stated(t) for t in b.totals],
        "parts": [_stated(p) for p in b.parts],
        "missing_from_totals": _missing(as_of),
        "total_usd": total,
        "total_without_oracle_usd": sum(t.usd for t in b.totals if t.holder != "Oracle"),
        "by_holder": {
            "top_2_share": top_share({t.holder: t.usd for t in b.totals}),
            "hhi": hhi({t.holder: t.usd for t in b.totals}),
        },
        "by_customer_at_least": {"hhi": sum((usd / total) ** 2 for usd in by_customer.values())},
    }


def concentration_lines(found: dict[str, Any]) -> list[str]:
    """The same in words."""
    lines = []
    for by, c in found.items():
        if by != "backlogs":
            largest = ", ".join(f"{name} {share(part)}" for name, part in list(c["shares"].items())[:2])
            lines.append(f"  by {by}: {largest}; HHI {digits(c['hhi'], 2)} ({count(len(c['shares']))} in all)")
    b = found["backlogs"]
    if b and b["ours"]:
        if b["reported"]:
            lines.append(f"  reported ({b['reported']['who']}): {b['reported']['statement']}")
        for s in b["ours"].values():
            parts = f"{digits(s['part_usd'] / 1e9, 4)} of {digits(s['total_usd'] / 1e9, 4)} billion USD"
            lines.append(f"  ours: {parts} = {100 * s['share']:.1f} % ({s['rule']})")
        lines.append(f"  without Oracle the total is {digits(b['total_without_oracle_usd'] / 1e9, 4)} billion USD")
    lines.append("  a model built on public statements, not a finding; not affiliated, not investment advice")
    return lines


def _share(found: BacklogShare) -> dict[str, Any]:
    sums = {"share": found.share, "part_usd": found.part_usd, "total_usd": found.total_usd}
    return {**sums, "rule": found.rule, "parts": list(found.parts)}


def _stated(f: Stated) -> dict[str, Any]:
    words = {
        key: getattr(f, key) for key in ("holder", "counterparty", "held", "usd", "status", "who", "source", "note")
    }
    return {**words, "known_since": str(f.known_since)}


def _missing(as_of: date | None) -> list[str]:
    """What would be an error if it were counted without a word."""
    try:
        backlog_share(backlogs(as_of), CUSTOMERS)
    except Mistakes as found:
        return [f"{m.found}: {m.message}" for m in found.mistakes]
    return []
