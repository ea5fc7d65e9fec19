"""A scenario's own fleet: every request accounted for, the same people as in its plan, and what memory does to them."""

from __future__ import annotations

from functools import cache

import pytest

import ampacity as amp
from ampacity.demand.people import habits_of
from ampacity.demand.stretches import stretches
from ampacity.inference.replica import replica
from ampacity.reporting.twin_view import limits_found
from ampacity.scenario.load import load
from ampacity.scenario.placement import FollowsLoad
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_terms import Routing
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.model_cell import kv_tiers
from ampacity.simulator.of_scenario import scaling_of
from ampacity.simulator.twin import Weeks, twin, why_not

WEEK = 168
LIMITS = {"developers": {"five-hour": 60e6, "weekly": 600e6}}
LEAST = Routing("least")


@cache
def week(*sets: str) -> Weeks:
    (found,) = twin(load("laptop", sets=list(sets)), LIMITS, seed=3, hours=WEEK, routing=LEAST)
    return found


def test_every_step_that_was_asked_was_answered_lost_or_is_under_way() -> None:
    r = week().result
    for tier in r.tiers:
        sent, answered = r.count(at.SENT, tier), r.count(at.ANSWERED, tier)
        assert 0 <= sent - answered <= 50  # in flight when the week ends
    assert r.in_flight == r.count(at.SENT) - r.count(at.ANSWERED)
    assert r.prompt_tokens + r.hit_tokens >= r.count(at.INPUT_TOKENS)


def test_the_same_people_ask_what_their_week_of_sessions_asks() -> None:
    """Output within what is refused, lost and under way; a heavy tail leaves a few per cent to chance."""
    s = load("laptop")
    tier = s.tier("developers")
    h = habits_of(s, tier, 50, 3)
    wanted = stretches(h, 3, tier.name)
    inside = wanted.begin_ms < h.start_ms + WEEK * 3_600_000
    active_s = float((wanted.active_ms * wanted.pace)[inside].sum()) / 1000.0
    found = week().result.count(at.OUTPUT_TOKENS, "developers")
    assert found == pytest.approx(active_s * tier.behaviour.output_per_s.value, rel=0.15)


def test_a_seed_gives_the_same_week_twice_and_another_another() -> None:
    s = load("laptop")
    one, again, other = (twin(s, LIMITS, seed=seed, hours=24, routing=LEAST)[0].result for seed in (5, 5, 6))
    assert (one.histograms == again.histograms).all()
    assert (one.counts == again.counts).all()
    assert (one.counts != other.counts).any()


def test_contexts_that_memory_cannot_keep_are_read_anew() -> None:
    """A server whose engine has a third of the blocks finds less of what was there, and answers later."""
    roomy, tight = week(), week("placements.code.kv_blocks=25000")
    assert tight.result.hit_share < roomy.result.hit_share - 0.04
    assert tight.result.quantile_s(at.TTFT, 0.9) > roomy.result.quantile_s(at.TTFT, 0.9)


def test_a_service_that_refuses_who_would_wait_long_does_not_fall_where_one_that_takes_all_does() -> None:
    """300 people under windows that a plan says are carried in 99.5 % of hours: half of what comes after one that is
    not would be read anew."""
    s = load("laptop", sets=["tiers.developers.people=300"])
    limits = {"developers": {"five-hour": 10.9e6, "weekly": 59e6}}
    (takes_all,) = twin(s, limits, routing=Routing("soonest"))
    (admits,) = twin(s, limits)
    assert takes_all.result.hit_share < 0.7
    assert takes_all.result.quantile_s(at.TTFT, 0.9) > 600
    assert admits.result.hit_share > 0.9
    assert admits.result.quantile_s(at.TTFT, 0.99) < 20
    assert 0 < admits.result.overloaded() < 0.005 * admits.result.count(at.ASKED)


def test_host_memory_keeps_what_tight_memory_evicts() -> None:
    """256 GB of a server's host memory, an eighth beside each accelerator: more is found, and answers begin sooner."""
    tight = "placements.code.kv_blocks=25000"
    without, with_host = week(tight), week(tight, "placements.code.host_kv=32 GB")
    assert with_host.result.hit_share > without.result.hit_share + 0.04
    assert with_host.result.quantile_s(at.TTFT, 0.9) < without.result.quantile_s(at.TTFT, 0.9)
    loaded, further = with_host.result.loaded_tokens
    assert 0 < loaded < with_host.result.hit_tokens
    assert further == 0
    assert without.result.loaded_tokens == (0, 0)


