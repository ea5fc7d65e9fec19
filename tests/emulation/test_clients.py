"""The vendors' own clients understand every answer: text, streams, calls of tools, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator

import anthropic
import openai
import pytest
from pool_client import Pool, asking

from ampacity.emulation.asked import read_asked

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}, "line": {"type": "integer"}}}
SCHEMA["required"] = ["path", "line"]
LENGTH = {"x-emulate-output-tokens": "12"}


@pytest.fixture(scope="module")
def claude(one: Pool) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=one.url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def chat(one: Pool) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=one.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


def test_a_message_comes_whole_and_as_a_stream(claude: anthropic.Anthropic) -> None:
    asked = {"model": "claude-code", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
    whole = claude.messages.create(**asked, extra_headers=LENGTH)
    assert len(whole.content[0].text.split()) == whole.usage.output_tokens == 12
    assert whole.stop_reason == "end_turn"
    with claude.messages.stream(**asked, extra_headers=LENGTH) as stream:
        streamed = stream.get_final_message()
    assert len(streamed.content[0].text.split()) == streamed.usage.output_tokens == 12
    u = streamed.usage
    assert (
        u.input_tokens + u.cache_read_input_tokens
        == claude.messages.count_tokens(
            model="claude-code", messages=asked["messages"], extra_body={"max_tokens": 100, "stream": True}
        ).input_tokens
    )


def test_an_answer_is_no_longer_than_allowed(claude: anthropic.Anthropic) -> None:
    turns = [{"role": "user", "content": "a question"}]
    met = claude.messages.create(model="claude-code", max_tokens=3, messages=turns)
    assert (met.usage.output_tokens, met.stop_reason) == (3, "max_tokens")


def test_an_answer_without_a_stated_length_is_the_same_each_time() -> None:
    def tokens(words: str, seed: int) -> int:
        return len(read_asked(asking(words), {}, seed, 130_000, by_input=False).pieces)

    drawn = [tokens(f"question {i}", 1) for i in range(300)]
    assert drawn == [tokens(f"question {i}", 1) for i in range(300)]
    assert drawn[:20] != [tokens(f"question {i}", 2) for i in range(20)]
    assert 170 < sorted(drawn)[150] < 235
    assert sum(n > 560 for n in drawn) == pytest.approx(30, abs=15)


def test_marked_prompts_are_written_to_the_cache_and_read_from_it(claude: anthropic.Anthropic) -> None:
    system = [{"type": "text", "text": "rules " * 2000, "cache_control": {"type": "ephemeral"}}]
    turns = [{"role": "user", "content": "begin with this"}]
    first = claude.messages.create(model="claude-code", max_tokens=20, system=system, messages=turns)
    assert first.usage.cache_creation_input_tokens > 2900
    assert first.usage.input_tokens < 16
    turns += [{"role": "assistant", "content": first.content[0].text}, {"role": "user", "content": "go on"}]
    second = claude.messages.create(model="claude-code", max_tokens=20, system=system, messages=turns)
    assert second.usage.cache_read_input_tokens > 2900
    assert second.usage.cache_creation_input_tokens < 100


def test_a_loop_of_tools_ends(claude: anthropic.Anthropic) -> None:
    tools = [{"name": "open", "description": "open a file", "input_schema": SCHEMA}]
    turns = [{"role": "user", "content": "please use-tool"}]
    with claude.messages.stream(model="claude-code", max_tokens=100, tools=tools, messages=turns) as stream:
        met = stream.get_final_message()
    (call,) = met.content
    assert (met.stop_reason, call.type, call.name, call.input) == (
        "tool_use", "tool_use", "open", {"path": "word", "line": 1},
    )  # fmt: skip
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "the file"}
    turns += [{"role": "assistant", "content": met.content}, {"role": "user", "content": [result]}]
    after = claude.messages.create(model="claude-code", max_tokens=100, tools=tools, messages=turns)
    assert (after.stop_reason, after.content[0].type) in (("end_turn", "text"), ("max_tokens", "text"))


def test_a_completion_comes_whole_and_as_a_stream(chat: openai.OpenAI) -> None:
    asked = {"model": "claude-code", "messages": [{"role": "user", "content": "hello"}], "extra_headers": LENGTH}
    whole = chat.chat.completions.create(**asked)
    assert len(whole.choices[0].message.content.split()) == whole.usage.completion_tokens == 12
    chunks = list(chat.chat.completions.create(**asked, stream=True))
    assert all(c.usage is None for c in chunks)
    assert len("".join(c.choices[0].delta.content or "" for c in chunks).split()) == 12
    assert chunks[-1].choices[0].finish_reason == "stop"
    *_, last = chat.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage.completion_tokens == 12
    assert last.usage.prompt_tokens_details.cached_tokens >= 16


def test_a_completion_calls_a_function(chat: openai.OpenAI) -> None:
    tools = [{"type": "function", "function": {"name": "open", "parameters": SCHEMA}}]
    asked = {"model": "code", "tools": tools, "messages": [{"role": "user", "content": "use-tool"}]}
    choice = chat.chat.completions.create(**asked).choices[0]
    (call,) = choice.message.tool_calls
    assert (choice.finish_reason, call.function.name) == ("tool_calls", "open")
    assert json.loads(call.function.arguments) == {"path": "word", "line": 1}
    with chat.chat.completions.stream(**asked) as stream:
        (streamed,) = stream.get_final_completion().choices[0].message.tool_calls
    assert json.loads(streamed.function.arguments) == {"path": "word", "line": 1}


def test_a_response_comes_whole_and_as_a_stream(chat: openai.OpenAI) -> None:
    whole = chat.responses.create(model="claude-code", input="hello", extra_headers=LENGTH)
    assert len(whole.output_text.split()) == whole.usage.output_tokens == 12
    assert whole.status == "completed"
    with chat.responses.stream(model="claude-code", input="hello", extra_headers=LENGTH) as stream:
        kinds = [e.type for e in stream]
        streamed = stream.get_final_response()
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds.count("response.output_text.delta") == 12
    assert kinds[-1] == "response.completed"
    assert len(streamed.output_text.split()) == 12
    assert streamed.usage.input_tokens_details.cached_tokens >= 0


def test_a_response_calls_a_function_and_goes_on_with_its_result(chat: openai.OpenAI) -> None:
    tools = [{"type": "function", "name": "open", "parameters": SCHEMA, "strict": False}]
    said = [{"role": "user", "content": "use-tool"}]
    with chat.responses.stream(model="claude-code", tools=tools, input=said) as stream:
        (call,) = stream.get_final_response().output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "open", {"path": "word", "line": 1})
    said += [call.model_dump(include={"type", "call_id", "name", "arguments"})]
    said += [{"type": "function_call_output", "call_id": call.call_id, "output": "the file"}]
    after = chat.responses.create(model="claude-code", tools=tools, input=said, extra_headers=LENGTH)
    assert after.output_text


def test_what_cannot_be_answered_is_refused_as_each_api_does(claude: anthropic.Anthropic, chat: openai.OpenAI) -> None:
    turns = [{"role": "user", "content": "hello"}]
    with pytest.raises(anthropic.NotFoundError, match="here are claude-code"):
        claude.messages.create(model="nobody", max_tokens=10, messages=turns)
    with pytest.raises(anthropic.BadRequestError, match="at least one message"):
        claude.messages.create(model="claude-code", max_tokens=10, messages=[])
    with pytest.raises(anthropic.APIStatusError, match="32 MB") as large:
        claude.messages.create(
            model="claude-code", max_tokens=10, messages=[{"role": "user", "content": "x" * (33 << 20)}]
        )
    assert large.value.status_code == 413
    with pytest.raises(openai.NotFoundError):
        chat.chat.completions.create(model="nobody", messages=turns)
    with pytest.raises(openai.BadRequestError, match="too long"):
        chat.chat.completions.create(model="code", messages=[{"role": "user", "content": "x" * 600_000}])


def test_models_are_listed_for_both(claude: anthropic.Anthropic, chat: openai.OpenAI) -> None:
    assert [m.id for m in claude.models.list()] == [m.id for m in chat.models.list()]
    assert next(iter(chat.models.list())).id == "claude-code"


def test_bodies_in_chunks_and_requests_in_turn_on_one_connection(one: Pool) -> None:
    connection = one.connection()
    body = b'{"model":"claude-code","max_tokens":3,"messages":[{"role":"user","content":"hello"}]}'
    for _ in range(3):
        connection.request("POST", "/v1/messages", iter([body[:20], body[20:]]), encode_chunked=True,
                           headers={"transfer-encoding": "chunked"})  # fmt: skip
        response = connection.getresponse()
        assert json.loads(response.read())["usage"]["output_tokens"] == 3
    connection.request("HEAD", "/")
    assert connection.getresponse().read() == b""
    connection.request("POST", "/v1/messages", b"no JSON")
    response = connection.getresponse()
    assert response.status == 400
    assert json.loads(response.read())["error"]["type"] == "invalid_request_error"
    connection.close()
