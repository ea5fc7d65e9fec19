"""Connections to a pool: kept open, used one request at a time, and read with the suspicion that strangers deserve.

An answer's bytes go to the client as they came, framing and all; the parser beside them finds where the answer ends,
and that it is one. What comes unasked ends the connection.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import httptools

from ampacity.policy.health import CUT_OFF, REFUSED, TIMED_OUT

if TYPE_CHECKING:
    from ampacity.gateway.exchange import Exchange

HEAD_MOST = 64 * 1024
IDLE_MOST = 512  # connections kept open to one pool
CONNECT_S = 5.0


class Upstream(asyncio.Protocol):
    """One connection. `exchange` is whose answer it brings."""

    def __init__(self, pool: Connections) -> None:
        self._pool = pool
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.exchange: Exchange | None = None
        self.used = False  # for an earlier request: then it may have been closed meanwhile, by nobody's fault
        self.closed = False
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head: bytes | None = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._complete = self._framed = self._again = self._keep = False
        self.between_chunks = True  # whether a chunk of ours could stand here

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def send(self, exchange: Exchange, data: bytes) -> None:
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
            else:
                self._in_head(exchange, data)
        except (httptools.HttpParserError, ValueError):
            self.drop()
            exchange.broken("it answered what is no HTTP", CUT_OFF)

    def _in_head(self, exchange: Exchange, data: bytes) -> None:
        data = self._head + data if self._head else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > HEAD_MOST:
                raise ValueError
            self._head = data
            return
        end += 4
        if b" 1" in data[8:10]:  # 1xx: what comes before the answer
            self._head = b""
            if data[end:]:
                self._in_head(exchange, data[end:])
            return
        self._head = None
        self._parser.feed_data(data)
        if not exchange.head(self._parser.get_status_code(), self._headers, self._framed):
            return
        if self.exchange is exchange:
            self._relay(exchange, data[end:])

    def _relay(self, exchange: Exchange, raw: bytes) -> None:
        pieces, complete = self._pieces, self._complete
        self._pieces = []
        if complete:
            if self._again or (raw and raw.endswith(b"\r\n\r\n\r\n")):
                raise ValueError  # more than the answer
            self.exchange = None
            if self._keep and self._framed and not self.closed:
                self.used = True
                self._reset()
                self._pool.give_back(self)
            else:
                self.drop()
        exchange.relay(raw, pieces, complete)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._pool.forget(self)
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        if self._head is None and not self._framed and not self._complete and exc is None:
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
        if self._complete:
            return
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self._framed = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._keep = self._parser.should_keep_alive()  # asked later, the parser no longer knows

    def on_chunk_header(self) -> None:
        self.between_chunks = False

    def on_chunk_complete(self) -> None:
        self.between_chunks = True

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
        self._idle: list[Upstream] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, exchange: Exchange, data: bytes) -> None:
        """Send a request over a connection that is open, or over a new one."""
        while self._idle:
            upstream = self._idle.pop()
            if not upstream.closed and not upstream.transport.is_closing():
                exchange.upstream = upstream
                upstream.send(exchange, data)
                return
        task = self._loop.create_task(self._connect(exchange, exchange.attempt, data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, exchange: Exchange, attempt: int, data: bytes) -> None:
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
        exchange.upstream = upstream
        upstream.send(exchange, data)

    def give_back(self, upstream: Upstream) -> None:
        """Keep a connection for the next request."""
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
