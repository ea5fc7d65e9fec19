"""Why requests were refused at once: words for whoever asked, counted, and known for a while by the request's name."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ampacity.base.outcomes import ORGANIZATION, REFUSED, REFUSED_ORGANIZATION
from ampacity.gateway.dialects import Refusal
from ampacity.gateway.keys import Holder
from ampacity.gateway.metrics import Metrics
from ampacity.gateway.standing import SOON_S, seconds_until, why_refused
from ampacity.gateway.words import CLOSED, OVERLOADED
from ampacity.journal.records import CAP
from ampacity.policy.desk import Desk
from ampacity.policy.terms import Terms, TermsError
from ampacity.policy.ticket import Ticket

KNOWN_MOST = 10_000
HOW = "as x-api-key: KEY, or as Authorization: Bearer KEY"


class Refusals:
    """What was said to whom. said: by the name of a request, its ordinal in the journal and the sentence."""

    def __init__(self, desk: Desk, metrics: Metrics) -> None:
        self._desk, self._metrics = desk, metrics
        self.said: dict[str, tuple[int, str]] = {}

    def why(self, ticket: Ticket, now_ms: int) -> Refusal:
        """What to say of a request that has just been refused by a window, by its hour's cap, or for want of room."""
        counts, ledger = self._metrics.of(ticket.kind), self._desk.ledger
        if ticket.outcome in (REFUSED, REFUSED_ORGANIZATION):
            counts.outcomes[ticket.outcome] += 1
            scope, window = ledger.window_of(ticket, ticket.window)
            self._metrics.refused(ticket.kind, window, "organization" if scope == ORGANIZATION else "subscriber")
            told = why_refused(self._desk, ticket, now_ms)
        elif ticket.window < 0:
            self._metrics.refused(ticket.kind, CAP, "tier")
            wait_s = seconds_until(ledger.retry_ms(ticket, ticket.window, now_ms), now_ms)
            words = "The capacity of this hour is used up; it returns with the next."
            told = Refusal(529, "overloaded_error", words, wait_s, None if wait_s is None else wait_s <= SOON_S)
        else:
            told = OVERLOADED if self._desk.services[ticket.kind.alias].opened else CLOSED
        return told

    def remember(self, request_id: str, number: int, sentence: str) -> None:
        """What a request was told; number: its ordinal in the journal."""
        self.said[request_id] = number, sentence
        if len(self.said) > KNOWN_MOST:
            del self.said[next(iter(self.said))]


def no_key(headers: list[tuple[bytes, bytes]]) -> Refusal:
    """What to say to whom nobody knows."""
    shown = any(name in (b"x-api-key", b"authorization") for name, _ in headers)
    words = f"This key is not known here; show one that is, {HOW}." if shown else f"No key is shown; show one {HOW}."
    return Refusal(401, "authentication_error", words)


def no_model(name: str, aliases: Iterable[str]) -> Refusal:
    """What to say to who asks for a model that is not there."""
    words = f"There is no model {name[:100]!r} here; there are: {', '.join(aliases)}."
    return Refusal(404, "not_found_error", words)


def not_served(terms: Terms, holder: Holder) -> Refusal | None:
    """Why nobody with this key is served under these terms: a restart has changed what it counts on. None: they are."""
    theirs = holder.organization_limit
    if holder.subscriber and not any(t.name == holder.tier for t in terms.tiers):
        lost = f"Your tier, {holder.tier!r}, is"
    elif theirs and theirs not in terms.limits:
        lost = f"The limit of your organization, {theirs!r}, is"
    else:
        return None
    return Refusal(403, "permission_error", f"{lost} here no more; ask whoever runs this service.", None, False)


def keep_limits(terms: Terms, holders: Collection[Holder]) -> None:
    """Raise TermsError if terms lack a limit that an organization has: its people would be under none."""
    lost = sorted({h.organization_limit for h in holders} - {"", *terms.limits})
    if lost:
        have = {n: sorted({h.name for h in holders if h.organization_limit == n})[:3] for n in lost}
        words = "would go, and the organization of {} has it; give that another before"
        raise TermsError([f"limits: {name!r} {words.format(', '.join(have[name]))}" for name in lost])
