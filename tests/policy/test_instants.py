"""The first instant of a table that is later than now, for resets, for peak hours and between crossings."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from ampacity.policy.instants import first_later


@given(st.lists(st.integers(0, 50)), st.lists(st.integers(0, 50)), st.integers(-1, 51))
def test_the_first_later_entry_is_where_bisection_of_the_same_list_puts_it(
    table: list[int], before: list[int], now_ms: int
) -> None:
    book = [*before, *sorted(table), 7, 7]
    begin, end = len(before), len(before) + len(table)
    assert first_later(book, begin, end, now_ms) == begin + bisect_right(sorted(table), now_ms)
