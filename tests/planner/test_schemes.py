"""Schemes of limits: presets, files and scenarios, laid over the same subscribers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ampacity.planner.schemes import comparison
from ampacity.scenario.mistakes import Mistakes

FILE = """
limits:
  pro:
    windows:
      daily: {length: 24 h, refill: at-first-use, tokens: 10 Mtoken}
"""


def test_presets_meet_the_subscribers_of_the_announcement() -> None:
    c = comparison("2026-03-26", "2026-05-06")
    assert c.tiers == ("pro", "max-5x", "max-20x")
    assert [s.label for s in c.schemes] == ["2026-03-26", "2026-05-06"]
    before, after = (c.scenario.limit(str(s.limits["pro"])).windows[0].tokens for s in c.schemes)
    assert before is not None and after is not None and after.value == 2 * before.value
    assert c.public


def test_plans_that_were_renamed_are_the_same_people() -> None:
    c = comparison("2026-05-06", "2026-11")
    assert c.schemes[1].limits == {"pro": "2026-11-pro", "max-5x": "2026-11-max", "max-20x": "2026-11-ultra"}


def test_a_file_of_limits_is_a_scheme_for_the_tiers_it_names(tmp_path: Path) -> None:
    path = tmp_path / "ours.yaml"
    path.write_text(FILE.replace("10 Mtoken", "10000000"))
    c = comparison("2026-05-06", str(path))
    assert c.tiers == ("pro",)
    assert c.scenario.limit("ours-pro").windows[0].name == "daily"


def test_a_scenario_brings_its_own_people_and_limits() -> None:
    c = comparison("laptop", "laptop")
    assert c.tiers == ("developers",)
    assert not c.public


def test_a_name_that_is_nothing_is_told_with_what_is_near_it() -> None:
    with pytest.raises(Mistakes, match="the nearest is"):
        comparison("2026-05-07", "2026-05-06")


def test_schemes_without_a_tier_in_common_are_told_with_what_each_has() -> None:
    with pytest.raises(Mistakes, match="no tier that all have a limit for"):
        comparison("2026-05-06", "laptop", on="colossus-1")


def test_a_file_that_is_neither_limits_nor_a_scenario_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("windows: {}\n")
    with pytest.raises(Mistakes, match="neither a scenario nor a file of limits"):
        comparison(str(path), "2026-05-06")
