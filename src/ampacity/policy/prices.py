"""What a request costs: tokens by kind and weight, more at peak hours; and what it is expected to cost beforehand.

The expectation is a quantile of the subscriber's own recent requests, followed by one integer a price: it is raised
after a request that cost more, lowered after one that cost less, by steps whose ratio is the odds of the quantile. At
0.9 it rises by nine steps or falls by one, so it rests where one request in ten costs more. Steps are proportional to
the estimate, coarse at first and then 1/16: about 140 requests are remembered, whatever their distribution (stochastic
approximation: Robbins and Monro 1951; on logarithms, so that one step serves cheap and dear requests alike).

`book` at `r` is a price, `state` at `k` its history: the estimate, and how many requests it has seen.
"""

from __future__ import annotations

from ampacity.policy.book import (
    CAP,
    LEARNS,
    PEAK_TIMES,
    PEAKS,
    PEAKS_END,
    PRIOR,
    QUANTILE,
    W_IN_FLIGHT,
    W_INPUT_LEAST,
    W_INPUT_MOST,
    W_OUTPUT,
    W_READ,
    W_REQUEST,
    W_UNCACHED,
    W_WRITE,
    Flat,
    Row,
)
from ampacity.policy.instants import first_later
from ampacity.policy.rows import COST_MOST, SCALE

TOKEN_BITS = 36
TOKENS_MOST = (1 << TOKEN_BITS) - 1  # of one kind in one request; 4 x 2^36 x WEIGHT_MOST < 2^63
GAIN_UNIT = 1 << 10
GAIN_FALLS = 1 << 13
SEEN_FIRST = 8  # the prior weighs as much as so many requests
SEEN_MOST = 120  # from then on a step is GAIN_FALLS / GAIN_UNIT / (8 + 120) = 1/16


def bounded(tokens: int) -> int:
    """Tokens of one kind in one request, cut to 0 to TOKENS_MOST."""
    if tokens > TOKENS_MOST:
        return TOKENS_MOST
    return tokens if tokens > 0 else 0


def cost_of(book: Flat, r: int, uncached: int, write: int, read: int, output: int) -> int:
    """What a request of tokens within `bounded` has cost, off peak. [weighted token / SCALE], at most COST_MOST."""
    cost = (
        uncached * book[r + W_UNCACHED]
        + write * book[r + W_WRITE]
        + read * book[r + W_READ]
        + output * book[r + W_OUTPUT]
        + book[r + W_REQUEST]
    )
    return cost if cost < COST_MOST else COST_MOST


def peak_times(book: Flat, r: int, now_ms: int) -> int:
    """How many times a request that begins now counts. [1 / SCALE]"""
    begin = book[r + PEAKS]
    return book[r + PEAK_TIMES] if (first_later(book, begin, book[r + PEAKS_END], now_ms) - begin) % 2 == 1 else SCALE


def at_peak(cost: int, book: Flat, r: int, now_ms: int) -> int:
    """A cost by the multiplier of the hour, rounded up, at most COST_MOST."""
    cost = (cost * peak_times(book, r, now_ms) + SCALE - 1) // SCALE
    return cost if cost < COST_MOST else COST_MOST


def expected(state: Row, k: int, book: Flat, r: int, now_ms: int, input_tokens: int, output_most: int) -> int:
    """What to reserve for a request of so much input that may write at most so much output. At least 1.

    The estimate, but not more than the request can cost, nor than a quarter of the smallest window (so that somebody
    whose requests are not known yet can use it, and is learned from), nor less than what its input costs at least.
    """
    cost = book[r + W_IN_FLIGHT] + book[r + W_REQUEST]
    if book[r + LEARNS] == 0:
        return cost if book[r + PEAK_TIMES] == SCALE else at_peak(cost, book, r, now_ms)
    least = cost + input_tokens * book[r + W_INPUT_LEAST]
    most = cost + input_tokens * book[r + W_INPUT_MOST] + output_most * book[r + W_OUTPUT]
    cost = state[k] if state[k] > 0 else book[r + PRIOR]
    if cost > most:
        cost = most
    if book[r + PEAK_TIMES] != SCALE:
        cost = at_peak(cost, book, r, now_ms)
        least = at_peak(least if least < COST_MOST else COST_MOST, book, r, now_ms)
    if cost > book[r + CAP]:
        cost = book[r + CAP]
    if cost < least:
        cost = least if least < COST_MOST else COST_MOST
    return cost if cost > 0 else 1


def learn(state: Row, k: int, book: Flat, r: int, cost: int) -> None:
    """Follow the quantile of what requests cost by one more of them, off peak."""
    seen = state[k + 1]
    estimate = state[k] if state[k] > 0 else book[r + PRIOR]
    step = estimate * (GAIN_FALLS // (SEEN_FIRST + seen)) // GAIN_UNIT
    if cost > estimate:
        estimate += step * book[r + QUANTILE] // 1000 + 1
        if estimate > COST_MOST:
            estimate = COST_MOST
    elif cost < estimate:
        estimate -= step * (1000 - book[r + QUANTILE]) // 1000
    state[k] = estimate if estimate > 0 else 1
    if seen < SEEN_MOST:
        state[k + 1] = seen + 1
