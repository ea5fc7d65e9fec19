"""What replicas and the door are told, against a look at every outage at every instant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fleets import ALL, DAY, HOUR, cause, layouts, pool, state
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.simulator.failure_causes import WHOLE, Causes
from ampacity.simulator.failures import Outage, failures, planned
from ampacity.simulator.fleet_layout import Layout
from ampacity.simulator.timeline import CLOSE, DOOR, DRAIN, KILL, MISROUTE, OPEN, SLOW, UP, Timeline, hit, timeline

WHOLLY = replace(
    ALL, shared=tuple(replace(c, share=1.0, rate_per_s=c.rate_per_s * 2) for c in ALL.shared)
)  # so that what is hit needs no draw


def told(line: Timeline, replica: int, at_ps: int) -> tuple[str, int, str, int]:
    """What somebody who reads the rows knows at an instant."""
    stop, slow, door, astray = "up", WHOLE, "open", 0
    for at, who, what, value in zip(line.at_ps, line.replica, line.what, line.value, strict=True):
        if at <= at_ps and who == replica:
            stop = {UP: "up", KILL: "down", DRAIN: "drain"}.get(int(what), stop)
            slow = int(value) if what == SLOW else slow
        if at <= at_ps and who == DOOR:
            door = {OPEN: "open", CLOSE: "closed"}.get(int(what), door)
            astray = int(value) if what == MISROUTE else astray
    return stop, slow, door, astray


@settings(max_examples=40)
@given(layouts().filter(lambda x: x.replicas > 0), st.integers(0, 999), st.data())
def test_rows_tell_at_every_instant_what_all_outages_together_do(
    layout: Layout, seed: int, data: st.DataObject
) -> None:
    begin, end = DAY, 6 * DAY
    outages = failures(WHOLLY, layout, seed, begin, end)
    line = timeline(outages, layout, begin, end)
    edges = [t for o in outages for t in (o.begin_ps, o.end_ps, o.end_ps - 1) if begin <= t < end]
    for _ in range(8):
        replica = data.draw(st.integers(0, layout.replicas - 1))
        at_ps = data.draw(st.one_of(st.integers(begin, end - 1), st.sampled_from([begin, *edges])))
        assert told(line, replica, at_ps) == state(outages, layout, replica, at_ps)


@settings(max_examples=30)
@given(layouts(), st.integers(0, 999))
def test_every_row_changes_something_and_they_come_in_order(layout: Layout, seed: int) -> None:
    line = timeline(failures(ALL, layout, seed, 0, 10 * DAY), layout, 0, 10 * DAY)
    assert np.all(np.diff(line.at_ps) >= 0)
    assert line.at_ps.size == 0 or (line.at_ps[0] >= 0 and line.at_ps[-1] < 10 * DAY)
    before: dict[tuple[int, str], tuple[int, int]] = {}
    for who, what, value in zip(line.replica.tolist(), line.what.tolist(), line.value.tolist(), strict=True):
        key = (who, "pace" if what == SLOW else "astray" if what == MISROUTE else "open")
        usual = {"pace": (SLOW, WHOLE), "astray": (MISROUTE, 0), "open": (OPEN if who == DOOR else UP, 0)}[key[1]]
        assert before.get(key, usual) != (what, value)
        before[key] = (what, value)


def test_a_replica_is_up_again_when_the_last_of_its_causes_has_ended() -> None:
    layout = Layout((pool(replicas=2),))
    rack, node = cause(), cause("node", "node")
    outages = (
        Outage(1 * HOUR, 3 * HOUR, node, "a", 0, 1, -1, 1),
        Outage(2 * HOUR, 5 * HOUR, rack, "a", 0, 1, -1, 2),
        Outage(4 * HOUR, 6 * HOUR, node, "a", 0, 2, -1, 3),
    )
    line = timeline(outages, layout, 0, 10 * HOUR)
    rows = list(zip(line.at_ps // HOUR, line.replica, line.what, strict=True))
    assert rows == [(1, 0, KILL), (2, 1, KILL), (5, 1, UP), (6, 0, UP)]


def test_what_is_out_at_the_start_is_told_at_the_start_and_what_outlasts_the_end_is_not_mended() -> None:
    layout = Layout((pool(replicas=1),))
    line = timeline([Outage(-HOUR, 90 * HOUR, cause(), "a", 0, 0, -1, 1)], layout, HOUR, 2 * HOUR)
    assert (line.at_ps.tolist(), line.what.tolist()) == ([HOUR], [KILL])


def test_a_share_of_a_site_that_is_hit_is_hit_by_racks() -> None:
    layout = Layout((pool(replicas=400, accelerators=8), pool("b", "there", replicas=40)))
    o = Outage(0, HOUR, cause("site", "site", share=0.3), "here", 0, 1, -1, 12345)
    found = hit(o, layout, layout.chosen(None))
    assert found.max() < 400, "another site is spared"
    racks = np.isin(np.arange(400), found).reshape(100, 4)
    assert np.all(racks == racks[:, :1]), "a rack is hit as a whole"
    assert racks[:, 0].mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 100))


def test_a_reclaim_drains_from_its_notice_and_stops_what_is_left_at_its_end() -> None:
    layout = Layout((pool(replicas=3), pool("b", replicas=2)))
    notice = planned(cause("notice", "pool", "drain", 0.0), HOUR, 3 * HOUR, "a")
    gone = planned(cause("gone", "pool", "down", 0.0), 3 * HOUR, 100 * HOUR, "a")
    line = timeline([notice, gone], layout, 0, 10 * HOUR)
    rows = list(zip(line.at_ps // HOUR, line.replica, line.what, strict=True))
    assert rows == [(1, r, DRAIN) for r in range(3)] + [(3, r, KILL) for r in range(3)]


def test_a_planned_outage_of_a_share_hits_the_same_replicas_in_any_part_of_the_fleet() -> None:
    layout = Layout((pool(replicas=4000),))
    o = planned(cause("release", "service", "down", 0.0, share=0.3), 0, HOUR, seed=5)
    found = hit(o, layout, layout.chosen(None))
    assert len(found) / 4000 == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 4000))
    some = np.arange(7, 4000, 13)
    assert hit(o, layout, some).tolist() == [r for r in found.tolist() if r in set(some.tolist())]
    other = hit(planned(o.cause, 0, HOUR, seed=6), layout, layout.chosen(None))
    assert other.tolist() != found.tolist()


def test_an_outage_of_something_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="an outage of 'x', which the layout does not have"):
        timeline([Outage(0, HOUR, cause(), "x", 0, 1, -1, 1)], Layout((pool(),)), 0, HOUR)


def test_no_outages_are_no_rows() -> None:
    line = timeline(failures(Causes(), Layout(()), 1, 0, DAY), Layout(()), 0, DAY)
    assert [c.size for c in vars(line).values()] == [0, 0, 0, 0]
