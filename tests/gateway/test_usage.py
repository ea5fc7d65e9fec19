"""What an answer cost is read from its bytes, however they are cut; what is no use or nonsense says nothing."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from gateways import DELTA, END, START, STREAM
from hypothesis import given
from hypothesis import strategies as st

from ampacity.gateway.usage import COUNT_MOST, LINE_MOST, Usage

CACHED = {"cache_creation_input_tokens": 7, "cache_read_input_tokens": 9}


def counted(usage: Usage) -> tuple[int, int, int, int]:
    return usage.uncached, usage.written, usage.read, usage.output_in_all


def of_stream(data: bytes, cuts: list[int]) -> Usage:
    usage = Usage()
    places = sorted({min(c, len(data)) for c in cuts} | {0, len(data)})
    for begin, end in pairwise(places):
        usage.stream(data[begin:end])
    return usage


@given(st.lists(st.integers(0, len(STREAM)), max_size=60), st.booleans())
def test_it_does_not_matter_where_a_stream_is_cut(cuts: list[int], crlf: bool) -> None:
    data = STREAM.replace(b"\n", b"\r\n") if crlf else STREAM
    usage = of_stream(data, cuts)
    assert counted(usage) == (10, 0, 90, 9)
    assert usage.between_lines


@given(st.integers(0, 30), st.lists(st.integers(0, 2000), max_size=20))
def test_what_came_before_a_break_is_counted(k: int, cuts: list[int]) -> None:
    usage = of_stream(START + k * DELTA, cuts)
    assert counted(usage) == (10, 0, 90, k if k > 2 else 1)


@pytest.mark.parametrize(
    ("use", "tokens"),
    [
        ({"input_tokens": 5, "output_tokens": 2}, (5, 0, 0, 2)),
        ({"input_tokens": 5, "output_tokens": 2, **CACHED}, (5, 7, 9, 2)),
        ({"input_tokens": 5, "cache_creation_input_tokens": None, "output_tokens": 2, "x": "y"}, (5, 0, 0, 2)),
        ({"prompt_tokens": 50, "completion_tokens": 3, "total_tokens": 53}, (50, 0, 0, 3)),
        ({"prompt_tokens": 50, "completion_tokens": 3, "prompt_tokens_details": None}, (50, 0, 0, 3)),
        ({"prompt_tokens": 50, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 20}}, (30, 0, 20, 3)),
        ({"prompt_tokens": 50, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 80}}, (0, 0, 50, 3)),
        ({"input_tokens": 50, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 20}}, (30, 0, 20, 3)),
        ({"input_tokens": -5, "output_tokens": -2}, (0, 0, 0, 0)),
        ({"input_tokens": 10**30, "output_tokens": 10**18}, (COUNT_MOST, 0, 0, COUNT_MOST)),
        ({"input_tokens": "5", "output_tokens": 2}, (0, 0, 0, 0)),
        ({"input_tokens": 5.5, "output_tokens": 2}, (0, 0, 0, 0)),
        ([], (0, 0, 0, 0)),
        (None, (0, 0, 0, 0)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["answer", "message", "response"])
def test_all_shapes_of_use(use: object, tokens: tuple[int, ...], where: str) -> None:
    usage = Usage()
    usage.whole(json.dumps({"usage": use} if where == "answer" else {where: {"usage": use}}).encode())
    assert counted(usage) == tokens


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b'"usage"', b"\xff", b'{"usage":' + b"[" * 100_000, b'{"x":{"usage":{"input_tokens":1}}}'],
)
def test_what_is_no_use_says_nothing(text: bytes) -> None:
    usage = Usage()
    usage.whole(text)
    usage.stream(b"data: " + text + b"\n\n")
    assert not usage.told


def test_text_that_speaks_of_usage_is_not_use() -> None:
    said = json.dumps({"delta": {"text": '{"usage":{"input_tokens":1,"output_tokens":1}}\n"usage"'}})
    usage = of_stream(START + f"data: {said}\n\n".encode() + END, [])
    assert counted(usage) == (10, 0, 90, 9)


def test_a_stream_whose_use_stands_without_a_space_is_understood() -> None:
    assert counted(of_stream(STREAM.replace(b"data: ", b"data:"), [])) == (10, 0, 90, 9)
    assert of_stream(DELTA.replace(b"data: ", b"data:") * 5, []).events == 5


def test_a_line_without_end_is_not_kept() -> None:
    usage = Usage()
    for _ in range(LINE_MOST // 1000 + 2):
        usage.stream(b"x" * 1000)
    assert not usage._rest
    assert not usage.between_lines
    usage.stream(b'"usage"\n' + START + END)
    assert counted(usage) == (10, 0, 90, 9)


def test_what_is_told_last_counts() -> None:
    usage = of_stream(START + b'data: {"usage":{"input_tokens":3,"output_tokens":4}}\n\n' + END, [])
    assert counted(usage) == (3, 0, 90, 9)


def test_a_stream_that_ends_without_its_last_word_is_counted() -> None:
    assert of_stream(START + 40 * DELTA, []).output_in_all == 40
