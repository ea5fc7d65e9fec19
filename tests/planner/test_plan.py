"""`plan` over worlds: the same bytes for the same seed, intervals that cover, ranges that move the answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ampacity.planner import plan as room
from ampacity.planner import use
from ampacity.planner.answer import carried
from ampacity.planner.frames import save
from ampacity.planner.plan import Plan, plan
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.worlds import draw, ranges, values

Ours = Callable[..., Scenario]


@pytest.fixture(scope="module")
def planned(ours: Ours) -> Plan:
    return plan(ours(), seed=1)


def content(p: Plan) -> tuple[object, ...]:
    """Everything but how long it took."""
    record = {k: v for k, v in p.record.as_dict().items() if k != "cpu_s"}
    shares = (p.carried_share, p.unlimited_share, p.cost_usd_per_mtok)
    return record, p.windows, p.curves, *shares, p.movers, p.notes


def test_the_same_seed_gives_the_same_plan_to_the_byte(ours: Ours, tmp_path: Path) -> None:
    few = ours({"worlds": 25})
    one = plan(few, seed=7)
    use.FOUND.clear()
    other = plan(few, seed=7)
    assert repr(content(one)) == repr(content(other))
    for a, b in zip(save(one, tmp_path / "a"), save(other, tmp_path / "b"), strict=True):
        if a.suffix == ".parquet":
            assert pl.read_parquet(a).equals(pl.read_parquet(b))


def test_any_number_of_processes_gives_the_same_plan(ours: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "WORLDS_TO_SHARE", 2)
    monkeypatch.setattr(room, "WORLDS_AT_ONCE", 1)
    s = ours({"worlds": 5})
    assert repr(content(plan(s, processes=2))) == repr(content(plan(s)))


def test_another_seed_draws_other_worlds_and_moves_the_stated_values_by_no_more_than_four_thousand_people_do(
    ours: Ours,
) -> None:
    few = ours({"worlds": 25})
    one, other = plan(few, seed=7), plan(few, seed=8)
    for a, b in zip(one.windows, other.windows, strict=True):
        assert a.tokens.value == pytest.approx(b.tokens.value, rel=0.04)
        assert a.guaranteed == pytest.approx(b.guaranteed, rel=0.04)
        assert (a.tokens.low, a.tokens.high) != (b.tokens.low, b.tokens.high)


def limits_of_worlds(s: Scenario, seed: int) -> np.ndarray:
    """Tokens of every window in 200 worlds of a seed, [world, window]."""
    worlds = (carried(draw(s, seed, w), guarantee=False, seed=seed, world=w) for w in range(1, 201))
    return np.array([[w.tokens for load in found.models for w in load.limits] for found in worlds])


def test_a_ninety_percent_interval_contains_the_truth_in_85_to_95_of_a_hundred_worlds(
    ours: Ours, planned: Plan
) -> None:
    """Both ways between two seeds, none of whose worlds or people are the other's: one interval alone may be narrow."""
    one, other = (limits_of_worlds(ours(), seed) for seed in (1, 2))
    ends, beside = (np.quantile(found, (0.05, 0.95), axis=0) for found in (one, other))
    assert [w.tokens.low for w in planned.windows] == pytest.approx(ends[0])
    assert [w.tokens.high for w in planned.windows] == pytest.approx(ends[1])
    inside = [
        ((ends[0] <= other) & (other <= ends[1])).mean(axis=0),
        ((beside[0] <= one) & (one <= beside[1])).mean(axis=0),
    ]
    assert np.all(np.mean(inside, axis=0) >= 0.85), inside
    assert np.all(np.mean(inside, axis=0) <= 0.95), inside


def test_the_stated_values_lie_inside_the_interval(planned: Plan) -> None:
    for w in planned.windows:
        assert w.tokens.low < w.tokens.value < w.tokens.high
    for interval in planned.cost_usd_per_mtok.values():
        assert interval is not None
        assert interval.low < interval.value < interval.high


def test_a_scenario_without_ranges_is_one_world_without_an_interval(ours: Ours, planned: Plan) -> None:
    s = draw(ours(), 1, 0)
    certain = s.model_copy(update={name: _certain(getattr(s, name)) for name in ("accelerators", "sites", "tiers")})
    p = plan(certain)
    assert p.record.worlds == 1
    for w in p.windows:
        assert w.tokens.low == w.tokens.value == w.tokens.high
    assert [w.tokens.value for w in p.windows] == [w.tokens.value for w in planned.windows]
    assert p.movers == ()


def _certain(found: object) -> object:
    """The same nouns without any range."""
    if isinstance(found, tuple):
        return tuple(_certain(part) for part in found)
    if hasattr(found, "low") and hasattr(found, "high"):
        return found.model_copy(update={"low": None, "high": None})
    if hasattr(found, "model_copy"):
        return found.model_copy(update={name: _certain(part) for name, part in found})
    return found


def test_more_takers_and_more_active_hours_move_limits_down_and_speed_moves_them_up(planned: Plan) -> None:
    movers = {m.path.rsplit(".", 1)[-1]: m.factor for m in planned.movers}
    assert movers["takers"] < 1
    assert movers["active_share"] < 1
    assert movers["speed"] > 1


def test_every_range_moves_from_world_to_world_under_its_path(ours: Ours) -> None:
    s = ours()
    drawn = [{path: value.value for path, value in values(draw(s, 1, world))} for world in range(1, 12)]
    assert all(len({world[path] for world in drawn}) > 1 for path, _ in ranges(s))


def test_worlds_are_told_as_they_are_done(ours: Ours) -> None:
    told: list[tuple[int, int]] = []
    plan(ours({"worlds": 4}), progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_frames_say_their_units_and_add_up_to_the_plan(planned: Plan) -> None:
    assert planned.limits.height == len(planned.windows) == 2
    waterfall = planned.waterfall
    for stage, total in planned.central.bookings[0].totals.items():
        assert waterfall[f"{stage}_accelerator_ms"].sum() == total
    tokens = planned.central.tokens()
    assert planned.hours["output_tokens"].sum() == pytest.approx(tokens["output"])
    assert waterfall["hour_utc"].n_unique() == planned.central.hours.count == 28 * 24


def test_a_clause_without_effect_is_noted(ours: Ours) -> None:
    reclaim = [{"party": "lessor", "trigger": "a change of mind"}]
    p = plan(ours({"worlds": 1, "contracts.server.reclaim": reclaim}))
    assert any("reclaim" in note and '"server"' in note for note in p.notes)


def test_windows_of_requests_change_no_plan_and_are_noted(ours: Ours) -> None:
    """They are for seconds, or count what no demand is known of."""
    at_once = {"refill": "in-flight", "requests": 8}
    few = ours({"worlds": 3})
    plain, more = plan(few), plan(few.replace({"limits.team.windows.at-once": at_once}))
    assert more.windows == plain.windows
    assert more.carried_share == plain.carried_share
    assert set(more.notes) - set(plain.notes) == {
        'limit "team", at-once: counts requests; requests meet it one by one, no plan follows from it'
    }
