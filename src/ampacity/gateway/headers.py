"""How a subscriber's windows are told in the headers that clients read.

Anthropic's: windows of hours and days as `unified-*` (what Claude Code shows), stores that refill evenly as
`requests-*`, `tokens-*`, `input-tokens-*`, `output-tokens-*`. OpenAI's: stores that refill evenly as `x-ratelimit-*`.
Of several windows of one name the fullest is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import gmtime, strftime

from ampacity.base.outcomes import ORGANIZATION, SUBSCRIBER
from ampacity.gateway.dialects import Api
from ampacity.policy.book import AT, HELD_FIELDS, LENGTH_MS, MARK, PLACE, SIZE, WINDOW_FIELDS, WINDOWS, Book
from ampacity.policy.desk import Desk
from ampacity.policy.rows import AT_FIRST_USE, AT_INSTANTS, EVENLY, ONE_REQUEST, SCALE, UNLIMITED, WindowRule
from ampacity.policy.stores import used_now
from ampacity.policy.ticket import Kind, Ticket

WARNING = 80  # percent in use from which on clients are warned
UNITS = ((604_800_000, "w"), (86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"))
CLAIMS = {18_000_000: "five_hour", 604_800_000: "seven_day", 86_400_000: "one_day", 3_600_000: "one_hour"}


@dataclass(frozen=True, slots=True)
class _Told:
    """A window as headers name it. w, s: where it begins in the book, and its store in a subscriber's row.

    anthropic, openai: its lines, but for what changes from request to request; openai is empty if there are none.
    """

    w: int
    s: int
    size: int
    claim: bytes
    even: bool
    anthropic: bytes
    openai: bytes


class RateHeaders:
    """The headers of whoever is under a limit and asks for an alias by a product."""

    def __init__(self, book: Book, limit: str, alias: str, product: str) -> None:
        self._flat = book.flat
        rules, at, plan = book.places[limit], book.limit(limit), book.plan(limit, alias, product)
        self._told: list[_Told] = []
        for w in book.flat[plan + 1 : plan + 1 + book.flat[plan]]:
            rule = rules[(w - at - WINDOWS) // WINDOW_FIELDS]
            if rule.size not in (0, UNLIMITED) and (name := _name(rule)):
                even, size = rule.refill == EVENLY, book.flat[w + SIZE]
                lines = _lines(name.encode(), size // SCALE) if even else (_unified(name.encode()), b"")
                self._told.append(_Told(w, book.flat[w + PLACE], size, _claim(rule), even, *lines))

    @property
    def tells(self) -> bool:
        """Whether there is a window that headers have a word for."""
        return bool(self._told)

    def anthropic(self, state: Sequence[int], at: int, now_ms: int, refused: int = 0) -> bytes:
        """The lines for a client of Anthropic's API, each with its end. refused: the window that refuses, or 0."""
        flat, lines, worst, fullest = self._flat, [], None, -1
        for told in self._told:
            w, s = told.w, at + told.s
            used, size = used_now(state, s, flat, w, now_ms), told.size  # type: ignore[arg-type]
            if told.even:
                back = (now_ms if used <= 0 else state[s + MARK] + 1) // 1000
                lines.append(told.anthropic % ((size - used) // SCALE if used < size else 0, _instant(back)))
                continue
            percent = used * 100 // size
            full = w == refused or percent >= 100
            status = b"rejected" if full else b"allowed_warning" if percent >= WARNING else b"allowed"
            reset_s = -(-state[s + MARK] // 1000) if used > 0 else (now_ms + flat[w + LENGTH_MS]) // 1000
            lines.append(told.anthropic % (status, percent // 100, percent % 100, reset_s))
            rank = percent + (1 << 20 if w == refused else 0)
            if rank > fullest:
                fullest, worst = rank, (status, reset_s, told.claim)
        if worst is not None:
            lines.append(
                b"anthropic-ratelimit-unified-status: %b\r\nanthropic-ratelimit-unified-reset: %d\r\n"
                b"anthropic-ratelimit-unified-representative-claim: %b\r\n" % worst
            )
        return b"".join(lines)

    def openai(self, state: Sequence[int], at: int, now_ms: int) -> bytes:
        """The lines for a client of OpenAI's API, each with its end."""
        flat, lines = self._flat, []
        for told in self._told:
            if told.openai:
                s, size = at + told.s, told.size
                used = used_now(state, s, flat, told.w, now_ms)  # type: ignore[arg-type]
                wait_ms = 0 if used <= 0 else max(state[s + MARK] + 1 - now_ms, 0)
                lines.append(told.openai % ((size - used) // SCALE if used < size else 0, duration(wait_ms)))
        return b"".join(lines)


class Rates:
    """The header lines of every request, as its subscriber's windows stand; or its organization's.

    An organization's are told where they refuse, and to those who have no window of their own.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._of: dict[tuple[Kind, int], RateHeaders] = {}

    def forget(self) -> None:
        """Other terms are in force."""
        self._of.clear()

    def lines(self, ticket: Ticket, api: Api, now_ms: int) -> bytes:
        """The lines for a client of an API, each with its end."""
        ledger, at, refused = self._desk.ledger, ticket.held[AT], max(ticket.window, 0)
        own = self._of.get((ticket.kind, SUBSCRIBER)) or self._headers(ticket, SUBSCRIBER)
        if ticket.scopes == 2 and (not own.tells or (refused and ledger.window_of(ticket, refused)[0] == ORGANIZATION)):
            own = self._of.get((ticket.kind, ORGANIZATION)) or self._headers(ticket, ORGANIZATION)
            at = ticket.held[HELD_FIELDS + AT]
        if api == "anthropic":
            return own.anthropic(ledger.state, at, now_ms, refused)
        return own.openai(ledger.state, at, now_ms)

    def _headers(self, ticket: Ticket, scope: int) -> RateHeaders:
        kind, ledger = ticket.kind, self._desk.ledger
        limit = ledger.limit_of(scope, ticket.who if scope == SUBSCRIBER else ticket.organization)
        made = RateHeaders(ledger.book, limit, kind.alias, kind.product)
        if self._desk.has(kind):  # not if it is of terms that were in force when it came
            self._of[kind, scope] = made
        return made


def _lines(name: bytes, size: int) -> tuple[bytes, bytes]:
    """The lines of a store that refills evenly, for either API's clients: what is left, and when all of it is."""
    lines = b"%b-limit: %d\r\n%b-remaining: %%d\r\n%b-reset: %%b\r\n"
    anthropic = b"anthropic-ratelimit-" + name
    if name not in (b"requests", b"tokens"):
        return lines % (anthropic, size, anthropic, anthropic), b""
    openai = b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: %%d\r\nx-ratelimit-reset-%b: %%b\r\n"
    return lines % (anthropic, size, anthropic, anthropic), openai % (name, size, name, name)


def _unified(name: bytes) -> bytes:
    """The lines of a window of hours or days: its status, percent in use, and when it returns."""
    window = b"anthropic-ratelimit-unified-" + name
    return b"%b-status: %%b\r\n%b-utilization: %%d.%%02d\r\n%b-reset: %%d\r\n" % (window, window, window)


@lru_cache(maxsize=1024)
def _instant(second: int) -> bytes:
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(second)).encode()


def duration(ms: int) -> bytes:
    """A wait as OpenAI writes it: `1s`, `6m0s`, `120ms`."""
    if ms < 1000:
        return b"%dms" % ms
    seconds = -(-ms // 1000)
    minutes, s = divmod(seconds, 60)
    hours, m = divmod(minutes, 60)
    if hours:
        return b"%dh%dm%ds" % (hours, m, s)
    return b"%dm%ds" % (m, s) if m else b"%ds" % s


def _name(rule: WindowRule) -> str | None:
    """What headers call a window; None if they have no word for it (requests in flight, credits)."""
    if rule.refill in (AT_FIRST_USE, AT_INSTANTS):
        return _length(rule.length_ms) + ("" if rule.families is None else "_" + _plain(rule.name))
    if rule.refill != EVENLY:
        return None
    if rule.price == ONE_REQUEST:
        return "requests"
    p = rule.price
    if p.output == 0:
        return "input-tokens"
    return "output-tokens" if max(p.uncached, p.write, p.read) == 0 else "tokens"


def _claim(rule: WindowRule) -> bytes:
    known = CLAIMS.get(rule.length_ms)
    if known is None:
        return _plain(rule.name).encode()
    return (known if rule.families is None else f"{known}_{_plain(rule.name)}").encode()


def _length(ms: int) -> str:
    """`5h`, `7d`, `90s`: whole numbers of the largest unit that fits, of weeks in days."""
    for unit_ms, letter in UNITS[1:]:
        if ms % unit_ms == 0:
            return f"{ms // unit_ms}{letter}"
    return f"{ms}ms"


def _plain(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name.lower())
