"""A count of tokens is the pool's where it can say, an estimate where it cannot, and costs nobody anything."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from gateways import Asked, Connection, Running, Serve, Upstream, eventually, whole

COUNT = "/v1/messages/count_tokens?beta=true"
ASK = {"model": "m", "messages": [{"role": "user", "content": "x" * 400}]}
MARK = "x-ampacity-count"


def estimate(gateway: Running, said: Any) -> bool:
    """Whether an answer is an estimate, and says so."""
    assert said.status == 200
    told = said[MARK] == "estimated"
    assert told == (said.body == b'{"input_tokens":%d}' % (len(json.dumps(ASK)) // 4))
    return told


def test_a_pool_that_counts_is_asked_and_no_window_counts_it(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = whole(b'{"input_tokens":107}')
    said = [gateway.post(ASK, COUNT) for _ in range(3)]
    assert [(s.status, s.body, s[MARK]) for s in said] == [(200, b'{"input_tokens":107}', None)] * 3
    assert said[0]["request-id"] != said[1]["request-id"]
    assert [a.line for a in upstream.asked] == [b"POST /v1/messages/count_tokens?beta=true HTTP/1.1"] * 3
    assert len(upstream.connections) == 1
    assert gateway.ends() == [] and gateway.used() == 0


def test_what_the_pool_calls_a_mistake_is_passed_on(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = whole(b'{"type":"error","error":{"message":"no"}}', status=b"400 Bad Request")
    said = gateway.post(ASK, COUNT)
    assert (said.status, said.body) == (400, b'{"type":"error","error":{"message":"no"}}')


def test_a_pool_that_knows_no_such_path_is_asked_once(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = whole(b"{}", status=b"404 Not Found")
    assert all(estimate(gateway, gateway.post(ASK, COUNT)) for _ in range(3))
    assert len(upstream.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"{}", status=b"529 Overloaded"),
        whole(b"{}", status=b"401 Unauthorized"),
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"no HTTP at all\r\n\r\n",
        whole(b'{"input_tokens":107}' + b" " * 100_000),
        whole(b'{"tokens":107}'),
        whole(b'{"input_tokens":-1}'),
        whole(b"\xff"),
    ],
)
def test_where_a_pool_does_not_say_it_is_estimated(gateway: Running, upstream: Upstream, answer: bytes) -> None:
    upstream.answer = answer
    with gateway.client() as client:
        for _ in range(2):  # the client's connection goes on
            client.ask(ASK, COUNT)
            assert estimate(gateway, client.said())
    assert len(upstream.asked) == 2


def test_a_silent_pool_is_not_waited_for(gateway: Running, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ampacity.gateway.counting.WAIT_S", 0.1)
    upstream.answer = lambda to, _: to.until_gone()
    assert estimate(gateway, gateway.post(ASK, COUNT))
    eventually(lambda: upstream.connections[0].gone.is_set())


def test_where_no_pool_is_open_or_none_can_be_reached_it_is_estimated(serve: Serve, upstream: Upstream) -> None:
    away = serve(urls=("http://127.0.0.1:9",))
    assert estimate(away, away.post(ASK, COUNT))
    held = serve()
    held.do(lambda g: g.hold("pool-0"))
    assert estimate(held, held.post(ASK, COUNT)) and not upstream.asked


def test_a_connection_that_the_pool_had_closed_is_opened_anew(gateway: Running, upstream: Upstream) -> None:
    def once(to: Connection, _: Asked) -> None:
        to.send(whole(b'{"input_tokens":3}'))
        to.close()

    upstream.answer = once
    for _ in range(3):
        assert gateway.post(ASK, COUNT).body == b'{"input_tokens":3}'


def test_a_client_that_goes_takes_its_question_along(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = lambda to, _: to.until_gone()
    with gateway.client() as client:
        client.ask(ASK, COUNT)
        eventually(lambda: upstream.asked)
        client.close()
    eventually(lambda: upstream.connections[0].gone.is_set())
    assert gateway.do(lambda g: g.pools["pool-0"].counting) == 0


def test_a_pool_is_asked_for_a_few_counts_at_once(gateway: Running, upstream: Upstream) -> None:
    go_on = threading.Event()

    def answer(to: Connection, _: Asked) -> None:
        go_on.wait(5)
        to.send(whole(b'{"input_tokens":107}'))

    upstream.answer = answer
    met: list[Any] = []
    threads = [threading.Thread(target=lambda: met.append(gateway.post(ASK, COUNT))) for _ in range(30)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(met) == 14)
    assert all(estimate(gateway, said) for said in met)
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert sum(said.body == b'{"input_tokens":107}' for said in met) == 16
    assert gateway.do(lambda g: g.pools["pool-0"].counting) == 0


def test_the_pool_is_asked_by_its_name_of_the_model_and_with_its_key(
    serve: Serve, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOLS_KEY", "sk-pool")
    gateway = serve(model="theirs", pool={"key_env": "POOLS_KEY"})
    upstream.answer = whole(b'{"input_tokens":1}')
    gateway.post(ASK, COUNT)
    (asked,) = upstream.asked
    assert b'"model":"theirs"' in asked.body and asked.values(b"x-api-key") == [b"sk-pool"]


def test_what_cannot_be_counted_is_said(gateway: Running) -> None:
    assert gateway.post(ASK, COUNT, key="sk-nobody").status == 401
    assert gateway.post({"model": "n"}, COUNT).status == 404
    assert gateway.post(b"{", COUNT).status == 400


def test_the_gateway_ends_while_a_pool_counts(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = lambda to, _: to.until_gone()
    with gateway.client() as client:
        client.ask(ASK, COUNT)
        eventually(lambda: upstream.asked)
        began = time.monotonic()
        gateway.stop()
        assert time.monotonic() - began < 4
        assert client.closed()
    gateway.start()