def test_memory_below_is_counted_in_blocks_of_the_whole_replica() -> None:
    s = load("laptop", sets=["placements.code.host_kv=32 GB", "placements.code.kv_precision=fp8"])
    one = replica(s.model("llama-3.1-70b"), s.accelerator("h100-sxm"), "fp8", "fp8", 8)
    placement = s.placements[0]
    (host,) = kv_tiers(placement, one)
    assert host.blocks == 8 * 32e9 // (16 * one.kv_bytes_per_token)
    assert host.load_ps_per_block * 8 * 25e9 / PS_PER_S == pytest.approx(16 * one.kv_bytes_per_token, rel=1e-6)
    stored = {"placements.code.store_kv": "1 TB", "placements.code.store_kv_bandwidth": "5 GB/s"}
    near, far = kv_tiers(s.replace(stored).placements[0], one)
    assert near == host
    assert far.load_ps_per_block == pytest.approx(5 * host.load_ps_per_block, rel=1e-6)
    assert far.blocks == 8 * 1e12 // (16 * one.kv_bytes_per_token)


def test_tight_windows_refuse_what_roomy_ones_admit() -> None:
    s = load("laptop")
    tight = {"developers": {"five-hour": 2e6, "weekly": 20e6}}
    (few,) = twin(s, tight, seed=3, hours=WEEK, routing=LEAST)
    assert few.result.count(at.REFUSALS) > 5 * week().result.count(at.REFUSALS)
    assert few.result.count(at.OUTPUT_TOKENS, "developers") < week().result.count(at.OUTPUT_TOKENS, "developers")
    assert few.busy_share < week().busy_share


def test_a_model_of_more_replicas_than_a_cell_holds_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="a cell holds 128"):
        twin(load("colossus-1"), {})


def test_only_small_fleets_are_looked_at_request_by_request() -> None:
    assert why_not(load("laptop")) == ""
    assert "replicas of a model, more than 128" in why_not(load("colossus-1"))
    assert "M requests in four weeks" in why_not(load("laptop", sets=["tiers.developers.people=5000"]))
    assert why_not(load("laptop", sets=["contracts.server.end=2026-12-05"])) == "capacity changes from hour to hour"


def test_windows_that_count_requests_are_met_one_by_one() -> None:
    a_day = {"limits.team.windows.a-day": {"length": "1 d", "requests": 20}}
    (few,) = twin(load("laptop").replace(a_day), LIMITS, seed=3, hours=WEEK, routing=LEAST)
    assert few.result.count(at.REFUSALS) > 5 * week().result.count(at.REFUSALS)
    assert few.result.count(at.ANSWERED, "developers") < 0.5 * week().result.count(at.ANSWERED, "developers")


def test_contexts_beyond_a_replica_are_left_out_and_counted() -> None:
    (found,) = twin(load("laptop", sets=["placements.code.kv_blocks=5000"]), LIMITS, seed=3, hours=24, routing=LEAST)
    assert found.left_out > 0
    assert found.result.count(at.ANSWERED) > 0


def test_as_many_people_are_stopped_in_a_week_as_a_plan_expects() -> None:
    """200 people under the windows that a plan finds for them, request by request and by sessions."""
    p = amp.plan(amp.load("laptop").replace({"worlds": 1, "tiers.developers.people": 200}))
    (weeks,) = twin(p.scenario, limits_found(p))
    expected = {w.window: 200 * w.people_hit_share.value for w in p.windows if w.people_hit_share is not None}
    assert weeks.hit["developers"]["five-hour"] == pytest.approx(expected["five-hour"], rel=0.1)
    assert weeks.hit["developers"]["weekly"] == pytest.approx(expected["weekly"], rel=0.3)


def test_replicas_that_follow_the_load_come_by_day_go_by_night_and_serve_what_all_would() -> None:
    """Five servers of which one does by night; everybody is answered, a little later."""
    many = {
        "worlds": 1,
        "sites.here.power": None,
        "contracts.server.deliveries.0.quantity": 40,
        "tiers.developers.people": 150,
        "placements.code.accelerators_per_replica": 8,
    }
    s = amp.load("laptop").replace(many)
    (every,) = twin(s, {}, hours=48)
    (some,) = twin(s.replace({"placements.code.follows_load": {"target": 6, "start": "2 min"}}), {}, hours=48)
    assert every.replicas == some.replicas == 5
    assert every.replicas_there == 5
    assert 1 <= some.replicas_there < 4
    assert some.result.scaled.starts > 4
    assert some.busy_share > 1.2 * every.busy_share
    assert some.result.count(at.ASKED) == pytest.approx(every.result.count(at.ASKED), rel=0.02)
    assert some.result.quantile_s(at.TTFT, 0.9) >= every.result.quantile_s(at.TTFT, 0.9)


def test_a_follower_of_the_load_in_a_sampled_fleet_scales_each_cell() -> None:
    own = scaling_of(FollowsLoad(target=6, least=10), 0, 16, 64)
    assert own is not None
    assert (own.least, own.target, own.most) == (2, 6, None)
    assert scaling_of(FollowsLoad(target=6), 0, 3, 64).least == 1  # type: ignore[union-attr]
    assert scaling_of(None, 0, 16, 64) is None
