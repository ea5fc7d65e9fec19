"""A gateway that is killed again and again under load: what a client has seen whole is used, once."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ampacity.gateway.keys import TABLES, hashed
from ampacity.gateway.take_up import taken_up
from ampacity.journal import opening, read
from ampacity.journal.records import SETTLED
from ampacity.policy import rows
from ampacity.policy.rows import WindowRule
from ampacity.policy.terms import PoolTerms, ServiceTerms, Terms, TierTerms
from ampacity.simulator.journal_replay import replay

KILLS = 50
KEY = "sk-amp-test-of-death"
ANSWER = b'{"id":"m","usage":{"input_tokens":100,"cache_read_input_tokens":20,"output_tokens":7}}'
COST = 127  # tokens of it
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)


class Pool(threading.Thread):
    """A model's server that gives every request the same answer, in two pieces."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            try:
                while (data := connection.recv(65_536)) and data.endswith(b"}"):
                    connection.sendall(HEAD + ANSWER[:20])
                    time.sleep(0.001)
                    connection.sendall(ANSWER[20:])
            except OSError:
                return

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool()
    made.start()
    yield made
    made.close()


def settings(folder: Path, port: int, **more: object) -> Path:
    """Terms, keys and settings of a gateway before one pool."""
    windows = (WindowRule("five-hour", 10**12, rows.AT_FIRST_USE, 18_000_000),)
    own = PoolTerms("pool", f"http://127.0.0.1:{port}", "m", 64)
    terms = Terms("deaths", {"all": windows}, (TierTerms("all", "all"),), (ServiceTerms("m", (own,)),))
    (folder / "terms.json").write_text(terms.text())
    with sqlite3.connect(folder / "keys") as db:
        db.executescript(TABLES)
        db.execute("INSERT INTO subscriber VALUES (1, 'all', 'all', 0)")
        db.execute("INSERT INTO key VALUES (?, 1, '', 'sk-', 0, NULL)", (hashed(KEY.encode()),))
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = free.getsockname()[1]
    told = {"terms": str(folder / "terms.json"), "journal": str(folder / "j"), "keys": str(folder / "keys")}
    path = folder / "settings.json"
    path.write_text(json.dumps({**told, "port": listen, **more}))
    return path


