"""Contracts of a scenario: quantity, fee, price, exit and exposure of each, N-1, concentration; as data and in words.

A model built on public statements where it is about real organizations; nothing here is a finding or advice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from ampacity.planner.answer import Answer, answer
from ampacity.planner.earmark import Landing, earmarked, earmarked_share
from ampacity.planner.plan import Plan
from ampacity.reporting.catalog_views import View
from ampacity.reporting.concentration_view import concentration_lines, concentration_of
from ampacity.reporting.words import count, digits, share, tokens
from ampacity.scenario.contract import Contract
from ampacity.scenario.pool import leased_out_pools, pools
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.value import Value
from ampacity.scenario.worlds import draw
from ampacity.supply.delivery import hours_of, quantity
from ampacity.supply.exit import Exit, departures, zone_of
from ampacity.supply.exposure import Exposure, exposure
from ampacity.supply.implied_price import contract_power_w, implied_prices, usd_per_mw_year
from ampacity.supply.leasing import leased_out
from ampacity.supply.ledger import Account, accounts
from ampacity.supply.options import exercised, rights
from ampacity.supply.supplier_loss import MEANING, largest_suppliers, without

YEAR_S = 365.25 * 86400


@dataclass(frozen=True)
class _Book:
    """What one look at a scenario's contracts needs, computed once."""

    s: Scenario
    answer: Answer
    accounts: tuple[Account, ...]
    landings: tuple[Landing, ...]
    landings_alike: tuple[Landing, ...]


def contracts_view(s: Scenario, seed: int = 1) -> View:
    """Every contract of a scenario at the stated values of all ranges."""
    s = exercised(draw(s, seed, 0))
    book = _book(s, answer(s, guarantee=False))
    found = _contracts(book)
    losses, concentration = _n_minus_1(book), concentration_of(s)
    data = {
        "scenario": s.name,
        "as_of": str(s.as_of) if s.as_of else None,
        "contracts": found,
        "n_minus_1": losses,
        "concentration": concentration,
    }
    lines = [f"{s.name} · {count(len(s.contracts))} contracts" + (f" · as known on {s.as_of}" if s.as_of else "")]
    for name in found:
        lines += ["", *_sentences(found[name])]
    lines += ["", *_loss_sentences(losses), "", *concentration_lines(concentration)]
    return View("\n".join(lines), data)


def contracts_of(p: Plan) -> dict[str, Any]:
    """The contracts of a plan as plain data, at the stated values of all ranges."""
    return _contracts(_book(exercised(draw(p.scenario, p.record.seed, 0)), p.central))


def contract_sentences(p: Plan) -> tuple[list[str], list[str]]:
    """Every contract of a plan in sentences, and what the loss of the largest supplier would do."""
    book = _book(exercised(draw(p.scenario, p.record.seed, 0)), p.central)
    found = _contracts(book)
    said = [line.strip() for name in found for line in _sentences(found[name])]
    return said, [line.strip() for line in _loss_sentences(_n_minus_1(book))]


def _book(s: Scenario, a: Answer) -> _Book:
    return _Book(s, a, accounts(s), earmarked(a), earmarked(a, ignore=True))


def _contracts(book: _Book) -> dict[str, Any]:
    return {c.name: _contract(book, c, acc) for c, acc in zip(book.s.contracts, book.accounts, strict=True)}


def _contract(book: _Book, contract: Contract, acc: Account) -> dict[str, Any]:
    """One contract as plain data; units are in the keys."""
    s = book.s
    exposed = exposure(s, contract, max(s.start, contract.start))
    signed = exposure(s, contract, contract.start)
    power_w = contract_power_w(s, contract)
    fee = contract.fee.monthly_usd.value if contract.fee and contract.fee.monthly_usd else None
    return {
        "contract": contract.name,
        "side": contract.side,
        "supplier": contract.supplier,
        "customer": contract.customer,
        "start": str(contract.start),
        "end": str(contract.end) if contract.end else None,
        "quantity": _quantity(s, contract, acc),
        "fee_claim": _claim(contract.fee.monthly_usd or contract.fee.per_accelerator_usd_per_s)
        if contract.fee
        else None,
        "ledger": _ledger(acc),
        "due_usd": acc.total_usd,
        "implied_usd_per_accelerator_hour": [
            {"value": p.usd_per_accelerator_hour, "accelerators": p.accelerators, "basis": p.basis}
            for p in implied_prices(s, contract)
        ],
        "implied_usd_per_mw_year": usd_per_mw_year(fee, power_w) if fee and power_w else None,
        "facility_mw_all_in": power_w / 1e6 if power_w is not None else None,
        "commitment": _commitment(contract, acc),
        "exit": {
            "at_signing": _exit(signed),
            "on": _exit(exposed),
            "reclaim": _reclaims(s, contract),
            "events": [_departure(d) for d in departures(s, contract, zone_of(s, contract))],
        },
        "options": [
            {
                "kind": r.kind,
                "last_day": str(r.last_day) if r.last_day else None,
                "used_on": str(r.used_on or "") or None,
            }
            for r in rights(s, contract)
        ],
        "exclusive": contract.exclusive,
        "earmark": _earmark(book, contract),
    }


