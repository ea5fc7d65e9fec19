"""What is reserved follows what a subscriber's requests have cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.policy import limits, rows
from ampacity.policy.book import HELD_FIELDS, PRICES, STATE_FIELDS, Book, compile_book
from ampacity.policy.prices import expected, learn, peak_times
from ampacity.policy.rows import UNLIMITED, Price, WindowRule

PLAIN = Price()


def book_of(price: Price = PLAIN, quantile: int = 900, size: int = UNLIMITED) -> tuple[Book, int]:
    book = compile_book({"l": [WindowRule("w", size, rows.AT_FIRST_USE, 1, price)]}, quantile=quantile)
    return book, book.limit("l") + PRICES


def followed(costs: np.ndarray, quantile: int = 900) -> np.ndarray:
    """The estimate before each of the costs. [token]"""
    book, r = book_of(quantile=quantile)
    history, estimates = [0] * STATE_FIELDS, []
    for cost in costs:
        estimates.append(expected(history, 0, book.flat, r, 1, 0, 2**36 - 1))
        learn(history, 0, book.flat, r, int(cost * 1000))
    return np.array(estimates) / 1000


@pytest.mark.parametrize("quantile", [500, 900, 990])
@pytest.mark.parametrize("sigma", [0.4, 1.5])
def test_as_many_requests_cost_more_as_the_quantile_says(quantile: int, sigma: float) -> None:
    costs = np.random.default_rng(3).lognormal(9, sigma, 12_000)
    over = np.mean(costs[2000:] > followed(costs, quantile)[2000:])
    assert over == pytest.approx(1 - quantile / 1000, abs=0.01)


def test_an_expensive_subscriber_is_known_after_some_dozens_of_requests() -> None:
    costs = np.random.default_rng(4).lognormal(13.5, 1, 60)  # median 730,000 tokens
    estimates = followed(costs)
    assert estimates[0] == 409_200  # the prior: 8,000 fresh, 400,000 read, 1,200 written
    assert np.quantile(costs, 0.9) / 2.5 < np.median(estimates[30:]) < np.quantile(costs, 0.9) * 2.5


def test_the_estimate_follows_a_subscriber_who_changes() -> None:
    rng = np.random.default_rng(5)
    costs = np.concatenate([rng.lognormal(12, 1, 2000), rng.lognormal(8, 1, 3000)])
    late = followed(costs)[-1000:]
    assert np.mean(costs[-1000:] > late) == pytest.approx(0.1, abs=0.03)


def test_heavy_tails_and_two_kinds_of_request_need_no_other_rule() -> None:
    rng = np.random.default_rng(6)
    costs = np.where(rng.random(12_000) < 0.7, rng.lognormal(6, 0.3, 12_000), 1e5 * (1 + rng.pareto(1.2, 12_000)))
    over = np.mean(costs[2000:] > followed(costs)[2000:])
    assert over == pytest.approx(0.1, abs=0.02)


@given(st.integers(0, 2**36), st.integers(0, 2**36))
def test_never_less_than_the_input_costs_at_least_nor_more_than_the_request_can(tokens: int, output: int) -> None:
    book, r = book_of(Price(1000, 1250, 100, 5000))
    found = expected([0] * STATE_FIELDS, 0, book.flat, r, 1, tokens, output)
    assert max(min(tokens * 100, 2**46), 1) <= found <= max(tokens * 1250 + output * 5000, 1)


def test_a_first_request_takes_a_quarter_of_a_small_window_unless_its_input_is_known_to_take_more() -> None:
    book, r = book_of(Price(1000, 1250, 100, 5000), size=70_000)
    assert expected([0] * STATE_FIELDS, 0, book.flat, r, 1, 50, 32_000) == 17_500
    assert expected([0] * STATE_FIELDS, 0, book.flat, r, 1, 10_000, 32_000) == 1_000_000


def test_peak_hours_are_half_open() -> None:
    book, r = book_of(Price(peak_times=1580, peaks_ms=(100, 200, 300, 400)))
    found = [peak_times(book.flat, r, ms) for ms in (1, 99, 100, 199, 200, 299, 300, 399, 400, 10**12)]
    assert found == [1000, 1000, 1580, 1580, 1000, 1000, 1580, 1580, 1000, 1000]


@pytest.mark.parametrize(("size", "cost"), [(20_000, 69), (20_000, 1_000), (5_000, 39), (300_000, 2_000)])
def test_a_small_window_can_be_used_by_somebody_who_is_not_known(size: int, cost: int) -> None:
    """One after another, of requests that may write 32,000 tokens and write few, until one is refused."""
    book = compile_book({"l": [WindowRule("w", size * 1000, rows.AT_FIRST_USE, 1, Price(1000, 1250, 100, 5000))]})
    state, used = [0] * STATE_FIELDS, 0
    while True:
        held = [0] * HELD_FIELDS
        limits.hold(state, 0, book.flat, book.limit("l"), book.plan("l"), held, 0, 0, 9, 20, 32_000)
        if limits.reserve(state, book.flat, held, 0, 1, 0, 0):
            break
        limits.settle(state, book.flat, held, 0, 0, cost - 5 * (cost // 10), 0, 0, cost // 10)
        used += cost
    assert 0.9 < used / size <= 1
