"""The windows of a limit as whole numbers, with the mistakes that whole numbers allow; laying them out is `book.py`'s.

Time is in milliseconds since 1970 UTC. Weights are in thousandths, so use is counted in thousandths of a weighted
token. The bounds below keep every product of a decision under 63 bits. What follows local clocks (weekly resets, peak
hours) is a table of instants made here, once, ahead of time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from ampacity.base.calendar import local_intervals_ms, weekly_instants_ms

if TYPE_CHECKING:
    from ampacity.scenario.limit import Limit, Window

AT_FIRST_USE, AT_INSTANTS, EVENLY, NEVER, IN_FLIGHT = range(5)
REFILL = {
    "at-first-use": AT_FIRST_USE,
    "at-instants": AT_INSTANTS,
    "evenly": EVENLY,
    "never": NEVER,
    "in-flight": IN_FLIGHT,
}
SCALE = 1000

UNLIMITED = (1 << 62) - 1  # size of a window without bound
EVENLY_MOST = 1 << 46  # size of a store that refills evenly: 70 thousand million weighted tokens
EVENLY_MS_MOST = 1 << 32  # 49 days
LENGTH_MS_MOST = 1 << 40  # 34 years
WEIGHT_MOST = 1 << 20  # a token counts at most 1048 times
PEAK_MOST = 1 << 16  # in peak hours 65 times as much
COST_MOST = 1 << 46  # what one request can cost
WEEK_S = 7 * 86400
Number = TypeVar("Number", int, float)


class LimitError(ValueError):
    """A limit that cannot be kept in whole numbers; lists every mistake."""

    def __init__(self, mistakes: list[str]) -> None:
        """Join the mistakes, one a line."""
        self.mistakes = mistakes
        super().__init__("\n".join(mistakes))


@dataclass(frozen=True)
class Price:
    """What a request costs in a window. [1 / SCALE a token, a request]

    uncached, write, read, output: weights of the four kinds of token. request: of the request itself. in_flight: of
    the request until it is settled, then nothing (a store of requests in flight). peak_times: multiplier of all of it
    in the half-open intervals `peaks_ms`, a flat rising list.
    """

    uncached: int = SCALE
    write: int = SCALE
    read: int = SCALE
    output: int = SCALE
    request: int = 0
    in_flight: int = 0
    peak_times: int = SCALE
    peaks_ms: tuple[int, ...] = ()

    @property
    def fresh(self) -> int:
        """Weight of a token that an agent reads anew."""
        return fresh_weight(self.uncached, self.write)

    @property
    def of_agents(self) -> Price:
        """The same price for whom both kinds of new input are one."""
        return replace(self, uncached=self.fresh, write=self.fresh)


def fresh_weight(uncached: Number, write: Number) -> Number:
    """What a token counts that an agent reads anew: it is written to the cache as it is read, the dearer counts.

    uncached, write: weights of the two, both >= 0. For logs and behaviours, which do not tell the two kinds apart; a
    service that is told settles each at its own weight.
    """
    return max(uncached, write)


ONE_REQUEST = Price(0, 0, 0, 0, request=SCALE)
ONE_IN_FLIGHT = Price(0, 0, 0, 0, in_flight=SCALE)


@dataclass(frozen=True)
class WindowRule:
    """One window as deciding sees it.

    size: what it holds [weighted token / SCALE]. refill: AT_FIRST_USE, AT_INSTANTS, EVENLY, NEVER or IN_FLIGHT.
    families, products: what it counts; None counts all. overflow: what may pass beyond the size [size / SCALE], and
    passing: which share of the requests there does [1 / SCALE]. instants_ms: when a store AT_INSTANTS refills.
    """

    name: str
    size: int
    refill: int
    length_ms: int = 0
    price: Price = Price()
    families: tuple[str, ...] | None = None
    products: tuple[str, ...] | None = None
    overflow: int = 0
    passing: int = SCALE
    instants_ms: tuple[int, ...] = ()

    @property
    def ceiling(self) -> int:
        """The size with its overflow; for a store that refills evenly, as milliseconds of refilling."""
        whole = self.length_ms if self.refill == EVENLY else self.size
        return min(whole + whole * self.overflow // SCALE, UNLIMITED)

    def mistakes(self) -> Iterator[str]:
        """What of this window does not fit whole numbers: found, where, expected."""
        p = self.price
        even = self.refill == EVENLY
        bounds = [
            ("size", self.size, 0, EVENLY_MOST if even else UNLIMITED),
            ("length", self.length_ms, 0 if self.refill in (NEVER, IN_FLIGHT) else 1, _longest(even)),
            ("overflow", self.overflow, 0, SCALE),
            ("passing", self.passing, 0, SCALE),
            *((f"weight of {k}", getattr(p, k), 0, WEIGHT_MOST) for k in ("uncached", "write", "read", "output")),
            *((f"weight of {k}", getattr(p, k), 0, WEIGHT_MOST) for k in ("request", "in_flight")),
            ("peak multiplier", p.peak_times, 1, PEAK_MOST),
        ]
        for what, found, least, most in bounds:
            if not least <= found <= most:
                yield f"window {self.name!r}: {what} {found} lies outside {least} to {most}"
        if self.refill == AT_INSTANTS and not self.instants_ms:
            yield f"window {self.name!r}: refills at instants and has none"
        for what, table in (("instants", self.instants_ms), ("peak hours", p.peaks_ms)):
            if any(b <= a for a, b in pairwise(table)):
                yield f"window {self.name!r}: its {what} do not rise"
        if self.refill == IN_FLIGHT and p != ONE_IN_FLIGHT:
            yield f"window {self.name!r}: counts requests in flight, so its price is ONE_IN_FLIGHT"
        if self.refill != IN_FLIGHT and p.in_flight:
            yield f"window {self.name!r}: prices what is in flight, so its refill is IN_FLIGHT"


def _longest(even: bool) -> int:
    return EVENLY_MS_MOST if even else LENGTH_MS_MOST


def compile_limit(
    limit: Limit, start_s: int, end_s: int, found: dict[str, float] | None = None
) -> tuple[WindowRule, ...]:
    """Whole numbers for the windows of a limit; `found` gives the tokens of windows that state no size.

    A window with neither is without bound. Sizes are rounded down to whole thousandths. Tables of instants cover
    [start, end) and one reset after it. Raises LimitError with every window that whole numbers cannot hold.
    """
    rules = []
    for w in limit.windows:
        stated = w.tokens or w.requests
        holds = stated.value if stated is not None else (found or {}).get(w.name)
        bound = EVENLY_MOST if w.refill == "evenly" else UNLIMITED
        size = bound if holds is None else min(int(holds * SCALE), bound)
        rules.append(
            WindowRule(
                name=w.name,
                size=size,
                refill=REFILL[w.refill],
                length_ms=round(w.length_s * 1000),
                price=_price(w, start_s, end_s),
                families=None if w.models == "all" else w.models,
                products=None if w.products == "all" else w.products,
                overflow=round(w.overflow * SCALE),
                passing=round(w.passing * SCALE),
                instants_ms=_instants(w, start_s, end_s),
            )
        )
    mistakes = [f"limit {limit.name!r}, {m}" for rule in rules for m in rule.mistakes()]
    if mistakes:
        raise LimitError(mistakes)
    return tuple(rules)


def _instants(w: Window, start_s: int, end_s: int) -> tuple[int, ...]:
    if w.refill != "at-instants":
        return ()
    from ampacity.scenario.limit import Anchor  # brings pydantic, which a live service does without

    anchor = w.anchor or Anchor()
    beyond = weekly_instants_ms(start_s, end_s + 2 * WEEK_S, anchor.weekday, anchor.at, anchor.time_zone)
    within = sum(instant < end_s * 1000 for instant in beyond)
    return tuple(beyond[: within + 1])


def _price(w: Window, start_s: int, end_s: int) -> Price:
    if w.requests is not None:
        return ONE_IN_FLIGHT if w.refill == "in-flight" else ONE_REQUEST
    weights = (w.weights.uncached_input, w.weights.cache_write, w.weights.cache_read, w.weights.output)
    uncached, write, read, output = (round(x * SCALE) for x in weights)
    if w.peak is None:
        return Price(uncached, write, read, output)
    pairs = local_intervals_ms(start_s, end_s, w.peak.days, w.peak.begin, w.peak.end, w.peak.time_zone)
    times = round(w.peak.multiplier.value * SCALE)
    return Price(uncached, write, read, output, peak_times=times, peaks_ms=tuple(t for pair in pairs for t in pair))
