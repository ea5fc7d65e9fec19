"""Demand does not depend on how the drawing of it is cut: same seed, same bytes."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.chat import chat_arrivals, chat_law
from ampacity.demand.clients import arrivals, client_law, client_windows
from ampacity.demand.open_loop import Rows, all_rows
from ampacity.demand.population import Population, Region, session_starts, swing
from ampacity.demand.sessions import Steps, generate

SESSIONS, WINDOWS = 60, 12
PEOPLE = Population(
    20_000, 9.8, 1.0, (Region("east", 0.6, "America/New_York"), Region("world", 0.4, "UTC", "global")), 0.05
)


def cuts(most: int) -> st.SearchStrategy[list[int]]:
    return st.sets(st.integers(1, most - 1)).map(lambda inner: [0, *sorted(inner), most])


@cache
def whole_sessions() -> Steps:
    return generate(packaged_model(), 3, np.arange(SESSIONS))


def steps_bytes(parts: list[Steps]) -> bytes:
    return b"".join(np.concatenate([getattr(p, f.name) for p in parts]).tobytes() for f in fields(Steps))


@settings(max_examples=15)
@given(cuts(SESSIONS))
def test_sessions(edges: list[int]) -> None:
    parts = [generate(packaged_model(), 3, np.arange(a, b)) for a, b in pairwise(edges)]
    assert steps_bytes(parts) == steps_bytes([whole_sessions()])


def test_sessions_in_any_order() -> None:
    backward = generate(packaged_model(), 3, np.arange(SESSIONS)[::-1])
    assert steps_bytes([backward]) == steps_bytes([whole_sessions()])


def test_another_seed_is_another_week() -> None:
    assert steps_bytes([generate(packaged_model(), 4, np.arange(SESSIONS))]) != steps_bytes([whole_sessions()])


def rows_bytes(parts: list[Rows]) -> bytes:
    return b"".join(np.concatenate([getattr(p, f.name) for p in parts]).tobytes() for f in fields(Rows))


@settings(max_examples=15)
@given(cuts(WINDOWS))
def test_open_loop_rows(edges: list[int]) -> None:
    rates = np.linspace(5.0, 80.0, WINDOWS)
    law = chat_law()
    whole = list(all_rows(law, 1, rates, 60.0, 1000, 1.0))
    parts = [r for a, b in pairwise(edges) for r in all_rows(law, 1, rates[a:b], 60.0, 1000, 1.0, a)]
    assert rows_bytes(parts) == rows_bytes(whole)


@settings(max_examples=15)
@given(cuts(WINDOWS))
def test_session_starts_of_a_population(edges: list[int]) -> None:
    whole = session_starts(PEOPLE, 1, 1_777_000_000, (0, WINDOWS), 1.0)
    for a, b in pairwise(edges):
        part = session_starts(PEOPLE, 1, 1_777_000_000, (a, b), 1.0)
        mine = whole.filter((whole["t_s"] >= a * 600) & (whole["t_s"] < b * 600))
        assert part.equals(mine)


@settings(max_examples=10)
@given(cuts(WINDOWS))
def test_api_clients(edges: list[int]) -> None:
    law = client_law("m-large")
    whole = client_windows(law, 1, 20, 5.0, (0, WINDOWS))
    entry, t = arrivals(whole, 1)
    for a, b in pairwise(edges):
        part = client_windows(law, 1, 20, 5.0, (a, b))
        mine = (whole.window >= a) & (whole.window < b)
        for f in fields(part):
            assert (getattr(part, f.name) == getattr(whole, f.name)[mine]).all(), f.name
        assert (arrivals(part, 1)[1] == t[mine[entry]]).all()


def test_chat_arrivals() -> None:
    rates = np.full(WINDOWS, 2.0)
    parts = [chat_arrivals(1, rates[:5]), chat_arrivals(1, rates[5:], first=5)]
    assert (np.concatenate(parts) == chat_arrivals(1, rates)).all()


@pytest.mark.parametrize("window", [0, 500, 1007])
def test_the_swing_of_a_window_asked_alone(window: int) -> None:
    assert swing(PEOPLE, 1, np.array([window]))[0] == pytest.approx(
        swing(PEOPLE, 1, np.arange(1008))[window], rel=1e-14
    )
