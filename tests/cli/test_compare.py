"""`ampacity compare`: sentences, JSON, the page, and a person's own month."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

SECRET = "a prompt that nobody must see"
SMALL = ("--worlds", "3", "--people", "300")
PRESETS = ("compare", "2026-03-26", "2026-05-06")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Three working days of one person's coding agent, as its client writes them."""
    folder = tmp_path / "projects" / "p"
    folder.mkdir(parents=True)
    usage = {
        "input_tokens": 4,
        "cache_creation_input_tokens": 4000,
        "cache_read_input_tokens": 130_000,
        "output_tokens": 500,
    }
    lines = []
    for day in range(3):
        for k in range(360):
            at = datetime(2026, 5, 4, 14, tzinfo=UTC) + timedelta(days=day, seconds=40 * k)
            end = at + timedelta(seconds=6)
            told = {"sessionId": f"s{day}", "cwd": SECRET}
            user = {"type": "user", "timestamp": at.isoformat(), "message": {"content": SECRET}}
            message = {
                "id": f"m{day}-{k}",
                "model": "claude-opus-4-6",
                "usage": usage,
                "content": [{"type": "text", "text": SECRET}],
            }
            answered = {"type": "assistant", "timestamp": end.isoformat(), "message": message}
            lines += [json.dumps({**told, **user}), json.dumps({**told, **answered})]
    (folder / "s.jsonl").write_text("\n".join(lines))
    return tmp_path / "projects"


def test_every_figure_of_a_scheme_has_low_and_high(answer: Callable[..., Any]) -> None:
    found = answer(*PRESETS, *SMALL)
    for scheme in ("2026-03-26", "2026-05-06"):
        s = found["schemes"][scheme]
        flat = [s["share_hit_per_week"], s["accelerators"], *s["binding_window_share"].values()]
        for name in ("peak_hour_tokens", "weekly_tokens"):
            assert set(s[name]) == {"uncached_input", "cached_input", "output", "all"}
            flat += s[name].values()
        assert all(x["low"] <= x["high"] for x in flat)
    assert found["calibration"]["worlds"] == 3


def test_the_answer_is_sentences_first_and_says_on_what_it_rests(ampacity: Callable[..., Any]) -> None:
    done = ampacity(*PRESETS, *SMALL)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[2].startswith("  Under 2026-05-06 a limit stops ")
    assert "not affiliated" in done.stdout and "Conditional on" in done.stdout
    assert "fewer than 5 % met the weekly windows of August 2025" in done.stdout


def test_the_page_stands_alone(ampacity: Callable[..., Any], tmp_path: Path) -> None:
    done = ampacity(*PRESETS, *SMALL, "-o", "page.html", "--quiet")
    assert (done.returncode, done.stdout) == (0, "")
    html = (tmp_path / "page.html").read_text()
    assert "not affiliated" in html and 'id="figure-returning"' in html
    assert "http" not in html.split("<script>")[0].replace("http-equiv", "")


def test_a_persons_own_month_is_told_window_by_window(answer: Callable[..., Any], log: Path) -> None:
    found = answer(*PRESETS, "--log", str(log))
    before, after = (found["schemes"][s]["pro"] for s in ("2026-03-26", "2026-05-06"))
    assert before["requests"] == 3 * 360
    assert before["by_window"]["five-hour"] == 3  # every one of three days
    assert before["stops"]["low"] >= before["stops"]["value"] >= before["stops"]["high"]
    assert after["refused"]["value"] < before["refused"]["value"]
    assert found["schemes"]["2026-05-06"]["max-20x"]["stops"]["value"] == 0


def test_nothing_that_anybody_wrote_is_told_again(ampacity: Callable[..., Any], log: Path, tmp_path: Path) -> None:
    done = ampacity(*PRESETS, "--log", str(log), "--json", "own.json", "-o", "own.html")
    assert done.returncode == 0, done.stderr
    written = done.stdout + (tmp_path / "own.json").read_text() + (tmp_path / "own.html").read_text()
    assert SECRET not in written
    assert "nothing has left this machine" in done.stdout


def test_a_plan_can_be_chosen_for_ones_own_log(answer: Callable[..., Any], log: Path) -> None:
    assert list(answer(*PRESETS, "--log", str(log), "--plan", "pro")["schemes"]["2026-05-06"]) == ["pro"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("2026-03-26", "2026-05-66"), "the nearest is"),
        (("2026-03-26", "2026-05-06", "--log", "nowhere"), "nowhere"),
        (("2026-03-26", "2026-05-06", "--plan", "pro"), "--log"),
    ],
)
def test_mistakes_end_in_words(ampacity: Callable[..., Any], arguments: tuple[str, ...], words: str) -> None:
    done = ampacity("compare", *arguments)
    assert done.returncode in (1, 2)
    assert words in done.stderr and "Traceback" not in done.stderr
