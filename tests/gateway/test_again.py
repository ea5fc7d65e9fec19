"""Heads that come again are read as the parser reads them: whatever comes, cut anywhere, says the same either way."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ampacity.gateway.again import AT_ONCE, AT_TIMES, Again
from ampacity.gateway.client import Client
from ampacity.gateway.request import Malformed, Request
from ampacity.gateway.upstream import AnswerHead, Connections, Upstream


class Wire:
    """A transport that keeps what is done with it."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, _: str) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        return lambda: self.done.append(name)


class Never(Again[Any]):
    """No head is known, so that the parser reads all: the slow way that the quick one is held against."""

    def found(self, data: bytes) -> None:
        return None


def clients_tell(pieces: list[bytes], again: Again[Any]) -> list[Any]:
    """What a client's connection makes of what comes: requests in order, words to the client, whether it closes."""
    told: list[Any] = []

    def answer(client: Client, request: Request) -> None:
        told.append(request)
        client.done(request.head.keep_alive)

    def malformed(_: Client, why: Malformed) -> None:
        told.append((why.status, why.message))

    gateway: Any = SimpleNamespace(
        now_s=lambda: 0.0,
        clients=set(),
        turn=SimpleNamespace(came=Client.answer_now),
        answer=answer,
        answer_malformed=malformed,
        knows=lambda headers: any(name == b"x-api-key" for name, _ in headers),
    )
    client = Client(gateway)
    client._again = again
    wire: Any = Wire()
    client.connection_made(wire)
    for piece in pieces:
        client.data_received(piece)
        told.append(len(wire.done))  # when it was done, not only in which order
    return [*told, wire.done, client.idle]


class Reader:
    """Who asked a pool, and keeps what it hears."""

    attempt = 0
    upstream: Upstream | None = None

    def __init__(self, wants: bool) -> None:
        self.heard: list[Any] = []
        self._wants = wants

    def head(self, head: AnswerHead, length: bytes | None) -> bool:
        self.heard.append((head, length))
        if not self._wants and self.upstream is not None:
            self.upstream.drop()
        return self._wants

    def relay(self, raw: bytes, pieces: list[bytes], complete: bool) -> None:
        self.heard.append((raw, pieces, complete))

    def broken(self, *what: Any) -> None:
        self.heard.append(what)


def pools_tell(answers: list[tuple[list[bytes], bool]], again: Again[AnswerHead]) -> list[Any]:
    """What is heard of answers that come one after another from one pool; each in pieces, wanted or not."""
    loop: Any = SimpleNamespace()
    pool = Connections("http://127.0.0.1:9", loop)
    pool.again = again
    told: list[Any] = []
    for pieces, wanted in answers:
        upstream = pool._idle.pop() if pool._idle else Upstream(pool)
        wire: Any = Wire()
        upstream.connection_made(wire)
        reader = Reader(wanted)
        reader.upstream = upstream
        upstream.send(reader, b"")
        for piece in pieces:
            if not upstream.closed:
                upstream.data_received(piece)
                told.append((len(reader.heard), list(wire.done), upstream.between_chunks))
        if not upstream.closed and upstream.exchange is not None:
            upstream.connection_lost(None)
        told.append((reader.heard, len(pool._idle), upstream.used))
    return told


STARTS = (
    b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: k\r\n",
    b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: a\r\nX-Api-Key: l\r\n",
    b"POST /v1/chat/completions HTTP/1.0\r\nhost: a\r\n",
    b"POST /v1/messages HTTP/1.1\r\nx-api-key: k\r\n",  # no host
    b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-of: Content-Length: 5\r\n",
)
LENGTHS = (b"content-length: ", b"Content-Length: ", b"content-length:", b"content-length:  ", b"content-length : ")
ENDS = (
    b"\r\n\r\n",
    b"\r\naccept: */*\r\n\r\n",
    b"\r\naccept: a/b\r\n\r\n",
    b"\r\ncontent-length: 3\r\n\r\n",
    b"\r\ntransfer-encoding: chunked\r\n\r\n",
    b"\r\nexpect: 100-continue\r\n\r\n",
    b"\r\nconnection: close\r\n\r\n",
    b"\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    b"\n\n",
    b" \r\n\r\n",
)
BODIES = (b"", b"{}", b"abc", b"\r\n\r\n", b"0\r\n\r\n", b"x" * 1000, b"POST / HTTP/1.1\r\nhost: a\r\n\r\n")
WRONG = (b"%d", b"%d", b"%d", b"%d", b"0%d", b"+%d", b"-%d", b"1%d", b"%d, 3", b"", b"000000000000%d")
ANSWERS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n",
    b"HTTP/1.1 529 Overloaded\r\nretry-after: 3\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
)


