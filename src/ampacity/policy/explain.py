"""Which window binds, what is left of it and when it returns: in numbers, and in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ampacity.policy.book import COST, HELD_FIELDS, MARK, PLACE, WINDOW_FIELDS, WINDOWS, Book, Row
from ampacity.policy.rows import EVENLY, IN_FLIGHT, ONE_REQUEST, SCALE, UNLIMITED
from ampacity.policy.stores import FOREVER, fits_from_ms, used_now

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Scope:
    """Whose row is asked about: a limit's name, where the row begins in the state, and whose it is in words."""

    limit: str
    at: int = 0
    owner: str = ""


@dataclass(frozen=True)
class Standing:
    """One window at one instant.

    used, size: reserved included [weighted tokens, or requests where `counts` says so]; size None is without bound.
    share: used over size; above 1 it is debt. admits: whether it would admit the request asked about, without luck.
    admits_from_ms: when it would; all_back_ms: when nothing of it is in use any more. None is never.
    """

    owner: str
    window: str
    counts: str
    used: float
    size: float | None
    share: float
    admits: bool
    admits_from_ms: int | None
    all_back_ms: int | None

    @property
    def left(self) -> float | None:
        """What is left; negative in debt, None without bound."""
        return None if self.size is None else self.size - self.used


@dataclass(frozen=True)
class Explanation:
    """What all windows of a request say together.

    admits: whether all do. binding: the window that refuses longest; while all admit, the one with the largest share in
    use. retry_ms: when all admit if nothing else happens; None is never. sentence: the same, to be read.
    """

    admits: bool
    binding: Standing | None
    retry_ms: int | None
    windows: tuple[Standing, ...]
    sentence: str


def explain(
    book: Book,
    state: Row,
    scopes: Sequence[Scope],
    now_ms: int,
    family: str = "",
    product: str = "",
    held: Row | None = None,
    h: int = 0,
    asked: str = "this request",
) -> Explanation:
    """Explain what a request of this family and product meets now, in each scope.

    held, h: the rows that `limits.hold` wrote for it, one a scope; without them, a request of the least cost. asked:
    what the sentence calls it. Raises LimitError if the book has no limit of a scope's name.
    """
    windows: list[Standing] = []
    for i, scope in enumerate(scopes):
        plan = book.plan(scope.limit, family, product)
        for w in book.flat[plan + 1 : plan + 1 + book.flat[plan]]:
            cost = 1 if held is None else held[h + i * HELD_FIELDS + book.flat[w + COST]]
            windows.append(_standing(book, state, scope, w, cost, now_ms))
    refusing = [s for s in windows if not s.admits]
    if refusing:
        binding: Standing | None = max(refusing, key=lambda s: (_instant(s), s.share))
    else:
        binding = max(windows, key=lambda s: s.share, default=None)
    retry = binding.admits_from_ms if binding is not None and refusing else now_ms
    return Explanation(not refusing, binding, retry, tuple(windows), _sentence(windows, binding, now_ms, asked))


