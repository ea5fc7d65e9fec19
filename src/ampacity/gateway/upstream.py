"""Connections to a pool: kept open, used one request at a time, and read with the suspicion that strangers deserve.

An answer's bytes go to the client as they came, framing and all; the parser beside them finds where the answer ends,
and that it is one. What comes unasked ends the connection.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Protocol, cast
from urllib.parse import urlsplit

import httptools

from ampacity.gateway.again import Again
from ampacity.policy.health import CUT_OFF, REFUSED, TIMED_OUT

HEAD_MOST = 64 * 1024
NO_BODY = (204, 304)
IDLE_MOST = 512  # connections kept open to one pool
CONNECT_S = 5.0


@dataclass(slots=True)
class AnswerHead:
    """What an answer says before its body. headers: all but the length; names in small letters.

    chunked, sized: how one sees where its body ends; neither: by the end of its connection. stream: of events.
    Answers of a pool may share it, and then also how it is passed back.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    chunked: bool
    sized: bool
    lasting: bool
    stream: bool
    passed_back: bytes | None = field(default=None, compare=False, repr=False)


class Asking(Protocol):
    """Whose answer a connection brings. attempt: another number once what was asked is not wanted any more."""

    attempt: int
    upstream: Upstream | None

    def head(self, head: AnswerHead, length: bytes | None) -> bool:
        """The head of an answer, and the length of its body if it says it; False if the answer is not wanted."""

    def relay(self, raw: bytes, pieces: list[bytes], complete: bool) -> None:
        """Bytes of its body, as they came and without their framing."""

    def broken(self, why: str, answer: int, untouched: bool = False) -> None:
        """There is no answer, or not all of it."""


class NoHttp(Exception):
    """What came is no answer, or more than one."""


