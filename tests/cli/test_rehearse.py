"""`ampacity simulate --event` as people and programs use it: what it says, what it writes, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Said = Callable[..., tuple[int, str, str]]
SMALL = ("simulate", "laptop", "--set", "tiers.developers.people=20")


def test_the_only_server_taken_back_leaves_nobody_served(said: Said, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    code, printed, err = said(*SMALL, "--event", "reclaim:server", "--notice", "0", "--at", "10", "--json", str(out))
    assert code == 0, err
    data = json.loads(out.read_text())
    for sentence in data["answer"]:
        assert sentence in printed
    assert "every request is refused (529)" in data["answer"][-1]
    assert "worst minute" not in printed  # no table of a service that is not there
    r = data["rehearsal"]
    assert [t["tier"] for t in r["throttled"]] == ["developers", "tools"]
    assert (r["recovers"], r["minutes_to_recover"], r["load"]["after"]) == (False, None, None)
    assert r["event"]["at"] == "2026-11-23T16:00:00+00:00"
    assert len(r["minutes"]) == 180 * 2


def test_a_reclaim_has_the_notice_of_its_contract_and_an_outage_none(said: Said, tmp_path: Path) -> None:
    clause = "{party: lessor, trigger: none, evidence: none, notice: 0.01 d}"
    own = tmp_path / "own.yaml"
    own.write_text(f"extends: laptop\nscenario: own\ncontracts:\n  server:\n    reclaim: [{clause}]\n")
    found = {}
    for event in ("reclaim:server", "outage:here"):
        out = tmp_path / "out.json"
        code, _, err = said("simulate", str(own), "--event", event, "--at", "10", "--quiet", "--json", str(out))
        assert code == 0, err
        found[event] = json.loads(out.read_text())["rehearsal"]["event"]["notice_s"]
    assert found == {"reclaim:server": pytest.approx(864.0), "outage:here": 0.0}


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--event", "reclaim:sever"), 1, 'no contract of that name; the nearest is "server"'),
        (("--event", "outage:her"), 1, 'no site of that name; the nearest is "here"'),
        (("--event", "flood:here"), 2, "expected reclaim:CONTRACT or outage:SITE"),
        (("--event", "reclaim:server", "--notice", "30"), 2, "without a unit"),
        (("--event", "reclaim:server", "--notice", "3 h"), 2, "from 0 to 7200"),
        (("--event", "outage:here", "--for", "0"), 2, "later than the notice"),
        (("--event", "outage:here", "--at", "0"), 2, "from 1 to 670"),
        (("--notice", "0"), 2, "only with --event"),
        (("--event", "outage:here", "--hours", "3"), 2, "rehearsed without them"),
    ],
)
def test_what_cannot_be_rehearsed_is_told(options: tuple[str, ...], code: int, words: str, said: Said) -> None:
    got, _, err = said("simulate", "laptop", "--quiet", *options)
    assert got == code, err
    assert words in " ".join(err.replace("│", " ").split())
