"""Several processes on one port: limits as exact as of one, slots never passed, each alone when others die.

Real processes and sockets. When a test is over each journal is replayed, and holds its own subscribers and no others'.
"""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from gateways import (
    ANSWER,
    STREAM,
    STREAM_HEAD,
    Asked,
    Client,
    Connection,
    Said,
    Upstream,
    chunk,
    eventually,
    post,
    whole,
)

from ampacity.gateway.keys import TABLES, hashed
from ampacity.gateway.request import Head, Request
from ampacity.journal import opening, read
from ampacity.journal.records import LEASE, RESERVING, SETTLED
from ampacity.policy import rows
from ampacity.policy.rows import ONE_REQUEST, SCALE, WindowRule
from ampacity.policy.terms import PoolTerms, ServiceTerms, Terms, TierTerms
from ampacity.simulator.journal_replay import replay

PEOPLE = range(1, 13)
COMPANY, MEMBERS = 5, (1, 2)  # an organization and its people; each alone would have another owner than it
EACH, TOGETHER = 15, 20  # requests in five hours, of one of them and of the organization
LONG = 30.0


def owner(who: int, workers: int) -> int:
    """Which process decides on somebody."""
    return (COMPANY if who in MEMBERS else who) % workers


def key(who: int) -> str:
    return f"sk-{who}"


def used_in(said: Said) -> int:
    """What an answer of /v1/usage says. [requests]"""
    windows = said.json["models"]["m"]["windows"]
    return int(windows[0]["used"])


def limit(requests: int) -> tuple[WindowRule, ...]:
    return (WindowRule("five-hour", requests * SCALE, rows.AT_FIRST_USE, 18_000_000, ONE_REQUEST),)


def terms_before(upstream: Upstream, slots: int = 64, each: int = EACH, together: int = TOGETHER) -> Terms:
    pool = PoolTerms("pool", f"http://127.0.0.1:{upstream.port}", "m", slots)
    limits = {"each": limit(each), "company": limit(together)}
    return Terms("workers", limits, (TierTerms("all", "each"),), (ServiceTerms("m", (pool,)),))


