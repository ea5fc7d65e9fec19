"""A client's connection: reads HTTP/1.1 requests, strictly, and has them answered one after another.

What two readers of the same bytes could read differently (both length headers, bare line feeds, odd transfer codings)
is refused, and so is what is too large or comes too slowly.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import httptools

if TYPE_CHECKING:
    from ampacity.gateway.server import Gateway

HEAD_MOST = 64 * 1024
HEADERS_MOST = 128
BODY_MOST = 32 * 1024 * 1024  # as Anthropic's Messages
PIPELINED_MOST = 4
HEAD_S = 10.0  # a request's head comes within this, its body at BODY_PACE beyond it
BODY_PACE = 16 * 1024  # B/s, the least
IDLE_S = 75.0


@dataclass(slots=True)
class Request:
    """A request that has come whole. headers: as they came, in order; names in small letters."""

    method: bytes
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    keep_alive: bool
    http_1_0: bool

    def header(self, name: bytes) -> bytes | None:
        """The first header of that name, written in small letters."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Malformed(Exception):
    """A request that cannot be read; the status to answer with, and why."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)


class Client(asyncio.Protocol):
    """One connection. `exchange` is what is being answered now."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.exchange: Answering | None = None
        self.since = 0.0  # when the request began that is coming, or when the last one ended
        self._coming = 0  # bytes of it so far; 0: none is coming
        self._in_head = True
        self._waiting: deque[Request] = deque()
        self._closing = False
        self._reading = True
        self._new_message()
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.since = self._gateway.now_s()
        self._gateway.clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._gateway.clients.discard(self)
        self._waiting.clear()
        if self.exchange is not None:
            exchange, self.exchange = self.exchange, None
            exchange.client_gone()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if not self._coming:
            self.since = self._gateway.now_s()
        self._coming += len(data)
        try:
            self._parser.feed_data(data)
            if self._in_head and self._coming > HEAD_MOST:
                raise Malformed(431, f"the head of a request has at most {HEAD_MOST:,} bytes")
        except Malformed as err:
            self._refuse(err)
        except httptools.HttpParserCallbackError as err:
            cause = err.__context__
            self._refuse(cause if isinstance(cause, Malformed) else Malformed(400, "this is no HTTP/1.1 request"))
        except httptools.HttpParserError:
            self._refuse(Malformed(400, "this is no HTTP/1.1 request"))

    def pause_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.hold_up(True)

    def resume_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.hold_up(False)

    # what the parser calls

    def _new_message(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0

    def on_message_begin(self) -> None:
        self._in_head = True
        self._new_message()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self._headers) >= HEADERS_MOST:
            raise Malformed(431, f"a request has at most {HEADERS_MOST} headers")
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        codings = lengths = 0
        for name, value in self._headers:
            if name == b"content-length":
                lengths += 1
                if not value.isdigit() or lengths > 1:
                    raise Malformed(400, "content-length is one whole number")
                if int(value[:12]) > BODY_MOST:
                    raise Malformed(413, f"a request has at most {BODY_MOST:,} bytes")
            elif name == b"transfer-encoding":
                codings += 1
                if value.lower() != b"chunked" or codings > 1:
                    raise Malformed(400, 'transfer-encoding is "chunked" or absent')
            elif name == b"expect" and value.lower() == b"100-continue" and self.exchange is None:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if codings and lengths:
            raise Malformed(400, "content-length and transfer-encoding contradict each other")
        if codings and self._parser.get_http_version() != "1.1":
            raise Malformed(400, "transfer-encoding belongs to HTTP/1.1")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > BODY_MOST:
            raise Malformed(413, f"a request has at most {BODY_MOST:,} bytes")
        self._body.append(body)

    def on_message_complete(self) -> None:
        path, _, query = self._url.partition(b"?")
        parser = self._parser
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        old = parser.get_http_version() != "1.1"
        keep = parser.should_keep_alive()
        request = Request(parser.get_method(), path, query, self._headers, body, keep, old)
        self._coming, self._in_head = 0, True
        self.since = self._gateway.now_s()
        self._new_message()
        if self.exchange is None and not self._waiting:
            self._gateway.answer(self, request)
        else:
            self._waiting.append(request)
            if len(self._waiting) >= PIPELINED_MOST and self._reading:
                self._reading = False
                self.transport.pause_reading()

    # what exchanges call

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.transport.write(data)

    def done(self, keep_alive: bool) -> None:
        """The answer is complete; go on to the next request, or close."""
        self.exchange = None
        self.since = self._gateway.now_s()
        if not keep_alive:
            self.close()
            return
        if self._waiting and not self._closing:
            request = self._waiting.popleft()
            if not self._reading:
                self._reading = True
                self.transport.resume_reading()
            self._gateway.answer(self, request)

    def close(self) -> None:
        """Send what is written, and close."""
        self._closing = True
        self.transport.close()

    def cut(self) -> None:
        """Close at once: the client is to see that its answer is not whole."""
        self._closing = True
        self.exchange = None
        self.transport.abort()

    @property
    def idle(self) -> bool:
        """Whether nothing is coming and nothing is being answered."""
        return self.exchange is None and not self._coming

    def look_at_clock(self, now_s: float) -> None:
        """Close a connection that idles or sends too slowly; called about once a second."""
        if self.exchange is not None:
            return
        waited_s = now_s - self.since
        if not self._coming:
            if waited_s > IDLE_S:
                self.close()
        elif waited_s > HEAD_S + (0 if self._in_head else self._coming / BODY_PACE):
            self._refuse(Malformed(408, "the request did not come in time"))

    def _refuse(self, why: Malformed) -> None:
        """Answer what cannot be read, unless an answer to an earlier request is under way; and close."""
        self._waiting.clear()
        if self.exchange is None:
            self._gateway.answer_malformed(self, why)
            self.close()
        else:
            self._closing = True
            self.exchange.last_of_connection()


class Answering:
    """What answers a request: told when its client goes, reads slowly, or will send nothing more."""

    __slots__ = ()

    def client_gone(self) -> None:
        """The client has closed its connection."""

    def hold_up(self, paused: bool) -> None:
        """The client reads slower than the answer comes (True), or has caught up."""

    def last_of_connection(self) -> None:
        """Close the connection after this answer."""
