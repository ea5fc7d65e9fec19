"""What people and clients do at a limit: shares that are stated, retries as the SDKs make them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.demand.reactions import Reactions, attempts_s, client_retries, deferring, retry_delay_s, stated
from ampacity.scenario import lookup

SDKS = ("anthropic", "openai")


def sdk(name: str) -> Any:
    """A client of the SDK, which never asks anything here."""
    module = pytest.importorskip(name)
    return (module.Anthropic if name == "anthropic" else module.OpenAI)(api_key="none")


@pytest.mark.parametrize("name", SDKS)
@pytest.mark.parametrize("retry", [0, 1, 2, 3, 4, 9])
def test_a_delay_lies_where_the_sdk_draws_it(name: str, retry: int) -> None:
    client = sdk(name)
    options = __import__(f"{name}._models", fromlist=["x"]).FinalRequestOptions(method="get", url="/", max_retries=10)
    drawn = [client._calculate_retry_timeout(10 - retry, options, None) for _ in range(300)]
    shortest, longest = retry_delay_s(retry, 1.0), retry_delay_s(retry, 0.0)
    assert shortest <= min(drawn) < shortest + 0.05 * longest
    assert longest - 0.05 * longest < max(drawn) <= longest


@pytest.mark.parametrize("name", SDKS)
@pytest.mark.parametrize(
    ("header", "value"),
    [("retry-after", "13262"), ("retry-after", "90"), ("retry-after-ms", "1500"), ("retry-after", "0.2")],
)
def test_a_wait_that_the_server_tells_is_obeyed_as_by_the_sdk(name: str, header: str, value: str) -> None:
    client = sdk(name)
    options = __import__(f"{name}._models", fromlist=["x"]).FinalRequestOptions(method="get", url="/")
    headers = __import__(f"{name}._base_client", fromlist=["x"]).httpx2.Headers({header: value})
    told = float(value) / (1000 if header.endswith("ms") else 1)
    waits = client._calculate_retry_timeout(2, options, headers)
    shortest, longest = (retry_delay_s(0, u, told, name) for u in (1.0, 0.0))
    assert shortest <= waits <= longest
    assert (waits == told) == (shortest == longest == told)


@pytest.mark.parametrize("name", SDKS)
@pytest.mark.parametrize("status", [400, 401, 404, 408, 409, 413, 422, 429, 500, 503, 529])
@pytest.mark.parametrize("header", [None, "true", "false"])
def test_the_same_statuses_are_tried_again_as_by_the_sdk(name: str, status: int, header: str | None) -> None:
    client = sdk(name)
    http = __import__(f"{name}._base_client", fromlist=["x"]).httpx2
    response = http.Response(status, headers={"x-should-retry": header} if header else {})
    assert client._should_retry(response) == client_retries(status, header)


@pytest.mark.parametrize("name", SDKS)
def test_two_retries_are_the_sdks_default(name: str) -> None:
    assert sdk(name).max_retries == len(attempts_s(3600.0, (0.5,), told=False)) - 1


def test_a_client_that_is_told_when_asks_once_more_and_then_is_served() -> None:
    assert attempts_s(7200.0, (0.5,), told=True) == [0.0, 7200.0]


def test_a_client_that_is_not_told_gives_up_within_seconds_of_a_window_that_takes_hours() -> None:
    at = attempts_s(7200.0, (0.0,), told=False)
    assert at == [0.0, 0.5, 1.5]


def test_where_retries_are_forbidden_a_stop_is_one_request() -> None:
    assert attempts_s(7200.0, (0.5,), told=True, retries=0) == [0.0]


@given(st.integers(1, 10_000))
def test_the_shares_of_any_world_are_shares_and_leave_a_rest_that_is_none_below_zero(world: int) -> None:
    r = stated(7, world)
    assert min(r.wait, r.later, r.switch, r.buy) >= 0
    assert r.wait + r.later + r.switch + r.buy <= 1 + 1e-12


def test_world_0_is_as_the_catalog_states_it() -> None:
    r = stated(3, 0)
    assert (r.wait, r.later, r.switch, r.buy) == (0.3, 0.3, 0.1, 0.05)


def test_deferring_returns_its_share_and_loses_the_rest() -> None:
    r = deferring(0.4)
    assert (r.deferred, r.switch, r.buy) == (0.4, 0.0, 0.0)


def test_every_share_that_is_none_is_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"wait is -0\.1.*buy is 2.*sum to 1\.9.*patience_ms is 0"):
        Reactions(-0.1, 0.0, 0.0, 2.0, patience_ms=0.0)


def test_a_share_that_may_be_nothing_is_drawn_as_any_range_that_touches_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    claims = lookup.claims("demand/reactions", "population", "subscribers")
    claims["buy"] = [{**claims["buy"][-1], "low": 0.0}]
    monkeypatch.setattr(lookup, "claims", lambda *_: claims)
    drawn = np.array([stated(1, world).buy for world in range(1, 400)])
    assert drawn.min() < 0.005 and drawn.max() < 0.15
    assert np.median(drawn) == pytest.approx(claims["buy"][0]["value"], rel=0.15)
    assert np.median(drawn[drawn < 0.05]) == pytest.approx(0.025, rel=0.15)  # evenly from nothing to the stated value