class Workers:
    """Processes that share a port."""

    def __init__(self, folder: Path, terms: Terms, many: int) -> None:
        self.folder, self.many, self.port = folder, many, 0
        self.running: dict[int, subprocess.Popen[str]] = {}
        (folder / "terms").write_text(terms.text())
        db = sqlite3.connect(folder / "keys")
        db.executescript(TABLES)
        db.execute("INSERT INTO organization VALUES (?, 'company', 'company')", (COMPANY,))
        for who in PEOPLE:
            organization = COMPANY if who in MEMBERS else 0
            db.execute("INSERT INTO subscriber VALUES (?, ?, 'all', ?)", (who, str(who), organization))
            db.execute("INSERT INTO key VALUES (?, ?, '', 'sk-', 0, NULL)", (hashed(key(who).encode()), who))
        db.commit()
        db.close()

    def settings(self, worker: int, /, **more: Any) -> Path:
        named = {name: str(self.folder / name) for name in ("terms", "keys", "peers", "leases")}
        told = {**named, "journal": str(self.journal(worker)), "port": self.port, "drain_s": 2}
        path = self.folder / f"settings-{worker}.json"
        path.write_text(
            json.dumps(
                {**told, "control": str(self.folder / f"c{worker}"), "worker": worker, "workers": self.many, **more}
            )
        )
        return path

    def journal(self, worker: int) -> Path:
        return self.folder / f"use-{worker}.journal"

    def open(self, worker: int, /, **more: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ampacity.gateway", str(self.settings(worker, **more))]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, stdin=subprocess.DEVNULL, text=True)

    def control(self, worker: int, **asked: Any) -> dict[str, Any]:
        """What a process answers the operator's side."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.folder / f"c{worker}"))
            sock.sendall(json.dumps(asked).encode() + b"\n")
            with sock.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline())
        return answer

    def ready(self, worker: int, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        self.port = json.loads(line)["port"]
        self.running[worker] = process

    def start(self, worker: int) -> None:
        self.ready(worker, self.open(worker))

    def start_all(self) -> Workers:
        self.start(0)
        opened = {worker: self.open(worker) for worker in range(1, self.many)}
        for worker, process in opened.items():
            self.ready(worker, process)
        return self

    def refused(self, worker: int, /, **more: Any) -> str:
        """What a process says that does not start."""
        process = self.open(worker, **more)
        _, said = process.communicate(timeout=LONG)
        assert process.returncode == 1, said
        return said

    def kill(self, worker: int) -> None:
        process = self.running.pop(worker)
        process.kill()
        process.communicate()

    def stop_all(self) -> None:
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        while self.running:
            _, process = self.running.popitem()
            _, said = process.communicate(timeout=LONG)
            assert process.returncode == 0, said
            assert all(line.startswith("{") and '"mistake"' not in line for line in said.splitlines()), said

    def client(self) -> Client:
        client = Client(self.port)
        client.sock.settimeout(LONG)
        return client

    def post(self, who: int, body: object = None, path: str = "/v1/messages") -> Said:
        """Ask over a new connection."""
        with self.client() as client:
            client.ask(body, path, key=key(who))
            return client.said()

    def used(self, who: int) -> int:
        """What somebody has used, as they are told over a new connection. [requests]"""
        with self.client() as client:
            client.send(f"GET /v1/usage HTTP/1.1\r\nhost: x\r\nx-api-key: {key(who)}\r\n\r\n".encode())
            return used_in(client.said())

    def held(self) -> dict[int, int]:
        """What each process holds of the pool."""
        db = sqlite3.connect(self.folder / "leases", timeout=LONG)
        try:
            return dict(db.execute("SELECT worker, held FROM lease"))
        finally:
            db.close()

    def settled(self) -> Counter[int]:
        """Requests of each subscriber that were settled, in all journals."""
        found: Counter[int] = Counter()
        for worker in range(self.many):
            with opening.for_reading(self.journal(worker)) as db:
                ended = (r for r in read.requests(db) if r.end is not None and r.end.status == SETTLED)
                found.update(r.arrival.subscriber for r in ended)
        return found

    def balance(self) -> None:
        """Stop; each journal has its own subscribers, every request one end, and every decision comes out again."""
        self.stop_all()
        for worker in range(self.many):
            with opening.for_reading(self.journal(worker)) as db:
                assert read.strays(db) == [] and read.under_way(db) == []
                requests = list(read.requests(db))
                leases = read.changes(db, (LEASE,))
            assert {owner(r.arrival.subscriber, self.many) for r in requests} <= {worker}
            assert all(r.end is not None for r in requests if r.arrival.outcome in RESERVING)
            assert leases or not requests
            again = replay(self.journal(worker))
            assert again.same == again.decisions, again.differing


Serve = Callable[..., Workers]


@pytest.fixture
def workers(tmp_path: Path, upstream: Upstream) -> Iterator[Serve]:
    """Start processes before `upstream`."""
    started: list[Workers] = []

    def start(many: int = 2, **of_terms: Any) -> Workers:
        folder = tmp_path / f"workers-{len(started)}"
        folder.mkdir()
        started.append(Workers(folder, terms_before(upstream, **of_terms), many))
        return started[-1].start_all()

    yield start
    for one in started:
        try:
            one.balance()
        finally:
            for process in one.running.values():
                process.kill()


def echo(connection: Connection, asked: Asked) -> None:
    """Answer with the `n` of the request, so that every answer can be told from the others."""
    n = json.loads(asked.body).get("n", 0)
    body = b'{"n":%d,"usage":{"input_tokens":10,"output_tokens":7}}' % n
    connection.send(whole(body))


def numbered(n: int, who: int) -> bytes:
    return post({"model": "m", "max_tokens": 9, "messages": [], "n": n}, key=key(who))


class Busy:
    """An upstream that takes its time, and counts how many requests it has at once."""

    def __init__(self, upstream: Upstream, seconds: float = 0.02) -> None:
        self.now = self.most = 0
        self._seconds, self._lock = seconds, threading.Lock()
        upstream.answer = self

    def __call__(self, connection: Connection, asked: Asked) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self._seconds)
        with self._lock:
            self.now -= 1
        connection.send(whole(ANSWER))


class Load:
    """People who ask again and again, each over a connection as long as it lasts."""

    def __init__(self, workers: Workers, people: list[int], each: int = 1) -> None:
        self.seen: Counter[int] = Counter()
        self.answers: Counter[int] = Counter()
        self._workers, self._ending, self._lock = workers, False, threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(who,)) for who in people for _ in range(each)]
        for thread in self._threads:
            thread.start()

    def _ask(self, who: int) -> None:
        while not self._ending:
            with suppress(OSError, AssertionError), self._workers.client() as client:
                while not self._ending:
                    client.ask(key=key(who))
                    status = client.said().status
                    with self._lock:
                        self.answers[status] += 1
                        self.seen[who] += status == 200
                    if status != 200:
                        time.sleep(0.02)
            time.sleep(0.005)

    def end(self) -> None:
        self._ending = True
        for thread in self._threads:
            thread.join(LONG)
            assert not thread.is_alive()


@pytest.mark.parametrize("many", [2, 3])
def test_limits_are_as_exact_as_of_one_process_however_many_ask_at_once(
    many: int, workers: Serve, upstream: Upstream
) -> None:
    running = workers(many)
    asked = [who for who in PEOPLE for _ in range(200 if who == 7 else 20)]
    with ThreadPoolExecutor(48) as pool:
        statuses = list(pool.map(lambda who: (who, running.post(who).status), asked))
    seen = Counter(statuses)
    assert {status for _, status in seen} == {200, 429}
    for who in PEOPLE:
        if who not in MEMBERS:
            assert seen[who, 200] == EACH, who
    assert sum(seen[who, 200] for who in MEMBERS) == TOGETHER
    assert len(upstream.asked) == sum(n for (_, status), n in seen.items() if status == 200)
    assert {running.used(7) for _ in range(8)} == {EACH}  # whoever takes the connection
    running.stop_all()
    assert running.settled() == {who: n for (who, status), n in seen.items() if status == 200}


def test_a_connection_may_show_another_key_with_each_request(workers: Serve, upstream: Upstream) -> None:
    upstream.answer = echo
    running = workers(3)
    with running.client() as client:
        for n, who in enumerate((3, 4, 5, 3, 3, 5, 4, 1, 2, 9, 10, 11)):
            client.send(numbered(n, who))
            said = client.said()
            assert (said.status, said.json["n"]) == (200, n)
        client.send(b"GET /v1/usage HTTP/1.1\r\nhost: x\r\nx-api-key: sk-3\r\n\r\n")
        assert used_in(client.said()) == 3
        client.send(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-api-key: sk-4\r\n\r\n")
        assert client.said().status == 200
        client.ask(key="sk-of-nobody")
        assert client.said().status == 401


def test_a_stream_comes_through_a_connection_that_was_handed_over(workers: Serve, upstream: Upstream) -> None:
    upstream.answer = lambda connection, _: connection.send(
        STREAM_HEAD, chunk(STREAM[:90]), chunk(STREAM[90:]), chunk(b"")
    )
    running = workers()
    with running.client() as client:
        for who in (3, 4, 3, 4):  # one of each two is another's
            client.ask({"model": "m", "max_tokens": 9, "stream": True, "messages": []}, key=key(who))
            said = client.said()
            assert (said.status, said.body) == (200, STREAM)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_five_megabytes_is_handed_over_whole(chunked: bool, workers: Serve, upstream: Upstream) -> None:
    running = workers()
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": ["é" * 100, "x" * 5_000_000]}).encode()
    with running.client() as client:
        for who in (3, 4, 3):
            if chunked:
                head = post(b"", key=key(who)).replace(b"content-length: 0", b"transfer-encoding: chunked")
                client.send(
                    head + b"".join(chunk(body[i : i + 70_000]) for i in range(0, len(body), 70_000)) + chunk(b"")
                )
            else:
                client.ask(body, key=key(who), head="expect: 100-continue\r\n")
                assert client.head().status == 100
            assert client.said().status == 200
    assert [a.body == body for a in upstream.asked] == [True] * 3


def test_requests_of_two_keys_that_come_at_once_are_answered_in_their_order_and_once(
    workers: Serve, upstream: Upstream
) -> None:
    upstream.answer = echo
    running = workers()
    with running.client() as client:
        people = (3, 4, 4, 3, 3, 4, 3, 4)
        client.send(b"".join(numbered(n, who) for n, who in enumerate(people)))
        assert [client.said().json["n"] for _ in people] == list(range(len(people)))
    assert len(upstream.asked) == len(people)


def test_what_has_come_in_part_when_a_connection_goes_is_neither_answered_wrongly_nor_asked_twice(
    workers: Serve, upstream: Upstream
) -> None:
    upstream.answer = echo
    running = workers()
    answered = 0
    for cut in (10, 60, 150):
        with running.client() as client:
            half = numbered(2, 3)
            client.send(numbered(0, 3) + numbered(1, 4) + half[:cut])
            first, second = client.said(), client.said()
            assert (first.json["n"], second.json["n"]) == (0, 1)
            answered += 2
            if second["connection"] == "close":
                assert client.closed()
            else:
                client.send(half[cut:])
                assert client.said().json["n"] == 2
                answered += 1
    assert len(upstream.asked) == answered


def test_a_client_who_reads_slowly_gets_all_of_an_answer_before_its_connection_goes(
    workers: Serve, upstream: Upstream
) -> None:
    def long(connection: Connection, asked: Asked) -> None:
        n = json.loads(asked.body)["n"]
        connection.send(whole(json.dumps({"n": n, "text": "x" * 3_000_000, "usage": {"output_tokens": 7}}).encode()))

    upstream.answer = long
    running = workers()
    with Client(running.port, receive_bytes=4096) as client:
        client.sock.settimeout(LONG)
        people = (3, 4, 3, 4)
        client.send(b"".join(numbered(n, who) for n, who in enumerate(people)))
        eventually(lambda: upstream.asked, "nobody asks", LONG)
        time.sleep(0.3)
        for n in range(len(people)):
            answer = client.said().json
            assert (answer["n"], len(answer["text"])) == (n, 3_000_000)
            time.sleep(0.05)
    assert len(upstream.asked) == len(people)


def test_a_process_that_is_told_to_stop_ends_its_streams_while_the_others_go_on(
    workers: Serve, upstream: Upstream
) -> None:
    end = threading.Event()

    def slow(connection: Connection, asked: Asked) -> None:
        connection.send(STREAM_HEAD, chunk(STREAM[:90]))
        assert end.wait(LONG)
        connection.send(chunk(STREAM[90:]), chunk(b""))

    running = workers()
    with running.client() as client:
        upstream.answer = slow
        client.ask({"model": "m", "max_tokens": 9, "stream": True, "messages": []}, key=key(3))
        client.head()
        process = running.running.pop(1)
        process.send_signal(signal.SIGTERM)
        eventually(lambda: not (running.folder / "peers" / "worker-1").exists(), "it does not stop", LONG)
        upstream.answer = whole(ANSWER)
        assert {running.post(4).status for _ in range(5)} == {200}
        assert running.post(3).status == 529
        end.set()
        assert client.until(b"message_stop")
        process.communicate(timeout=LONG)
        assert process.returncode == 0
    running.start(1)
    assert running.post(3).status == 200 and running.used(3) == 2


def test_the_slots_of_a_pool_follow_those_who_ask_and_are_never_passed(workers: Serve, upstream: Upstream) -> None:
    busy = Busy(upstream)
    running = workers(slots=8, each=10**6, together=10**6)
    for people, one in (([4, 6, 8], 0), ([3, 7, 9], 1), ([4, 6, 8], 0)):
        load = Load(running, people, each=5)
        try:
            eventually(lambda: running.held() == {one: 7, 1 - one: 1}, f"{running.held()}", LONG)  # noqa: B023
            eventually(lambda: busy.now == 7, f"{busy.now} run", LONG)
        finally:
            load.end()
        assert set(load.answers) == {200}
    both = Load(running, [3, 4, 6, 7, 8, 9], each=3)
    try:
        eventually(lambda: busy.now == 8, f"{busy.now} run", LONG)
    finally:
        both.end()
    assert busy.most == 8
    assert sum(running.held().values()) <= 8


def test_when_a_process_is_killed_the_others_go_on_and_it_begins_where_it_was(
    workers: Serve, upstream: Upstream
) -> None:
    busy = Busy(upstream, 0.005)
    running = workers(slots=8, each=10**6, together=10**6)
    load = Load(running, [4, 6, 3, 7], each=4)
    try:
        eventually(lambda: min(load.seen[who] for who in (3, 4, 6, 7)) > 20, "nobody asks", LONG)
        running.kill(1)
        before = load.seen[4]
        eventually(lambda: load.seen[4] > before + 50, "the other does not go on", LONG)
        eventually(lambda: running.held().get(0) == 8, f"its slots did not come back: {running.held()}", LONG)
        gone = running.post(7)
        assert (gone.status, gone["retry-after"]) == (529, "1")
        assert gone.json["error"]["type"] == "overloaded_error"
        running.start(1)
        since = load.seen[3]
        eventually(lambda: load.seen[3] > since + 20, "it does not begin again", LONG)
        assert sum(running.held().values()) <= 8
    finally:
        load.end()
    eventually(lambda: busy.now == 0, "something still runs", LONG)
    assert running.used(4) == load.seen[4]
    running.stop_all()
    settled = running.settled()
    for who in (3, 4, 6, 7):
        assert load.seen[who] <= settled[who] <= load.seen[who] + 4  # what was under way when it died


def test_other_terms_share_other_slots_and_those_that_cannot_be_shared_change_nothing(
    workers: Serve, upstream: Upstream
) -> None:
    busy = Busy(upstream)
    running = workers(slots=4, each=10**6, together=10**6)
    load = Load(running, [3, 4, 6, 7], each=4)
    try:
        for slots in (12, 6):
            text = terms_before(upstream, slots, 10**6, 10**6).text()
            assert all(running.control(w, do="terms", text=text)["ok"] for w in (0, 1))
            eventually(lambda: sum(running.held().values()) == slots, f"{running.held()}", LONG)  # noqa: B023
            busy.most = 0
            eventually(lambda: busy.most == slots, f"{busy.most} run", LONG)  # noqa: B023
        text = terms_before(upstream, 1, 10**6, 10**6).text()
        told = running.control(0, do="terms", text=text)
        assert not told["ok"] and "1 requests at once cannot be shared by 2 processes" in told["error"]
    finally:
        load.end()
    assert set(load.answers) == {200}


def test_two_that_do_not_know_the_same_keys_do_not_send_a_connection_back_and_forth(
    workers: Serve, upstream: Upstream
) -> None:
    running = workers()
    running.kill(1)
    (running.folder / "other").write_bytes((running.folder / "keys").read_bytes())
    db = sqlite3.connect(running.folder / "other")
    db.execute("UPDATE subscriber SET organization = 6 WHERE id = 3")
    db.commit()
    db.close()
    running.ready(1, running.open(1, keys=str(running.folder / "other")))
    with running.client() as client:
        for _ in range(3):
            client.ask(key=key(3))
            said = client.said()
            assert (said.status, said["retry-after"]) == (529, "1")
            client.ask(key=key(4))
            assert client.said().status == 200
    assert len(upstream.asked) == 3


def test_what_cannot_be_shared_is_refused_at_the_start_in_words(workers: Serve, upstream: Upstream) -> None:
    running = workers(slots=2)
    running.stop_all()
    assert running.refused(0, workers=3).startswith("pool pool: 2 requests at once cannot be shared by 3 processes")
    (running.folder / "terms").write_text(terms_before(upstream).text())
    assert "use-1.journal is the journal of process 1 of 2 (counted from 0), not of 1 of 3" in running.refused(
        1, workers=3
    )
    assert "use-0.journal is the journal of process 0 of 2" in running.refused(0, worker=0, workers=1)
    assert "not of 0 of 2" in running.refused(0, journal=str(running.journal(1)))
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as another:
        assert "address already in use" in running.refused(0, port=another.getsockname()[1]).lower()
    running.start_all()
    assert running.post(3).status == 200


def test_a_journal_of_one_process_stays_with_one(workers: Serve, tmp_path: Path) -> None:
    running = workers()
    alone = {"journal": str(tmp_path / "alone"), "port": 0}
    process = running.open(0, worker=0, workers=1, **alone)
    assert process.stdout is not None
    assert "port" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LONG)
    with opening.for_reading(tmp_path / "alone") as db:
        assert read.changes(db, (LEASE, "workers")) == []
    assert "alone is the journal of process 0 of 1" in running.refused(1, **alone)


def test_a_request_written_out_again_is_the_same_but_for_how_its_body_came() -> None:
    headers = [(b"host", b"x"), (b"transfer-encoding", b"chunked"), (b"x-api-key", b"k"), (b"expect", b"100-continue")]
    request = Request(Head(b"POST", b"/v1/messages", b"beta=true", headers, True, False), b"{}")
    head = b"POST /v1/messages?beta=true HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\ncontent-length: 2\r\n"
    assert request.written(last=False) == head + b"\r\n{}"
    assert request.written(last=True) == head + b"connection: close\r\n\r\n{}"
    old = Request(Head(b"GET", b"/v1/usage", b"", [(b"x-api-key", b"k")], False, True), b"")
    assert old.written(last=True) == b"GET /v1/usage HTTP/1.0\r\nx-api-key: k\r\n\r\n"


def test_the_socket_where_connections_are_handed_over_is_its_owners_alone(workers: Serve) -> None:
    running = workers()
    assert [(running.folder / "peers" / f"worker-{i}").stat().st_mode & 0o777 for i in (0, 1)] == [0o600, 0o600]
