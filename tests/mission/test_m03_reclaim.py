"""M3: the right to take the compute back, with notice and without."""

from __future__ import annotations

from typing import Any


def test_taken_back_the_new_limits_carry_fewer_people(announced: Any) -> None:
    verdict = announced["verdict"]
    assert verdict["reclaimed"]["people_carried"]["median"] < verdict["people_carried"]["median"]


def test_with_notice_capacity_stays_for_months_and_reclaimed_without_it_goes_the_same_day(later: Any) -> None:
    leave = later["contracts"]["colossus-1"]["exit"]
    (reclaim,) = leave["reclaim"]
    gone = reclaim["without_notice"]["gone_on"]
    assert (gone == reclaim["without_notice"]["said_on"], leave["on"]["lessor"]["gone_on"] > gone) == (True, True)
