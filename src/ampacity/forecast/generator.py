"""Sends a load to a gateway over sockets, a connection for each line, and notes what its clients meet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import cast

import httptools

from ampacity.forecast.load import OUTPUT_MOST, Line, Load
from ampacity.forecast.met import NOT_SEEN, REFUSED, SERVED, TURNED_AWAY, Met

BYTES_PER_TOKEN = 4
AGAIN_S = 1.0
PATIENCE_S = 60.0
"""After the last request: whatever has not ended then is left out."""
_FRAME = '{"model":"%s","max_tokens":%d,"stream":true,"messages":[{"role":"user","content":"'
_END = '"}]}'


def body_of(alias: str, input_tokens: int) -> bytes:
    """A request of so many tokens, as gateways and emulated pools count them: a fourth of its bytes."""
    begin = _FRAME % (alias, OUTPUT_MOST)
    words = "so much to read " * (input_tokens * BYTES_PER_TOKEN // 16 + 1)
    room = input_tokens * BYTES_PER_TOKEN - len(begin) - len(_END)
    if room < 1:
        raise ValueError(f"{input_tokens} tokens are too few for a request to {alias}")
    return (begin + words[:room] + _END).encode()


class Clients:
    """All lines of a load, at one gateway. key_of: the key of each subscriber."""

    def __init__(self, load: Load, host: str, port: int, key_of: Callable[[int], str]) -> None:
        self.load, self.host, self.port, self.key_of = load, host, port, key_of
        self.met: list[Met] = []
        self._began = 0.0

    async def run(self) -> tuple[Met, ...]:
        """From the first request to the last end; rows in the order in which they came."""
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        lines = [_OneLine(self, line) for line in self.load.lines]
        for one in lines:
            one.begin()
        await asyncio.sleep(self.load.lasts_ms / 1000)
        until = loop.time() + PATIENCE_S
        while any(one.busy for one in lines) and loop.time() < until:
            await asyncio.sleep(0.05)
        for one in lines:
            one.close()
        return tuple(sorted(self.met, key=lambda m: (m.at_ms, m.subscriber)))

    def since_ms(self, at: float) -> float:
        """An instant of the loop's clock from the begin of the run. [ms]"""
        return (at - self._began) * 1000


class _OneLine(asyncio.Protocol):
    """A line's client: one request at a time on one connection."""

    def __init__(self, clients: Clients, line: Line) -> None:
        self.clients, self.line = clients, line
        self.busy = False
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._key = f"x-api-key: {clients.key_of(line.subscriber)}\r\n"
        self._step, self._tries = 0, 0
        self._parser: httptools.HttpResponseParser | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._forget_answer()

    def _forget_answer(self) -> None:
        self._status, self._events, self._broken = 0, 0, False
        self._retry = False
        self._wait_s: int | None = None
        self._first = float(NOT_SEEN)
        self._at, self._at_loop = perf_counter(), self._loop.time()

    def begin(self) -> None:
        self._later(self.line.begins_ms + self.line.steps[0].pause_ms)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _later(self, ms: float) -> None:
        self._timer = self._loop.call_later(ms / 1000, self._go)

    def _go(self) -> None:
        if self.clients.since_ms(self._loop.time()) >= self.clients.load.lasts_ms:
            return
        self.busy = True
        if self._transport is None:
            self._loop.create_task(self._connect())
        else:
            self._ask()

    async def _connect(self) -> None:
        try:
            await self._loop.create_connection(lambda: self, self.clients.host, self.clients.port)
        except OSError:
            self._forget_answer()
            self._ended(503)
            return
        self._ask()

    def _ask(self) -> None:
        step = self.line.steps[self._step]
        body = body_of(self.clients.load.alias, step.input_tokens)
        head = (
            f"POST /v1/messages HTTP/1.1\r\nhost: {self.clients.host}\r\ncontent-type: application/json\r\n"
            f"anthropic-version: 2023-06-01\r\n{self._key}x-claude-code-session-id: {step.conversation}\r\n"
            f"x-emulate-output-tokens: {step.output_tokens}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._parser = httptools.HttpResponseParser(self)
        self._forget_answer()
        cast(asyncio.Transport, self._transport).write(head.encode() + body)

    # what the event loop and the parser call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._parser is not None:
            self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.busy and self._parser is not None:
            self._broken = True
            self._ended(self._status or 503)

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"retry-after":
            self._wait_s = int(value)
        elif lower == b"x-should-retry":
            self._retry = value == b"true"

    def on_headers_complete(self) -> None:
        self._status = cast(httptools.HttpResponseParser, self._parser).get_status_code()

    def on_body(self, data: bytes) -> None:
        if self._first < 0:
            self._first = perf_counter()
        self._events += data.count(b"content_block_delta\n")
        if b"event: error" in data:
            self._broken = True

    def on_message_complete(self) -> None:
        self._ended(self._status)

    def _ended(self, status: int) -> None:
        self.busy, self._parser = False, None
        line, load = self.line, self.clients.load
        now = perf_counter()
        served = status == 200
        self.clients.met.append(
            Met(
                at_ms=round(self.clients.since_ms(self._at_loop)),
                subscriber=line.subscriber,
                tier=line.tier,
                outcome=SERVED if served else REFUSED if status == 429 else TURNED_AWAY,
                first_ms=(self._first - self._at) * 1000 if served and self._first > 0 else NOT_SEEN,
                whole_ms=(now - self._at) * 1000 if served and not self._broken else NOT_SEEN,
                output=self._events if served else 0,
            )
        )
        if not served and self._retry and self._tries < load.retries:
            wait_ms = (AGAIN_S if self._wait_s is None else self._wait_s) * 1000
            if wait_ms <= load.wait_most_ms:
                self._tries += 1
                self._later(wait_ms)
                return
        self._tries = 0
        self._step += 1
        if self._step < len(line.steps):
            self._later(line.steps[self._step].pause_ms)
