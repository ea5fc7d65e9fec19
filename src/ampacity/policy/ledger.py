"""What all subscribers and organizations have used under the limits in force: their rows, and the caps of tiers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ampacity.base.outcomes import ORGANIZATION, SUBSCRIBER
from ampacity.policy.book import (
    AT,
    BEFORE,
    COST,
    HELD_FIELDS,
    LIMIT,
    MARK,
    MARKS,
    REFILL,
    SIZE,
    STATE_FIELDS,
    STORE_FIELDS,
    USED,
    WINDOW_FIELDS,
    WINDOWS,
    Book,
    compile_book,
)
from ampacity.policy.capacity_cap import (
    C_START_MS,
    CAPPED,
    CURVE_FIELDS,
    IN_HOUR,
    MS_AN_HOUR,
    TAKEN_FIELDS,
    TOKENS_TAKEN,
    compile_caps,
    correct_cap,
    fits_cap_from_ms,
    hour_of,
    reserve_capped,
)
from ampacity.policy.limits import (
    admits_from_ms,
    expire,
    hold,
    rebase,
    refuses_longest,
    release,
    reserve,
    retry_at_ms,
    settle,
    unreserve,
)
from ampacity.policy.rows import EVENLY, IN_FLIGHT
from ampacity.policy.stores import FOREVER
from ampacity.policy.terms import Terms
from ampacity.policy.ticket import NO_CAP, Ticket

SOON_MS = 1000
LONG_MS = 60_000  # clients wait so long by themselves; beyond that they are told not to try again
SETTLES_MS = 10_000  # what is in flight may end at any time, and seldom needs all that is reserved for it
LOOKED_AT = 16  # of somebody's requests in flight, to say whether those stand in the way


class Ledger:
    """Rows of use, and what moves them. No clock, no chance, nothing written anywhere."""

    def __init__(self, terms: Terms) -> None:
        self.book = _book(terms, None)
        self.state: list[int] = []
        self._rows: tuple[dict[int, int], dict[int, int]] = ({}, {})  # of subscribers, of organizations: where
        self._limits: dict[int, str] = {}  # of the row there
        self._in_flight: tuple[dict[int, dict[Ticket, None]], dict[int, dict[Ticket, None]]] = ({}, {})  # by whose row
        self.touched: set[tuple[int, int]] = set()
        self.caps: list[int] = []
        self.curves: dict[tuple[str, str], int] = {}  # of a tier and an alias: where its curve begins
        self._taken_at: dict[tuple[str, str], int] = {}
        self.taken: list[int] = []
        self._lay_caps(terms)

    def change(self, terms: Terms, now_ms: int) -> None:
        """Bring other limits into force; what is used stays used. Raises LimitError, and nothing changes.

        Limits, aliases and products may come and go. A limit that goes keeps its place without windows, so that who
        comes under another one keeps what is used.
        """
        old, new = self.book, _book(terms, self.book)
        compile_caps(terms.caps)  # raises before anything has changed
        if new.flat != old.flat:
            for scope, rows in enumerate(self._rows):
                for who, at in rows.items():
                    limit = self._limits[at]
                    if new.places[limit] != old.places[limit]:
                        rebase(self.state, at, old.flat, new.flat, old.limit(limit), now_ms)
                        self.touched.add((scope, who))
        self.book = new
        self._lay_caps(terms)

    def _lay_caps(self, terms: Terms) -> None:
        starts = {key: self.caps[c + C_START_MS] for key, c in self.curves.items()}
        self.caps = compile_caps(terms.caps)
        self.curves = {(c.tier, c.pool): i * CURVE_FIELDS for i, c in enumerate(terms.caps)}
        for curve in terms.caps:
            if (curve.tier, curve.pool) not in self._taken_at:
                self._taken_at[curve.tier, curve.pool] = len(self.taken)
                self.taken += [0] * TAKEN_FIELDS
        for key, was_ms in starts.items():
            k = self._taken_at[key] + IN_HOUR
            if key in self.curves and self.taken[k]:  # hours count from a curve's start, which may be another
                hours = (was_ms - self.caps[self.curves[key] + C_START_MS]) // MS_AN_HOUR
                self.taken[k] = max(self.taken[k] + hours, 1)

    def taken_at(self, tier: str, alias: str) -> int:
        """Where stands what a tier has taken of an alias's cap in this hour."""
        return self._taken_at[tier, alias]

    def row(self, scope: int, who: int, limit: str, now_ms: int) -> int:
        """Where somebody's row begins; a new one is zeros. Who comes under another limit keeps what is used."""
        rows = self._rows[scope]
        at = rows.get(who)
        if at is None:
            at = rows[who] = len(self.state)
            self.state += [0] * STATE_FIELDS
            self._limits[at] = limit
        elif self._limits[at] != limit:
            self._move(at, limit)
        return at

    def limit_of(self, scope: int, who: int) -> str:
        """The limit that somebody's row is under."""
        return self._limits[self._rows[scope][who]]

    def found(self, scope: int, who: int) -> int | None:
        """Where somebody's row begins, or None if they have never asked."""
        return self._rows[scope].get(who)

    def as_under(self, scope: int, who: int, limit: str) -> list[int]:
        """Somebody's row as it would be under a limit, to look at: nothing changes."""
        at = self._rows[scope].get(who)
        if at is None:
            return [0] * STATE_FIELDS
        row = self.state[at : at + STATE_FIELDS]
        return row if self._limits[at] == limit else self._carried(row, self._limits[at], limit)

    def _move(self, at: int, limit: str) -> None:
        """Bring a row under another limit."""
        row = self.state[at : at + STATE_FIELDS]
        self.state[at : at + STATE_FIELDS] = self._carried(row, self._limits[at], limit)
        self._limits[at] = limit

    def _carried(self, row: Sequence[int], old: str, new: str) -> list[int]:
        """A row from one limit to another: a window of the same name and rule keeps what is used, others are fresh.

        A store that refills evenly keeps when it is full, rounded up, since its size may be another.
        """
        kept: dict[tuple[str, int], tuple[int, int]] = {}
        for i, rule in enumerate(self.book.places[old]):
            s = i * STORE_FIELDS
            mark, used = row[s + MARK], row[s + USED]
            kept[rule.name, rule.refill] = (mark + (used > 0), 0) if rule.refill == EVENLY else (mark, used)
        carried = [0] * STATE_FIELDS
        for i, rule in enumerate(self.book.places[new]):
            s = i * STORE_FIELDS
            if rule.refill != IN_FLIGHT:  # what is in flight ends under the limit that it began under
                carried[s + MARK], carried[s + USED] = kept.get((rule.name, rule.refill), (0, 0))
        return carried

    def reserve(self, ticket: Ticket, now_ms: int) -> int:
        """Reserve what a request is expected to cost, in all windows and its tier's cap, or in none.

        Returns 0, where in the book the first window begins that refuses, or CAPPED.
        """
        kind = ticket.kind
        self._hold(ticket, now_ms)
        flat, state, held, scopes = self.book.flat, self.state, ticket.held, ticket.scopes
        if kind.cap == NO_CAP:
            refusing = reserve(state, flat, held, 0, scopes, now_ms, ticket.draw)
        else:
            refusing = reserve_capped(
                state, flat, held, 0, scopes, self.caps, kind.cap, self.taken, kind.taken, ticket.uncached, now_ms,
                ticket.draw,
            )  # fmt: skip
            if refusing == 0:
                ticket.cap_hour = self.taken[kind.taken + IN_HOUR]
        if refusing == 0:
            self._flies(ticket)
        return refusing

    def reserve_again(self, ticket: Ticket, now_ms: int) -> None:
        """Reserve what was reserved once, as a journal tells it: of a cap nothing, until it is known what was computed.

        What a request was expected to compute is not in a journal; what it has computed is.
        """
        self._hold(ticket, now_ms)
        reserve(self.state, self.book.flat, ticket.held, 0, ticket.scopes, now_ms, ticket.draw)
        self._flies(ticket)
        kind = ticket.kind
        if kind.cap != NO_CAP:
            hour = hour_of(self.caps, kind.cap, now_ms)
            if hour > self.taken[kind.taken + IN_HOUR]:
                self.taken[kind.taken + IN_HOUR], self.taken[kind.taken + TOKENS_TAKEN] = hour, 0
            ticket.cap_hour = self.taken[kind.taken + IN_HOUR]

    def caps_taken(self, under_way: Iterable[Ticket]) -> Iterator[tuple[str, str, int, int]]:
        """Of each cap: tier, alias, the hour, and what those that have ended took of it."""
        for (tier, alias), k in self._taken_at.items():
            hour = self.taken[k + IN_HOUR]
            capped = [t for t in under_way if t.kind.taken == k and t.kind.cap != NO_CAP]
            asked = sum(t.uncached for t in capped if t.cap_hour == hour)
            yield tier, alias, hour, max(self.taken[k + TOKENS_TAKEN] - asked, 0)

    def take_up_cap(self, tier: str, alias: str, hour: int, tokens: int) -> None:
        """Put a cap where a checkpoint had it."""
        k = self._taken_at.get((tier, alias))
        if k is not None:
            self.taken[k + IN_HOUR], self.taken[k + TOKENS_TAKEN] = hour, tokens

    def _hold(self, ticket: Ticket, now_ms: int) -> None:
        """Write down what a request is expected to cost, for its subscriber and their organization."""
        kind, flat, state = ticket.kind, self.book.flat, self.state
        at = self.row(SUBSCRIBER, ticket.who, kind.limit_name, now_ms)
        asked = (now_ms, ticket.expires_ms, ticket.input_tokens, ticket.output_most)
        if kind.organization_limit == 0:
            held = ticket.held = [0] * HELD_FIELDS
            ticket.scopes = 1
        else:
            held = ticket.held = [0] * (2 * HELD_FIELDS)
            ticket.scopes = 2
            theirs = self.row(ORGANIZATION, ticket.organization, kind.organization_limit_name, now_ms)
            limit, plan = kind.organization_limit, kind.organization_plan
            hold(state, theirs, flat, limit, plan, held, HELD_FIELDS, *asked)
            self.touched.add((ORGANIZATION, ticket.organization))
        hold(state, at, flat, kind.limit, kind.plan, held, 0, *asked)
        self.touched.add((SUBSCRIBER, ticket.who))

    def unreserve(self, ticket: Ticket) -> None:
        """Undo what has just been reserved, as if it had never been asked: no window is opened by it."""
        held = ticket.held
        unreserve(self.state, self.book.flat, held, 0, ticket.scopes * HELD_FIELDS)
        for h in range(0, ticket.scopes * HELD_FIELDS, HELD_FIELDS):
            held[h + LIMIT] = 0
        self._lands(ticket)
        self._correct_cap(ticket, 0)

    def settle(self, ticket: Ticket, now_ms: int, uncached: int, written: int, read: int, output: int) -> bool:
        """Put what a request has cost in the place of what it reserved; False if it holds nothing."""
        self._leave_alone(ticket)
        flat, state, held = self.book.flat, self.state, ticket.held
        settled = False
        for h in range(0, ticket.scopes * HELD_FIELDS, HELD_FIELDS):
            settled = settle(state, flat, held, h, now_ms, uncached, written, read, output) or settled
        if settled:
            self._lands(ticket)
            self._touch(ticket)
            self._correct_cap(ticket, uncached + written)
        return settled

    def release(self, ticket: Ticket, now_ms: int) -> bool:
        """Give back all that a request reserved: it never began; False if it holds nothing."""
        self._leave_alone(ticket)
        flat, state, held = self.book.flat, self.state, ticket.held
        released = False
        for h in range(0, ticket.scopes * HELD_FIELDS, HELD_FIELDS):
            released = release(state, flat, held, h, now_ms) or released
        if released:
            self._lands(ticket)
            self._touch(ticket)
            self._correct_cap(ticket, 0)
        return released

    def expire(self, ticket: Ticket, now_ms: int) -> bool:
        """Give back what nobody settled in time; it may still be settled."""
        self._leave_alone(ticket)
        gone = False
        for h in range(0, ticket.scopes * HELD_FIELDS, HELD_FIELDS):
            gone = expire(self.state, self.book.flat, ticket.held, h, now_ms) or gone
        if gone:
            self._lands(ticket)
            self._touch(ticket)
        return gone

    def _flies(self, ticket: Ticket) -> None:
        """It holds what is reserved for it from now on."""
        _put(self._in_flight[SUBSCRIBER], ticket.who, ticket)
        if ticket.scopes == 2:
            _put(self._in_flight[ORGANIZATION], ticket.organization, ticket)

    def _lands(self, ticket: Ticket) -> None:
        """It holds nothing any more."""
        _take(self._in_flight[SUBSCRIBER], ticket.who, ticket)
        if ticket.scopes == 2:
            _take(self._in_flight[ORGANIZATION], ticket.organization, ticket)

    def retry_ms(self, ticket: Ticket, refusing: int, now_ms: int) -> int | None:
        """When what refused a request would admit it, if nothing else happens; None if never. [ms]

        One of too many requests in flight may end at any time: soon. Likewise instead of a long wait, if what stands in
        the way is reserved for others in flight, which seldom need all of it.
        """
        if refusing == CAPPED:
            kind = ticket.kind
            at = fits_cap_from_ms(self.caps, kind.cap, self.taken, kind.taken, ticket.uncached, now_ms)
            return None if at >= FOREVER else at
        flat, held = self.book.flat, ticket.held
        row = HELD_FIELDS if self.window_of(ticket, refusing)[0] == ORGANIZATION else 0
        at = admits_from_ms(self.state, flat, held, row, refusing, now_ms)
        if flat[refusing + REFILL] == IN_FLIGHT and held[row + flat[refusing + COST]] <= flat[refusing + SIZE]:
            return now_ms + SOON_MS
        if at > now_ms + LONG_MS:
            at = min(at, max(self._without_others(ticket, now_ms), now_ms + SETTLES_MS))
        return None if at >= FOREVER else at

    def _without_others(self, ticket: Ticket, now_ms: int) -> int:
        """When all windows would admit a request that was refused if others in flight took no token; or FOREVER. [ms]

        Tried on copies of the rows. At most LOOKED_AT others of each row are looked at, the first ones.
        """
        flat, rows, held = self.book.flat, [], ticket.held[:]
        found = False
        for scope, whose in ((SUBSCRIBER, ticket.who), (ORGANIZATION, ticket.organization))[: ticket.scopes]:
            h = scope * HELD_FIELDS
            rows += self.state[held[h + AT] : held[h + AT] + STATE_FIELDS]
            held[h + AT] = scope * STATE_FIELDS
            for other in islice(self._in_flight[scope].get(whose, ()), LOOKED_AT):
                theirs = other.held[h : h + HELD_FIELDS]
                if theirs[LIMIT] == held[h + LIMIT]:
                    theirs[AT] = held[h + AT]
                    found = settle(rows, flat, theirs, 0, now_ms, 0, 0, 0, 0) or found
        return retry_at_ms(rows, flat, held, 0, ticket.scopes, now_ms) if found else FOREVER

    def binding(self, ticket: Ticket, now_ms: int) -> int:
        """Of the windows that refuse a request, which has just been refused, the one that does so longest; 0: none."""
        return refuses_longest(self.state, self.book.flat, ticket.held, 0, ticket.scopes, now_ms)

    def window_of(self, ticket: Ticket, refusing: int) -> tuple[int, str]:
        """Whose window begins there in the book, SUBSCRIBER or ORGANIZATION, and its name."""
        kind = ticket.kind
        scope, name, limit = SUBSCRIBER, kind.limit_name, kind.limit
        theirs = kind.organization_limit
        if theirs and refusing > theirs and (refusing < kind.limit or kind.limit < theirs):
            scope, name, limit = ORGANIZATION, kind.organization_limit_name, theirs
        return scope, self.book.places[name][(refusing - limit - WINDOWS) // WINDOW_FIELDS].name

    def take_up(self, scope: int, who: int, limit: str, numbers: list[int]) -> None:
        """Put a row where a checkpoint had it."""
        at = self.row(scope, who, limit, 0)
        self.state[at : at + STATE_FIELDS] = numbers

    def rows_touched(self) -> Iterator[tuple[int, int, list[int]]]:
        """The rows that changed since this was last asked: scope, whose, numbers."""
        touched, self.touched = self.touched, set()
        for scope, who in sorted(touched):
            at = self._rows[scope][who]
            yield scope, who, self.state[at : at + STATE_FIELDS]

    def _leave_alone(self, ticket: Ticket) -> None:
        """What was reserved under a limit that its row has left is not corrected: its places are other windows' now."""
        held = ticket.held
        for h in range(0, ticket.scopes * HELD_FIELDS, HELD_FIELDS):
            if held[h + LIMIT] and held[h + LIMIT] != self.book.limits[self._limits[held[h + AT]]]:
                held[h + MARKS : h + BEFORE] = [0] * (BEFORE - MARKS)

    def _touch(self, ticket: Ticket) -> None:
        self.touched.add((SUBSCRIBER, ticket.who))
        if ticket.scopes == 2:
            self.touched.add((ORGANIZATION, ticket.organization))

    def _correct_cap(self, ticket: Ticket, computed: int) -> None:
        kind = ticket.kind
        if kind.cap != NO_CAP:
            correct_cap(self.taken, kind.taken, ticket.cap_hour, ticket.uncached, computed)


def _put(in_flight: dict[int, dict[Ticket, None]], who: int, ticket: Ticket) -> None:
    theirs = in_flight.get(who)
    if theirs is None:
        in_flight[who] = {ticket: None}
    else:
        theirs[ticket] = None


def _take(in_flight: dict[int, dict[Ticket, None]], who: int, ticket: Ticket) -> None:
    theirs = in_flight.get(who)
    if theirs is not None and ticket in theirs:
        del theirs[ticket]
        if not theirs:
            del in_flight[who]


def _book(terms: Terms, like: Book | None) -> Book:
    """What is gone stays in its place, limits without windows; what is new comes last, limits by name."""
    known = like.limits if like is not None else {}
    limits = {name: terms.limits.get(name, ()) for name in known}
    limits |= {name: terms.limits[name] for name in sorted(terms.limits) if name not in known}
    aliases, products = [s.alias for s in terms.services], terms.products
    if like is not None:
        aliases, products = [*like.families, *aliases], (*like.products, *products)
    return compile_book(limits, tuple(dict.fromkeys(aliases)), tuple(dict.fromkeys(products)), like=like)
