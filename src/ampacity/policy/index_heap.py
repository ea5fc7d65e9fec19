"""A heap of rows that can be taken out from its middle: each row knows its position in it.

The heap is a stretch of a flat array, from `base` on, and holds where rows begin in `rows`. A row has three fields for
each heap that it may be in, from `field` on: key, the tie's breaker, position. First comes the least (key, breaker);
breakers are all different, so the order does not depend on how rows came in. The caller keeps the size.
"""

from __future__ import annotations

from ampacity.policy.book import Flat, Row

KEY, BREAKER, POSITION, HEAP_KEY_FIELDS = range(4)


def heap_add(heap: Row, base: int, size: int, rows: Row, row: int, field: int) -> None:
    """Put a row, its key and breaker written, into a heap of `size` rows; it has one more then. O(log size)."""
    heap[base + size] = row
    rows[row + field + POSITION] = size
    _rise(heap, base, size, rows, field)


def heap_remove(heap: Row, base: int, size: int, rows: Row, row: int, field: int) -> None:
    """Take a row out of a heap of `size` rows; it has one fewer then. O(log size)."""
    i = rows[row + field + POSITION]
    last = heap[base + size - 1]
    if last != row:
        heap[base + i] = last
        rows[last + field + POSITION] = i
        _rise(heap, base, i, rows, field)
        _sink(heap, base, size - 1, rows[last + field + POSITION], rows, field)


def heap_moved(heap: Row, base: int, size: int, rows: Row, row: int, field: int) -> None:
    """Put a row right whose key or breaker has changed. O(log size)."""
    _rise(heap, base, rows[row + field + POSITION], rows, field)
    _sink(heap, base, size, rows[row + field + POSITION], rows, field)


def _before(rows: Flat, a: int, b: int, field: int) -> bool:
    one = rows[a + field + KEY]
    other = rows[b + field + KEY]
    return one < other or (one == other and rows[a + field + BREAKER] < rows[b + field + BREAKER])


def _rise(heap: Row, base: int, i: int, rows: Row, field: int) -> None:
    row = heap[base + i]
    while i > 0:
        above = heap[base + ((i - 1) >> 1)]
        if not _before(rows, row, above, field):
            break
        heap[base + i] = above
        rows[above + field + POSITION] = i
        i = (i - 1) >> 1
    heap[base + i] = row
    rows[row + field + POSITION] = i


def _sink(heap: Row, base: int, size: int, i: int, rows: Row, field: int) -> None:
    row = heap[base + i]
    below = 2 * i + 1
    while below < size:
        if below + 1 < size and _before(rows, heap[base + below + 1], heap[base + below], field):
            below += 1
        least_row = heap[base + below]
        if not _before(rows, least_row, row, field):
            break
        heap[base + i] = least_row
        rows[least_row + field + POSITION] = i
        i = below
        below = 2 * i + 1
    heap[base + i] = row
    rows[row + field + POSITION] = i
