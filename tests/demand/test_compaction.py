"""Agents on models of shorter contexts: what is drawn, what the catalog says of it, and that nothing else moved."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

import numpy as np
import pytest

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.service import Service
from ampacity.demand.session_hour import SessionHour, session_hour
from ampacity.demand.sessions import FULL_AT_MOST, Steps, generate, served
from ampacity.scenario import lookup

WINDOWS = (32_768, 65_536, 131_072, 200_000, 262_144, 400_000, 700_000)
SESSIONS = 4000


@cache
def drawn(window: float) -> Steps:
    return generate(packaged_model(), 1, np.arange(SESSIONS, dtype=np.int64), window)


@cache
def hour(window: float) -> SessionHour:
    return session_hour(served(drawn(window), Service()))


@pytest.mark.parametrize("window", WINDOWS)
def test_what_the_catalog_says_of_a_window_is_what_is_drawn_in_it(window: int) -> None:
    """For an output token, of which an active second has as many as the behaviour states in any window."""
    short, long = hour(window), hour(1_000_000)
    told = lookup.compaction(window)
    per = short.output_tokens / long.output_tokens
    assert short.uncached_tokens / long.uncached_tokens / per == pytest.approx(told["uncached_tokens"], rel=0.01)
    cached = [h.input_tokens - h.uncached_tokens for h in (short, long)]
    assert cached[0] / cached[1] / per == pytest.approx(told["cached_tokens"], rel=0.01)
    assert short.context_tokens / long.context_tokens == pytest.approx(told["context_tokens"], rel=0.01)


@pytest.mark.parametrize("window", WINDOWS)
def test_no_context_is_longer_than_its_window_lets_it_be(window: int) -> None:
    s = drawn(window)
    assert s.input_tokens.max() <= FULL_AT_MOST * window + 1  # whole tokens
    assert np.all(s.reusable_tokens <= s.input_tokens)
    assert s.input_tokens.min() >= 1


def test_a_window_of_a_million_tokens_or_more_changes_no_byte() -> None:
    numbers = np.arange(300, dtype=np.int64)
    free, million, more = (
        generate(packaged_model(), 1, numbers, *window) for window in ((), (1_000_000,), (10_000_000,))
    )
    for name in (f.name for f in fields(Steps)):
        for other in (million, more):
            assert getattr(free, name).tobytes() == getattr(other, name).tobytes(), name


def test_sessions_pause_answer_and_end_alike_whatever_the_window() -> None:
    """Only contexts differ: the same numbers of steps, outputs and pauses are drawn."""
    short, long = drawn(131_072), drawn(1_000_000)
    for name in ("session", "agent", "step", "gap_s", "output_tokens", "user_started"):
        assert np.array_equal(getattr(short, name), getattr(long, name)), name
    assert (short.input_tokens < long.input_tokens).any()


def test_between_the_rows_of_the_catalog_lies_what_is_drawn_there() -> None:
    told = lookup.compaction(165_000)
    assert hour(165_000).context_tokens / hour(1_000_000).context_tokens == pytest.approx(
        told["context_tokens"], rel=0.03
    )


def test_beyond_the_ends_of_the_catalog_the_end_stands() -> None:
    assert lookup.compaction(5e6) == lookup.compaction(float("inf")) == lookup.compaction(1e6)
    assert set(lookup.compaction(1e6).values()) == {1.0}
    assert lookup.compaction(8192) == lookup.compaction(32_768)


def test_a_behaviour_on_a_short_window_is_scaled_with_its_range_and_says_why() -> None:
    long, short = lookup.behaviour("coding-agent"), lookup.behaviour("coding-agent", 131_072)
    times = lookup.compaction(131_072)
    for quantity, factor in times.items():
        for a, b in zip(long[quantity], short[quantity], strict=True):
            for end in ("value", "low", "high"):
                if end in a:
                    assert b[end] == pytest.approx(factor * a[end], rel=1e-3)
            assert "131,072" in b["reason"]
    assert {k: v for k, v in long.items() if k not in times} == {k: v for k, v in short.items() if k not in times}
    assert lookup.behaviour("api-client", 131_072) == lookup.behaviour("api-client")
