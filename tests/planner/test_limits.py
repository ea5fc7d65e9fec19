"""Limits of whole scenarios: what is stated stays, tiers keep their ratio, pools add up, failures forbid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ampacity.demand.window_use import window_use
from ampacity.planner.active_load import PRECISION
from ampacity.planner.answer import Answer, answer
from ampacity.planner.limits import WindowLimit
from ampacity.planner.whom import binding_window, served_share
from ampacity.scenario.scenario import Scenario

Ours = Callable[..., Scenario]
AGENTS: dict[str, object] = {"model": "llama-3.1-70b", "behaviour": "coding-agent", "limit": "team"}
NEVER_FAILS: dict[str, object] = {"sites.here.node_failures": "0/d"}


def windows(a: Answer) -> dict[tuple[str, str], WindowLimit]:
    return {(w.tier, w.window): w for load in a.models for w in load.limits}


def test_no_limit_gives_one_person_more_sessions_than_they_can_run_at_once(ours: Ours) -> None:
    alone = {"developers": {**AGENTS, "people": 1, "behaviour": {"like": "coding-agent", "parallel": 3}}}
    (load,) = answer(ours({"tiers": alone, **NEVER_FAILS})).models
    assert load.scale == pytest.approx(3.0)


def test_one_person_may_draw_all_that_the_pools_give(ours: Ours) -> None:
    alone = {"developers": {**AGENTS, "people": 1, "behaviour": {"like": "coding-agent", "parallel": 1000}}}
    s = ours({"tiers": alone, **NEVER_FAILS})
    (load,) = answer(s).models
    assert load.scale * load.seconds_per_active_s[0] == pytest.approx(8.0)
    five_hours = load.limits[0]
    b = s.tier("developers").behaviour
    tokens_per_active_s = b.uncached_per_s.value + b.cached_per_s.value + b.output_per_s.value
    whole = 8.0 / load.seconds_per_active_s[0] * tokens_per_active_s * five_hours.active_s
    assert five_hours.tokens == pytest.approx(whole)


def test_every_window_of_a_tier_gets_what_the_same_rate_collects_in_it(ours: Ours) -> None:
    s = ours()
    a = answer(s)
    (load,) = a.models
    tier = s.tier("developers")
    for window in s.limit("team").windows:
        use = window_use(tier.behaviour, window)
        assert windows(a)["developers", window.name].tokens == pytest.approx(load.scale * use.mean)


def test_the_limit_found_is_carried_in_the_hours_promised_and_a_little_more_is_not(ours: Ours) -> None:
    s = ours()
    (load,) = answer(s).models
    assert load.carried_share >= 0.995
    five = windows(answer(s))["developers", "five-hour"].tokens
    stated = {"limits.team.windows.five-hour.tokens": five * 1.02, "limits.team.windows.weekly.tokens": 1e12}
    (more,) = answer(ours(stated)).models
    assert more.carried_share < 0.995


def test_what_is_guaranteed_is_less_than_what_is_carried_as_people_use_it(ours: Ours) -> None:
    for w in windows(answer(ours())).values():
        assert 0 < w.guaranteed < w.tokens


def test_if_all_were_takers_the_limit_would_be_the_guaranteed_one(ours: Ours) -> None:
    for w in windows(answer(ours({"tiers.developers.behaviour": {"takers": 1.0}}))).values():
        assert w.guaranteed == pytest.approx(w.tokens, rel=2 * PRECISION)


def test_a_stated_window_is_kept_and_reported_with_whom_it_hits(ours: Ours) -> None:
    a = answer(ours({"limits.team.windows.five-hour.tokens": "8 Mtoken"}))
    five = windows(a)["developers", "five-hour"]
    assert (five.tokens, five.stated) == (8e6, True)
    assert binding_window(a.met["developers"]) == "five-hour"
    assert served_share(a.met["developers"]) < 0.8
    assert a.met["developers"].hit_by("five-hour") > 0.3
    assert not windows(a)["developers", "weekly"].stated
    assert a.models[0].carried_share > 0.999


def test_a_tier_whose_windows_are_stated_keeps_them_and_the_others_share_what_is_left(ours: Ours) -> None:
    def free_tier(tokens_of_the_other: float) -> float:
        rich = {name: {"length": "5 h", "tokens": tokens_of_the_other} for name in ("only",)}
        tiers = {"rich": {**AGENTS, "people": 50, "limit": "rich"}, "free": {**AGENTS, "people": 20}}
        a = answer(ours({"limits.rich": {"windows": rich}, "tiers": tiers}))
        assert windows(a)["rich", "only"].tokens == tokens_of_the_other
        if windows(a)["free", "five-hour"].tokens > 0:
            assert a.models[0].carried_share >= 0.995
        return windows(a)["free", "five-hour"].tokens

    small, medium, large = (free_tier(tokens) for tokens in (1e7, 1e8, 1e9))
    assert small > medium > large == 0.0


def test_today_without_limits_is_the_same_whatever_limits_are_stated(ours: Ours) -> None:
    tight = {f"limits.team.windows.{w}.tokens": "1 Mtoken" for w in ("five-hour", "weekly")}
    one, other = (answer(ours({"tiers.developers.people": 150, **c})).models[0].unlimited_share for c in ({}, tight))
    assert one == other < 0.99


def test_what_is_guaranteed_of_a_stated_window_is_at_most_what_is_stated(ours: Ours) -> None:
    found = windows(answer(ours()))
    for tokens in (1e6, 1e10):
        stated = {f"limits.team.windows.{w}.tokens": tokens for w in ("five-hour", "weekly")}
        given = windows(answer(ours(stated)))
        assert all(0 < w.guaranteed <= tokens for w in given.values())
        # the windows that hold so much would be guaranteed as if nothing were stated
        if tokens == 1e10:
            assert [w.guaranteed for w in given.values()] == pytest.approx(
                [w.guaranteed for w in found.values()], rel=0.02
            )


def test_a_stated_limit_that_is_too_large_is_kept_and_said_not_to_be_carried(ours: Ours) -> None:
    stated = {"limits.team.windows.five-hour.tokens": "2 Gtoken", "limits.team.windows.weekly.tokens": "20 Gtoken"}
    (load,) = answer(ours({**stated, "tiers.developers.people": 400})).models
    assert [w.tokens for w in load.limits] == [2e9, 20e9]
    assert load.carried_share < 0.9
    assert all(w.guaranteed < 2e9 for w in load.limits)


def test_customers_without_windows_get_no_limit_and_are_served_as_they_ask(ours: Ours) -> None:
    api = {"tools": {"kind": "api", "people": 3, "model": "llama-3.1-70b", "behaviour": {"like": "api-client"}}}
    a = answer(ours({"tiers": api}))
    (load,) = a.models
    assert load.limits == ()
    assert load.unlimited_share > 0.99
    (service,) = a.tiers
    assert service.served_s == pytest.approx(service.wanted_s)


def test_tiers_get_limits_in_the_ratio_of_their_weights(ours: Ours) -> None:
    found = windows(answer(ours({"tiers.heavy": {**AGENTS, "people": 20, "weight": 5}})))
    for window in ("five-hour", "weekly"):
        light, heavy = found["developers", window], found["heavy", window]
        assert heavy.tokens == pytest.approx(5 * light.tokens)
        assert heavy.guaranteed == pytest.approx(5 * light.guaranteed)


def with_chips(*chips: str) -> dict[str, object]:
    deliveries = [{"site": "here", "accelerator": chip, "quantity": 8} for chip in chips]
    return {"sites.here.power": None, "placements.code.accelerator": None, "contracts.server.deliveries": deliveries}


def test_two_pools_of_different_accelerators_add_up_by_how_fast_they_do_the_work(ours: Ours) -> None:
    only = {"tiers": {"developers": {**AGENTS, "people": 50}}}
    people = {}
    for chips in (("h100-sxm",), ("h200-sxm",), ("h100-sxm", "h200-sxm")):
        (load,) = answer(ours({**only, **with_chips(*chips)})).models
        people[chips] = load.capacity / load.seconds_per_active_s[0]  # active people served at once
    both = people["h100-sxm", "h200-sxm"]
    assert both == pytest.approx(people[("h100-sxm",)] + people[("h200-sxm",)])
    assert np.all(people[("h200-sxm",)] > people[("h100-sxm",)])


def test_the_order_in_which_pools_are_written_does_not_matter(ours: Ours) -> None:
    one, other = (
        windows(answer(ours(with_chips(*chips))))["developers", "five-hour"].tokens
        for chips in (("h100-sxm", "b200-sxm"), ("b200-sxm", "h100-sxm"))
    )
    assert one == pytest.approx(other, rel=0.02)  # each mix of tiers weighs pools by its own demand


def test_one_replica_that_is_away_more_than_half_a_percent_of_the_time_can_promise_nothing(ours: Ours) -> None:
    many = {"tiers.developers.people": 500, "sites.here.restore": "24 h"}
    for failures, possible in (("0.006/d", False), ("0.004/d", True)):
        (load,) = answer(ours({**many, "sites.here.node_failures": failures})).models
        assert [w.tokens > 0 for w in load.limits] == [possible] * 2


def test_a_second_replica_makes_possible_what_one_cannot_promise(ours: Ours) -> None:
    fails = {"tiers.developers.people": 500, "sites.here.node_failures": "0.02/d", "sites.here.restore": "24 h"}
    sixteen = {"sites.here.power": None, "contracts.server.deliveries.0.quantity": 16}
    assert all(w.tokens == 0 for w in windows(answer(ours(fails))).values())
    assert all(w.tokens > 0 for w in windows(answer(ours({**fails, **sixteen}))).values())


@pytest.mark.parametrize(
    "nothing",
    [
        {"contracts.server.end": "2026-11-24"},
        {"placements.code.accelerators_per_replica": 1},
        {"sites.here.power": {"value": "1 kW", "basis": "server"}},
    ],
    ids=["the contract ends", "no context fits", "no power for a replica"],
)
def test_where_nothing_can_be_served_limits_are_nothing_and_everyone_is_refused(
    ours: Ours, nothing: dict[str, object]
) -> None:
    a = answer(ours(nothing))
    for w in windows(a).values():
        assert (w.tokens, w.guaranteed) == (0.0, 0.0)
        met = a.met[w.tier]
        assert served_share(met) == pytest.approx(met.bought / met.wanted, rel=0.02)
        # whoever wants anything in a week is stopped
        assert met.hit_share > 0.5
    if nothing.get("contracts.server.end") is None:
        assert a.tokens()["all"] == 0.0
        assert a.cost_usd_per_mtok() == {"uncached_input": None, "output": None, "all": None}


def test_only_a_window_that_refuses_something_binds(ours: Ours) -> None:
    plenty = {"limits.team.windows.five-hour.tokens": "1 Ttoken", "limits.team.windows.weekly.tokens": "10 Ttoken"}
    assert binding_window(answer(ours(plenty)).met["developers"]) == ""
    assert binding_window(answer(ours({"tiers.developers.people": 300})).met["developers"]) == "five-hour"


def test_tiers_on_different_models_do_not_share_a_limit(ours: Ours) -> None:
    placements = {
        "code": {"model": "llama-3.1-70b", "accelerator": "h100-sxm", "accelerators_per_replica": 8},
        "small": {"model": "llama-3.1-8b", "accelerator": "h200-sxm", "accelerators_per_replica": 1},
    }
    apart = {**with_chips("h100-sxm", "h200-sxm"), "placements": placements}
    tiers = {"a": {**AGENTS, "people": 50}, "b": {**AGENTS, "people": 500, "model": "llama-3.1-8b"}}
    more = {**tiers, "b": {**tiers["b"], "people": 1000}}
    one, other = (windows(answer(ours({**apart, "tiers": t}))) for t in (tiers, more))
    assert one["a", "five-hour"].tokens == other["a", "five-hour"].tokens
    assert one["b", "five-hour"].tokens > 2 * other["b", "five-hour"].tokens


def test_a_window_for_another_family_of_models_counts_nothing(ours: Ours) -> None:
    own, other = (
        {"five-hour": {"length": "5 h", "tokens": "1 Mtoken", "models": m}} for m in (["llama-3.1-70b"], ["opus"])
    )
    (counted,) = answer(ours({"limits.team.windows": own})).models
    (ignored,) = answer(ours({"limits.team.windows": other})).models
    assert [w.window for w in counted.limits] == ["five-hour"]
    assert ignored.limits == ()


def test_a_replica_is_no_larger_than_what_is_there_if_that_holds_a_context(ours: Ours) -> None:
    one = {"contracts.server.deliveries.0.quantity": 1, "placements.code.accelerators_per_replica": None}
    small = {f"{k}.model": "llama-3.1-8b" for k in ("placements.code", "tiers.developers", "tiers.tools")}
    (load,) = answer(ours({**one, **small})).models
    assert load.pools[0].replica is not None
    assert load.pools[0].replica.accelerators == 1
    assert load.limits[0].tokens >= load.limits[0].guaranteed > 0


def test_where_nobody_is_all_that_sessions_can_draw_is_carried(ours: Ours) -> None:
    (found,) = answer(ours({"tiers.developers.people": 0, "tiers.tools.people": 0})).models
    assert found.carried_share == pytest.approx(1.0)
    assert all(0 < w.tokens < float("inf") for w in found.limits)
