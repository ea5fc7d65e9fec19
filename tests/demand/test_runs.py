"""Walks over short stretches, compiled and in numpy: the same bytes, whichever comes to hand."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.runs import running_most, running_sums

RNG = np.random.default_rng(7)


def both(monkeypatch: pytest.MonkeyPatch, find: Callable[[], np.ndarray]) -> tuple[bytes, bytes]:
    """What is found with a compiler loaded, and without one."""
    import numba  # noqa: F401

    compiled = find()
    with monkeypatch.context() as without:
        without.delitem(sys.modules, "numba")
        return compiled.tobytes(), find().tobytes()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 1.0])
@pytest.mark.parametrize("walk", [running_sums, running_most])
def test_stretches_are_walked_alike_compiled_and_not(
    walk: Callable[..., np.ndarray], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = RNG.standard_normal(5000) * 10.0 ** RNG.integers(-9, 9, 5000)
    begins = np.append(True, RNG.random(4999) < share)
    one, other = both(monkeypatch, lambda: walk(values, begins))
    assert one == other


def test_values_are_read_off_a_law_alike_compiled_and_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside its grid, on it, beyond both its ends, and where there is no number."""
    model = packaged_model()
    for law in (model.output, model.growth, model.tool_gap, model.fresh.steps, model.first_turn):
        grid = law._scores[0]
        z = np.concatenate([RNG.standard_normal(20_000), grid, [np.nan, -60.0, 60.0], np.nextafter(grid, 99.0)])
        one, other = both(monkeypatch, lambda law=law, z=z: law.at(z))
        assert one == other
