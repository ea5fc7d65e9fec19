"""The anthropic SDK against a served scenario."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import anthropic
import pytest

HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(served: Any) -> Callable[..., anthropic.Anthropic]:
    """A client of somebody in that tier."""

    def make(tier: str = "developers", retries: int = 0) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=served.url, api_key=served.keys[tier], max_retries=retries)

    return make


def test_a_message_comes_with_its_usage_and_the_headers_of_its_windows(client: Any, served: Any) -> None:
    raw = client().messages.with_raw_response.create(model=served.model, max_tokens=20, messages=HELLO)
    message = raw.parse()
    assert message.role == "assistant" and message.usage.output_tokens == 20 and message.stop_reason == "max_tokens"
    assert raw.headers["request-id"].startswith("req_")
    assert raw.headers["anthropic-ratelimit-unified-5h-status"] == "allowed"
    assert raw.headers["anthropic-ratelimit-unified-representative-claim"] == "five_hour"
    assert int(raw.headers["anthropic-ratelimit-unified-5h-reset"]) > time.time()
    assert int(raw.headers["anthropic-ratelimit-requests-limit"]) == 60


def test_a_stream_comes_event_by_event_as_it_is_made(client: Any, served: Any) -> None:
    seen, texts = [], []
    with client().messages.stream(model=served.model, max_tokens=60, messages=HELLO) as stream:
        for event in stream:
            if event.type == "content_block_delta":
                seen.append(time.monotonic())
                texts.append(event.delta.text)
        final = stream.get_final_message()
    assert len(texts) == 60 and final.usage.output_tokens == 60
    assert "".join(texts) == final.content[0].text
    assert sum(b - a > 0.001 for a, b in pairwise(seen)) >= 10  # paced; a busy machine reads several at once
    assert seen[-1] - seen[0] > 0.2


def test_a_tool_is_called_and_its_result_goes_back(client: Any, served: Any) -> None:
    tools: Any = [{"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}]
    asked: Any = [{"role": "user", "content": "please use-tool"}]
    first = client().messages.create(model=served.model, max_tokens=200, messages=asked, tools=tools)
    assert first.stop_reason == "tool_use"
    (call,) = [block for block in first.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "seen"}
    more = [*asked, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = client().messages.create(model=served.model, max_tokens=30, messages=more, tools=tools)
    assert second.stop_reason in ("end_turn", "max_tokens")


def test_models_and_token_counts_are_told(client: Any, served: Any) -> None:
    names = [model.id for model in client().models.list()]
    assert served.model in names
    assert client().models.retrieve(served.model).id == served.model
    asked = {"model": served.model, "messages": HELLO}
    told = client().messages.with_raw_response.count_tokens(**asked, extra_body={"max_tokens": 9})
    assert "x-ampacity-count" not in told.headers  # the pool's own
    used = client().messages.create(**asked, max_tokens=9).usage
    cached = (used.cache_read_input_tokens or 0) + (used.cache_creation_input_tokens or 0)
    assert told.parse().input_tokens == used.input_tokens + cached


def test_a_used_up_window_is_a_rate_limit_error_that_is_not_tried_again(client: Any, served: Any, admin: Any) -> None:
    """400 tokens: the second request of some length finds the window full, and hours are too long to wait."""
    spender = client("trial", retries=2)
    refusal: anthropic.RateLimitError | None = None
    for _ in range(6):
        try:
            spender.messages.create(model=served.model, max_tokens=300, messages=HELLO, extra_headers=LONG)
        except anthropic.RateLimitError as err:
            refusal = err
            break
    assert refusal is not None
    headers = refusal.response.headers
    assert refusal.body["error"]["type"] == "rate_limit_error"  # type: ignore[index]
    assert "The five-hour window" in refusal.message
    assert headers["x-should-retry"] == "false" and int(headers["retry-after"]) > 3600
    assert headers["anthropic-ratelimit-unified-5h-status"] == "rejected"
    assert "x-stainless-retry-count" not in refusal.request.headers or (
        refusal.request.headers["x-stainless-retry-count"] == "0"
    )
    (line,) = [line for line in admin("explain", "one-of-trial").splitlines() if "refused" in line and "UTC" in line]
    assert "five-hour" in line


LONG = {"x-emulate-output-tokens": "300"}


def test_what_is_in_flight_is_bounded_and_comes_back(client: Any, served: Any) -> None:
    one = client("single")
    with one.messages.stream(
        model=served.model, max_tokens=400, messages=HELLO, extra_headers={"x-emulate-output-tokens": "400"}
    ) as stream:
        next(iter(stream))
        with pytest.raises(anthropic.RateLimitError, match="in flight"):
            one.messages.create(model=served.model, max_tokens=5, messages=HELLO)
    time.sleep(0.3)  # the stream was left in its midst: its place comes back
    assert one.messages.create(model=served.model, max_tokens=5, messages=HELLO).usage.output_tokens == 5


def test_a_key_that_nobody_has_and_a_model_that_is_not_there_are_typed_errors(client: Any, served: Any) -> None:
    stranger = anthropic.Anthropic(base_url=served.url, api_key="sk-amp-nobody", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(model=served.model, max_tokens=5, messages=HELLO)
    with pytest.raises(anthropic.NotFoundError, match="There is no model"):
        client().messages.create(model="claude-nowhere", max_tokens=5, messages=HELLO)
