"""Random numbers that depend on their key alone."""

from __future__ import annotations

import itertools
import subprocess
import sys
from math import sqrt

from hypothesis import given
from hypothesis import strategies as st

from ampacity.base.streams import bits, normal, uniform, word

KEYS = st.lists(st.one_of(st.integers(0, 2**64 - 1), st.text(max_size=8)), max_size=4).map(tuple)
COUNT = 20_000


def test_the_mixer_is_the_one_that_published_results_were_drawn_with() -> None:
    assert bits(1) == 0x910A2DEC89025CC1
    assert bits(1, "tiers.developers", 7) == 0x158EF7646F8E4F0A
    assert bits(2026, "site", "here", 0) == 0x00B904C5B75F17C9


def test_text_enters_by_its_blake2b() -> None:
    assert word("memphis") == 0xB010DE7740CE4A54
    assert word(-1) == 2**64 - 1


def test_another_process_draws_the_same_numbers() -> None:
    program = "from ampacity.base.streams import bits; print(bits(1, 'a', 2, 'b'))"
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert int(there) == bits(1, "a", 2, "b")


def test_the_order_of_drawing_does_not_matter() -> None:
    forward = [uniform(1, "user", i) for i in range(100)]
    backward = [uniform(1, "user", i) for i in reversed(range(100))]
    assert forward == backward[::-1]


@given(st.integers(0, 2**64 - 1), KEYS, KEYS)
def test_keys_that_differ_give_different_numbers(
    seed: int, one: tuple[int | str, ...], other: tuple[int | str, ...]
) -> None:
    assert (bits(seed, *one) == bits(seed, *other)) == (one == other)


def test_neighbouring_seeds_indices_and_swapped_parts_give_different_numbers() -> None:
    drawn = {bits(seed, a, b) for seed in range(20) for a in range(20) for b in range(20)}
    assert len(drawn) == 20**3


def test_a_number_and_its_digits_are_different_keys() -> None:
    assert bits(1, 1) != bits(1, "1")
    assert bits(1, "ab") != bits(1, "a", "b")


@given(st.integers(), KEYS)
def test_a_uniform_number_lies_strictly_between_zero_and_one(seed: int, key: tuple[int | str, ...]) -> None:
    assert 0 < uniform(seed, *key) < 1


def test_uniform_numbers_fill_a_hundred_bins_evenly() -> None:
    bins = [0] * 100
    for i in range(COUNT):
        bins[int(uniform(42, "chi", i) * 100)] += 1
    chi_square = sum((n - COUNT / 100) ** 2 / (COUNT / 100) for n in bins)
    assert 45 < chi_square < 170  # 99 degrees of freedom: outside with a chance below 1e-5


def test_every_single_bit_is_a_fair_coin() -> None:
    ones = [0] * 64
    for i in range(COUNT):
        drawn = bits(42, "coin", i)
        for b in range(64):
            ones[b] += drawn >> b & 1
    assert all(abs(n - COUNT / 2) < 5 * sqrt(COUNT / 4) for n in ones)


def test_consecutive_numbers_are_not_correlated() -> None:
    x = [uniform(42, i) - 0.5 for i in range(COUNT)]
    assert abs(sum(a * b for a, b in itertools.pairwise(x)) / COUNT) < 5 / 12 / sqrt(COUNT)


def test_normal_numbers_have_the_moments_of_a_normal_distribution() -> None:
    x = [normal(42, "moments", i) for i in range(COUNT)]
    first, second, third, fourth = (sum(v**k for v in x) / COUNT for k in (1, 2, 3, 4))
    assert abs(first) < 5 / sqrt(COUNT)
    assert abs(second - 1) < 5 * sqrt(2 / COUNT)
    assert abs(third) < 5 * sqrt(15 / COUNT)
    assert abs(fourth - 3) < 5 * sqrt(96 / COUNT)
