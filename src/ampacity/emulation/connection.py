"""HTTP/1.1 on one connection: whole requests in, one at a time; answers out, at once or event by event."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, cast

import httptools

BODY_MOST = 32 << 20
"""Of the Messages API. [B]"""
REASONS = {s.value: s.phrase for s in HTTPStatus} | {529: "Overloaded"}


@dataclass(frozen=True)
class Request:
    """A whole request. path: without what is asked behind it. headers: names in lower case. body: None if too long."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes | None
    keep_alive: bool


class Desk(Protocol):
    """Who takes the requests of connections."""

    def admits_connection(self) -> bool:
        """Whether a connection that comes now is kept."""

    def take(self, client: Connection, request: Request) -> None:
        """Answer a request, now or later, by calls of the connection."""


class Connection(asyncio.Protocol):
    """A client's connection. gone: what is to be called if it closes before the answer has ended."""

    def __init__(self, desk: Desk) -> None:
        self.gone: Callable[[], None] | None = None
        self._desk = desk
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Request] = deque()
        self._now: Request | None = None
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: bytearray | None = bytearray()
        self._parser = httptools.HttpRequestParser(self)

    # what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # that of uvloop is one in all but its class
        if not self._desk.admits_connection():
            self._drop()

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request was taken as it is; nothing here is upgraded to
        except httptools.HttpParserError:
            self._refuse(b"this is no HTTP/1.1 request")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._waiting.clear()
        gone, self.gone = self.gone, None
        if gone is not None:
            gone()

    # what the parser calls

    def on_message_begin(self) -> None:
        self._begin_request()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self._headers.get(b"expect", b"").lower() == b"100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        if self._body is not None:
            self._body += data
            if len(self._body) > BODY_MOST:
                self._body = None  # what else comes of it is not kept

    def on_message_complete(self) -> None:
        path, _, _ = self._url.decode("latin-1").partition("?")
        method = self._parser.get_method().decode("latin-1")
        keep = self._parser.should_keep_alive()
        body = None if self._body is None else bytes(self._body)
        self._waiting.append(Request(method, path, self._headers, body, keep))
        self._begin_request()
        if self._now is None:
            self._next()

    # what whoever answers calls

    def reply(self, status: int, body: bytes, request_id: str, kind: str = "application/json") -> None:
        """Answer at once."""
        # HEAD is told how long the answer would be, and gets none
        without = self._now is not None and self._now.method == "HEAD"
        head = self._head(status, kind, request_id) + b"content-length: %d\r\n\r\n" % len(body)
        self._write(head if without else head + body)
        self._end()

    def begin_events(self, request_id: str) -> None:
        """Answer with events, of which the first follow."""
        head = self._head(200, "text/event-stream; charset=utf-8", request_id)
        self._write(head + b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n")

    def events(self, data: bytes) -> None:
        """Some events."""
        self._write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_events(self, data: bytes) -> None:
        """The last events."""
        self._write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
        self._end()

    def cut(self) -> None:
        """Close the connection as it stands."""
        self.gone = None
        self._drop()

    def _begin_request(self) -> None:
        self._url, self._headers, self._body = b"", {}, bytearray()

    def _next(self) -> None:
        if self._waiting and self._transport is not None:
            self._now = self._waiting.popleft()
            self._desk.take(self, self._now)

    def _end(self) -> None:
        """The answer has ended: the next request has its turn."""
        done, self._now, self.gone = self._now, None, None
        if done is not None and not done.keep_alive and self._transport is not None:
            self._transport.close()
        elif self._waiting:
            self._next()

    def _refuse(self, words: bytes) -> None:
        """What cannot be read as a request ends the connection."""
        if self._transport is None:
            return
        self._write(self._head(400, "text/plain", "") + b"content-length: %d\r\n\r\n%b" % (len(words), words))
        self._drop()

    def _head(self, status: int, kind: str, request_id: str) -> bytes:
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, '')}", f"content-type: {kind}"]
        if request_id:
            lines += [f"request-id: {request_id}", f"x-request-id: {request_id}"]
        if self._now is None or not self._now.keep_alive:
            lines.append("connection: close")
        return ("\r\n".join(lines) + "\r\n").encode()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None
