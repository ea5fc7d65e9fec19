"""Requests and answers pass through the gateway as they are; what could be read in two ways is refused."""

from __future__ import annotations

import json
import time

import pytest
from gateways import ANSWER, CHAT, MESSAGES, Asked, Connection, Running, Serve, Upstream, chunk, eventually, post, whole


def test_an_answer_of_known_length_passes_byte_for_byte(gateway: Running) -> None:
    said = gateway.post()
    assert (said.status, said.body) == (200, ANSWER)
    assert gateway.ends() == [(0, 10, 4, 90, 7)]
    assert gateway.used() == 10 * 1000 + 4 * 1250 + 90 * 100 + 7 * 5000


def test_a_body_reaches_the_upstream_byte_for_byte_unknown_fields_too(gateway: Running, upstream: Upstream) -> None:
    body = b'{ "model" : "m",\n "max_tokens":1, "x_new":{"model":"other","n":1e999}, "s":"\xc3\xa4\\u00e4\\/" }\r\n'
    assert gateway.post(body).status == 200
    assert upstream.asked[0].body == body


def test_the_query_and_the_headers_of_the_api_pass(gateway: Running, upstream: Upstream) -> None:
    head = "anthropic-version: 2023-06-01\r\nanthropic-beta: a-1,b-2\r\nX-App: cli\r\nx-twice: 1\r\nX-Twice: 2\r\n"
    gateway.post(path=MESSAGES + "?beta=true&x=%20", head=head + "x-no:\r\n")
    asked = upstream.asked[0]
    assert asked.line == b"POST /v1/messages?beta=true&x=%20 HTTP/1.1"
    assert asked.values(b"anthropic-beta") == [b"a-1,b-2"]
    assert asked.values(b"x-app") == [b"cli"]
    assert asked.values(b"x-twice") == [b"1", b"2"]
    assert asked.values(b"x-no") == [b""]


@pytest.mark.parametrize("split", ["every byte", "in one"])
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
def test_any_framing_split_anywhere_passes(gateway: Running, upstream: Upstream, framing: str, split: str) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    data = {
        "length": head + b"content-length: %d\r\n\r\n" % len(ANSWER) + ANSWER,
        "chunks": head + b"transfer-encoding: chunked\r\n\r\n" + chunk(ANSWER[:50]) + chunk(ANSWER[50:]) + chunk(b""),
        "close": head + b"\r\n" + ANSWER,
    }[framing]

    def answer(to: Connection, _: Asked) -> None:
        (to.drip if split == "every byte" else to.send)(data)
        if framing == "close":
            to.close()

    upstream.answer = answer
    with gateway.client() as client:
        for i in range(2):
            client.ask()
            said = client.said()
            assert (said.status, said.body) == (200, ANSWER)
            assert len(upstream.connections) == (i + 1 if framing == "close" else 1)
    assert gateway.ends() == [(0, 10, 4, 90, 7)] * 2


def test_chunks_pass_with_their_extensions_and_trailers(gateway: Running, upstream: Upstream) -> None:
    raw = b"3;a=b\r\n{} \r\n1\r\n\n\r\n0\r\nx-sum: 1\r\nx-ratelimit-limit-requests: 9\r\n\r\n"
    upstream.answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + raw
    said = gateway.post()
    assert said.raw == raw
    assert said["x-sum"] is None  # what came after the body is not said before it
    assert said["x-ratelimit-limit-requests"] is None


