"""A fleet seen through cells and hours: the same bytes in any order and place, the same people under any limit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from small_fleet import LIMITS, ROOMY, TIGHT, small_fleet

from ampacity.demand.stretches import active_expected, habits, stretches, swings_of
from ampacity.simulator import cell_rows as at
from ampacity.simulator.cell_result import CellResult
from ampacity.simulator.estimate import Sample
from ampacity.simulator.failure_causes import Cause, Causes
from ampacity.simulator.fleet import Fleet, gathered, known, one_look, sampled, whole
from ampacity.simulator.strata import CELLS, Look, cells_of, every_look, looks

HOURS = [34, 203, 209]
DOWN = Causes((Cause("feed", "feed", "down", 1 / 36_000, 7200.0, 1.0, 0.8),))


@cache
def fleet_of_24() -> Fleet:
    return small_fleet(causes=DOWN)


@cache
def looks_of_24() -> tuple[Look, ...]:
    return tuple(every_look([6, 6], HOURS[1:], 2))


@cache
def seen() -> tuple[CellResult | None, ...]:
    return tuple(one_look(fleet_of_24(), w) for w in looks_of_24())


def same(a: CellResult | None, b: CellResult | None) -> bool:
    assert a is not None
    assert b is not None
    return (
        (a.counts == b.counts).all()
        and (a.histograms == b.histograms).all()
        and (a.busy_ps, a.hit_tokens, a.stepped, a.jumped, a.wanted_s)
        == (b.busy_ps, b.hit_tokens, b.stepped, b.jumped, b.wanted_s)
    )


def sample_bytes(s: Sample) -> list[bytes]:
    arrays = (s.counts, s.histograms, s.by_hour, s.wanted_s, s.busy_ps, s.replica_ps)
    return [np.ascontiguousarray(a).tobytes() for a in arrays]


def test_a_cell_alone_is_the_same_as_among_all_in_any_order() -> None:
    backwards = {w: one_look(fleet_of_24(), w) for w in reversed(looks_of_24())}
    assert all(same(backwards[w], r) for w, r in zip(looks_of_24(), seen(), strict=True))
    assert len({r.count(at.OUTPUT_TOKENS) for r in seen() if r}) == len(seen())


def test_one_process_and_two_give_the_same_bytes() -> None:
    f, wanted = fleet_of_24(), list(looks_of_24())
    own = gathered(f, wanted, engine=lambda *_: iter(seen()))
    assert sample_bytes(gathered(f, wanted, processes=2)) == sample_bytes(own)


@pytest.mark.slow
def test_a_cluster_of_ray_gives_the_same_bytes() -> None:
    pytest.importorskip("ray", reason="without the extra `ray`")
    from ampacity.simulator.ray_engine import on_ray

    f, wanted = fleet_of_24(), list(looks_of_24())
    own = gathered(f, wanted, engine=lambda *_: iter(seen()))
    assert sample_bytes(gathered(f, wanted, engine=on_ray)) == sample_bytes(own)


def test_results_of_looks_add_up_in_any_portions() -> None:
    """Counts are whole numbers below 2^53, so a sum in another order is the same."""
    f, wanted = fleet_of_24(), list(looks_of_24())
    forth = gathered(f, wanted, engine=lambda *_: iter(seen()))
    back = gathered(f, wanted[::-1], engine=lambda *_: iter(seen()[::-1]))
    assert (forth.counts == back.counts).all()
    assert (forth.histograms == back.histograms).all()


def test_a_look_at_everything_counts_everything_once_and_leaves_nothing_unknown() -> None:
    f = small_fleet(people=600, replicas=6)
    all_of_it = whole(f, HOURS, processes=1)
    by_hand = [one_look(f, w) for w in every_look(f.replicas, HOURS, 2)]
    asked = all_of_it.total(at.ASKED)
    assert asked.value == sum(r.count(at.ASKED) for r in by_hand if r) == all_of_it.by_hour[:, :, at.ASKED].sum() > 0
    assert asked.low == asked.value == asked.high
    assert all_of_it.looks == len(by_hand) == 2 * 3 * len(HOURS)


def test_weights_of_a_sample_add_up_to_all_cell_hours() -> None:
    load = np.arange(50.0) % 24
    for replicas, most in (([1], 16), ([48, 16, 33], 16), ([1000], 16), ([9, 160], 2)):
        found = looks(load, replicas, 1, most=most)
        for pool, have in enumerate(replicas):
            own = [w for w in found if w.pool == pool]
            assert sum(w.weight for w in own) == pytest.approx(50 * len(cells_of(have, most)))
            parts = {w.part: {v.group for v in own if v.part == w.part} for w in own}
            assert all(len(groups) >= 2 for groups in parts.values())
            assert len({(w.part, w.group) for w in own}) >= CELLS


def test_a_pool_of_one_cell_still_says_how_little_twelve_hours_tell() -> None:
    f = small_fleet(people=200, replicas=2, cell_replicas=2)
    found = sampled(f, processes=1).total(at.ASKED)
    assert 0 < found.low < found.value < found.high


def test_two_limits_meet_the_same_people_and_failures() -> None:
    f = small_fleet(causes=DOWN)
    roomy, tight, roomier = (
        replace(f, setting=replace(f.setting, found=found))
        for found in (ROOMY, TIGHT, {"developers": {"five-hour": 2e12, "weekly": 2e12}})
    )
    refused = 0
    for w in looks_of_24()[::4]:
        a, b, c = (one_look(x, w) for x in (roomy, tight, roomier))
        assert a is not None
        assert b is not None
        assert a.wanted_s == b.wanted_s
        assert a.count(at.REFUSALS) == 0
        assert same(a, c)  # a limit that never binds changes nothing
        refused += b.count(at.REFUSALS)
    assert refused > 0


def test_another_draw_of_failures_leaves_people_as_they_are() -> None:
    f = small_fleet(causes=DOWN)
    other = replace(f, setting=replace(f.setting, shocks=1))
    pairs = [(one_look(f, w), one_look(other, w)) for w in looks_of_24()]
    assert all(a.wanted_s == b.wanted_s for a, b in pairs if a and b)
    assert not all(same(a, b) for a, b in pairs)


def test_people_of_cells_want_what_is_known_to_be_expected_of_them() -> None:
    """Few people in each of many cells, the most active among them: within three standard errors."""
    f = small_fleet(people=2400, replicas=48)
    tier = f.setting.s.tiers[0]
    expected = f.wanted_s[0, 200] * f.share[0, 200] / 24
    swings = swings_of(1, tier.behaviour.common_swing.value, 201)
    h = replace(habits(tier, 21, f.start_s, 201, "America/Chicago", swings), by_draw=True)
    begin, end = h.end_ms - 3_600_000, h.end_ms
    drawn = []
    for seed in range(3000):
        w = stretches(h, seed, tier.name)
        within = np.maximum(np.minimum(w.begin_ms + w.active_ms, end) - np.maximum(w.begin_ms, begin), 0)
        drawn.append(within.sum() / 1000)
    per_person = expected / (tier.people.value * f.share[0, 200] / 24)
    error = np.std(drawn) / np.sqrt(len(drawn)) / 21
    assert abs(np.mean(drawn) / 21 - per_person) < 3 * error < 0.2 * per_person


def test_sessions_active_in_an_hour_are_those_that_began_and_last() -> None:
    h = habits(small_fleet().setting.s.tiers[0], 100_000, 1_795_392_000, 60, "America/Chicago")
    w = stretches(h, 5, "developers")
    for hour in (0, 1, 9, 33, 59):
        begin = h.start_ms + 3_600_000 * hour
        within = np.minimum(w.begin_ms + w.active_ms, begin + 3_600_000) - np.maximum(w.begin_ms, begin)
        active = np.maximum(within, 0)
        assert active.sum() / 3.6e6 == pytest.approx(
            active_expected(h)[hour], abs=4 * np.sqrt(np.square(active).sum()) / 3.6e6
        )


def test_what_looks_see_wanted_is_what_is_known_of_all_cells() -> None:
    """All 48 cells in two hours: within four standard errors of what is expected."""
    f = small_fleet(people=4000, replicas=48)
    hours = [203, 230]
    about = known(f, hours)
    assert about.cells == (24, 24)
    per_cell = [
        [
            sum(r.wanted_s[0] for h in hours if (r := one_look(f, Look(p, c, 2 * c, 2, 0, h, 1.0))))
            for c in range(0, 24, 2)
        ]
        for p in (0, 1)
    ]
    for pool in (0, 1):
        mean, error = np.mean(per_cell[pool]), np.std(per_cell[pool], ddof=1) / np.sqrt(12)
        assert abs(mean - about.wanted_s[pool, 0] / 24) < 4 * error < 0.7 * mean
    assert (about.wanted_s[:, 1] == 0).all()  # three tools are the same in every cell: chance decides


def test_limits_do_not_change_what_a_plan_of_looks_looks_at() -> None:
    f = small_fleet()
    other = small_fleet(found=TIGHT)
    assert looks(f.load[:672], f.replicas, 1, most=2) == looks(other.load[:672], other.replicas, 1, most=2)
    assert LIMITS != TIGHT
