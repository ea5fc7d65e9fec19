"""Commands that read the journal of a live service: its decisions made again, its use."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile

import pytest

from ampacity.gateway.keys import Holder
from ampacity.gateway.recorder import Recorder
from ampacity.gateway.take_up import open_desk
from ampacity.journal.append import Journal
from ampacity.policy import rows
from ampacity.policy.rows import WindowRule
from ampacity.policy.terms import PoolTerms, ServiceTerms, Terms, TierTerms

Said = Callable[..., tuple[int, str, str]]


class Quiet:
    """Ticks and owners that do nothing."""

    def touch(self) -> None: ...


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Two subscribers asked ten times each; the window of one of them holds four."""
    now = int(time.time() * 1000) - 3_600_000
    windows = (WindowRule("five-hour", 400_000, rows.AT_FIRST_USE, 18_000_000),)
    pool = PoolTerms("pool", "http://127.0.0.1:9", "m", 8)
    limits = {"small": windows, "none": ()}
    tiers = (TierTerms("team", "small"), TierTerms("tools", "none"))
    terms = Terms("live", limits, tiers, (ServiceTerms("m", (pool,)),))
    path = tmp_path / "use.journal"
    with Journal(path) as kept:
        desk, _ = open_desk(kept, terms, now)
        recorder = Recorder(desk, kept, Quiet())  # type: ignore[arg-type]
        for who, tier in ((1, "team"), (2, "tools")):
            kind = desk.kind(tier, "m")
            for i in range(10):
                ticket = recorder.arrive(kind, Holder(who, "", tier), 0, 50, 50, now + i, Quiet())  # type: ignore[arg-type]
                if not ticket.over:
                    recorder.ended(ticket, now + i, 0, 60, 0, 30, 10)
    return path


def test_a_replay_says_that_every_decision_is_made_again(said: Said, journal: Path) -> None:
    code, out, _ = said("simulate", "--replay", str(journal))
    assert code == 0
    assert out.startswith("All 20 decisions of use.journal are made again by the same policy, each as it was.")


def test_a_replay_of_a_journal_that_was_written_otherwise_ends_with_1_and_names_the_request(
    said: Said, journal: Path
) -> None:
    with sqlite3.connect(journal) as db:
        db.execute("UPDATE settlement SET output = 5000 WHERE ordinal = (SELECT min(ordinal) FROM settlement)")
    code, out, _ = said("simulate", "--replay", str(journal))
    assert code == 1
    assert "of 20 decisions of use.journal are others here" in out
    assert "admitted (pool) in the journal, refused (five-hour) here" in out


def test_a_replay_of_a_folder_is_of_each_of_its_journals(said: Said, journal: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.serve"
    both.mkdir()
    for k in range(2):
        copyfile(journal, both / f"use-{k}.journal")
    code, out, _ = said("simulate", "--replay", str(both))
    assert code == 0 and out.count("made again by the same policy") == 2
    code, out, _ = said("simulate", "--replay", str(both), "--json", "-")
    assert [j["journal"] for j in json.loads(out)["journals"]] == ["use-0.journal", "use-1.journal"]


def test_a_replay_takes_nothing_else_and_simulate_wants_one_of_the_two(said: Said, journal: Path) -> None:
    code, _, err = said("simulate", "laptop", "--replay", str(journal))
    assert code == 2 and "a journal says all of it" in err
    code, _, err = said("simulate")
    assert code == 2 and "name a scenario, or a journal with --replay" in err
    code, _, err = said("simulate", "--replay", str(journal.with_name("none")))
    assert code == 1 and "No such file" in err


def test_use_is_shown_by_subscriber_and_as_json(said: Said, journal: Path) -> None:
    code, out, _ = said("show", "use", str(journal.parent))
    assert code == 0
    assert out.startswith("2 subscribers used 1,400 tokens in 14 requests") and "6 more were refused" in out
    code, out, _ = said("show", "use", str(journal), "--json", "-")
    use = {u["subscriber"]: u for u in json.loads(out)["use"]}
    assert (use[1]["requests"], use[1]["refused"], use[2]["requests"], use[2]["output"]) == (4, 6, 10, 100)