def test_a_body_may_end_as_a_head_does(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = whole(b"text\r\n\r\n\r\n\r\n")
    assert gateway.post().body == b"text\r\n\r\n\r\n\r\n"


@pytest.mark.parametrize("keep", ["", "connection: keep-alive\r\n"])
@pytest.mark.parametrize("framing", [b"transfer-encoding: chunked\r\n", b""])
def test_http_1_0_clients_get_plain_bodies_and_a_close(
    gateway: Running, upstream: Upstream, framing: bytes, keep: str
) -> None:
    def answer(to: Connection, _: Asked) -> None:
        to.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n" + (chunk(ANSWER) + chunk(b"") if framing else ANSWER))
        if not framing:
            to.close()

    upstream.answer = answer
    with gateway.client() as client:
        client.send(post(head=keep).replace(b"HTTP/1.1", b"HTTP/1.0"))
        said = client.said()
        assert said["transfer-encoding"] is None
        assert said["connection"] == "close"
        assert said.body == ANSWER
        assert client.closed()


def test_a_connection_serves_many_requests(gateway: Running, upstream: Upstream) -> None:
    with gateway.client() as client:
        for _ in range(20):
            client.ask()
            assert client.said().body == ANSWER
    assert len(upstream.connections) == 1
    assert len(gateway.gateway.clients) <= 1


def test_connection_close_is_heeded(gateway: Running, upstream: Upstream) -> None:
    with gateway.client() as client:
        client.send(post(head="connection: close\r\n") + post())
        said = client.said()
        assert (said["connection"], said.body) == ("close", ANSWER)
        assert client.closed()
    assert len(upstream.asked) == 1


def test_pipelined_requests_are_answered_in_their_order(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = lambda to, asked: (time.sleep(0.01), to.send(whole(asked.body)))
    bodies = [b'{"model":"m","n":%d}' % i for i in range(12)]
    with gateway.client() as client:
        client.send(b"".join(map(post, bodies)))
        assert [client.said().body for _ in bodies] == bodies


def test_a_thousand_small_requests_may_wait_behind_one(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = lambda to, _: (time.sleep(0.05), to.send(whole(ANSWER)))
    with gateway.client() as client:
        client.send(post() + b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 2000)
        assert client.said().body == ANSWER
        assert all(client.said().status == 200 for _ in range(2000))


def test_a_request_split_at_every_byte_is_one_request(gateway: Running, upstream: Upstream) -> None:
    with gateway.client() as client:
        for byte in post():
            client.send(bytes([byte]))
        assert client.said().body == ANSWER
    assert len(upstream.asked) == 1


def test_chunked_request_bodies_arrive_whole_and_with_a_length(gateway: Running, upstream: Upstream) -> None:
    body = b'{"model":"m","max_tokens":5,"pad":"' + b"x" * 300 + b'"}'
    for size in (1, 7, 1000):
        pieces = b"".join(chunk(body[i : i + size]) for i in range(0, len(body), size))
        head = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: sk-alice\r\ntransfer-encoding: Chunked\r\n\r\n"
        with gateway.client() as client:
            client.send(head + pieces + b"0\r\nx-api-key: sk-bob\r\nx-late: 1\r\n\r\n")
            assert client.said().status == 200
        asked = upstream.asked[-1]
        assert asked.body == body
        assert asked.values(b"content-length") == [b"%d" % len(body)]
        assert not asked.values(b"transfer-encoding")
        assert not asked.values(b"x-late")


def test_head_gets_no_body_whatever_the_path(gateway: Running) -> None:
    with gateway.client() as client:
        for path, status in (("/", 200), ("/healthz", 200), ("/nowhere", 404), (MESSAGES, 401), ("/v1/models", 401)):
            client.send(f"HEAD {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            said = client.said(bodiless=True)
            assert (said.status, client.rest) == (status, b"")
            assert int(said["content-length"] or 0) > 0


def test_whoever_expects_100_is_told_to_go_on(gateway: Running) -> None:
    with gateway.client() as client:
        head, _, body = post(head="expect: 100-continue\r\n").partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        assert client.head().status == 100
        client.send(body)
        assert client.said().body == ANSWER


def test_whoever_expects_100_for_too_much_is_refused_at_once(gateway: Running) -> None:
    with gateway.client() as client:
        client.send(
            b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n"
        )
        assert client.said().status == 413


def test_an_offer_to_speak_http_2_is_passed_over(gateway: Running, upstream: Upstream) -> None:
    """As the HTTP client of the JDK makes it with every request in the clear."""
    offer = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEA\r\n"
    with gateway.client() as client:
        for _ in range(2):
            client.ask(head=offer)
            assert client.said().body == ANSWER
        client.send(f"GET /healthz HTTP/1.1\r\nhost: x\r\n{offer}\r\n".encode())
        assert client.said().status == 200
        head, _, body = post(head=offer).partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n" + body[:5])
        time.sleep(0.01)
        client.send(body[5:])
        assert client.said().body == ANSWER
    assert [json.loads(a.body)["model"] for a in upstream.asked] == ["m"] * 3
    assert not upstream.asked[0].values(b"upgrade")


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_without_a_body_stays_without(gateway: Running, upstream: Upstream, status: bytes) -> None:
    upstream.answer = b"HTTP/1.1 " + status + b"\r\n\r\n"
    with gateway.client() as client:
        for _ in range(2):
            client.ask()
            said = client.said()
            assert said.status == int(status[:3])
            assert said["transfer-encoding"] is None


def test_what_comes_before_an_answer_is_not_it(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = b"HTTP/1.1 100 Continue\r\n\r\n" * 1500 + b"HTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" + whole(ANSWER)
    assert gateway.post().body == ANSWER


# the model's name


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"model":"m","a":1}', b'{"model":"there","a":1}'),
        (b'{"a":{"model":"m"},"model":"m"}', b'{"a":{"model":"m"},"model":"there"}'),
        (b'{"model":"x","a":"\\"model\\":\\"m\\"","model":"m"}', b'{"model":"there","a":"\\"model\\":\\"m\\""}'),
        (b'{"mod\\u0065l":"m","a":[{"model":"m"}]}', b'{"model":"there","a":[{"model":"m"}]}'),
        (b'{"\\"model":"m","model":"\\u006d"}', b'{"\\"model":"m","model":"there"}'),
        (b'{"a":1e999,"b":123456789012345678901234567890,"c":"\xff","model":"m"}',
         b'{"a":1e999,"b":123456789012345678901234567890,"c":"\xff","model":"there"}'),
    ],
)  # fmt: skip
def test_a_pool_that_knows_the_model_by_another_name_is_asked_by_it(
    serve: Serve, upstream: Upstream, before: bytes, after: bytes
) -> None:
    assert serve(model="there").post(before).status == 200
    assert upstream.asked[0].body == after


def test_a_large_body_is_renamed_too(serve: Serve, upstream: Upstream) -> None:
    text = "x" * 10_000_000
    assert serve(model='th"ere/1').post({"messages": [{"content": text}], "model": "m"}).status == 200
    assert json.loads(upstream.asked[0].body) == {"messages": [{"content": text}], "model": 'th"ere/1'}


# what is refused

LINE = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: sk-alice\r\n"
BODY = b'{"model":"m"}'
HIDDEN = post()
SMUGGLED = {
    "both lengths": LINE + b"content-length: 13\r\ntransfer-encoding: chunked\r\n\r\n" + BODY,
    "both lengths, turned": LINE + b"transfer-encoding: chunked\r\ncontent-length: 13\r\n\r\n0\r\n\r\n",
    "two lengths": LINE + b"content-length: 13\r\ncontent-length: 5\r\n\r\n" + BODY,
    "the same length twice": LINE + b"content-length: 13\r\ncontent-length: 13\r\n\r\n" + BODY,
    "a list of lengths": LINE + b"content-length: 13, 13\r\n\r\n" + BODY,
    "negative length": LINE + b"content-length: -13\r\n\r\n" + BODY,
    "signed length": LINE + b"content-length: +13\r\n\r\n" + BODY,
    "length in hexadecimals": LINE + b"content-length: 0xd\r\n\r\n" + BODY,
    "length of two numbers": LINE + b"content-length: 1 3\r\n\r\n" + BODY,
    "no length": LINE + b"content-length:\r\n\r\n" + BODY,
    "length beyond 64 bits": LINE + b"content-length: 18446744073709551629\r\n\r\n" + BODY,
    "xchunked": LINE + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": LINE + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "gzip, chunked": LINE + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": LINE + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked after a tab": LINE + b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": LINE.replace(b"1.1", b"1.0") + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length in the trailer": LINE + b"transfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 9\r\n\r\n",
    "chunk of negative size": LINE + b"transfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
    "chunk of 0x3 bytes": LINE + b"transfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "chunk of huge size": LINE + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n",
    "chunk size before a space": LINE + b"transfer-encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",
    "chunk without a size": LINE + b"transfer-encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n",
    "chunk longer than it says": LINE + b"transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    "bare LF in chunks": LINE + b"transfer-encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    "LF in a chunk extension": LINE + b"transfer-encoding: chunked\r\n\r\n3;a\nabc\r\n0\r\n\r\n",
    "bare LF": LINE.replace(b"\r\n", b"\n") + b"content-length: 13\n\n" + BODY,
    "one bare LF": LINE + b"x: y\ncontent-length: 13\r\n\r\n" + BODY,
    "bare CR": LINE + b"x: y\rz: 1\r\ncontent-length: 13\r\n\r\n" + BODY,
    "folded line": LINE + b"x: y\r\n z\r\ncontent-length: 13\r\n\r\n" + BODY,
    "folded first line": b"POST /v1/messages HTTP/1.1\r\n host: x\r\n\r\n",
    "NUL": LINE + b"x: y\0z\r\ncontent-length: 13\r\n\r\n" + BODY,
    "control character": LINE + b"x: y\x01z\r\ncontent-length: 13\r\n\r\n" + BODY,
    "NUL in a name": LINE + b"x\0y: z\r\ncontent-length: 13\r\n\r\n" + BODY,
    "space before the colon": LINE + b"content-length : 13\r\n\r\n" + BODY,
    "no colon": LINE + b"content-length 13\r\n\r\n" + BODY,
    "no name": LINE + b": 13\r\n\r\n" + BODY,
    "two hosts": LINE + b"host: y\r\ncontent-length: 13\r\n\r\n" + BODY,
    "no host": LINE.replace(b"host: x\r\n", b"") + b"content-length: 13\r\n\r\n" + BODY,
    "HTTP/1.2": LINE.replace(b"1.1", b"1.2") + b"content-length: 13\r\n\r\n" + BODY,
    "no version": b"POST /v1/messages\r\nhost: x\r\n\r\n",
    "control character in the path": LINE.replace(b"/v1", b"/\x01v1") + b"content-length: 13\r\n\r\n" + BODY,
    "no method": b"/v1/messages HTTP/1.1\r\nhost: x\r\n\r\n",
    "a method of a stranger": LINE.replace(b"POST", b"POSTS") + b"content-length: 13\r\n\r\n" + BODY,
    "CONNECT": b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 60,
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a proxy's line": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_what_can_be_read_in_two_ways_is_refused(gateway: Running, upstream: Upstream, name: str) -> None:
    with gateway.client() as client:
        client.send(SMUGGLED[name] + HIDDEN)
        said = client.said()
        assert said.status in (400, 505)
        assert said["connection"] == "close"
        assert said.json["error"]["type"] == "invalid_request_error"
        assert client.closed()
    assert upstream.asked == []
    assert gateway.gateway.metrics.malformed == 1


def test_what_follows_a_good_request_is_refused_after_its_answer(gateway: Running, upstream: Upstream) -> None:
    with gateway.client() as client:
        client.send(post() + b"nonsense\r\n\r\n" + HIDDEN)
        assert client.said().body == ANSWER
        assert client.closed()
    assert len(upstream.asked) == 1


def test_a_length_of_many_zeros_is_a_number(gateway: Running, upstream: Upstream) -> None:
    with gateway.client() as client:
        client.send(LINE + b"content-length: " + b"0" * 5000 + b"13\r\n\r\n" + BODY)
        assert client.said().status == 200
    assert upstream.asked[0].body == BODY


def test_chunk_extensions_are_dropped(gateway: Running, upstream: Upstream) -> None:
    with gateway.client() as client:
        client.send(LINE + b"transfer-encoding: chunked\r\n\r\nd;a=b\r\n" + BODY + b"\r\n0\r\n\r\n" + post())
        assert client.said().status == client.said().status == 200
    assert upstream.asked[0].body == BODY


def test_10_mb_pass_and_more_than_32_mb_do_not(gateway: Running, upstream: Upstream) -> None:
    large = b'{"model":"m","x":"' + b"x" * 10_000_000 + b'"}'
    assert gateway.post(large).status == 200
    assert upstream.asked[0].body == large
    for path in (MESSAGES, CHAT):
        with gateway.client() as client:
            client.send(post(b"x" * 33_600_000, path))
            said = client.said()
            assert said.status == 413
            assert said.json["error"]["type"] == ("request_too_large" if path == MESSAGES else "invalid_request_error")
    assert len(upstream.asked) == 1


def test_more_than_32_mb_in_chunks_do_not_pass(gateway: Running) -> None:
    with gateway.client() as client:
        client.send(LINE + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"x" * 1_000_000) * 34)
        assert client.said().status == 413


def test_a_stranger_may_not_fill_the_memory(gateway: Running) -> None:
    with gateway.client() as client:
        client.send(post(b"x" * 2_000_000, key="sk-mallory"))
        assert client.said().status == 401
    with gateway.client() as client:
        client.send(
            LINE.replace(b"alice", b"mallory") + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"x" * 99_999) * 20
        )
        assert client.said().status == 401


@pytest.mark.parametrize(
    "head",
    [
        "x: " + "y" * 70_000 + "\r\n",
        "".join(f"x-{i}: {'y' * 700}\r\n" for i in range(100)),
        "".join(f"x-{i}: y\r\n" for i in range(1000)),
    ],
)
def test_a_head_that_is_too_large_is_refused(gateway: Running, upstream: Upstream, head: str) -> None:
    for split in (1 << 30, 4096):
        with gateway.client() as client:
            data = post(head=head)
            for i in range(0, len(data), split):
                client.send(data[i : i + split])
            assert client.said().status == 431
    assert upstream.asked == []


@pytest.mark.parametrize("data", [b"POST /v1/messages?" + b"x" * 70_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n"])
def test_a_path_that_is_too_long_is_refused(gateway: Running, data: bytes) -> None:
    with gateway.client() as client:
        client.send(data)
        assert client.said().status == 431


def test_extensions_and_trailers_without_end_are_refused(gateway: Running) -> None:
    for endless in (b"3;a=" + b"b" * 200_000, b"3\r\nabc\r\n0\r\nx: " + b"y" * 200_000):
        with gateway.client() as client:
            client.send(LINE + b"transfer-encoding: chunked\r\n\r\n" + endless)
            assert client.said().status == 431


def test_a_32_mb_body_of_tiny_chunks_stays_small_in_memory(gateway: Running, upstream: Upstream) -> None:
    body = b'{"model":"m","x":"' + b"x" * 300_000 + b'"}'
    with gateway.client() as client:
        data = b"".join(chunk(body[i : i + 2]) for i in range(0, len(body), 2))
        client.send(LINE + b"transfer-encoding: chunked\r\n\r\n" + data + chunk(b""))
        assert client.said().status == 200
    assert upstream.asked[0].body == body


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"model":1}', b'{"max_tokens":1}', b'{"model":"m","max_tokens":"9"}', b"\xff\xfe",
     b'{"model":"m","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"model":"\\ud800"}'],
)  # fmt: skip
def test_a_body_that_is_not_what_the_api_asks_for_is_a_400(gateway: Running, upstream: Upstream, body: bytes) -> None:
    with gateway.client() as client:
        client.ask(body)
        said = client.said()
        assert (said.status, said.json["error"]["type"]) == (400, "invalid_request_error")
        client.ask()
        assert client.said().status == 200  # the connection is sound
    assert len(upstream.asked) == 1


def test_numbers_beyond_64_bits_stay_within_the_journal(gateway: Running) -> None:
    assert gateway.post(b'{"model":"m","max_tokens":123456789012345678901234567890}').status in (200, 429)
    assert gateway.post(b'{"model":"m","max_tokens":-5}').status == 200
    eventually(gateway.idle)
