"""One active session-hour of a coding agent, and what cache lifetime makes of it, against published statistics."""

from __future__ import annotations

import numpy as np
import pytest

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.session_hour import session_hour
from ampacity.demand.sessions import Served, generate, served
from ampacity.demand.traces.reuse import hit_share

TRACES = "callanjfox/kv-cache-tester (Apache-2.0): 710 sessions, 49,334 requests, pauses capped at five minutes"
TRACELAB = "TraceLab, arXiv 2606.30560 (43 developers, 357,161 calls)"


@pytest.fixture(scope="module")
def done() -> Served:
    model = packaged_model()
    return served(generate(model, 1, np.arange(3000)), model.service)


@pytest.mark.published(TRACES)
def test_an_active_session_hour_is_79_requests_and_ten_million_tokens(done: Served) -> None:
    hour = session_hour(done)
    assert hour.requests == pytest.approx(79, rel=0.15)
    assert hour.input_tokens == pytest.approx(9.74e6, rel=0.15)
    assert hour.uncached_tokens == pytest.approx(0.359e6, rel=0.15)
    assert hour.output_tokens == pytest.approx(34.6e3, rel=0.15)


@pytest.mark.published(TRACES)
@pytest.mark.parametrize(("lifetime_s", "published"), [(300.0, 0.918), (3600.0, 0.960), (np.inf, 0.963)])
def test_the_cache_holds_what_was_published_by_lifetime(done: Served, lifetime_s: float, published: float) -> None:
    model = packaged_model()
    held = hit_share(served(done.steps, model.service, lifetime_s).frame())
    assert held == pytest.approx(published, abs=0.01)


@pytest.mark.published(TRACELAB)
def test_another_group_of_developers_has_the_same_medians(done: Served) -> None:
    """Not in the fit: medians of prefix, new tokens and output are 118,656, 875 and 214."""
    s = done.steps
    assert np.median(s.output_tokens) == pytest.approx(214, rel=0.1)
    assert np.median(s.input_tokens - done.cached_tokens) == pytest.approx(875, rel=0.2)
    assert np.median(done.cached_tokens) == pytest.approx(118_656, rel=0.3)
    assert hit_share(done.frame()) == pytest.approx(0.957, abs=0.01)
