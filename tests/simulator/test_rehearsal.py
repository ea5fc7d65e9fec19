"""A reclaim rehearsed on a small fleet whose cells are all looked at, so that everybody who goes can be counted."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from pytest import approx

from ampacity.scenario.load import load
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_hour import opened
from ampacity.simulator.engine import PS_PER_S
from ampacity.simulator.fleet import Setting, fleet
from ampacity.simulator.leaving import (
    BROKEN_OFF,
    FINISHED,
    GIVEN_UP,
    HANDED_OVER,
    IN_FLIGHT,
    WAITING,
    WASTED_TOKENS,
    leave,
    leaving_ticks,
    moved,
)
from ampacity.simulator.minutes import ANSWERED, ASKED, KINDS, OVERLOADED, SENT, TTFT_BUCKETS, by_minute
from ampacity.simulator.recovery import Met, recovery
from ampacity.simulator.rehearsal import _ready, rehearse
from ampacity.simulator.rehearsed import EVENT_MIN, Going, Rehearsal
from ampacity.simulator.shedding import quanta
from ampacity.simulator.strata import Look

TWO = """
scenario: two-contracts
start: 2026-11-23
horizon: 4 weeks
service_level: {hours: 99 %, tpot: 50 ms}
sites:
  here: {time_zone: UTC, power: {value: 100 kW, basis: server}, pue: 1.2, carbon: tva, electricity: 90 USD/MWh}
  there: {time_zone: UTC, power: {value: 100 kW, basis: server}, pue: 1.2, carbon: tva, electricity: 90 USD/MWh}
contracts:
  stays:
    start: 2026-11-23
    supplier: a cloud
    deliveries: [{site: here, accelerator: h100-sxm, quantity: 4}]
    fee: {per_accelerator: 2 USD/h}
  goes:
    start: 2026-11-23
    supplier: another cloud
    deliveries: [{site: there, accelerator: h100-sxm, quantity: 8}]
    fee: {per_accelerator: 2 USD/h}
placements:
  code: {model: llama-3.1-70b, accelerator: h100-sxm, precision: fp8, accelerators_per_replica: 4}
tiers:
  developers: {people: 160, model: llama-3.1-70b, behaviour: coding-agent}
  tools: {kind: api, people: 3, model: llama-3.1-70b, behaviour: {like: api-client, shape: flat}}
