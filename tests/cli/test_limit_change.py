"""A limit of one's own that changes on the way: to none, from none, from one to another; each sentence once."""

from __future__ import annotations

from pathlib import Path

import pytest

STATED = "{windows: {five-hour: {length: 5 h, tokens: 40 Mtoken}}}"
SCENARIO = """\
scenario: {name}
extends: laptop
worlds: 1
limits:
  none: {{windows: {{}}}}
  some: {stated}
  more: {{windows: {{five-hour: {{length: 5 h, tokens: 90 Mtoken}}}}}}
tiers: {{developers: {{limit: {before}}}}}
events:
  then: {{kind: limit-change, tier: developers, limit: {after}, date: 2026-11-30}}
"""


@pytest.mark.parametrize(("before", "after"), [("some", "none"), ("null", "some"), ("some", "more")])
def test_a_plan_is_of_after_the_change_and_says_so_once(
    before: str, after: str, tmp_path: Path, ampacity: object
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(SCENARIO.format(name="own", stated=STATED, before=before, after=after), encoding="utf-8")
    done = ampacity("plan", str(path))  # type: ignore[operator]
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    assert len(lines) == len(set(lines))
    if after != "none":
        assert f"The limit of developers changes to {after} on 2026-11-30: this is the answer after it." in lines


def test_requests_are_told_when_the_limit_changes(tmp_path: Path, ampacity: object) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(SCENARIO.format(name="own", stated=STATED, before="some", after="more"), encoding="utf-8")
    done = ampacity("simulate", str(path), "--hours", "24")  # type: ignore[operator]
    assert done.returncode == 0, done.stderr
    assert "The limit of developers changes to more on 2026-11-30." in done.stdout
