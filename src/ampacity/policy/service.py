"""What clients ask for by one alias: the pools that serve it, their health, and the queue before them.

A request goes to a pool at once if one has room and nobody waits; else it waits, fairly, and whoever is next goes when
room comes. A pool has so many slots; a session's own pool takes a quarter more, for what it remembers. A pool that
keeps failing is left out for a while, one that says it is full for a moment; pools may be held, drained, taken away.
"""

from __future__ import annotations

from collections.abc import Iterator

from ampacity.base.outcomes import ADMITTED, CUT_WITH_POOL, NO_CAPACITY, PREEMPTED, QUEUED
from ampacity.policy.health import (
    GIVEN_UP,
    HEALTH_FIELDS,
    WAS_FULL,
    awaited,
    health_rules,
    judged,
    note_outcome,
    note_tried,
)
from ampacity.policy.line import (
    E_CHARGE,
    PERSON_FIELDS,
    Q_WAITING,
    T_QUANTUM,
    TIERS_MOST,
    fresh_queue,
    tier_at,
)
from ampacity.policy.queueing import (
    NOTHING,
    correct,
    dequeue,
    enqueue,
    overdue,
    pass_through,
    put_back,
    whom_to_refuse,
    withdraw,
)
from ampacity.policy.reclaim import (
    POOL_FIELDS,
    drain_pool,
    end_drain,
    hold_pool,
    moving_order,
    past_deadline,
    reopen_pool,
    takes_new,
)
from ampacity.policy.retry_budget import BUDGET_FIELDS, budget_rules, may_retry, note_try
from ampacity.policy.routing import (
    BACKLOG_MOST,
    MOVE_MOST_NS,
    NOBODY,
    R_FULL,
    R_OUT_UNTIL_MS,
    R_PACE_NS,
    R_REQUESTS,
    R_SHARE,
    REPLICA_FIELDS,
    WHOLE_SHARE,
    late_bound,
    note_computed,
    note_ended,
    note_sent,
    replica_rows,
    serves,
    takes,
)
from ampacity.policy.terms import RANK_MOST, PoolTerms, ServiceTerms, Terms
from ampacity.policy.ticket import Ticket

PREFILL_TIMES = 2  # leaving a home costs whoever is behind, too: docs/rooms/policy.md
HOMES_MOST = 100_000
PLAIN_QUANTUM = 1