def _standing(book: Book, state: Row, scope: Scope, w: int, cost: int, now_ms: int) -> Standing:
    flat = book.flat
    rule = book.places[scope.limit][(w - book.limit(scope.limit) - WINDOWS) // WINDOW_FIELDS]
    s = scope.at + flat[w + PLACE]
    used = used_now(state, s, flat, w, now_ms)
    admits_from = fits_from_ms(state, s, flat, w, cost, now_ms)
    back = now_ms if used <= 0 else state[s + MARK] + (rule.refill == EVENLY)
    counts = "in flight" if rule.refill == IN_FLIGHT else "requests" if rule.price == ONE_REQUEST else "tokens"
    return Standing(
        owner=scope.owner,
        window=rule.name,
        counts=counts,
        used=used / SCALE,
        size=None if rule.size == UNLIMITED else rule.size / SCALE,
        share=used / rule.size if rule.size else float(used > 0 or cost > 0),
        admits=admits_from <= now_ms,
        admits_from_ms=None if admits_from == FOREVER else admits_from,
        all_back_ms=None if back == FOREVER else back,
    )


def _instant(s: Standing) -> int:
    """For how long it refuses; a request in flight ends soon, nobody knows when."""
    return 0 if s.counts == "in flight" else FOREVER if s.admits_from_ms is None else s.admits_from_ms


def _sentence(windows: Sequence[Standing], binding: Standing | None, now_ms: int, asked: str) -> str:
    if binding is None:
        return "No window counts this request."
    first = _refusal(binding, now_ms, asked) if not binding.admits else _room(binding, now_ms, first=True)
    others = [s for s in windows if s is not binding and s.size is not None and s.counts != "in flight"]
    refusing = [s for s in others if not s.admits]
    told = refusing or sorted(others, key=lambda s: -s.share)[:1]
    rest = [_refusal(s, now_ms, asked, first=False) if not s.admits else _room(s, now_ms, first=False) for s in told]
    return "; ".join([first, *rest]) + "."


def _refusal(s: Standing, now_ms: int, asked: str, first: bool = True) -> str:
    name = _name(s, first)
    if s.counts == "in flight":
        return f"{name} is full: {s.used:.0f} of {s.size:.0f} requests are in flight, one of them must end first"
    size = "" if s.size is None else _amount(s)
    if s.share >= 1:
        text = f"{name} is used up ({100 * s.share:.0f} % of {size})"
    else:
        text = f"{name} has {_percent_left(s)} left of {size}, less than {asked} is expected to take"
    if s.admits_from_ms is None:
        never = "it does not return" if s.all_back_ms is None else "it never holds a request of this size"
        return f"{text}; {never}"
    returns = "it returns" if s.admits_from_ms == s.all_back_ms else "there is room for it"
    return f"{text}; {returns} {_when(s.admits_from_ms, now_ms)}"


def _room(s: Standing, now_ms: int, first: bool) -> str:
    name = _name(s, first)
    if s.counts == "in flight":
        return f"{name} has room: {s.used:.0f} of {s.size:.0f} requests are in flight"
    if s.size is None:
        return f"{name} is without bound"
    text = f"{name} has {_percent_left(s)} left"
    if not first:
        return text
    text += f" of {_amount(s)}"
    if s.used > 0 and s.all_back_ms is not None:
        text += f"; all of it is back {_when(s.all_back_ms, now_ms)}"
    return text


def _name(s: Standing, first: bool) -> str:
    owner = f"{s.owner}'s " if s.owner else ""
    if first:
        return f"{owner[:1].upper()}{owner[1:]}{s.window} window" if owner else f"The {s.window} window"
    return f"{owner}{s.window} one" if owner else f"the {s.window} one"


def _percent_left(s: Standing) -> str:
    percent = 100 * max(1 - s.share, 0.0)
    return f"{percent:.0f} %" if percent >= 1 or percent == 0 else "under 1 %"


def _amount(s: Standing) -> str:
    size = s.size or 0.0
    unit = " requests" if s.counts == "requests" else ""
    for scale, letter in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if size >= scale:
            return f"{size / scale:.3g}{letter}{unit}"
    return f"{size:.3g}{unit}"


def _when(instant_ms: int, now_ms: int) -> str:
    """An instant as a clock shows it, and how long it is until then."""
    at = datetime.fromtimestamp(instant_ms / 1000, UTC)
    wait_ms = instant_ms - now_ms
    if wait_ms < 60_000:
        return f"in {max(-(-wait_ms // 1000), 1)} s"
    clock = f"at {at:%H:%M} UTC"
    if wait_ms < 2 * 3_600_000:
        return f"{clock}, in {_count(round(wait_ms / 60_000), 'minute')}"
    if wait_ms < 2 * DAY_MS:
        return f"{clock}, in {_count(round(wait_ms / 3_600_000), 'hour')}"
    days = (at.date() - datetime.fromtimestamp(now_ms / 1000, UTC).date()).days  # as people count them, by the calendar
    return f"on {at:%A} {at.day} {at:%B} {clock}, in {_count(days, 'day')}"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
