"""The openai SDK against a served scenario: chat completions, responses, models, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(served: Any) -> Callable[..., openai.OpenAI]:
    """A client of somebody in that tier."""

    def make(tier: str = "developers") -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{served.url}/v1", api_key=served.keys[tier], max_retries=0)

    return make


def test_a_chat_completion_comes_with_its_usage_and_limits(client: Any, served: Any) -> None:
    raw = client().chat.completions.with_raw_response.create(model=served.model, max_tokens=20, messages=HELLO)
    answer = raw.parse()
    assert answer.usage.completion_tokens == 20 and answer.choices[0].finish_reason == "length"
    assert raw.headers["x-ratelimit-limit-requests"] == "60"
    assert int(raw.headers["x-ratelimit-remaining-requests"]) < 60
    assert raw.headers["x-request-id"].startswith("req_")


def test_a_chat_stream_ends_with_its_usage_if_that_is_asked(client: Any, served: Any) -> None:
    stream = client().chat.completions.create(
        model=served.model, max_tokens=30, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[-1].usage.completion_tokens == 30 and not chunks[-1].choices
    assert sum(bool(c.choices and c.choices[0].delta.content) for c in chunks) == 30


def test_a_chat_stream_without_usage_is_charged_by_its_events(client: Any, served: Any, admin: Any) -> None:
    before = used(admin)
    for _ in client().chat.completions.create(model=served.model, max_tokens=40, messages=HELLO, stream=True):
        pass
    assert 30 <= used(admin) - before <= 45  # tokens that come together are one event


def used(admin: Any) -> int:
    """Output tokens of developers so far, as the operator sees them."""
    lines = [line for line in admin("status").splitlines() if line.strip().startswith("developers")]
    return sum(int(line.split()[-1].replace(",", "")) for line in lines)  # there is none before the first answer


def test_a_response_comes_whole_and_as_a_stream(client: Any, served: Any) -> None:
    whole = client().responses.create(model=served.model, input="Hello", max_output_tokens=25)
    assert whole.usage.output_tokens == 25 and whole.output_text
    kinds = []
    for event in client().responses.create(model=served.model, input="Hello", max_output_tokens=25, stream=True):
        kinds.append(event.type)
    assert kinds[0] == "response.created" and kinds[-1] in ("response.completed", "response.incomplete")
    assert kinds.count("response.output_text.delta") == 25


def test_models_are_listed_and_errors_are_typed(client: Any, served: Any) -> None:
    assert served.model in [model.id for model in client().models.list()]
    with pytest.raises(openai.NotFoundError):
        client().chat.completions.create(model="gpt-nowhere", messages=HELLO)
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{served.url}/v1", api_key="nobody", max_retries=0).models.list()


def test_a_window_that_is_used_up_is_a_rate_limit_error_with_its_code(client: Any, served: Any) -> None:
    with pytest.raises(openai.RateLimitError) as refused:
        for _ in range(6):
            client("trial").chat.completions.create(
                model=served.model, max_tokens=300, messages=HELLO, extra_headers={"x-emulate-output-tokens": "300"}
            )
    assert refused.value.code == "rate_limit_exceeded"
    assert refused.value.response.headers["x-should-retry"] == "false"
