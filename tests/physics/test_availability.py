"""Nodes that fail and come back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.physics.availability import node_availability, nodes_of


def test_a_node_that_fails_once_in_99_hours_and_takes_one_to_restore_serves_99_percent() -> None:
    assert node_availability(1 / (99 * 3600), 3600) == pytest.approx(0.99)


@given(st.floats(0, 1e-3), st.floats(0, 1e6))
def test_availability_is_a_share(rate: float, restore_s: float) -> None:
    assert 0 < node_availability(rate, restore_s) <= 1


def test_what_never_fails_or_is_back_at_once_always_serves() -> None:
    assert node_availability(0.0, 3600) == 1.0
    assert node_availability(1e-3, 0.0) == 1.0


def test_availability_is_what_a_renewal_process_of_failures_and_repairs_shows() -> None:
    rng = np.random.default_rng(11)
    up, down = rng.exponential(30 * 3600.0, 200_000), rng.exponential(5 * 3600.0, 200_000)
    assert node_availability(1 / (30 * 3600), 5 * 3600) == pytest.approx(up.sum() / (up.sum() + down.sum()), abs=2e-3)


@pytest.mark.parametrize(("accelerators", "nodes"), [(0, 1), (1, 1), (8, 1), (9, 2), (16, 2), (72, 9)])
def test_eight_accelerators_are_a_node(accelerators: int, nodes: int) -> None:
    assert nodes_of(accelerators) == nodes
