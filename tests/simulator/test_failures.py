"""What fails: the rates that supply expects, causes that are shared, lemons, and the same bytes for any part."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from fleets import ALL, DAY, HOUR, OFTEN, S, cause, layouts, pool
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.physics.availability import node_availability
from ampacity.scenario.load import load
from ampacity.simulator.disruption import expected_up, open_share, up_share
from ampacity.simulator.failure_causes import Cause, Causes, Lemons
from ampacity.simulator.failures import Outage, failures, is_lemon
from ampacity.simulator.fleet_layout import Layout, PoolLayout, layout_of
from ampacity.simulator.incident_hours import WeekClock, hour_weights
from ampacity.simulator.timeline import timeline
from ampacity.supply.capacity import capacities
from ampacity.supply.delivery import hours_of

MONDAY_S = 1_780_272_000  # 2026-06-01 0:00 UTC


def ups(causes: Causes, layout: Layout, seed: int, end_ps: int) -> np.ndarray:
    """Share of time that each replica is up in one draw."""
    line = timeline(failures(causes, layout, seed, 0, end_ps), layout, 0, end_ps)
    return up_share(line, range(layout.replicas), 0, end_ps)


def off(found: np.ndarray, expected: float) -> float:
    """How many standard errors the mean of independent values lies from what is expected."""
    return float(abs(found.mean() - expected) / (found.std(ddof=1) / np.sqrt(len(found))))


@pytest.mark.parametrize("size", [1, 8, 32])
@pytest.mark.parametrize("lemons", [None, Lemons(0.05, 0.6)], ids=["alike", "with lemons"])
def test_replicas_are_up_as_long_as_supply_expects(size: int, lemons: Lemons | None) -> None:
    s = load("laptop").replace(
        {
            "sites.here.power": None,
            "sites.here.node_failures": "0.08/d",
            "sites.here.restore": "6 h",
            "contracts.server.deliveries.0.quantity": 4800,
            "placements.code.accelerators_per_replica": size,
        }
    )
    supply = capacities(s, hours_of(s))
    layout = layout_of(supply)
    up = ups(Causes(lemons=lemons), layout, 7, 25 * DAY)
    per_node = up.reshape(-1, 8).mean(axis=1) if size == 1 else up  # replicas of a node fail together
    assert len(per_node) == (600 if size < 32 else 150)
    assert off(per_node, supply[0].replica_availability) < 3
    assert expected_up(Causes(lemons=lemons), layout).own == pytest.approx(supply[0].replica_availability, rel=1e-12)


def test_replicas_of_one_node_fail_together() -> None:
    layout = Layout((pool(replicas=16, accelerators=1),))
    up = ups(Causes(), layout, 1, 30 * DAY).reshape(2, 8)
    assert len(np.unique(up)) == 2
    assert np.all(up == up[:, :1])


@pytest.mark.parametrize("size", [1, 8, 96])
def test_a_tree_of_causes_leaves_the_availability_of_its_formula(size: int) -> None:
    causes = Causes(tuple(c for c in OFTEN if c.does in ("down", "close")), lemons=Lemons(0.1, 0.5))
    layout = Layout((pool(replicas=24, accelerators=size), pool("b", replicas=3, accelerators=40)))
    expected = expected_up(causes, layout)
    found, opened = [], []
    for seed in range(30):
        line = timeline(failures(causes, layout, seed, 0, 25 * DAY), layout, 0, 25 * DAY)
        found.append(up_share(line, range(layout.replicas), 0, 25 * DAY).mean())
        opened.append(open_share(line, 0, 25 * DAY))
    assert off(np.array(found), float((expected.own * expected.shared).mean())) < 3
    assert off(np.array(opened), expected.door) < 3


def test_the_formula_of_a_partly_hit_rack_is_that_of_its_nodes_one_by_one() -> None:
    # a replica of two nodes in a rack whose outages hit half of the nodes: spared both with a quarter
    layout = Layout((pool(replicas=2, accelerators=16),))
    rack = cause(share=0.5)
    out = 1 - rack.free_share
    assert expected_up(Causes((rack,)), layout).shared == pytest.approx(1 - out * 0.75)


def test_outages_are_under_way_at_time_0_as_at_any_other() -> None:
    layout = Layout((pool(replicas=20_000, accelerators=8, restore_s=86400.0, node_failure_rate_per_s=1 / 172800),))
    outages = failures(Causes(node_sigma=1.5), layout, 3, 0, 10 * HOUR)
    out = [sum(o.begin_ps <= at < o.end_ps for o in outages) / 20_000 for at in (0, HOUR, 10 * HOUR - 1)]
    spread = np.sqrt(1 / 3 * 2 / 3 / 20_000)
    assert np.abs(np.array(out) - 1 / 3).max() < 4 * spread


def test_repairs_are_log_normal_and_failures_memoryless() -> None:
    layout = Layout((pool(replicas=3000, accelerators=8),))
    outages = [o for o in failures(Causes(node_sigma=0.8), layout, 5, 0, 20 * DAY) if o.nth > 0]
    hours = np.array([(o.end_ps - o.begin_ps) / HOUR for o in outages])
    n = len(hours)
    assert n > 5000
    assert hours.mean() == pytest.approx(6.0, abs=4 * hours.std() / np.sqrt(n))
    assert np.log(hours).std() == pytest.approx(0.8, abs=4 * 0.8 / np.sqrt(2 * n))
    by_node = Counter(o.element for o in outages)
    counts = np.array([by_node[i] for i in range(3000)])
    # almost Poisson: the time out of service takes about 2 x 2.5 % off the spread
    assert counts.var() / counts.mean() == pytest.approx(0.95, abs=4 * np.sqrt(2 / 3000))


def test_lemons_have_their_part_of_the_failures_and_the_fleet_no_more() -> None:
    usual = 0.02 / 86400
    layout = Layout((pool(replicas=12_000, accelerators=8, node_failure_rate_per_s=usual),))
    lemon = is_lemon(Causes(lemons=Lemons(0.0133, 0.5)), layout.pools[0], np.arange(12_000), 11)
    assert lemon.mean() == pytest.approx(0.0133, abs=4 * np.sqrt(0.0133 / 12_000))
    outages = failures(Causes(lemons=Lemons(0.0133, 0.5)), layout, 11, 0, 25 * DAY)
    by_node = Counter(o.element for o in outages)
    counts = np.array([by_node[i] for i in range(12_000)])
    each = 25 * 0.02 * node_availability(usual, 6 * 3600) + (1 - node_availability(usual, 6 * 3600))  # begun before 0
    assert off(counts, each) < 3
    assert off(counts[lemon], each * 0.5 / 0.0133) < 3
    assert off(counts[~lemon], each * 0.5 / 0.9867) < 3


@given(
    st.floats(1e-9, 1e-3),
    st.floats(60, 1e6),
    st.floats(0.001, 0.5),
    st.floats(0.01, 0.99),
)
def test_lemons_never_change_the_availability_of_a_node(rate: float, restore_s: float, share: float, of: float) -> None:
    lemon, other = Lemons(share, share + (0.999 - share) * of).rates_per_s(rate, restore_s)
    mean = share * node_availability(lemon, restore_s) + (1 - share) * node_availability(other, restore_s)
    assert mean == pytest.approx(node_availability(rate, restore_s), rel=1e-12)
    assert 0 <= other <= rate * (1 + 1e-9) <= lemon * (1 + 2e-9)


def test_accelerators_cause_their_share_of_node_failures_each_as_many() -> None:
    layout = Layout((pool(replicas=2000),))
    outages = failures(Causes(accelerator_share=0.64), layout, 2, 0, 25 * DAY)
    n = len(outages)
    parts = Counter(o.accelerator for o in outages)
    assert {o.cause.name for o in outages if o.accelerator >= 0} == {"accelerator"}
    assert {o.cause.name for o in outages if o.accelerator < 0} == {"node"}
    assert 1 - parts.pop(-1) / n == pytest.approx(0.64, abs=4 * np.sqrt(0.64 * 0.36 / n))
    assert sorted(parts) == list(range(8))
    assert max(parts.values()) - min(parts.values()) < 6 * np.sqrt(0.08 * n)


@settings(max_examples=30)
@given(layouts(), st.integers(0, 2**63), st.data())
def test_a_part_of_the_fleet_meets_what_the_whole_would(layout: Layout, seed: int, data: st.DataObject) -> None:
    end = 12 * DAY
    some = data.draw(st.lists(st.integers(0, max(layout.replicas - 1, 0)), max_size=6)) if layout.replicas else []
    whole = failures(ALL, layout, seed, 0, end, epoch_s=MONDAY_S)
    part = failures(ALL, layout, seed, 0, end, some, epoch_s=MONDAY_S)
    assert set(part) <= set(whole)
    rows = timeline(whole, layout, 0, end)
    mine = timeline(part, layout, 0, end, some)
    kept = np.isin(rows.replica, [*some, -1])
    for name in ("at_ps", "replica", "what", "value"):
        assert getattr(mine, name).tobytes() == getattr(rows, name)[kept].tobytes()


@settings(max_examples=25)
@given(layouts(), st.integers(0, 99), st.integers(0, 12 * DAY), st.integers(0, 12 * DAY))
def test_a_part_of_the_time_meets_what_all_of_it_would(layout: Layout, seed: int, one: int, other: int) -> None:
    begin, end = sorted((one, other))
    whole = failures(ALL, layout, seed, 0, 12 * DAY, epoch_s=MONDAY_S)
    part = failures(ALL, layout, seed, begin, end, epoch_s=MONDAY_S)
    assert part == tuple(o for o in whole if o.end_ps > begin and o.begin_ps < end)


def test_another_pool_beside_it_changes_nothing_for_a_pool() -> None:
    one, other = pool("a"), pool("b", replicas=9, accelerators=32)
    alone, beside = Layout((one,)), Layout((one, other))
    found = timeline(failures(ALL, alone, 4, 0, 9 * DAY), alone, 0, 9 * DAY)
    both = timeline(failures(ALL, beside, 4, 0, 9 * DAY), beside, 0, 9 * DAY, range(20))
    assert [c.tobytes() for c in vars(found).values()] == [c.tobytes() for c in vars(both).values()]


@settings(max_examples=25)
@given(layouts(), st.integers(0, 99), st.sets(st.sampled_from([c.name for c in OFTEN])))
def test_more_causes_never_leave_more_time_up(layout: Layout, seed: int, gone: set[str]) -> None:
    end = 10 * DAY
    fewer = ALL.without(*gone)
    up = [ups(causes, layout, seed, end) for causes in (fewer, ALL)]
    assert np.all(up[0] >= up[1] - 1e-12)
    expected = [expected_up(causes, layout) for causes in (fewer, ALL)]
    assert np.all(expected[0].serves >= expected[1].serves)


def test_incidents_begin_when_status_pages_say_that_they_do() -> None:
    often = cause("release", "service", per_day=60.0, median_s=0.5, follows_load=True)
    causes = Causes((often,), weekday_share=0.936, afternoon_share=0.57)
    outages = failures(causes, Layout((pool(),)), 1, 0, 70 * DAY, replicas=[], epoch_s=MONDAY_S + 5 * 86400)
    begin_h = np.array([o.begin_ps // HOUR for o in outages if o.nth > 0]) + 5 * 24
    n = len(begin_h)
    assert n == pytest.approx(60 * 70, abs=4 * np.sqrt(60 * 70))
    assert (begin_h % 168 < 120).mean() == pytest.approx(0.936, abs=4 * np.sqrt(0.06 / n))
    afternoon = (begin_h % 24 >= 14) & (begin_h % 24 < 22)
    assert afternoon.mean() == pytest.approx(0.57, abs=4 * np.sqrt(0.245 / n))


@given(st.integers(0, 10**12), st.floats(0, 1e9), st.integers(-(10**9), 10**12))
def test_stretched_time_is_the_sum_of_the_hours_weights(begin_ms: int, wait_ms: float, epoch_ms: int) -> None:
    weights = hour_weights(0.9, 0.5)
    assert weights.mean() == pytest.approx(1)
    clock = WeekClock(tuple(weights), epoch_ms)
    (end_ms,) = clock.after(np.array([begin_ms]), np.array([wait_ms])).tolist()
    passed, now = 0.0, begin_ms
    while now < end_ms:  # hour by hour
        hour = (epoch_ms + now) // 3_600_000
        until = min((hour + 1) * 3_600_000 - epoch_ms, end_ms)
        passed += (until - now) * weights[int(hour - 4 * 24) % 168]
        now = until
    assert passed == pytest.approx(wait_ms, abs=4.0)


def test_a_cause_says_everything_that_is_wrong_with_it_at_once() -> None:
    with pytest.raises(
        ValueError, match=r"rate_per_s is -1.*median_s is 0.*share is 2.*value is 3; expected more than"
    ):
        Cause("odd", "pool", "slow", -1.0, 0.0, 1.0, 2.0, 3)
    with pytest.raises(ValueError, match="door of the whole service"):
        Cause("odd", "pool", "close", 1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"lemons: share 0.5, failures 0.1"):
        Lemons(0.5, 0.1)
    with pytest.raises(ValueError, match="no shared cause weather; there are: site, feed"):
        ALL.without("weather")
    with pytest.raises(ValueError, match="causes named node, rack; expected names of their own"):
        Causes((cause(), cause(), cause("node", "node")))


def test_a_layout_says_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match=r"replicas is -1.*accelerators is 0"):
        PoolLayout("a", "here", -1, 0)
    with pytest.raises(ValueError, match="pools of one name: a"):
        Layout((pool(), pool()))
    with pytest.raises(ValueError, match="expected numbers from 0 to 19"):
        failures(ALL, Layout((pool(),)), 1, 0, S, [20])
    with pytest.raises(ValueError, match="expected 0 <= start <= end"):
        failures(ALL, Layout((pool(),)), 1, S, 0)


def test_what_never_fails_has_no_outages() -> None:
    still = Layout((pool(node_failure_rate_per_s=0.0), pool("b", restore_s=0.0)))
    assert failures(Causes((cause(per_day=0.0),)), still, 1, 0, 50 * DAY) == ()
    found: tuple[Outage, ...] = failures(ALL, Layout(()), 1, 0, DAY)
    assert {o.owner for o in found} <= {""}
