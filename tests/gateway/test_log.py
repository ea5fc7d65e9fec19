"""What a data process says on standard error: events as JSON, and nothing of what was asked."""

from __future__ import annotations

import json

from ampacity.gateway.log import Log


def lines(said: list[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in said]


def test_what_happened_is_a_line_of_json_with_the_time() -> None:
    said: list[str] = []
    Log(lambda: 1_700_000_000_123, said.append)("pool failed", "here", answer=500)
    assert lines(said) == [{"at": "2023-11-14T22:13:20.123Z", "what": "pool failed", "subject": "here", "answer": 500}]
    assert said[0].endswith("\n") and said[0].count("\n") == 1


def test_the_same_of_the_same_is_told_once_a_second_with_how_often() -> None:
    said: list[str] = []
    now = [5_000]
    log = Log(lambda: now[0], said.append)
    for _ in range(40):
        log("pool failed", "here")
    log("pool failed", "there")
    now[0] += 1_000
    log("pool failed", "here")
    log("hold", "here")
    assert [(line["what"], line["subject"], line.get("times")) for line in lines(said)] == [
        ("pool failed", "here", None),
        ("pool failed", "there", None),
        ("pool failed", "here", 40),
        ("hold", "here", None),
    ]


def test_a_mistake_is_told_by_its_place_and_kind_without_its_values() -> None:
    said: list[str] = []
    try:
        raise ValueError("a prompt with sk-secret in it")
    except ValueError as err:
        Log(lambda: 1, said.append).mistake(None, {"message": "a request could not be carried on", "exception": err})
    (line,) = lines(said)
    assert line["error"] == "ValueError" and "sk-secret" not in said[0]
    assert str(line["where"]).count("test_a_mistake_is_told") == 1
