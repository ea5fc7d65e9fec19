"""Each fault does what its name says, for as long as it was asked for."""

from __future__ import annotations

import http.client
import threading
import time

import pytest
from pool_client import Pool, Streamed, asking


def test_refused_connections_close_at_once(two: Pool) -> None:
    two.fault("refuse", 0.3)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        two.get("/health")
    time.sleep(0.35)
    assert two.get("/health")[0] == 200


def test_errors_and_overload_have_the_shape_of_each_api(two: Pool) -> None:
    chat = {"model": "code", "messages": [{"role": "user", "content": "hi"}]}
    for kind, anthropic, openai in (("error", 500, 500), ("overloaded", 529, 503)):
        two.fault(kind, 0.5)
        status, body = two.post("/v1/messages", asking("hi"))
        assert status == anthropic
        assert body["error"]["type"] == ("api_error" if kind == "error" else "overloaded_error")
        status, body = two.post("/v1/chat/completions", chat)
        assert status == openai
        assert set(body["error"]) == {"message", "type", "param", "code"}
        time.sleep(0.55)
        assert two.post("/v1/messages", asking("hi"), x_emulate_output_tokens="3")[0] == 200


def test_a_share_of_the_requests_is_hit(two: Pool) -> None:
    two.fault("error", 0.6, share=0.5)
    met = [two.post("/v1/messages", asking("hi"), x_emulate_output_tokens="1")[0] for _ in range(40)]
    assert 8 <= met.count(500) <= 32
    assert set(met) == {200, 500}
    time.sleep(0.6)


def test_a_stalled_answer_comes_when_the_fault_is_over(two: Pool) -> None:
    two.fault("stall", 0.5)
    met = two.stream("hello", 10)
    assert 0.4 < met.at_s[0] < 0.8
    assert len(met.when("content_block_delta")) == 10


def test_slow_iterations_take_so_many_times_as_long(two: Pool) -> None:
    def pace() -> float:
        came = two.stream("hello", 60).when("content_block_delta")
        return (came[-1] - came[0]) / 59

    usual = pace()
    two.fault("slow", 1.5, factor=4)
    assert pace() == pytest.approx(4 * usual, rel=0.15)
    time.sleep(1)
    assert pace() == pytest.approx(usual, rel=0.15)


def test_a_cut_stream_ends_in_the_middle(two: Pool) -> None:
    two.fault("cut", 0.3)
    met = two.stream("hello", 50)
    assert 1 <= len(met.when("content_block_delta")) < 50
    assert "message_stop" not in met.names
    two.until(running=0)
    time.sleep(0.3)


def test_a_replica_that_dies_tells_its_streams_and_comes_back(two: Pool) -> None:
    met = Streamed()
    events = two.events(met, "a long story", 5000)
    while next(events) != "content_block_delta":
        pass
    two.fault("kill", 0.5)
    assert list(events)[-1] == "error"
    assert met.data[-1]["error"]["type"] == "api_error"
    two.until(replicas=1, running=0)
    assert two.post("/v1/messages", asking("hi"), x_emulate_output_tokens="3")[0] == 200
    two.until(replicas=2)


def test_who_would_wait_behind_too_many_is_told_that_there_is_no_room(two: Pool) -> None:
    slots = two.line["slots"]
    assert slots == 4
    many = 5 * slots
    answered = {"x_emulate_output_tokens": "200"}
    threads = [
        threading.Thread(target=two.post, args=("/v1/messages", asking(str(i))), kwargs=answered) for i in range(many)
    ]
    for thread in threads:
        thread.start()
    two.until(running=slots, waiting=4 * slots)
    status, body = two.post("/v1/messages", asking("one more"))
    assert (status, body["error"]["type"]) == (529, "overloaded_error")
    for thread in threads:
        thread.join()
    two.until(running=0, waiting=0)


def test_a_fault_that_nobody_knows_is_refused_in_words(two: Pool) -> None:
    status, body = two.post("/emulation/fault", {"kind": "burn"})
    assert status == 400
    assert "burn" in body["error"]["message"]
