"""Whom a tier's windows hit: interacting, the same people in every world, known as well as is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ampacity.demand.at_limit import Met
from ampacity.planner import use as room
from ampacity.planner.plan import plan
from ampacity.planner.scheme_figures import tier_under
from ampacity.planner.schemes import comparison
from ampacity.planner.use import Use
from ampacity.planner.whom import binding_window, served_share
from ampacity.scenario.load import load
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.scenario import Scenario
from ampacity.scenario.tier import Tier

Ours = Callable[..., Scenario]


def whom(s: Scenario, tier: Tier, tokens: dict[str, float], seed: int = 1, world: int = 0) -> Met | None:
    return Use(s, (tier,), seed, world).today(tier, tokens)


def met(s: Scenario, five_hour: float, weekly: float) -> Met:
    found = whom(s, s.tier("developers"), {"five-hour": five_hour, "weekly": weekly})
    assert found is not None
    return found


def test_a_window_that_is_used_up_shields_the_others(ours: Ours) -> None:
    s = ours()
    alone, both = met(s, 1e15, 60e6), met(s, 8e6, 60e6)
    assert binding_window(alone) == "weekly"
    assert both.hit_by("weekly") < 0.8 * alone.hit_by("weekly")


def test_larger_windows_hit_no_more_people_and_serve_no_less(ours: Ours) -> None:
    s = ours()
    found = [met(s, size, 10 * size) for size in (0.0, 2e6, 8e6, 32e6, 128e6, 1e15)]
    assert [m.hit_share for m in found] == sorted((m.hit_share for m in found), reverse=True)
    assert [served_share(m) for m in found] == sorted(served_share(m) for m in found)
    assert served_share(found[-1]) == 1.0
    assert served_share(found[0]) == pytest.approx(found[0].bought / found[0].wanted, rel=0.02)
    assert served_share(found[0]) < 0.1
    assert (binding_window(found[0]), binding_window(found[-1])) == ("five-hour", "")


def test_people_drawn_know_a_share_to_the_error_that_is_told(ours: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 40 samples, against forty thousand people: a quarter of a point at the stated values where 5 % are hit."""
    s, sizes = ours(), {"five-hour": 75e6, "weekly": 1e15}
    tier = s.tier("developers")
    samples = [m.hit_share for seed in range(40) if (m := whom(s, tier, sizes, seed)) is not None]
    monkeypatch.setattr(room, "PEOPLE", 40_000)
    many = whom(s, tier, sizes, 99)
    assert many is not None
    assert 0.02 < many.hit_share < 0.1
    assert float(np.std(samples)) < 0.0035
    assert abs(float(np.mean(samples)) - many.hit_share) < 0.003


def test_a_plan_and_a_comparison_say_the_same_of_the_same_people() -> None:
    c = comparison("2025-08", "2026-03-26", "colossus-1")
    name = c.schemes[1].limits["max-5x"]
    assert name is not None
    tier = c.scenario.tier("max-5x").model_copy(update={"limit": name})
    plain = [w.model_copy(update={"models": "all"}) for w in c.scenario.limit(name).windows]
    limits = tuple(x if x.name != name else x.model_copy(update={"windows": tuple(plain)}) for x in c.scenario.limits)
    s = c.scenario.model_copy(update={"limits": limits})
    from ampacity.demand.reactions import stated

    (other,) = tier_under(s, replace(c, scenario=s), "max-5x", room.PEOPLE, [stated(1, 0)], {}, 1, 0)
    own = whom(s, tier, {}, 1, 0)
    assert own is not None
    assert own.hit_share == other["2026-03-26"].hit_share > 0
    assert own.served == other["2026-03-26"].served


def test_of_a_window_that_shapes_seconds_nothing_is_known(ours: Ours) -> None:
    bucket = {"limits.team.windows.bucket": {"length": "1 h", "refill": "evenly", "tokens": "5 Mtoken"}}
    p = plan(ours({"worlds": 1, **bucket}))
    known = {w.window: w.people_hit_share for w in p.windows}
    assert known["bucket"] is None
    assert known["five-hour"] is not None


def test_a_limit_that_whole_numbers_cannot_hold_is_a_mistake_with_its_name(ours: Ours) -> None:
    with pytest.raises(Mistakes) as told:
        plan(ours({"worlds": 1, "limits.team.windows.five-hour.weights": {"output": 5000}}))
    (mistake,) = told.value.mistakes
    assert mistake.key == "limits.team"
    assert "weight of output 5000000 lies outside" in mistake.message


def test_the_announced_limits_name_their_windows() -> None:
    s = load("colossus-1")
    found = whom(s, s.tier("pro"), {})
    assert found is not None
    assert found.windows == ("five-hour", "weekly")
