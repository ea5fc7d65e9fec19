"""Streams of events pass as they are, however they are cut, and what they cost is counted, also when they break."""

from __future__ import annotations

import json
import threading
import time

import pytest
from gateways import (
    CHAT,
    DELTA,
    END,
    START,
    STREAM,
    STREAM_HEAD,
    WEIGHTS,
    Asked,
    Connection,
    Running,
    Serve,
    Upstream,
    chunk,
    eventually,
    post,
)

from ampacity.journal.records import ABORTED, ADMITTED, RELEASED, SETTLED

ASK = {"model": "m", "stream": True}
COUNTED = (SETTLED, 10, 0, 90, 9)
WEIGHED = 10 * 1000 + 90 * 100 + 9 * 5000
BARE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
CRLF = STREAM.replace(b"\n", b"\r\n")


def streamed(*pieces: bytes) -> bytes:
    return STREAM_HEAD + b"".join(map(chunk, pieces)) + chunk(b"")


@pytest.mark.parametrize("events", [STREAM, CRLF, b": a comment\n\nevent: ping\ndata: {}\n\n" + STREAM, b"\n" + STREAM])
def test_a_stream_split_at_every_byte_passes(gateway: Running, upstream: Upstream, events: bytes) -> None:
    """Its chunks, the head before them and the letters of two bytes in it."""
    upstream.answer = lambda to, _: to.drip(streamed(events[:200], events[200:]))
    assert gateway.post(ASK).body == events
    assert gateway.ends() == [COUNTED]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_chunks_of_any_size_pass_with_their_framing(gateway: Running, upstream: Upstream, size: int) -> None:
    data = streamed(*(STREAM[i : i + size] for i in range(0, len(STREAM), size)))
    upstream.answer = data
    assert gateway.post(ASK).raw == data[len(STREAM_HEAD) :]
    assert gateway.ends() == [COUNTED]
    assert gateway.used() == WEIGHED


def test_the_head_of_a_chunk_may_come_before_the_chunk(gateway: Running, upstream: Upstream) -> None:
    head = b"%x\r\n" % len(STREAM)
    pieces = STREAM_HEAD + head, STREAM + b"\r\n", b"0", b"\r\n\r\n"
    upstream.answer = lambda to, _: to.send(*pieces, pause_s=0.01)
    assert gateway.post(ASK).raw == chunk(STREAM) + chunk(b"")


def test_events_pass_as_they_come(gateway: Running, upstream: Upstream) -> None:
    go_on = threading.Event()

    def answer(to: Connection, _: Asked) -> None:
        to.send(STREAM_HEAD, chunk(START))
        assert go_on.wait(5)
        to.send(chunk(END), chunk(b""))

    upstream.answer = answer
    with gateway.client() as client:
        client.ask(ASK)
        assert client.until(b"\n\n\r\n").endswith(START + b"\r\n")
        go_on.set()
        assert client.until(b"0\r\n\r\n").endswith(END + b"\r\n0\r\n\r\n")


def test_an_event_of_1_mb_passes_whole(gateway: Running, upstream: Upstream) -> None:
    large = b'data: {"type":"content_block_delta","delta":{"text":"' + b"x" * 1_000_000 + b'"}}\n\n'
    events = START + large + END
    upstream.answer = streamed(*(events[i : i + 777] for i in range(0, len(events), 777)))
    assert gateway.post(ASK).body == events
    assert gateway.ends() == [COUNTED]


def test_a_stream_that_ends_with_its_connection_is_framed_anew(gateway: Running, upstream: Upstream) -> None:
    def answer(to: Connection, _: Asked) -> None:
        to.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", START, DELTA, END, pause_s=0.002)
        to.close()

    upstream.answer = answer
    with gateway.client() as client:
        for _ in range(2):
            client.ask(ASK)
            said = client.said()
            assert (said["transfer-encoding"], said.body) == ("chunked", START + DELTA + END)
    assert gateway.ends() == [COUNTED] * 2


def test_openai_streams_tell_their_use_last(gateway: Running, upstream: Upstream) -> None:
    text = b'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}\n\n'
    use = b'{"prompt_tokens":50,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":20}}'
    upstream.answer = streamed(*[text] * 5, b'data: {"choices":[],"usage":' + use + b"}\n\ndata: [DONE]\n\n")
    gateway.post({**ASK, "stream_options": {"include_usage": True}}, CHAT)
    assert gateway.ends() == [(SETTLED, 30, 0, 20, 7)]


