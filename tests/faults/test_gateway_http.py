"""Upstreams that lie, die and dawdle, and clients that do: everyone else is served, and the books balance."""

from __future__ import annotations

import json
import threading
import time

import pytest
from gateways import (
    ANSWER,
    MESSAGES,
    SECONDS,
    START,
    STREAM_HEAD,
    TEAM,
    Asked,
    Client,
    Connection,
    Running,
    Serve,
    Upstream,
    chunk,
    eventually,
    post,
    whole,
)

from ampacity.gateway import client as client_side
from ampacity.journal.records import ABORTED, RELEASED, SETTLED
from ampacity.policy import rows
from ampacity.policy.rows import ONE_IN_FLIGHT, SCALE, WindowRule

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
NO_ANSWERS = {
    "garbage": b"\x00\x01 no HTTP\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "bare line feeds": (HEAD + b"content-length: 2\r\n\r\n").replace(b"\r\n", b"\n") + b"{}\r\n\r\n",
    "two lengths": HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    "both lengths": HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
    "a negative length": HEAD + b"content-length: -2\r\n\r\n{}",
    "another coding": HEAD + b"transfer-encoding: gzip\r\n\r\n{}",
    "a folded line": HEAD + b"x: y\r\n z\r\ncontent-length: 2\r\n\r\n{}",
    "NUL in a header": HEAD + b"x: y\0z\r\ncontent-length: 2\r\n\r\n{}",
    "a space before a colon": HEAD + b"content-length : 2\r\n\r\n{}",
    "no chunk size": HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "a huge chunk size": HEAD + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffffff\r\n",
    "a gigantic head": HEAD + b"x: " + b"y" * 200_000 + b"\r\ncontent-length: 2\r\n\r\n{}",
    "a head without end": HEAD + b"x: y\r\n" * 20_000,
    "an extension without end": HEAD + b"transfer-encoding: chunked\r\n\r\n2;" + b"x" * 200_000,
    "another protocol after a switch": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\nx y z\r\n\r\n",
    "two answers": whole(ANSWER) + whole(b"{}"),
    "garbage after the answer": whole(ANSWER) + b"garbage",
    "an empty line after the answer": whole(ANSWER) + b"\r\n",
    "more than it said": HEAD + b"content-length: 2\r\n\r\n{} and more",
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_what_is_no_answer_reaches_nobody(gateway: Running, upstream: Upstream, name: str) -> None:
    upstream.answer = NO_ANSWERS[name]
    with gateway.client() as client:
        client.ask()
        said = client.said()
        assert said.status == 502
        assert said.json["error"]["type"] == "api_error"
        upstream.answer = whole(ANSWER)
        client.ask()
        assert client.said().status in (200, 529)  # by then the pool may be left out
    assert gateway.used() in (0, 10 * 1000 + 4 * 1250 + 90 * 100 + 7 * 5000)


@pytest.mark.parametrize("name", ["garbage", "two answers", "a gigantic head"])
def test_another_pool_answers_for_one_that_lies(serve: Serve, upstream: Upstream, name: str) -> None:
    upstream.answer = NO_ANSWERS[name]
    honest = Upstream()
    gateway = serve(upstream, honest)
    for _ in range(8):
        assert gateway.post().body == ANSWER
    assert upstream.asked
    honest.stop()


def test_an_answer_shorter_than_it_said_is_short_for_the_client_too(gateway: Running, upstream: Upstream) -> None:
    def answer(to: Connection, _: Asked) -> None:
        to.send(HEAD + b"content-length: 500\r\n\r\n" + ANSWER)
        to.close()

    upstream.answer = answer
    with gateway.client() as client:
        client.ask()
        assert client.head()["content-length"] == "500"
        assert client.to_the_end() == ANSWER
    assert gateway.ends()[0][0] == ABORTED


def test_an_answer_that_dies_before_its_body_is_asked_for_elsewhere(serve: Serve, upstream: Upstream) -> None:
    def answer(to: Connection, _: Asked) -> None:
        to.send(STREAM_HEAD, b"5", b"\r\n", pause_s=0.01)
        to.close()

    upstream.answer = answer
    other = Upstream()
    gateway = serve(upstream, other)
    for _ in range(4):
        assert gateway.post().body == ANSWER
    assert upstream.asked
    other.stop()


def test_what_comes_unasked_ends_the_connection(gateway: Running, upstream: Upstream) -> None:
    assert gateway.post().status == 200
    upstream.connections[0].send(whole(b'{"not":"yours"}'))
    eventually(lambda: upstream.connections[0].gone.is_set())
    assert gateway.post().body == ANSWER
    assert len(upstream.connections) == 2


def test_a_connection_closed_just_as_it_is_used_is_made_anew_once_and_counts_as_no_failure(
    gateway: Running, upstream: Upstream
) -> None:
    def closes_on_its_second_request(to: Connection, _: Asked) -> None:
        if getattr(to, "answered", False):
            to.close()
        else:
            to.answered = True  # type: ignore[attr-defined]
            to.send(whole(ANSWER))

    upstream.answer = closes_on_its_second_request
    for i in range(10):
        assert gateway.post().body == ANSWER
        assert len(upstream.asked) == 2 * i + 1
    assert [c.pool_failures for c in gateway.gateway.metrics.kinds.values()] == [0]
    assert [end[0] for end in gateway.ends()] == [SETTLED] * 10


def test_one_that_is_closed_anew_has_failed(gateway: Running, upstream: Upstream) -> None:
    assert gateway.post().status == 200
    upstream.answer = lambda to, _: to.close()
    assert gateway.post().status == 502
    assert sum(c.pool_failures for c in gateway.gateway.metrics.kinds.values()) >= 1


def test_a_connection_that_is_kept_and_closed_is_not_used(gateway: Running, upstream: Upstream) -> None:
    for _ in range(5):
        assert gateway.post().status == 200
        upstream.connections[-1].close()
        time.sleep(0.01)
    assert len(upstream.asked) == 5


def test_an_upstream_that_hangs_up_at_once_is_a_502(gateway: Running, upstream: Upstream) -> None:
    upstream._serve = lambda connection: connection.close()  # type: ignore[method-assign]
    for _ in range(3):
        assert gateway.post().status in (502, 529)


def test_an_upstream_that_says_it_closes_is_not_asked_again(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = whole(ANSWER, b"connection: close\r\n")
    with gateway.client() as client:
        for _ in range(3):
            client.ask()
            said = client.said()
            assert (said.body, said["connection"]) == (ANSWER, None)
    assert len(upstream.connections) == 3


def test_an_upstream_that_answers_before_it_has_read_is_not_asked_again(gateway: Running, upstream: Upstream) -> None:
    def unread(connection: Connection) -> None:
        connection.sock.recv(1000)
        connection.send(whole(b'{"error":"too large"}', status=b"413 Too Large"))
        time.sleep(0.2)
        connection.close()

    upstream._serve = unread  # type: ignore[method-assign]
    with gateway.client() as client:
        client.ask(b'{"model":"m","x":"' + b"x" * 20_000_000 + b'"}')
        assert client.said().status == 413
        assert not gateway.do(lambda g: g.pools["pool-0"].connections._idle)


def test_an_upstream_that_never_answers_is_given_up(serve: Serve, upstream: Upstream, quick_looks: None) -> None:
    upstream.answer = lambda to, _: to.until_gone()
    gateway = serve(settings={"first_byte_s": 0.1})
    said = gateway.post()
    assert said.status in (502, 529)
    eventually(lambda: all(c.gone.is_set() for c in upstream.connections))
    assert gateway.ends() == [(RELEASED, 0, 0, 0, 0)]


def test_one_that_sends_its_head_and_nothing_more_is_given_up(
    serve: Serve, upstream: Upstream, quick_looks: None
) -> None:
    upstream.answer = lambda to, _: (to.send(STREAM_HEAD), to.until_gone())
    assert serve(settings={"first_byte_s": 0.1}).post().status in (502, 529)


def test_a_number_that_no_journal_holds_is_bounded(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = whole(b'{"usage":{"input_tokens":9999999999999999999999,"output_tokens":-7}}')
    assert gateway.post().status == 200
    eventually(gateway.idle)
    assert gateway.ends()[0][1:] == (1 << 32, 0, 0, 0)
    assert gateway.post().status == 429


def test_an_answer_too_large_to_look_into_is_charged_as_estimated(gateway: Running, upstream: Upstream) -> None:
    large = b'{"text":"' + b"x" * 9_000_000 + b'","usage":{"input_tokens":1,"output_tokens":1}}'
    upstream.answer = whole(large)
    assert gateway.post(b'{"model":"m","x":"' + b"x" * 4000 + b'"}').body == large
    ((status, uncached, *_),) = gateway.ends()
    assert (status, uncached) == (SETTLED, (4000 + 20) // 4)


# clients


@pytest.mark.parametrize("sent", [b"P", b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key", post()[:-3]])
def test_whoever_sends_too_slowly_is_told_and_left(
    gateway: Running, monkeypatch: pytest.MonkeyPatch, quick_looks: None, sent: bytes
) -> None:
    monkeypatch.setattr(client_side, "HEAD_S", 0.1)
    monkeypatch.setattr(client_side, "BODY_PACE", 10_000)
    with gateway.client() as client:
        client.send(sent)
        assert client.said().status == 408
        assert client.closed()


def test_a_drop_now_and_then_buys_no_time(
    gateway: Running, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, quick_looks: None
) -> None:
    monkeypatch.setattr(client_side, "HEAD_S", 0.1)
    begun = time.monotonic()
    with gateway.client() as client, pytest.raises((BrokenPipeError, ConnectionResetError)):
        client.send(b"POST /v1/messages HTTP/1.1\r\n")
        while time.monotonic() < begun + SECONDS:
            client.send(b"x-a: b\r\n")
            time.sleep(0.02)
            if client.sock in _readable(client):
                assert client.said().status == 408
                client.close()
                raise BrokenPipeError
    assert upstream.asked == []


def _readable(client: Client) -> list[object]:
    import select

    return select.select([client.sock], [], [], 0)[0]


def test_whoever_says_nothing_is_left(serve: Serve, monkeypatch: pytest.MonkeyPatch, quick_looks: None) -> None:
    monkeypatch.setattr(client_side, "IDLE_S", 0.1)
    gateway = serve()
    with gateway.client() as silent, gateway.client() as once:
        once.ask()
        assert once.said().status == 200
        assert silent.closed()
        assert once.closed()
    eventually(lambda: not gateway.gateway.clients)


def test_a_long_answer_is_no_silence(
    serve: Serve, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, quick_looks: None
) -> None:
    monkeypatch.setattr(client_side, "IDLE_S", 0.05)
    monkeypatch.setattr(client_side, "HEAD_S", 0.05)
    upstream.answer = lambda to, _: (time.sleep(0.2), to.send(whole(ANSWER)))
    assert serve().post().status == 200


def test_whoever_goes_on_sending_after_a_refusal_is_left(
    gateway: Running, monkeypatch: pytest.MonkeyPatch, quick_looks: None
) -> None:
    monkeypatch.setattr(client_side, "LINGER_S", 0.1)
    with gateway.client() as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.said().status == 400
        with pytest.raises(OSError):
            while True:
                client.send(b"more" * 1000)
                time.sleep(0.01)
    eventually(lambda: not gateway.gateway.clients)


def test_a_client_that_goes_while_it_sends_leaves_nothing(gateway: Running, upstream: Upstream) -> None:
    data = post()
    for size in range(1, len(data), 7):
        client = gateway.client()
        client.send(data[:size])
        client.reset()
    eventually(lambda: not gateway.gateway.clients)
    assert upstream.asked == []


def test_a_client_that_closes_its_half_is_gone(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = lambda to, _: to.until_gone()
    with gateway.client() as client:
        client.ask()
        eventually(lambda: upstream.asked)
        client.sock.shutdown(1)
        assert client.closed()
    eventually(lambda: upstream.connections[0].gone.is_set())


def test_a_journal_that_cannot_be_written_holds_the_end_and_refuses_new_work(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = gateway.gateway.journal.commit

    def full() -> int:
        raise OSError("no space")

    gateway.do(lambda g: setattr(g.journal, "commit", full))
    with gateway.client() as client:
        client.ask()
        eventually(lambda: gateway.gateway.ticks.error is not None)
        assert gateway.post().status == 529
        assert client.rest == b""
        gateway.do(lambda g: setattr(g.journal, "commit", commit))
        assert client.said().body == ANSWER


def test_a_mistake_of_ours_is_told_and_costs_one_connection(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object) -> bytes:
        raise ZeroDivisionError

    with gateway.client() as other:
        with monkeypatch.context() as patch:
            patch.setattr("ampacity.gateway.exchange.passed_on", mistaken)
            with gateway.client() as client:
                client.ask()
                said = client.said()
                assert (said.status, said.json["error"]["type"]) == (500, "api_error")
                assert client.closed()
        other.ask()
        assert other.said().body == ANSWER
    eventually(gateway.idle)
    assert [type(one["exception"]) for one in gateway.went_wrong] == [ZeroDivisionError]
    gateway.went_wrong.clear()


# many


@pytest.mark.parametrize("most", [5, 50])
def test_a_thousand_at_once_never_pass_what_may_be_in_flight(serve: Serve, upstream: Upstream, most: int) -> None:
    now, seen = [0], [0]
    lock = threading.Lock()

    def answer(to: Connection, _: Asked) -> None:
        with lock:
            now[0] += 1
            seen[0] = max(seen[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1
        to.send(whole(ANSWER))

    upstream.answer = answer
    windows = (TEAM[0], WindowRule("in flight", most * SCALE, rows.IN_FLIGHT, 0, ONE_IN_FLIGHT))
    gateway = serve(windows=windows)
    said = at_once(gateway, 1000)
    assert set(said) <= {200, 429}
    assert said.count(200) >= most
    assert seen[0] <= most
    assert said.count(200) == sum(end[0] == SETTLED for end in gateway.ends())


def test_a_thousand_at_once_pass_a_window_by_no_more_than_is_in_flight(serve: Serve, upstream: Upstream) -> None:
    """Each costs more than it reserved, so what is in flight when the window fills is all that can pass it."""
    spent = 10 * 1000 + 4 * 1250 + 90 * 100 + 7 * 5000
    windows = (WindowRule("five-hour", 40 * spent, rows.AT_FIRST_USE, 10**7, TEAM[0].price), TEAM[1])
    gateway = serve(windows=windows, slots=8, room=8)
    said: list[int] = []
    while 429 not in said:  # refused for want of room are many, too
        said = at_once(gateway, 1000)
    assert 0 < gateway.used() <= (40 + 16) * spent


def at_once(gateway: Running, count: int) -> list[int]:
    """The statuses of so many requests of one key over so many connections."""
    clients = [gateway.client() for _ in range(count)]
    data = post({"model": "m", "max_tokens": 1})
    for client in clients:
        client.send(data)
    statuses = [client.said().status for client in clients]
    for client in clients:
        client.close()
    return statuses


def test_everything_at_once_balances(serve: Serve, upstream: Upstream) -> None:
    """Answers, streams, breaks, lies, and clients that go at any moment."""
    kinds = [
        whole(ANSWER),
        STREAM_HEAD + chunk(START) + chunk(b""),
        STREAM_HEAD + chunk(START) + b"zz",
        b"garbage\r\n\r\n",
        whole(b"no", status=b"500 No"),
        whole(b"no", status=b"429 No"),
        b"",
    ]
    count = [0]

    def answer(to: Connection, _: Asked) -> None:
        count[0] += 1
        data = kinds[count[0] % len(kinds)]
        time.sleep(count[0] % 5 / 1000)
        to.send(data)
        if not data:
            to.close()

    upstream.answer = answer
    other = Upstream(answer)
    gateway = serve(upstream, other, slots=20, wait_most_ms=500)
    clients = []
    for i in range(300):
        client = gateway.client()
        client.ask({"model": "m", "n": i}, MESSAGES, key="sk-alice" if i % 2 else "sk-bob")
        clients.append(client)
        if i % 3 == 0:
            clients.pop(i % len(clients)).reset()
    for client in clients:
        try:
            said = client.said()
            assert said.status in (200, 502, 529)
            assert said.status == 200 or json.loads(said.body)["type"] == "error"
        except (AssertionError, ConnectionResetError):
            assert b"garbage" not in client.rest
        client.close()
    eventually(gateway.idle)
    other.stop()
