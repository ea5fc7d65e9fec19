"""What was forecast of a service beside what its journal says, as a chapter of the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ampacity.forecast.chapter import OTHER, measured_chapter
from ampacity.forecast.simulated import NAME, OfTier, simulated_in
from ampacity.journal import records
from ampacity.journal.append import Journal

NOW = 1_795_424_700_000
DAY_MS = 86_400_000


def simulated(folder: Path, **more: Any) -> None:
    """Of ten attempts of the developers one is refused by each window, and one for want of capacity."""
    told = {
        "record": {"scenario_hash": "abc"},
        "slo": [{"tier": "developers", "model": "m", "answered": 70, "ttft_p50_s": 0.25, "ttft_p99_s": 4.0}],
        "refusals": {
            "tier": [{"tier": "developers", "refused_attempts": 20, "overloaded_attempts": 10}],
            "window": [
                {"tier": "developers", "window": window, "refused_attempts": 10} for window in ("five-hour", "weekly")
            ],
        },
    }
    (folder / NAME).write_text(json.dumps(told | more), encoding="utf-8")


def served(folder: Path) -> None:
    """Two streams, a whole answer, a refusal by the five-hour window; over a day."""
    with Journal(folder / "use.journal") as journal:
        journal.configure("{}", NOW)
        kind = journal.kind("developers", "team", family="m")
        for at_ms, first_ms, whole_ms in ((0, 100, 2000), (5, 300, 900), (9, 800, 800)):
            number = journal.arrived(NOW + at_ms, kind, 1, 100, 64, 0, NOW + DAY_MS, records.ADMITTED)
            journal.ended(number, NOW + at_ms + whole_ms, records.SETTLED, 100, 0, 0, 64, first_token_ms=first_ms)
        window = journal.name("five-hour")
        journal.arrived(NOW + DAY_MS, kind, 1, 100, 64, 0, NOW + 2 * DAY_MS, records.REFUSED, window)


def test_what_was_simulated_stands_beside_what_the_journal_measured(tmp_path: Path) -> None:
    served(tmp_path)
    simulated(tmp_path)
    chapter = measured_chapter(tmp_path, "abc")
    assert chapter is not None and OTHER not in chapter.said
    assert list(chapter.said) == [
        f"The journal of {tmp_path.name} holds 4 requests of 24 hours.",
        "Simulated and measured: of the requests of developers 30 % were to be refused, 25 % were.",
    ]
    by_tier, by_window = chapter.tables
    assert by_tier.rows == [("developers", "4", "30 %", "25 %", "250 ms", "200 ms", "4.00 s", "298 ms")]
    assert by_window.rows == [
        ("developers", "five-hour", "10 %", "25 %"),
        ("developers", "weekly", "10 %", "0 %"),
    ]
    (tmp_path / "forecast.json").write_text("{", encoding="utf-8")
    assert "forecast.json lies beside it and is no forecast" in " ".join(measured_chapter(tmp_path, "abc").said)  # type: ignore[union-attr]
    assert OTHER in measured_chapter(tmp_path, "of another").said  # type: ignore[union-attr]


def test_without_a_journal_or_a_forecast_there_is_no_chapter(tmp_path: Path) -> None:
    assert measured_chapter(tmp_path / "nowhere", "abc") is None
    simulated(tmp_path)
    assert measured_chapter(tmp_path, "abc") is None
    with Journal(tmp_path / "use.journal") as journal:
        journal.configure("{}", NOW)
    assert measured_chapter(tmp_path, "abc") is None  # nothing has been asked
    (tmp_path / NAME).unlink()
    served(tmp_path)
    assert measured_chapter(tmp_path, "abc") is None


def test_of_several_models_shares_are_of_all_and_times_of_none(tmp_path: Path) -> None:
    slo = [
        {"tier": "team", "model": m, "answered": 40, "ttft_p50_s": 0.1, "ttft_p99_s": 1.0} for m in ("large", "small")
    ]
    lost = [{"tier": "team", "refused_attempts": 10, "overloaded_attempts": 0} for _ in slo]
    windows = [{"tier": "team", "window": "weekly", "refused_attempts": 10} for _ in slo]
    simulated(tmp_path, slo=slo, refusals={"tier": lost, "window": windows})
    told = simulated_in(tmp_path)
    assert told is not None
    assert told.tiers() == [OfTier("team", 0.2, {"weekly": pytest.approx(0.2)}, None, None)]


def test_the_page_of_a_scenario_that_is_served_has_it(tmp_path: Path, ampacity: Any) -> None:
    folder = tmp_path / "laptop.serve"
    folder.mkdir()
    served(folder)
    simulated(folder)
    done = ampacity("report", "laptop")
    assert done.returncode == 0 and done.stdout.strip().endswith("with what laptop.serve measured"), done.stderr
    page = (tmp_path / "laptop.html").read_text(encoding="utf-8")
    assert "Forecast and measured" in page and "of another scenario" in page and "30 % were to be refused" in page