class Service:
    """Pools, queue and sessions of one alias. `told`: what became of requests other than the one asked of."""

    def __init__(
        self, terms: Terms, service: ServiceTerms, told: list[tuple[Ticket, int, int]], leased: bool = False
    ) -> None:
        self.alias = service.alias
        self.pools: list[PoolTerms] = []
        self.rows: list[int] = []
        self.slots: list[int] = []
        self.health: list[int] = []
        self.states: list[int] = []
        self._named: set[str] = set()
        self._health_rules, self._retry_rules = health_rules(), budget_rules()
        self._retries = [0] * BUDGET_FIELDS
        self.queue = fresh_queue([PLAIN_QUANTUM] * TIERS_MOST, terms.room, terms.ageing)
        self.wait_most_ms = terms.wait_most_ms
        self.people: list[int] = []
        self._person: dict[int, int] = {}
        self._waiting: dict[int, Ticket] = {}
        self._sent: list[dict[Ticket, None]] = [{} for _ in range(RANK_MOST + 1)]  # no first byte yet, by rank
        self._at: list[dict[Ticket, None]] = []  # what each pool has
        self._homes: dict[int, tuple[int, int]] = {}  # of a session: its pool, and what that has of its context
        self._turn = 0
        self._told, self._leased = told, leased
        self.change(terms, service)

    def change(self, terms: Terms, service: ServiceTerms) -> None:
        """Go by other terms: pools that are named no more take nothing new, those that are new take their place."""
        self.wait_most_ms = terms.wait_most_ms
        for i, tier in enumerate(terms.tiers):
            self.queue[tier_at(i) + T_QUANTUM] = tier.quantum
        known = {pool.name: i for i, pool in enumerate(self.pools)}
        self._named = {pool.name for pool in service.pools}
        for pool in service.pools:
            i = known.get(pool.name, len(self.pools))
            if i == len(self.pools):
                self.pools.append(pool)
                self.slots.append(0 if self._leased else pool.slots)
                self.rows += replica_rows([i], pool.pace_ns)
                self.health += [0] * HEALTH_FIELDS
                self.states += [0] * POOL_FIELDS
                self._at.append({})
            else:
                self.pools[i] = pool
                self.slots[i] = min(self.slots[i], pool.slots) if self._leased else pool.slots
                self.rows[i * REPLICA_FIELDS + R_PACE_NS] = pool.pace_ns
            self._count(i)
        for i in range(len(self.pools)):
            self._open(i)

    def names(self, i: int) -> bool:
        """Whether the terms name a pool."""
        return self.pools[i].name in self._named

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return self.queue[Q_WAITING]

    def uncached(self, ticket: Ticket) -> int:
        """What of a prompt will have to be computed, as far as is known: at least a token."""
        home = self._homes.get(ticket.session) if ticket.session else None
        left = ticket.input_tokens - home[1] if home else ticket.input_tokens
        return left if left > 1 else 1

    def seek(self, ticket: Ticket, now_ms: int) -> int:
        """Send a request that its limits admit to a pool, or let it wait: ADMITTED, QUEUED or NO_CAPACITY."""
        ticket.person = self._person_of(ticket.who)
        if self.queue[Q_WAITING] == 0:
            i = self._choose(ticket, now_ms)
            if i != NOBODY:
                self._pass(ticket, i, now_ms)
                return ADMITTED
        if not awaited(self.health, self.rows, now_ms, now_ms + self.wait_most_ms):
            return NO_CAPACITY
        if ticket.kind.rank > 0 and self._displace(ticket, now_ms):
            return ADMITTED
        return self._join(ticket, now_ms)

    def _join(self, ticket: Ticket, now_ms: int) -> int:
        """Let a request wait. If all room is taken, whoever would be served last is refused, perhaps this one."""
        queue, people, p, tier = self.queue, self.people, ticket.person, ticket.kind.tier
        due_ms = now_ms + self.wait_most_ms
        e = enqueue(queue, people, p, tier, ticket.uncached, now_ms, due_ms)
        if e == NOTHING:
            last = whom_to_refuse(queue, people, p, tier, now_ms)
            if last == NOTHING:
                return NO_CAPACITY
            self._refuse(last)
            e = enqueue(queue, people, p, tier, ticket.uncached, now_ms, due_ms)
        ticket.entry = e
        self._waiting[e] = ticket
        return QUEUED

    def _displace(self, ticket: Ticket, now_ms: int) -> bool:
        """Take the place of a request of a lower rank that was sent last and has not begun; it waits again, first."""
        for rank in range(ticket.kind.rank):
            sent = reversed(self._sent[rank])
            other = next((t for t in sent if serves(self.rows, t.pool * REPLICA_FIELDS, now_ms)), None)
            if other is not None:
                i = other.pool
                self._leave(other, GIVEN_UP, now_ms)
                self._told.append((other, PREEMPTED if self._put_back(other) else NO_CAPACITY, i))
                self._pass(ticket, i, now_ms)
                return True
        return False

    def _pass(self, ticket: Ticket, i: int, now_ms: int) -> None:
        """Send a request that need not wait, and charge it."""
        note_try(self._retries, 0, self._retry_rules, 0)
        args = self.queue, self.people, ticket.person, ticket.kind.tier, ticket.uncached, now_ms
        ticket.charge = pass_through(*args)
        self._send(ticket, i, now_ms)

    def _put_back(self, ticket: Ticket) -> bool:
        """Let a request wait again, first of its person's, that was sent and has not begun; False for want of room."""
        queue, people, p, tier = self.queue, self.people, ticket.person, ticket.kind.tier
        due_ms = ticket.now_ms + self.wait_most_ms
        e = put_back(queue, people, p, tier, ticket.uncached, ticket.charge, ticket.now_ms, due_ms)
        ticket.entry = e
        if e == NOTHING:
            correct(queue, people, p, ticket.charge, 0)
            return False
        self._waiting[e] = ticket
        return True

    def begun(self, ticket: Ticket) -> None:
        """The first byte of an answer has come: its prompt is computed."""
        if not ticket.begun and ticket.pool != NOBODY:
            ticket.begun = True
            note_computed(self.rows, ticket.pool * REPLICA_FIELDS, ticket.uncached)
            self._sent[ticket.kind.rank].pop(ticket, None)

    def again(self, ticket: Ticket, answer: int, wait_ms: int, now_ms: int) -> int:
        """Try a request once more whose pool failed before its first byte: ADMITTED elsewhere, QUEUED, NO_CAPACITY.

        answer: a status of HTTP, or how it failed; wait_ms: for how long the pool asks to be left alone. One that was
        only full has cost nobody anything: what it turned away waits for it, or for another.
        """
        failed = ticket.pool
        self._leave(ticket, answer, now_ms, wait_ms)
        r = failed * REPLICA_FIELDS
        until_ms = self.rows[r + R_OUT_UNTIL_MS]
        self.rows[r + R_OUT_UNTIL_MS] = max(now_ms + 1, until_ms)  # not there again
        i = self._choose(ticket, now_ms)
        self.rows[r + R_OUT_UNTIL_MS] = until_ms
        full = judged(answer) == WAS_FULL
        if i != NOBODY and (full or may_retry(self._retries, 0, self._retry_rules, 0, now_ms)):
            self._send(ticket, i, now_ms)
            return ADMITTED
        if full and self.rows[r + R_SHARE] > 0 and self._put_back(ticket):
            return QUEUED
        if not full or self.rows[r + R_SHARE] == 0:
            correct(self.queue, self.people, ticket.person, ticket.charge, 0)
        return NO_CAPACITY

    def ended(self, ticket: Ticket, now_ms: int, computed: int, context: int, answer: int, wait_ms: int = 0) -> None:
        """A request has ended, wherever it was: `computed` uncached tokens, 0 if it never ran; its context since.

        answer: what that says of its pool: a status of HTTP, or how it broke off. wait_ms: see `again`.
        """
        if ticket.entry:
            withdraw(self.queue, self.people, ticket.entry)
            del self._waiting[ticket.entry]
            ticket.entry = 0
        elif ticket.pool != NOBODY:
            if ticket.session and context > 0:
                self._remember(ticket.session, ticket.pool, context)
            self._leave(ticket, answer, now_ms, wait_ms)
            correct(self.queue, self.people, ticket.person, ticket.charge, computed)

    def hold(self, i: int) -> bool:
        """A pool takes nothing new; False if it did not before."""
        changed = hold_pool(self.states, i * POOL_FIELDS)
        self._open(i)
        return changed

    def drain(self, i: int, deadline_ms: int, now_ms: int) -> bool:
        """A pool takes nothing new and is gone by a deadline; False if that changes nothing."""
        changed = drain_pool(self.states, i * POOL_FIELDS, deadline_ms, now_ms)
        self._open(i)
        return changed

    def reopen(self, i: int, now_ms: int) -> bool:
        """A pool takes requests again that was held or draining, or has come back; False if it did all along."""
        p = i * POOL_FIELDS
        if past_deadline(self.states, p, now_ms):
            self.states[p : p + POOL_FIELDS] = [0] * POOL_FIELDS
            changed = True
        else:
            changed = reopen_pool(self.states, p, now_ms)
        self._open(i)
        return changed

    def gone(self, now_ms: int) -> list[str]:
        """The pools whose deadline has passed since this was last asked: what they have waits again, or is cut."""
        names = []
        for i, pool in enumerate(self.pools):
            if end_drain(self.states, i * POOL_FIELDS, now_ms):
                names.append(pool.name)
                for ticket in sorted(self._at[i], key=lambda t: moving_order(RANK_MOST - t.kind.rank, t.now_ms)):
                    if ticket.begun:
                        self._told.append((ticket, CUT_WITH_POOL, i))
                    else:
                        self._leave(ticket, GIVEN_UP, now_ms)
                        self._told.append((ticket, PREEMPTED if self._put_back(ticket) else NO_CAPACITY, i))
        return names

    def lease(self, i: int, slots: int) -> bool:
        """A pool has so many slots here, its terms' at most; False if it had them before."""
        before = self.slots[i]
        self.slots[i] = min(slots, self.pools[i].slots)
        self._count(i)
        return self.slots[i] != before

    def _open(self, i: int) -> None:
        """Whether a pool takes requests: if the terms name it, and nobody holds or takes it away."""
        opened = self.names(i) and takes_new(self.states, i * POOL_FIELDS)
        self.rows[i * REPLICA_FIELDS + R_SHARE] = WHOLE_SHARE if opened else 0

    def fill(self, now_ms: int) -> None:
        """Send those who wait to pools that have room now."""
        while self.queue[Q_WAITING] > 0 and self._takes(now_ms):
            e = dequeue(self.queue, self.people)
            ticket = self._waiting.pop(e)
            ticket.entry, ticket.charge = 0, self.queue[e + E_CHARGE]
            if ticket.tries == 0:
                note_try(self._retries, 0, self._retry_rules, 0)
            self._send(ticket, self._choose(ticket, now_ms), now_ms)
            self._told.append((ticket, ADMITTED, ticket.pool))

    def due(self, now_ms: int) -> None:
        """Refuse those who have waited too long."""
        while (e := overdue(self.queue, now_ms)) != NOTHING:
            self._refuse(e)

    def _refuse(self, e: int) -> None:
        withdraw(self.queue, self.people, e)
        ticket = self._waiting.pop(e)
        ticket.entry = 0
        self._told.append((ticket, NO_CAPACITY, NOBODY))

    def _choose(self, ticket: Ticket, now_ms: int) -> int:
        home, at_home = NOBODY, 0
        if ticket.session and ticket.session in self._homes:
            home, at_home = self._homes[ticket.session]
            if self.rows[home * REPLICA_FIELDS + R_REQUESTS] * 4 >= self.slots[home] * 5:
                home, at_home = NOBODY, 0
        self._turn += 1
        return late_bound(
            self.rows, 0, len(self.pools), home, at_home, 0, MOVE_MOST_NS, PREFILL_TIMES,
            min(ticket.input_tokens, BACKLOG_MOST), now_ms, self._turn,
        )  # fmt: skip

    def _send(self, ticket: Ticket, i: int, now_ms: int) -> None:
        ticket.pool = i
        ticket.tries += 1
        self._at[i][ticket] = None
        args = self.health, i * HEALTH_FIELDS, self._health_rules, 0, self.rows, i * REPLICA_FIELDS, now_ms
        ticket.era = note_tried(*args)
        note_sent(self.rows, i * REPLICA_FIELDS, ticket.uncached)
        self._count(i)
        self._sent[ticket.kind.rank][ticket] = None

    def _leave(self, ticket: Ticket, answer: int, now_ms: int, wait_ms: int = 0) -> None:
        i, ticket.pool = ticket.pool, NOBODY
        del self._at[i][ticket]
        note_outcome(
            self.health, 0, self._health_rules, 0, self.rows, 0, len(self.pools), i, ticket.era, answer, wait_ms, now_ms
        )
        r = i * REPLICA_FIELDS
        if not ticket.begun:
            note_computed(self.rows, r, ticket.uncached)
            self._sent[ticket.kind.rank].pop(ticket, None)
        note_ended(self.rows, r)
        self._count(i)

    def _count(self, i: int) -> None:
        """Whether a pool has all that it has room for."""
        r = i * REPLICA_FIELDS
        self.rows[r + R_FULL] = int(self.rows[r + R_REQUESTS] >= self.slots[i])

    def _remember(self, session: int, pool: int, context: int) -> None:
        homes = self._homes
        homes.pop(session, None)  # what was asked last is forgotten last
        homes[session] = pool, context
        if len(homes) > HOMES_MOST:
            del homes[next(iter(homes))]

    def _person_of(self, who: int) -> int:
        p = self._person.get(who)
        if p is None:
            p = self._person[who] = len(self.people)
            self.people += [0] * PERSON_FIELDS
        return p

    def _takes(self, now_ms: int) -> bool:
        return any(takes(self.rows, r, now_ms) for r in range(0, len(self.rows), REPLICA_FIELDS))

    @property
    def opened(self) -> bool:
        """Whether any pool takes requests, now or when it is sound again."""
        return any(self.rows[r + R_SHARE] > 0 for r in range(0, len(self.rows), REPLICA_FIELDS))

    def begun_at(self, i: int) -> int:
        """How many requests of a pool have had their first byte."""
        return sum(ticket.begun for ticket in self._at[i])

    def needs(self) -> Iterator[tuple[PoolTerms, int, int]]:
        """Of each pool that the terms name: its terms, requests that it has, and with its part of those that wait."""
        opened = [p.slots if self.rows[i * REPLICA_FIELDS + R_SHARE] else 0 for i, p in enumerate(self.pools)]
        whole = sum(opened) or 1
        for i, pool in enumerate(self.pools):
            if pool.name in self._named:
                requests = self.rows[i * REPLICA_FIELDS + R_REQUESTS]
                yield pool, requests, requests - (-self.waiting * opened[i] // whole)