class Upstream(asyncio.Protocol):
    """One connection. `exchange` is whose answer it brings."""

    def __init__(self, pool: Connections) -> None:
        self._pool = pool
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.exchange: Asking | None = None
        self.used = False  # for an earlier request: then it may have been closed meanwhile, by nobody's fault
        self.closed = False
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head: bytes | None = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._length: bytes | None = None
        self._pieces: list[bytes] = []
        self._bare = 0  # bytes since the last that belonged to a body
        self._headed = self._complete = self._again = self._lasting = False
        self._sized = self._chunked = self._in_chunk = False
        self.between_chunks = True  # whether a chunk of ours could stand after what was passed on

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def send(self, exchange: Asking, data: bytes) -> None:
        """Ask; the exchange hears of what comes."""
        self.exchange = exchange
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.drop()
            return
        try:
            if self._head is None:
                self._parser.feed_data(data)
                self._relay(exchange, data)
            elif self._head or (found := self._pool.again.found(data)) is None:
                self._in_head(exchange, data)
            else:
                self._whole(exchange, data, *found)
        except (httptools.HttpParserError, NoHttp):
            self.drop()
            exchange.broken("it answered what is no HTTP", CUT_OFF)

    def _whole(self, exchange: Asking, data: bytes, head: AnswerHead, at: int) -> None:
        """An answer that came whole and at once, under a head that is known."""
        body = data[at:]
        if exchange.head(head, b"%d" % len(body)) and self.exchange is exchange:
            self.exchange = None
            self._keep()
            exchange.relay(body, [body] if body else [], True)

    def _in_head(self, exchange: Asking, data: bytes) -> None:
        data = self._head + data if self._head else data
        end = data.find(b"\r\n\r\n")
        while end >= 0 and data[8:10] == b" 1":  # 1xx: what comes before the answer
            data = data[end + 4 :]
            end = data.find(b"\r\n\r\n")
        if end > HEAD_MOST or (end < 0 and len(data) > HEAD_MOST):
            raise NoHttp
        if end < 0:
            self._head = data
            return
        self._head = None
        self._parser.feed_data(data)
        status = self._parser.get_status_code()
        self._sized = self._sized or status in NO_BODY
        kind = next((value for name, value in self._headers if name == b"content-type"), b"")
        stream = kind.startswith(b"text/event-stream")
        head = AnswerHead(status, self._headers, self._chunked, self._sized, self._lasting, stream)
        if self._length and self._complete and self._lasting and self._pieces and not self._again:
            self._pool.again.learn(data, sum(map(len, self._pieces)), head)
        if exchange.head(head, self._length) and self.exchange is exchange:
            self._relay(exchange, data[end + 4 :])

    def _relay(self, exchange: Asking, raw: bytes) -> None:
        pieces, complete = self._pieces, self._complete
        self._pieces = []
        if pieces:
            self._bare = 0
        else:
            self._bare += len(raw)
            if self._bare > HEAD_MOST:
                raise NoHttp  # extensions and trailers without end
        if complete:
            self._end(raw, pieces)
        else:
            self.between_chunks = not self._in_chunk and raw[-1:] == b"\n"
        exchange.relay(raw, pieces, complete)

    def _end(self, raw: bytes, pieces: list[bytes]) -> None:
        """The answer is whole: keep the connection if nothing came after it, and nothing of the request is unsent."""
        after = raw.endswith(b"\r\n\r\n\r\n") if self._chunked else len(raw) != sum(map(len, pieces))
        if self._again or after:
            raise NoHttp
        self.exchange = None
        if (self._chunked or self._sized) and self._lasting:
            self._reset()
            self._keep()
        else:
            self.drop()

    def _keep(self) -> None:
        """Nothing is read of its next answer yet: keep the connection, if all that was asked over it is sent."""
        if self.closed or self.transport.get_write_buffer_size() > 0:
            self.drop()
        else:
            self._pool.give_back(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._pool.forget(self)
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        framed = self._chunked or self._sized
        if self._head is None and not framed and exc is None:
            exchange.relay(b"", [], True)  # an answer that ends with its connection
        else:
            untouched = self.used and self._head == b""
            exchange.broken("it closed the connection", CUT_OFF, untouched)

    def drop(self) -> None:
        """Close at once; nothing more is heard of."""
        self.exchange = None
        self.closed = True
        self._pool.forget(self)
        if self.transport is not None:
            self.transport.abort()

    def hold_up(self, paused: bool) -> None:
        """Read nothing for now, or go on."""
        if not self.closed:
            if paused:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    # what the parser calls

    def on_message_begin(self) -> None:
        if self._complete:
            self._again = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._headed:  # a trailer, or a second answer's
            return
        name = name.lower()
        if name == b"content-length":
            self._sized, self._length = True, value
            return
        if name == b"transfer-encoding":
            self._chunked = True
            if value.strip().lower() != b"chunked":
                raise NoHttp
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if not self._headed:  # else a second answer's
            self._lasting = self._parser.should_keep_alive()  # asked later, the parser no longer knows
        self._headed = True

    def on_chunk_header(self) -> None:
        self._in_chunk = True

    def on_chunk_complete(self) -> None:
        self._in_chunk = False

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._complete = True


class Connections:
    """All connections to one address."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop) -> None:
        parts = urlsplit(url)
        self._loop = loop
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self.authority = parts.netloc.rpartition("@")[2].encode()
        self.prefix = parts.path.rstrip("/").removesuffix("/v1").encode()
        self.again: Again[AnswerHead] = Again()
        self._idle: list[Upstream] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, exchange: Asking, data: bytes, anew: bool) -> None:
        """Send a request over a connection that is open, or (anew: in any case) over a new one."""
        while self._idle and not anew:
            upstream = self._idle.pop()
            if not upstream.closed and not upstream.transport.is_closing():
                exchange.upstream = upstream
                upstream.send(exchange, data)
                return
        task = self._loop.create_task(self._connect(exchange, exchange.attempt, data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, exchange: Asking, attempt: int, data: bytes) -> None:
        try:
            connecting = self._loop.create_connection(lambda: Upstream(self), self._host, self._port, ssl=self._tls)
            _, upstream = await asyncio.wait_for(connecting, CONNECT_S)
        except (OSError, TimeoutError) as err:
            if exchange.attempt == attempt:
                late = isinstance(err, TimeoutError)
                why = "no connection in time" if late else "it refuses connections"
                exchange.broken(why, TIMED_OUT if late else REFUSED)
            return
        if exchange.attempt != attempt:  # it was taken back meanwhile
            self.give_back(upstream)
            return
        if upstream.closed:
            exchange.broken("it closed the connection", CUT_OFF)
            return
        exchange.upstream = upstream
        upstream.send(exchange, data)

    def give_back(self, upstream: Upstream) -> None:
        """Keep a connection for the next request."""
        upstream.used = True
        if upstream.closed:
            return
        if len(self._idle) < IDLE_MOST:
            self._idle.append(upstream)
        else:
            upstream.drop()

    def forget(self, upstream: Upstream) -> None:
        """A connection is closed."""
        if upstream in self._idle:
            self._idle.remove(upstream)

    def close(self) -> None:
        """Close what is idle and stop connecting."""
        for upstream in list(self._idle):
            upstream.drop()
        for task in self._tasks:
            task.cancel()
