"""Leaving a contract: termination by either side, reclaim for cause, and the warning before the capacity goes.

What a clause allows, and what events make of it. When it becomes money is left to the ledger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from ampacity.base.calendar import DAY_S, utc_s
from ampacity.scenario.clauses import Termination
from ampacity.scenario.contract import Contract
from ampacity.scenario.event import Event
from ampacity.scenario.scenario import Scenario

Side = Literal["lessor", "lessee"]


@dataclass(frozen=True)
class Exit:
    """How a party may leave: the day its notice counts from, the first day without capacity, the fee. [USD]"""

    notice_on: date
    gone_on: date
    notice_days: float
    fee_usd: float


@dataclass(frozen=True)
class Departure:
    """Capacity that an event takes away under a contract.

    gone_s, back_s: from when, and until when (infinite: for good). [s since 1970 UTC]
    share: of the contract's capacity [0 to 1]. fee_usd: what the party that leaves owes for it. [USD]
    """

    event: str
    ground: Literal["termination", "reclaim"]
    party: Side
    said_on: date
    gone_s: int
    back_s: float
    share: float
    fee_usd: float


def zone_of(s: Scenario, contract: Contract) -> str:
    """The clock that a contract's days follow: of the site of its first delivery."""
    return s.site(contract.deliveries[0].site).time_zone


def days_after_s(day: date, days: float, zone: str) -> int:
    """The instant some days after the beginning of a day: whole days by the calendar, the rest by the clock. [s]"""
    whole = math.floor(days)
    return utc_s(day + timedelta(days=whole), zone) + round((days - whole) * DAY_S)


def exits(contract: Contract, party: Side, on: date) -> list[Exit]:
    """Every way in which a party may leave for convenience if it says so on a day, the earliest first.

    A notice given before the clause's earliest day counts from that day.
    """
    found = []
    for clause in contract.termination:
        if clause.party in (party, "either"):
            notice_on = max(on, contract.start, clause.earliest or on)
            found.append(_exit(clause, notice_on))
    return sorted(found, key=lambda e: (e.gone_on, e.fee_usd))


def earliest_exit(contract: Contract, party: Side, on: date) -> Exit | None:
    """The first of them, or None where no clause lets the party leave, or none before the contract's end."""
    found = [e for e in exits(contract, party, on) if contract.end is None or e.gone_on < contract.end]
    return found[0] if found else None


def reclaim_warning_days(contract: Contract, event: Event) -> float:
    """How long before the capacity goes a reclaim is said: the event's own notice, else cure and notice of the clause.

    With neither, none.
    """
    if event.notice_s is not None:
        return event.notice_s / DAY_S
    party = event.party or "lessor"
    clause = next((r for r in contract.reclaim if r.party == party), None)
    return clause.cure_days + clause.notice_days if clause else 0.0


def departures(s: Scenario, contract: Contract, zone: str) -> tuple[Departure, ...]:
    """What the events of a scenario take from a contract, in the order in which they are written."""
    found = []
    for event in s.events:
        if event.contract != contract.name:
            continue
        if event.kind == "termination":
            found.append(_termination(contract, event, zone))
        elif event.kind == "reclaim":
            gone_s = days_after_s(event.date, reclaim_warning_days(contract, event), zone)
            back_s = math.inf if event.duration_s is None else gone_s + event.duration_s
            share = event.share.value if event.share else 1.0
            party = event.party or "lessor"
            found.append(Departure(event.name, "reclaim", party, event.date, gone_s, back_s, share, 0.0))
    return tuple(found)


def _termination(contract: Contract, event: Event, zone: str) -> Departure:
    """A contract cannot be terminated in part; the fee is that of the clause used."""
    party: Side = event.party or "lessee"
    ways = exits(contract, party, event.date)
    if event.notice_s is not None:
        notice_on, days = event.date, event.notice_s / DAY_S
    else:
        notice_on, days = ways[0].notice_on, ways[0].notice_days
    gone_s = days_after_s(notice_on, days, zone)
    fee_usd = ways[0].fee_usd if ways else 0.0
    return Departure(event.name, "termination", party, event.date, gone_s, math.inf, 1.0, fee_usd)


def _exit(clause: Termination, notice_on: date) -> Exit:
    gone_on = notice_on + timedelta(days=math.ceil(clause.notice_days))
    return Exit(notice_on, gone_on, clause.notice_days, clause.fee_usd.value if clause.fee_usd else 0.0)
