"""Keyed draws for arrays are the scalar ones, bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ampacity.base import streams
from ampacity.demand import draws

INTS = st.integers(-(2**63), 2**63 - 1)


@given(st.integers(), st.text(max_size=5), st.lists(INTS, min_size=1, max_size=9), INTS)
def test_every_entry_is_the_scalar_draw_of_its_key(seed: int, purpose: str, entities: list[int], step: int) -> None:
    drawn = draws.bits(seed, purpose, np.array(entities), step)
    assert drawn.tolist() == [streams.bits(seed, purpose, e, step) for e in entities]
    uniform = draws.uniform(seed, purpose, np.array(entities), step)
    assert uniform.tolist() == [streams.uniform(seed, purpose, e, step) for e in entities]


def test_a_key_of_plain_parts_is_the_scalar_draw() -> None:
    assert int(draws.bits(7, "swing", 3)) == streams.bits(7, "swing", 3)


def test_a_state_may_be_kept_and_carried_on() -> None:
    entity, step = np.arange(5), np.arange(5) * 3
    assert (draws.then(draws.bits(1, "a", entity), step) == draws.bits(1, "a", entity, step)).all()


def test_arrays_of_a_key_broadcast() -> None:
    drawn = draws.bits(1, np.arange(3)[:, None], np.arange(4)[None, :])
    assert drawn.shape == (3, 4)
    assert int(drawn[2, 3]) == streams.bits(1, 2, 3)


def test_long_arrays_are_mixed_in_blocks_that_leave_no_trace() -> None:
    n = 2 * draws.BLOCK + 17
    whole = draws.bits(1, "x", np.arange(n))
    for i in (0, draws.BLOCK - 1, draws.BLOCK, n - 1):
        assert int(whole[i]) == streams.bits(1, "x", i)


def test_an_input_array_is_left_as_it_was() -> None:
    entity = np.arange(100, dtype=np.uint64)
    draws.bits(1, entity)
    assert (entity == np.arange(100)).all()


def test_normal_draws_have_the_moments_of_a_normal_law() -> None:
    z = draws.normal(3, "z", np.arange(200_000))
    assert abs(z.mean()) < 5 / np.sqrt(len(z))
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / len(z))
