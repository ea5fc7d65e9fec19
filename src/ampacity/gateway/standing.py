"""How a subscriber's windows stand, and why a request was refused, in numbers and words."""

from __future__ import annotations

from ampacity.base.outcomes import ORGANIZATION, SUBSCRIBER
from ampacity.gateway.dialects import Refusal
from ampacity.gateway.keys import Holder
from ampacity.gateway.words import CLOSED
from ampacity.policy.book import AT, HELD_FIELDS
from ampacity.policy.desk import Desk
from ampacity.policy.explain import Explanation, Scope, explain
from ampacity.policy.ledger import LONG_MS
from ampacity.policy.limits import hold
from ampacity.policy.ticket import Ticket

YOURS, THEIRS = ("your", "your organization"), ("their", "the organization")
SMALL = (1, 1)  # tokens of a request that stands for one that is not known
SOON_S = LONG_MS // 1000


def why_refused(desk: Desk, ticket: Ticket, now_ms: int) -> Refusal:
    """What to tell a client that a window refused."""
    kind, ledger = ticket.kind, desk.ledger
    scopes = [Scope(kind.limit_name, ticket.held[AT])]
    if kind.organization_limit:
        scopes.append(Scope(kind.organization_limit_name, ticket.held[HELD_FIELDS + AT], "your organization"))
    told = explain(ledger.book, ledger.state, scopes, now_ms, kind.alias, kind.product, ticket.held, 0)
    retry_ms, sentence = ledger.retry_ms(ticket, ticket.window, now_ms), told.sentence
    sooner = retry_ms is not None and (told.retry_ms is None or retry_ms < told.retry_ms)
    if sooner and told.binding is not None and told.binding.counts != "in flight":
        sentence += (
            " But what is reserved for requests in flight, and they do not need, returns as they end: try again."
        )
    wait_s = seconds_until(retry_ms, now_ms)
    return Refusal(429, "rate_limit_error", sentence, wait_s, wait_s is not None and wait_s <= SOON_S)


def seconds_until(instant_ms: int | None, now_ms: int) -> int | None:
    """Whole seconds to wait for an instant, at least one; None if it never comes."""
    return None if instant_ms is None else max(-(-(instant_ms - now_ms) // 1000), 1)


def explained(
    desk: Desk, holder: Holder, now_ms: int, alias: str, last: tuple[int, int] | None, to_whom: tuple[str, str]
) -> tuple[bool, Explanation, str]:
    """What would be said of somebody's last request if it were asked again now: whether it passes, windows, in words.

    Of a holder who is no subscriber: by the organization's windows alone.
    last: what that was counted at, its input tokens and most output; None: not known, a small request stands for it.
    to_whom: YOURS for the client, THEIRS for an operator. Nothing changes by looking. Raises KeyError.
    """
    ledger, book = desk.ledger, desk.ledger.book
    whose, organization = to_whom
    scopes: list[Scope] = []
    rows: list[int] = []
    if holder.subscriber:
        limit = next((t.limit for t in desk.terms.tiers if t.name == holder.tier), None)
        if limit is None:
            raise KeyError(f"tier {holder.tier!r}: the terms in force do not have it")
        scopes, rows = [Scope(limit, 0)], ledger.as_under(SUBSCRIBER, holder.subscriber, limit)
    if holder.organization_limit:
        scopes.append(Scope(holder.organization_limit, len(rows), organization))
        rows += ledger.as_under(ORGANIZATION, holder.organization, holder.organization_limit)
    held = [0] * (HELD_FIELDS * len(scopes))
    for i, s in enumerate(scopes):
        plan, (tokens, most) = book.plan(s.limit, alias, holder.product), last or SMALL
        hold(rows, s.at, book.flat, book.limit(s.limit), plan, held, i * HELD_FIELDS, now_ms, now_ms, tokens, most)
    known = f"{whose} last request, asked again," if holder.subscriber else "the largest of its people's last requests"
    asked = known if last else "even a small request"
    e = explain(book, rows, scopes, now_ms, alias, holder.product, held, asked=asked)
    if not desk.services[alias].opened:
        return False, e, f"{CLOSED.message} {e.sentence}"
    return e.admits, e, e.sentence


def standing_of(desk: Desk, holder: Holder, now_ms: int, last: tuple[int, int] | None) -> dict[str, object]:
    """The same as JSON can say it to the client, for every alias."""
    told = {s.alias: explained(desk, holder, now_ms, s.alias, last, YOURS) for s in desk.terms.services}
    return {
        "subscriber": holder.name,
        "tier": holder.tier,
        "now_ms": now_ms,
        "models": {
            alias: {
                "admits": admits,
                "sentence": sentence,
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
                        "resets_at_ms": w.all_back_ms if w.used > 0 else None,
                    }
                    for w in e.windows
                ],
            }
            for alias, (admits, e, sentence) in told.items()
        },
    }