def _quantity(s: Scenario, contract: Contract, acc: Account) -> list[dict[str, Any]]:
    """Accelerators there, whenever the number changes over the term."""
    own = [p for p in (*pools(s), *leased_out_pools(s)) if p.contract.name == contract.name]
    given = leased_out(s, acc.term).given if contract.side == "lessor" else None
    total = sum((given[p.name] if given else quantity(s, p, acc.term).delivered for p in own), 0.0 * acc.term.lengths_s)
    zone = ZoneInfo(zone_of(s, contract))
    found, at = [], 0
    for accelerators, spans in groupby(total.tolist()):
        begin = datetime.fromtimestamp(int(acc.term.begins_s[at]), UTC).astimezone(zone)
        found.append({"from": begin.replace(tzinfo=None).isoformat(), "accelerators": accelerators})
        at += len(list(spans))
    return found


def _claim(value: Value | None) -> dict[str, Any] | None:
    """Who says a figure, since when, how sure."""
    if value is None:
        return None
    keys = ("value", "low", "high", "unit", "basis", "status", "who", "source", "known_since", "confidence")
    found = {key: getattr(value, key) for key in keys}
    return {**found, "known_since": str(value.known_since) if value.known_since else None}


def _ledger(acc: Account) -> list[dict[str, Any]]:
    rows = acc.rows()
    found = []
    for month, own in groupby(rows, key=lambda row: row.month):
        items = {row.item: row.usd for row in own}
        found.append({"month": f"{month:%Y-%m}", "items_usd": items, "usd": sum(items.values())})
    return found


def _commitment(contract: Contract, acc: Account) -> dict[str, Any] | None:
    terms = contract.commitment
    if terms is None or acc.drawn is None:
        return None
    months = [f"{month:%Y-%m}" for month in acc.term.months]
    return {
        "total_usd": terms.total_usd.value,
        "from": str(terms.begin),
        "until": str(terms.end),
        "left_usd": dict(zip(months, acc.drawn.left_usd, strict=True)),
        "shortfall_usd": acc.drawn.shortfall_usd,
        "rollover": terms.rollover,
        "claim": _claim(terms.total_usd),
    }


def _exit(e: Exposure) -> dict[str, Any]:
    return {
        "day": str(e.on),
        "nominal_usd": e.nominal_usd,
        "remaining_usd": e.remaining_usd,
        "firm_usd": e.firm_usd,
        "firm_months": e.firm_months,
        "lessee": _way_out(e.exit),
        "lessor": _way_out(e.lessor_exit),
    }


def _way_out(e: Exit | None) -> dict[str, Any] | None:
    if e is None:
        return None
    fields = {"notice_on": str(e.notice_on), "gone_on": str(e.gone_on), "notice_days": e.notice_days}
    return {**fields, "fee_usd": e.fee_usd}


def _departure(d: Any) -> dict[str, Any]:
    said = {"event": d.event, "ground": d.ground, "party": d.party, "said_on": str(d.said_on), "share": d.share}
    return {**said, "gone_at": datetime.fromtimestamp(d.gone_s, UTC).isoformat()}


def _reclaims(s: Scenario, contract: Contract) -> list[dict[str, Any]]:
    """Each reclaim clause: when capacity would be gone if it were used on the first planned day, warned and not."""
    said = max(s.start, contract.start)
    zone = zone_of(s, contract)
    found = []
    for clause in contract.reclaim:
        event = {"name": "x", "kind": "reclaim", "date": said, "contract": contract.name, "party": clause.party}
        ways = {}
        for key, notice in (("with_notice", {}), ("without_notice", {"notice": 0})):
            tried = s.model_copy(update={"events": (_event({**event, **notice}),)})
            gone_s = departures(tried, contract, zone)[0].gone_s
            ways[key] = {"said_on": str(said), "gone_on": str(datetime.fromtimestamp(gone_s, ZoneInfo(zone)).date())}
        rate = clause.hazard_per_s.value * YEAR_S if clause.hazard_per_s else None
        words = {"party": clause.party, "trigger": clause.trigger, "evidence": clause.evidence}
        days = {"cure_days": clause.cure_days, "notice_days": clause.notice_days, "hazard_per_year": rate}
        found.append({**words, **days, **ways})
    return found


def _event(fields: dict[str, Any]) -> Any:
    from ampacity.scenario.event import Event

    return Event.model_validate(fields)


