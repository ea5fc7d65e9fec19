"""Rows come out of the heap in order, from its top and from its middle, whatever was changed meanwhile."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ampacity.policy.index_heap import BREAKER, HEAP_KEY_FIELDS, KEY, POSITION, heap_add, heap_moved, heap_remove

ROWS = 60
BASE, FIELD = 5, 2
ROW_FIELDS = FIELD + HEAP_KEY_FIELDS


@given(st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(0, 40), st.booleans()), max_size=300))
def test_it_agrees_with_a_sorted_list(told: list[tuple[int, int, bool]]) -> None:
    heap, rows = [-1] * (BASE + ROWS), [0] * (ROWS * ROW_FIELDS)
    inside: list[int] = []
    for n, key, moves in told:
        row = n * ROW_FIELDS
        if row in inside and not moves:
            heap_remove(heap, BASE, len(inside), rows, row, FIELD)
            inside.remove(row)
        else:
            rows[row + FIELD + KEY], rows[row + FIELD + BREAKER] = key, n
            if row in inside:
                heap_moved(heap, BASE, len(inside), rows, row, FIELD)
            else:
                heap_add(heap, BASE, len(inside), rows, row, FIELD)
                inside.append(row)
        assert all(heap[BASE + rows[row + FIELD + POSITION]] == row for row in inside)
    out = []
    for size in range(len(inside), 0, -1):
        out.append(heap[BASE])
        heap_remove(heap, BASE, size, rows, heap[BASE], FIELD)
    assert out == sorted(inside, key=lambda row: (rows[row + FIELD + KEY], row))
    assert heap[:BASE] == [-1] * BASE


def test_who_takes_the_place_of_a_removed_row_may_rise() -> None:
    heap, rows = [0] * 7, [0] * (7 * HEAP_KEY_FIELDS)
    for n, key in enumerate([0, 50, 1, 60, 70, 2, 3]):  # each lies where it was added
        rows[n * HEAP_KEY_FIELDS + KEY] = key
        heap_add(heap, 0, n, rows, n * HEAP_KEY_FIELDS, 0)
    heap_remove(heap, 0, 7, rows, 3 * HEAP_KEY_FIELDS, 0)  # 3 comes into its place, below 50
    assert [rows[row + KEY] for row in heap[:6]] == [0, 3, 1, 50, 70, 2]
