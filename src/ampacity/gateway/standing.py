"""How a subscriber's windows stand, and why a request was refused, in numbers and words."""

from __future__ import annotations

from ampacity.base.outcomes import ORGANIZATION, SUBSCRIBER
from ampacity.gateway.dialects import OUTPUT_LARGEST, Refusal
from ampacity.gateway.keys import Holder
from ampacity.policy.book import AT, HELD_FIELDS
from ampacity.policy.desk import Desk
from ampacity.policy.explain import Explanation, Scope, explain
from ampacity.policy.limits import hold
from ampacity.policy.ticket import Ticket

SOON_S = 60  # clients may wait so long by themselves; beyond that they are told not to try again


def why_refused(desk: Desk, ticket: Ticket, now_ms: int) -> Refusal:
    """What to tell a client that a window refused."""
    kind, ledger = ticket.kind, desk.ledger
    scopes = [Scope(kind.limit_name, ticket.held[AT])]
    if kind.organization_limit:
        scopes.append(Scope(kind.organization_limit_name, ticket.held[HELD_FIELDS + AT], "your organization"))
    told = explain(ledger.book, ledger.state, scopes, now_ms, kind.alias, kind.product, ticket.held, 0)
    wait_s = seconds_until(ledger.retry_ms(ticket, ticket.window, now_ms), now_ms)
    return Refusal(429, "rate_limit_error", told.sentence, wait_s, wait_s is not None and wait_s <= SOON_S)


def seconds_until(instant_ms: int | None, now_ms: int) -> int | None:
    """Whole seconds to wait for an instant, at least one; None if it never comes."""
    return None if instant_ms is None else max(-(-(instant_ms - now_ms) // 1000), 1)


def explained(desk: Desk, holder: Holder, now_ms: int, alias: str = "") -> Explanation:
    """What all windows say of a request as somebody usually asks; who has never asked has all windows fresh."""
    ledger = desk.ledger
    limit = next((t.limit for t in desk.terms.tiers if t.name == holder.tier), None)
    if limit is None:
        raise KeyError(holder.tier)
    at = ledger.row(SUBSCRIBER, holder.subscriber, limit, now_ms)
    scopes = [Scope(limit, at)]
    if holder.organization_limit:
        theirs = ledger.row(ORGANIZATION, holder.organization, holder.organization_limit, now_ms)
        scopes.append(Scope(holder.organization_limit, theirs, "the organization"))
    book = ledger.book
    held = [0] * (HELD_FIELDS * len(scopes))
    for i, s in enumerate(scopes):
        plan = book.plan(s.limit, alias, holder.product)
        h = i * HELD_FIELDS
        hold(ledger.state, s.at, book.flat, book.limit(s.limit), plan, held, h, now_ms, now_ms, 1, OUTPUT_LARGEST)
    return explain(book, ledger.state, scopes, now_ms, alias, holder.product, held, asked="a usual request of theirs")


def standing_of(desk: Desk, holder: Holder, now_ms: int) -> dict[str, object]:
    """The same as JSON can say it, for every alias that has windows of its own."""
    told = {alias: explained(desk, holder, now_ms, alias) for alias in desk.services}
    return {
        "subscriber": holder.name,
        "tier": holder.tier,
        "now_ms": now_ms,
        "models": {
            alias: {
                "admits": e.admits,
                "sentence": e.sentence,
                "binding": e.binding.window if e.binding is not None else None,
                "windows": [
                    {
                        "owner": w.owner,
                        "name": w.window,
                        "counts": w.counts,
                        "used": w.used,
                        "size": w.size,
                        "utilization": round(w.share, 4),
                        "admits": w.admits,
                        "resets_at_ms": w.all_back_ms,
                    }
                    for w in e.windows
                ],
            }
            for alias, e in told.items()
        },
    }
