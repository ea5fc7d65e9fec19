"""All of deciding for a live service: limits first, then a pool or the queue, until the end of each request.

Time and chance are arguments and nothing is read or written, so whoever feeds the same inputs in the same order gets
the same decisions: the gateway from its sockets, a replay from a journal.

A request's life: `arrive`; then, as they happen, `begun`, `failed`, `ended`. What is decided meanwhile of other
requests (placed, put back, refused) stands in `told`, in order, until `take_told` is called.
"""

from __future__ import annotations

from ampacity.base.outcomes import (
    ABORTED,
    CUT_WITH_POOL,
    EXPIRED,
    NO_CAPACITY,
    ORGANIZATION,
    PREEMPTED,
    QUEUED,
    REFUSED,
    REFUSED_ORGANIZATION,
    SETTLED,
)
from ampacity.policy.capacity_cap import CAPPED
from ampacity.policy.ledger import Ledger
from ampacity.policy.service import Service
from ampacity.policy.terms import ServiceTerms, Terms, TermsError
from ampacity.policy.ticket import NO_CAP, Kind, Ticket

TRIES_MOST = 3
WHOLE = 200


class Desk:
    """Limits, pools and queues under the terms in force."""

    def __init__(self, terms: Terms, ledger: Ledger | None = None, leased: bool = False) -> None:
        """leased: pools have no slots here but those that `lease` gives them."""
        self.terms = terms
        self.ledger = Ledger(terms) if ledger is None else ledger
        self.told: list[tuple[Ticket, int, int]] = []
        self._leased = leased
        self.services: dict[str, Service] = {}
        self._serve(terms)
        self._kinds: dict[tuple[str, str, str, str], Kind] = {}

    def change(self, terms: Terms, now_ms: int) -> None:
        """Bring other terms into force. Raises TermsError or LimitError, and nothing changes.

        Limits, aliases, pools and products may come and go. Of those that go, what is in flight ends where it began.
        """
        before, after = [t.name for t in self.terms.tiers], [t.name for t in terms.tiers]
        if gone := [name for name in before if name not in after]:
            raise TermsError([f"tiers: {', '.join(gone)} would go; those in force stay until a restart"])
        if after[: len(before)] != before:
            raise TermsError([f"tiers: those in force stay in their order, {', '.join(before)}; new ones come last"])
        self.ledger.change(terms, now_ms)
        self.terms = terms
        self._kinds.clear()
        self._serve(terms)
        self._refill(now_ms)

    def _serve(self, terms: Terms) -> None:
        """Serve the aliases of the terms; one that they name no more has no pool."""
        named = {s.alias: s for s in terms.services}
        for alias, service in self.services.items():
            service.change(terms, named.get(alias, ServiceTerms(alias, ())))
        for alias, its in named.items():
            if alias not in self.services:
                self.services[alias] = Service(terms, its, self.told, self._leased)

    def kind(self, tier: str, alias: str, product: str = "", organization_limit: str = "") -> Kind:
        """What arrivals of a tier have in common that ask for an alias. Raises KeyError if there is none of these."""
        key = tier, alias, product, organization_limit
        found = self._kinds.get(key)
        if found is None:
            found = self._kinds[key] = self._kind(*key)
        return found

    def has(self, kind: Kind) -> bool:
        """Whether a kind of arrival is one of the terms in force."""
        return self._kinds.get((kind.tier_name, kind.alias, kind.product, kind.organization_limit_name)) is kind

    def _kind(self, tier: str, alias: str, product: str, organization_limit: str) -> Kind:
        book = self.ledger.book
        i, terms = next(((i, t) for i, t in enumerate(self.terms.tiers) if t.name == tier), (0, None))
        if terms is None:
            raise KeyError(tier)
        if not any(s.alias == alias for s in self.terms.services):
            raise KeyError(alias)
        if organization_limit and organization_limit not in self.terms.limits:
            raise KeyError(organization_limit)
        c = self.ledger.curves.get((tier, alias))
        return Kind(
            tier_name=tier,
            limit_name=terms.limit,
            organization_limit_name=organization_limit,
            alias=alias,
            product=product,
            limit=book.limit(terms.limit),
            plan=book.plan(terms.limit, alias, product),
            organization_limit=book.limit(organization_limit) if organization_limit else 0,
            organization_plan=book.plan(organization_limit, alias, product) if organization_limit else 0,
            tier=i,
            rank=terms.rank,
            cap=NO_CAP if c is None else c,
            taken=0 if c is None else self.ledger.taken_at(tier, alias),
        )

    def arrive(self, ticket: Ticket, now_ms: int) -> int:
        """Decide on a request that has come; the outcome, also in the ticket."""
        service = self.services[ticket.kind.alias]
        ticket.uncached = service.uncached(ticket)
        refusing = self.ledger.reserve(ticket, now_ms)
        if refusing == CAPPED:
            ticket.window, ticket.over = CAPPED, True
            outcome = NO_CAPACITY
        elif refusing:
            ticket.window, ticket.over = self.ledger.binding(ticket, now_ms) or refusing, True
            scope, _ = self.ledger.window_of(ticket, ticket.window)
            outcome = REFUSED_ORGANIZATION if scope == ORGANIZATION else REFUSED
        else:
            outcome = service.seek(ticket, now_ms)
            if outcome == NO_CAPACITY:
                ticket.over = True
                self.ledger.unreserve(ticket)
            self._release_told(now_ms)
        ticket.outcome = outcome
        return outcome

    def begun(self, ticket: Ticket) -> None:
        """The first byte of its answer has come."""
        self.services[ticket.kind.alias].begun(ticket)

    def failed(self, ticket: Ticket, now_ms: int, answer: int, wait_ms: int = 0) -> int:
        """Its pool failed before the first byte: ADMITTED by another one, QUEUED, or NO_CAPACITY, and it is over.

        answer: a status of HTTP, or how it failed (`policy.health`); wait_ms: how long the pool wants to be left alone.
        """
        service = self.services[ticket.kind.alias]
        if ticket.tries < TRIES_MOST:
            outcome = service.again(ticket, answer, wait_ms, now_ms)
        else:
            service.ended(ticket, now_ms, 0, 0, answer, wait_ms)
            outcome = NO_CAPACITY
        if outcome == NO_CAPACITY:
            self._give_up(ticket, now_ms)
        ticket.outcome = outcome
        self._refill(now_ms)
        return outcome

    def ended(
        self,
        ticket: Ticket,
        now_ms: int,
        status: int = SETTLED,
        uncached: int = 0,
        written: int = 0,
        read: int = 0,
        output: int = 0,
        answer: int = WHOLE,
    ) -> bool:
        """A request has ended: SETTLED, ABORTED, RELEASED; or EXPIRED, and may end once more. False if it was over.

        answer: what that says of its pool: a status of HTTP, or how it broke off (`policy.health`).
        """
        if status == EXPIRED:
            return self.ledger.expire(ticket, now_ms)
        if ticket.over:
            return False
        ticket.over = True
        service = self.services[ticket.kind.alias]
        if status in (SETTLED, ABORTED):
            self.ledger.settle(ticket, now_ms, uncached, written, read, output)
            service.ended(ticket, now_ms, uncached + written, uncached + written + read + output, answer)
        else:
            self.ledger.release(ticket, now_ms)
            service.ended(ticket, now_ms, 0, 0, answer)
        service.fill(now_ms)
        return True

    def due(self, now_ms: int) -> list[str]:
        """What the passing of time decides: who has waited too long, for whom a pool has come back, which pools go.

        Gives the pools that are gone since this was last asked.
        """
        gone = []
        for service in self.services.values():
            gone += service.gone(now_ms)
            if service.waiting:
                service.due(now_ms)
        self._refill(now_ms)
        self._release_told(now_ms)
        return gone

    def hold_pool(self, pool: str) -> bool:
        """A pool takes nothing new; False if it did not before. Raises KeyError."""
        return sum(service.hold(i) for service, i in self._with(pool)) > 0

    def drain_pool(self, pool: str, deadline_ms: int, now_ms: int) -> bool:
        """A pool takes nothing new and is gone by a deadline; False if that changes nothing. Raises KeyError."""
        return sum(service.drain(i, deadline_ms, now_ms) for service, i in self._with(pool)) > 0

    def reopen_pool(self, pool: str, now_ms: int) -> bool:
        """A pool takes requests again; False if it cannot. Raises KeyError."""
        changed = sum(service.reopen(i, now_ms) for service, i in self._with(pool)) > 0
        if changed:
            self._refill(now_ms)
        return changed

    def lease(self, pool: str, slots: int, now_ms: int) -> bool:
        """A pool has so many slots here, its terms' at most; False if it had them before. Raises KeyError."""
        service, i = self._with(pool)[0]
        changed = service.lease(i, slots)
        if changed and service.waiting:
            service.fill(now_ms)
        return changed

    def _with(self, pool: str) -> list[tuple[Service, int]]:
        """The service that a pool belongs to, and its position there; then those that it has left. Raises KeyError."""
        found = [(s, i) for s in self.services.values() for i, its in enumerate(s.pools) if its.name == pool]
        if not found:
            raise KeyError(pool)
        return sorted(found, key=lambda at: not at[0].names(at[1]))

    def take_told(self) -> list[tuple[Ticket, int, int]]:
        """What became of other requests: (ticket, ADMITTED, PREEMPTED, NO_CAPACITY or CUT_WITH_POOL, its pool)."""
        told = self.told[:]
        self.told.clear()
        for ticket, outcome, _ in told:
            if outcome != CUT_WITH_POOL:  # which ends when whoever serves it says so
                ticket.outcome = QUEUED if outcome == PREEMPTED else outcome
        return told

    def _give_up(self, ticket: Ticket, now_ms: int) -> None:
        ticket.over = True
        self.ledger.release(ticket, now_ms)

    def _release_told(self, now_ms: int) -> None:
        for ticket, outcome, _ in self.told:
            if outcome == NO_CAPACITY and not ticket.over:
                self._give_up(ticket, now_ms)

    def _refill(self, now_ms: int) -> None:
        for service in self.services.values():
            if service.waiting:
                service.fill(now_ms)
