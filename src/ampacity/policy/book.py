"""All limits laid out in one flat row of integers, the book, that deciding reads; and the rows that it writes.

A limit is a block of fixed size, those that come later behind those in force, so that a changed limit lies where the
old one lay: what is used and what is in flight stays where it is. A plan is the list of a limit's windows that count
one (model family, product).

    book    header; of each limit a block: counts, windows, prices; of each its plans; the tables of instants and of
            peak hours
    state   STATE_FIELDS a subscriber: of each window when it comes back and what is used; the history of each price
    held    HELD_FIELDS a request in flight: what it has reserved, and in which opening of each window

A fresh row of either is zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass

from ampacity.policy.rows import COST_MOST, LimitError, Price, WindowRule

Flat = Sequence[int]  # a book: tuple or list in a live service, an int64 array in a compiled kernel
Row = MutableSequence[int]  # list or array('q') in a live service, an int64 array in a compiled kernel

WINDOWS_MOST, PRICES_MOST = 8, 4

# of the book
FAMILIES, PRODUCTS, PLANS, HEADER = range(4)
# of a limit's block
WINDOW_COUNT, PRICE_COUNT, WINDOWS = 0, 1, 2
# of a window
PLACE, COST, REFILL, SIZE, CEILING, PASSING, LENGTH_MS, QUICK, INSTANTS, INSTANTS_END, WINDOW_FIELDS = range(11)
# of a price
(
    W_UNCACHED,
    W_WRITE,
    W_READ,
    W_OUTPUT,
    W_REQUEST,
    W_IN_FLIGHT,
    W_INPUT_LEAST,
    W_INPUT_MOST,
    LEARNS,
    PRIOR,
    QUANTILE,
    CAP,
    PEAK_TIMES,
    PEAKS,
    PEAKS_END,
    PRICE_FIELDS,
) = range(16)
PRICES = WINDOWS + WINDOWS_MOST * WINDOW_FIELDS
BLOCK = PRICES + PRICES_MOST * PRICE_FIELDS
PLAN_FIELDS = 1 + WINDOWS_MOST
# of a subscriber's row
MARK, USED, STORE_FIELDS = 0, 1, 2
HISTORY = WINDOWS_MOST * STORE_FIELDS
STATE_FIELDS = HISTORY + 2 * PRICES_MOST
# of a request in flight
LIMIT, PLAN, AT, RESERVED_MS, EXPIRES_MS, COSTS = range(6)
MARKS = COSTS + PRICES_MOST
BEFORE = MARKS + WINDOWS_MOST * STORE_FIELDS  # how each store stood before the request took from it
HELD_FIELDS = BEFORE + WINDOWS_MOST * STORE_FIELDS

LENGTHS_MOST = 1 << 10  # one request moves a store that refills evenly on by at most 1024 lengths
QUICK_MOST = 1 << 30  # costs whose product with a length needs no long division

PARTS = 4  # of the smallest window that a request counts in, at most one of them is reserved: what is not known, learns
# an agent's request before anything is known of its subscriber: nine in ten cost less than this
PRIOR_TOKENS = (8_000, 0, 400_000, 1_200)
QUANTILE_DEFAULT = 900


@dataclass(frozen=True)
class Book:
    """Limits, laid out.

    flat: the integers. limits: where each limit's block begins. places: of each limit, the windows in the order of
    their places; one that a later book dropped keeps its place and is in no plan. slots: which price each has.
    """

    flat: tuple[int, ...]
    limits: dict[str, int]
    places: dict[str, tuple[WindowRule, ...]]
    slots: dict[str, tuple[int, ...]]
    families: tuple[str, ...]
    products: tuple[str, ...]

    def limit(self, name: str) -> int:
        """Where a limit's block begins. Raises LimitError if there is none of that name."""
        if name not in self.limits:
            raise LimitError([f"no limit {name!r}; there are {', '.join(map(repr, self.limits)) or 'none'}"])
        return self.limits[name]

    def plan(self, limit: str, family: str = "", product: str = "") -> int:
        """Where the list of windows begins that count this family and product; names unknown here count as others."""
        f = self.families.index(family) if family in self.families else len(self.families)
        p = self.products.index(product) if product in self.products else len(self.products)
        return plan_of(self.flat, self.limit(limit), f, p)


