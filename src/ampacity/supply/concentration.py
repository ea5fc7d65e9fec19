"""Concentration: how much of a whole stands with few, as top share and HHI, always from stated parts.

Backlogs of cloud providers come from the catalog: totals by holder, and parts of them by counterparty. A part that is
missing from its total is an error that names it: a share whose numerator is not in its denominator is no share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ampacity.scenario import lookup
from ampacity.scenario.mistakes import Mistake, Mistakes
from ampacity.scenario.scenario import Scenario
from ampacity.supply.supplier_loss import supplier_of

Held = Literal["in", "out", "not-stated"]
REPORTED_SHARE = {
    "statement": "contracts of Anthropic and OpenAI are more than half of 2 trillion USD of cloud backlogs",
    "share_above": 0.5,
    "total_usd": 2e12,
    "status": "reported",
    "who": "The Information",
    "source": "The Information, May 2026, via coverage of the announcement",
    "known_since": "2026-05-06",
    "confidence": "medium",
}


@dataclass(frozen=True)
class Stated:
    """A stated figure of a backlog and its claim. counterparty: empty for a total; held: if the total holds it."""

    holder: str
    counterparty: str
    held: Held
    usd: float
    status: str
    who: str
    source: str
    known_since: date
    note: str

    @property
    def words(self) -> str:
        """As an error or a table names it."""
        return f"{self.counterparty} at {self.holder} ({self.usd / 1e9:g} billion USD)"


@dataclass(frozen=True)
class Backlogs:
    """Totals by holder and parts by counterparty, as known on a day."""

    totals: tuple[Stated, ...]
    parts: tuple[Stated, ...]


@dataclass(frozen=True)
class BacklogShare:
    """A share with what it is made of. part_usd over total_usd; rule: what was counted. [USD], [0 to 1]"""

    rule: str
    part_usd: float
    total_usd: float
    parts: tuple[str, ...]

    @property
    def share(self) -> float:
        """Part over total. [0 to 1]"""
        return self.part_usd / self.total_usd


def backlogs(as_of: date | None = None) -> Backlogs:
    """The catalog's backlogs: of each figure the latest that was known on the day."""
    latest: dict[tuple[str, str], Stated] = {}
    for row in lookup.table("backlogs"):
        known_since = date.fromisoformat(row["known_since"])
        key = (row["holder"], row["counterparty"])
        if (as_of is None or known_since <= as_of) and (key not in latest or latest[key].known_since <= known_since):
            latest[key] = _stated(row, known_since)
    found = tuple(latest.values())
    return Backlogs(tuple(f for f in found if not f.counterparty), tuple(f for f in found if f.counterparty))


def backlog_share(
    b: Backlogs,
    customers: Iterable[str],
    *,
    outside: Literal["error", "leave-out", "add"] = "error",
    not_stated: bool = False,
    holders: Iterable[str] | None = None,
) -> BacklogShare:
    """The share of the backlogs that stands with some customers.

    outside: a part that its total does not hold is an error, is left out, or is added to both part and total.
    not_stated: whether parts of which nobody says whether the total holds them count as held. holders: absent, all.
    Raises Mistakes that name every part missing from its total.
    """
    names = tuple(customers)
    wanted = {t.holder for t in b.totals} if holders is None else set(holders)
    totals = [t for t in b.totals if t.holder in wanted]
    parts = [p for p in b.parts if p.counterparty in names and (holders is None or p.holder in wanted)]
    parts = [p for p in parts if p.held != "not-stated" or not_stated]
    whole = {t.holder: t for t in totals}
    missing = [p for p in parts if p.holder not in whole or p.held == "out"]
    if missing and outside == "error":
        raise Mistakes(_missing(p, whole.get(p.holder)) for p in missing)
    counted = [p for p in parts if p.held != "out" or outside == "add"]
    added = sum(p.usd for p in counted if p.held == "out")
    total = sum(t.usd for t in totals) + added
    if total <= 0:
        raise Mistakes([Mistake("catalog", 0, "backlogs", "", "no total is known on that day; a share needs one")])
    rule = {"leave-out": "parts that no total holds left out", "add": "those parts added to both sides"}
    words = rule.get(outside, "every part is in its total") + (
        "; parts not stated counted as held" if not_stated else ""
    )
    return BacklogShare(words, sum(p.usd for p in counted), total, tuple(p.words for p in counted))


def shares(amounts: Mapping[str, float]) -> dict[str, float]:
    """Amounts as shares of their sum, the largest first. [0 to 1]"""
    total = sum(amounts.values())
    ordered = sorted(amounts.items(), key=lambda item: (-item[1], item[0]))
    return {name: amount / total for name, amount in ordered} if total > 0 else {}


def top_share(amounts: Mapping[str, float], count: int = 2) -> float:
    """What the largest few hold of all. [0 to 1]"""
    return sum(list(shares(amounts).values())[:count])


def hhi(amounts: Mapping[str, float]) -> float:
    """Herfindahl-Hirschman index: the sum of squared shares; 1 is a monopoly, 1/n is n alike. [0 to 1]

    References
    ----------
    .. [1] A. O. Hirschman, The Paternity of an Index, American Economic Review 54(5), 1964.
    """
    return sum(share**2 for share in shares(amounts).values())


def capacity_by(s: Scenario) -> dict[str, dict[str, float]]:
    """Contracted accelerators by supplier, site, customer and chip maker, as the contracts state them.

    By customer: what is leased out, and what the scenario's own side keeps. The rest: of all that it may use.
    """
    found: dict[str, dict[str, float]] = {"supplier": {}, "site": {}, "customer": {}, "chip maker": {}}
    ours = next((c.customer for c in s.contracts if c.side != "lessor" and c.customer), "own use")
    for contract in s.contracts:
        for d in contract.deliveries:
            count = d.quantity.value
            if contract.side == "lessor":
                _add(found["customer"], contract.customer or contract.name, count)
                _add(found["customer"], ours, -count)
                continue
            _add(found["customer"], ours, count)
            _add(found["supplier"], supplier_of(contract), count)
            _add(found["site"], d.site, count)
            _add(found["chip maker"], s.accelerator(d.accelerator).vendor or "not stated", count)
    found["customer"] = {name: max(count, 0.0) for name, count in found["customer"].items()}
    return {by: amounts for by, amounts in found.items() if sum(amounts.values()) > 0}


def _stated(row: Mapping[str, str], known_since: date) -> Stated:
    scale = {"GUSD": 1e9, "USD": 1.0}[row["unit"]]
    held: Held = "in" if row["part"] in ("in", "total") else "out" if row["part"] == "out" else "not-stated"
    words = {key: row[key] for key in ("holder", "counterparty", "status", "who", "source", "note")}
    return Stated(held=held, usd=float(row["value"]) * scale, known_since=known_since, **words)


def _missing(part: Stated, total: Stated | None) -> Mistake:
    if total is None:
        why = f"no total of {part.holder} is known to hold it"
    else:
        whole = f"{part.holder}'s total of {total.usd / 1e9:g} billion USD"
        why = f"{whole} does not hold it; leave it out, or add it to both"
    return Mistake("catalog", 0, "backlogs", part.words, why)


def _add(sums: dict[str, float], key: str, amount: float) -> None:
    sums[key] = sums.get(key, 0.0) + amount