def test_a_stream_that_never_tells_is_counted(gateway: Running, upstream: Upstream) -> None:
    text = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    upstream.answer = streamed(*[text] * 5, b"data: [DONE]\n\n")
    gateway.post({**ASK, "pad": "x" * 400}, CHAT)
    ((status, uncached, _, _, output),) = gateway.ends()
    assert (status, output) == (SETTLED, 5)
    assert uncached > 100


# what breaks


def broken_after(*pieces: bytes, pause_s: float = 0.05):  # type: ignore[no-untyped-def]
    def answer(to: Connection, _: Asked) -> None:
        to.send(*pieces, pause_s=pause_s)
        to.close()

    return answer


@pytest.mark.parametrize("path", ["/v1/messages", CHAT])
def test_an_upstream_that_dies_in_a_stream_is_told_as_an_event(gateway: Running, upstream: Upstream, path: str) -> None:
    upstream.answer = broken_after(STREAM_HEAD + chunk(START), *[chunk(DELTA)] * 3)
    with gateway.client() as client:
        client.ask(ASK, path)
        said = client.said()
        assert client.closed()
    assert said.body.startswith(START + 3 * DELTA)
    event = said.body[len(START + 3 * DELTA) :]
    told = json.loads(event.partition(b"data: ")[2])
    if path == CHAT:
        assert told["error"]["type"] == "server_error"
    else:
        assert event.startswith(b"\nevent: error\n")
        assert (told["type"], told["error"]["type"]) == ("error", "api_error")
    assert gateway.ends() == [(ABORTED, 10, 0, 90, 3)]


@pytest.mark.parametrize(
    "rest",
    [b"5\r\nda", b"1f", b"1f\r", b"1f\r\n", b"6\r\ndata: \r\n", b"6\r\ndata: ", b"6\r\ndata: \r"],
    ids=repr,
)
def test_in_the_midst_of_a_chunk_or_line_nothing_is_put(gateway: Running, upstream: Upstream, rest: bytes) -> None:
    upstream.answer = broken_after(STREAM_HEAD + chunk(START), rest)
    with gateway.client() as client:
        client.ask(ASK)
        raw = client.to_the_end()
    assert raw.endswith(chunk(START) + rest)  # not ended, so the client knows
    assert gateway.ends()[0][:2] == (ABORTED, 10)


def test_between_two_lines_of_an_event_it_is_ended_first(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = broken_after(STREAM_HEAD + chunk(START), chunk(b"event: ping\n"))
    body = gateway.post(ASK).body
    assert body.startswith(START + b"event: ping\n\nevent: error\ndata: {")


def test_garbage_in_a_stream_ends_it_and_reaches_nobody(gateway: Running, upstream: Upstream) -> None:
    upstream.answer = broken_after(STREAM_HEAD + chunk(START), chunk(DELTA) + b"zzz\r\nHTTP/1.1 200 OK\r\n\r\n")
    body = gateway.post(ASK).body
    assert body.startswith(START + b"\nevent: error")
    assert b"zzz" not in body


def test_a_stream_of_known_length_that_breaks_is_short(gateway: Running, upstream: Upstream) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n"
    upstream.answer = broken_after(head + START)
    with gateway.client() as client:
        client.ask(ASK)
        assert client.to_the_end().endswith(START)
    assert gateway.ends()[0][0] == ABORTED


def test_a_broken_answer_to_an_http_1_0_client_is_reset(gateway: Running, upstream: Upstream) -> None:
    """To close is how such an answer ends when it is whole."""
    upstream.answer = broken_after(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"{"))
    with gateway.client() as client:
        client.send(post().replace(b"HTTP/1.1", b"HTTP/1.0"))
        with pytest.raises(ConnectionResetError):
            client.to_the_end()


def test_a_stream_that_falls_silent_is_broken_off(serve: Serve, upstream: Upstream, quick_looks: None) -> None:
    upstream.answer = lambda to, _: (to.send(STREAM_HEAD, chunk(START), chunk(DELTA)), to.until_gone())
    gateway = serve(settings={"silence_s": 0.1})
    assert b"event: error" in gateway.post(ASK).body
    eventually(lambda: upstream.connections[0].gone.is_set())
    assert gateway.ends() == [(ABORTED, 10, 0, 90, 1)]