def plan_of(book: Flat, limit: int, family: int, product: int) -> int:
    """Where in the book the plan of a limit's (family, product) begins; family and product are their positions."""
    earlier = (limit - HEADER) // BLOCK * book[FAMILIES]
    return book[PLANS] + ((earlier + family) * book[PRODUCTS] + product) * PLAN_FIELDS


def compile_book(
    limits: Mapping[str, Sequence[WindowRule]],
    families: Sequence[str] = (),
    products: Sequence[str] = (),
    like: Book | None = None,
    prior_tokens: tuple[int, int, int, int] = PRIOR_TOKENS,
    quantile: int = QUANTILE_DEFAULT,
) -> Book:
    """Lay out limits. Families and products not named here are one more, last, that only windows of all count.

    prior_tokens: uncached, written, read and output tokens that a request of an unknown subscriber costs.
    quantile: of the cost that is reserved [1 / 1000]. like: the book in force; the new one begins with its limits,
    families and products, and keeps the offsets of its limits, so that rows written under the old one stay valid (see
    `limits.rebase`); those of plans it does not keep. Raises LimitError with every mistake.
    """
    families, products = tuple(families), tuple(products)
    mistakes = _unlike(limits, families, products, like)
    if not 1 <= quantile <= 999:
        mistakes.append(f"quantile {quantile} lies outside 1 to 999")
    if mistakes:
        raise LimitError(mistakes)
    placed = {name: _placed(rules, like.places.get(name, ()) if like else ()) for name, rules in limits.items()}
    slots = {}
    for name, rules in placed.items():
        slots[name], found = _slots(rules, limits[name], like.slots.get(name, ()) if like else ())
        found += [m for rule in rules for m in rule.mistakes()]
        if len(rules) > WINDOWS_MOST:
            found.append(f"{len(rules)} windows, at most {WINDOWS_MOST} (dropped ones keep their place)")
        if len(set(slots[name])) > PRICES_MOST:
            found.append(f"{len(set(slots[name]))} different weight tables, at most {PRICES_MOST}")
        mistakes += [f"limit {name!r}, {m}" for m in found]
    if mistakes:
        raise LimitError(mistakes)

    plans_at = HEADER + BLOCK * len(placed)
    plans: list[int] = []
    flat = [len(families) + 1, len(products) + 1, plans_at]
    counted = (len(families) + 1) * (len(products) + 1)
    tables = _Tables(plans_at + counted * PLAN_FIELDS * len(placed), [])
    offsets = {}
    for name, rules in placed.items():
        at = offsets[name] = len(flat)
        prices = [
            _price([r for r, s in zip(rules, slots[name], strict=True) if s == slot], limits[name], tables)
            for slot in sorted(set(slots[name]))
        ]
        for price in prices:
            prior = sum(w * n for w, n in zip(price[:4], prior_tokens, strict=True)) + price[W_REQUEST]
            price[PRIOR] = min(prior, price[CAP])
            price[QUANTILE] = quantile
        flat += [len(rules), len(prices)]
        flat += _padded(
            [_window(r, i, slots[name][i], tables) for i, r in enumerate(rules)], WINDOWS_MOST * WINDOW_FIELDS
        )
        flat += _padded(prices, PRICES_MOST * PRICE_FIELDS)
        for family in (*families, None):
            for product in (*products, None):
                counting = [
                    at + WINDOWS + i * WINDOW_FIELDS
                    for i, r in enumerate(rules)
                    if r in limits[name] and _counts(r.families, family) and _counts(r.products, product)
                ]
                plans += _padded([[len(counting), *counting]], PLAN_FIELDS)
    return Book(tuple(flat + plans + tables.values), offsets, placed, slots, families, products)


