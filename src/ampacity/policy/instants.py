"""Instants in the book's tables: the first that is later than now. Resets and changes of hours are looked up here."""

from __future__ import annotations

from ampacity.policy.book import Flat


def first_later(book: Flat, begin: int, end: int, now_ms: int) -> int:
    """The place in the book of the first entry later than now, of a rising table at [begin, end); `end` if none is."""
    low = begin
    high = end
    while low < high:
        middle = (low + high) // 2
        if book[middle] > now_ms:
            high = middle
        else:
            low = middle + 1
    return low
