"""A journal's rows, how far two runs are apart, and what is learned from the difference."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampacity.forecast.beside import marks, rows_of, sentences
from ampacity.forecast.forecast_file import Forecast
from ampacity.forecast.learned import Learned, learn, read_learned
from ampacity.forecast.load import Habits, Line, Load, Step, drawn_load
from ampacity.forecast.met import REFUSED, SERVED, TURNED_AWAY, Met, figures, figures_of_draws
from ampacity.journal import records
from ampacity.journal.append import Journal

NOW = 1_795_424_700_000
LOAD = Load("model", 120_000, (Line(1, "plain", 0, (Step(4000, "a", 100, 50),)),))


def served(at_ms: int, who: int, first_ms: float = 100.0, pace_ms: float = 20.0, output: int = 50) -> Met:
    return Met(at_ms, who, "plain", SERVED, "", first_ms, first_ms + pace_ms * (output - 1), output)


def refused(at_ms: int, who: int) -> Met:
    return Met(at_ms, who, "plain", REFUSED, "five-hour")


def run(seed: int, times: float = 1.0, more_ms: float = 0.0, every_ms: int = 250) -> list[Met]:
    """Two minutes of ten people, of whom two are refused half of the time."""
    draw = random.Random(seed)
    rows = []
    for i, at_ms in enumerate(range(0, 120_000, every_ms)):
        who = i % 10
        if who > 7 and draw.random() < 0.5:
            rows.append(refused(at_ms, who))
        else:
            rows.append(served(at_ms, who, times * draw.uniform(80, 400) + more_ms, times * draw.uniform(18, 26)))
    return rows


def test_a_journal_says_what_its_requests_met(tmp_path: Path) -> None:
    with Journal(tmp_path / "run.journal") as journal:
        journal.configure("{}", NOW)
        kind = journal.kind("plain", "plain", family="model")

        def asked(at_ms: int, who: int, outcome: int, place: str = "") -> int:
            number = journal.name(place) if place else 0
            return journal.arrived(NOW + at_ms, kind, who, 100, 1024, 0, NOW + 10**6, outcome, number)

        whole = asked(0, 1, records.ADMITTED, "east")
        asked(5, 2, records.REFUSED, "five-hour")
        asked(7, 3, records.NO_CAPACITY)
        waited, cut, open_still = (asked(9 + i, 4 + i, records.QUEUED) for i in range(3))
        journal.ended(whole, NOW + 2000, records.SETTLED, 100, 0, 0, 90, first_token_ms=120)
        journal.ended(waited, NOW + 3000, records.RELEASED)
        journal.ended(cut, NOW + 3000, records.ABORTED, 100, 0, 0, 7, first_token_ms=400)
        journal.commit()
        assert open_still
    assert rows_of(tmp_path / "run.journal") == (
        Met(0, 1, "plain", SERVED, "", 120, 2000, 90),
        Met(5, 2, "plain", REFUSED, "five-hour"),
        Met(7, 3, "plain", TURNED_AWAY),
        Met(9, 4, "plain", TURNED_AWAY),
        Met(10, 5, "plain", SERVED, "", 400, -1, 7),
    )


def test_figures_are_those_of_the_rows() -> None:
    rows = [served(0, 1, 100), served(10, 1, 300), refused(70_000, 2), Met(80_000, 3, "more", TURNED_AWAY)]
    f = figures(rows)
    assert (f.requests, f.served, f.refused_share, f.hit) == (4, 2, 0.5, (2,))
    assert f.ttft_ms == pytest.approx((200, 280, 298))
    assert f.per_token_ms == pytest.approx(20)
    assert f.by_window == {"more": {"turned away": 1.0}, "plain": {"five-hour": pytest.approx(1 / 3)}}
    assert f.minutes == ((2, 2, 0, 0), (2, 0, 1, 1))
    assert figures([]).requests == 0


def test_draws_are_taken_together() -> None:
    draws = [[served(0, 1), refused(1, 2)], [served(0, 1), refused(1, 2), refused(2, 1)], [served(0, 1)]]
    f = figures_of_draws(draws)
    assert f.refused_share == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert (f.requests, f.served, f.hit) == (2, 1, (2,))


def test_marks_are_met_or_missed() -> None:
    base = figures(run(1))
    same = marks(base, base, 10)
    assert (same.refusals, same.ttft_p99, same.hit, same.met) == (0, 0, 1, True)
    slow = figures(run(1, times=1.2))
    told = marks(base, slow, 10)
    assert told.ttft_p99 == pytest.approx(0.2, abs=1e-9)
    assert not told.met
    assert sentences(base, slow, told)[0] == "The forecast missed the time to the first token."
    other = figures([*run(1), refused(1, 3)])
    assert marks(base, other, 10).hit == pytest.approx(2 / 3)
    assert marks(base, other, 10).same_people == pytest.approx(0.9)


@pytest.mark.parametrize("seed", range(4))
def test_from_chance_alone_nothing_is_learned(seed: int) -> None:
    learned = learn(LOAD, [run(90 + i) for i in range(5)], run(seed))
    assert (learned.pace, learned.more_ms, learned.demand) == (1, 0, 1)
    assert len(learned.because) == 3


def test_slower_pools_more_beside_the_engine_and_more_demand_are_learned() -> None:
    forecast = [run(1), run(2)]
    assert learn(LOAD, forecast, run(3, times=1.2)).pace == pytest.approx(1.2, rel=0.03)
    assert learn(LOAD, forecast, run(3, more_ms=40)).more_ms == pytest.approx(40, abs=6)
    often = learn(LOAD, forecast, run(3, every_ms=200))
    assert often.demand > 1.25
    again = learn(LOAD, forecast, run(3, times=1.2), before=Learned(pace=1.1))
    assert again.pace == pytest.approx(1.32, rel=0.03)
    assert learn(LOAD, [run(1)[:9]], run(3)).because[0].startswith("Too few requests")


def test_a_load_is_the_same_whoever_is_added() -> None:
    few = drawn_load("model", {"plain": (Habits(3),)}, 60)
    many = drawn_load("model", {"plain": (Habits(5, lines=2),)}, 60)
    by_key = {line.steps[0].conversation: line.steps for line in many.lines}
    assert all(by_key[line.steps[0].conversation] == line.steps for line in few.lines)
    assert all(s.input_tokens >= 64 and 2 <= s.output_tokens <= 1024 for line in many.lines for s in line.steps)


def written(folder: Path, rows: list[Met]) -> None:
    """A journal of these rows."""
    with Journal(folder / "run.journal") as journal:
        journal.configure("{}", NOW)
        kind = journal.kind("plain", "plain", family="model")
        for m in rows:
            outcome = records.ADMITTED if m.outcome == SERVED else records.REFUSED
            place = journal.name("east" if m.outcome == SERVED else m.window)
            at = NOW + m.at_ms
            number = journal.arrived(at, kind, m.subscriber, 100, 1024, 0, NOW + 10**7, outcome, place)
            if m.outcome == SERVED:
                tokens = (100, 0, 0, m.output)
                ended = at + round(m.whole_ms)
                journal.ended(number, ended, records.SETTLED, *tokens, first_token_ms=round(m.first_ms))
        journal.commit()


def test_the_command_tells_and_writes(
    said: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draws = (tuple(run(1)), tuple(run(2)))
    f = figures_of_draws(draws)
    Forecast("small", 1, "{}", LOAD, (), Learned(), f, (0.1, 0.1), (1.0, 1.0), draws).write(tmp_path / "forecast.json")
    written(tmp_path, run(3, times=1.25))
    args = ("calibrate", "forecast", "run.journal")  # the forecast lies beside it
    code, out, _ = said(*args)
    assert code == 0
    assert "The forecast missed the time to the first token." in out
    assert "iterations are taken to last 1.2" in out
    assert read_learned(tmp_path / "learned.forecast.json").pace == pytest.approx(1.25, rel=0.03)
    code, _, err = said(*args)
    assert code != 0
    assert "is there already" in err
    (tmp_path / "forecast.json").write_text("{}")
    code, _, err = said(*args, "--force")
    assert code != 0
    assert "no forecast" in err
    data: Any = said("calibrate", "forecast", "run.journal", "--forecast", "nowhere.json", "--force")
    assert data[0] != 0