@dataclass(frozen=True)
class _Tables:
    """The tables at the end of a book while it is laid out: where they begin, and what is in them so far."""

    begin: int
    values: list[int]

    def add(self, table: tuple[int, ...]) -> list[int]:
        """Where the added table begins and ends in the book."""
        begin = self.begin + len(self.values)
        self.values.extend(table)
        return [begin, begin + len(table)]


def _unlike(
    limits: Mapping[str, Sequence[WindowRule]], families: tuple[str, ...], products: tuple[str, ...], like: Book | None
) -> list[str]:
    mistakes = []
    for name, rules in limits.items():
        names = [rule.name for rule in rules]
        twice = sorted({n for n in names if names.count(n) > 1})
        mistakes += [f"limit {name!r}: two windows are named {n!r}" for n in twice]
    if like is not None:
        for what, new, old in (
            ("limits", tuple(limits), tuple(like.limits)),
            ("models", families, like.families),
            ("products", products, like.products),
        ):
            if new[: len(old)] != old:
                words = f"{', '.join(new) or 'none'}; expected those in force first, {', '.join(old)}"
                mistakes.append(f"{what}: {words}: requests in flight count on their places")
    return mistakes


def _placed(rules: Sequence[WindowRule], old: tuple[WindowRule, ...]) -> tuple[WindowRule, ...]:
    """Windows at the places that they had; a window that refills by another rule now is another window."""
    rest = {(rule.name, rule.refill): rule for rule in rules}
    kept = [rest.pop((was.name, was.refill), was) for was in old]
    return (*kept, *rest.values())


def _slots(
    rules: tuple[WindowRule, ...], live: Sequence[WindowRule], old: tuple[int, ...]
) -> tuple[tuple[int, ...], list[str]]:
    """Of each window the position of its price: what it was, or that of an equal price, or a new one; and mistakes."""
    prices: dict[int, Price] = {}
    slots: list[int] = []
    mistakes = []
    for i, rule in enumerate(rules):
        same = [k for k, price in prices.items() if price == rule.price]
        slot = old[i] if i < len(old) else same[0] if same else max([*slots, *old, -1]) + 1
        if rule in live and prices.setdefault(slot, rule.price) != rule.price:
            mistakes.append(
                f"window {rule.name!r}: shared its weights and peak hours with another window; "
                "change both alike, or give it a new name"
            )
        slots.append(slot)
    return tuple(slots), mistakes


def _counts(named: tuple[str, ...] | None, asked: str | None) -> bool:
    return named is None or asked in named


def _window(rule: WindowRule, place: int, slot: int, tables: _Tables) -> list[int]:
    quick = min(QUICK_MOST, rule.size * LENGTHS_MOST) if rule.size else -1
    row = [
        place * STORE_FIELDS,
        COSTS + slot,
        rule.refill,
        rule.size,
        rule.ceiling,
        rule.passing,
        rule.length_ms,
        quick,
    ]
    return row + tables.add(rule.instants_ms)


def _price(sharing: list[WindowRule], live: Sequence[WindowRule], tables: _Tables) -> list[int]:
    """The row of one price; what a request is expected to cost is capped at a part of the smallest window by it."""
    in_force = [rule for rule in sharing if rule in live]
    p = (in_force or sharing)[0].price
    weights = (p.uncached, p.write, p.read, p.output)
    least, most = min(weights[:3]), max(weights[:3])
    cap = min([COST_MOST, *(rule.size // PARTS for rule in in_force)])
    row = [*weights, p.request, p.in_flight, least, most, int(any(weights)), 0, 0, cap, p.peak_times]
    return row + tables.add(p.peaks_ms)


def _padded(rows: list[list[int]], length: int) -> list[int]:
    flat = [n for row in rows for n in row]
    return flat + [0] * (length - len(flat))
