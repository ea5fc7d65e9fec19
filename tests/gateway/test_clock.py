"""The deciding clock never steps, whatever the machine's clock does, and follows it slowly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ampacity.gateway.clock import FOLLOWS, MS, Clock

NOW = 1_790_000_000_000  # some day in 2026 [ms]


class Times:
    """Two clocks of a machine. [ns]"""

    def __init__(self) -> None:
        self.monotonic, self.wall = 5 * MS, NOW * MS

    def passes(self, ms: float, wall_ms: float | None = None) -> None:
        self.monotonic += int(ms * MS)
        self.wall += int((ms if wall_ms is None else wall_ms) * MS)

    def clock(self, not_before_ms: int = 0) -> Clock:
        return Clock(lambda: self.monotonic, lambda: self.wall, not_before_ms)


def test_it_begins_with_the_wall_clock_and_runs_by_the_monotonic_one() -> None:
    times = Times()
    clock = times.clock()
    assert clock() == NOW
    times.passes(1234, wall_ms=-99_999)
    assert clock() == NOW + 1234


def test_it_never_begins_before_what_a_journal_knows() -> None:
    assert Times().clock(NOW + 7777)() == NOW + 7777
    assert Times().clock(NOW - 7777)() == NOW


def test_a_wall_clock_that_steps_an_hour_ahead_is_followed_by_a_hundredth() -> None:
    times = Times()
    clock = times.clock()
    times.wall += 3_600_000 * MS
    for _ in range(100):
        times.passes(100)
        assert clock.follow() > 3_000_000
    assert clock() == NOW + 10_000 + 10_000 // FOLLOWS


def test_it_arrives_and_stays() -> None:
    times = Times()
    clock = times.clock()
    times.wall += 50 * MS
    for _ in range(200):
        times.passes(100)
        clock.follow()
    assert clock() == times.wall // MS
    assert clock.follow() == 0


@given(st.lists(st.tuples(st.floats(0, 5000), st.floats(-(10**7), 10**7)), max_size=50))
def test_it_never_goes_back_and_never_runs_faster_than_it_may(steps: list[tuple[float, float]]) -> None:
    times = Times()
    clock = times.clock()
    before = clock()
    for ms, wall_ms in steps:
        times.passes(ms, wall_ms)
        clock.follow()
        now = clock()
        assert ms * (1 - 1 / FOLLOWS) - 2 <= now - before <= ms * (1 + 1 / FOLLOWS) + 2
        assert now >= before
        before = now
