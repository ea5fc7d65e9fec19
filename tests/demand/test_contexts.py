"""Contexts of many sessions: all together in numpy, or each by itself, compiled, they are the same to the token."""

from __future__ import annotations

import sys
from dataclasses import fields

import numpy as np
import pytest

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.sessions import UNLIMITED, Steps, generate


def drawn(monkeypatch: pytest.MonkeyPatch, window_tokens: float, steps_most: int | None, compiled: bool) -> Steps:
    with monkeypatch.context() as m:
        if not compiled:
            m.delitem(sys.modules, "numba", raising=False)
        return generate(packaged_model(), 7, np.arange(3, 900, 3), window_tokens, steps_most)


@pytest.mark.parametrize("window_tokens", [8_192.0, 131_072.0, 250_000.0, UNLIMITED])
@pytest.mark.parametrize("steps_most", [None, 1, 100])
def test_a_compiled_walk_gives_what_all_sessions_together_give(
    monkeypatch: pytest.MonkeyPatch, window_tokens: float, steps_most: int | None
) -> None:
    import numba  # noqa: F401

    one = drawn(monkeypatch, window_tokens, steps_most, compiled=True)
    other = drawn(monkeypatch, window_tokens, steps_most, compiled=False)
    assert len(one.session) >= 299
    for f in fields(Steps):
        assert (getattr(one, f.name) == getattr(other, f.name)).all(), f.name


def test_contexts_are_cut_and_compacted_in_what_is_compared() -> None:
    """Both kinds of drops are there: beyond the limit of a window, and within it."""
    s = generate(packaged_model(), 7, np.arange(3, 900, 3), 131_072.0)
    before, after = s.input_tokens[:-1], s.input_tokens[1:]
    drops = (s.step[1:] > 0) & (s.agent[1:] == 0) & (after < before)
    assert (drops & (before > 90_000)).sum() > 50
    assert (drops & (before < 60_000)).sum() >= 10
