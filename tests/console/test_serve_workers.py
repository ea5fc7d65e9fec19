"""`ampacity serve --workers 2` as whoever runs it meets it: one port, one service, two data processes."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from typer.testing import CliRunner

from ampacity.cli import app
from ampacity.console import keys, workers
from ampacity.console.ask import NotDone
from ampacity.console.folder import Folder, read_json
from ampacity.console.operator import Operator
from ampacity.journal import opening, read
from ampacity.scenario.mistakes import Mistakes
from ampacity.simulator.journal_replay import replay

READY_S = 60
SEVERAL = 2


@dataclass
class Served:
    """A running `ampacity serve --workers 2`."""

    process: subprocess.Popen[str]
    folder: Folder
    port: int

    @property
    def operator(self) -> Operator:
        return Operator(self.folder)

    def ask(self, key: str) -> int:
        """Ask over a connection of its own, which either of them may be given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        body = json.dumps({"model": "default", "max_tokens": 9, "messages": []})
        connection.request("POST", "/v1/messages", body, {"x-api-key": key, "content-type": "application/json"})
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The status once something holds of it."""
        until_s = time.monotonic() + 30
        while time.monotonic() < until_s:
            if holds(status := self.operator.status()):
                return status
            time.sleep(0.1)
        raise AssertionError(self.operator.status())


def gone(process: int) -> None:
    """Wait until a process is no more: while it dies, what comes to its socket is broken off by the system."""
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"{process} is still there")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, model_url: str, served_here: Any) -> Iterator[Served]:
    """A service of two data processes on one port."""
    cwd = tmp_path_factory.mktemp("serve")
    over = ("--set", f"placements.code.endpoint={model_url}", "--workers", "2")
    with served_here(cwd, "laptop", *over) as (process, said):
        port = re.search(r"gateway +http://127.0.0.1:(\d+)", said)
        assert port is not None, said
        yield Served(process, Folder(cwd / "laptop.serve"), int(port[1]))


def test_on_one_port_everybodys_use_is_with_the_one_that_decides_on_them(served: Served) -> None:
    made = {f"person-{i}": served.operator.make_key(f"person-{i}")["key"] for i in range(4)}
    assert [served.ask(key) for key in made.values() for _ in range(3)] == [200] * 12
    numbers = {s.name: s.id for s in keys.subscribers_of(served.folder.keys)}
    for share in served.folder.shares():
        with opening.for_reading(share.journal) as db:
            there = {u.subscriber: u.requests for u in read.use(db, 0, 1 << 60)}
        assert there == {numbers[name]: 3 for name in made if numbers[name] % SEVERAL == share.worker}
    assert {u["subscriber"]: u["requests"] for u in served.operator.use()} == dict.fromkeys(made, 3)
    (kind,) = served.operator.status()["metrics"]["kinds"]
    assert kind["answers"] == 12 and kind["outcomes"]["admitted"] == 12


def test_the_slots_of_a_pool_are_those_of_the_terms_and_no_more_are_given_out(served: Served) -> None:
    status = served.until(lambda s: bool(s["ready"]))
    (pool,) = status["pools"]
    ((there,),) = (s.pools for s in served.operator.terms.services)
    each = [s["pools"][0]["slots"] for s in served.operator.statuses() if s is not None]
    assert pool["slots"] == there.slots >= sum(each) and min(each) >= 1 and status["trouble"] == []


def test_terms_of_a_pool_with_fewer_slots_than_data_processes_are_refused(served: Served) -> None:
    there = served.operator.terms
    (service,) = there.services
    one = replace(there, services=(replace(service, pools=(replace(service.pools[0], slots=1),)),))
    with pytest.raises(NotDone, match="cannot be shared by 2 processes"):
        served.operator.change_terms(one.text())
    assert served.operator.terms == there and served.operator.status()["trouble"] == []


def test_one_that_is_killed_comes_back_with_its_use_and_the_other_serves_on(served: Served) -> None:
    made = {name: served.operator.make_key(name)["key"] for name in ("kai", "kei")}
    numbers = {workers.decides_on(served.folder, name): name for name in made}
    assert set(numbers) == {0, 1}
    assert [served.ask(key) for key in made.values()] == [200, 200]
    before = [s["process"] for s in served.operator.statuses() if s is not None]
    windows = served.operator.standing(numbers[1])["models"]
    os.kill(before[1], signal.SIGKILL)
    gone(before[1])
    assert served.ask(made[numbers[0]]) == 200
    served.until(lambda s: bool(s["ready"]) and s["workers"][1]["process"] != before[1])
    assert served.operator.statuses()[0] is not None and served.operator.status()["process"] == before[0]
    assert [w["used"] for m in served.operator.standing(numbers[1])["models"].values() for w in m["windows"]] == [
        w["used"] for m in windows.values() for w in m["windows"]
    ]
    assert [served.ask(key) for key in made.values()] == [200, 200]


def test_prometheus_and_the_words_of_the_terminal_tell_of_both(served: Served) -> None:
    shown = CliRunner().invoke(app, ["serve", str(served.folder.path), "--admin", "status"])
    assert "2 of 2 answer" in shown.stdout, shown.output
    admin = read_json(served.folder.admin)
    with urllib.request.urlopen(f"http://127.0.0.1:{admin['port']}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert 'ampacity_up{worker="0"} 1.0' in text and 'ampacity_up{worker="1"} 1.0' in text


def test_told_to_end_both_end_and_every_decision_is_made_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [served.ask(served.operator.make_key(name)["key"]) for name in ("una", "uno")] == [200, 200]
    pids = [s["process"] for s in served.operator.statuses() if s is not None]
    served.process.terminate()
    assert served.process.wait(20) == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    for share in served.folder.shares():
        replayed = replay(share.journal)
        assert replayed.decisions and not replayed.differing
    monkeypatch.chdir(served.folder.path.parent)
    before = sorted(path.name for path in served.folder.path.iterdir())
    again = CliRunner().invoke(app, ["serve", "laptop", "--workers", "3", "--port", "0", "--admin-port", "0"])
    assert isinstance(again.exception, Mistakes) and again.stdout == ""  # refused before anything is planned
    words = str(again.exception)
    assert "made with --workers 2" in words and "use-0.journal, use-1.journal" in words
    assert sorted(path.name for path in served.folder.path.iterdir()) == before


def test_a_service_that_runs_has_as_many_as_it_began_with() -> None:
    done = CliRunner().invoke(app, ["serve", "laptop", "--workers", "2", "--admin", "status"])
    assert done.exit_code == 2 and "as many as it" in done.stderr