def start(path: Path) -> subprocess.Popen[str]:
    """A gateway that listens."""
    command = [sys.executable, "-m", "ampacity.gateway", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    assert '"port"' in process.stdout.readline()
    return process


class Client(threading.Thread):
    """Asks one request after another, over a connection as long as it lasts; counts the answers that it saw whole."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.seen, self.sent, self.ending = port, 0, 0, False

    def run(self) -> None:
        body = b'{"model":"m","max_tokens":9,"messages":[]}'
        request = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\ncontent-length: %d\r\n\r\n%b" % (
            KEY.encode(),
            len(body),
            body,
        )
        while not self.ending:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                    while not self.ending:
                        self.sent += 1
                        connection.sendall(request)
                        if not self._whole(connection):
                            break
                        self.seen += 1
            except OSError:
                time.sleep(0.005)

    def _whole(self, connection: socket.socket) -> bool:
        got = b""
        while not got.endswith(ANSWER):
            piece = connection.recv(65_536)
            if not piece:
                return False
            got += piece
        assert got.startswith(b"HTTP/1.1 200")
        return True


def test_fifty_kills_under_load_lose_no_settled_use_and_double_none(tmp_path: Path, pool: Pool) -> None:
    rng = random.Random(7)
    path = settings(tmp_path, pool.port)
    clients = [Client(json.loads(path.read_text())["port"]) for _ in range(8)]
    process = start(path)
    for client in clients:
        client.start()
    for _ in range(KILLS):
        time.sleep(rng.random() * 0.12)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = start(path)
    time.sleep(0.1)
    for client in clients:
        client.ending = True
    for client in clients:
        client.join(5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    seen, sent = sum(c.seen for c in clients), sum(c.sent for c in clients)
    with opening.for_reading(tmp_path / "j") as db:
        assert read.under_way(db) == [] and read.strays(db) == []
        ended = [r.end for r in read.requests(db)]
    settled = sum(end is not None and end.status == SETTLED for end in ended)
    assert None not in ended
    assert KILLS * 5 < seen <= settled <= sent
    assert settled - seen <= KILLS * len(clients)  # those that were settled, and whose client the kill came before
    taken = taken_up(tmp_path / "j")
    assert taken.ledger is not None
    at = taken.ledger.found(0, 1)
    assert at is not None and taken.ledger.state[at + 1] == settled * COST * 1000
    found = replay(tmp_path / "j")
    assert found.differing == () and found.starts == KILLS + 1 and found.decisions >= settled


def test_a_term_signal_lets_answers_end_and_takes_nothing_new(tmp_path: Path) -> None:
    """An answer that takes a second ends; the process then ends by itself, with all of it on disk."""
    with socket.create_server(("127.0.0.1", 0)) as slow:
        path = settings(tmp_path, slow.getsockname()[1])
        process = start(path)
        port = json.loads(path.read_text())["port"]
        body = b'{"model":"m","messages":[]}'
        head = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\ncontent-length: %d\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(head % (KEY.encode(), len(body)) + body)
            connection, _ = slow.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(HEAD + ANSWER[:30])
                process.send_signal(signal.SIGTERM)
                time.sleep(0.3)
                with pytest.raises(OSError):
                    socket.create_connection(("127.0.0.1", port), 1)
                assert process.poll() is None
                connection.sendall(ANSWER[30:])
                got = b""
                while not got.endswith(ANSWER):
                    piece = client.recv(65_536)
                    assert piece, got
                    got += piece
        assert process.wait(5) == 0
    with opening.for_reading(tmp_path / "j") as db:
        (only,) = read.requests(db)
        assert only.end is not None and only.end.output == 7


def test_a_second_gateway_on_the_same_journal_is_turned_away_in_words(tmp_path: Path, pool: Pool) -> None:
    path = settings(tmp_path, pool.port)
    first = start(path)
    try:
        command = [sys.executable, "-m", "ampacity.gateway", str(path)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=20, env=os.environ, check=False)
        assert second.returncode == 1
        assert "another process writes this journal" in second.stderr and "Traceback" not in second.stderr
    finally:
        first.kill()
        first.wait()


def ask(port: int) -> tuple[int, bytes]:
    """One request over a connection of its own: the status, and the rest."""
    body = b'{"model":"m","messages":[]}'
    head = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: %b\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(head % (KEY.encode(), len(body)) + body)
        got = b""
        while piece := client.recv(65_536):
            got += piece
    return int(got[9:12]), got


def test_a_full_disk_refuses_new_work_and_holds_the_ends_of_answers_until_there_is_room(
    tmp_path: Path, pool: Pool
) -> None:
    """Files may grow to 50 kB, less than an empty journal has, then more: RLIMIT_FSIZE, to SQLite a full disk."""
    path = settings(tmp_path, pool.port)
    process = start(path)
    port = json.loads(path.read_text())["port"]
    try:
        assert ask(port)[0] == 200
        hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (50_000, hard))
        ends: list[int] = []
        held = [threading.Thread(target=lambda: ends.append(ask(port)[0]), daemon=True) for _ in range(60)]
        for thread in held:
            thread.start()
            time.sleep(0.01)
        time.sleep(0.6)
        status, said = ask(port)
        assert status == 529 and b"Use cannot be recorded" in said and b"retry-after: 5" in said
        assert socket_status(port, b"/readyz") == 503 and socket_status(port, b"/healthz") == 200
        before = len(ends)
        assert before < len(held)  # those whose ends wait
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        for thread in held:
            thread.join(5)
        assert len(ends) == len(held) and set(ends) == {200, 529}
        time.sleep(0.3)
        assert ask(port)[0] == 200
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    with opening.for_reading(tmp_path / "j") as db:
        settled = [r for r in read.requests(db) if r.end is not None and r.end.status == SETTLED]
    assert len(settled) == ends.count(200) + 2


def socket_status(port: int, path: bytes) -> int:
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"GET %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % path)
        return int(client.recv(100)[9:12])
