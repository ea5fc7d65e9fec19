"""A client's connection: reads HTTP/1.1 requests, strictly, and has them answered one after another.

What two readers of the same bytes could read differently (both length headers, bare line feeds, odd transfer codings)
is refused, and so is what is too large or comes too slowly.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from ampacity.gateway.again import Again
from ampacity.gateway.request import Head, Malformed, Request

if TYPE_CHECKING:
    from ampacity.gateway.server import Gateway

HEAD_MOST = 64 * 1024
HEADERS_MOST = 128
BODY_MOST = 32 * 1024 * 1024  # as Anthropic's Messages
STRANGERS_MOST = 1024 * 1024  # of whoever shows no key that is known
PIPELINED_MOST = 4
HEAD_S = 10.0  # a request's head comes within this, its body at BODY_PACE beyond it
BODY_PACE = 16 * 1024  # B/s, the least
IDLE_S = 75.0
LINGER_S = 5.0  # how long what a refused client still sends is thrown away, so that it can read why
BETWEEN = -1  # stands for the size of a body between two requests
RESET = struct.pack("ii", 1, 0)
NO_HTTP = "this is no HTTP/1.1 request"


class Client(asyncio.Protocol):
    """One connection. `exchange` is what is being answered now.

    begun: what another process has read from it that handed it over; `handed` until its first request is looked at.
    """

    def __init__(self, gateway: Gateway, begun: bytes = b"") -> None:
        self._gateway = gateway
        self._begun, self.handed = begun, begun != b""
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.exchange: Answering | None = None
        self.since = 0.0  # when the request began that is coming, or when the last one ended
        self._coming = 0  # bytes of it so far; 0: none is coming
        self._bare = 0  # and how many since the last that belonged to a body
        self._in_head = True
        self._waiting: deque[Request] = deque()
        self._asked: Request | None = None  # what is decided on when this turn of the loop is over
        self._closing = False
        self._reading = True
        self._version = ""
        self._full = False  # the client reads slower than it is answered
        self._going_on = False
        self._again: Again[Head] = Again()
        self._new_message()
        self._size = BETWEEN
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.since = self._gateway.now_s()
        self._gateway.clients.add(self)
        if self._begun:
            begun, self._begun = self._begun, b""
            self.data_received(begun)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._gateway.clients.discard(self)
        self._forget()
        if self.exchange is not None:
            exchange, self.exchange = self.exchange, None
            exchange.client_gone()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            self._throw_away(data)
            return
        whole = not self._coming
        if whole:
            self.since = self._gateway.now_s()
            found = self._again.found(data)
            if found is not None:
                head, at = found
                self._waiting.append(Request(head, data[at:]))
                self._go_on()
                return
        self._coming += len(data)
        self._bare += len(data)
        try:
            self._parse(data)
            if not self._coming and self._size != BETWEEN:
                self._coming = 1  # the next one has begun in the same piece
            if self._bare > HEAD_MOST:
                raise Malformed(431, f"the head of a request has at most {HEAD_MOST:,} bytes")
        except Malformed as err:
            self._refuse(err)
        except httptools.HttpParserCallbackError as err:
            if not isinstance(err.__context__, Malformed):
                raise
            self._refuse(err.__context__)
        except httptools.HttpParserError:
            self._refuse(Malformed(400, NO_HTTP))
        if self._waiting:
            if whole and not self._coming and not self._closing:
                self._learn(data, self._waiting[-1])
            self._go_on()

    def _learn(self, data: bytes, request: Request) -> None:
        """Know a head that may come again, if nothing is to be done at its sight."""
        head, size = request.head, len(request.body)
        if head.keep_alive and 0 < size <= STRANGERS_MOST and head.first(b"expect") is None:
            self._again.learn(data, size, head)

    def _parse(self, data: bytes) -> None:
        """Feed the parser. It stops where a client offers to change to another protocol; the offer is passed over."""
        try:
            self._parser.feed_data(data)
            return
        except httptools.HttpParserUpgrade as offer:
            rest = data[offer.args[0] :]
        if self._parser.get_method() == b"CONNECT":
            raise Malformed(400, "this is no proxy")
        lines = [b"%b %b HTTP/1.1\r\n" % (self._parser.get_method(), self._url)]
        lines += [b"%b: %b\r\n" % pair for pair in self._headers if pair[0] not in (b"connection", b"upgrade")]
        lines += [b"content-length: %b\r\n" % length for length in self._lengths]
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(b"".join([*lines, b"\r\n", rest]))
        except httptools.HttpParserUpgrade:
            raise Malformed(400, "an offer to change the protocol is answered before the next one") from None

    def pause_writing(self) -> None:
        self._full = True
        if self.exchange is not None:
            self.exchange.hold_up(True)

    def resume_writing(self) -> None:
        self._full = False
        if self.exchange is not None:
            self.exchange.hold_up(False)
        else:
            self._go_on()

    # what the parser calls

    def _new_message(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._lengths: list[bytes] = []
        self._body: bytes | bytearray = b""
        self._size = 0
        self._known = self._offers = False

    def on_message_begin(self) -> None:
        self._in_head = True
        self._new_message()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # a trailer says nothing that was not known when the request was read
            return
        if len(self._headers) + len(self._lengths) >= HEADERS_MOST:
            raise Malformed(431, f"a request has at most {HEADERS_MOST} headers")
        name = name.lower()
        if name == b"content-length":
            self._lengths.append(value)
        else:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._offers = self._parser.should_upgrade()
        if self._offers:
            return  # read once more without the offer: see `_parse`
        self._in_head = False
        self._version = version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise Malformed(505, "this server speaks HTTP/1.1")
        codings = hosts = 0
        expects = False
        lengths = self._lengths
        if lengths:
            if len(lengths) > 1 or not lengths[0].isdigit():
                raise Malformed(400, "content-length is one whole number")
            if (size := int(lengths[0][-20:])) > STRANGERS_MOST:
                self._allow(size)
        for name, value in self._headers:
            if name == b"transfer-encoding":
                codings += 1
                if value.lower() != b"chunked" or codings > 1:
                    raise Malformed(400, 'transfer-encoding is "chunked" or absent')
            elif name == b"host":
                hosts += 1
            elif name == b"expect":
                expects = value.lower() == b"100-continue"
        if codings and lengths:
            raise Malformed(400, "content-length and transfer-encoding contradict each other")
        if codings and version != "1.1":
            raise Malformed(400, "transfer-encoding belongs to HTTP/1.1")
        if hosts > 1 or (not hosts and version == "1.1"):
            raise Malformed(400, "a request has one host header")
        if self._coming > HEAD_MOST and len(self._url) + sum(len(n) + len(v) for n, v in self._headers) > HEAD_MOST:
            raise Malformed(431, f"the head of a request has at most {HEAD_MOST:,} bytes")
        if expects and version == "1.1" and self._free and not self._waiting:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _allow(self, size: int) -> None:
        """Whether a body may have so many bytes. Who shows no known key may not fill this process's memory."""
        if size > BODY_MOST:
            raise Malformed(413, f"a request has at most {BODY_MOST:,} bytes")
        if size > STRANGERS_MOST and not self._known:
            if not self._gateway.knows(self._headers):
                raise Malformed(401, "this key is not known here; show one as x-api-key or as Bearer")
            self._known = True

    def on_body(self, body: bytes) -> None:
        self._bare = 0
        size = self._size = self._size + len(body)
        if size > STRANGERS_MOST:
            self._allow(size)
        if not self._body:
            self._body = body
        elif isinstance(self._body, bytes):
            self._body = bytearray(self._body + body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        if self._offers:
            return
        parser = self._parser
        path, _, query = self._url.partition(b"?")
        old = self._version != "1.1"
        keep = not old and parser.should_keep_alive()
        request = Request(Head(parser.get_method(), path, query, self._headers, keep, old), bytes(self._body))
        self._coming, self._bare, self._in_head = 0, 0, True
        self.since = self._gateway.now_s()
        self._url = self._body = b""
        self._size = BETWEEN
        self._waiting.append(request)

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
        elif self._waiting or not self._reading:
            self._go_on()

    def _go_on(self) -> None:
        """Answer those that wait, one after another; hold them, and read nothing more, while the client is behind."""
        if self._going_on:
            return
        self._going_on = True
        try:
            while self._waiting and self._free and not (self._full or self._closing):
                self._asked = self._waiting.popleft()
                self._gateway.turn.came(self)
        finally:
            self._going_on = False
        reading = len(self._waiting) < PIPELINED_MOST
        if reading != self._reading and not self._closing:
            self._reading = reading
            if reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def answer_now(self) -> None:
        """Have its request answered. A mistake of ours is reported, and costs this client its connection alone."""
        request, self._asked = self._asked, None
        if request is None:
            return
        try:
            self._gateway.answer(self, request)
        except Exception as err:
            report = {"message": "a request could not be answered", "exception": err, "protocol": self}
            self._gateway.loop.call_exception_handler(report)
            exchange, self.exchange = self.exchange, None
            if exchange is not None:
                exchange.client_gone()
            self._refuse(Malformed(500, "this request could not be answered, by a mistake of the gateway"))

    def close(self) -> None:
        """Send what is written, and close."""
        self._closing = True
        self._forget()
        self.transport.close()

    def unanswered(self, request: Request) -> bytes:
        """What has come and is not answered, `request` first; what has come in part is left out, and cannot be asked.

        Then the connection closes after what is whole, and the client may ask the rest anew, as after any close.
        """
        *earlier, last = request, *self._waiting
        return b"".join([*(r.written(False) for r in earlier), last.written(self._size != BETWEEN)])

    def let_go(self) -> None:
        """The connection is another's now: forget it here, without a word to the client."""
        self.exchange = None
        self._closing = True
        self._forget()
        self.transport.abort()

    def _forget(self) -> None:
        """Nothing that came is answered any more."""
        self._waiting.clear()
        self._asked = None

    def cut(self) -> None:
        """Close at once and with a reset: the client is to see that its answer is not whole."""
        self.exchange = None
        self._closing = True
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()

    def _throw_away(self, data: bytes) -> None:
        """Read on after a refusal: to close with bytes unread would reset the connection, and lose the refusal."""
        self._coming += len(data)
        if self._coming > 2 * BODY_MOST:
            self.transport.abort()

    @property
    def asked_openai(self) -> bool:
        """Whether the request that is coming asks by OpenAI's API, as far as its path is known."""
        return self._url.startswith((b"/v1/chat", b"/v1/responses"))

    @property
    def idle(self) -> bool:
        """Whether nothing is coming and nothing is being answered."""
        return self._free and not self._coming and not self._waiting

    @property
    def _free(self) -> bool:
        """Whether nothing is being answered."""
        return self.exchange is None and self._asked is None

    def look_at_clock(self, now_s: float) -> None:
        """Close a connection that idles or sends too slowly; called about once a second."""
        if not self._free:
            return
        waited_s = now_s - self.since
        if self._closing or self._full:  # it does not read the end of its answer, or still sends
            if waited_s > (IDLE_S if self.transport.get_write_buffer_size() else LINGER_S):
                self.transport.abort()
        elif not self._coming:
            if waited_s > IDLE_S:
                self.close()
        elif waited_s > HEAD_S + (0 if self._in_head else self._coming / BODY_PACE):
            self._refuse(Malformed(408, "the request did not come in time"))

    def _refuse(self, why: Malformed) -> None:
        """Answer what cannot be read, once earlier requests are answered; read nothing more, and close."""
        self._size = 0  # whatever stood there is no request that another could wait for
        self._go_on()
        self.answer_now()
        self._waiting.clear()
        if self._closing:
            return
        self._closing = True
        if self.exchange is None:
            self.since = self._gateway.now_s()
            self._gateway.answer_malformed(self, why)
            self.transport.write_eof()
        else:
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
