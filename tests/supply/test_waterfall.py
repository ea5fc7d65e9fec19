"""Every accelerator-second is booked exactly once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from ampacity.supply.waterfall import HOUR_MS, MEANING, STAGES, book, ratios_of

HOURS = 24
counts = some.arrays(np.float64, HOURS, elements=st.floats(0, 1e6))
shares = some.arrays(np.float64, HOURS, elements=st.floats(0, 1))


@st.composite
def ratios(draw: st.DrawFn) -> dict[str, object]:
    return {stage: draw(st.one_of(shares, st.floats(0, 1))) for stage in STAGES[1:]}


@given(counts, ratios())
def test_what_is_lost_and_what_is_useful_are_what_was_contracted_exactly(
    contracted: np.ndarray, at: dict[str, object]
) -> None:
    booking = book("p", contracted, at)
    assert sum(booking.losses.values()) + booking.totals["useful"] == booking.totals["contracted"]
    assert all(isinstance(n, int) and n >= 0 for n in (*booking.losses.values(), *booking.totals.values()))
    assert booking.totals["contracted"] == sum(round(c * HOUR_MS) for c in contracted.tolist())


@given(counts, ratios())
def test_no_stage_exceeds_the_one_before_in_any_hour(contracted: np.ndarray, at: dict[str, object]) -> None:
    amounts = book("p", contracted, at).amounts
    assert amounts.dtype == np.int64
    assert np.all(amounts[1:] <= amounts[:-1])


@given(counts, ratios())
def test_the_product_of_the_stages_is_useful_over_contracted(contracted: np.ndarray, at: dict[str, object]) -> None:
    totals = book("p", contracted, at).totals
    found = ratios_of(totals)
    if totals["contracted"]:
        assert np.prod(list(found.values())) == pytest.approx(totals["useful"] / totals["contracted"])


@given(counts, st.integers(1, 7), st.floats(0.1, 0.9))
def test_a_loss_is_booked_at_the_stage_that_lost_it(contracted: np.ndarray, at: int, ratio: float) -> None:
    full = dict.fromkeys(STAGES[1:], 1.0)
    booking = book("p", contracted, {**full, STAGES[at]: ratio})
    lost = {stage for stage, amount in booking.losses.items() if amount}
    assert lost <= {STAGES[at]}
    expected = booking.totals["contracted"] * (1 - ratio)
    assert booking.losses[STAGES[at]] == pytest.approx(expected, abs=HOURS)


@pytest.mark.parametrize("wrong", [-1e-9, 1 + 1e-9, float("nan"), float("inf")])
@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_ratio_that_is_no_share_is_refused_by_its_name(stage: str, wrong: float) -> None:
    at = {**dict.fromkeys(STAGES[1:], 1.0), stage: np.array([0.5, wrong])}
    with pytest.raises(ValueError, match=f"colossus: the ratio of {stage} is not between 0 and 1"):
        book("colossus", np.ones(2), at)


def test_a_year_of_220_000_accelerators_does_not_overflow() -> None:
    booking = book("colossus", np.full(8760, 220_000.0), dict.fromkeys(STAGES[1:], 1.0))
    assert booking.totals["useful"] == 220_000 * 8760 * HOUR_MS
    assert booking.totals["contracted"] < 2**63 // 1000


def test_whole_ratios_lose_nothing_to_rounding() -> None:
    booking = book("p", np.full(100, 1 / 3), dict.fromkeys(STAGES[1:], 1.0))
    assert booking.totals["useful"] == booking.totals["contracted"]


def test_where_nothing_is_left_to_lose_a_ratio_is_one() -> None:
    totals = book("p", np.zeros(5), dict.fromkeys(STAGES[1:], 0.5)).totals
    assert ratios_of(totals) == dict.fromkeys(STAGES[1:], 1.0)


def test_every_stage_says_what_it_means() -> None:
    assert tuple(MEANING) == STAGES