"""


@cache
def setting(*sets: str) -> Setting:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "two.yaml"
        path.write_text(TWO)
        return Setting(load(str(path), sets=sets), {})


@cache
def rehearsed(notice_s: float = 0.0, *sets: str, kind: Any = "reclaim", subject: str = "goes") -> Rehearsal:
    return rehearse(setting(*sets), Going(kind, subject, notice_s), 12, processes=1)


PLENTY = ("contracts.stays.deliveries.0.quantity=32", "contracts.goes.deliveries.0.quantity=4")
HALVES = (
    "contracts.goes.deliveries.0.quantity=32",
    "contracts.stays.deliveries.0.quantity=32",
    "tiers.developers.people=500",
)
BUSY = (
    "contracts.goes.deliveries.0.quantity=16",
    "contracts.stays.deliveries.0.quantity=8",
    "tiers.developers.people=600",
)


def left(on_kill: str, notice_s: float, *sets: str) -> tuple[Any, int, int, int]:
    """What the cell that goes leaves; steps of all its agents, answered ones, and those that nobody asks any more."""
    f = fleet(setting(*sets))
    pool = next(i for i, p in enumerate(f.pools) if p.pool.contract.name == "goes")
    c = _ready(f, Look(pool, 0, 0, 16, 0, 11, 1.0))
    notice_ps = round(notice_s * PS_PER_S)
    at_ps = (c.warm_s + 3600) * PS_PER_S
    ticks = leaving_ticks(c.pool.replicas, at_ps, notice_ps)
    cell, _ = opened(replace(c, ticks=ticks, routing=replace(c.routing, on_kill=on_kill)))
    steps = len(cell.people.steps) // at.ASK_FIELDS
    found = leave(cell, c.name, at_ps, notice_ps)
    result = cell.result()
    return found, steps, result.count(at.ANSWERED), result.count(at.STEPS_LOST)


@pytest.mark.parametrize("on_kill", ["resume", "recompute", "lose"])
@pytest.mark.parametrize("notice_s", [0.0, 2.0, 1800.0])
def test_every_request_is_answered_before_or_asked_elsewhere_and_none_twice(on_kill: str, notice_s: float) -> None:
    found, steps, answered, lost = left(on_kill, notice_s, *BUSY)
    guests = moved(found, np.arange(found.person.max() + 1) > 0, 1 << 20, 1 << 62)
    assert guests is not None
    assert answered > 1000
    # lost: windows stop the busiest, and some of them leave
    assert len(guests.scripts) + answered + lost == steps


def test_people_who_part_ways_ask_together_what_they_would_have_asked_in_one_place() -> None:
    found, *_ = left("lose", 0.0, *BUSY)
    people = np.arange(found.person.max() + 1)
    whose = (people % 2 == 1, (people % 2 == 0) & (people > 0), people > 0)
    odd, even, every = (moved(found, chosen, 1 << 20, 1 << 62) for chosen in whose)
    assert odd and even and every
    for column in (at.ASK_INPUT, at.ASK_OUTPUT, at.ASK_GAP_PS):
        both = odd.scripts.steps[:, column].sum() + even.scripts.steps[:, column].sum()
        assert both == every.scripts.steps[:, column].sum()
    assert len(odd.scripts.starts) + len(even.scripts.starts) == len(every.scripts.starts)
    assert len(odd.states) + len(even.states) == len(every.states)


def test_a_request_that_is_resumed_brings_the_tokens_that_had_come_out() -> None:
    kept, anew = (left(on_kill, 1.0, *BUSY)[0] for on_kill in ("resume", "recompute"))
    assert kept.fates[:, HANDED_OVER].sum() == anew.fates[:, HANDED_OVER].sum() > 0
    brought = (anew.steps - kept.steps)[:, at.ASK_OUTPUT].sum()
    assert brought > 0
    assert (kept.steps - anew.steps)[:, at.ASK_INPUT].sum() == brought == anew.fates[:, WASTED_TOKENS].sum()
    assert kept.fates[:, WASTED_TOKENS].sum() == 0


def test_without_notice_all_that_is_in_flight_breaks_off() -> None:
    fates = rehearsed(0.0, *BUSY).fates.sum(axis=(0, 1))
    assert fates[BROKEN_OFF] == fates[IN_FLIGHT] > 0
    assert fates[FINISHED] == fates[HANDED_OVER] == 0
    assert fates[WASTED_TOKENS] > 0


def test_a_notice_that_is_long_enough_loses_nothing() -> None:
    fates = rehearsed(1800.0, *BUSY).fates.sum(axis=(0, 1))
    assert fates[FINISHED] == fates[IN_FLIGHT] > 0
    assert fates[[BROKEN_OFF, HANDED_OVER, GIVEN_UP, WASTED_TOKENS]].sum() == 0


def test_the_longer_the_notice_the_more_requests_end_in_time() -> None:
    found = [left("resume", s, *BUSY)[0].fates.sum(axis=0) for s in (0.0, 1.0, 3.0, 10.0, 60.0)]
    finished = [int(f[FINISHED]) for f in found]
    assert finished == sorted(finished)
    assert finished[0] < finished[-1]
    for f in found:
        assert f[FINISHED] + f[HANDED_OVER] + f[BROKEN_OFF] == f[IN_FLIGHT] == found[0][IN_FLIGHT]


def test_those_who_waited_in_the_queue_are_asked_elsewhere_too() -> None:
    fates = rehearsed(0.0, "tiers.developers.people=1200").fates.sum(axis=(0, 1))
    assert fates[WAITING] > 0
    assert fates[BROKEN_OFF] == fates[IN_FLIGHT]


def test_what_is_left_and_too_small_never_recovers() -> None:
    r = rehearsed(0.0, "tiers.developers.people=300")
    assert r.load_before < 1 < r.load_after
    assert r.minutes_to_recover() == (None, None, None)
    assert not r.recovers
    assert r.all.worst_refused > 0.2


def test_where_plenty_is_left_service_is_as_before_within_minutes() -> None:
    r = rehearsed(0.0, *PLENTY)
    assert r.load_after < 0.2
    assert r.recovers
    assert (r.minutes_to_recover()[0] or 0) <= 10
    assert r.order == ()


def test_api_customers_are_throttled_after_subscribers_or_not_at_all() -> None:
    r = rehearsed(0.0, "tiers.developers.people=300")
    assert r.order[0] == "developers"
    assert r.by_tier["tools"].worst_refused < r.by_tier["developers"].worst_refused


def test_those_who_come_ask_as_much_as_they_would_have_asked_where_they_were() -> None:
    r = rehearsed(0.0, *HALVES)
    asked, alone = (float(c.mean(axis=0)[EVENT_MIN:, :, ASKED].sum()) for c in (r.counts, r.counts_without))
    f = fleet(setting(*HALVES))
    c = _ready(f, Look(1, 0, 0, 16, 0, 11, 1.0))
    cell, _ = opened(c)
    cell.run((c.warm_s + 3600) * PS_PER_S)
    counts, _ = by_minute(cell, 120)
    assert asked - alone == approx(counts[:, :, ASKED].sum(), rel=0.05)


def test_nothing_serves_a_model_whose_pools_are_all_gone() -> None:
    both = rehearse(setting("contracts.stays.deliveries.0.site=there"), Going("outage", "there"), 12, processes=1)
    assert both.unserved == ("developers", "tools")
    assert both.order == ("developers", "tools")
    assert not both.recovers
    assert both.load_after == float("inf")


def test_after_an_outage_new_sessions_go_back_where_they_were() -> None:
    for_good = rehearsed(0.0, *HALVES)
    short = rehearse(setting(*HALVES), Going("outage", "there", for_s=900.0), 12, processes=1)
    asked = [r.total(ASKED, since_min=EVENT_MIN + 60).value for r in (for_good, short)]
    alone = float(for_good.counts_without.mean(axis=0)[EVENT_MIN + 60 :, :, ASKED].sum())
    assert alone < asked[1] < asked[0] - 0.1 * (asked[0] - alone)


def test_the_bytes_do_not_depend_on_how_many_processes_look() -> None:
    one = rehearsed(0.0, *PLENTY)
    two = rehearse(setting(*PLENTY), Going("reclaim", "goes"), 12, processes=2)
    assert np.array_equal(one.counts, two.counts)
    assert np.array_equal(one.ttft, two.ttft)
    assert np.array_equal(one.fates, two.fates)


def course(refused_in: range, replicates: int = 1) -> Met:
    """Sixty quiet minutes, and 120 more, in some of which one attempt in ten is refused."""
    counts = np.zeros((replicates, 180, KINDS))
    counts[:, :, [ASKED, SENT, ANSWERED]] = 900.0
    counts[:, [EVENT_MIN + m for m in refused_in], OVERLOADED] = 100.0
    ttft = np.zeros((replicates, 180, TTFT_BUCKETS))
    ttft[:, :, 100] = 900.0
    return Met(counts, ttft)


QUIET = range(0)


def test_throttling_begins_with_the_first_refusals_and_service_is_back_after_the_last() -> None:
    found = recovery(course(range(5, 21)), course(QUIET), EVENT_MIN)
    assert (found.throttled_min, found.recovered_min) == (5, 21)
    assert found.worst_refused == approx(0.1)


def test_refusals_to_the_end_are_no_recovery() -> None:
    assert recovery(course(range(5, 120)), course(QUIET), EVENT_MIN).recovered_min is None
    assert recovery(course(range(112, 114)), course(QUIET), EVENT_MIN).recovered_min is None


def test_what_would_have_been_refused_without_the_event_is_no_fault_of_it() -> None:
    found = recovery(course(range(5, 120)), course(range(5, 120)), EVENT_MIN)
    assert (found.throttled_min, found.recovered_min) == (5, 0)


def test_slow_first_tokens_of_one_replicate_alone_are_chance() -> None:
    met, quiet = course(QUIET, 5), course(QUIET, 5)
    met.ttft[0, EVENT_MIN + 30, 400] = 4500.0
    assert recovery(met, quiet, EVENT_MIN).recovered_min == 0
    met.ttft[:, EVENT_MIN + 30, 400] = 4500.0
    assert recovery(met, quiet, EVENT_MIN).recovered_min == 31


def test_subscribers_share_by_head_and_weight_what_api_customers_leave() -> None:
    s = setting("tiers.developers.weight=2").s
    plain = setting().s
    developers, tools = s.tiers
    lone = plain.tiers[0]
    assert quanta((developers, lone, tools)) == (65536, 32768, 65536 * 256)


@pytest.mark.parametrize(
    ("going", "hour", "words"),
    [
        (Going("reclaim", "gone"), 12, 'no contract "gone" serves; there are stays, goes'),
        (Going("outage", "nowhere"), 12, 'no site "nowhere" serves; there are here, there'),
        (Going("reclaim", "goes"), 0, "hour 0: from 1 to 670"),
    ],
)
def test_what_cannot_be_rehearsed_is_said(going: Going, hour: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rehearse(setting(), going, hour, processes=1)


def test_a_contract_that_serves_nothing_yet_says_when_it_does() -> None:
    with pytest.raises(ValueError, match="serves nothing in hour 12; its first replicas are there in hour 24"):
        rehearse(setting("contracts.goes.start=2026-11-24"), Going("reclaim", "goes"), 12, processes=1)


def test_an_event_that_makes_no_sense_lists_every_mistake() -> None:
    with pytest.raises(ValueError, match=r"notice of 9000 s: from 0 to 7200.*; capacity back after 60 s"):
        Going("reclaim", "goes", 9000.0, 60.0)
