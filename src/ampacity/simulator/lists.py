"""Requests in a row's lists, first come first served, and its decoding sequences in a heap by their last round.

A list is two fields of a replica's row side by side, its first request and its last; each request names the next.
"""

from __future__ import annotations

from typing import Any

from ampacity.simulator.engine import FOREVER_PS
from ampacity.simulator.rows import ADMISSION, ARRIVAL_PS, CLASSES, HEAP_AT, NEXT, REQUEST_FIELDS, WAITING, B

PLACE_BITS = 32
PLACE_MASK = (1 << PLACE_BITS) - 1
ABORTED = 1 << 40


def append(row: Any, requests: Any, first: int, place: int) -> None:
    """Put a request behind all others of the list whose first field is `first`."""
    requests[place * REQUEST_FIELDS + NEXT] = 0
    last = row[first + 1]
    if last == 0:
        row[first] = place
    else:
        requests[last * REQUEST_FIELDS + NEXT] = place
    row[first + 1] = place


def prepend(row: Any, requests: Any, first: int, place: int) -> None:
    """Put a request before all others of a list."""
    requests[place * REQUEST_FIELDS + NEXT] = row[first]
    if row[first] == 0:
        row[first + 1] = place
    row[first] = place


def append_known(row: Any, requests: Any, first: int, place: int, known_ps: int) -> None:
    """Put a request behind all of a list who had come by `known_ps`, and before those who came later."""
    last = row[first + 1]
    if last == 0 or requests[last * REQUEST_FIELDS + ARRIVAL_PS] <= known_ps:
        append(row, requests, first, place)
        return
    before = 0
    after = row[first]
    while requests[after * REQUEST_FIELDS + ARRIVAL_PS] <= known_ps:
        before = after
        after = requests[after * REQUEST_FIELDS + NEXT]
    if before == 0:
        prepend(row, requests, first, place)
        return
    requests[place * REQUEST_FIELDS + NEXT] = after
    requests[before * REQUEST_FIELDS + NEXT] = place


def file_in(row: Any, requests: Any, first: int, place: int) -> None:
    """Put a request into a list that is in the order of admission."""
    admission = requests[place * REQUEST_FIELDS + ADMISSION]
    before = 0
    after = row[first]
    last = row[first + 1]
    if last > 0 and requests[last * REQUEST_FIELDS + ADMISSION] < admission:
        append(row, requests, first, place)
        return
    while after > 0 and requests[after * REQUEST_FIELDS + ADMISSION] < admission:
        before = after
        after = requests[after * REQUEST_FIELDS + NEXT]
    if before == 0:
        prepend(row, requests, first, place)
        return
    requests[place * REQUEST_FIELDS + NEXT] = after
    requests[before * REQUEST_FIELDS + NEXT] = place


def take_first(row: Any, requests: Any, first: int) -> int:
    """Take the first request out of a list; 0 if it is empty."""
    place: int = row[first]
    if place > 0:
        row[first] = requests[place * REQUEST_FIELDS + NEXT]
        if row[first] == 0:
            row[first + 1] = 0
    return place


def unlink(row: Any, requests: Any, first: int, place: int) -> bool:
    """Take a request out of a list; False if it is not in it."""
    before = 0
    there = row[first]
    while there > 0 and there != place:
        before = there
        there = requests[there * REQUEST_FIELDS + NEXT]
    if there == 0:
        return False
    after = requests[place * REQUEST_FIELDS + NEXT]
    if before == 0:
        row[first] = after
    else:
        requests[before * REQUEST_FIELDS + NEXT] = after
    if after == 0:
        row[first + 1] = before
    return True


def next_in_line(row: Any, requests: Any, known_ps: int) -> int:
    """The list whose first request is next, of those who had come by `known_ps`; 0 if there is none."""
    for c in range(CLASSES):
        place = row[WAITING + 2 * c]
        if place > 0 and requests[place * REQUEST_FIELDS + ARRIVAL_PS] <= known_ps:
            return WAITING + 2 * c
    return 0


def first_arrival_ps(row: Any, requests: Any) -> int:
    """When the first of those who wait came; FOREVER_PS if nobody waits."""
    first: int = FOREVER_PS
    for c in range(CLASSES):
        place = row[WAITING + 2 * c]
        if place > 0:
            first = min(first, requests[place * REQUEST_FIELDS + ARRIVAL_PS])
    return first


def are_known(row: Any, requests: Any, known_ps: int) -> bool:
    """Whether the first of every class that waits had come by `known_ps`."""
    for c in range(CLASSES):
        place = row[WAITING + 2 * c]
        if place > 0 and requests[place * REQUEST_FIELDS + ARRIVAL_PS] > known_ps:
            return False
    return True


def heap_push(row: Any, last_round: int, place: int) -> None:
    """Add a decoding sequence."""
    key = last_round << PLACE_BITS | place
    i = row[B]
    row[B] = i + 1
    while i > 0:
        above = (i - 1) >> 1
        if row[HEAP_AT + above] <= key:
            break
        row[HEAP_AT + i] = row[HEAP_AT + above]
        i = above
    row[HEAP_AT + i] = key


def heap_take(row: Any, i: int) -> int:
    """Take out the decoding sequence at position `i` of the heap; the first to end is at 0. Returns its place."""
    place: int = row[HEAP_AT + i] & PLACE_MASK
    size = row[B] - 1
    row[B] = size
    key = row[HEAP_AT + size]
    while i > 0 and row[HEAP_AT + ((i - 1) >> 1)] > key:
        row[HEAP_AT + i] = row[HEAP_AT + ((i - 1) >> 1)]
        i = (i - 1) >> 1
    below = 2 * i + 1
    while below < size:
        if below + 1 < size and row[HEAP_AT + below + 1] < row[HEAP_AT + below]:
            below += 1
        if row[HEAP_AT + below] >= key:
            break
        row[HEAP_AT + i] = row[HEAP_AT + below]
        i = below
        below = 2 * i + 1
    row[HEAP_AT + i] = key
    return place


def first_end(row: Any) -> int:
    """The round in which the first of the decoding sequences has its last token; there must be one."""
    last_round: int = row[HEAP_AT] >> PLACE_BITS
    return last_round