def messages(starts: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Messages of which most are as they should be, and many alike."""
    often_first = st.sampled_from([starts[0]] * 3 + list(starts))
    return st.builds(
        lambda start, name, wrong, end, body, more: (
            start + name + (wrong % len(body) if b"%" in wrong else wrong) + end + body + more
        ),
        often_first,
        st.sampled_from(LENGTHS[:1] * 5 + LENGTHS),
        st.sampled_from(WRONG),
        st.sampled_from(ENDS[:1] * 4 + ENDS[1:3] * 3 + ENDS),
        st.sampled_from(BODIES),
        st.sampled_from((b"",) * 8 + (b"x", b"\r\n", STARTS[0])),
    )


def cut(message: bytes, at: list[int]) -> list[bytes]:
    """A message in pieces."""
    places = sorted({min(place, len(message)) for place in at} | {0, len(message)})
    return [message[a:b] for a, b in pairwise(places)]


CUTS = st.one_of(st.just([]), st.just([]), st.lists(st.integers(0, 150), max_size=3))


@settings(max_examples=500)
@given(st.lists(st.tuples(messages(STARTS), CUTS), min_size=1, max_size=8), st.booleans())
@example([(STARTS[0] + b"content-length: 2\r\n\r\n{}", [])] * 3, False)
@example([(STARTS[0] + b"content-length: 2\r\n\r\n{}", []), (STARTS[0] + b"content-length: 3\r\n\r\nabc", [])], True)
def test_requests_are_those_that_the_parser_reads(came: list[tuple[bytes, list[int]]], joined: bool) -> None:
    pieces = [piece for message, at in came for piece in cut(message, at)]
    if joined:
        pieces = [a + b for a, b in zip(pieces[::2], [*pieces[1::2], b""], strict=False)]
    assert clients_tell(pieces, Again()) == clients_tell(pieces, Never())


@settings(max_examples=500)
@given(st.lists(st.tuples(messages(ANSWERS), CUTS, st.booleans()), min_size=1, max_size=8))
@example([(ANSWERS[0] + b"content-length: 2\r\n\r\n{}", [], True)] * 3)
@example(
    [(ANSWERS[0] + b"content-length: 2\r\n\r\n{}", [], True), (ANSWERS[0] + b"content-length: 0\r\n\r\n", [], True)]
)
def test_answers_are_those_that_the_parser_reads(came: list[tuple[bytes, list[int], bool]]) -> None:
    answers = [(cut(message, at), wanted) for message, at, wanted in came]
    assert pools_tell(answers, Again()) == pools_tell(answers, Never())


def test_a_head_is_known_by_its_second_coming_whatever_the_length() -> None:
    again: Again[str] = Again()
    head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\naccept: */*\r\n\r\n"
    first = head % 2 + b"{}"
    assert again.found(first) is None
    again.learn(first, 2, "read")
    for size in (2, 0, 7, 123_456):
        what = again.found(head % size + b"y" * size)
        assert what == ("read", len(head % size))
    for other in (head % 3 + b"{}", head % 1 + b"{}", first.replace(b"a\r\n", b"b\r\n"), first.upper(), first[:-3]):
        assert again.found(other) is None


def test_heads_that_always_differ_are_seldom_learned() -> None:
    again: Again[int] = Again()
    learned = set()
    for i in range(1000):
        said = b"HTTP/1.1 200 OK\r\nx-request-id: %d\r\ncontent-length: 2\r\n\r\n{}" % i
        assert again.found(said) is None
        again.learn(said, 2, i)
        learned.add(again._what)
    assert len(learned) == AT_ONCE + 1000 // AT_TIMES
