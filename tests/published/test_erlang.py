"""Kaufman and Roberts' recursion against the tables that telephone engineers have used for a century."""

from __future__ import annotations

import pytest

from ampacity.planner.multiplexing import class_blocking

ONE_PERCENT = {1: 0.0101, 5: 1.36, 10: 4.46, 20: 12.03, 50: 37.90, 100: 84.06}


@pytest.mark.published(
    "Erlang B table at 1 % blocking, e.g. ITU-T Handbook on Teletraffic Engineering; circuits: erlang"
)
@pytest.mark.parametrize("circuits", ONE_PERCENT)
def test_the_offered_traffic_of_the_tables_is_blocked_one_time_in_a_hundred(circuits: int) -> None:
    assert class_blocking([1], [ONE_PERCENT[circuits]], circuits)[0] == pytest.approx(0.01, rel=0.012)