def _earmark(book: _Book, contract: Contract) -> dict[str, Any]:
    own = [x for x in book.landings if x.contract == contract.name]
    return {
        "tiers": list(contract.earmark),
        "tokens_by_tier": {x.tier: x.tokens for x in own},
        "share_of_its_tokens": earmarked_share(book.landings, contract.name),
        "share_without_earmark": earmarked_share(book.landings_alike, contract.name),
    }


def _n_minus_1(book: _Book) -> list[dict[str, Any]]:
    """The largest supplier on each basis, and the limits without it."""
    losses = largest_suppliers(book.s, hours_of(book.s), book.accounts)
    after = {name: answer(without(book.s, name), guarantee=False) for name in {x.supplier for x in losses}}
    before = {m.model: m.scale for m in book.answer.models}
    return [
        {
            "basis": x.basis,
            "means": MEANING[x.basis],
            "supplier": x.supplier,
            "amount": x.amount,
            "total": x.total,
            "share_lost": x.share,
            "limits_factor": {
                m.model: m.scale / before[m.model] for m in after[x.supplier].models if before[m.model] > 0
            },
        }
        for x in losses
    ]


def _sentences(c: dict[str, Any]) -> list[str]:
    """A contract in words: who, how many, what it costs, how it ends."""
    most = max((q["accelerators"] for q in c["quantity"]), default=0.0)
    parties = {"lessee": f"from {c['supplier'] or 'a lessor'}", "lessor": f"to {c['customer'] or 'a customer'}"}
    who = parties.get(c["side"], "owned")
    lines = [f"  {c['contract']}: {count(most)} accelerators {who}, {c['start']} to {c['end'] or 'open'}"]
    if c["due_usd"]:
        verb = "earns" if c["side"] == "lessor" else "costs"
        lines.append(f"    {verb} {money(c['due_usd'])} over its term ({_status(c['fee_claim'])})")
    for p in c["implied_usd_per_accelerator_hour"]:
        lines.append(f"    {digits(p['value'])} USD per accelerator-hour: {p['basis']}, {count(p['accelerators'])}")
    e = c["exit"]["on"]
    if e["lessee"]:
        months = f", {digits(e['firm_months'], 2)} monthly fees" if e["firm_months"] is not None else ""
        lines.append(
            f"    on {e['day']}: firm {money(e['firm_usd'])}{months}, of {money(e['remaining_usd'])} still to come; "
            f"the lessee may be out on {e['lessee']['gone_on']}"
        )
    elif e["remaining_usd"]:
        whole = "all" if e["firm_usd"] >= e["remaining_usd"] * (1 - 1e-9) else money(e["remaining_usd"])
        lines.append(
            f"    on {e['day']}: firm {money(e['firm_usd'])} of {whole} still to come; no clause lets the lessee leave"
        )
    if e["lessor"]:
        lines.append(f"    the lessor may be out on {e['lessor']['gone_on']}: capacity is firm until then")
    for r in c["exit"]["reclaim"]:
        warned, bare = r["with_notice"]["gone_on"], r["without_notice"]["gone_on"]
        lines.append(f"    reclaim ({r['trigger']}): said on {e['day']}, gone on {warned}; without notice on {bare}")
    for o in c["options"]:
        used = f"used on {o['used_on']}" if o["used_on"] else "not used"
        lines.append(f"    a right to {o['kind']}, last day {o['last_day'] or 'not stated'}: {used}")
    mark = c["earmark"]
    if mark["tiers"] and mark["share_of_its_tokens"] is not None:
        landed = sum(mark["tokens_by_tier"].get(t, 0.0) for t in mark["tiers"])
        lines.append(
            f"    {share(mark['share_of_its_tokens'])} of its tokens ({tokens(landed)}) land on "
            f"{', '.join(mark['tiers'])}; "
            f"{share(mark['share_without_earmark'] or 0.0)} would without the earmark"
        )
    return lines


def _loss_sentences(losses: list[dict[str, Any]]) -> list[str]:
    found = []
    for x in losses:
        left = ", ".join(f"{model} limits x{digits(f, 2)}" for model, f in x["limits_factor"].items())
        found.append(f"  without {x['supplier']}, the largest by {x['basis']}: {share(x['share_lost'])} gone; {left}")
    return found


def money(usd: float) -> str:
    """Money with the fitting word: "1.25 billion USD"."""
    for size, word in ((1e9, "billion "), (1e6, "million ")):
        if abs(usd) >= 0.9995 * size:
            return f"{digits(usd / size)} {word}USD"
    return f"{digits(usd)} USD"


def _status(claim: dict[str, Any] | None) -> str:
    if not claim:
        return "no fee stated"
    who = f" by {claim['who']}" if claim["who"] else ""
    return f"fee {claim['status']}{who}, confidence {claim['confidence']}"
