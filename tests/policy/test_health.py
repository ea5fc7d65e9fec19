"""Who is left out, for how long and who comes back: against a log of all that happened; and the same compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.compiled import compiled
from ampacity.policy.health import (
    CUT_OFF,
    FAILURES_MOST,
    GIVEN_UP,
    H_ERA,
    H_FAILURES,
    H_STANDING,
    HEALTH_FIELDS,
    OUT_MOST_MS,
    REFUSED,
    SOUND,
    TIMED_OUT,
    health_rules,
    note_outcome,
    note_tried,
    on_trial,
)
from ampacity.policy.routing import NOBODY, R_OUT_UNTIL_MS, R_SHARE, REPLICA_FIELDS, at_random, replica_rows, takes

NOW_MS = 1_795_424_700_000
PLAIN = {
    "failures": 5,
    "base_ms": 1_000,
    "most_ms": 60_000,
    "calm_ms": 300_000,
    "trial_ms": 60_000,
    "percent": 50,
    "full_ms": 1_000,
    "full_most_ms": 60_000,
}
BAD = [500, 502, 504, REFUSED, TIMED_OUT, CUT_OFF]
THEIRS = [400, 401, 404, 408, 413, 422, GIVEN_UP]  # of the client
FULL = [429, 503, 529]
BEFORE_CELL, BEFORE_HEALTH, BEFORE_RULES = 3, 5, 2  # numbers that lie in front of the rows


class Cell:
    """A few upstreams and who was sent there, as a service would keep them."""

    def __init__(self, count: int, **rules: int) -> None:
        self.rules = [-9] * BEFORE_RULES + health_rules(**rules)
        self.cell = [-9] * BEFORE_CELL + replica_rows(range(count), 1000)
        self.health = [-9] * BEFORE_HEALTH + [0] * (count * HEALTH_FIELDS)
        self.count, self.now = count, NOW_MS

    def rows(self, i: int) -> tuple[int, int]:
        return BEFORE_HEALTH + i * HEALTH_FIELDS, BEFORE_CELL + i * REPLICA_FIELDS

    def send(self, i: int) -> int:
        k, r = self.rows(i)
        return note_tried(self.health, k, self.rules, BEFORE_RULES, self.cell, r, self.now)

    def end(self, i: int, era: int, status: int, retry_after_ms: int = 0) -> bool:
        rows = self.health, BEFORE_HEALTH, self.rules, BEFORE_RULES, self.cell, BEFORE_CELL
        return note_outcome(*rows, self.count, i, era, status, retry_after_ms, self.now)

    def meets(self, i: int, *statuses: int) -> list[bool]:
        """Requests go there one after the other and end at once."""
        return [self.end(i, self.send(i), status) for status in statuses]

    def open(self, i: int) -> bool:
        return takes(self.cell, self.rows(i)[1], self.now)

    def out_ms(self, i: int) -> int:
        """How much longer it is left out."""
        return max(self.cell[self.rows(i)[1] + R_OUT_UNTIL_MS] - self.now, 0)

    def trial(self, i: int) -> bool:
        k, r = self.rows(i)
        return on_trial(self.health, k, self.cell, r, self.now)


class Log:
    """Keeps everything that happened to every upstream, and answers by walking back through it."""

    def __init__(self, shares: list[int], rules: dict[str, int]) -> None:
        self.shares, self.rules = shares, rules
        self.logs: list[list[tuple[int, str]]] = [[] for _ in shares]
        self.closed = [0] * len(shares)

    def ejected(self, i: int) -> bool:
        return next((what == "ejected" for _, what in reversed(self.logs[i]) if what in ("ejected", "back")), False)

    def trying(self, i: int) -> bool:
        since = next((what for _, what in reversed(self.logs[i]) if what in ("ejected", "sent")), "")
        return self.ejected(i) and since == "sent"

    def run(self, i: int, counted: str, until: tuple[str, ...]) -> int:
        """How often something happened since anything of `until` did."""
        found = 0
        for _, what in reversed(self.logs[i]):
            if what in until:
                break
            found += what == counted
        return found

    def lately(self, i: int, now: int) -> int:
        """Ejections before this one without a calm between."""
        found, back = 0, None
        for t, what in [*self.logs[i], (now, "now")]:
            if back is not None and what in ("ejected", "now") and t - back >= self.rules["calm_ms"]:
                found = 0
            if what == "ejected":
                found, back = found + 1, None
            elif what == "back":
                back = t
        return found

    def sent(self, i: int, now: int) -> int:
        """A request goes there; its place in the log."""
        self.logs[i].append((now, "sent"))
        if self.ejected(i):
            self.closed[i] = now + self.rules["trial_ms"]
        return len(self.logs[i])

    def ended(self, i: int, place: int, status: int, asked_ms: int, now: int) -> bool:
        log, rules = self.logs[i], self.rules
        if any(what == "ejected" for _, what in log[place:]):
            return False
        if status in THEIRS:
            if self.trying(i):
                self.closed[i] = 0
            return False
        if status in FULL:
            fresh = self.ejected(i) or now >= self.closed[i]
            times = self.run(i, "full", ("rested",))
            own = min(rules["full_ms"] * 2**times, rules["full_most_ms"])
            pause = min(asked_ms, rules["full_most_ms"]) if asked_ms > 0 else own if fresh else 0
            self.closed[i] = now + pause if fresh else max(self.closed[i], now + pause)
            if fresh:
                log.append((now, "full"))
            return False
        if status not in BAD:
            if self.ejected(i):
                log.append((now, "back"))
                self.closed[i] = 0
            log.append((now, "worked"))
            if now >= self.closed[i]:
                log.append((now, "rested"))
            return False
        trial = self.ejected(i)
        if not trial:
            log.append((now, "broke"))
            if self.run(i, "broke", ("worked", "ejected", "back")) < rules["failures"]:
                return False
            others = [j for j in range(len(self.shares)) if self.shares[j] > 0 and j != i]
            out = 1 + sum(self.ejected(j) for j in others)
            if others and out / (1 + len(others)) > rules["percent"] / 100:
                return False
        length = min(rules["base_ms"] * 2 ** self.lately(i, now), rules["most_ms"])
        self.closed[i] = now + length if trial else max(self.closed[i], now + length)
        log.append((now, "ejected"))
        return True


SHORT = st.fixed_dictionaries(
    {
        "failures": st.sampled_from([1, 2, 3]),
        "base_ms": st.sampled_from([1, 10, 50]),
        "most_ms": st.sampled_from([50, 200, 10_000]),
        "calm_ms": st.sampled_from([0, 60, 400]),
        "trial_ms": st.sampled_from([1, 30, 300]),
        "percent": st.sampled_from([0, 25, 34, 50, 100]),
        "full_ms": st.sampled_from([1, 20]),
        "full_most_ms": st.sampled_from([20, 90, 10_000]),
    }
)
ASKED = st.sampled_from([0, 0, -5, 7, 70])
STEPS = st.sampled_from([0, 0, 0, 1, 5, 10, 20, 60, 300, 1000, -40])
STATUSES = st.sampled_from([*BAD[:2], REFUSED, CUT_OFF, *BAD, 200, 200, 200, 304, *THEIRS[:2], *FULL])
EVENTS = st.lists(
    st.tuples(
        STEPS, st.integers(0, 4), st.integers(0, 2), st.integers(0, 9), STATUSES, st.sampled_from([0, 0, -5, 7, 70])
    ),
    max_size=80,
)


@given(st.lists(st.sampled_from([256, 256, 0]), min_size=1, max_size=5), SHORT, EVENTS)
def test_who_is_out_and_until_when_follows_from_the_log_of_all_that_happened(
    shares: list[int], rules: dict[str, int], events: list[tuple[int, ...]]
) -> None:
    cell, log = Cell(len(shares), **rules), Log(shares, rules)
    for i, share in enumerate(shares):
        cell.cell[cell.rows(i)[1] + R_SHARE] = share
    running: list[tuple[int, int, int]] = []
    for step, who, what, which, status, asked_ms in events:
        cell.now += step
        i = who % len(shares)
        if what == 0 or not running:
            running.append((i, cell.send(i), log.sent(i, cell.now)))
        if what > 0:
            i, era, place = running.pop(which % len(running))
            assert cell.end(i, era, status, asked_ms) == log.ended(i, place, status, asked_ms, cell.now)
        for j in range(len(shares)):
            assert cell.out_ms(j) == max(log.closed[j] - cell.now, 0)
            trial = log.ejected(j) and (log.trying(j) or cell.now >= log.closed[j])
            assert cell.trial(j) == trial
    assert cell.rules[:BEFORE_RULES] + cell.cell[:BEFORE_CELL] + cell.health[:BEFORE_HEALTH] == [-9] * 10


@given(st.integers(2, 9), st.sampled_from([0, 10, 34, 50, 67, 100]), EVENTS)
def test_never_more_than_the_share_of_a_cell_is_ejected(
    count: int, percent: int, events: list[tuple[int, ...]]
) -> None:
    cell = Cell(count, **{**PLAIN, "failures": 1, "percent": percent})
    for step, who, _, which, status, _ in events:
        cell.now += abs(step)
        cell.meets((who + which) % count, status)
        out = [cell.health[cell.rows(i)[0] + H_STANDING] != SOUND for i in range(count)]
        assert sum(out) * 100 <= percent * count


@pytest.mark.parametrize("status", BAD)
def test_five_failures_in_a_row_eject_and_four_do_not(status: int) -> None:
    cell = Cell(2)
    assert cell.meets(0, *[status] * 4, 200, *[status] * 5) == [False] * 9 + [True]
    assert (cell.open(0), cell.out_ms(0), cell.open(1)) == (False, 1_000, True)


def test_each_ejection_is_twice_as_long_as_the_last_up_to_a_minute() -> None:
    cell, lengths = Cell(2), []
    cell.meets(0, *[500] * 5)
    for _ in range(30):
        lengths.append(cell.out_ms(0))
        cell.now += cell.out_ms(0) - 1
        assert not cell.open(0)
        cell.now += 1
        assert cell.open(0)
        assert cell.meets(0, TIMED_OUT) == [True]
    assert lengths == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, *[60_000] * 24]


def test_only_calm_after_it_came_back_makes_earlier_ejections_forgotten() -> None:
    for calm_ms, then_ms in ((299_999, 64_000), (300_000, 1_000)):
        cell = Cell(2, most_ms=10**9)
        cell.meets(0, *[500] * 5)
        for _ in range(5):  # half an hour of failing trials, which is no calm
            cell.now += cell.out_ms(0) + 400_000
            cell.meets(0, 500)
        assert cell.out_ms(0) == 32_000
        cell.now += 32_000
        cell.meets(0, 200)
        cell.now += calm_ms
        cell.meets(0, *[500] * 5)
        assert cell.out_ms(0) == then_ms


def test_on_trial_one_request_goes_there_at_a_time_until_one_succeeds() -> None:
    cell = Cell(2)
    cell.meets(0, *[CUT_OFF] * 5)
    assert not cell.trial(0)
    cell.now += 1_000
    assert cell.trial(0)
    assert cell.open(0)
    era = cell.send(0)
    assert cell.trial(0)
    assert not cell.open(0)
    cell.end(0, era, 404)  # says nothing of the upstream: the next one
    assert cell.trial(0)
    assert cell.open(0)
    era = cell.send(0)
    cell.now += 59_999
    assert not cell.open(0)
    cell.now += 1  # lost, it seems
    assert cell.open(0)
    cell.send(0)
    assert not cell.open(0)
    cell.end(0, era, 200)  # not lost, and late is better than never
    assert cell.open(0)
    assert not cell.trial(0)
    assert cell.meets(0, *[500] * 4) == [False] * 4
    assert cell.meets(0, 500) == [True]


def test_streams_that_break_with_their_replica_eject_it_once_whenever_that_is_noticed() -> None:
    cell = Cell(2)
    eras = [cell.send(0) for _ in range(100)]
    assert [cell.end(0, era, CUT_OFF) for era in eras[:40]] == [False] * 4 + [True] + [False] * 35
    assert cell.out_ms(0) == 1_000
    cell.now += 1_000
    trial = cell.send(0)
    assert not any(cell.end(0, era, TIMED_OUT) for era in eras[40:60])
    assert not any(cell.end(0, era, 200) for era in eras[60:80])
    assert cell.trial(0)  # what began before says nothing of how it is now
    cell.end(0, trial, 200)
    assert not any(cell.end(0, era, TIMED_OUT) for era in eras[80:])
    assert cell.open(0)
    assert cell.health[cell.rows(0)[0] + H_FAILURES] == 0


def test_half_of_three_is_one_and_the_next_is_ejected_when_that_is_back() -> None:
    cell = Cell(3)
    cell.meets(0, *[500] * 5)
    assert cell.meets(1, *[500] * 7) == [False] * 7
    assert cell.open(1)
    cell.now += 1_000
    assert cell.meets(1, 500) == [False]  # the first is on trial, which is not back
    cell.meets(0, 200)
    assert cell.meets(1, 500) == [True]
    assert [cell.open(i) for i in range(3)] == [True, False, True]


def test_a_lone_upstream_is_ejected_and_its_service_is_told_at_once_that_there_is_nobody() -> None:
    cell = Cell(1)
    cell.meets(0, *[REFUSED] * 5)
    assert at_random(cell.cell, BEFORE_CELL, 1, cell.now, 7) == NOBODY
    cell.now += 1_000
    assert at_random(cell.cell, BEFORE_CELL, 1, cell.now, 7) == 0


def test_those_that_take_nothing_anyway_do_not_count_as_others() -> None:
    def hold(cell: Cell, *held: int) -> None:
        for i in held:
            cell.cell[cell.rows(i)[1] + R_SHARE] = 0

    cell = Cell(3, percent=10)
    hold(cell, 1, 2)
    assert cell.meets(0, *[500] * 5)[-1]  # the only one that serves
    cell = Cell(4)
    hold(cell, 2, 3)
    cell.meets(0, *[500] * 5)
    assert not cell.meets(1, *[500] * 5)[-1]  # the other of two
    cell = Cell(3)
    cell.meets(2, *[500] * 5)
    hold(cell, 2)
    assert cell.meets(0, *[500] * 5)[-1]  # one of two: whoever is out and held is not missed


@pytest.mark.parametrize("status", THEIRS)
def test_mistakes_of_clients_are_no_failures_and_no_successes(status: int) -> None:
    cell = Cell(2)
    assert not any(cell.meets(0, *[status] * 50))
    assert cell.open(0)
    assert cell.meets(0, *[500] * 4, status, 500)[-1]


@pytest.mark.parametrize("status", FULL)
def test_one_that_is_full_is_left_alone_for_longer_each_time_and_never_ejected(status: int) -> None:
    cell, pauses = Cell(1), []
    for _ in range(9):
        assert cell.meets(0, *[status] * 20) == [False] * 20  # many are told so at once
        pauses.append(cell.out_ms(0))
        cell.now += cell.out_ms(0)
    assert pauses == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
    assert not cell.trial(0)
    cell.meets(0, 200, status)
    assert cell.out_ms(0) == 1_000


def test_one_that_is_full_says_how_long_and_is_believed_within_bounds() -> None:
    for asked_ms, given_ms in ((1, 1), (7_000, 7_000), (60_001, 60_000), (5 * 3_600_000, 60_000), (0, 1_000)):
        cell = Cell(1)
        cell.end(0, cell.send(0), 429, asked_ms)
        assert cell.out_ms(0) == given_ms
    cell.end(0, cell.send(0), 429, 9_000)  # another one is told more, then less
    cell.end(0, cell.send(0), 429, 3_000)
    assert cell.out_ms(0) == 9_000


def test_what_had_begun_before_a_pause_does_not_end_it() -> None:
    cell = Cell(1)
    era = cell.send(0)
    cell.meets(0, 429)
    cell.end(0, era, 200)
    cell.end(0, era, GIVEN_UP)
    assert cell.out_ms(0) == 1_000
    cell.now += 1_000
    cell.meets(0, 429)
    assert cell.out_ms(0) == 2_000


def test_a_trial_that_finds_it_full_is_repeated_after_the_pause() -> None:
    cell = Cell(2)
    cell.meets(0, *[500] * 5)
    cell.now += 1_000
    cell.end(0, cell.send(0), 529, 3_000)
    assert cell.out_ms(0) == 3_000
    cell.now += 3_000
    assert cell.trial(0)
    assert cell.open(0)


def test_a_pause_that_is_longer_than_the_ejection_holds() -> None:
    cell = Cell(2)
    eras = [cell.send(0) for _ in range(5)]
    cell.end(0, cell.send(0), 429, 30_000)
    assert [cell.end(0, era, CUT_OFF) for era in eras][-1]
    assert cell.out_ms(0) == 30_000


def test_a_replica_that_is_broken_for_an_hour_costs_few_requests_and_is_back_within_a_minute() -> None:
    cell, met, back_after = Cell(8), 0, -1
    for n in range(4_000_000 // 100):  # ten requests a second
        cell.now = NOW_MS + n * 100
        i = at_random(cell.cell, BEFORE_CELL, 8, cell.now, (n * 0x9E3779B97F4A7C15) >> 2 & (2**62 - 1))
        broken = i == 3 and n < 36_000
        met += broken
        if i == 3 and not broken and back_after < 0:
            back_after = n - 36_000
        cell.meets(i, 500 if broken else 200)
    assert 60 < met < 5 + 6 + 61  # five, then once after 1, 2, 4, ... and every 60 seconds
    assert 0 <= back_after <= 610


def drive(ops, fields, rules, cell, at, count, health, running, out):
    """Requests go where the draw says, sound or not, and end later; `out` gets what each ending did."""
    now = 1_000_000
    for n in range(len(out)):
        o = n * fields
        now += ops[o]
        slot = ops[o + 1] % (len(running) // 3) * 3
        if running[slot] > 0:
            i = running[slot] - 1
            ejects = note_outcome(
                health, 0, rules, 0, cell, at, count, i, running[slot + 1], ops[o + 2], ops[o + 3], now
            )
            out[n] = 2 if ejects else 1
            running[slot] = 0
        i = at_random(cell, at, count, now, ops[o + 4])
        if i >= 0:
            k = i * HEALTH_FIELDS
            r = at + i * REPLICA_FIELDS
            if on_trial(health, k, cell, r, now):
                out[n] += 10
            running[slot + 1] = note_tried(health, k, rules, 0, cell, r, now)
            running[slot] = i + 1


def test_the_same_compiled() -> None:
    rng = np.random.default_rng(5)
    count, asked = 7, 20_000
    ops = np.zeros((asked, 5), np.int64)
    ops[:, 0] = rng.exponential(60, asked)
    ops[:, 1] = rng.integers(0, 40, asked)
    ops[:, 2] = rng.choice([200, 404, 429, 500, CUT_OFF, GIVEN_UP], asked, p=[0.3, 0.05, 0.15, 0.25, 0.2, 0.05])
    ops[:, 3] = rng.choice([0, 500, 10**7], asked, p=[0.5, 0.49, 0.01])
    ops[:, 4] = rng.integers(0, 2**62, asked)
    left = []
    for function, make in ((drive, list), (compiled(drive).drive, lambda row: np.array(row, np.int64))):
        rules = make(health_rules(failures=2, base_ms=300, most_ms=5_000, full_most_ms=5_000))
        cell, health = make(replica_rows(range(count), 1000)), make([0] * (count * HEALTH_FIELDS))
        running, out = make([0] * 120), make([0] * asked)
        function(make(ops.ravel().tolist()), 5, rules, cell, 0, count, health, running, out)
        left.append(tuple(np.array(row, np.int64) for row in (cell, health, running, out)))
    for one, other in zip(*left, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.unique(left[0][3]).tolist() == [0, 1, 2, 10, 11, 12]
    assert (left[0][3] % 10 == 2).sum() > 300


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 2**40, 2**43]), st.integers(0, 1), STATUSES, st.sampled_from([-(2**62), 0, 2**62])
        ),
        max_size=60,
    ),
    st.sampled_from([1, OUT_MOST_MS]),
    st.sampled_from([1, OUT_MOST_MS]),
)
def test_no_number_passes_63_bits_at_the_longest_times(
    watched: Any, told: list[tuple[int, ...]], base: int, full: int
) -> None:
    rules = [watched(n) for n in health_rules(1, base, OUT_MOST_MS, OUT_MOST_MS, OUT_MOST_MS, 100, full, OUT_MOST_MS)]
    cell, health = [watched(n) for n in replica_rows(range(2), 1)], [watched(0)] * (2 * HEALTH_FIELDS)
    for now, i, status, asked in told:
        k, r, now_ms = i * HEALTH_FIELDS, i * REPLICA_FIELDS, watched(now)
        era = note_tried(health, k, rules, 0, cell, r, now_ms)
        note_outcome(health, watched(0), rules, 0, cell, watched(0), 2, i, era, status, watched(asked), now_ms)
        assert all(0 <= n < 2**62 for n in cell + health)


def test_forty_ejections_and_forty_pauses_in_a_row_stay_within_bounds(watched: Any) -> None:
    cell = Cell(2, failures=1, base_ms=OUT_MOST_MS, most_ms=OUT_MOST_MS, full_ms=OUT_MOST_MS, full_most_ms=OUT_MOST_MS)
    cell.rules = [watched(n) for n in cell.rules]
    for status in (500, 429):
        for _ in range(40):
            cell.meets(0, status)
            assert cell.out_ms(0) == OUT_MOST_MS
            cell.now += OUT_MOST_MS
    assert cell.health[cell.rows(0)[0] + H_ERA] == 40


def test_every_mistake_in_the_rules_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"(?s)failures is 0.*base_ms is 9.*percent is 101.*full_most_ms is 0") as told:
        health_rules(failures=0, base_ms=9, most_ms=8, percent=101, full_most_ms=0)
    assert "calm_ms" not in str(told.value)
    assert health_rules() == health_rules(**PLAIN) == list(PLAIN.values())
    assert health_rules(FAILURES_MOST, OUT_MOST_MS, OUT_MOST_MS)[1] == OUT_MOST_MS
