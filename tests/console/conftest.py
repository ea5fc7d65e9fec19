"""A model's server that answers slowly enough to be interrupted; a data process over it; whoever speaks to both."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ampacity.console import keys, workers
from ampacity.console.folder import Folder, write_json
from ampacity.console.operator import Operator
from ampacity.policy import rows
from ampacity.policy.rows import WindowRule
from ampacity.policy.terms import PoolTerms, ServiceTerms, Terms, TierTerms

HOUR_MS = 3_600_000
OUTPUT = 20
STARTED_IN_S = 15
READY_S = 60
HELD_MOST_S = 60
SEVERAL = 2


class Model(BaseHTTPRequestHandler):
    """Answers Anthropic's Messages: 20 tokens, 50 ms apart where they are streamed, and none while they are held."""

    protocol_version = "HTTP/1.1"
    going_on = threading.Event()
    going_on.set()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked.get("stream"):
            self._stream()
            return
        usage = {"input_tokens": 100, "output_tokens": OUTPUT}
        body = json.dumps({"type": "message", "model": asked["model"], "content": [], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        begin = {"type": "message_start", "message": {"usage": {"input_tokens": 100, "output_tokens": 1}}}
        self._event(begin)
        for _ in range(OUTPUT):
            self._event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}})
            time.sleep(0.05)
            self.going_on.wait(HELD_MOST_S)
        self._event({"type": "message_delta", "delta": {}, "usage": {"output_tokens": OUTPUT}})
        self._event({"type": "message_stop"})
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, event: dict[str, Any]) -> None:
        data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def model_url() -> Iterator[str]:
    """Where the model answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def terms(url: str, five_hour: int = 10_000, name: str = "toy") -> Terms:
    """Terms of one pool; a window holds so many tokens."""
    windows = (
        WindowRule("five-hour", five_hour * rows.SCALE, rows.AT_FIRST_USE, 5 * HOUR_MS),
        WindowRule("weekly", 10 * five_hour * rows.SCALE, rows.AT_FIRST_USE, 168 * HOUR_MS),
    )
    return Terms(
        name=name,
        limits={"team": windows, "unlimited": (), "firm": windows},
        tiers=(TierTerms("developers", "team"), TierTerms("tools", "unlimited", rank=1)),
        services=(ServiceTerms("coder", (PoolTerms("here", url, "coder", 8),), ("default",)),),
    )


@dataclass
class Live:
    """A data process that serves from a folder."""

    folder: Folder
    url: str
    process: subprocess.Popen[bytes]
    port: int

    @property
    def operator(self) -> Operator:
        return Operator(self.folder)

    def post(self, key: str, *, stream: bool = False, model: str = "default") -> tuple[int, dict[str, str], bytes]:
        """Ask once: status, headers, body."""
        connection, response = self.open(key, stream=stream, model=model)
        body = response.read()
        connection.close()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, body

    def open(
        self, key: str, *, stream: bool, model: str = "default"
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Ask, and leave the answer to be read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        message = {"role": "user", "content": "Hello"}
        body = json.dumps({"model": model, "max_tokens": 64, "stream": stream, "messages": [message]})
        connection.request("POST", "/v1/messages", body, {"x-api-key": key, "content-type": "application/json"})
        return connection, connection.getresponse()

    def again(self) -> None:
        """Start it again, at the same port."""
        self.process = started(self.folder)[0]


@dataclass
class Both:
    """Two data processes of one folder; each subscriber asks the one that decides on them."""

    folder: Folder
    each: list[Live]

    @property
    def operator(self) -> Operator:
        return Operator(self.folder)

    def post(self, name: str, key: str) -> tuple[int, dict[str, str]]:
        """Ask once as somebody."""
        number = workers.decides_on(self.folder, name)
        assert number is not None
        status, headers, _ = self.each[number].post(key)
        return status, headers

    def key_at(self, worker: int, name: str, **more: Any) -> str:
        """A key of somebody on whom that one decides; others who come before are nobody's."""
        n = len(keys.subscribers_of(self.folder.keys))
        for other in range(n, n + SEVERAL):
            if (other + 1) % SEVERAL == worker:
                break
            self.operator.make_key(f"between-{other}")
        made = self.operator.make_key(name, **more)
        assert workers.decides_on(self.folder, name) == worker
        return str(made["key"])


def started(folder: Folder) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """A data process that is ready, and what it said."""
    command = [sys.executable, "-m", "ampacity.gateway", str(folder.settings)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    watchdog = threading.Timer(STARTED_IN_S, process.kill)
    watchdog.start()
    line = process.stdout.readline()
    watchdog.cancel()
    return process, json.loads(line)


@contextmanager
def serving(path: Path, url: str) -> Iterator[Live]:
    """A data process over the model at an address."""
    folder = Folder(path / "toy.serve")
    folder.make()
    folder.terms.write_text(terms(url).text(), encoding="utf-8")
    settings = {name: str(getattr(folder, name)) for name in ("terms", "journal", "keys", "control")}
    write_json(folder.settings, settings | {"port": 0, "drain_s": 5})
    process, said = started(folder)
    write_json(folder.settings, settings | {"port": said["port"], "drain_s": 5})
    live = Live(folder, url, process, said["port"])
    try:
        yield live
    finally:
        live.process.send_signal(signal.SIGTERM)
        try:
            live.process.wait(10)
        except subprocess.TimeoutExpired:
            live.process.kill()


@pytest.fixture
def live(tmp_path: Path, model_url: str) -> Iterator[Live]:
    """A fresh data process."""
    with serving(tmp_path, model_url) as found:
        yield found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, model_url: str) -> Iterator[Live]:
    """A data process that the tests of a file share."""
    with serving(tmp_path_factory.mktemp("shared"), model_url) as found:
        yield found


@pytest.fixture
def both(tmp_path: Path, model_url: str) -> Iterator[Both]:
    """Each at a port of its own, as if what hands connections over always found the right one."""
    folder = Folder(tmp_path / "toy.serve")
    folder.make()
    folder.make_for(SEVERAL)
    folder.terms.write_text(terms(model_url).text(), encoding="utf-8")
    shares = folder.shares(SEVERAL)
    own = [{name: str(getattr(s, name)) for name in ("terms", "journal", "keys", "control")} for s in shares]
    for share, settings in zip(shares, own, strict=True):
        write_json(share.settings, settings | {"port": 0, "drain_s": 5})
    each = []
    with ExitStack() as stack:
        for share in shares:
            process, said = started(share)
            each.append(Live(share, model_url, process, said["port"]))
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)
        yield Both(folder, each)


@contextmanager
def _served_here(cwd: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    ports = ("--port", "0", "--admin-port", "0")
    command = [sys.executable, "-c", "from ampacity.cli import main; main()", "serve", *words, *ports]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    watchdog = threading.Timer(READY_S, process.kill)
    watchdog.start()
    said = ""
    for line in process.stdout:
        said += line
        if "end: Ctrl-C" in line:
            break
    watchdog.cancel()
    try:
        yield process, said
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture(scope="session")
def served_here() -> Any:
    """Runs `ampacity serve` in a folder, on ports of its own: the process once it is ready, and what it printed."""
    return _served_here


@pytest.fixture
def stay() -> Iterator[Callable[[], None]]:
    """Streams that begin stay open until this is called, however slow the machine is."""
    Model.going_on.clear()
    yield Model.going_on.set
    Model.going_on.set()


@pytest.fixture
def toy_terms() -> Any:
    """Makes terms."""
    return terms
