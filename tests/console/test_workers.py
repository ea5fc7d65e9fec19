"""Several data processes of one service: asked and told as one, each with its own subscribers and its own journal."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from ampacity.cli import app
from ampacity.console import keys, workers
from ampacity.console.ask import NotDone, NotServing, ask
from ampacity.console.folder import Folder, read_json
from ampacity.console.openapi import STATUS
from ampacity.console.operator import Operator
from ampacity.console.republish import Republishing
from ampacity.console.workers import DoneInSome
from ampacity.journal import opening, read
from ampacity.simulator.journal_replay import replay

READY_S = 60
SEVERAL = 2


def test_what_both_have_met_is_told_as_one(both: Any) -> None:
    mia, nia = both.key_at(0, "mia"), both.key_at(1, "nia")
    asked = [both.post(name, key)[0] for name, key in (("mia", mia), ("nia", nia), ("nia", nia))]
    assert asked == [200, 200, 200]
    status = both.operator.status()
    (kind,) = status["metrics"]["kinds"]
    assert kind["answers"] == sum(kind["ttft_ms"]) == 3 and kind["tokens"]["output"] == 60
    (pool,) = status["pools"]
    assert (pool["slots"], pool["state"]) == (8, "open") and status["ready"] and status["trouble"] == []
    assert len({w["process"] for w in status["workers"]}) == SEVERAL and set(status) == set(STATUS["properties"])
    assert [(u["subscriber"], u["requests"], u["output"]) for u in both.operator.use()] == [
        ("nia", 2, 40),
        ("mia", 1, 20),
    ]
    assert [(n["subscriber"], n["share"]) for n in both.operator.near(2)] == [("nia", 0.024), ("mia", 0.012)]
    assert [both.operator.standing(who)["models"]["coder"]["windows"][0]["used"] for who in ("mia", "nia")] == [
        120,
        240,
    ]
    shown = CliRunner().invoke(app, ["show", "use", str(both.folder.path), "--json", "-"])
    assert sum(u["requests"] for u in json.loads(shown.stdout)["use"]) == 3


def used(both: Any, who: str) -> float:
    """What somebody has used of their first window."""
    return float(both.operator.standing(who)["models"]["coder"]["windows"][0]["used"])


def test_a_refusal_is_explained_by_whoever_refused(both: Any, toy_terms: Any, model_url: str) -> None:
    both.operator.change_terms(toy_terms(model_url, five_hour=150).text())
    for worker, name in ((1, "rita"), (0, "rolf")):
        key = both.key_at(worker, name)
        (_, _), (status, headers) = both.post(name, key), both.post(name, key)
        told = both.operator.explain(headers["request-id"])
        assert status == 429 and told["worker"] == worker and "five-hour window" in told["sentence"]
        assert both.operator.explain(name)["refusals"][0]["ordinal"] == told["ordinal"]
    assert [r["subscriber"] for r in both.operator.refusals()] == ["rolf", "rita"]
    assert [len(v["terms"]) for v in both.operator.versions()] == [16, 16]  # each once, though both went by them
    with pytest.raises(NotDone, match="no limit refused a request of that id"):
        both.operator.explain("req_00")


def test_terms_and_moves_are_of_all_and_keys_are_known_to_all(both: Any, toy_terms: Any, model_url: str) -> None:
    before = both.operator.status()["terms"]
    answer = both.operator.change_terms(toy_terms(model_url, name="tighter").text())
    assert [s and s["terms"] for s in both.operator.statuses()] == [answer["terms"]] * SEVERAL != [before] * SEVERAL
    assert both.operator.move("hold", "here")["state"] == "held"
    assert [s and s["pools"][0]["state"] for s in both.operator.statuses()] == ["held"] * SEVERAL
    with pytest.raises(NotDone, match="changes nothing"):
        both.operator.move("hold", "here")
    ask(both.each[0].folder.speaking, "pool", pool="here", action="reopen")
    assert both.operator.status()["trouble"] == ["pool here: open at worker 0, held at worker 1"]
    assert both.operator.move("reopen", "here")["state"] == "open" and both.operator.status()["trouble"] == []
    both.operator.make_key("kim")
    assert [s and s["keys"] for s in both.operator.statuses()] == [1] * SEVERAL
    assert both.operator.checkpoint()["durable"] > 0


def test_terms_that_one_refuses_are_in_force_in_none(both: Any, toy_terms: Any, model_url: str) -> None:
    """The second one has a tier that the others never heard of, so it keeps what it has."""
    there = toy_terms(model_url)
    own = replace(there, tiers=(*there.tiers, replace(there.tiers[0], name="own")))
    ask(both.each[1].folder.speaking, "terms", text=own.text())
    before = [s and s["terms"] for s in both.operator.statuses()]
    with pytest.raises(NotDone, match=r"worker 1: .*those in force stay.*those before are in force everywhere"):
        both.operator.change_terms(toy_terms(model_url, name="tighter").text())
    assert [s and s["terms"] for s in both.operator.statuses()] == before
    assert both.operator.terms.name == "toy" and "goes by" not in str(both.operator.audit())


def test_limits_are_planned_anew_in_all_of_them_when_a_pool_goes(both: Any) -> None:
    (service,) = both.operator.terms.services
    two = replace(service, pools=(*service.pools, replace(service.pools[0], name="there")))
    both.operator.change_terms(replace(both.operator.terms, services=(two,)).text())
    asked: list[tuple[str, ...]] = []
    smaller = replace(both.operator.terms, limits={"team": ()}, caps=())

    def planning(without: tuple[str, ...]) -> Any:
        asked.append(without)
        return SimpleNamespace(title=str, planned=lambda: SimpleNamespace(terms=smaller), end=lambda: None)

    said: list[str] = []
    republishing = Republishing(both.folder, planning, said.append)
    republishing.look()
    both.operator.move("reclaim", "there")
    republishing.look()
    republishing._at_work.join(30)  # type: ignore[union-attr]
    assert asked == [("there",)] and said == ["limits planned anew without there, and in force"]
    assert both.operator.terms.limits["team"] == () and both.operator.status()["trouble"] == []
    assert len({s["terms"] for s in both.operator.statuses()}) == 1


def test_while_one_is_away_the_other_answers_and_nothing_is_done_by_halves_unsaid(both: Any, toy_terms: Any) -> None:
    mia, nia = both.key_at(0, "mia"), both.key_at(1, "nia")
    both.post("nia", nia)
    away = both.each[1]
    away.process.send_signal(signal.SIGKILL)
    away.process.wait(5)
    status = both.operator.status()
    assert not status["ready"] and status["workers"][1]["process"] is None
    assert status["trouble"] == ["worker 1 does not answer; its subscribers are refused until it is back"]
    assert both.post("mia", mia)[0] == 200
    assert {u["subscriber"] for u in both.operator.use()} == {"mia", "nia"}
    with pytest.raises(NotServing):
        both.operator.standing("nia")
    with pytest.raises(NotServing):
        both.operator.change_terms(toy_terms(away.url, name="tighter").text())
    assert both.operator.terms.name == "toy"
    with pytest.raises(DoneInSome, match="worker 1 did not answer"):
        both.operator.move("hold", "here")
    assert both.operator.audit()[0]["what"] == "hold, not heard by all"
    away.again()
    workers.tell_again(both.folder, away.folder)
    assert [s and s["pools"][0]["state"] for s in both.operator.statuses()] == ["held"] * SEVERAL
    assert used(both, "nia") == 120
    away.process.terminate()
    away.process.wait(10)


def test_whoever_comes_to_an_organization_elsewhere_is_told_that_windows_begin_anew(both: Any) -> None:
    both.operator.set_organization("acme", "firm")  # number 1
    both.key_at(0, "zoe")
    assert "worker 1 decides on them now" in both.operator.set_subscriber("zoe", organization="acme")["note"]
    both.key_at(1, "yan")
    assert "note" not in both.operator.set_subscriber("yan", organization="acme")
    assert workers.decides_on(both.folder, "zoe") == workers.decides_on(both.folder, "yan") == 1


def test_told_to_stop_all_of_them_end(both: Any) -> None:
    both.operator.stop()
    assert [one.process.wait(10) for one in both.each] == [0] * SEVERAL
    with pytest.raises(NotServing):
        both.operator.status()


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


def serve(cwd: Path, model_url: str, *more: str) -> subprocess.Popen[str]:
    words = ["serve", "laptop", "--set", f"placements.code.endpoint={model_url}", "--port", "0", "--admin-port", "0"]
    command = [sys.executable, "-c", "from ampacity.cli import main; main()", *words, *more]
    return subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, model_url: str) -> Iterator[Served]:
    """A service of two data processes on one port."""
    cwd = tmp_path_factory.mktemp("serve")
    process = serve(cwd, model_url, "--workers", "2")
    assert process.stdout is not None
    watchdog = threading.Timer(READY_S, process.kill)
    watchdog.start()
    said = ""
    for line in process.stdout:
        said += line
        if "end: Ctrl-C" in line:
            break
    watchdog.cancel()
    port = re.search(r"gateway +http://127.0.0.1:(\d+)", said)
    assert port is not None, said
    yield Served(process, Folder(cwd / "laptop.serve"), int(port[1]))
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()


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
    served.until(lambda s: s["workers"][1]["process"] != before[1])  # what connects meanwhile may be broken off
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


def test_told_to_end_both_end_and_every_decision_is_made_again(served: Served, model_url: str) -> None:
    pids = [s["process"] for s in served.operator.statuses() if s is not None]
    served.process.terminate()
    assert served.process.wait(20) == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    for share in served.folder.shares():
        replayed = replay(share.journal)
        assert replayed.decisions and not replayed.differing
    again = serve(served.folder.path.parent, model_url, "--workers", "3")
    _, words = again.communicate(timeout=READY_S)
    assert again.returncode == 1 and "made with --workers 2" in words and "use-0.journal, use-1.journal" in words


def test_a_service_that_runs_has_as_many_as_it_began_with() -> None:
    done = CliRunner().invoke(app, ["serve", "laptop", "--workers", "2", "--admin", "status"])
    assert done.exit_code == 2 and "as many as it" in done.stderr
