"""What tests of the gateway share: a scripted upstream, a gateway in this process, a client of plain sockets.

The upstream and the client say and see every byte. Whatever a test does, when it is over the books must balance: see
`Running.balance`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ampacity.base.outcomes import SUBSCRIBER
from ampacity.gateway.keys import TABLES, hashed
from ampacity.gateway.server import Gateway
from ampacity.gateway.settings import Settings
from ampacity.journal import opening, read
from ampacity.journal.records import EXPIRED, RELEASED, RESERVING
from ampacity.policy import rows
from ampacity.policy.book import PLACE, WINDOW_FIELDS, WINDOWS
from ampacity.policy.routing import R_BACKLOG, R_REQUESTS, REPLICA_FIELDS
from ampacity.policy.rows import ONE_IN_FLIGHT, SCALE, Price, WindowRule
from ampacity.policy.stores import used_now
from ampacity.policy.terms import PoolTerms, ServiceTerms, Terms, TierTerms

HOUR_MS = 3_600_000
SECONDS = 5.0  # after which a test that waits for bytes fails
MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"
WEIGHTS = Price(uncached=1000, write=1250, read=100, output=5000)
TEAM = (
    WindowRule("five-hour", 10**12, rows.AT_FIRST_USE, 5 * HOUR_MS, WEIGHTS),
    WindowRule("in flight", 2000 * SCALE, rows.IN_FLIGHT, 0, ONE_IN_FLIGHT),
)
ANSWER = (
    b'{"id":"m","type":"message","role":"assistant","content":[{"type":"text","text":"hello"}],'
    b'"usage":{"input_tokens":10,"cache_creation_input_tokens":4,"cache_read_input_tokens":90,"output_tokens":7}}'
)
START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":10,'
    b'"cache_read_input_tokens":90,"output_tokens":1}}}\n\n'
)
DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"h\xc3\xa4"}}\n\n'
END = (
    b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":9}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)
STREAM = START + 8 * DELTA + END
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def whole(body: bytes, head: bytes = b"content-type: application/json\r\n", status: bytes = b"200 OK") -> bytes:
    """An answer of known length."""
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, head, len(body), body)


def chunk(data: bytes) -> bytes:
    """A chunk of a chunked body; of nothing, the last."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def eventually(true: Callable[[], object], what: str = "it never came true", seconds: float = SECONDS) -> None:
    """Wait for something to come true."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.002)


@dataclass
class Asked:
    """A request as the upstream saw it."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        """All headers of that name."""
        return [value for key, value in self.headers if key == name]


class Connection:
    """The upstream's end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.gone = sock, threading.Event()
        self._rest = b""

    def send(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        """Send pieces one by one."""
        for piece in pieces:
            self.sock.sendall(piece)
            if pause_s:
                time.sleep(pause_s)

    def drip(self, data: bytes) -> None:
        """Send byte by byte, each a packet of its own (as far as a loopback device has packets)."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(data)):
            self.sock.sendall(data[i : i + 1])
            time.sleep(0.0001)

    def until_gone(self, seconds: float = SECONDS) -> bool:
        """Wait until the other side has closed."""
        self.sock.settimeout(seconds)
        try:
            while self.sock.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        self.gone.set()
        return True

    def close(self) -> None:
        """Close both ways."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def next_request(self) -> Asked | None:
        """The next request; None when the connection ends."""
        try:
            while b"\r\n\r\n" not in self._rest:
                if not (data := self.sock.recv(65536)):
                    return None
                self._rest += data
            head, _, self._rest = self._rest.partition(b"\r\n\r\n")
            line, *lines = head.split(b"\r\n")
            headers = [(name, value) for name, _, value in (x.partition(b": ") for x in lines)]
            length = int(dict(headers).get(b"content-length", b"0"))
            while len(self._rest) < length:
                self._rest += self.sock.recv(1 << 20)
            body, self._rest = self._rest[:length], self._rest[length:]
        except OSError:
            return None
        return Asked(line, headers, body)


Answer = Callable[[Connection, Asked], object]


class Upstream:
    """A server that does as the test says: `answer` is called with each request, in a thread of its connection."""

    def __init__(self, answer: Answer | bytes = b"") -> None:
        self.answer = answer or whole(ANSWER)
        self.asked: list[Asked] = []
        self.connections: list[Connection] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listening.accept()
                connection = Connection(sock)
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        while asked := connection.next_request():
            self.asked.append(asked)
            with suppress(OSError):
                if isinstance(self.answer, bytes):
                    connection.send(self.answer)
                else:
                    self.answer(connection, asked)
        connection.gone.set()

    def stop(self) -> None:
        """Refuse connections from now on and close those that are open."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self.connections:
            connection.close()


@dataclass
class Said:
    """An answer as the client read it. raw: its body with its framing."""

    status: int
    headers: list[tuple[str, str]]
    raw: bytes
    body: bytes
    trailers: bytes = b""

    def __getitem__(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A client's end of a connection."""

    def __init__(self, port: int, receive_bytes: int = 0) -> None:
        self.sock = socket.socket()
        if receive_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.sock.settimeout(SECONDS)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def ask(self, body: object = None, path: str = MESSAGES, head: str = "", key: str = "sk-alice") -> None:
        """Send a request for a model."""
        self.send(post(body, path, head, key))

    def more(self) -> bytes:
        """Whatever comes next; empty at the end."""
        data = self.sock.recv(65536)
        self.rest += data
        return data

    def until(self, sign: bytes) -> bytes:
        """All up to and with a sign."""
        while sign not in self.rest:
            assert self.more(), f"closed after {self.rest[-300:]!r}"
        head, _, self.rest = self.rest.partition(sign)
        return head + sign

    def exactly(self, size: int) -> bytes:
        while len(self.rest) < size:
            assert self.more(), f"closed after {len(self.rest)} of {size} bytes"
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    def to_the_end(self) -> bytes:
        """All that comes until the other side closes; a reset is an error."""
        while self.more():
            pass
        data, self.rest = self.rest, b""
        return data

    def closed(self) -> bool:
        """Whether the other side closes now, and says nothing more."""
        try:
            return self.to_the_end() == b""
        except ConnectionResetError:
            return True

    def head(self) -> Said:
        """The head of an answer."""
        line, *lines = self.until(b"\r\n\r\n")[:-4].decode("latin-1").split("\r\n")
        headers = [(name.lower(), value) for name, _, value in (x.partition(": ") for x in lines)]
        return Said(int(line.split(" ")[1]), headers, b"", b"")

    def said(self, bodiless: bool = False) -> Said:
        """A whole answer."""
        said = self.head()
        if bodiless or said.status in (204, 304) or said.status < 200:
            return said
        if said["transfer-encoding"] == "chunked":
            while True:
                line = self.until(b"\r\n")
                said.raw += line
                size = int(line.partition(b";")[0], 16)
                if not size:
                    break
                data = self.exactly(size + 2)
                said.raw += data
                said.body += data[:-2]
            while (line := self.until(b"\r\n")) != b"\r\n":
                said.trailers += line
            said.raw += said.trailers + b"\r\n"
        elif (length := said["content-length"]) is not None:
            said.raw = said.body = self.exactly(int(length))
        else:
            said.raw = said.body = self.to_the_end()
        return said

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close without a word."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def post(body: object = None, path: str = MESSAGES, head: str = "", key: str = "sk-alice") -> bytes:
    """A request for a model as bytes; `body` as JSON, or bytes as they are."""
    given = {"model": "m", "max_tokens": 100, "messages": []} if body is None else body
    said = given if isinstance(given, bytes) else json.dumps(given).encode()
    lines = f"POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-length: {len(said)}\r\n{head}\r\n"
    return lines.encode("latin-1") + said


@dataclass
class Running:
    """A gateway in a thread of its own."""

    folder: Path
    terms: Terms
    options: dict[str, Any]
    gateway: Gateway = field(init=False)
    port: int = field(init=False)
    went_wrong: list[dict[str, Any]] = field(default_factory=list)

    def start(self) -> Running:
        started = threading.Event()

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            self._loop.set_exception_handler(lambda _, context: self.went_wrong.append(context))
            self._ended = asyncio.Event()
            settings = Settings(self.folder / "journal", self.folder / "keys", port=0, **self.options)
            self.gateway = Gateway(self.terms, settings)
            self.port = await self.gateway.listen()
            started.set()
            await self._ended.wait()
            await self.gateway.drain(0.0)

        self._thread = threading.Thread(target=uvloop.run, args=(serve(),), daemon=True)
        self._thread.start()
        assert started.wait(SECONDS), "the gateway did not start"
        return self

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(SECONDS)
        assert not self._thread.is_alive()

    def do(self, what: Callable[[Gateway], Any]) -> Any:
        """Do something in the gateway's thread."""

        async def done() -> Any:
            return what(self.gateway)

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(SECONDS)

    def client(self, receive_bytes: int = 0) -> Client:
        return Client(self.port, receive_bytes)

    def post(self, body: object = None, path: str = MESSAGES, head: str = "", key: str = "sk-alice") -> Said:
        """Ask over a new connection and read the answer."""
        with self.client() as client:
            client.ask(body, path, head, key)
            return client.said()

    def idle(self) -> bool:
        g = self.gateway
        return not g.exchanges and not g.recorder.under_way

    def ends(self) -> list[tuple[int, int, int, int, int]]:
        """How requests ended, in the order of their arrival: status, uncached, written, read, output."""
        self.do(lambda g: g.journal.commit())
        with opening.for_reading(self.folder / "journal") as db:
            found = [r.end for r in read.requests(db) if r.end is not None]
        return [(e.status, e.uncached, e.written, e.read, e.output) for e in found]

    def used(self, who: int = 1, window: str = "five-hour") -> int:
        """What somebody has used of a window now. [weighted token / SCALE]"""
        return int(self.do(lambda g: _used(g, who, window)))

    def balance(self) -> None:
        """Nothing is under way, nothing reserved, every request has one end, and use is the sum of what ended."""
        eventually(self.idle, "something is still under way")
        used = self.do(lambda g: {who: _used(g, who, "five-hour") for who in g.desk.ledger._rows[SUBSCRIBER]})
        flying = self.do(lambda g: [_used(g, who, "in flight") for who in g.desk.ledger._rows[SUBSCRIBER]])
        loads = self.do(lambda g: [load for s in g.desk.services.values() for load in _loads(s.rows)])
        self.stop()
        assert not self.went_wrong, self.went_wrong
        assert not any(flying), flying
        assert not any(loads), loads
        with opening.for_reading(self.folder / "journal") as db:
            assert read.strays(db) == []
            assert read.under_way(db) == []
            arrivals = {r.arrival.ordinal: r.arrival for r in read.requests(db)}
            settlements = [e for e in read.events(db) if hasattr(e, "uncached")]
        ends = [e.request for e in settlements if e.status != EXPIRED]
        reserving = {n for n, a in arrivals.items() if a.outcome in RESERVING}
        assert len(ends) == len(set(ends)), "a request ended twice"
        assert reserving <= set(ends), "a request never ended"
        rules = {w.name: w for w in self.terms.limits["team"]}
        if "five-hour" in rules:
            cost = dict.fromkeys(used, 0)
            for e in settlements:
                if e.status not in (RELEASED, EXPIRED):
                    p = rules["five-hour"].price
                    cost[arrivals[e.request].subscriber] += (
                        p.uncached * e.uncached + p.write * e.written + p.read * e.read + p.output * e.output
                    )
            assert used == cost


def _loads(rows: list[int]) -> list[int]:
    """Requests and backlog of each pool."""
    at = range(0, len(rows), REPLICA_FIELDS)
    return [rows[r + R_REQUESTS] for r in at] + [rows[r + R_BACKLOG] for r in at]


def _used(gateway: Gateway, who: int, window: str) -> int:
    ledger = gateway.desk.ledger
    flat, limit = ledger.book.flat, ledger.book.limit("team")
    place = next((i for i, r in enumerate(ledger.book.places["team"]) if r.name == window), None)
    at = ledger.found(SUBSCRIBER, who)
    if place is None or at is None:
        return 0
    w = limit + WINDOWS + place * WINDOW_FIELDS
    return used_now(ledger.state, at + flat[w + PLACE], flat, w, gateway.clock())  # type: ignore[arg-type]


Serve = Callable[..., Running]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A scripted upstream; unless told otherwise it answers ANSWER."""
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture
def serve(tmp_path: Path, upstream: Upstream) -> Iterator[Serve]:
    """Start a gateway. upstreams: the pools of alias `m`, which know it as `model`; others: of `Terms`."""
    running: list[Running] = []

    def start(
        *upstreams: Upstream,
        windows: tuple[WindowRule, ...] = TEAM,
        model: str = "m",
        slots: int = 4096,
        urls: tuple[str, ...] = (),
        settings: dict[str, Any] | None = None,
        pool: dict[str, Any] | None = None,
        **of_terms: Any,
    ) -> Running:
        where = urls or tuple(f"http://127.0.0.1:{u.port}" for u in upstreams or (upstream,))
        pools = tuple(PoolTerms(f"pool-{i}", url, model, slots, **(pool or {})) for i, url in enumerate(where))
        limits = {"team": windows}
        tiers = (TierTerms("developers", "team"),)
        terms = Terms("test", limits, tiers, (ServiceTerms("m", pools),), **of_terms)
        folder = tmp_path / f"gateway-{len(running)}"
        folder.mkdir()
        db = sqlite3.connect(folder / "keys")
        db.executescript(TABLES)
        for who, name in enumerate(("alice", "bob"), 1):
            db.execute("INSERT INTO subscriber VALUES (?, ?, 'developers', 0)", (who, name))
            db.execute("INSERT INTO key VALUES (?, ?, '', 'sk-...', 0, NULL)", (hashed(f"sk-{name}".encode()), who))
        db.commit()
        db.close()
        running.append(Running(folder, terms, settings or {}).start())
        return running[-1]

    yield start
    for one in running:
        try:
            one.balance()
        finally:
            one.stop()


@pytest.fixture
def gateway(serve: Serve) -> Running:
    """A gateway before `upstream`."""
    return serve()


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent connections are looked at ten times as often."""
    monkeypatch.setattr("ampacity.gateway.server.TICK_S", 0.01)
    monkeypatch.setattr("ampacity.gateway.server.LOOKS", 2)