@pytest.mark.parametrize("events", [START + 3 * DELTA, b'data: {"choices":[{"delta":{"content":"h"}}]}\n\n'])
def test_a_stream_that_ends_with_its_connection_and_does_not_say_so_is_broken_off(
    gateway: Running, upstream: Upstream, events: bytes
) -> None:
    upstream.answer = lambda to, _: (to.drip(BARE_HEAD + events), to.close())
    with gateway.client() as client:
        client.ask(ASK)
        said = client.said()
        assert said.body.startswith(events) and b"event: error" in said.body
        assert client.closed()
    eventually(gateway.idle)
    assert gateway.ends()[0][0] == ABORTED
    assert gateway.do(lambda g: g.metrics.cut_short) == 1


@pytest.mark.parametrize("end", [END, b"data: [DONE]\n\n", b'data: {"choices":[{"finish_reason":"stop"}]}\n\n'])
def test_one_that_says_so_is_whole(gateway: Running, upstream: Upstream, end: bytes) -> None:
    upstream.answer = lambda to, _: (to.drip(BARE_HEAD + START + DELTA + end), to.close())
    assert gateway.post(ASK).body == START + DELTA + end
    assert gateway.ends()[0][0] == SETTLED


# who goes


@pytest.mark.parametrize("pace_ns", [1, 1_000_000, 16_000_000])
def test_a_client_that_goes_before_the_first_byte_pays_what_the_pool_can_have_computed(
    serve: Serve, upstream: Upstream, pace_ns: int
) -> None:
    """Of a prompt of 1,000 tokens: all at a nanosecond each, some at a millisecond, few at sixteen."""
    gateway = serve(pool={"pace_ns": pace_ns})
    upstream.answer = lambda to, _: to.until_gone()
    with gateway.client() as client:
        began = time.monotonic()
        client.ask(dict(ASK, system="x" * 4000))
        eventually(lambda: upstream.asked)
        time.sleep(0.05)
        client.close()
        eventually(gateway.idle)
        took_s = time.monotonic() - began
    eventually(lambda: upstream.connections[0].gone.is_set())
    ((status, uncached, *others),) = gateway.ends()
    prompt = gateway.do(lambda g: g.recorder.last[1][0])
    assert 1000 < prompt < 1100 and others == [0, 0, 0]
    assert status == (ABORTED if uncached else RELEASED)
    assert min(0.045e9 // pace_ns, prompt) <= uncached <= min((took_s + 0.01) * 1e9 / pace_ns, prompt)
    assert gateway.used() == uncached * WEIGHTS.uncached


def test_who_leaves_an_answer_that_comes_whole_pays_what_the_pool_can_have_written(
    gateway: Running, upstream: Upstream
) -> None:
    """At the pace of the pool's streams, once there has been one; never more than was asked for."""
    many = START + b'data: {"type":"content_block_delta","delta":{"text":"x"}}\n\n' * 200 + END
    upstream.answer = lambda to, _: to.send(STREAM_HEAD, chunk(many[:-50]), chunk(many[-50:]), chunk(b""), pause_s=0.05)
    assert gateway.post(ASK).status == 200
    each_s = gateway.do(lambda g: g.pools["pool-0"].token_s)
    assert each_s > 0
    upstream.answer = lambda to, _: to.until_gone()
    for most in (10_000, 3):
        before = len(upstream.asked)
        with gateway.client() as client:
            began = time.monotonic()
            client.ask({"model": "m", "max_tokens": most})
            eventually(lambda n=before: len(upstream.asked) > n)
            time.sleep(0.3)
            client.close()
            eventually(gateway.idle)
            took_s = time.monotonic() - began
        _, uncached, _, _, output = gateway.ends()[-1]
        assert uncached > 0
        assert min(int(0.25 / each_s), most) <= output <= min(int(took_s / each_s) + 1, most)
    assert gateway.do(lambda g: sum(c.outcomes[ADMITTED] for c in g.metrics.kinds.values())) == 3


def test_a_client_that_goes_while_it_waits_for_a_pool_pays_nothing(serve: Serve, upstream: Upstream) -> None:
    gateway = serve(slots=1, pool={"pace_ns": 1})
    upstream.answer = lambda to, _: to.until_gone()
    with gateway.client() as first, gateway.client() as second:
        first.ask(ASK)
        eventually(lambda: upstream.asked)
        second.ask(ASK, key="sk-bob")
        eventually(lambda: gateway.do(lambda g: g.desk.services["m"].waiting) == 1)
        second.close()
        eventually(lambda: gateway.do(lambda g: g.desk.services["m"].waiting) == 0)
        assert gateway.used(2) == 0


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("k", [0, 1, 5])
def test_a_client_that_goes_at_event_k_pays_what_came(gateway: Running, upstream: Upstream, k: int, how: str) -> None:
    upstream.answer = lambda to, _: (to.send(STREAM_HEAD + chunk(START) + chunk(DELTA) * k), to.until_gone())
    client = gateway.client()
    client.ask(ASK)
    client.until(chunk(START) + chunk(DELTA) * k)
    getattr(client, how)()
    eventually(lambda: upstream.connections[0].gone.is_set())
    eventually(gateway.idle)
    assert gateway.ends() == [(ABORTED, 10, 0, 90, max(k, 1) if k > 2 else 1)]


def test_a_client_that_goes_while_a_connection_is_made_is_forgotten(gateway: Running, upstream: Upstream) -> None:
    for _ in range(50):
        client = gateway.client()
        client.ask(ASK)
        client.reset()
    assert gateway.post().status == 200  # all before it have been accepted
    eventually(lambda: not gateway.gateway.clients)
    eventually(gateway.idle)


def test_a_slow_reader_holds_up_its_upstream_and_no_memory(gateway: Running, upstream: Upstream) -> None:
    sent = [0]
    piece = chunk(DELTA * 500)

    def answer(to: Connection, _: Asked) -> None:
        to.send(STREAM_HEAD)
        for _ in range(1000):  # 50 MB
            to.send(piece)
            sent[0] += len(piece)
        to.send(chunk(END), chunk(b""))

    upstream.answer = answer
    with gateway.client(receive_bytes=4096) as client:
        client.ask(ASK)
        client.head()
        before = -1
        while before != sent[0]:
            before = sent[0]
            time.sleep(0.1)
        assert before < 20_000_000
        buffered = gateway.do(lambda g: sum(c.transport.get_write_buffer_size() for c in g.clients))
        assert buffered < 1_000_000
        client.reset()


def test_a_slow_reader_gets_all_of_it_in_the_end(serve: Serve, upstream: Upstream, quick_looks: None) -> None:
    """And is not taken for an upstream that is silent."""
    events = START + DELTA * 60_000 + END
    upstream.answer = streamed(*(events[i : i + 50_000] for i in range(0, len(events), 50_000)))
    gateway = serve(settings={"silence_s": 0.4})
    with gateway.client(receive_bytes=4096) as client:
        client.ask(ASK)
        client.head()
        time.sleep(0.2)
        client.sock.setsockopt(1, 8, 1 << 20)
        while len(client.rest) < 3_000_000:
            client.more()
        time.sleep(0.2)
        client.until(b"\r\n0\r\n\r\n")
    assert gateway.ends() == [COUNTED]


def test_a_client_that_stops_reading_is_given_up(serve: Serve, upstream: Upstream, quick_looks: None) -> None:
    events = START + DELTA * 200_000
    upstream.answer = streamed(*(events[i : i + 50_000] for i in range(0, len(events), 50_000)))
    gateway = serve(settings={"silence_s": 0.1})
    with gateway.client(receive_bytes=4096) as client:
        client.ask(ASK)
        client.head()
        eventually(gateway.idle)
        assert gateway.ends()[0][:2] == (ABORTED, 10)
        assert gateway.gateway.metrics.cut_short == 0  # it was not the pool's fault


def test_a_client_that_pipelines_and_does_not_read_is_not_answered_on(gateway: Running, upstream: Upstream) -> None:
    client = gateway.client(receive_bytes=4096)
    client.sock.settimeout(0.3)
    line = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-api-key: sk-alice\r\n\r\n" * 1000
    with pytest.raises(TimeoutError):
        for _ in range(1000):
            client.send(line)
    held = gateway.do(lambda g: [(c.transport.get_write_buffer_size(), len(c._waiting)) for c in g.clients])
    assert held[0][0] < 2_000_000
    assert held[0][1] < 20_000
    client.reset()
