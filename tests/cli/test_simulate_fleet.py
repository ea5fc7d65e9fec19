"""`ampacity simulate` and `run` on a fleet that is sampled: what they print and write, which options they refuse."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Said = Callable[..., tuple[int, str, str]]
QUICK = ("--processes", "1")


def estimates(found: Any) -> Iterator[dict[str, float | None]]:
    """Every value with its ends in a tree of JSON."""
    if isinstance(found, dict):
        if set(found) == {"value", "low", "high"}:
            yield found
        else:
            for below in found.values():
                yield from estimates(below)


def test_a_sample_is_told_in_sentences_and_tables_with_intervals(said: Said, small_fleet: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    code, printed, err = said("simulate", str(small_fleet), "--hours", "10", "--cells", "2", *QUICK, "--json", str(out))
    assert code == 0, err
    data = json.loads(out.read_text())
    for sentence in data["answer"]:
        assert sentence in printed
    words = ("TTFT p50", "(429)   ", "of attempts\n", "useful of it", "mean replica, a month", "Drawn 20 times")
    assert [printed.index(word) for word in words] == sorted(printed.index(word) for word in words)
    fleet = data["fleet"]
    assert fleet["requests_looked_at"] < fleet["requests_estimated"]["value"]
    assert fleet["cells"] == {"looked_at": 5, "all": 10}  # one of two in the pool that grows a day later is not there
    assert fleet["hours"]["all"] == 10
    assert set(fleet["tiers"]) == {"developers", "chat"}
    own = fleet["tiers"]["developers"]
    assert set(own["by_window"]) == {"five-hour", "weekly"}
    assert own["ttft_s"]["p50"]["value"] < own["ttft_s"]["p99"]["value"]
    assert own["refused_share"]["value"] == pytest.approx(sum(w["value"] for w in own["by_window"].values()))
    assert len(fleet["pools"]) == 3
    assert {d["cause"] for d in fleet["disruptions"] if d["shared"]} > {"site", "feed", "rack", "authentication"}
    assert 0 < fleet["between_seeds"]["up_share"]["low"] <= fleet["between_seeds"]["up_share"]["high"] <= 1
    told = list(estimates(fleet))
    assert len(told) > 40
    for e in told:
        assert e["low"] is None or e["high"] is None or e["low"] <= e["value"] <= e["high"]
    assert own["ttft_s"]["p50"]["low"] < own["ttft_s"]["p50"]["high"]


def test_all_cells_in_the_busiest_hour_have_no_interval_and_a_rate(said: Said, small_fleet: Path) -> None:
    code, printed, err = said("simulate", str(small_fleet), "--hours", "1", "--cells", "all", *QUICK)
    assert code == 0, err
    assert "every one of the busiest hour, in all 10 cells of the fleet" in printed
    assert "a CPU second" in printed
    assert "Nothing is left to sampling" in printed
    table = printed[printed.index("TTFT p50") : printed.index("cause")]
    assert " to " not in table


def test_run_tells_the_sample_after_the_plan_and_on_the_page(said: Said, small_fleet: Path, tmp_path: Path) -> None:
    page, out = tmp_path / "page.html", tmp_path / "out.json"
    code, printed, err = said(
        "run", str(small_fleet), "--set", "horizon=2 d", "--cells", "1", "-o", str(page), "--json", str(out)
    )
    assert code == 0, err
    assert printed.index("capacity") < printed.index("requests were looked at one by one")
    rows = [line for line in printed.splitlines() if line.startswith("  requests ")]
    assert [row.split()[1] for row in rows[:2]] == ["developers:", "chat:"]
    data = json.loads(out.read_text())
    assert data["requests"] == {}
    assert data["fleet"]["requests_looked_at"] > 100
    assert any("looked at one by one" in sentence for sentence in data["answer"])
    html = page.read_text(encoding="utf-8")
    assert 'id="requests"' in html
    assert "nothing is routed between them" in html
    assert all(math.isfinite(e["value"]) for e in estimates(data["fleet"]) if e["value"] is not None)


def test_run_without_cells_says_that_no_request_was_looked_at(said: Said, small_fleet: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    code, printed, err = said(
        "run", str(small_fleet), "--cells", "0", "-o", str(tmp_path / "page.html"), "--json", str(out)
    )
    assert code == 0, err
    assert "not looked at one by one: 152 replicas of a model, more than 128" in printed
    assert json.loads(out.read_text())["fleet"] is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cells", "0"), "a number from 1 on, or all"),
        (("--cells", "some"), "a number from 1 on, or all"),
        (("--cells", "2", "--trace", "x.csv"), "a trace is replayed on every replica"),
        (("--hours", "400"), "from 1 to 336"),
        (("--requests", "rows.parquet"), "not of a fleet that is sampled: 152 replicas"),
        (("--perfetto", "span.json"), "not of a fleet that is sampled"),
    ],
)
def test_options_that_make_no_sense_for_a_fleet_are_usage_errors(
    options: tuple[str, ...], words: str, said: Said, small_fleet: Path
) -> None:
    code, _, err = said("simulate", str(small_fleet), "--quiet", *options)
    assert code == 2
    assert words in " ".join(err.replace("│", " ").split())


def test_cells_of_a_fleet_of_which_everything_is_seen_are_a_usage_error(said: Said) -> None:
    code, _, err = said("simulate", "laptop", "--quiet", "--cells", "3")
    assert code == 2
    assert "every request of it is looked at" in " ".join(err.replace("│", " ").split())


def test_a_cluster_is_not_told_how_many_processes_it_has(said: Said, small_fleet: Path) -> None:
    code, _, err = said("simulate", str(small_fleet), "--engine", "ray", "--processes", "2")
    assert code == 2
    assert "only with --engine processes" in err


def test_a_cluster_is_not_asked_where_nothing_is_sampled(said: Said, tmp_path: Path) -> None:
    code, _, err = said("simulate", "laptop", "--engine", "ray")
    assert code == 2
    assert "every request of it is looked at" in err
    trace = tmp_path / "trace.csv"
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2026-01-01 00:00:00,10,10\n")
    code, _, err = said("simulate", "laptop", "--trace", str(trace), "--processes", "2")
    assert code == 2
    assert "a trace is replayed in one process" in err


def test_an_engine_that_is_not_installed_is_said_to_be_an_extra(
    said: Said, small_fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ampacity.cli.simulate.find_spec", lambda _: None)
    code, _, err = said("simulate", str(small_fleet), "--engine", "ray")
    assert code == 2
    assert "ampacity[ray]" in err
